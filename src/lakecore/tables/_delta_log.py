"""The Delta log's actions as bytes, and what a commit says about itself.

Pure: values in, bytes out, and back. Written by us, one object a version, created once
(Delta protocol, "Delta Log Entries"). The first line is ours to extend: `commitInfo` is
free-form JSON, and carries the commit record under `lakecore`.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final

import pyarrow as pa

from lakecore._version import __version__
from lakecore.base import CorruptData
from lakecore.tables._schema import delta_schema_string, has_zoneless_timestamp

NTZ_FEATURE: Final = "timestampNtz"
_NTZ_WRITER_FEATURES: Final = [NTZ_FEATURE, "appendOnly", "invariants"]
"""Writer version 7 lists every feature: the last two are what version 2 implied."""

SHA256_TAG: Final = "lakecore.sha256"
"""The tag of an add action with the SHA-256 of the data file's bytes, in hex."""

CONFIGURATION: Final = {
    # Otherwise a checkpoint by any engine may delete old commits, and the records in them.
    "delta.enableExpiredLogCleanup": "false",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class AddFile:
    """A data file that a commit adds; `path` is relative to the table, `stats` is JSON text.

    `sha256` is that of its bytes, in hex.
    """

    path: str
    size_bytes: int
    rows: int
    stats: str = "{}"
    sha256: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class RemoveFile:
    """A data file that a commit removes, `path` as the log spells it."""

    path: str
    size_bytes: int


@dataclass(slots=True, kw_only=True)
class Commit:
    """One version of a table before it is written."""

    operation: str
    parameters: Mapping[str, str] = field(default_factory=dict)
    timestamp_us: int
    record: Mapping[str, Any] | None = None
    protocol: Mapping[str, Any] | None = None
    metadata: Mapping[str, Any] | None = None
    txn: tuple[str, int] | None = None
    removes: Sequence[RemoveFile] = ()
    adds: Sequence[AddFile] = ()
    data_change: bool = True
    """False: the rows of the files that come are those of the files that go."""
    engine: str = f"lakecore/{__version__}"

    def to_bytes(self) -> bytes:
        """The commit as newline-delimited JSON, `commitInfo` first."""
        return b"".join(
            json.dumps(action, ensure_ascii=False, separators=(",", ":")).encode() + b"\n"
            for action in self._actions()
        )

    def _actions(self) -> Iterable[Mapping[str, Any]]:
        timestamp_ms = self.timestamp_us // 1_000
        info: dict[str, Any] = {
            "timestamp": timestamp_ms,
            "operation": self.operation,
            "operationParameters": dict(self.parameters),
            "engineInfo": self.engine,
        }
        if self.record is not None:
            info["lakecore"] = self.record
        yield {"commitInfo": info}
        if self.protocol is not None:
            yield {"protocol": self.protocol}
        if self.metadata is not None:
            yield {"metaData": self.metadata}
        if self.txn is not None:
            yield {"txn": {"appId": self.txn[0], "version": self.txn[1]}}
        for removed in self.removes:
            yield {"remove": _remove(removed, timestamp_ms, self.data_change)}
        for added in self.adds:
            yield {"add": _add(added, timestamp_ms, self.data_change)}


def _add(added: AddFile, timestamp_ms: int, data_change: bool) -> dict[str, Any]:
    action: dict[str, Any] = {
        "path": added.path,
        "partitionValues": {},
        "size": added.size_bytes,
        "modificationTime": timestamp_ms,
        "dataChange": data_change,
        "stats": added.stats,
    }
    if added.sha256 is not None:
        action["tags"] = {SHA256_TAG: added.sha256}
    return action


def _remove(removed: RemoveFile, timestamp_ms: int, data_change: bool) -> dict[str, Any]:
    return {
        "path": removed.path,
        "deletionTimestamp": timestamp_ms,
        "dataChange": data_change,
        "extendedFileMetadata": True,
        "partitionValues": {},
        "size": removed.size_bytes,
    }


def actions_sha256(data: bytes, *, where: str = "") -> str:
    """The SHA-256, in hex, of what a commit does: all of it but its commit record.

    Over lines, each ended by a newline: first ``{"commitInfo": …}`` without its member
    ``lakecore``, as canonical JSON (sorted keys, no white space), if the commit has one;
    then all other lines as they are stored, in their order, but those that are blank.

    Raises:
        CorruptData: the bytes are not a commit.
    """
    hasher = hashlib.sha256()
    others = []
    has_info = False
    for line in data.split(b"\n"):
        if not line.strip():
            continue
        if not has_info and b'"commitInfo"' in line:
            action = _action(line, where)
            if "commitInfo" in action:
                has_info = True
                hasher.update(_canonical_info(action, where))
                continue
        others.append(line)
    for line in others:
        hasher.update(line + b"\n")
    return hasher.hexdigest()


def _action(line: bytes, where: str) -> dict[str, Any]:
    try:
        action = json.loads(line)
    except ValueError as error:
        raise CorruptData("not a Delta commit", where=where or None) from error
    return action if isinstance(action, dict) else {}


def _canonical_info(action: Mapping[str, Any], where: str) -> bytes:
    info = action["commitInfo"]
    if isinstance(info, dict):
        info = {name: value for name, value in info.items() if name != "lakecore"}
    text = json.dumps(
        {**action, "commitInfo": info}, sort_keys=True, separators=(",", ":"), ensure_ascii=False
    )
    try:
        return text.encode() + b"\n"
    except UnicodeEncodeError as error:
        raise CorruptData("a commit has text that is none", where=where or None) from error


def commit_path(location: str, version: int) -> str:
    """Where version `version` of the table at `location` is created."""
    return f"{location}/_delta_log/{version:020d}.json"


def protocol_for(schema: pa.Schema) -> dict[str, Any]:
    """The lowest protocol that can hold `schema`: (1, 2), or (3, 7) with `timestampNtz`."""
    if not has_zoneless_timestamp(schema):
        return {"minReaderVersion": 1, "minWriterVersion": 2}
    return {
        "minReaderVersion": 3,
        "minWriterVersion": 7,
        "readerFeatures": [NTZ_FEATURE],
        "writerFeatures": list(_NTZ_WRITER_FEATURES),
    }


def metadata_for(
    schema: pa.Schema,
    *,
    table_id: str,
    created_us: int,
    configuration: Mapping[str, str] = CONFIGURATION,
    name: str | None = None,
    description: str | None = None,
) -> dict[str, Any]:
    """The `metaData` action of a table with `schema`."""
    action: dict[str, Any] = {
        "id": table_id,
        "format": {"provider": "parquet", "options": {}},
        "schemaString": delta_schema_string(schema),
        "partitionColumns": [],
        "configuration": dict(configuration),
        "createdTime": created_us // 1_000,
    }
    if name is not None:
        action["name"] = name
    if description is not None:
        action["description"] = description
    return action


def commit_time_us(data: bytes, *, where: str = "") -> int:
    """When a commit says it was made: our record's time, else `commitInfo`'s milliseconds.

    A commit of another engine without either gives 0.

    Raises:
        CorruptData: the bytes are not a commit.
    """
    info = commit_info(data, where=where)
    ours = info.get("lakecore")
    if isinstance(ours, dict) and ours.get("mutations"):
        return max(int(mutation["timestamp_us"]) for mutation in ours["mutations"])
    for name in ("inCommitTimestamp", "timestamp"):
        if isinstance(info.get(name), int):
            return int(info[name]) * 1_000
    return 0


def commit_info(data: bytes, *, where: str = "") -> dict[str, Any]:
    """The `commitInfo` of a commit, {} when it has none. Raises `CorruptData`."""
    try:
        for line in data.splitlines():
            action = json.loads(line) if line.strip() else {}
            if "commitInfo" in action:
                info = action["commitInfo"]
                return info if isinstance(info, dict) else {}
    except (ValueError, TypeError) as error:
        raise CorruptData("not a Delta commit", where=where or None) from error
    return {}
