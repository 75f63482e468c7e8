"""The small parts that C2SP's text formats share: decimals, base64, hashes, key names."""

from __future__ import annotations

import re
from base64 import b64decode, b64encode
from typing import Final

from lakecore.base import InvalidInput

MAX_SIZE: Final = (1 << 63) - 1
"""The largest tree; also the largest time of a cosignature."""
MAX_PATH: Final = 63
"""Hashes in a proof, at most."""

_DECIMAL: Final = re.compile(r"0|[1-9][0-9]{0,18}")
_HASH_BYTES: Final = 32


def decimal(text: str, what: str) -> int:
    """A number without sign and leading zeros, below 2^63.

    >>> decimal("20852163", "a tree size")
    20852163
    """
    number = int(text) if _DECIMAL.fullmatch(text) else -1
    if not 0 <= number <= MAX_SIZE:
        raise InvalidInput(
            f"not {what}", expected="digits without leading zeros, below 2^63", found=shown(text)
        )
    return number


def encode_base64(data: bytes) -> str:
    """RFC 4648, section 4."""
    return b64encode(data).decode("ascii")


def decode_base64(text: str, what: str) -> bytes:
    """The bytes of canonical base64: what `encode_base64` gives, and nothing else."""
    try:
        data = b64decode(text.encode("ascii"), validate=True)
    except ValueError:
        data = None
    # Spare bits that are set would be another text for the same bytes.
    if data is None or encode_base64(data) != text:
        raise InvalidInput(f"{what} is not base64", expected="RFC 4648, padded", found=shown(text))
    return data


def decode_hash(text: str, what: str = "a hash") -> bytes:
    """32 bytes in base64."""
    data = decode_base64(text, what)
    if len(data) != _HASH_BYTES:
        raise InvalidInput(f"{what} is not a SHA-256", expected="32 bytes", found=len(data))
    return data


def is_key_name(name: str) -> bool:
    """A key name is not empty, and has neither white space nor ``+`` nor control characters."""
    return bool(name) and not any(c.isspace() or c == "+" or c < " " for c in name)


def shown(text: str) -> str:
    """The beginning of untrusted text, for an error."""
    return repr(text if len(text) <= 60 else text[:60] + "…")
