"""One entry of a Delta log, whoever wrote it: files added and removed, metadata (pure).

Terms are those of the Delta protocol, "Actions". What this release does not know is left alone.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Final

from lakecore.base import CorruptData

SHA256_TAG: Final = "lakecore.sha256"
_MAX_ENGINE_CHARACTERS: Final = 200


@dataclass(frozen=True, slots=True)
class FileAction:
    """A data file that is added or removed; `path` as the log spells it.

    `partition` is None where a remove leaves it out. `vector` is the deletion vector's
    descriptor, None without; `stats` is JSON text; `sha256` is our tag.
    """

    path: str
    size_bytes: int | None
    data_change: bool = True
    partition: Mapping[str, str | None] | None = None
    vector: Mapping[str, Any] | None = None
    stats: str | None = None
    sha256: str | None = None

    @property
    def key(self) -> str:
        """What identifies it among the files of a version: path and deletion vector."""
        return f"{self.path}\n{vector_id(self.vector)}" if self.vector else self.path


@dataclass(frozen=True, slots=True)
class Entry:
    """One version's actions."""

    info: Mapping[str, Any] = field(default_factory=dict)
    adds: tuple[FileAction, ...] = ()
    removes: tuple[FileAction, ...] = ()
    metadata: Mapping[str, Any] | None = None
    protocol: Mapping[str, Any] | None = None

    @property
    def operation(self) -> str:
        return str(self.info.get("operation") or "unknown")[:_MAX_ENGINE_CHARACTERS]

    @property
    def engine(self) -> str:
        """Who says to have made it, ``unknown`` when nobody says."""
        for name in ("engineInfo", "clientVersion"):
            if isinstance(told := self.info.get(name), str) and told.strip():
                return " ".join(told.split())[:_MAX_ENGINE_CHARACTERS]
        return "unknown"

    @property
    def time_us(self) -> int:
        """When it says that it was made; 0 when it does not."""
        for name in ("inCommitTimestamp", "timestamp"):
            told = self.info.get(name)
            if type(told) is int and 0 < told < _MAX_TIME_MS:
                return told * 1_000
        return 0

    @property
    def claims_no_change(self) -> bool:
        """Files were exchanged, and all of them say that no row changed."""
        files = (*self.adds, *self.removes)
        return bool(files) and not any(file.data_change for file in files)


_MAX_TIME_MS: Final = 253_402_300_800_000
"""The year 10000."""


def vector_id(vector: Mapping[str, Any] | None) -> str:
    """What identifies a deletion vector (Delta protocol, "Deletion Vectors"); '' without."""
    if not vector:
        return ""
    return f"{vector.get('storageType')}{vector.get('pathOrInlineDv')}@{vector.get('offset')}"


def read_entry(data: bytes, *, where: str = "") -> Entry:
    """The actions of one log entry.

    Raises:
        CorruptData: the bytes are not newline-delimited actions.
    """
    info: Mapping[str, Any] = {}
    adds: list[FileAction] = []
    removes: list[FileAction] = []
    metadata = protocol = None
    try:
        for line in data.split(b"\n"):
            if not line.strip():
                continue
            action = json.loads(line)
            if "add" in action:
                adds.append(file_action(action["add"]))
            elif "remove" in action:
                removes.append(file_action(action["remove"]))
            elif "metaData" in action:
                metadata = dict(action["metaData"])
            elif "protocol" in action:
                protocol = dict(action["protocol"])
            elif "commitInfo" in action:
                info = action["commitInfo"] if isinstance(action["commitInfo"], dict) else {}
    except (ValueError, TypeError, KeyError, AttributeError, RecursionError) as error:
        raise CorruptData("not a Delta commit", where=where or None, found=error) from error
    return Entry(info, tuple(adds), tuple(removes), metadata, protocol)


def file_action(content: Mapping[str, Any]) -> FileAction:
    """The content of an add or remove action."""
    partition = content.get("partitionValues")
    tags = content.get("tags")
    size = content.get("size")
    return FileAction(
        path=str(content["path"]),
        size_bytes=size if type(size) is int else None,
        data_change=content.get("dataChange") is not False,
        partition=None if partition is None else dict(partition),
        vector=content.get("deletionVector"),
        stats=content.get("stats"),
        sha256=dict(tags).get(SHA256_TAG) if tags else None,
    )
