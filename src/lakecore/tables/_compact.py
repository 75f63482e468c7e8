"""Small files put together: the same rows in fewer files, and proof that they are the same.

The files are written beside the table's queue of changes: other changes go on meanwhile.
Then one commit takes the old ones out and the new ones in. It is made only if

- every old file has the bytes that its commit says it has: damage is not carried on;
- the new files, read back, hold the same multiset of rows as the old ones;
- all old files are still in the table, and its columns are the same.

So the rules are not asked: no row changes.
"""

from __future__ import annotations

import hashlib
import time
from collections.abc import Callable, Collection, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from typing import TYPE_CHECKING, Any, Final

import pyarrow as pa
import pyarrow.compute as pc

from lakecore.base import Conflict, CorruptData, LakecoreError, NotFound
from lakecore.base.limits import MIB
from lakecore.journal import MultisetHash, multiset_hash
from lakecore.tables._delta_log import AddFile
from lakecore.tables._events import Change, texts
from lakecore.tables._logged import read_commit
from lakecore.tables._places import file_path
from lakecore.tables._read import FileReader
from lakecore.tables._state import DataFile, TableState
from lakecore.tables._write import FileWriter

if TYPE_CHECKING:
    from lakecore.storage import Store
    from lakecore.tables._attempt import Attempt
    from lakecore.tables._types import DatasetRef, TableSettings

MAINTENANCE: Final = "maintenance"
"""The `entity_type` of events about upkeep; the entity is the dataset."""

RowSorter = Callable[[Sequence[str], pa.Schema, Sequence[str]], Iterator[pa.RecordBatch]]
"""Rows of files of the store, by their paths, with these columns, in the order of some of them.

Another engine's, for bins that are more than one machine sorts: what it returns is held against
the files before it is committed.
"""

_SORT_BYTES: Final = 128 * MIB
"""Arrow bytes of a new file up to which its rows are put in the order of the key."""
_READ_BYTES: Final = 4 * MIB
_READERS: Final = 8
_PART: Final = 64


class Compact:
    """Each of `bins` becomes one file. `prepare` first; then it is an operation."""

    name = "OPTIMIZE"
    removes = False  # no row goes, so append-only tables allow it

    def __init__(
        self,
        store: Store,
        dataset: DatasetRef,
        base: TableState,
        bins: Sequence[Sequence[DataFile]],
        settings: TableSettings,
        stop: Callable[[], None],
        sorter: RowSorter | None = None,
    ) -> None:
        self._sorter = sorter
        self._store = store
        self._dataset = dataset
        self._base = base
        self._bins = bins
        self._settings = settings
        self._stop = stop
        self._started = time.monotonic()
        self.rows = MultisetHash()
        self.sources = [file for some in bins for file in some]
        self.files: list[AddFile] = []

    def prepare(self) -> None:
        """Write the new files; `stop` may raise between two of them: nothing is left then.

        Raises:
            CorruptData: a file is not what was committed, or the new ones hold other rows.
        """
        try:
            known = logged_hashes(
                self._store, self._dataset.location, self.sources, self._base.version
            )
            for files in self._bins:
                self._stop()
                for file in files:
                    self._check_bytes(file, known.get(file.path))
                self._merge(files)
        except BaseException:
            self.discard()
            raise

    def parameters(self) -> dict[str, str]:
        return {"targetSize": str(self._settings.file_bytes)}

    def plan(self, attempt: Attempt) -> None:
        base = attempt.base
        present = {file.path for file in base.files}
        gone = sum(file.path not in present for file in self.sources)
        if gone or base.schema != self._base.schema:
            raise Conflict(
                "the files were changed by others while they were put together",
                where=self._dataset.name,
                found=f"{gone} of {len(self.sources)} files are gone" if gone else "other columns",
                hint="the next maintenance takes what is there then",
            )
        attempt.keeps_rows = True
        for file in self.sources:
            attempt.remove(file)
        attempt.adds = list(self.files)
        attempt.emit(maintenance_change(attempt, "compact", self.details()))

    def details(self) -> dict[str, object]:
        """What was measured, as the event has it."""
        return {
            "files_before": len(self.sources),
            "files_after": len(self.files),
            "bytes_before": sum(file.size_bytes for file in self.sources),
            "bytes_after": sum(file.size_bytes for file in self.files),
            "rows": self.rows.count,
            "rows_sum": self.rows.hex(),
            "seconds": round(time.monotonic() - self._started, 3),
        }

    def discard(self) -> None:
        for file in self.files:
            with suppress(LakecoreError, OSError):
                self._store.delete(file_path(self._dataset.location, file.path))

    # -- inside ---------------------------------------------------------------------------

    def _merge(self, files: Sequence[DataFile]) -> None:
        """One new file in place of these."""
        schema, settings = self._base.schema, self._settings
        read = MultisetHash()
        writer = FileWriter(
            self._store, self._dataset.location, schema, settings, keys=self._dataset.key
        )
        try:
            for rows in (self._elsewhere if self._sorter else self._in_order)(files, read):
                writer.write(rows)
            added = writer.finish()
        except BaseException as error:
            writer.abort(error)
            raise
        written = MultisetHash()
        if added is not None:
            self.files.append(added)
            for rows in self._chunks(added):
                written.add(rows)
        if written != read:
            raise CorruptData(
                "files that were put together do not hold the rows that they were made of",
                where=self._dataset.name,
                expected=f"{read.count} rows, {read.hex()}",
                found=f"{written.count} rows, {written.hex()}",
                hint="nothing was changed; `lakecore verify --full` looks for damaged files",
            )
        self.rows.merge(read)

    def _in_order(self, files: Sequence[DataFile], read: MultisetHash) -> Iterator[pa.Table]:
        """The rows of the files; by the key, if they are few enough to be held."""
        held: list[pa.Table] = []
        held_bytes = 0
        is_sorted = bool(self._dataset.key)
        for file in files:
            for rows in self._chunks(file):
                read.merge(multiset_hash(rows))
                if not is_sorted:
                    yield rows
                    continue
                held.append(rows)
                held_bytes += rows.nbytes
                if held_bytes > _SORT_BYTES:
                    is_sorted = False
                    yield from held
                    held = []
        if held:
            yield from _sorted(pa.concat_tables(held), self._dataset.key)

    def _elsewhere(self, files: Sequence[DataFile], read: MultisetHash) -> Iterator[pa.Table]:
        """The rows as the sorter has them; which ones there are is read here."""
        for file in files:
            for rows in self._chunks(file):
                read.merge(multiset_hash(rows))
            self._stop()
        sorter = self._sorter
        assert sorter is not None  # noqa: S101 - else rows are sorted here
        schema = self._base.schema
        paths = [file_path(self._dataset.location, file.path) for file in files]
        for batch in sorter(paths, schema, self._dataset.key):
            self._stop()
            try:
                yield pa.Table.from_batches([batch]).select(schema.names).cast(schema)
            except (KeyError, pa.ArrowException) as error:
                raise CorruptData(
                    "rows that were sorted elsewhere are not of the table's columns",
                    where=self._dataset.name,
                    expected=", ".join(schema.names)[:300],
                    found=", ".join(batch.schema.names)[:300],
                    hint="nothing was changed; compact with the engine datafusion",
                ) from error

    def _chunks(self, file: DataFile | AddFile) -> Iterator[pa.Table]:
        path = file_path(self._dataset.location, file.path)
        with FileReader(self._store, path, self._base.schema, self._settings) as reader:
            yield from reader.chunks()

    def _check_bytes(self, file: DataFile, expected: str | None) -> None:
        if expected is None:
            return  # by another program, or its log entry is gone
        path = file_path(self._dataset.location, file.path)
        hasher = hashlib.sha256()
        with self._store.open(path) as source:
            while data := source.read(_READ_BYTES):
                hasher.update(data)
        if hasher.hexdigest() != expected:
            raise CorruptData(
                "the bytes of a data file are not those that were committed",
                where=path,
                expected=expected,
                found=hasher.hexdigest(),
                hint="it is left as it is; bring the file back from a backup",
            )


def _sorted(rows: pa.Table, key: Sequence[str]) -> Iterator[pa.Table]:
    by = [(name, "ascending") for name in key]
    try:
        order = pc.sort_indices(rows.select(list(key)), sort_keys=by)
        yield rows.take(order)
    except (pa.ArrowNotImplementedError, pa.ArrowInvalid):
        yield rows  # a type without an order, or more text than one column takes


def logged_hashes(
    store: Store, location: str, files: Collection[DataFile], version: int
) -> dict[str, str]:
    """The SHA-256 of files by path, where the log says them; the newest entries first."""
    wanted = {file.path for file in files}
    found: dict[str, str] = {}
    with ThreadPoolExecutor(_READERS, thread_name_prefix="lakecore-log") as readers:
        for last in range(version, -1, -_PART):
            numbers = range(last, max(-1, last - _PART), -1)
            for adds in readers.map(lambda number: _adds(store, location, number), numbers):
                for added in adds:
                    if added.path in wanted:
                        wanted.discard(added.path)
                        if added.sha256 is not None:
                            found[added.path] = added.sha256
            if not wanted:
                break
    return found


def _adds(store: Store, location: str, version: int) -> Sequence[AddFile]:
    try:
        return read_commit(store, location, version).adds
    except NotFound:
        return ()  # trimmed


def maintenance_change(attempt: Attempt, action: str, details: dict[str, Any]) -> Change:
    """The event of one step of upkeep, which is part of a commit."""
    context = attempt.author.context_text({MAINTENANCE: details})
    return Change(
        action=action,
        entity_type=MAINTENANCE,
        entity_ids=texts(attempt.dataset.name),
        contexts=texts(context),
        summary=True,
    )
