"""Who asks, what they may do, and the one question every door asks. No I/O."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

from lakecore.auth._scopes import ACTIONS, EVERYTHING, Scopes
from lakecore.auth._text import redact
from lakecore.base import Bug, InvalidInput, Refused
from lakecore.journal import Author

KINDS: Final = ("person", "agent", "pipeline", "service")
OWNER_ROLE: Final = "admin"
"""The role of a person who opens the lake by its path or URL."""

KEY_MEMBER: Final = "key_id"
"""Member of an event's context that names the key; nobody else may set it."""

_ALL: Final = Scopes({action: [EVERYTHING] for action in ACTIONS})


@dataclass(frozen=True, slots=True, kw_only=True)
class Principal:
    """Somebody who is known: by a key, or because they can open the lake's files.

    Attributes:
        name: the actor of everything they do.
        kind: one of `KINDS`.
        roles, trust: what rules and approvals look at; trust is 0 to 1, None: not known.
        scopes: what they may do.
        key_id: of the key that they came with; None for a local caller.
    """

    name: str
    kind: str = KINDS[0]
    roles: tuple[str, ...] = ()
    trust: float | None = None
    scopes: Scopes
    key_id: str | None = None

    @classmethod
    def local(cls, actor: str, *, kind: str | None = None) -> Principal:
        """A caller without a key, on a lake that they opened by its path or URL.

        Who can write a lake's files is its owner: all scopes, and for persons the role
        ``admin``. The kind is what the name says before a colon, unless it is given.

        >>> Principal.local("agent:tidy").kind, Principal.local("ada").roles
        ('agent', ('admin',))
        """
        kind = kind or kind_of(actor)
        roles = (OWNER_ROLE,) if kind == KINDS[0] else ()
        return cls(name=actor, kind=kind, roles=roles, scopes=_ALL)

    def author(
        self,
        *,
        source: str = "api",
        reason: str = "",
        workspace_id: str = "",
        context: Mapping[str, object] | None = None,
    ) -> Author:
        """Who changes something, for the journal: always this principal, by this key.

        Raises:
            InvalidInput: `context` names a key.
        """
        told = dict(context or {})
        if KEY_MEMBER in told:
            raise InvalidInput(f"context.{KEY_MEMBER} is set by Lakecore alone")
        if self.key_id is not None:
            told[KEY_MEMBER] = self.key_id
        return Author(
            actor=self.name,
            source=source,
            workspace_id=workspace_id,
            reason=reason,
            context=told,
        )

    def actor(self, given: str | None) -> str:
        """The actor of a request that may name one: this principal, whatever it says.

        Raises:
            Refused: it names somebody else.
        """
        if given and given != self.name:
            raise Refused(
                "nobody writes in another's name",
                expected=self.name,
                found=redact(repr(given))[:200],
                hint="leave the actor out",
            )
        return self.name


def kind_of(name: str) -> str:
    """The kind that a name tells: ``agent:tidy`` is an agent, a name alone a person."""
    prefix, colon, _ = name.partition(":")
    return prefix if colon and prefix in KINDS else KINDS[0]


def may(principal: Principal, action: str, dataset: str | None = None) -> bool:
    """Whether `authorize` would pass: to leave out of a list what may not be seen."""
    if action not in ACTIONS:
        raise Bug("not an action", expected=" | ".join(ACTIONS), found=action)
    return principal.scopes.covers(action, dataset)


def authorize(principal: Principal, action: str, dataset: str | None = None) -> None:
    """Pass, or raise: the one check of every door.

    Args:
        action: one of `ACTIONS`.
        dataset: its name, ``system.…`` included; None where the lake as a whole is concerned,
            which takes the action over ``*``.

    Raises:
        Refused: with what is needed and what the principal has. Whether there is such a
            dataset is not told: ask before you look.
    """
    if may(principal, action, dataset):
        return
    has = principal.scopes.to_list()
    shown = ", ".join(has[:_SHOWN]) + (f" and {len(has) - _SHOWN} more" if has[_SHOWN:] else "")
    raise Refused(
        "the key does not allow this" if principal.key_id else "this is not allowed",
        where=f"key {principal.key_id}" if principal.key_id else principal.name,
        expected=f"{action}:{(dataset or EVERYTHING)[:_SHOWN_CHARACTERS]}",
        found=shown or "no scope",
        hint="a key's scopes cannot be changed: ask for another key",
    )


_SHOWN: Final = 20
_SHOWN_CHARACTERS: Final = 200
