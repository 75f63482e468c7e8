"""Ed25519 keys of notes: signers, cosigners, and the verifier keys that people pass around.

- A verifier key is the text ``<name>+<key id, hex>+<base64(algorithm ‖ public key)>``.
- key id = SHA-256(name ‖ 0x0A ‖ algorithm ‖ public key)[:4]
- Algorithm 0x01 signs the note's text (c2sp.org/signed-note). Algorithm 0x04 signs
  ``cosignature/v1\\ntime <seconds>\\n`` and the text, and its signature begins with the time
  as 8 bytes, big-endian (c2sp.org/tlog-cosignature).

A seed is secret: it is in no ``repr`` and in no error.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from functools import cached_property
from typing import Any, Final

from lakecore.base import InvalidInput
from lakecore.tlog._text import MAX_SIZE, decode_base64, encode_base64, is_key_name, shown

ED25519: Final = 0x01
COSIGNATURE_V1: Final = 0x04
KEY_BYTES: Final = 32
SIGNATURE_BYTES: Final = 64
_TIME_BYTES: Final = 8
_EXPECTED: Final = "<name>+<8 hex digits>+<base64>"


@dataclass(frozen=True, slots=True)
class NoteSignature:
    """One signature line: whose, and the bytes after the key id."""

    name: str
    key_id: bytes
    signature: bytes

    @property
    def line(self) -> str:
        """``— <name> <base64>`` and a newline."""
        return f"— {self.name} {encode_base64(self.key_id + self.signature)}\n"

    @property
    def time_s(self) -> int:
        """When a cosignature was made, in seconds since the epoch."""
        return int.from_bytes(self.signature[:_TIME_BYTES], "big")


@dataclass(frozen=True)
class VerifierKey:
    """A public key with its name and its algorithm. ``str`` gives the text of it."""

    name: str
    public_key: bytes
    algorithm: int = ED25519

    def __post_init__(self) -> None:
        if not is_key_name(self.name):
            raise InvalidInput("not a key name", expected="no space, no +", found=shown(self.name))
        if self.algorithm not in (ED25519, COSIGNATURE_V1):
            raise InvalidInput(
                "the key's algorithm is not known here",
                expected="0x01 (Ed25519) or 0x04 (cosignature/v1)",
                found=f"{self.algorithm:#04x}",
            )
        if len(self.public_key) != KEY_BYTES:
            raise InvalidInput(
                "not a public key", expected=f"{KEY_BYTES} bytes", found=len(self.public_key)
            )

    @classmethod
    def parse(cls, text: str) -> VerifierKey:
        """The key of a verifier key's text.

        Raises:
            InvalidInput: it is no such text, or the key id is not that of the key.
        """
        parts = text.split("+", 2)  # base64 has plus signs of its own
        if len(parts) != 3:
            raise InvalidInput("not a verifier key", expected=_EXPECTED, found=shown(text))
        name, key_id, encoded = parts
        material = decode_base64(encoded, "a verifier key")
        if not material:
            raise InvalidInput("not a verifier key", expected=_EXPECTED, found=shown(text))
        key = cls(name, material[1:], material[0])
        if key.key_id.hex() != key_id:
            raise InvalidInput(
                "the key id is not that of the key", expected=key.key_id.hex(), found=shown(key_id)
            )
        return key

    @cached_property
    def key_id(self) -> bytes:
        """Four bytes that tell which key made a signature; no protection against forgery."""
        return hashlib.sha256(self.name.encode() + b"\n" + self._material).digest()[:4]

    @property
    def _material(self) -> bytes:
        return bytes([self.algorithm]) + self.public_key

    def __str__(self) -> str:
        return f"{self.name}+{self.key_id.hex()}+{encode_base64(self._material)}"

    def made(self, signature: NoteSignature) -> bool:
        """Whether a signature says that it is of this key."""
        return signature.name == self.name and signature.key_id == self.key_id

    def verify(self, text: str, signature: NoteSignature) -> bool:
        """Did this key sign the text?"""
        from cryptography.exceptions import InvalidSignature
        from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

        message, data = text.encode(), signature.signature
        if self.algorithm == COSIGNATURE_V1:
            if len(data) != _TIME_BYTES + SIGNATURE_BYTES or signature.time_s > MAX_SIZE:
                return False
            message, data = cosigned_message(text, signature.time_s), data[_TIME_BYTES:]
        if not self.made(signature) or len(data) != SIGNATURE_BYTES:
            return False
        try:
            Ed25519PublicKey.from_public_bytes(self.public_key).verify(data, message)
        except (InvalidSignature, ValueError):
            return False
        return True


class Signer:
    """A secret key that signs notes.

    Args:
        name: the key's name; a log's is its origin.
        seed: 32 secret bytes.
    """

    _ALGORITHM = ED25519

    def __init__(self, name: str, seed: bytes) -> None:
        from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

        if len(seed) != KEY_BYTES:
            raise InvalidInput("not a seed", expected=f"{KEY_BYTES} bytes", found=len(seed))
        self._private = Ed25519PrivateKey.from_private_bytes(seed)
        public = self._private.public_key().public_bytes_raw()
        self.key = VerifierKey(name, public, self._ALGORITHM)

    @property
    def name(self) -> str:
        """The key's name."""
        return self.key.name

    @property
    def vkey(self) -> str:
        """The public key, as verifiers take it."""
        return str(self.key)

    def sign(self, text: str) -> NoteSignature:
        """The signature of a note's text."""
        return NoteSignature(self.name, self.key.key_id, self._private.sign(text.encode()))

    def __repr__(self) -> str:
        return f"{type(self).__name__}({self.vkey!r})"

    def __reduce__(self) -> Any:
        raise TypeError("a signer holds a secret key and is not pickled")


class Cosigner(Signer):
    """A secret key of a witness: it states a time with each signature."""

    _ALGORITHM = COSIGNATURE_V1

    def sign(self, text: str, time_s: int = 0) -> NoteSignature:
        """The cosignature of a checkpoint's text at a time, in seconds since the epoch.

        Raises:
            InvalidInput: the time is not between 1 and 2^63 - 1; witnesses do not leave it out.
        """
        if not 1 <= time_s <= MAX_SIZE:
            raise InvalidInput("not a cosignature's time", expected="1 to 2^63 - 1", found=time_s)
        signature = self._private.sign(cosigned_message(text, time_s))
        data = time_s.to_bytes(_TIME_BYTES, "big") + signature
        return NoteSignature(self.name, self.key.key_id, data)


def cosigned_message(text: str, time_s: int) -> bytes:
    """What a cosignature/v1 signs."""
    return f"cosignature/v1\ntime {time_s}\n{text}".encode()
