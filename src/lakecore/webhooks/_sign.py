"""Secrets and signatures, as Standard Webhooks has them. No I/O.

    webhook-id         the message: the same at every attempt
    webhook-timestamp  seconds since the epoch, of this attempt
    webhook-signature  v1,<base64 of HMAC-SHA256 over "id.timestamp.body">, one for each secret

A receiver compares the signature, refuses a timestamp that is far from its clock, and knows a
message by its id when it comes again.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import hmac
from collections.abc import Iterable
from typing import Final

from lakecore.base import InvalidInput

PREFIX: Final = "whsec_"
SECRET_BYTES: Final = 32
_LEAST_BYTES: Final = 24
_MOST_BYTES: Final = 64


def secret_text(secret: bytes) -> str:
    """A secret as the receiver is given it."""
    return PREFIX + base64.b64encode(secret).decode()


def parse_secret(text: str, *, where: str) -> bytes:
    """A secret's bytes. Raises `InvalidInput`, without what was found."""
    try:
        secret = base64.b64decode(text.strip().removeprefix(PREFIX), validate=True)
    except (binascii.Error, ValueError):
        secret = b""
    if not _LEAST_BYTES <= len(secret) <= _MOST_BYTES:
        raise InvalidInput(
            "not a signing secret",
            expected=f"{PREFIX} and the base64 of {_LEAST_BYTES} to {_MOST_BYTES} bytes",
            found="a value that is not shown",
            where=where,
        ) from None
    return secret


def derived(machine_key: bytes, webhook_id: str, generation: int) -> bytes:
    """The secret of one webhook of a machine: nothing but the machine's key is kept.

    HKDF-Expand of one block (RFC 5869), with the machine's random key as PRK.
    """
    info = f"lakecore webhook 1\0{webhook_id}\0{generation}".encode()
    return hmac.digest(machine_key, info + b"\x01", hashlib.sha256)


def signed_headers(
    message_id: str, timestamp_s: int, body: bytes, secrets: Iterable[bytes]
) -> dict[str, str]:
    """The three headers of a message."""
    content = f"{message_id}.{timestamp_s}.".encode() + body
    signatures = [
        "v1," + base64.b64encode(hmac.digest(secret, content, hashlib.sha256)).decode()
        for secret in secrets
    ]
    return {
        "webhook-id": message_id,
        "webhook-timestamp": str(timestamp_s),
        "webhook-signature": " ".join(signatures),
    }
