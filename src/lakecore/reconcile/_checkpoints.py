"""Checkpoints of a table's log against the log itself: a forged one changes what readers see."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

import pyarrow as pa
import pyarrow.parquet as pq

from lakecore.base import CorruptData, NotFound
from lakecore.reconcile._entry import FileAction, file_action
from lakecore.reconcile._replay import Replay

if TYPE_CHECKING:
    from lakecore.storage import Store

_NAME: Final = re.compile(r"(\d{20})\.checkpoint(?:\.(\d{10})\.(\d{10}))?\.parquet")
_OTHER: Final = re.compile(r"(\d{20})\.checkpoint\..+")
_MAX_NAMED: Final = 3
_STATISTICS: Final = ("numRecords", "minValues", "maxValues", "nullCount")


@dataclass(frozen=True, slots=True)
class Checkpoint:
    """The files of one checkpoint; `names` within the log's folder, in the order of parts."""

    version: int
    names: tuple[str, ...]
    is_readable: bool = True


def checkpoints_of(names: Iterable[str]) -> list[Checkpoint]:
    """The checkpoints among the names of a log's folder, by version."""
    parts: dict[tuple[int, int], list[str]] = {}
    found = []
    for name in sorted(names):
        match = _NAME.fullmatch(name)
        if match is not None:
            parts.setdefault((int(match[1]), int(match[3] or 0)), []).append(name)
        elif (other := _OTHER.fullmatch(name)) is not None:
            found.append(Checkpoint(int(other[1]), (name,), is_readable=False))
    for (version, count), of_one in parts.items():
        # An unfinished one of several parts is no checkpoint: readers pass it over.
        if len(of_one) == max(1, count):
            found.append(Checkpoint(version, tuple(of_one)))
    return sorted(found, key=lambda item: (item.version, item.names))


def read_checkpoint(store: Store, folder: str, checkpoint: Checkpoint) -> Replay:
    """The table as a checkpoint has it.

    Raises:
        CorruptData: it does not read.
        NotFound: it is gone.
    """
    replay = Replay(version=checkpoint.version)
    for name in checkpoint.names:
        path = f"{folder}/{name}"
        try:
            rows = _rows(store, path)
            for content in _structs(rows, "add"):
                action = file_action(_plain(content))
                replay.files[action.key] = action
            for content in _structs(rows, "metaData"):
                replay.metadata = _plain(content)
            for content in _structs(rows, "protocol"):
                replay.protocol = _plain(content)
        except (OSError, pa.ArrowException, KeyError, TypeError, ValueError) as error:
            raise CorruptData("a checkpoint does not read", where=path, found=error) from error
    return replay


def disagreements(log: Replay, checkpoint: Replay) -> Iterator[str]:
    """What a checkpoint says otherwise than the log that it sums up."""
    there = checkpoint.files
    if hidden := [path for path in log.files if path not in there]:
        yield f"leaves out {_named(hidden)}, which the log has"
    if smuggled := [path for path in there if path not in log.files]:
        yield f"has {_named(smuggled)}, which the log does not have"
    both = (key for key in log.files if key in there)
    if others := [key for key in both if not _is_same(log.files[key], there[key])]:
        yield f"says otherwise of {_named(others)} than the log"
    mine, its = log.metadata or {}, checkpoint.metadata or {}
    if mine.get("id") != its.get("id"):
        yield f"is of table {its.get('id')}, the log of {mine.get('id')}"
    elif _schema(mine) != _schema(its):
        yield "has another schema than the log"
    elif dict(mine.get("configuration") or {}) != dict(its.get("configuration") or {}):
        yield "has other properties than the log"


def _is_same(mine: FileAction, its: FileAction) -> bool:
    if mine.size_bytes != its.size_bytes:
        return False
    if dict(mine.partition or {}) != dict(its.partition or {}):
        return False
    return not (mine.stats and its.stats) or _statistics(mine.stats) == _statistics(its.stats)


def _statistics(text: str) -> object:
    """What readers skip files by, without what is null or not known to both."""
    try:
        content = json.loads(text)
        told = {name: content.get(name) for name in _STATISTICS if content.get(name)}
        return {
            name: {column: cell for column, cell in value.items() if cell is not None}
            if isinstance(value, dict)
            else value
            for name, value in told.items()
        }
    except (ValueError, AttributeError):
        return text


def _schema(metadata: Mapping[str, Any]) -> object:
    text = str(metadata.get("schemaString") or "{}")
    try:
        return json.loads(text)
    except ValueError:
        return text


def _rows(store: Store, path: str) -> pa.Table:
    local = store.local_path(path)
    source: Any = str(local) if local is not None else store.open(path)
    try:
        with pq.ParquetFile(source) as parquet:
            present = [
                n for n in ("add", "metaData", "protocol") if n in parquet.schema_arrow.names
            ]
            return parquet.read(columns=present)
    except FileNotFoundError as error:
        raise NotFound("a checkpoint is gone", where=path) from error
    finally:
        if local is None:
            source.close()


def _structs(rows: pa.Table, name: str) -> list[dict[str, Any]]:
    if name not in rows.schema.names:
        return []
    column = rows.column(name)
    kept = column.filter(column.is_valid())
    return [item for item in kept.to_pylist() if any(value is not None for value in item.values())]


def _plain(content: Mapping[str, Any]) -> dict[str, Any]:
    """A struct as its action would be in JSON: maps are objects."""
    return {
        name: dict(value) if isinstance(value, list) and _is_map(value) else value
        for name, value in content.items()
        if value is not None
    } | ({"partitionValues": {}} if content.get("partitionValues") == [] else {})


def _is_map(value: list[Any]) -> bool:
    return bool(value) and all(isinstance(item, tuple) and len(item) == 2 for item in value)


def _named(keys: list[str]) -> str:
    names = ", ".join(key.partition("\n")[0] for key in keys[:_MAX_NAMED])
    more = len(keys) - _MAX_NAMED
    return f"{names} and {more:,} more" if more > 0 else names
