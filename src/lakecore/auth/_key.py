"""What a lake knows of one API key, and the form of its document. No I/O."""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any, Final

from lakecore.auth._principal import KINDS, Principal, kind_of
from lakecore.auth._scopes import Scopes
from lakecore.auth._text import redact
from lakecore.base import CorruptData, InvalidInput
from lakecore.documents import Document, body_of

KIND: Final = "keys"
FORMAT: Final = 1
MAX_ROLES: Final = 64
MAX_NAME_CHARACTERS: Final = 200
MAX_NOTE_CHARACTERS: Final = 500
MAX_TIME_US: Final = 253_402_300_799_999_999
"""The end of the year 9999, UTC."""

_ROLE: Final = re.compile(r"[A-Za-z0-9_.:-]{1,64}")
_SHA256: Final = re.compile(r"[0-9a-f]{64}")
_RESERVED: Final = ("external", "lakecore")


class State(StrEnum):
    """Where a key is in its life; only a live one opens anything."""

    LIVE = "live"
    REVOKED = "revoked"
    EXPIRED = "expired"
    ROTATED = "rotated"


@dataclass(frozen=True, slots=True, kw_only=True)
class Key:
    """One API key, without its secret.

    Attributes:
        id: public; the name of its document.
        principal: who comes with it; its name is the actor.
        expires_us: from then on it is expired; None: never.
        rotated_from, rotated_to: the ids of the keys before and after it.
        overlap_ends_us: of a rotated key, until when it lives beside its successor.
        revoked_us: since when it is revoked.
        version: of its document.
        secret_sha256: hex, of the secret's text.
    """

    id: str
    principal: Principal
    created_us: int
    expires_us: int | None = None
    rotated_from: str | None = None
    rotated_to: str | None = None
    overlap_ends_us: int | None = None
    revoked_us: int | None = None
    note: str = ""
    version: int = -1
    secret_sha256: str = field(repr=False)

    def state(self, now_us: int) -> State:
        """As of a time."""
        if self.revoked_us is not None:
            return State.REVOKED
        if self.expires_us is not None and now_us >= self.expires_us:
            return State.EXPIRED
        if self.overlap_ends_us is not None and now_us >= self.overlap_ends_us:
            return State.ROTATED
        return State.LIVE

    def to_body(self) -> dict[str, Any]:
        """The JSON object of its document."""
        who = self.principal
        return {
            "format": FORMAT,
            "principal": who.name,
            "kind": who.kind,
            "roles": list(who.roles),
            "trust": who.trust,
            "scopes": who.scopes.to_body(),
            "created_us": self.created_us,
            "expires_us": self.expires_us,
            "rotated_from": self.rotated_from,
            "rotated_to": self.rotated_to,
            "overlap_ends_us": self.overlap_ends_us,
            "revoked_us": self.revoked_us,
            "note": self.note,
            "secret_sha256": self.secret_sha256,
        }

    def to_dict(self) -> dict[str, Any]:
        """What may be shown of it, JSON: all but the hash."""
        body = self.to_body()
        del body["format"], body["secret_sha256"]
        return {"id": self.id, **body, "scopes": self.principal.scopes.to_list()}


def read_key(document: Document) -> Key:
    """The key of a document that has a body. Unknown members are left alone.

    Raises:
        UnsupportedFormat: a newer Lakecore wrote it.
        CorruptData: it lacks a part, or a part has not its form.
    """
    body = body_of(document, FORMAT, "an API key")
    try:
        if not _SHA256.fullmatch(body["secret_sha256"]):
            raise ValueError("secret_sha256")
        return Key(
            id=document.name,
            principal=Principal(
                name=_text(body["principal"]),
                kind=_text(body["kind"]),
                roles=_texts(body["roles"]),
                trust=None if body["trust"] is None else float(body["trust"]),
                scopes=Scopes(body["scopes"]),
                key_id=document.name,
            ),
            created_us=_time(body["created_us"]) or 0,
            expires_us=_time(body["expires_us"]),
            rotated_from=_id(body["rotated_from"]),
            rotated_to=_id(body["rotated_to"]),
            overlap_ends_us=_time(body["overlap_ends_us"]),
            revoked_us=_time(body["revoked_us"]),
            note=_text(body["note"]),
            version=document.version,
            secret_sha256=body["secret_sha256"],
        )
    except (AttributeError, InvalidInput, KeyError, TypeError, ValueError) as error:
        part = error.message if isinstance(error, InvalidInput) else repr(error)
        raise CorruptData(
            "an API key's document lacks a part", where=document.path, found=part
        ) from error


def check_principal(
    name: str,
    *,
    key_id: str,
    kind: str | None,
    roles: Iterable[str],
    trust: float | None,
    scopes: Scopes,
) -> Principal:
    """The principal of a new key. Raises `InvalidInput`."""
    _check_text(name, "a principal's name", MAX_NAME_CHARACTERS, empty=False)
    prefix = name.partition(":")[0]
    if prefix in _RESERVED:
        raise InvalidInput("this name is Lakecore's own", found=name, where="principal")
    told = kind_of(name)
    kind = kind or told
    if kind not in KINDS:
        raise InvalidInput(
            "not a kind of principal", expected=" | ".join(KINDS), found=redact(repr(kind))[:200]
        )
    if prefix in KINDS and ":" in name and kind != told:
        raise InvalidInput("name and kind differ", expected=told, found=kind, where=name)
    given = (roles,) if isinstance(roles, str) else tuple(roles)
    bad = [role for role in given if not isinstance(role, str) or not _ROLE.fullmatch(role)]
    if bad or len(given) > MAX_ROLES:
        raise InvalidInput(
            "not roles",
            expected=f"at most {MAX_ROLES} names of letters, digits and _ . : -",
            found=redact(repr(bad or len(given)))[:200],
        )
    if trust is not None and not (
        isinstance(trust, int | float) and not isinstance(trust, bool) and 0 <= trust <= 1
    ):
        raise InvalidInput("not a trust", expected="0 to 1", found=repr(trust)[:200])
    if not scopes:
        raise InvalidInput("a key without scopes opens nothing", hint="for example read over hr.*")
    return Principal(
        name=name,
        kind=kind,
        roles=tuple(dict.fromkeys(given)),
        trust=None if trust is None else float(trust),
        scopes=scopes,
        key_id=key_id,
    )


def check_note(note: str) -> str:
    """A note that can be kept. Raises `InvalidInput`, also when there is a key in it."""
    _check_text(note, "a note", MAX_NOTE_CHARACTERS, empty=True)
    return note


def _check_text(text: str, what: str, limit: int, *, empty: bool) -> None:
    good = isinstance(text, str) and text == text.strip() and text.isprintable()
    if not good or len(text) > limit or not (text or empty):
        raise InvalidInput(
            f"not {what}",
            expected=f"one line of at most {limit} printable characters",
            found=redact(repr(text))[:200],
        )
    if redact(text) != text:
        # It would be journaled, and could not be taken out again.
        raise InvalidInput(f"there is an API key in {what}", hint="revoke that key: it was shown")


def _text(value: object) -> str:
    if not isinstance(value, str):
        raise TypeError(f"{type(value).__name__} is no text")
    return value


def _texts(value: object) -> tuple[str, ...]:
    if not isinstance(value, list):
        raise TypeError(f"{type(value).__name__} is no list")
    return tuple(map(_text, value))


def _id(value: object) -> str | None:
    return None if value is None else _text(value)


def _time(value: object) -> int | None:
    if value is None:
        return None
    if isinstance(value, bool) or not isinstance(value, int) or not 0 <= value <= MAX_TIME_US:
        raise ValueError(f"{value!r} is no time")
    return value
