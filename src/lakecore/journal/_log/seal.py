"""Sealing: hot and committed staged events into segments, each exactly once.

Any machine may seal, any number at a time, and recovery is nothing else:

1. **Freeze.** Look at the hot log's end and the staged files first, at the footers
   second, and drop what the footers contain. What is left is this run's set; the run
   gets a seal id.
2. **Check.** A commit's leaves are recomputed and compared with the digest in its target
   object before any of its events is sealed. One that differs stays staged and is reported.
3. **Seal.** Events are numbered from the end of the last segment, cut at multiples of
   65,536 (and at sizes that keep memory bounded), and put create-only at their position:
   *the commit point*. Whoever wins a position has read every footer before it, so what
   they contain can be dropped. Who loses reads the winner's footer: own seal id = the
   put had worked; else drop what it contains, renumber, try again.
4. **Clear.** Forget sealed hot events, delete sealed and dead staged files.

A run may leave the newest hot events to the next one, so that all its segments are whole:
under load each range of 65,536 is sealed, indexed and kept in one piece.

Crash windows, and what the next run finds:

- A, before a commit point: nothing happened; the set is frozen anew.
- B, after one, before the next: footers tell how many events of the commit are sealed, and
  how far the hot log is; the rest is sealed from there, by whoever comes next.
- C, after the last, before clearing: all is found sealed in step 1, and cleared.
- D, a put that failed and lands late: create-only, so it is either what B finds, or refused.
"""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Callable, Generator, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from dataclasses import dataclass, replace
from tempfile import SpooledTemporaryFile
from typing import TYPE_CHECKING, Any, Final

from lakecore.base import (
    AlreadyExists,
    Clock,
    Conflict,
    CorruptData,
    InvalidInput,
    LakecoreError,
    NotFound,
    UnsupportedFormat,
    uuid7,
)
from lakecore.base.limits import MAX_COMMIT_RETRIES, MIB, SEGMENT_EVENTS
from lakecore.journal._commits.commit import Fate
from lakecore.journal._commits.staged import StagedReader
from lakecore.journal._events.hashing import inputs_ahead
from lakecore.journal._events.supplied import Supplied
from lakecore.journal._hot.keys import keys_of
from lakecore.journal._hot.pieces import HotBounds
from lakecore.journal._log.hot_copies import HotCopies
from lakecore.journal._log.parts import Part, Source, Waiting, lines_of, part_of, supplied_rows
from lakecore.journal._log.sealed_ids import SealedIds
from lakecore.journal._log.segment import (
    SealedCommit,
    SegmentFooter,
    checksum_of,
    encode_segment,
    room_at,
)

if TYPE_CHECKING:
    import pyarrow as pa

    from lakecore.journal._hot.log import HotLog
    from lakecore.journal._hot.pieces import HotEvents
    from lakecore.journal._log.footers import Footers
    from lakecore.journal._log.pending import Pending, StagedCommit
    from lakecore.storage import Store
    from lakecore.tlog import Frontier, Hashes

OnSealed = Callable[["pa.Table", "pa.ChunkedArray | None", "Hashes", int], None]
"""Told of each segment once it is durable: its events, their `leaf_inputs` where they are
at hand, their leaf hashes, its first position. Must not fail."""
_SPOOL_BYTES: Final = 32 * MIB
_HASH_BYTES: Final = 32
_DELETERS: Final = 16
_FEW: Final = 2
_HASH_ROWS: Final = 16_384
"""Hot events are hashed so many at a time: a segment's by several threads."""


def _ignore(
    events: pa.Table, lines: pa.ChunkedArray | None, hashes: Hashes, first_seq: int
) -> None:
    """What is done about a segment where nobody asks for it: nothing."""


@dataclass(frozen=True, slots=True)
class SealOutcome:
    """What a run did; `problems` are commits or hot events that it had to leave.

    `left` hot events were there, and are for the next run: see `Sealer.seal`.
    """

    events: int = 0
    segments: int = 0
    left: int = 0
    problems: tuple[LakecoreError, ...] = ()


class Sealer:
    """Seals one journal. Threads may share it: runs of one process follow each other."""

    def __init__(
        self,
        store: Store,
        footers: Footers,
        pending: Pending,
        hot: HotLog,
        clock: Clock,
        ids: SealedIds,
        on_sealed: OnSealed = _ignore,
    ) -> None:
        self._store = store
        self._footers = footers
        self._pending = pending
        self._hot = hot
        self._clock = clock
        self._ids = ids
        self._on_sealed = on_sealed
        self._copies = HotCopies(store, footers, hot)
        self._lock = threading.Lock()

    def seal(self, *, whole: bool = False) -> SealOutcome:
        """One run; see the module.

        Args:
            whole: leave hot events that fill no segment, if others do fill one.

        Raises:
            Conflict: others kept winning positions.
            Unavailable, CorruptData, ...: of the store or of a segment; the run stops, what
                was sealed is sealed, and nothing that was not is forgotten.
        """
        with self._lock:
            return _Run(
                self._store,
                self._footers,
                self._pending,
                self._hot,
                self._clock,
                self._ids,
                self._on_sealed,
                self._copies,
            ).run(whole=whole)


class _Run:
    """One run: one frozen set, one seal id."""

    def __init__(
        self,
        store: Store,
        footers: Footers,
        pending: Pending,
        hot: HotLog,
        clock: Clock,
        ids: SealedIds,
        on_sealed: OnSealed,
        copies: HotCopies,
    ) -> None:
        self._store = store
        self._footers = footers
        self._pending = pending
        self._hot = hot
        self._copies = copies
        self._is_hot_ours = True
        self._clock = clock
        self._ids = ids
        self._on_sealed = on_sealed
        self._seal_id = uuid7(clock)
        self._problems: list[LakecoreError] = []
        self._waiting = Waiting()
        self._events = 0
        self._segments = 0

    def run(self, *, whole: bool = False) -> SealOutcome:
        # 1. Freeze: what is unsealed first, what is sealed second.
        hot = self._hot_bounds()
        files = self._pending.files()
        self._footers.refresh(listing=True)
        staged = self._pending.judge(files)
        self._problems += staged.problems
        self._check_hot(hot.log_id, hot.first)

        # 2. and 3. Check and seal, the next part being read while this one is written.
        commits = staged.with_fate(Fate.COMMITTED)
        is_whole = whole and not commits and self._is_hot_ours
        left = self._beyond_whole(hot) if is_whole else 0
        hot = replace(hot, end=hot.end - left)
        with closing(_read_ahead(self._parts(commits, hot))) as parts:
            self._seal_all(parts, hot.log_id)

        # 4. Clear.
        self._check_hot(hot.log_id)
        if self._is_hot_ours and hot.log_id is not None:
            self._hot.forget(self._footers.hot.get(hot.log_id, 0), hot.log_id)
        dead = [commit.info.path for commit in staged.with_fate(Fate.DEAD)]
        done = [c.info.path for c in commits if self._footers.is_sealed(c.commit_id)]
        self._delete([*staged.sealed, *dead, *done])
        return SealOutcome(self._events, self._segments, left, tuple(self._problems))

    def _delete(self, paths: list[str]) -> None:
        """Delete staged files, many at a time on a remote store: each costs a round trip."""
        if len(paths) < _FEW or self._store.local_path(paths[0]) is not None:
            for path in paths:
                self._store.delete(path)
            return
        with ThreadPoolExecutor(_DELETERS, thread_name_prefix="lakecore-clear") as deleters:
            for _ in deleters.map(self._store.delete, paths):
                pass

    def _beyond_whole(self, hot: HotBounds) -> int:
        """How many hot events lie behind the last segment that they fill; 0 if they fill none."""
        waiting = hot.end - self._footers.hot.get(hot.log_id or "", 0)
        room = room_at(self._footers.next_seq)
        return (waiting - room) % SEGMENT_EVENTS if waiting > room else 0

    def _hot_bounds(self) -> HotBounds:
        """What the hot log holds; one that does not say what it is keeps no commit waiting."""
        try:
            return self._hot.bounds()
        except CorruptData as error:
            self._is_hot_ours = False
            self._problems.append(error)
            return HotBounds()

    def _check_hot(self, log_id: str | None, first: int = 0) -> None:
        """Seal and forget nothing of a hot log that is not the one footers speak of."""
        try:
            if self._is_hot_ours:
                self._copies.check(log_id, first)
        except CorruptData as error:
            self._is_hot_ours = False
            self._problems.append(error)

    def _parts(self, commits: list[StagedCommit], hot: HotBounds) -> Iterator[Part]:
        """All events of the set that are not sealed, in sealing order."""
        footers = self._footers
        # What somebody began comes first, so that a commit's parts stay near each other.
        for commit in sorted(commits, key=lambda c: footers.sealed_count(c.commit_id) == 0):
            try:
                yield from self._commit_parts(commit)
            except NotFound:
                continue  # sealed and deleted by another since it was listed
            except (CorruptData, UnsupportedFormat) as error:
                self._problems.append(error)
        if self._is_hot_ours and hot.log_id is not None:
            source = Source(log_id=hot.log_id)
            try:
                first = footers.hot.get(hot.log_id, 0)
                pieces = _ahead_of(self._hot.read_from(first, hot.end, log_id=hot.log_id))
                for piece, lines, hashes in pieces:
                    yield part_of(source, piece.first, piece.table, hashes, piece.supplied, lines)
            except (CorruptData, InvalidInput, UnsupportedFormat) as error:
                self._problems.append(error)

    def _commit_parts(self, commit: StagedCommit) -> Iterator[Part]:
        """The unsealed events of a commit, once its digest is found right."""
        import numpy as np
        import pyarrow as pa

        info = commit.info
        reader = StagedReader(self._store, info.path, size_bytes=info.size_bytes)
        # The second pass takes the hashes of the first: 32 bytes an event, on disk if many.
        with SpooledTemporaryFile(max_size=_SPOOL_BYTES) as spool:
            total, digest = reader.check(lambda hashes: spool.write(hashes.tobytes()))
            record = commit.record
            if record is not None and (total, digest) != (record.event_count, record.digest):
                raise CorruptData(
                    "a staged file does not have the events that its commit names",
                    expected=f"{record.event_count} events, digest {record.digest}",
                    found=f"{total} events, digest {digest}",
                    where=info.path,
                )
            source = Source(commit.commit_id, commit.header.target.path, digest, total)
            sealed = self._footers.sealed_count(commit.commit_id)
            marks = commit.header.supplied
            supplied = None if marks is None else marks.rows(total)
            spool.seek(0)
            first = 0
            for batch in reader.batches(trusted=True):
                size = batch.num_rows
                data = spool.read(size * _HASH_BYTES)
                hashes = np.frombuffer(data, np.uint8).reshape(-1, _HASH_BYTES)
                marked = None if supplied is None else supplied[first : first + size]
                part = part_of(source, first, pa.Table.from_batches([batch]), hashes, marked)
                first += size
                if first > sealed:
                    yield part.cut(max(0, sealed - part.first), size)

    def _seal_all(self, parts: Iterator[Part], log_id: str | None) -> None:
        """Put segments until there is nothing left; `_waiting` has what was read so far."""
        losses = 0
        exhausted = False
        while True:
            while not exhausted and not self._waiting.fills(room_at(self._footers.next_seq)):
                part = next(parts, None)
                exhausted = part is None
                self._keep([] if part is None else [part])
            if not self._waiting:
                return
            taken = self._waiting.take(room_at(self._footers.next_seq))
            if self._put(taken):
                losses = 0
                continue
            # Another sealer has this position: keep what it has not sealed.
            losses += 1
            if losses > MAX_COMMIT_RETRIES:
                raise Conflict(
                    "other sealers kept winning",
                    found=f"{losses} positions",
                    where=self._footers.next_seq,
                    hint="nothing is lost: seal again later",
                )
            rest, self._waiting = [*taken, *self._waiting], Waiting()
            self._check_hot(log_id)
            self._keep(rest)

    def _put(self, parts: list[Part]) -> bool:
        """Create the next segment; False when the position is another's."""
        import numpy as np
        import pyarrow as pa

        # The end of the log is looked at once, and first. A thread that reads may take in
        # further footers at any time; then this position is taken, and nothing is sealed twice.
        tree = self._footers.frontier()
        if not self._is_next(parts) or sum(map(len, parts)) > room_at(tree.size):
            # Another sealer's clearing was seen before its footers were.
            self._footers.refresh()
            return False
        events = pa.concat_tables([part.events for part in parts])
        hashes = np.concatenate([part.hashes for part in parts])
        footer = self._footer(parts, events, hashes, tree)
        data = encode_segment(events, hashes, footer)
        try:
            self._store.create(footer.path, data)  # the commit point
        except AlreadyExists:
            self._footers.refresh()
            if self._footers.made_by(footer.first_seq) != self._seal_id:
                return False
            # A put that was retried below us found its own first try.
        else:
            self._footers.add(replace(footer, checksum=checksum_of(data)[0]))
        for part in parts:
            if part.source.log_id:
                self._copies.agreed(part.source.log_id, part.next)
        self._on_sealed(events, lines_of(parts), hashes, footer.first_seq)
        self._events += footer.count
        self._segments += 1
        return True

    def _footer(
        self, parts: list[Part], events: pa.Table, hashes: Any, frontier: Frontier
    ) -> SegmentFooter:
        import pyarrow as pa
        import pyarrow.compute as pc

        first_seq = frontier.size
        frontier.append(hashes)
        hot = self._footers.hot
        commits: list[SealedCommit] = []
        row = 0
        for part in parts:
            source, size = part.source, len(part)
            if source.log_id:
                hot[source.log_id] = part.next
            elif commits and commits[-1].commit_id == source.commit_id:
                commits[-1] = replace(commits[-1], count=commits[-1].count + size)
            else:
                commits.append(
                    SealedCommit(
                        commit_id=source.commit_id,
                        target=source.target,
                        digest=source.digest,
                        row=row,
                        first_ordinal=part.first,
                        count=size,
                        total=source.total,
                    )
                )
            row += size
        supplied = self._supplied(parts, events)
        twice = 0 if supplied is None else len(supplied.duplicates)
        times = pc.min_max(events.column("timestamp").cast(pa.int64())).as_py()
        return SegmentFooter(
            first_seq=first_seq,
            count=row,
            seal_id=self._seal_id,
            sealed_at_us=self._clock.now_us(),
            commits=tuple(commits),
            hot=hot,
            tree_size=frontier.size,
            root=frontier.root().hex(),
            edge=tuple(node.hex() for node in frontier.edge),
            timestamp_us=(times["min"], times["max"]),
            supplied=supplied,
            duplicate_ids=self._footers.duplicate_ids + twice,
        )

    def _supplied(self, parts: list[Part], events: pa.Table) -> Supplied | None:
        """The marks of supplied ids, and those of them that are sealed already."""
        rows = supplied_rows(parts)
        if rows is None:
            return None
        self._ids.catch_up()
        keys = keys_of(events.column("event_id").filter(rows).to_pylist())
        return Supplied.of(rows, self._ids.duplicates(keys, rows.nonzero()[0].tolist()))

    def _keep(self, parts: list[Part]) -> None:
        """Let the parts wait, without what the footers contain by now."""
        for part in parts:
            if part.source.log_id and not self._is_hot_ours:
                continue
            skipped = max(0, self._sealed(part.source) - part.first)
            if not skipped:
                self._waiting.append(part)
            elif skipped < len(part):
                self._waiting.append(part.cut(skipped, len(part)))

    def _sealed(self, source: Source) -> int:
        """How far a source is sealed, by the footers."""
        if source.log_id:
            return self._footers.hot.get(source.log_id, 0)
        return self._footers.sealed_count(source.commit_id)

    def _is_next(self, parts: list[Part]) -> bool:
        """Whether the parts continue their sources without a gap."""
        expected: dict[Source, int] = {}
        for part in parts:
            if part.first != expected.get(part.source, self._sealed(part.source)):
                return False
            expected[part.source] = part.next
        return True


def _ahead_of(
    pieces: Iterator[HotEvents],
) -> Iterator[tuple[HotEvents, pa.ChunkedArray, Hashes]]:
    """Pieces of at most `_HASH_ROWS` with their leaf inputs and hashes, some made ahead."""
    read: deque[HotEvents] = deque()
    damage: list[LakecoreError] = []

    def tables() -> Iterator[pa.Table]:
        try:
            for piece in pieces:
                for start in range(0, piece.table.num_rows, _HASH_ROWS):
                    part = piece.cut(start, start + _HASH_ROWS)
                    read.append(part)
                    yield part.table
        except LakecoreError as error:
            damage.append(error)  # told after what was read before it

    for lines, hashes in inputs_ahead(tables()):
        yield read.popleft(), lines, hashes
    if damage:
        raise damage[0]


def _read_ahead(parts: Iterator[Part]) -> Generator[Part, None, None]:
    """The same parts, the next one being read and hashed in a thread meanwhile."""
    with ThreadPoolExecutor(1, thread_name_prefix="lakecore-seal") as thread:
        future = thread.submit(next, parts, None)
        while True:
            part = future.result()
            if part is None:
                return
            future = thread.submit(next, parts, None)
            yield part
