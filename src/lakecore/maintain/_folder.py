"""A table's folder and its log, as far as upkeep has to know them."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Final

from lakecore.base import CorruptData
from lakecore.journal import read_commit_record

if TYPE_CHECKING:
    from lakecore.storage import ObjectInfo, Store

_LOG: Final = "_delta_log"
_ENTRY: Final = re.compile(r"(\d{20})\.json")
_CHECKPOINT: Final = re.compile(r"(\d{20})\.checkpoint\..*parquet")
_READERS: Final = 8
_PART: Final = 64


@dataclass(slots=True)
class Listing:
    """What lies in a table's folder.

    Attributes:
        versions: of the log's entries, and when each was stored, microseconds.
        checkpoint: the newest version that has one, -1 without.
        files: Parquet files of the table, wherever it is in use; not those of another table
            that lies below it, nor hidden ones, nor anything above.
    """

    location: str
    versions: dict[int, int] = field(default_factory=dict)
    checkpoint: int = -1
    files: list[ObjectInfo] = field(default_factory=list)


def list_folder(store: Store, location: str) -> Listing:
    """Everything below the table's location, listed once."""
    found = Listing(location)
    prefix = f"{location}/"
    inner: set[str] = set()
    others: list[ObjectInfo] = []
    for info in store.list_objects(prefix):
        parts = info.path.removeprefix(prefix).split("/")
        if parts[0] == _LOG:
            if len(parts) == 2:
                _take_log(found, parts[1], info.modified_us)
        elif _LOG in parts:
            inner.add("/".join(parts[: parts.index(_LOG)]) + "/")
        elif parts[-1].endswith(".parquet") and not any(part[:1] in "_." for part in parts):
            others.append(info)
    for info in others:
        below = info.path.removeprefix(prefix)
        if ".." not in below.split("/") and not any(below.startswith(other) for other in inner):
            found.files.append(info)
    return found


def _take_log(found: Listing, name: str, modified_us: int) -> None:
    if match := _ENTRY.fullmatch(name):
        found.versions[int(match[1])] = modified_us
    elif match := _CHECKPOINT.fullmatch(name):
        found.checkpoint = max(found.checkpoint, int(match[1]))


@dataclass(frozen=True, slots=True)
class LogEntry:
    """One version: when it was committed at the latest, and the files it names, as logged."""

    version: int
    commit_us: int
    paths: tuple[str, ...]


def entries_back(store: Store, listing: Listing, newest: int) -> Iterator[LogEntry]:
    """The log's entries from `newest` down to the first that is there.

    Raises:
        CorruptData: one does not read.
    """
    versions = sorted((v for v in listing.versions if v <= newest), reverse=True)
    with ThreadPoolExecutor(_READERS, thread_name_prefix="lakecore-log") as readers:
        for start in range(0, len(versions), _PART):
            part = versions[start : start + _PART]
            yield from readers.map(lambda version: _read(store, listing, version), part)


def _read(store: Store, listing: Listing, version: int) -> LogEntry:
    path = f"{listing.location}/{_LOG}/{version:020d}.json"
    data = store.get(path)
    paths: list[str] = []
    info: dict[str, Any] = {}
    try:
        for line in data.splitlines():
            action = json.loads(line) if line.strip() else {}
            paths += [action[kind]["path"] for kind in ("add", "remove") if kind in action]
            info = action.get("commitInfo") or info
    except (ValueError, TypeError, KeyError, AttributeError) as error:
        raise CorruptData("not a Delta commit", where=path, found=repr(error)) from error
    record = read_commit_record(data)
    said_us = record.timestamp_us if record else _time_us(info)
    # Clocks differ, and other programs may say anything: the later of the two counts.
    return LogEntry(version, max(said_us, listing.versions[version]), tuple(paths))


def _time_us(info: dict[str, Any]) -> int:
    """When another program says that it committed; 0 when it does not."""
    for name in ("inCommitTimestamp", "timestamp"):
        if type(info.get(name)) is int:
            return int(info[name]) * 1_000
    return 0
