"""`Lake.keys`: the lake's API keys; and who is behind an author, for rules and approvals."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from datetime import UTC, datetime, timedelta
from functools import cached_property
from typing import TYPE_CHECKING, Any, Final

from lakecore.base import InvalidInput
from lakecore.journal import Author

if TYPE_CHECKING:
    from lakecore.app._components import Components
    from lakecore.auth import Key, Keys, NewKey, Scopes
    from lakecore.truth import Principal

_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)

_Author = Callable[[str | None, str, str], Author]


class AuthFace:
    """What `Lake` does with API keys."""

    _parts: Components
    _author: _Author

    @cached_property
    def keys(self) -> LakeKeys:
        """The API keys: create, list, rotate, revoke; see docs/security.md."""
        return LakeKeys(self._parts, self._author)


class LakeKeys:
    """The API keys of a lake. Every change of them is in the journal; no secret is."""

    def __init__(self, components: Components, author: _Author) -> None:
        self._components = components
        self._author = author

    def create(
        self,
        principal: str,
        *,
        scopes: Iterable[str] | Scopes,
        datasets: Iterable[str] = (),
        kind: str | None = None,
        roles: Iterable[str] = (),
        trust: float | None = None,
        expires: datetime | timedelta | None = None,
        note: str = "",
        actor: str | None = None,
        source: str = "api",
        reason: str = "",
    ) -> NewKey:
        """Make a key; its `text` is what the client sends, and is never shown again.

        Args:
            principal: who comes with it: the actor of all that is done with the key.
            scopes: ``read``, ``write``, ``approve``, ``admin``, ``model``, each over `datasets` or
                with a glob of its own: ``write:hr.*``. Nothing else is allowed.
            datasets: globs, such as ``planes``, ``hr.*``, ``*``.
            kind: ``person``, ``agent``, ``pipeline`` or ``service``; default what the name
                says before a colon, else person.
            roles, trust: what rules and approvals look at.
            expires: a time, or how long from now; None: never.
        """
        return self._keys.create(
            principal,
            scopes=scopes,
            datasets=datasets,
            kind=kind,
            roles=roles,
            trust=trust,
            expires_us=self._time_us(expires),
            note=note,
            author=self._author(actor, source, reason),
        )

    def get(self, key_id: str) -> Key:
        """One key. Raises `NotFound`."""
        return self._keys.get(key_id)

    def describe(self) -> list[dict[str, Any]]:
        """All keys with their state as of now and when this machine saw them used, JSON-ready."""
        used = self._keys.last_used_us()
        return [
            {
                **key.to_dict(),
                "state": str(self._keys.state(key)),
                "last_used_us": used.get(key.id),
            }
            for key in self._keys.list_keys()
        ]

    def list(self) -> list[Key]:
        """All keys there ever were, the oldest first."""
        return self._keys.list_keys()

    def rotate(
        self,
        key_id: str,
        *,
        overlap: timedelta = timedelta(days=1),
        expires: datetime | timedelta | None = None,
        actor: str | None = None,
        source: str = "api",
        reason: str = "",
    ) -> NewKey:
        """A successor with the same principal and scopes; the old key lives for the overlap."""
        return self._keys.rotate(
            key_id,
            overlap_s=overlap.total_seconds(),
            expires_us=self._time_us(expires),
            author=self._author(actor, source, reason),
        )

    def revoke(
        self, key_id: str, *, actor: str | None = None, source: str = "api", reason: str = ""
    ) -> Key:
        """End a key: at once here, within seconds in every other process."""
        return self._keys.revoke(key_id, author=self._author(actor, source, reason))

    @property
    def _keys(self) -> Keys:
        return self._components.keys

    def _time_us(self, given: datetime | timedelta | None) -> int | None:
        if given is None:
            return None
        if isinstance(given, timedelta):
            return self._components.clock.now_us() + given // timedelta(microseconds=1)
        if given.tzinfo is None:
            raise InvalidInput("a time needs its zone", found=given.isoformat(), where="expires")
        return (given - _EPOCH) // timedelta(microseconds=1)


class KeyPrincipals:
    """`Principals` of changes: by the key that an author came with, else by name and source.

    Who has no key opened the lake by its path or URL: a person is its owner then, and has
    the role ``admin``.
    """

    def __init__(self, keys: Callable[[], Keys]) -> None:
        self._keys = keys

    def principal(self, author: Author) -> Principal:
        """Kind, roles and trust as the key says them, also once it has ended."""
        from lakecore import auth, changes
        from lakecore.truth import Principal

        key_id = author.context.get(auth.KEY_MEMBER)
        if key_id is None:
            kind = changes.NamedPrincipals().principal(author).kind
            known = auth.Principal.local(author.actor, kind=kind)
        else:
            known = self._keys().principal_of(str(key_id))
            if known.name != author.actor:
                raise InvalidInput(
                    "an author is not who the key says",
                    expected=known.name,
                    found=author.actor,
                    where=f"key {known.key_id}",
                )
        more = {auth.KEY_MEMBER: known.key_id} if known.key_id else {}
        return Principal(known.name, known.kind, known.roles, known.trust, more)
