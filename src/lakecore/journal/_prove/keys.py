"""This machine's signing keys: ``signing-key.json`` in the state directory.

    {"format": 1, "keys": [{"name", "seed" (base64), "created_at", "retired_at_size", "check"}]}

- `check` is a CRC32 over the other four: a seed that a disk has changed is still a seed. Keys
  of earlier releases have none.
- The last key is the current one. Its name is the origin of the log.
- The file is made once, for its owner's eyes (0600), and never leaves the machine: not
  into the lake, not into a log, not into an error.
- Rotation adds a key. Every key that is not retired signs; an older one is retired at the
  size of the first checkpoint that it and its successor signed, and counts for no later one.
"""

from __future__ import annotations

import base64
import json
import os
import secrets
import zlib
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from lakecore.base import CorruptData, NotFound, Refused, UnsupportedFormat, format_timestamp
from lakecore.journal._prove.files import read_private, write_private

if TYPE_CHECKING:
    from lakecore.base import Clock
    from lakecore.tlog import Signer, VerifierKey

FORMAT: Final = 1
FILE: Final = "signing-key.json"
_SEED_BYTES: Final = 32


@dataclass(frozen=True, slots=True)
class SigningKey:
    """One key: it signs checkpoints up to `retired_at_size`, where that is set."""

    signer: Signer
    created_at: str
    retired_at_size: int | None
    members: Mapping[str, Any] = field(repr=False)
    """As it is in the file; it holds the seed."""


@dataclass(frozen=True, slots=True)
class SigningKeys:
    """The keys in the file, the oldest first."""

    path: Path
    keys: tuple[SigningKey, ...]
    members: Mapping[str, Any] = field(repr=False)

    @property
    def current(self) -> Signer:
        """The key that signs from now on."""
        return self.keys[-1].signer

    def signers(self) -> list[Signer]:
        """The keys that sign the next checkpoint: the current one, and before it any that
        it has not taken over from yet."""
        return [key.signer for key in self.keys if key.retired_at_size is None]

    def verifiers(self, size: int) -> list[VerifierKey]:
        """The keys by which a checkpoint of this size may be signed."""
        return [
            key.signer.key
            for key in self.keys
            if key.retired_at_size is None or size <= key.retired_at_size
        ]

    def with_key(self, seed: bytes, created_at: str) -> SigningKeys:
        """The keys and a new current one, stored."""
        added = _members(self.current.name, seed, created_at)
        return self._stored([dict(key.members) for key in self.keys] + [added])

    def retired(self, size: int) -> SigningKeys:
        """The keys, all but the current one retired at the latest at this size, stored."""
        members = [dict(key.members) for key in self.keys]
        for key in members[:-1]:
            if key.get("retired_at_size") is None:
                key["retired_at_size"] = size
                key["check"] = _check_of(key)
        if members == [dict(key.members) for key in self.keys]:
            return self
        return self._stored(members)

    def _stored(self, keys: list[dict[str, Any]]) -> SigningKeys:
        document = {**self.members, "keys": keys}
        write_private(self.path, _encoded(document), replace=True)
        return _parsed(_encoded(document), self.path)


def load_keys(state_dir: Path, origin: str) -> SigningKeys | None:
    """The keys of this machine; None when it has none.

    Raises:
        CorruptData, UnsupportedFormat: the file is damaged, or newer.
        Refused: others than the owner may read it, or it is of another log.
    """
    path = state_dir / FILE
    keys = stored_keys(state_dir)
    if keys is None:
        return None
    _check_mode(path)
    if keys.current.name != origin:
        raise Refused(
            "the signing key is of another log",
            expected=origin,
            found=keys.current.name,
            where=path,
            hint="a state directory belongs to one lake",
        )
    return keys


def stored_keys(state_dir: Path) -> SigningKeys | None:
    """As `load_keys`, for whoever does not sign: of any log, and whoever may read the file."""
    path = state_dir / FILE
    data = read_private(path)
    return None if data is None else _parsed(data, path)


def create_keys(state_dir: Path, origin: str, clock: Clock) -> SigningKeys:
    """Make the first key of a machine; `AlreadyExists` when it has one."""
    path = state_dir / FILE
    created_at = format_timestamp(clock.now_us())
    key = _members(origin, secrets.token_bytes(_SEED_BYTES), created_at)
    data = _encoded({"format": FORMAT, "keys": [key]})
    keys = _parsed(data, path)  # before it is there for good
    write_private(path, data, replace=False)
    return keys


def new_seed() -> bytes:
    """The secret of a new key."""
    return secrets.token_bytes(_SEED_BYTES)


def no_key(path: Path) -> NotFound:
    """What there is to say where a key is needed and there is none."""
    return NotFound(
        "this machine has no signing key",
        where=path / FILE,
        hint="checkpoints are signed where the log's key is; copy the key's file from there, "
        "once, if this machine is to take over",
    )


def _members(name: str, seed: bytes, created_at: str) -> dict[str, Any]:
    text = base64.b64encode(seed).decode()
    key = {"name": name, "seed": text, "created_at": created_at, "retired_at_size": None}
    return {**key, "check": _check_of(key)}


def _check_of(key: Mapping[str, Any]) -> str:
    parts = [key[name] for name in ("name", "seed", "created_at", "retired_at_size")]
    return f"{zlib.crc32(json.dumps(parts).encode()):08x}"


def _encoded(document: Mapping[str, Any]) -> bytes:
    return (json.dumps(document, indent=1) + "\n").encode()


def _parsed(data: bytes, path: Path) -> SigningKeys:
    """The keys of a file's text. Errors never quote it."""
    problem = "no JSON object"
    try:
        document = json.loads(data)
        found = document.get("format")
        if type(found) is int and found > FORMAT:
            raise UnsupportedFormat(
                "the signing key's file is newer", expected=FORMAT, found=found, where=path
            )
        problem = "another format"
        if found == FORMAT:
            problem = "a key that lacks a part, or is not what it was"
            keys = tuple(_key(item) for item in document["keys"])
            if keys and len({key.signer.name for key in keys}) == 1:
                return SigningKeys(path, keys, document)
            problem = "no key, or keys of several logs"
    except (ValueError, KeyError, TypeError, AttributeError):
        pass
    raise CorruptData(
        "the signing key's file is damaged",
        expected="format 1 and keys with name, seed, created_at and retired_at_size",
        found=problem,
        where=path,
        hint="restore it from a copy; without it checkpoints need a new log",
    ) from None


def _key(item: Any) -> SigningKey:
    from lakecore.base import InvalidInput
    from lakecore.tlog import Signer

    retired = item["retired_at_size"]
    if not (retired is None or (type(retired) is int and retired >= 0)):
        raise ValueError("not a size")
    if item.get("check", found := _check_of(item)) != found:
        raise ValueError("not what was written")
    seed = base64.b64decode(str(item["seed"]), validate=True)
    try:
        signer = Signer(str(item["name"]), seed)
    except InvalidInput:
        raise ValueError("not a key") from None
    return SigningKey(signer, str(item["created_at"]), retired, item)


def _check_mode(path: Path) -> None:
    if os.name == "posix" and path.stat().st_mode & 0o077:
        raise Refused(
            "the signing key can be read by others",
            expected="mode 0600",
            found=f"{path.stat().st_mode & 0o777:04o}",
            where=path,
            hint="chmod 600, and rotate the key if others may have read it",
        )
