"""What earlier commits say about files: read from the log's own entries."""

from __future__ import annotations

import json
import re
from collections.abc import Collection
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

import pyarrow as pa
import pyarrow.parquet as pq
from pyarrow import types as pat

from lakecore.base import CorruptData, InvalidInput, NotFound
from lakecore.storage import Store
from lakecore.tables._delta_log import SHA256_TAG, AddFile, commit_path
from lakecore.tables._places import file_path
from lakecore.tables._state import DataFile, TableState
from lakecore.tables._statistics import statistics_json
from lakecore.tables._types import DatasetRef

if TYPE_CHECKING:
    from lakecore.journal import CommitRecord

_CHECKPOINT: Final = re.compile(r"(\d{20})\.checkpoint(?:\.\d{10}\.\d{10})?\.parquet")


@dataclass(frozen=True, slots=True)
class LoggedCommit:
    """One version as its log entry has it; `record` is None when another program made it."""

    record: CommitRecord | None
    adds: tuple[AddFile, ...]
    removes: tuple[DataFile, ...]


def read_commit(store: Store, location: str, version: int) -> LoggedCommit:
    """A version's log entry.

    Raises:
        NotFound: the entry is gone.
        CorruptData: it is no commit.
    """
    from lakecore.journal import read_commit_record

    path = commit_path(location, version)
    data = store.get(path)
    adds, removes = [], []
    try:
        for line in data.splitlines():
            action = json.loads(line) if line.strip() else {}
            if "add" in action:
                adds.append(_added(action["add"]))
            if "remove" in action:
                gone = action["remove"]
                removes.append(DataFile(gone["path"], int(gone.get("size") or 0), None))
    except (ValueError, TypeError, KeyError) as error:
        raise CorruptData("not a Delta commit", where=path, found=repr(error)) from error
    return LoggedCommit(read_commit_record(data), tuple(adds), tuple(removes))


def added_again(
    store: Store, location: str, files: Collection[DataFile], *, version: int, schema: pa.Schema
) -> list[AddFile]:
    """The `add` actions of files of `version`, as they were logged then.

    Of one whose entry is gone a checkpoint has the same; else its footer describes it.
    """
    missing = {file.path: file for file in files}
    found: dict[str, AddFile] = {}
    for earlier in range(version, -1, -1):
        if not missing:
            break
        try:
            commit = read_commit(store, location, earlier)
        except NotFound:
            break
        for added in commit.adds:
            if missing.pop(added.path, None) is not None:
                found[added.path] = added
    if missing:
        kept = _checkpointed(store, location, version)
        found |= {path: kept[path] for path in missing if path in kept}
    for file in missing.values():
        if file.path in found:
            continue
        found[file.path] = _described(store, location, file, schema)
    return [found[file.path] for file in files]


def missing_files(store: Store, location: str, files: Collection[DataFile]) -> list[str]:
    """Paths of files that are not stored any more."""
    return [file.path for file in files if not store.exists(file_path(location, file.path))]


def check_key_then(state: TableState, dataset: DatasetRef) -> None:
    """An earlier version has the key columns that the dataset has now. Raises `InvalidInput`."""
    lacking = [name for name in dataset.key if state.schema.get_field_index(name) < 0]
    if lacking:
        raise InvalidInput(
            "the key column had another name then",
            expected=", ".join(dataset.key),
            found=", ".join(state.schema.names[:20]),
            where=f"{dataset.name}, version {state.version}",
            hint="give the key column that name again first",
        )


def _added(action: dict[str, Any]) -> AddFile:
    stats = action.get("stats") or "{}"
    rows = json.loads(stats).get("numRecords")
    tags = action.get("tags") or {}
    return AddFile(
        path=action["path"],
        size_bytes=int(action["size"]),
        rows=rows or 0,
        stats=stats,
        sha256=tags.get(SHA256_TAG),
    )


def _checkpointed(store: Store, location: str, version: int) -> dict[str, AddFile]:
    """What the newest checkpoint up to `version` has of files, by path; nothing without one.

    A checkpoint of Delta's second format is passed over.
    """
    folder = f"{location}/_delta_log/"
    parts: dict[int, list[str]] = {}
    for entry in store.list_objects(folder):
        match = _CHECKPOINT.fullmatch(entry.path.removeprefix(folder))
        if match is not None and int(match[1]) <= version:
            parts.setdefault(int(match[1]), []).append(entry.path)
    found: dict[str, AddFile] = {}
    for path in parts[max(parts)] if parts else ():
        try:
            with store.open(path) as source:
                actions = pq.read_table(source, columns=["add"]).column("add").to_pylist()
            kept = (_added({**add, "tags": dict(add["tags"] or ())}) for add in actions if add)
            found |= {added.path: added for added in kept}
        except (pa.ArrowException, KeyError, TypeError, ValueError) as error:
            raise CorruptData("a checkpoint does not read", where=path, found=error) from error
    return found


def _described(store: Store, location: str, file: DataFile, schema: pa.Schema) -> AddFile:
    with store.open(file_path(location, file.path)) as source:
        footer = pq.read_metadata(source)
    same = footer.schema.to_arrow_schema().names == schema.names
    stats = json.dumps({"numRecords": footer.num_rows})
    if same:
        # Footers do not tell whether there is a NaN, so floats have no bounds here.
        floats = [field.name for field in schema if pat.is_floating(field.type)]
        stats = statistics_json(footer, schema, nan_columns=floats)
    return AddFile(path=file.path, size_bytes=file.size_bytes, rows=footer.num_rows, stats=stats)
