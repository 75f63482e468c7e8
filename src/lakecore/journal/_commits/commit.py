"""The one commit protocol: what a commit says about itself, and what became of an attempt.

- A commit is the creation of one object, its *target*: a Delta log entry or a document.
- The target carries a `CommitRecord`: which attempt made it, how many events it has,
  their digest, and the mutations in it.
- An attempt can only ever become its target, so its fate is read from that object alone:
  not there = undecided; made by this attempt = committed; made by another = dead.
- Unreadable is not absent, and not another's: it raises, for a wrong 'dead' loses events.
- A version that another program made carries no record. Whoever journals it afterwards does so
  under its `foreign_commit_id`: committed = the target is there and has no record; dead = it
  has one, so it is ours after all.
"""

from __future__ import annotations

import hashlib
import uuid
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from enum import Enum
from typing import Any, Final, Literal, get_args

import msgspec

from lakecore.base import CorruptData, UnsupportedFormat

FORMAT: Final = 1
"""The version of the commit record that this release writes, and the newest that it reads."""

Kind = Literal["table", "document", "direct"]

_KEY: Final = "lakecore"
_UUID_CHARACTERS: Final = 36
_decode: Final = msgspec.json.Decoder().decode
_decode_action: Final = msgspec.json.Decoder(dict[str, msgspec.Raw]).decode


class Fate(Enum):
    """What became of an attempt to commit."""

    UNDECIDED = "undecided"
    COMMITTED = "committed"
    DEAD = "dead"


@dataclass(frozen=True, slots=True)
class Target:
    """The object whose creation is the commit.

    `path` is relative to the lake's store; `version` is the one that the commit creates.
    Events of kind ``direct`` belong to no object: they are committed by being stored.
    """

    path: str
    kind: Kind
    dataset: str
    dataset_id: str
    version: int

    def to_json(self) -> dict[str, object]:
        return asdict(self)

    @classmethod
    def from_json(cls, content: Mapping[str, Any]) -> Target:
        """`CorruptData` when it is none; unknown keys are left alone."""
        try:
            kind = content["kind"]
            if kind not in get_args(Kind):
                raise UnsupportedFormat(
                    "a commit target is of an unknown kind",
                    expected=", ".join(get_args(Kind)),
                    found=kind,
                    hint="read this lake with the Lakecore that wrote it, or a newer one",
                )
            return cls(
                path=_typed(content["path"], str),
                kind=kind,
                dataset=_typed(content["dataset"], str),
                dataset_id=_typed(content["dataset_id"], str),
                version=_typed(content["version"], int),
            )
        except (KeyError, TypeError) as error:
            raise CorruptData("a commit target lacks a part", found=repr(error)) from error


@dataclass(frozen=True, slots=True)
class Mutation:
    """One change in a commit: who, when (`timestamp_us`, the commit time), why."""

    mutation_id: str
    actor: str
    source: str
    workspace_id: str
    reason: str
    timestamp_us: int
    context: dict[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class CommitRecord:
    """What a commit says about itself: in the target, under the key ``lakecore``.

    `digest` is the RFC 9162 root, in hex, over the leaf hashes of its events in order.
    """

    commit_id: str
    event_count: int
    digest: str
    mutations: tuple[Mutation, ...]
    format: int = FORMAT

    @property
    def timestamp_us(self) -> int:
        """The commit time: the latest of its mutations'; 0 without any."""
        return max((mutation.timestamp_us for mutation in self.mutations), default=0)

    def to_json(self) -> dict[str, Any]:
        return {
            "format": self.format,
            "commit_id": self.commit_id,
            "event_count": self.event_count,
            "digest": self.digest,
            "mutations": [asdict(mutation) for mutation in self.mutations],
        }

    @classmethod
    def from_json(cls, content: Mapping[str, Any]) -> CommitRecord:
        """`CorruptData` when it is none, `UnsupportedFormat` when it is a newer one."""
        try:
            check_format(content, FORMAT, "a commit record")
            return cls(
                commit_id=_typed(content["commit_id"], str),
                event_count=_typed(content["event_count"], int),
                digest=_typed(content["digest"], str),
                mutations=tuple(_mutation(item) for item in content["mutations"]),
                format=content["format"],
            )
        except (KeyError, TypeError, AttributeError) as error:
            raise CorruptData("a commit record lacks a part", found=repr(error)) from error


def read_commit_record(data: bytes) -> CommitRecord | None:
    """The commit record in a Delta commit or a document; None when it has none: foreign.

    Raises:
        CorruptData: `data` is not whole JSON, or the record in it is damaged.
        UnsupportedFormat: the record is of a newer format.
    """
    content = _commit_content(data)
    record = content.get(_KEY)
    if record is None:
        return None
    if not isinstance(record, dict):
        raise CorruptData("a commit record is not an object", found=type(record).__name__)
    return CommitRecord.from_json(record)


def foreign_commit_id(table_id: str, version: int) -> str:
    """The commit id of a version that another program made: UUIDv8 of SHA-256(id ‖ "/" ‖ version).

    Everybody who journals that version derives the same one, so it is journaled once.
    """
    digest = bytearray(hashlib.sha256(f"{table_id}/{version}".encode()).digest()[:16])
    digest[6] = 0x80 | digest[6] & 0x0F
    digest[8] = 0x80 | digest[8] & 0x3F
    return str(uuid.UUID(bytes=bytes(digest)))


def is_foreign_id(commit_id: str) -> bool:
    """Whether it is of the form of a `foreign_commit_id`: ids of our attempts are UUIDv7."""
    return len(commit_id) == _UUID_CHARACTERS and commit_id[14] == "8"


def fate_of(
    commit_id: str, record: CommitRecord | None, *, exists: bool, target: Target | None = None
) -> Fate:
    """What became of an attempt, from its target object alone.

    Args:
        record: the one in the object; None when there is no object or no record in it.
        exists: whether the object is there.
        target: what was to be created; without it, the attempt is taken for one of ours.
    """
    if not exists:
        return Fate.UNDECIDED
    if target is not None and commit_id == foreign_commit_id(target.dataset_id, target.version):
        return Fate.COMMITTED if record is None else Fate.DEAD
    if record is not None and record.commit_id == commit_id:
        return Fate.COMMITTED
    return Fate.DEAD


def check_format(content: Mapping[str, Any], newest: int, what: str) -> int:
    """The content's ``format`` if this release reads it, else `UnsupportedFormat`."""
    found = content["format"]
    if type(found) is not int:
        raise CorruptData(f"{what} has no format number", found=repr(found))
    if not 1 <= found <= newest:
        raise UnsupportedFormat(
            f"{what} has a format that this release does not read",
            expected=f"at most {newest}",
            found=found,
            hint="read this lake with the Lakecore that wrote it, or a newer one",
        )
    return found


def _commit_content(data: bytes) -> dict[str, Any]:
    """The object that may hold a record: a document, or the commitInfo of a Delta commit."""
    try:
        whole = _decode(data)
    except (msgspec.DecodeError, UnicodeDecodeError):
        return _commit_info(data)
    except RecursionError as error:
        raise CorruptData("a commit object is nested too deeply") from error
    if not isinstance(whole, dict):
        raise CorruptData("a commit object is not a JSON object", found=type(whole).__name__)
    info = whole.get("commitInfo")
    return info if isinstance(info, dict) and _KEY not in whole else whole


def _commit_info(data: bytes) -> dict[str, Any]:
    """The commitInfo of newline-delimited actions, every one of which has to be whole."""
    found: dict[str, Any] = {}
    actions = 0
    for line in data.split(b"\n"):
        if not line.strip():
            continue
        try:
            action = _decode_action(line)
            actions += 1
            if "commitInfo" in action:
                content = _decode(action["commitInfo"])
                found = content if isinstance(content, dict) else {}
        except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
            raise CorruptData(
                "a commit object is not JSON", where=f"action {actions + 1}", found=error
            ) from error
    if not actions:
        raise CorruptData("a commit object is empty", found=f"{len(data)} bytes")
    return found


def _mutation(content: Mapping[str, Any]) -> Mutation:
    return Mutation(
        mutation_id=_typed(content["mutation_id"], str),
        actor=_typed(content["actor"], str),
        source=_typed(content["source"], str),
        workspace_id=_typed(content["workspace_id"], str),
        reason=_typed(content["reason"], str),
        timestamp_us=_typed(content["timestamp_us"], int),
        context=_typed(content["context"], dict),
    )


def _typed(value: Any, kind: type[Any]) -> Any:
    if type(value) is not kind:
        raise TypeError(f"{value!r:.80} is not a {kind.__name__}")
    return value
