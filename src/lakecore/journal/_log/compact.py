"""Compaction: the events of many segments into aligned runs; the segments become stubs.

Any process of any machine may compact, any number at a time, while others seal and read:

1. **Make.** A range of 2**16 events that is complete and lies in several segments is read,
   its leaves are recomputed and compared with what was sealed, and it is written, create-only,
   to its run. If there is one already, that one is used. Sixteen such pieces, be they runs or
   full segments, make a run of 2**20; its row groups are theirs.
2. **Verify.** The run is read back from the store: its bytes against its checksum, its rows
   for contiguous `seq`, its leaves against the tree before and after the range as the segments'
   own footers have it, its lists against theirs. Anything wrong is `CorruptData`, and nothing
   is swapped.
3. **Wait.** Readers take a run as soon as it is there; who took the segments' paths before
   gets time to finish. Nobody has to: who opens a stub goes on to the run.
4. **Swap.** One after the other, in order, the files that a run merges are replaced by their
   stubs. So when the last one is a stub, all are. Names in the log stay taken: a sealer that
   slept finds its old position taken, and the winner's seal id in the stub.

Crash windows, and what the next compactor finds:

- A, before the run is there: nothing happened.
- B, before, between or after the stubs: the run is there; it is verified and the swap goes on.
- C, a put that lands late: the run is create-only; a stub's bytes follow from the file that
  it replaces, so it lands on what is the same stub already.

Memory holds one row group: 65,536 events, or fewer that are large.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Container, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any, Final

from lakecore.base import (
    AlreadyExists,
    Clock,
    CorruptData,
    Inconclusive,
    LakecoreError,
    NotFound,
    Unavailable,
    UnsupportedFormat,
)
from lakecore.base.limits import MIB
from lakecore.journal._log import runs
from lakecore.journal._log.run_file import RunWriter, checked_hashes
from lakecore.journal._log.runs import MERGED, RowReader, Run, encode_stub, moved_of
from lakecore.journal._log.segment import (
    Moved,
    SegmentFooter,
    footer_of,
    open_segment,
    read_footer,
    segment_path,
    stored_checksum,
)

if TYPE_CHECKING:
    import pyarrow as pa

    from lakecore.journal._log.footers import Footers
    from lakecore.storage import Store
    from lakecore.tlog import Hashes

MAX_GROUP_BYTES: Final = 64 * MIB
"""Of events in memory: a row group of large values has fewer of them."""
_PROBLEMS: Final = (CorruptData, Inconclusive, NotFound, UnsupportedFormat)
"""What one range may have, while others are fine."""
_MAX_TEXT: Final = 200


@dataclass(slots=True)
class CompactReport:
    """What a compaction did.

    Attributes:
        runs: paths of the runs that it made.
        replaced: how many files it replaced by stubs.
        bytes_before, bytes_after: of the replaced files; of their stubs and runs.
        waiting_s: seconds until the next swap is due; None when there is none.
        problems: what is wrong with ranges that were left as they are.
    """

    runs: list[str] = field(default_factory=list)
    replaced: int = 0
    bytes_before: int = 0
    bytes_after: int = 0
    waiting_s: float | None = None
    problems: list[LakecoreError] = field(default_factory=list)


@dataclass(frozen=True, slots=True)
class _Source:
    """A file that a run merges."""

    path: str
    footer: SegmentFooter
    schema: Any


class Compactor:
    """Compacts one journal. Threads may share it: they follow each other."""

    def __init__(self, store: Store, footers: Footers, clock: Clock) -> None:
        self._store = store
        self._footers = footers
        self._clock = clock
        self._lock = threading.Lock()
        self._seen = 0
        self._due = 0.0
        self._verified: set[Run] = set()
        self._failed: set[Run] = set()
        self._should_stop: Callable[[], bool] = _never

    def is_due(self) -> bool:
        """Whether a range was completed since the last time, or a swap may go on; cheap."""
        complete = self._footers.next_seq >> runs.LEVELS[0]
        return complete > 0 and (complete != self._seen or time.monotonic() >= self._due)

    def compact(
        self,
        *,
        grace_s: float,
        should_stop: Callable[[], bool] | None = None,
        again: bool = True,
    ) -> CompactReport:
        """Make the runs that there can be, and swap what they merge.

        Args:
            grace_s: how old a run has to be before what it merges is replaced.
            should_stop: asked between steps; what is left is for the next time.
            again: also look at ranges that had a problem before.

        Raises:
            Unavailable, OutOfSpace, ...: of the store; what is done stays done.
        """
        with self._lock:
            if again:
                self._failed.clear()
            self._should_stop = should_stop or _never
            report = CompactReport()
            self._footers.refresh(listing=True)
            complete = self._footers.next_seq >> runs.LEVELS[0]
            with suppress(_Stopped):
                for level in runs.LEVELS:
                    self._footers.look_for_runs()
                    self._compact_level(level, grace_s, report)
                self._seen = complete
                waiting = float("inf") if report.waiting_s is None else report.waiting_s
                self._due = time.monotonic() + waiting
            self._footers.look_for_runs()
            return report

    def _compact_level(self, level: int, grace_s: float, report: CompactReport) -> None:
        made = self._listed()
        for run in self._missing(level, made):
            with self._problems(run, report):
                sources = self._sources(run, made)
                if any(source.footer.is_archived for source in sources):
                    self._failed.add(run)
                    continue
                if self._make(run, sources):
                    report.runs.append(run.path)
                self._verify(run, sources)
                made[run] = self._store.head(run.path).modified_us
        for run in sorted(run for run in made if run.level == level):
            self._go_on()
            if run in self._failed:
                continue
            with self._problems(run, report):
                if self._is_done(run, made):
                    continue
                age_s = (self._clock.now_us() - made[run]) / 1e6
                if grace_s > 0 and age_s < grace_s:
                    rest_s = grace_s - age_s
                    report.waiting_s = min(rest_s, report.waiting_s or rest_s)
                else:
                    self._swap(run, made, report)

    @contextmanager
    def _problems(self, run: Run, report: CompactReport) -> Iterator[None]:
        """Keep what is wrong with a range, so that others go on."""
        try:
            yield
        except _PROBLEMS as error:
            if self._is_overtaken(run):
                return
            report.problems.append(error)
            self._failed.add(run)

    def _is_overtaken(self, run: Run) -> bool:
        """Whether others have merged a run into a larger one meanwhile."""
        try:
            return read_footer(self._store, run.path).moved is not None
        except _PROBLEMS:
            return False

    def _listed(self) -> dict[Run, int]:
        """The runs there are, and since when."""
        found = ((Run.of(o.path), o.modified_us) for o in self._store.list_objects(MERGED))
        return {run: modified_us for run, modified_us in found if run is not None}

    def _missing(self, level: int, made: dict[Run, int]) -> Iterator[Run]:
        """The complete ranges without a run that they should have."""
        small = runs.LEVELS[0]
        pieces: dict[Run, list[bool]] = {}
        for place in self._footers.places():
            run = Run.at(place.first_seq, level)
            if run.end_seq > self._footers.next_seq or run in made or run in self._failed:
                continue
            piece = Run(place.first_seq, small)
            is_final = place.count == 1 << small and (
                piece not in made or self._footers.is_swapped(piece)
            )
            pieces.setdefault(run, []).append(is_final)
        for run, finals in pieces.items():
            if len(finals) > 1 and (level == small or all(finals)):
                yield run

    def _is_done(self, run: Run, made: dict[Run, int]) -> bool:
        """Whether all that a run merges is stubs. They come in order: the last one tells."""
        large = Run.at(run.first_seq, runs.LEVELS[1])
        if self._footers.is_swapped(run) or (run != large and self._footers.is_swapped(large)):
            return True
        with open_segment(self._store, run.path) as parquet:
            footer = footer_of(parquet, run.path)
        if footer.moved is None:
            last = _source_path(run, run.end_seq - footer.pieces[-1], made)
            with open_segment(self._store, last) as parquet:
                if moved_of(parquet, last) is None:
                    return False
        self._footers.set_swapped(run)
        return True

    def _sources(self, run: Run, made: dict[Run, int]) -> list[_Source]:
        """What a run merges, in order, by the names in the log.

        Raises:
            CorruptData: they are not contiguous, or damaged.
        """
        found: list[_Source] = []
        seq = run.first_seq
        while seq < run.end_seq:
            path = _source_path(run, seq, made)
            try:
                with open_segment(self._store, path) as parquet:
                    footer = footer_of(parquet, path)
                    found.append(_Source(path, footer, parquet.schema_arrow))
            except NotFound as error:
                raise CorruptData("a file of the log is missing", where=path) from error
            seq = footer.next_seq
        if seq != run.end_seq:
            raise CorruptData(
                "a segment crosses the end of a range",
                expected=f"an end at {run.end_seq}",
                found=seq,
                where=found[-1].path,
            )
        return found

    def _make(self, run: Run, sources: list[_Source]) -> bool:
        """Write a run; False if another compactor was faster."""
        import pyarrow as pa

        for source in sources:
            if source.footer.moved is not None and not self._store.exists(run.path):
                raise CorruptData("the run that a stub names is missing", where=run.path)
        schema = pa.unify_schemas([source.schema for source in sources])
        tree = self._tree_before(run)
        try:
            with (
                self._store.upload(run.path) as file,
                RowReader(self._store, verify_pages=True) as reader,
                RunWriter(file, schema) as writer,
            ):
                for group in _groups(reader, sources, is_whole=run.level == runs.LEVELS[0]):
                    self._go_on()
                    tree.append(_hashes_of(group, tree.size))
                    writer.write([table for _, _, table in group])
                last = sources[-1]
                if tree != last.footer.frontier():
                    raise _wrong("root", last.footer.root, tree.root().hex(), last.path)
                writer.finish(_footer(run, sources).to_json())
        except AlreadyExists:
            return False
        except CorruptData:
            # Files that were merged by another meanwhile are no damage.
            if not self._store.exists(run.path):
                raise
            return False
        return True

    def _verify(self, run: Run, sources: list[_Source]) -> None:
        """Read a run back and hold it against the footers of what it merges."""
        if run in self._verified:
            return
        path = run.path
        stored, found = stored_checksum(self._store, path)
        if stored != found:
            raise _wrong("checksum", stored, found, path)
        with open_segment(self._store, path) as parquet:
            footer = footer_of(parquet, path)
        expected = _footer(run, sources)
        for name in expected.__slots__:
            if name != "checksum" and getattr(expected, name) != getattr(footer, name):
                raise _wrong(name, getattr(expected, name), getattr(footer, name), path)
        tree = self._tree_before(run)
        with RowReader(self._store, verify_pages=True) as reader:
            for table in reader.read(path, 0, run.count):
                self._go_on()
                row = tree.size - run.first_seq
                tree.append(checked_hashes(table, path, row, tree.size))
        if tree != sources[-1].footer.frontier():
            raise _wrong("root", sources[-1].footer.root, tree.root().hex(), path)
        self._verified.add(run)

    def _swap(self, run: Run, made: dict[Run, int], report: CompactReport) -> None:
        """Replace what a run merges by stubs, in order."""
        sources = self._sources(run, made)
        self._verify(run, sources)
        report.bytes_after += self._store.head(run.path).size_bytes
        for source in sources:
            self._go_on()
            size = self._store.head(source.path).size_bytes
            with open_segment(self._store, source.path) as parquet:
                if moved_of(parquet, source.path) is not None:
                    continue
                stub = encode_stub(parquet, Moved(run.path))
            self._store.put(source.path, stub)
            report.replaced += 1
            report.bytes_before += size
            report.bytes_after += len(stub)
        self._footers.set_swapped(run)
        self._verified.discard(run)

    def _go_on(self) -> None:
        if self._should_stop():
            raise _Stopped

    def _tree_before(self, run: Run) -> Any:
        tree = self._footers.frontier_at(run.first_seq)
        if tree is None:
            raise Unavailable(
                "the tree before a range is not known at this time",
                where=run.path,
                hint="compact again",
            )
        return tree


class _Stopped(Exception):
    """The caller wants an end."""


def _never() -> bool:
    return False


def _source_path(run: Run, seq: int, made: Container[Run]) -> str:
    """The file that a run merges at a position."""
    piece = Run.at(seq, runs.LEVELS[0])
    return piece.path if run.level != piece.level and piece in made else segment_path(seq)


def _groups(
    reader: RowReader, sources: list[_Source], *, is_whole: bool
) -> Iterator[list[tuple[str, int, pa.Table]]]:
    """The row groups of a run: (path, row in it, rows) of each part.

    Args:
        is_whole: put small ones together, up to `MAX_GROUP_BYTES`; else each stays one.
    """
    group: list[tuple[str, int, pa.Table]] = []
    size = 0
    for source in sources:
        row = 0
        path = source.path
        for table in reader.read(path, 0, source.footer.count):
            if group and (not is_whole or size + table.nbytes > MAX_GROUP_BYTES):
                yield group
                group, size = [], 0
            group.append((path, row, table))
            size += table.nbytes
            row += table.num_rows
    if group:
        yield group


def _hashes_of(group: list[tuple[str, int, pa.Table]], first_seq: int) -> Hashes:
    """The leaf hashes of a row group; what is wrong is told by file and row."""
    import pyarrow as pa

    whole = pa.concat_tables([table for _, _, table in group], promote_options="default")
    try:
        # All at once: of thousands of small files, each would cost a millisecond and more.
        return checked_hashes(whole, group[0][0], group[0][1], first_seq)
    except _PROBLEMS:
        for path, row, table in group:
            checked_hashes(table, path, row, first_seq)
            first_seq += table.num_rows
        raise


def _footer(run: Run, sources: list[_Source]) -> SegmentFooter:
    """What a run's footer says: all of it follows from those of what it merges."""
    footers = [source.footer for source in sources]
    last = footers[-1]
    is_small = run.level == runs.LEVELS[0]
    commits = (
        replace(part, row=footer.first_seq - run.first_seq + part.row)
        for footer in (footers if is_small else ())
        for part in footer.commits
    )
    marked = (
        (footer.first_seq, footer.count, footer.sealed_at_us)
        for footer in (footers if is_small else ())
        if footer.supplied is not None
    )
    return SegmentFooter(
        first_seq=run.first_seq,
        count=run.count,
        seal_id=last.seal_id,
        sealed_at_us=last.sealed_at_us,
        commits=tuple(commits),
        hot=last.hot,
        tree_size=last.tree_size,
        root=last.root,
        edge=last.edge,
        timestamp_us=(
            min(footer.timestamp_us[0] for footer in footers),
            max(footer.timestamp_us[1] for footer in footers),
        ),
        pieces=tuple(footer.count for footer in footers),
        marked=tuple(marked),
    )


def _wrong(part: str, expected: object, found: object, path: str) -> CorruptData:
    return CorruptData(
        f"a run or what it merges has a wrong {part}",
        expected=_shortened(expected),
        found=_shortened(found),
        where=path,
    )


def _shortened(part: object) -> str:
    text = str(part)
    return text if len(text) <= _MAX_TEXT else f"{text[:_MAX_TEXT]}…"
