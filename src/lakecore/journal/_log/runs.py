"""Runs and stubs: where the events of the log are after compaction, and how they are found.

``journal/merged/<first_seq, 20 digits>-<level>.parquet`` is a *run*: the events of an aligned
range of 2**level, in the same order, with the same columns as segments have. Its footer is
that of a segment: the tree after its last event, and for the lowest level the concatenated
lists of commits of what it merges (the rows counted from the run's first), for the next level
none: the files that it merges keep theirs. ``pieces`` says how many events each of those has,
so their names are known. Everything in it follows from the merged files: whoever makes it,
with the same release of Parquet, makes the same bytes.

A *stub* keeps the name, the columns and the footer of a file whose events are in a run.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, Final

from lakecore.base import (
    CorruptData,
    Inconclusive,
    LakecoreError,
    NotFound,
    UnsupportedFormat,
)
from lakecore.journal._log.archived import archived_path
from lakecore.journal._log.segment import (
    FOLDER,
    Moved,
    SegmentFooter,
    decoding,
    encode_table,
    footer_of,
    open_segment,
    position_of,
    raw_footer,
    read_footer,
    run_of,
)

if TYPE_CHECKING:
    import pyarrow as pa

    from lakecore.storage import Store

MERGED: Final = "journal/merged/"
LEVELS: tuple[int, int] = (16, 20)
"""A range of the first is what segments never cross. Tests have smaller ones."""
MAX_HOPS: Final = 4
"""Segment, run, larger run, archive: a stub never leads further."""
_MAX_KNOWN: Final = 1024


@dataclass(frozen=True, slots=True, order=True)
class Run:
    """An aligned range of events, and the name of the file for it."""

    first_seq: int
    level: int

    @property
    def count(self) -> int:
        return 1 << self.level

    @property
    def end_seq(self) -> int:
        return self.first_seq + self.count

    @property
    def path(self) -> str:
        return f"{MERGED}{self.first_seq:020d}-{self.level:02d}.parquet"

    @classmethod
    def at(cls, seq: int, level: int) -> Run:
        """The run of a level that the event is in."""
        return cls(seq >> level << level, level)

    @classmethod
    def of(cls, path: str) -> Run | None:
        """The run that a path names; None for anything that is none of ours."""
        named = run_of(path)
        run = cls(*named) if named else None
        return run if run and run.level in LEVELS and not run.first_seq % run.count else None


@dataclass(frozen=True, slots=True)
class Place:
    """Events that follow each other, and the file that has them, from its row `row` on."""

    first_seq: int
    count: int
    path: str
    row: int
    min_us: int
    max_us: int

    @property
    def end_seq(self) -> int:
        return self.first_seq + self.count

    def cut(self, first_seq: int, end_seq: int) -> Place | None:
        """The part of it that is in ``[first_seq, end_seq)``."""
        first, end = max(first_seq, self.first_seq), min(end_seq, self.end_seq)
        if first >= end:
            return None
        row = self.row + first - self.first_seq
        return replace(self, first_seq=first, count=end - first, row=row)

    def moved_to(self, path: str, file_first_seq: int) -> Place:
        """The same events in another file."""
        return replace(self, path=path, row=self.first_seq - file_first_seq)


@dataclass(frozen=True, slots=True)
class SealedRange:
    """A position of the log: what its footer says, and where its events are now.

    Attributes:
        path: the name in the log, of the segment or its stub.
        footer: None when it does not decode; then `problem` says why.
        rows_path, row: the file that has the events, and the first one's row in it; the
            file is the segment itself, or the run that its stub leads to.
    """

    path: str
    footer: SegmentFooter | None
    rows_path: str
    row: int
    problem: LakecoreError | None = None


def sealed_ranges(store: Store, *, after: str | None = None) -> Iterator[SealedRange]:
    """All positions of the log in order, one footer in memory at a time.

    A footer that cannot be read is a range with a `problem`, as is a stub whose run is
    missing; everything else that the store raises is raised.
    """
    known: dict[str, str] = {}
    for info in store.list_objects(FOLDER, after=after):
        if position_of(info.path) is None:
            continue
        footer = None
        try:
            footer = read_footer(store, info.path)
            rows_path, row = info.path, 0
            if footer.moved is not None:
                rows_path, first = _follow(store, info.path, footer.moved, known)
                row = footer.first_seq - first
        except (CorruptData, Inconclusive, NotFound, UnsupportedFormat) as error:
            yield SealedRange(info.path, footer, info.path, 0, error)
        else:
            yield SealedRange(info.path, footer, rows_path, row)


class RowReader:
    """Rows of files of the log. One file is open at a time, one row group in memory.

    Args:
        verify_pages: compare the checksums of Parquet's pages.
    """

    def __init__(self, store: Store, *, verify_pages: bool = False) -> None:
        self._store = store
        self._verify_pages = verify_pages
        self._path = ""
        self._parquet: Any = None
        self._file: Any = None
        self._group: tuple[int, pa.Table] | None = None

    def read(self, path: str, row: int, count: int) -> Iterator[pa.Table]:
        """The rows from `row` on, at most a row group at a time.

        Raises:
            CorruptData: the file does not decode, or has no such rows.
        """
        if path != self._path:
            self._open(path)
        end = row + count
        with decoding(path):
            for index, low, high in row_groups(self._parquet, row, end):
                if self._group is None or self._group[0] != index:
                    self._group = (index, self._parquet.read_row_group(index))
                yield self._group[1].slice(low, high - low)
            if end > self._parquet.metadata.num_rows:
                raise CorruptData(
                    "a file of the log ends too early",
                    expected=f"{end} rows",
                    found=f"{self._parquet.metadata.num_rows} rows",
                )

    def close(self) -> None:
        if self._file is not None:
            self._file.__exit__(None, None, None)
        self._path, self._file, self._parquet, self._group = "", None, None, None

    def _open(self, path: str) -> None:
        self.close()
        file = open_segment(self._store, path, verify_pages=self._verify_pages)
        self._parquet = file.__enter__()
        self._path, self._file = path, file

    def __enter__(self) -> RowReader:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


def row_groups(parquet: Any, first: int, end: int) -> Iterator[tuple[int, int, int]]:
    """The row groups that have rows of ``[first, end)``: (index, from row, to row in it)."""
    start = 0
    for index in range(parquet.num_row_groups):
        rows = parquet.metadata.row_group(index).num_rows
        low, high = max(first - start, 0), min(end - start, rows)
        if low < high:
            yield index, low, high
        start += rows


@contextmanager
def open_place(
    store: Store, place: Place, *, encoded: Collection[str] = ()
) -> Iterator[tuple[Any, Place]]:
    """The open file that has the events of a place, and the place in it.

    The place is another one when what lay there is a stub by now.

    Args:
        encoded: see `open_segment`.

    Raises:
        CorruptData: a file does not decode; stubs lead in a circle, or to nowhere.
        Unavailable: the events are in an archive that cannot be reached.
    """
    for _ in range(MAX_HOPS):
        with open_file(store, place, encoded=encoded) as parquet:
            moved = moved_of(parquet, place.path)
            if moved is None:
                yield parquet, place
                return
        place = _moved_place(place, moved)
    raise _circle(place.path)


@contextmanager
def open_file(store: Store, place: Place, *, encoded: Collection[str] = ()) -> Iterator[Any]:
    """The file of a place, be it a stub; one that is missing is damage."""
    try:
        file = open_segment(store, place.path, encoded=encoded)
        parquet = file.__enter__()
    except NotFound as error:
        raise _missing(place.path) from error
    try:
        yield parquet
    finally:
        file.__exit__(None, None, None)


def moved_of(parquet: Any, path: str) -> Moved | None:
    """Where the events of an open stub are; None when it is none."""
    if parquet.metadata.num_rows:
        return None
    with decoding(path):
        return footer_of(parquet, path).moved


def is_stub(store: Store, path: str) -> bool:
    """Whether what lies there now is a stub; False also for what does not decode."""
    try:
        with open_segment(store, path) as parquet:
            return moved_of(parquet, path) is not None
    except (CorruptData, NotFound):
        return False


def encode_stub(parquet: Any, moved: Moved) -> bytes:
    """The stub of an open segment or run."""
    footer = raw_footer(parquet)
    moved = replace(moved, checksum=str(footer["checksum"]))
    # Everything that the footer says stays, also what a later release put there.
    return encode_table(parquet.schema_arrow.empty_table(), footer | {"moved": moved.to_json()})


def _follow(store: Store, path: str, moved: Moved, known: dict[str, str]) -> tuple[str, int]:
    """(path, `first_seq`) of the file that has a stub's events.

    Args:
        known: where runs have led before; thousands of stubs name the same one.
    """
    for _ in range(MAX_HOPS):
        path = moved.path
        run = run_of(path)
        if moved.archive:
            # The archive itself is asked only for rows.
            first = run[0] if run else position_of(path)
            return archived_path(moved.archive, path), first or 0
        if run is None:
            raise CorruptData("a stub names no run", found=path)
        if known.get(path) == path:
            return path, run[0]
        if path in known:
            moved = Moved(known[path])
            continue
        try:
            with open_segment(store, path) as parquet:
                following = moved_of(parquet, path)
        except NotFound as error:
            raise _missing(path) from error
        if len(known) >= _MAX_KNOWN:
            known.clear()
        if following is None:
            known[path] = path
            return path, run[0]
        if not following.archive:
            known[path] = following.path
        moved = following
    raise _circle(path)


def _moved_place(place: Place, moved: Moved) -> Place:
    if moved.archive:
        # The very file that the stub replaced: the row is the same.
        return replace(place, path=archived_path(moved.archive, moved.path))
    run = run_of(moved.path)
    if run is None:
        raise CorruptData("a stub names no run", found=moved.path, where=place.path)
    return place.moved_to(moved.path, run[0])


def _missing(path: str) -> CorruptData:
    return CorruptData("a file of the log is missing", where=path)


def _circle(path: str) -> CorruptData:
    return CorruptData(
        "stubs do not lead to the events", expected=f"at most {MAX_HOPS} steps", where=path
    )
