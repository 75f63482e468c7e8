"""Copy-on-write of one data file: what becomes of its rows, and the events that say so.

One pass: each chunk is read once, compared, written and journaled. A file in which nothing
changes is not written; chunks before the first change are read again when there is one.
Files map one to one, so that however the table is clustered it stays.

Where rows only get other values, and none goes (`Reach`), a chunk that is not hit is not read,
of one that is only the columns that matter are, and what does not change is copied (`_patched`).
"""

from __future__ import annotations

from collections.abc import Callable, Collection
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Final

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from pyarrow import types as pat

from lakecore.journal import changed, row_json
from lakecore.tables._attempt import Attempt, pairs_of, parts_of
from lakecore.tables._delta_log import AddFile
from lakecore.tables._events import Change, rekeyed_contexts
from lakecore.tables._keys import entity_ids
from lakecore.tables._lane import Lane
from lakecore.tables._late_rows import LateRows
from lakecore.tables._patched import PatchedFile, layout_of
from lakecore.tables._places import file_path
from lakecore.tables._row_hashes import RowHashes
from lakecore.tables._state import DataFile
from lakecore.tables._updates import GatheredUpdates, Updates
from lakecore.tables._write import FileWriter

if TYPE_CHECKING:
    from lakecore.tables._footer import Footer

    Positions = np.ndarray[Any, np.dtype[np.intp]]


@dataclass(frozen=True, slots=True)
class Touch:
    """What to do with some rows of a chunk.

    `positions` (ascending) get `values`, columns of the table's types with a row for each;
    the rows at `removed` (ascending, others) go. `owners`: which mutation of the commit each
    of `positions` is changed by; None when it has but one.
    """

    positions: Positions
    values: pa.Table | None
    removed: Positions
    owners: Positions | None = None


@dataclass(frozen=True, slots=True)
class Reach:
    """What a change that removes no row has to see of a file.

    `hits(start, end)`: whether it may change one of these rows. `columns`: what it reads or
    changes in those that it does, the key aside; None for all.
    """

    hits: Callable[[int, int], bool]
    columns: Collection[str] | None


NO_ROWS = np.zeros(0, dtype=np.intp)


_FILES: Final = 2
"""Files that are encoded or synced at a time."""


@dataclass(slots=True)
class Rewriter:
    """Rewrites files of one attempt, in a ``with`` block.

    `hashes` is set for unkeyed datasets, which have no events of single rows. `rekeyed`
    gathers (old, new) key columns of rows whose key changes.
    """

    attempt: Attempt
    hashes: RowHashes | None = None
    rekeyed: list[tuple[pa.Table, pa.Table]] = field(default_factory=list)
    _lanes: tuple[Lane, ...] = field(
        default_factory=lambda: tuple(Lane("lakecore-files", depth=2) for _ in range(_FILES)),
        repr=False,
    )
    _files: dict[int, AddFile] = field(default_factory=dict, repr=False)
    _started: int = 0
    _late: LateRows = field(default_factory=LateRows, repr=False)
    _updates: GatheredUpdates = field(init=False, repr=False)
    _unbounded: dict[str, list[str]] | None = field(default=None, repr=False)
    _unfinished: list[FileWriter | PatchedFile] = field(default_factory=list, repr=False)

    def __post_init__(self) -> None:
        self._updates = GatheredUpdates(self.attempt)

    def __enter__(self) -> Rewriter:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, _: object
    ) -> None:
        """Every file is durable when the block ends normally; else none is left unfinished."""
        try:
            if error is None:
                self._updates.send()
                self._journal_moved()
                for lane in self._lanes:
                    lane.wait()
                self.attempt.adds.extend(self._files[number] for number in sorted(self._files))
        finally:
            self._late.close()
            for lane in self._lanes:
                lane.close()
            for writer in self._unfinished:
                writer.abort(error)

    def rewrite(
        self,
        file: DataFile,
        touch_of: Callable[[pa.Table, int], Touch],
        reach: Reach | None = None,
    ) -> None:
        """Apply `touch_of(chunk, rows before it)` to every chunk of `file`.

        With `reach`, to every chunk that it says is hit; the chunk then has at least the
        columns that it names.
        """
        attempt = self.attempt
        if reach is not None:
            path = file_path(attempt.dataset.location, file.path)
            layout = layout_of(attempt.store, path, attempt.schema, attempt.settings)
            if layout is not None:
                self._patch(file, path, layout, touch_of, reach)
                return
        writer: FileWriter | None = None
        lane = self._lanes[self._started % _FILES]
        untouched: list[int] = []
        start = 0
        with attempt.reader(file) as reader:
            for index in range(reader.chunk_count):
                chunk = reader.chunk(index)
                result, _ = self._apply(chunk, touch_of(chunk, start))
                start += chunk.num_rows
                if result is None and writer is None:
                    untouched.append(index)
                    continue
                if writer is None:
                    attempt.remove(file)
                    writer = attempt.file_writer()
                    self._unfinished.append(writer)
                    for earlier in untouched:
                        self._write(lane, writer, reader.chunk(earlier))
                self._write(lane, writer, chunk if result is None else result)
        if writer is not None:
            lane.run(self._finish, writer, self._started)
            self._started += 1

    def _patch(
        self,
        file: DataFile,
        path: str,
        layout: Footer,
        touch_of: Callable[[pa.Table, int], Touch],
        reach: Reach,
    ) -> None:
        """As `rewrite`, copying what does not change."""
        attempt = self.attempt
        columns = self._columns(reach)
        writer: PatchedFile | None = None
        lane = self._lanes[self._started % _FILES]
        waiting: list[int] = []
        start = 0
        with attempt.reader(file) as reader:
            for index in range(reader.chunk_count):
                first, start = start, start + reader.chunk_rows(index)
                result: pa.Table | None = None
                names: Collection[str] = ()
                if reach.hits(first, start):
                    chunk = reader.chunk(index, columns)
                    result, names = self._apply(chunk, touch_of(chunk, first))
                if result is None:
                    waiting += reader.groups(index)
                    continue
                if writer is None:
                    attempt.remove(file)
                    writer = self._patched(file, path, layout)
                if not attempt.dry_run:
                    lane.run(writer.keep, waiting)
                    lane.run(writer.replace, reader.groups(index), result.select(names))
                waiting = []
        if writer is not None and not attempt.dry_run:
            lane.run(writer.keep, waiting)
            lane.run(self._finish, writer, self._started)
            self._started += 1

    def _patched(self, file: DataFile, path: str, layout: Footer) -> PatchedFile:
        attempt = self.attempt
        if self._unbounded is None:
            self._unbounded = _unbounded(attempt)
        writer = PatchedFile(
            attempt.store,
            attempt.dataset.location,
            path,
            layout,
            attempt.schema,
            attempt.settings,
            keys=attempt.dataset.key,
            unbounded=self._unbounded[file.path],
        )
        self._unfinished.append(writer)
        return writer

    def _columns(self, reach: Reach) -> list[str] | None:
        """What is read of a chunk: also the key, and what judges look at. None for all."""
        if reach.columns is None or self.hashes is not None:
            return None
        wanted = {*reach.columns, *self.attempt.dataset.key}
        for owner in self.attempt.owners:
            if owner.review.columns is None:
                return None
            wanted |= owner.review.columns
        return [name for name in self.attempt.schema.names if name in wanted]

    def _journal_moved(self) -> None:
        # After every delete: a key may have been another row's until now.
        attempt, key = self.attempt, self.attempt.dataset.key
        for rows, former in self._late.take():
            contexts = rekeyed_contexts(attempt.author, entity_ids(former, key))
            attempt.later(_inserts, rows, key, "insert", contexts)

    def _write(self, lane: Lane, writer: FileWriter, rows: pa.Table) -> None:
        # Encoding and syncing one file overlaps with the end of another, and with reading
        # and comparing the next.
        if not self.attempt.dry_run:
            lane.run(writer.write, rows)

    def _finish(self, writer: FileWriter | PatchedFile, number: int) -> None:
        added = writer.finish()
        self._unfinished.remove(writer)
        if added is not None:
            self.attempt.own_files.append(added)
            self._files[number] = added

    def _apply(self, chunk: pa.Table, touch: Touch) -> tuple[pa.Table | None, Collection[str]]:
        """The chunk as it becomes, None when it stays; the columns in which values change."""
        result: pa.Table | None = None
        names: Collection[str] = ()
        if touch.values is not None and len(touch.positions):
            result, names = self._update(chunk, touch.positions, touch.values, touch.owners)
        if len(touch.removed):
            self._delete(chunk, touch.removed)
            keep = np.ones(chunk.num_rows, dtype=np.bool_)
            keep[touch.removed] = False
            result = (chunk if result is None else result).filter(pa.array(keep))
        return result, names

    def _delete(self, chunk: pa.Table, removed: Positions) -> None:
        attempt = self.attempt
        self._updates.send()
        attempt.deleted += len(removed)
        rows = chunk if len(removed) == chunk.num_rows else chunk.take(pa.array(removed))
        attempt.judge(rows, None)
        for part in parts_of(rows):
            if self.hashes is not None:
                self.hashes.journal(attempt, part, None)
            else:
                attempt.later(_deletes, part, attempt.dataset.key)

    def _update(
        self, chunk: pa.Table, positions: Positions, values: pa.Table, owners: Positions | None
    ) -> tuple[pa.Table | None, Collection[str]]:
        attempt = self.attempt
        everything = len(positions) == chunk.num_rows
        index = pa.array(positions)
        masks: dict[str, Any] = {}
        olds: dict[str, Any] = {}
        any_change = np.zeros(len(positions), dtype=np.bool_)
        for name in values.schema.names:
            old = chunk.column(name) if everything else chunk.column(name).take(index)
            mask = np.asarray(changed(old, values.column(name)), dtype=np.bool_)
            if mask.any():
                masks[name], olds[name] = mask, old
                any_change |= mask
        count = int(any_change.sum())
        attempt.updated += count
        attempt.unchanged += len(positions) - count
        if owners is not None:
            attempt.shares.count("updated", owners[any_change])
            attempt.shares.count("unchanged", owners[~any_change])
        if not count:
            return None, ()
        result = chunk
        for name, mask in masks.items():
            column = _scatter(chunk.column(name), positions[mask], values.column(name), mask)
            result = result.set_column(
                result.schema.get_field_index(name), chunk.schema.field(name), column
            )
        self._journal(chunk, result, positions, any_change, masks, olds, values, owners)
        return result, list(masks)

    def _journal(
        self,
        chunk: pa.Table,
        result: pa.Table,
        positions: Positions,
        any_change: np.ndarray[Any, Any],
        masks: dict[str, Any],
        olds: dict[str, Any],
        values: pa.Table,
        owners: Positions | None,
    ) -> None:
        attempt = self.attempt
        key = attempt.dataset.key
        attempt.judge_updates(chunk, result, positions, any_change, masks, owners)
        if self.hashes is not None:
            touched = pa.array(positions[any_change])
            for old, new in pairs_of(chunk.take(touched), result.take(touched)):
                self.hashes.journal(attempt, old, new)
            return
        rekeyed = np.zeros(len(positions), dtype=np.bool_)
        for name in key:
            rekeyed |= masks.get(name, False)
        if rekeyed.any():
            moved = pa.array(positions[rekeyed])
            self._rekey(chunk.take(moved), result.take(moved))
        for name, mask in masks.items():
            fields = mask & ~rekeyed
            if name not in key and fields.any():
                where = pa.array(fields)
                keys = chunk.select(list(key)).take(pa.array(positions[fields]))
                sides = olds[name].filter(where), values.column(name).filter(where)
                of_each = None if owners is None else owners[fields]
                self._updates.add(name, Updates(keys, *sides, of_each))

    def _rekey(self, old: pa.Table, new: pa.Table) -> None:
        attempt = self.attempt
        key = attempt.dataset.key
        self.rekeyed.append((old.select(list(key)), new.select(list(key))))
        for before, after in pairs_of(old, new):
            attempt.later(_deletes, before, key)
            self._late.add(after, before.select(list(key)))


def _scatter(
    column: pa.ChunkedArray, positions: Positions, values: pa.ChunkedArray, mask: Any
) -> pa.ChunkedArray:
    """`column` with `values` where `mask` says so, at `positions`."""
    wanted = values.filter(pa.array(mask))
    if len(wanted) == len(column):
        return wanted
    if not pat.is_nested(column.type):
        where = np.zeros(len(column), dtype=np.bool_)
        where[positions] = True
        replaced = pc.replace_with_mask(one_array(column), pa.array(where), one_array(wanted))
        return pa.chunked_array([replaced], type=column.type)
    index = np.arange(len(column))
    index[positions] = len(column) + np.arange(len(positions))
    return pa.chunked_array([*column.chunks, *wanted.chunks], type=column.type).take(
        pa.array(index)
    )


def one_array(column: pa.ChunkedArray) -> pa.Array:
    """The column in one piece."""
    return column.chunk(0) if column.num_chunks == 1 else column.combine_chunks()


def _unbounded(attempt: Attempt) -> dict[str, list[str]]:
    """By file: the float columns that the log has no bounds of, because they may hold a NaN."""
    base = attempt.base
    found: dict[str, list[str]] = {file.path: [] for file in base.files}
    for item in attempt.schema:
        if not pat.is_floating(item.type):
            continue
        bounds = base.bounds(item.name)
        known = None if bounds is None else bounds[0].is_valid().to_pylist()
        for position, file in enumerate(base.files):
            if known is None or not known[position]:
                found[file.path].append(item.name)
    return found


def _deletes(rows: pa.Table, key: tuple[str, ...]) -> Change:
    return Change(action="delete", entity_ids=entity_ids(rows, key), old=row_json(rows))


def _inserts(
    rows: pa.Table,
    key: tuple[str, ...],
    action: str,
    contexts: pa.Array | None = None,
    owners: Positions | None = None,
) -> Change:
    return Change(
        action=action,
        entity_ids=entity_ids(rows, key),
        new=row_json(rows),
        contexts=contexts,
        owners=owners,
    )


def journal_inserts(
    attempt: Attempt, rows: pa.Table, *, action: str = "insert", owners: Positions | None = None
) -> None:
    """One event a row for rows that a keyed dataset gains."""
    attempt.judge(None, rows, owners)
    start = 0
    for part in parts_of(rows):
        end = start + part.num_rows
        of_each = None if owners is None else owners[start:end]
        attempt.later(_inserts, part, attempt.dataset.key, action, None, of_each)
        start = end
