"""The text of an API key: made, taken apart, and blotted out of other text. No I/O.

    lc_<id>_<secret>_<checksum>

    id         12 characters of 0-9 a-z without i l o u: public, names the key's document
    secret     43 characters of 0-9 A-Z a-z: 256 random bits in base 62
    checksum   6 characters: the CRC-32 of all before it, in base 62

The prefix and the checksum let scanners find keys that were published by mistake, and tell
a mistyped key without looking anything up (as GitHub's tokens do). They protect nothing.
"""

from __future__ import annotations

import hashlib
import re
import secrets
import zlib
from dataclasses import dataclass
from typing import Final

from lakecore.base import Unauthenticated

SECRET_BYTES: Final = 32

_DIGITS: Final = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"
_ID_DIGITS: Final = "0123456789abcdefghjkmnpqrstvwxyz"
_ID_LENGTH: Final = 12
_SECRET_LENGTH: Final = 43
_CHECKSUM_LENGTH: Final = 6

_ID: Final = rf"[0-9a-hjkmnp-tv-z]{{{_ID_LENGTH}}}"
_KEY: Final = re.compile(
    rf"lc_(?P<id>{_ID})_(?P<secret>[0-9A-Za-z]{{{_SECRET_LENGTH}}})"
    rf"_(?P<checksum>[0-9A-Za-z]{{{_CHECKSUM_LENGTH}}})"
)
_SECRETIVE: Final = re.compile(rf"lc_({_ID})_[0-9A-Za-z_]+")
_ID_ALONE: Final = re.compile(_ID)


@dataclass(frozen=True, slots=True)
class Presented:
    """A key as somebody presents it: its secret is hashed at once and kept nowhere."""

    key_id: str
    secret_sha256: str


def new_id() -> str:
    """The public id of a new key: 60 random bits."""
    return "".join(secrets.choice(_ID_DIGITS) for _ in range(_ID_LENGTH))


def is_id(text: str) -> bool:
    """Whether `text` can be a key's id."""
    return _ID_ALONE.fullmatch(text) is not None


def key_text(key_id: str, secret: bytes) -> str:
    """The text of a key with these 32 secret bytes."""
    body = f"lc_{key_id}_{_base62(int.from_bytes(secret, 'big'), _SECRET_LENGTH)}"
    return f"{body}_{_checksum(body)}"


def parse_key(text: str | None) -> Presented:
    """Take a key apart.

    Raises:
        Unauthenticated: it is none, or mistyped. What was presented is not in the error.
    """
    if not text:
        raise Unauthenticated("a key is needed", hint="Authorization: Bearer lc_…")
    match = _KEY.fullmatch(text)
    if match is None:
        raise Unauthenticated("this is no API key", expected="lc_<id>_<secret>_<checksum>")
    if _checksum(text[: match.start("checksum") - 1]) != match["checksum"]:
        raise Unauthenticated(
            "this API key is mistyped", hint="its checksum does not fit: copy all of it again"
        )
    return Presented(match["id"], hashlib.sha256(match["secret"].encode()).hexdigest())


def redact(text: str) -> str:
    """`text` with the secrets of all API keys in it blotted out, also of mistyped ones.

    >>> redact("Bearer lc_0123456789ab_" + "x" * 43 + "_000000")
    'Bearer lc_0123456789ab_***'
    """
    return _SECRETIVE.sub(r"lc_\1_***", text)


def _checksum(body: str) -> str:
    return _base62(zlib.crc32(body.encode()), _CHECKSUM_LENGTH)


def _base62(number: int, length: int) -> str:
    digits = []
    for _ in range(length):
        number, digit = divmod(number, 62)
        digits.append(_DIGITS[digit])
    return "".join(reversed(digits))
