"""What a table is at one version: schema, files, statistics. Read through deltalake, cached."""

from __future__ import annotations

import re
import threading
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from functools import cached_property
from typing import TYPE_CHECKING, Any, Final

import pyarrow as pa
import pyarrow.compute as pc

from lakecore.base import CorruptData, InvalidInput, NotFound
from lakecore.storage import Store
from lakecore.tables._delta_log import (
    CONFIGURATION,
    commit_path,
    commit_time_us,
    protocol_for,
)
from lakecore.tables._places import file_path
from lakecore.tables._types import DatasetRef

if TYPE_CHECKING:
    from deltalake import DeltaTable

EMPTY_VERSION: Final = -1
"""The version of a registered dataset that has no data yet."""

KEPT_FROM: Final = "lakecore-kept-from"
"""The app id under which a table's log says, as `txn`, the oldest version that is kept."""

MOVED: Final = "lakecore-moved"
"""The app id under which a table's log says, as `txn`, by which move the table leaves its place."""

_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)
_COMMIT_NAME: Final = re.compile(r"(\d{20})\.json")


@dataclass(frozen=True, slots=True)
class DataFile:
    """A file of a table; `path` as the log spells it, relative to the table."""

    path: str
    size_bytes: int
    rows: int | None


@dataclass(frozen=True, slots=True, kw_only=True)
class TableMetadata:
    """The parts of the `metaData` action that survive a change of schema."""

    table_id: str
    configuration: Mapping[str, str]
    created_us: int
    name: str | None = None
    description: str | None = None


@dataclass(frozen=True, kw_only=True)
class TableState:
    """A table at one version; version -1 is a dataset without data: no schema, no files.

    `actions` has a row a file: path, size_bytes, num_records, null_count, min, max.
    `commit_us` is the time of the version's commit, microseconds since the epoch.
    """

    version: int
    schema: pa.Schema
    actions: pa.Table
    metadata: TableMetadata
    protocol: Mapping[str, Any]
    partition_columns: tuple[str, ...] = ()
    commit_us: int = 0
    kept_from: int = 0
    """Files that only older versions have may be gone."""
    moved: int = 0
    """The number of the last move that fenced this place; see `check_not_moved`."""

    @property
    def empty(self) -> bool:
        return self.version == EMPTY_VERSION

    @cached_property
    def files(self) -> list[DataFile]:
        """The data files in the order of `actions`."""
        if self.empty:
            return []
        columns = (self.actions.column(name) for name in ("path", "size_bytes", "num_records"))
        return [DataFile(*row) for row in zip(*(c.to_pylist() for c in columns), strict=True)]

    @property
    def row_count(self) -> int | None:
        """Rows by the log's statistics; None when a file has none."""
        if self.empty:
            return 0
        counts = self.actions.column("num_records")
        return None if counts.null_count else int(pc.sum(counts).as_py() or 0)

    def bounds(self, column: str) -> tuple[pa.Array, pa.Array] | None:
        """Minimum and maximum of a column for every file, null where unknown."""
        if self.empty or not self.actions.num_rows:
            return None
        sides = []
        for side in ("min", "max"):
            if side not in self.actions.schema.names:
                return None
            values = self.actions.column(side).combine_chunks()
            if values.type.get_field_index(column) < 0:
                return None
            sides.append(pc.struct_field(values, [values.type.get_field_index(column)]))
        return sides[0], sides[1]


@dataclass(frozen=True, slots=True)
class TableView:
    """A table at one version for readers.

    `delta` is deltalake's table, which DataFusion takes as a table provider; it stays at
    `version`. `commit_us` is when the version was committed.
    """

    dataset: str
    version: int
    schema: pa.Schema
    commit_us: int
    delta: DeltaTable

    @property
    def row_count(self) -> int:
        """Rows, from the log's statistics; files without them are counted by their footers."""
        counts = pa.table(self.delta.get_add_actions()).column("num_records")
        return int(self.delta.count() if counts.null_count else pc.sum(counts).as_py() or 0)

    @property
    def file_count(self) -> int:
        """Data files."""
        return int(self.delta.get_add_actions().num_rows)

    @property
    def size_bytes(self) -> int:
        """Bytes of the data files."""
        sizes = pa.table(self.delta.get_add_actions()).column("size_bytes")
        return int(pc.sum(sizes).as_py() or 0)


def empty_state(dataset: DatasetRef, *, created_us: int) -> TableState:
    """The state of a dataset before its first commit."""
    schema = pa.schema([])
    return TableState(
        version=EMPTY_VERSION,
        schema=schema,
        actions=pa.table({}),
        metadata=TableMetadata(
            table_id=dataset.dataset_id, configuration=CONFIGURATION, created_us=created_us
        ),
        protocol=protocol_for(schema),
    )


class TableStates:
    """The present and past states of the tables in one store. Threads may share it."""

    def __init__(self, store: Store) -> None:
        self._store = store
        self._lock = threading.Lock()
        self._tables: dict[str, tuple[threading.Lock, list[DeltaTable]]] = {}
        self._options: dict[str, dict[str, str]] = {}
        self._states: dict[str, TableState] = {}
        self._views: dict[str, TableView] = {}

    def current(self, dataset: DatasetRef) -> TableState | None:
        """The newest state, None when the dataset has no data yet.

        Raises:
            CorruptData: the log cannot be read, or is another table's.
        """
        location = dataset.location
        with self._lock:
            lock, held = self._tables.setdefault(location, (threading.Lock(), []))
        with lock:
            if held and not self._update(dataset, held[0]):
                held.clear()
                self._views.pop(location, None)
            if not held:
                table = self._open(dataset)
                if table is None:
                    return None
                held.append(table)
            known = self._states.get(location)
            if known is None or known.version != held[0].version():
                known = self._states[location] = self._state_of(dataset, held[0])
        return known

    def view(
        self,
        dataset: DatasetRef,
        *,
        version: int | None = None,
        time: datetime | None = None,
        is_reading: bool = True,
    ) -> TableView | None:
        """A version of the table for reading, the newest unless told; None when it is empty.

        Raises:
            NotFound: there is no such version, nothing was there at that time, or the
                version is not kept any more and its files are gone.
        """
        if version is not None and time is not None:
            raise InvalidInput("a version and a time", expected="one of them")
        newest = self.current(dataset)
        if newest is None:
            if version is None and time is None:
                return None
            raise NotFound("the dataset has no data yet", where=dataset.name)
        if time is not None:
            version = self._version_at(dataset, newest, time)
        if version is None:
            version = newest.version
        if not 0 <= version <= newest.version:
            raise NotFound(
                "no such version",
                expected=f"0 to {newest.version}",
                found=version,
                where=dataset.name,
            )
        known = self._views.get(dataset.location)
        if (
            known is not None
            and known.version == version
            and known.dataset == dataset.name
            and self._has_options(dataset.location)
        ):
            return known
        found = self._view_of(dataset, version)
        if is_reading and version < newest.kept_from:
            self._check_stored(dataset, found, newest)
        if version == newest.version:
            self._views[dataset.location] = found
        return found

    def number_of(self, dataset: DatasetRef, name: str) -> int:
        """What the newest version's log has under an app id (`txn`); 0 when it has nothing."""
        if self.current(dataset) is None:
            return 0
        with self._lock:
            entry = self._tables.get(dataset.location)
        if entry is None:  # forgotten meanwhile
            return self.number_of(dataset, name)
        lock, held = entry
        with lock:
            return held[0].transaction_version(name) or 0

    def state_of(self, dataset: DatasetRef, view: TableView) -> TableState:
        """The state of the version that a view shows."""
        return self._state_of(dataset, view.delta)

    def commit_time_us(self, location: str, version: int) -> int:
        """When a version was committed; 0 when its log entry is gone. Microseconds."""
        path = commit_path(location, version)
        try:
            return commit_time_us(self._store.get(path), where=path)
        except NotFound:
            return 0

    def newest_version(self, location: str) -> int:
        """The newest version by the names in its log, -1 when there is none."""
        return max(self._versions(location), default=EMPTY_VERSION)

    def forget(self, location: str) -> None:
        """Read the table anew next time."""
        with self._lock:
            self._tables.pop(location, None)
            self._states.pop(location, None)
            self._views.pop(location, None)

    def _has_options(self, location: str) -> bool:
        """Whether what was opened is read by the credentials that are in force."""
        return self._options.get(location) == self._store.table_options(location)

    def _update(self, dataset: DatasetRef, table: DeltaTable) -> bool:
        """Bring a table up to date; False: it has to be opened anew."""
        from deltalake.exceptions import DeltaError

        if not self._has_options(dataset.location):
            return False
        try:
            table.update_incremental()
        except (DeltaError, OSError):
            # Of the store that does not answer, its own list says so.
            self._versions(dataset.location)
            return False
        return True

    def _open(self, dataset: DatasetRef, version: int | None = None) -> DeltaTable | None:
        from deltalake import DeltaTable
        from deltalake.exceptions import DeltaError, TableNotFoundError

        store = self._store
        options = store.table_options(dataset.location)
        self._options[dataset.location] = options
        try:
            return DeltaTable(
                store.table_uri(dataset.location), version=version, storage_options=options or None
            )
        except TableNotFoundError:
            return None
        except (DeltaError, OSError) as error:
            # Of the store that does not answer, its own list says so.
            if not self._versions(dataset.location) and version is None:
                return None
            if not self._has_options(dataset.location):
                # The credentials had ended, and the store has others by now.
                return self._open(dataset, version)
            raise CorruptData(
                "the table's log cannot be read", where=dataset.location, found=error
            ) from error

    def _view_of(self, dataset: DatasetRef, version: int) -> TableView:
        table = self._open(dataset, version)
        if table is None:
            raise NotFound("no such version", found=version, where=dataset.name)
        return TableView(
            dataset=dataset.name,
            version=version,
            schema=pa.schema(table.schema().to_arrow()),
            commit_us=self.commit_time_us(dataset.location, version),
            delta=table,
        )

    def _state_of(self, dataset: DatasetRef, table: DeltaTable) -> TableState:
        metadata = table.metadata()
        protocol = table.protocol()
        version = table.version()
        return TableState(
            version=version,
            schema=pa.schema(table.schema().to_arrow()),
            actions=pa.table(table.get_add_actions()),
            metadata=TableMetadata(
                table_id=str(metadata.id),
                configuration=dict(metadata.configuration),
                created_us=(metadata.created_time or 0) * 1_000,
                name=metadata.name,
                description=metadata.description,
            ),
            protocol={
                "minReaderVersion": protocol.min_reader_version,
                "minWriterVersion": protocol.min_writer_version,
                "readerFeatures": protocol.reader_features or [],
                "writerFeatures": protocol.writer_features or [],
            },
            partition_columns=tuple(metadata.partition_columns),
            commit_us=self.commit_time_us(dataset.location, version),
            kept_from=table.transaction_version(KEPT_FROM) or 0,
            moved=table.transaction_version(MOVED) or 0,
        )

    def _check_stored(self, dataset: DatasetRef, view: TableView, newest: TableState) -> None:
        """Refuse a version that was vacuumed; one that is pinned still has its files."""
        present = {file.path for file in newest.files}
        for file in self._state_of(dataset, view.delta).files:
            if file.path in present or self._store.exists(file_path(dataset.location, file.path)):
                continue
            raise not_kept(dataset, view.version, newest)

    def _version_at(self, dataset: DatasetRef, newest: TableState, time: datetime) -> int:
        if time.tzinfo is None:
            raise InvalidInput("a time without a zone", found=time.isoformat(), expected="UTC")
        moment_us = _microseconds(time)
        if newest.commit_us <= moment_us:
            return newest.version
        versions = self._versions(dataset.location)
        low, high = 0, len(versions)
        # Commit times increase with the version, so the last one that is not later is wanted.
        while low < high:
            middle = (low + high) // 2
            if self.commit_time_us(dataset.location, versions[middle]) <= moment_us:
                low = middle + 1
            else:
                high = middle
        if not low:
            raise NotFound(
                "nothing was there at that time", where=dataset.name, found=time.isoformat()
            )
        return versions[low - 1]

    def _versions(self, location: str) -> list[int]:
        prefix = f"{location}/_delta_log/"
        found = (
            _COMMIT_NAME.fullmatch(entry.path.removeprefix(prefix))
            for entry in self._store.list_objects(prefix)
        )
        return [int(match[1]) for match in found if match is not None]


def not_kept(dataset: DatasetRef, version: int, newest: TableState) -> NotFound:
    """The error for a version whose retention is over."""
    return NotFound(
        f"version {version} is no longer kept: its retention is over",
        where=dataset.name,
        expected=f"{newest.kept_from} to {newest.version}",
        found=version,
        hint=f"`lakecore alter {dataset.name} --retention-days N` keeps later ones longer; "
        "the journal has every change all the same",
    )


def _microseconds(moment: datetime) -> int:
    return (moment - _EPOCH) // timedelta(microseconds=1)
