"""What others send, made fit to be kept: secrets blotted out, size and depth bounded. Pure.

Secrets are looked for twice: by the name that a value goes by (``password``, ``api_key``,
``authorization``), and by the form of the value (keys of well-known services, JSON web tokens,
private keys, passwords in URLs and in texts). That finds what is written as such; it cannot
know a secret that looks like any other word.
"""

from __future__ import annotations

import base64
import math
import re
from collections.abc import Iterable, Mapping
from datetime import date
from functools import lru_cache
from typing import Any, Final, TypeGuard

import msgspec

from lakecore.auth import redact
from lakecore.base.limits import KIB

MAX_DEPTH: Final = 16
MAX_ITEMS: Final = 1_024
"""Of one list."""
MAX_MEMBERS: Final = 256
"""Of one object."""
MAX_NAME_CHARACTERS: Final = 256
MAX_VALUE_CHARACTERS: Final = 4 * KIB
"""Of one text in an object."""
MAX_OBJECT_CHARACTERS: Final = 64 * KIB
"""Of one object as JSON."""

BLOT: Final = "***"
CUT: Final = "…"
_AHEAD: Final = 8 * KIB
_MARGIN: Final = 1 * KIB

_CAMEL: Final = re.compile(r"(?<=[a-z0-9])(?=[A-Z])")
_SECRET_NAME: Final = re.compile(
    r"(?:^|[^a-z])"
    r"(?:pass(?:word|wd|phrase)|pwd|secrets?|credentials?|authorization|(?:set[_-])?cookies?"
    r"|(?:private|api|access|secret|encryption|signing)[_-]?keys?|apikey"
    r"|token)"
    r"(?:$|[^a-z])"
)
_SECRET_TEXT: Final = re.compile(
    r"(?P<scheme>\b(?i:bearer|basic)\s{1,4})(?=[A-Za-z+/._~=-]{0,256}[0-9])[^\s\"'\\,;]{4,}"
    r"|(?P<name>(?<![A-Za-z])(?i:password|passwd|pwd|secret|token|(?:private|api|access)[_-]?key"
    r"|secret(?:[_-]access)?[_-]key)[\\\"']{0,3}\s{0,4}[:=]\s{0,4}[\\\"']{0,3})"
    r"(?!(?i:bearer|basic)\s)[^\s\"'\\&,;]{3,}"
    r"|(?P<user>://[^/\s:@]{0,128}:)[^\s/@]{1,256}(?=@)"
    r"|\bsk-[A-Za-z0-9_-]{16,}"
    r"|\bgh[oprsu]_[A-Za-z0-9]{20,}|\bgithub_pat_[A-Za-z0-9_]{20,}"
    r"|\b(?:AKIA|ASIA)[0-9A-Z]{16}\b"
    r"|\bxox[abeprs]-[A-Za-z0-9-]{10,}"
    r"|\bAIza[0-9A-Za-z_-]{35}"
    r"|\beyJ[A-Za-z0-9_-]{8,}\.[A-Za-z0-9_-]{8,}\.[A-Za-z0-9_-]*"
    r"|-----BEGIN [A-Z ]{0,40}PRIVATE KEY-----[\s\S]*?(?:-----END [A-Z ]{0,40}PRIVATE KEY-----|\Z)"
)

_HINTS: Final = (
    *("bearer", "basic", "pass", "pwd", "secret", "api", "token", "://", "sk-", "gh", "akia"),
    *("asia", "xox", "aiza", "eyj", "private key", "lc_"),
)
"""One of these, in lower case, is in every text with a secret that is known by its form."""


@lru_cache(maxsize=4_096)
def is_secret_name(name: str) -> bool:
    """Whether what goes by this name is a secret.

    >>> is_secret_name("db.password"), is_secret_name("apiKey"), is_secret_name("input_tokens")
    (True, True, False)
    """
    return _SECRET_NAME.search(_CAMEL.sub("_", name).lower()) is not None


def clean_text(text: str, limit: int = MAX_VALUE_CHARACTERS) -> tuple[str, bool]:
    """A text without secrets, of bounded length; whether something of it was cut off.

    >>> clean_text("Authorization: Bearer 0123456789abcdef0123")
    ('Authorization: Bearer ***', False)
    """
    is_ahead = len(text) > limit + _AHEAD
    if is_ahead:
        text = text[: limit + _AHEAD]
    if not text.isascii():
        text = text.encode("utf-8", "replace").decode()  # halves of surrogate pairs
    # Looking for these words first takes a tenth of the time.
    if any(map(text.lower().__contains__, _HINTS)):
        text = redact(_SECRET_TEXT.sub(_blotted, text))
    # What was cut off ahead may have been within a secret: its first half must not show.
    end = min(limit, len(text) - _MARGIN) if is_ahead else limit
    return (text, False) if len(text) <= end else (text[: max(0, end)] + CUT, True)


def is_object(value: object) -> TypeGuard[Mapping[Any, Any]]:
    """Whether a value is an object of JSON; a dictionary, as most are, is told at once."""
    return type(value) is dict or isinstance(value, Mapping)


class Cleaner:
    """Cleans the values of one record, and knows whether something was cut off."""

    __slots__ = ("_left", "is_cut")

    def __init__(self, limit: int = MAX_OBJECT_CHARACTERS) -> None:
        self._left = limit
        self.is_cut = False

    def text(self, value: object, limit: int = MAX_VALUE_CHARACTERS) -> str:
        """A text; other values as JSON."""
        if not isinstance(value, str):
            value = self.encode(self.value(value))
        found, is_cut = clean_text(value, limit)
        self.is_cut |= is_cut
        return found

    def members(self, members: Mapping[Any, Any] | Iterable[tuple[Any, Any]]) -> dict[str, Any]:
        """An object, as far as the bound goes."""
        pairs = members.items() if is_object(members) else members
        return self._object(pairs, 0)

    def json(self, members: Mapping[Any, Any] | Iterable[tuple[Any, Any]]) -> str | None:
        """The same as JSON; None of an empty one."""
        found = self.members(members)
        return self.encode(found) if found else None

    @staticmethod
    def encode(value: object) -> str:
        """JSON text of what was cleaned."""
        return msgspec.json.encode(value).decode()

    def value(self, value: object, depth: int = 0) -> Any:
        """Any value as what JSON has."""
        if isinstance(value, str):
            found = self.text(value)
            self._left -= len(found)
            return found
        self._left -= 8
        if value is None or isinstance(value, bool):
            return value
        if isinstance(value, int):
            return value if -(1 << 63) <= value < 1 << 64 else self.text(str(value)[:100])
        if isinstance(value, float):
            return value if math.isfinite(value) else str(value)
        if isinstance(value, (bytes, bytearray, memoryview)):
            return self.value(base64.b64encode(bytes(value[:MAX_VALUE_CHARACTERS])).decode())
        if depth >= MAX_DEPTH or self._left <= 0:
            self.is_cut = True
            return CUT
        if isinstance(value, Mapping):
            return self._object(value.items(), depth + 1)
        if isinstance(value, (list, tuple, set, frozenset)):
            return self._list(value, depth + 1)
        return self.value(value.isoformat() if isinstance(value, date) else str(value), depth)

    def _object(self, pairs: Iterable[tuple[Any, Any]], depth: int) -> dict[str, Any]:
        found: dict[str, Any] = {}
        for name, value in pairs:
            if self._left <= 0 or len(found) >= MAX_MEMBERS:
                self.is_cut = True
                break
            key = name if type(name) is str else str(name)
            if len(key) > 24 or not key.isascii():
                key, _ = clean_text(key, MAX_NAME_CHARACTERS)
            self._left -= len(key) + 4
            if is_secret_name(key[:MAX_NAME_CHARACTERS]):
                found[key] = self._hidden(value)
            elif type(value) is int and -(1 << 63) <= value < 1 << 64:
                # As `value` has it; most numbers of an event end here.
                self._left -= 8
                found[key] = value
            else:
                found[key] = self.value(value, depth)
        return found

    def _list(self, values: Iterable[Any], depth: int) -> list[Any]:
        found: list[Any] = []
        for value in values:
            if self._left <= 0 or len(found) >= MAX_ITEMS:
                self.is_cut = True
                break
            found.append(self.value(value, depth))
        return found

    def _hidden(self, value: object) -> object:
        """What a secret is shown as: that it is there; numbers and yes or no are none."""
        if value is None or isinstance(value, (bool, int, float)):
            return value
        return BLOT


def _blotted(match: re.Match[str]) -> str:
    """What stands before the secret, and a blot."""
    return f"{match['scheme'] or match['name'] or match['user'] or ''}{BLOT}"
