"""Sealed, committed and hot events as one: a snapshot, and ways through it.

A snapshot looks at what is unsealed first and at the segments second, and drops what
they already contain; so an event that is sealed meanwhile is seen once. Unsealed events
have no `seq`.

Everything that looks for events goes through `Snapshot.sealed` and `Snapshot.unsealed`,
or through `indexed`, which answers for the former where the index can.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass
from functools import cache
from typing import TYPE_CHECKING, Final, TypeVar

from lakecore.base import CorruptData, NotFound, UnsupportedFormat
from lakecore.journal._commits.commit import Fate
from lakecore.journal._commits.staged import StagedReader
from lakecore.journal._events.event import LEAF_VERSION, event_schema
from lakecore.journal._events.rules import FIELDS, STAGED_FIELDS
from lakecore.journal._log.runs import Place, is_stub, open_place, row_groups
from lakecore.journal._log.segment import decoding
from lakecore.journal._read.filter import EventFilter
from lakecore.journal._read.matching import MatchReader, matches

if TYPE_CHECKING:
    import pyarrow as pa

    from lakecore.journal._hot.log import HotLog
    from lakecore.journal._hot.pieces import HotEvents
    from lakecore.journal._index import Index
    from lakecore.journal._log.footers import Footers
    from lakecore.journal._log.pending import Pending, PendingList, StagedCommit
    from lakecore.journal._log.view import View
    from lakecore.journal._read.matching import Positions
    from lakecore.storage import Store

_Answer = TypeVar("_Answer")
ALL: Final = EventFilter()


@cache
def scan_schema() -> pa.Schema:
    """The schema of events as they are read: `event_schema`, but `seq` may be null."""
    schema = event_schema()
    return schema.set(0, schema.field("seq").with_nullable(True))


@dataclass(frozen=True, slots=True)
class Snapshot:
    """The journal at one moment: what is sealed is in `view`, the rest in `staged` and `hot`.

    `footers` may know more by now: what is asked of it is cut at `size`.
    """

    store: Store
    footers: Footers
    view: View
    staged: PendingList
    hot: tuple[HotEvents, ...]
    index: Index | None = None

    @property
    def size(self) -> int:
        """How many events are sealed in it."""
        return self.view.size

    @property
    def places(self) -> tuple[Place, ...]:
        """Where those are, in order."""
        return self.view.places

    @property
    def has_unsealed(self) -> bool:
        """Whether there may be events that are not sealed."""
        return bool(self.staged.commits or self.hot)

    def sealed(
        self,
        wanted: EventFilter = ALL,
        *,
        newest_first: bool = False,
        first_seq: int = 0,
        end_seq: int | None = None,
        columns: Sequence[str] | None = None,
    ) -> Iterator[pa.Table]:
        """Sealed events that match, one table a segment, rows in order of `seq`.

        Args:
            newest_first: the order of the segments.
            first_seq, end_seq: only events from one up to but without the other.
            columns: what to read, where it is not everything.
        """

        def read(place: Place) -> tuple[pa.Table | None, bool]:
            return _read_place(self.store, place, wanted, columns or FIELDS)

        for _, table in self._each(read, wanted, newest_first, first_seq, end_seq):
            if table is not None and table.num_rows:
                yield table

    def positions(self, wanted: EventFilter, *, end_seq: int) -> Iterator[Positions]:
        """The `seq` of sealed events before `end_seq` that match: the newest segment first,
        ascending in each. Only the filter's columns are read."""
        with MatchReader(self.store) as reader:

            def read(place: Place) -> tuple[Positions, bool]:
                return reader.read(place, wanted)

            for _, seqs in self._each(read, wanted, True, 0, end_seq):
                if len(seqs):
                    yield seqs

    def _each(
        self,
        read: Callable[[Place], tuple[_Answer, bool]],
        wanted: EventFilter,
        newest_first: bool,
        first_seq: int,
        end_seq: int | None,
    ) -> Iterator[tuple[Place, _Answer]]:
        """What is read of each place that may have matches.

        Args:
            read: gives what it found, and whether the events had moved from there.
        """
        end = self.size if end_seq is None else min(end_seq, self.size)
        places = deque(_between(self.places, first_seq, end))
        while places:
            place = places.pop() if newest_first else places.popleft()
            if not wanted.overlaps(place.min_us, place.max_us):
                continue
            found, has_moved = read(place)
            if has_moved and places:
                # A stub by now. So are others, surely: a run is read once, not for each of them.
                self.footers.look_for_runs()
                low, high = places[0].first_seq, places[-1].end_seq
                places = deque(_between(self.footers.places(), low, high))
            yield place, found

    def unsealed(self, wanted: EventFilter = ALL) -> Iterator[pa.Table]:
        """Acknowledged events that no segment of this snapshot has, and that match.

        A damaged staged file is left out: it must not keep everybody from reading. Sealing
        reports it, and so do the stats.
        """
        for commit in self.staged.with_fate(Fate.COMMITTED):
            with suppress(CorruptData, UnsupportedFormat):
                for table in self._commit_events(commit):
                    found = wanted.apply(table)
                    if found.num_rows:
                        yield found
        for piece in self.hot:
            found = wanted.apply(_without_seq(piece.table))
            if found.num_rows:
                yield found

    def _commit_events(self, commit: StagedCommit) -> Iterator[pa.Table]:
        """The unsealed rest of a commit, wherever it is by now."""
        import pyarrow as pa

        # The footers may have gone on since the snapshot; its own size decides.
        sealed = self.footers.sealed_count(commit.commit_id, self.size)
        info = commit.info
        reader = StagedReader(self.store, info.path, size_bytes=info.size_bytes)
        ordinal = 0
        try:
            for batch in reader.batches():
                skipped = min(max(0, sealed - ordinal), batch.num_rows)
                ordinal += batch.num_rows
                if skipped < batch.num_rows:
                    yield _without_seq(pa.Table.from_batches([batch]).slice(skipped))
        except NotFound:
            # Sealed since the snapshot: the rest is in newer segments.
            yield from self._moved_events(commit.commit_id, max(ordinal, sealed))

    def _moved_events(self, commit_id: str, ordinal: int) -> Iterator[pa.Table]:
        self.footers.refresh()
        for piece in self.footers.pieces(commit_id):
            part = piece.commit
            skipped = max(0, ordinal - part.first_ordinal)
            if skipped < part.count:
                first, end = piece.first_seq + skipped, piece.first_seq + part.count
                for place in _between(self.footers.places(), first, end):
                    table, _ = _read_place(self.store, place, ALL, FIELDS)
                    if table is not None:
                        yield table


class Scanner:
    """Takes snapshots of one journal."""

    def __init__(
        self,
        store: Store,
        footers: Footers,
        pending: Pending,
        hot: HotLog,
        index: Index | None = None,
    ) -> None:
        self._store = store
        self._index = index
        self._footers = footers
        self._pending = pending
        self._hot = hot

    def snapshot(self) -> Snapshot:
        # 1. What is unsealed. The hot log's batches are taken as they are: the sealer of
        # another process may drop them at any time.
        held = self._hot.bounds()
        log_id = held.log_id
        known = self._footers.hot.get(log_id, 0) if log_id else 0
        hot = list(self._hot.read_from(known, held.end, log_id=log_id)) if log_id else []
        # 2. What is staged, and what is sealed.
        view, staged = self._pending.look()
        # 3. Without what the segments have.
        sealed = view.hot.get(log_id, 0) if log_id else 0
        rest = tuple(trimmed for piece in hot if (trimmed := _after(piece, sealed)) is not None)
        return Snapshot(self._store, self._footers, view, staged, rest, self._index)

    def sealed(self, first: int, end: int) -> Iterator[pa.Table]:
        """The sealed events of a range, from the segments."""
        return self.snapshot().sealed(first_seq=first, end_seq=end)


def concat(tables: Iterable[pa.Table]) -> pa.Table:
    """The tables as one; an empty one when there are none."""
    import pyarrow as pa

    found = list(tables)
    return pa.concat_tables(found) if found else scan_schema().empty_table()


def _read_place(
    store: Store, place: Place, wanted: EventFilter, columns: Sequence[str]
) -> tuple[pa.Table | None, bool]:
    """The matching rows of a place, and whether they had moved from there."""
    try:
        return _read_rows(store, place, wanted, columns)
    except CorruptData:
        # A file of a remote store is read in parts, and may become a stub between two of them.
        if not is_stub(store, place.path):
            raise
        return _read_rows(store, place, wanted, columns)


def _read_rows(
    store: Store, place: Place, wanted: EventFilter, columns: Sequence[str]
) -> tuple[pa.Table | None, bool]:
    """As `_read_place`. Other columns than the filter's are read only where something matches."""
    import pyarrow as pa

    tables = []
    schema = pa.schema([scan_schema().field(name) for name in columns])
    # What is dropped again is not spelled out: texts stay numbers until the rows are chosen.
    encoded = {*columns, *wanted.columns} if wanted.columns else ()
    with open_place(store, place, encoded=encoded) as (parquet, at), decoding(at.path):
        for index, low, high in row_groups(parquet, at.row, at.row + at.count):
            mask = matches(parquet, index, low, high, wanted)
            if mask is not None and not mask.true_count:
                continue
            table = parquet.read_row_group(index, columns=list(columns)).slice(low, high - low)
            table = table if mask is None else table.filter(mask)
            tables.append(table.select(list(columns)).cast(schema))
    return pa.concat_tables(tables) if tables else None, at.path != place.path


def _between(places: Iterable[Place], first_seq: int, end_seq: int) -> Iterator[Place]:
    """What of the places is in a range."""
    for place in places:
        part = place.cut(first_seq, end_seq)
        if part is not None:
            yield part


def _without_seq(staged: pa.Table) -> pa.Table:
    """Unsealed events in the schema of a scan."""
    import numpy as np
    import pyarrow as pa

    count = staged.num_rows
    leaf = pa.array(np.full(count, LEAF_VERSION, dtype=np.int8))
    columns = [pa.nulls(count, pa.int64()), *staged.select(STAGED_FIELDS).columns, leaf]
    return pa.table(columns, schema=scan_schema())


def _after(piece: HotEvents, sealed: int) -> HotEvents | None:
    skipped = max(0, sealed - piece.first)
    if skipped >= piece.table.num_rows:
        return None
    return type(piece)(piece.first + skipped, piece.table.slice(skipped)) if skipped else piece
