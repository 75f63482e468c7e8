"""What indexes are over: the rows of datasets, and the events of the journal."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator, Sequence
from typing import TYPE_CHECKING, Any, Final
from urllib.parse import unquote

from lakecore.base import InvalidInput, LakecoreError, NotFound, Unavailable

if TYPE_CHECKING:
    import pyarrow as pa
    import pyarrow.dataset as ds

    from lakecore.app._components import Components
    from lakecore.catalog import Dataset
    from lakecore.search import Changed, Snapshot, Source
    from lakecore.tables import TableView

JOURNAL: Final = "system.journal"
TABLE_ROWS: Final = 65_536
MAX_COUNTED_EVENTS: Final = 100_000
MAX_COUNTED_VERSIONS: Final = 1_000
MAX_KEYS: Final = 5_000_000
"""Rows that a condition may choose."""


class LakeSources:
    """Finds datasets as sources of indexes."""

    def __init__(self, parts: Components) -> None:
        self._parts = parts
        self._counts = Counts()

    def named(self, dataset: str) -> Source:
        """See `lakecore.search.Sources`."""
        if dataset == JOURNAL:
            return JournalSource(self._parts)
        entry = self._parts.catalog.get(dataset)
        if not entry.key:
            raise InvalidInput(
                "an index needs a dataset whose rows have a key",
                where=dataset,
                hint="ingest it with --key, so that what is found can be named",
            )
        return DatasetSource(self._parts, entry, self._counts)

    def of_id(self, dataset_id: str, called: str) -> Source:
        """See `lakecore.search.Sources`."""
        if dataset_id == JOURNAL:
            return JournalSource(self._parts)
        entry = self._parts.catalog.find(called)
        if entry is None or entry.dataset_id != dataset_id:
            found = self._parts.catalog.list_datasets()
            entry = next((one for one in found if one.dataset_id == dataset_id), None)
        if entry is None:
            raise NotFound(
                "the dataset of an index was dropped",
                where=called,
                hint=f"`lakecore undrop {called}` brings it back, as long as it can be",
            )
        return DatasetSource(self._parts, entry, self._counts)


class Counts:
    """How many rows changed between two versions: counted once."""

    def __init__(self) -> None:
        self._known: dict[str, tuple[int, int, int | None]] = {}

    def get(
        self, dataset_id: str, since: int, until: int, count: Callable[[], int | None]
    ) -> int | None:
        known = self._known.get(dataset_id)
        if known is None or known[:2] != (since, until):
            known = self._known[dataset_id] = (since, until, count())
        return known[2]


class DatasetSource:
    """The rows of a dataset with a key."""

    def __init__(self, parts: Components, entry: Dataset, counts: Counts) -> None:
        self._parts = parts
        self._entry = entry
        self._counts = counts

    @property
    def name(self) -> str:
        return self._entry.name

    @property
    def dataset_id(self) -> str:
        return self._entry.dataset_id

    @property
    def key(self) -> tuple[str, ...]:
        return self._entry.key

    def version(self) -> int:
        """The newest version."""
        view = self._parts.tables.open(self._entry)
        return -1 if view is None else view.version

    def snapshot(self) -> Snapshot | None:
        """The newest version, open."""
        from lakecore.search import Snapshot

        view = self._parts.tables.open(self._entry)
        if view is None:
            return None
        return Snapshot(view.version, view.schema, view.row_count, view)

    def scan(self, snapshot: Snapshot, columns: Sequence[str]) -> Iterator[pa.Table]:
        """All rows."""
        yield from self._read(snapshot.handle.delta.to_pyarrow_dataset(), columns)

    def changed(self, since: int, snapshot: Snapshot, columns: Sequence[str]) -> Changed:
        """The rows of files that came; keys of files that went and did not come again."""
        import pyarrow as pa
        import pyarrow.compute as pc

        from lakecore.search import KEY, Changed

        try:
            before = self._parts.tables.open(self._entry, version=since)
        except NotFound:
            before = None  # not kept any more: all rows are held against the index
        if before is None:
            return Changed(self.scan(snapshot, columns), None)
        old, new = _paths(before), _paths(snapshot.handle)
        came = _of_files(snapshot.handle, new - old)
        rows = iter(()) if came is None else self._read(came, columns)
        went = _of_files(before, old - new)
        if went is None:
            return Changed(rows, pa.array([], pa.string()))
        try:
            gone = [table.column(KEY) for table in self._read(went, ())]
        except (OSError, pa.ArrowInvalid):
            return Changed(self.scan(snapshot, columns), None)  # files were removed
        keys = pa.chunked_array([chunk for one in gone for chunk in one.chunks], pa.string())
        if came is not None:
            stay = [table.column(KEY) for table in self._read(came, ())]
            there = pa.chunked_array([chunk for one in stay for chunk in one.chunks], pa.string())
            keys = keys.filter(pc.invert(pc.is_in(keys, value_set=there)))
        return Changed(rows, pa.concat_arrays(keys.chunks) if keys.num_chunks else keys)

    def behind(self, since: int) -> int | None:
        """Rows that the journal says changed."""
        until = self.version()
        return self._counts.get(self.dataset_id, since, until, lambda: self._count(since, until))

    def _count(self, since: int, until: int) -> int | None:
        from lakecore.journal import read_commit_record

        if until - since > MAX_COUNTED_VERSIONS:
            return None
        events = 0
        for version in range(since + 1, until + 1):
            path = f"{self._entry.location}/_delta_log/{version:020}.json"
            try:
                record = read_commit_record(self._parts.store.get(path))
            except NotFound:
                return None
            if record is None:
                return None  # another program's, not on record yet
            events += record.event_count
        if events > MAX_COUNTED_EVENTS:
            return None
        found = self._parts.journal.changes(self.dataset_id, since, until).read_all()
        return len(found.column("key").unique())

    def keys_where(self, condition: str, version: int, asking: object | None) -> pa.Array:
        """Keys of the rows where a condition holds."""
        from lakecore.tables import entity_ids

        names = ", ".join(_quoted(name) for name in self.key)
        table = f"as_of('{self.name}', {version})"
        rows = _ask(self._parts, f"select {names} from {table} where (\n{condition}\n)", asking)
        return _one_array(entity_ids(rows, self.key))

    def _read(self, rows: ds.Dataset, columns: Sequence[str]) -> Iterator[pa.Table]:
        import pyarrow as pa

        from lakecore.search import KEY
        from lakecore.tables import entity_ids

        wanted = list(dict.fromkeys([*self.key, *columns]))
        batches = rows.to_batches(columns=wanted, batch_size=TABLE_ROWS, batch_readahead=2)
        for batch in batches:
            if batch.num_rows:
                table = pa.Table.from_batches([batch])
                yield table.add_column(0, KEY, entity_ids(table, self.key))


class JournalSource:
    """The sealed events of the journal; the version is how many there are."""

    name = JOURNAL
    dataset_id = JOURNAL
    key = ("seq",)

    def __init__(self, parts: Components) -> None:
        self._parts = parts

    def version(self) -> int:
        """How many events are sealed."""
        return self._parts.journal.tree_size() or -1

    def snapshot(self) -> Snapshot | None:
        """All that is acknowledged by now, sealed."""
        from lakecore.journal import scan_schema
        from lakecore.search import Snapshot

        self._parts.journal.flush()
        size = self._parts.journal.tree_size()
        return Snapshot(size, scan_schema(), size) if size else None

    def scan(self, snapshot: Snapshot, columns: Sequence[str]) -> Iterator[pa.Table]:
        """All events."""
        return self._read(0, snapshot.version, columns)

    def changed(self, since: int, snapshot: Snapshot, columns: Sequence[str]) -> Changed:
        """The events that were sealed since: none changes, and none goes."""
        import pyarrow as pa

        from lakecore.search import Changed

        return Changed(self._read(since, snapshot.version, columns), pa.array([], pa.string()))

    def behind(self, since: int) -> int | None:
        """Events that were sealed since."""
        return max(0, self.version() - since)

    def keys_where(self, condition: str, version: int, asking: object | None) -> pa.Array:
        """Keys of the events where a condition holds."""
        import pyarrow as pa

        text = f"select seq from system.journal where seq < {version} and (\n{condition}\n)"
        return _one_array(_ask(self._parts, text, asking).column("seq").cast(pa.string()))

    def _read(self, first: int, end: int, columns: Sequence[str]) -> Iterator[pa.Table]:
        import pyarrow as pa
        import pyarrow.compute as pc
        import pyarrow.parquet as pq

        from lakecore.search import KEY

        wanted = list(dict.fromkeys(["seq", *columns]))
        files, _ = self._parts.journal.files()
        read = 0
        for file in files:
            if file.end_seq <= first or file.first_seq >= end:
                continue
            with self._parts.store.open(file.path) as opened:
                for batch in pq.ParquetFile(opened).iter_batches(TABLE_ROWS, columns=wanted):
                    seq = batch.column("seq")
                    within = pc.and_(pc.greater_equal(seq, first), pc.less(seq, end))
                    table = pa.Table.from_batches([batch]).filter(within)
                    read += table.num_rows
                    if table.num_rows:
                        keys = table.column("seq").cast(pa.string())
                        yield table.add_column(0, KEY, keys)
        if read != end - first:
            raise Unavailable(
                "the journal was compacted while it was read",
                expected=f"{end - first:,} events",
                found=f"{read:,}",
                hint="run it again",
            )


def _paths(view: TableView) -> set[str]:
    import pyarrow as pa

    return set(pa.table(view.delta.get_add_actions()).column("path").to_pylist())


def _of_files(view: TableView, paths: set[str]) -> ds.Dataset | None:
    """The rows of some files of a table; None: of no file."""
    import pyarrow.dataset as ds

    if not paths:
        return None
    whole = view.delta.to_pyarrow_dataset()
    names = {unquote(path) for path in paths}
    chosen = [one for one in whole.get_fragments() if unquote(one.path) in names]
    return ds.FileSystemDataset(chosen, whole.schema, whole.format, whole.filesystem)


def _ask(parts: Components, text: str, asking: object | None) -> pa.Table:
    """The rows of a statement, asked in a thread of its own: a query may be planned in this one."""
    engine: Any = parts.query.over(asking if asking is not None else parts.lake_tables)  # type: ignore[arg-type]  # a TableSource
    outcome: list[Any] = []

    def run() -> None:
        try:
            with engine.sql(text, max_rows=MAX_KEYS) as result:
                outcome.append((result.to_arrow(), result.truncated))
        except BaseException as error:
            outcome.append(error)

    thread = threading.Thread(target=run, name="lakecore-where")
    thread.start()
    thread.join()
    found = outcome[0]
    if isinstance(found, LakecoreError):
        raise found
    if isinstance(found, BaseException):
        raise found
    table, is_cut = found
    if is_cut:
        raise InvalidInput("a condition holds for too many rows", expected=f"{MAX_KEYS:,}")
    return table


def _one_array(column: Any) -> pa.Array:
    import pyarrow as pa

    if isinstance(column, pa.ChunkedArray):
        return pa.concat_arrays(column.chunks) if column.num_chunks else pa.array([], pa.string())
    return column


def _quoted(name: str) -> str:
    return '"' + name.replace('"', '""') + '"'
