"""What all footers say: where sealed events are, which commits are sealed, the state at the end.

Footers never change, so they are read once and cached, see `footer_cache`. Opening a journal
of 1,000 segments reads one footer; without the cache, one for every 65,536 events, and one
for every segment that no run has.

What is sealed is a row of *places*, see `runs.Place`. What compaction did is seen

- at opening, and when somebody is about to give paths away (`look_for_runs`);
- when a stub is met, by whoever reads one;
- else once in `LOOK_S`, and only while there is a range that may have been merged.

So a snapshot costs one question to the store: is there a segment at the next position?
Whoever does not know of a run reads what it merges, until that is a stub.
"""

from __future__ import annotations

import tempfile
import threading
import time
from bisect import bisect_left
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Final, TypeVar

from lakecore.base import CorruptData, LakecoreError, NotFound
from lakecore.journal._log import runs
from lakecore.journal._log.ahead import Found, footer_at, footers_at
from lakecore.journal._log.footer_cache import (
    CACHE_FAILS,
    FooterCache,
    Piece,
    State,
    state_of,
)
from lakecore.journal._log.runs import MERGED, Place, Run
from lakecore.journal._log.segment import (
    FOLDER,
    SegmentFooter,
    position_of,
    read_footer,
    run_of,
    segment_path,
    stored_checksum,
)
from lakecore.journal._log.view import View
from lakecore.tlog import Frontier

if TYPE_CHECKING:
    from lakecore.storage import Store

_Answer = TypeVar("_Answer")
_REBUILT: Final = (CorruptData, *CACHE_FAILS)
"""What a cache is left for: all footers are read again."""
LOOK_S: Final = 60.0
"""Well below the time that a run has to be there before what it merges goes."""


class Footers:
    """The footers of a journal, as of the last `refresh`. Threads may share it."""

    _places: list[Place]
    _given: tuple[Place, ...] | None
    _state: State

    def __init__(self, store: Store, state_dir: Path) -> None:
        self._store = store
        self._state_dir = state_dir
        self._cache = FooterCache(state_dir)
        self._is_renewed = False
        self._temporary: tempfile.TemporaryDirectory[str] | None = None
        self._lock = threading.RLock()
        self._opened = False
        self._forget()

    @property
    def next_seq(self) -> int:
        """The position of the next segment; the number of sealed events."""
        with self._lock:  # a cache that is being read again knows less for a while
            return self._next_seq

    @property
    def hot(self) -> dict[str, int]:
        """How far each hot log is sealed."""
        with self._lock:
            return dict(self._state.get("hot", {}))

    @property
    def duplicate_ids(self) -> int:
        """How many sealed events have a supplied id that another event had before."""
        with self._lock:
            return int(self._state.get("duplicate_ids", 0))

    def frontier(self) -> Frontier:
        """The Merkle tree over all sealed events; a copy."""
        with self._lock:
            edge = self._state.get("edge", [])
            return Frontier(self._next_seq, [bytes.fromhex(node) for node in edge])

    def frontier_at(self, seq: int) -> Frontier | None:
        """The tree over the first `seq` events, where a footer says it."""
        with self._lock:
            state = self._state_at(seq)
        if state is None:
            return None if seq else Frontier.empty()
        return Frontier(seq, [bytes.fromhex(node) for node in state["edge"]])

    def hot_at(self, seq: int) -> dict[str, int] | None:
        """How far each hot log is sealed in the first `seq` events, where a footer says it."""
        with self._lock:
            state = self._state_at(seq)
        return None if state is None else dict(state["hot"])

    def places(self) -> tuple[Place, ...]:
        """Where all sealed events are, in order."""
        with self._lock:
            if self._given is None:
                self._given = tuple(self._places)
            return self._given

    def view(self) -> View:
        """What they say now, as of one moment."""
        with self._lock:
            return View(self.places(), self.hot, self.frontier(), self.duplicate_ids)

    def refresh(self, *, listing: bool = False) -> None:
        """Read the footers that others made since.

        Args:
            listing: list the log, so that a missing segment is noticed, instead of asking
                for the next position only.

        Raises:
            CorruptData: a segment is damaged, or one is missing in the row.
        """
        with self._lock:
            first = not self._opened
            if first:
                self._open()
            self._guarded(lambda: self._catch_up(listing=listing or first, look=first))

    def look_for_runs(self) -> None:
        """Take in the runs that compaction made since, wherever it ran."""
        with self._lock:
            if self._opened:
                self._guarded(self._look_for_runs)
            else:
                self.refresh()

    def add(self, footer: SegmentFooter) -> None:
        """Take in the next footer: one that was just made durable."""
        with self._lock:
            if footer.first_seq >= self._next_seq:  # else a reader has met it already
                self._guarded(lambda: self._add(footer, footer.path))

    def made_by(self, first_seq: int) -> str | None:
        """The seal id of the run that made the segment at a position; None when there is none."""
        path = segment_path(first_seq)
        known = self._asked(lambda cache: cache.made_by(first_seq, path))
        if known is not None:
            return known
        try:
            # Known from a run that it was merged into: its stub says it still.
            return read_footer(self._store, path).seal_id
        except NotFound:
            return None

    # Of a commit, as of now, or among the first `end_seq` events: see `View.size`.

    def sealed_count(self, commit_id: str, end_seq: int | None = None) -> int:
        """How many of a commit's events are sealed, from its first on."""
        end = self.next_seq if end_seq is None else end_seq
        return self._asked(lambda cache: cache.sealed_count(commit_id, end))

    def is_sealed(self, commit_id: str, end_seq: int | None = None) -> bool:
        """Whether all of a commit's events are sealed."""
        pieces = self.pieces(commit_id, end_seq)
        return bool(pieces) and sum(p.commit.count for p in pieces) == pieces[0].commit.total

    def pieces(self, commit_id: str, end_seq: int | None = None) -> list[Piece]:
        """Where a commit's events are, in order."""
        end = self.next_seq if end_seq is None else end_seq
        return self._asked(lambda cache: cache.pieces(commit_id, end))

    def all_pieces(self) -> Iterator[Piece]:
        """Every part of every sealed commit, by commit and order in it."""
        self._asked(FooterCache.check_pieces)
        key = ("", -1)
        while pieces := self._asked(partial(FooterCache.pieces_after, key=key)):
            yield from pieces
            key = pieces[-1].key

    def supplied(self, first_seq: int, since_us: int) -> list[tuple[int, int, int]]:
        """(first_seq, count, sealed_at_us) of segments with ids that callers supplied.

        Args:
            first_seq, since_us: only segments from this position, and sealed from this time on.
        """
        end = self.next_seq
        return self._asked(lambda cache: cache.marked(first_seq, end, since_us))

    def is_swapped(self, run: Run) -> bool:
        """Whether all that a run merges is known to be stubs."""
        return self._asked(lambda cache: cache.is_swapped(run.path))

    def set_swapped(self, run: Run) -> None:
        """Keep in mind that all that a run merges is stubs: they never become files again."""
        self._cache.set_swapped(run.path)

    def close(self) -> None:
        self._cache.close()
        if self._temporary is not None:
            self._temporary.cleanup()

    def _open(self) -> None:
        """Load the cache, if it is there, readable, and of this journal."""
        try:
            self._places, self._state = self._cache.load(self._is_current)
        except _REBUILT as error:
            self._renew(error)
        self._next_seq = self._places[-1].end_seq if self._places else 0
        self._opened = True

    def _is_current(self, path: str, checksum: str) -> bool:
        try:
            return read_footer(self._store, path).first_checksum == checksum
        except NotFound:
            return False

    def _guarded(self, change: Callable[[], None]) -> None:
        """Do it; where the cache fails, read all footers into another one instead."""
        try:
            change()
        except _REBUILT as error:
            self._renew(error)
            self._catch_up(listing=True, look=True)

    def _asked(self, ask: Callable[[FooterCache], _Answer]) -> _Answer:
        """What the cache answers; where it fails, another one that has all footers again."""
        cache = self._cache
        try:
            return ask(cache)
        except LakecoreError as error:
            with self._lock:
                if cache is self._cache:
                    if not isinstance(error, _REBUILT):
                        raise
                    self._renew(error)
                    self._catch_up(listing=True, look=True)
                elif not cache.is_mine(error):
                    raise
                cache = self._cache
        return ask(cache)

    def _renew(self, error: LakecoreError) -> None:
        """Have another, empty cache instead of the one that failed; raise what is not its own.

        A damaged file is removed, once. For a state directory that cannot be written or is
        full, there is a temporary one.
        """
        if self._temporary is not None or not self._cache.is_mine(error):
            raise error
        if isinstance(error, CorruptData) and not self._is_renewed:
            self._is_renewed = True
            self._cache.discard()
            self._cache = FooterCache(self._state_dir)
        else:
            self._cache.close()
            self._temporary = tempfile.TemporaryDirectory(prefix="lakecore-footers-")
            self._cache = FooterCache(Path(self._temporary.name))
        self._forget()

    def _forget(self) -> None:
        self._places = []
        self._given = None
        self._next_seq = 0
        self._state = {}
        self._looked = float("-inf")
        self._refused: set[Run] = set()

    # What sealing added

    def _catch_up(self, *, listing: bool, look: bool) -> None:
        look = look or self._is_time_to_look()
        if look:
            self._look_for_runs()
        for position, read in self._listed() if listing else self._probed():
            if position < self._next_seq:
                continue
            footer, path = read(), segment_path(position)
            if footer.moved is not None and not look:
                self._look_for_runs()
                look = True
            if footer.first_seq >= self._next_seq:
                self._add(footer, path)

    def _listed(self) -> Iterator[Found]:
        last = segment_path(self._next_seq - 1) if self._next_seq else None
        listed = self._store.list_objects(FOLDER, after=last)
        positions = (p for info in listed if (p := position_of(info.path)) is not None)
        yield from footers_at(self._store, positions)

    def _probed(self) -> Iterator[Found]:
        # Positions have no gap, so the name of the next one is known. (A local folder of
        # 10,000 names takes milliseconds to list, and a bucket charges more for a listing.)
        while self._store.exists(segment_path(self._next_seq)):
            yield self._next_seq, partial(footer_at, self._store, self._next_seq)

    def _add(self, footer: SegmentFooter, path: str) -> None:
        if footer.first_seq != self._next_seq or footer.tree_size != footer.next_seq:
            found = f"{footer.count} events from {footer.first_seq}, a tree of {footer.tree_size}"
            raise _not_contiguous(self._next_seq, found, path)
        place = _place_of(footer, path)
        self._cache.add(footer, place, path)
        self._places.append(place)
        self._set_end(footer)

    def _set_end(self, footer: SegmentFooter) -> None:
        self._given = None
        self._next_seq = footer.next_seq
        self._state = state_of(footer)

    def _state_at(self, seq: int) -> State | None:
        if seq == self._next_seq:
            return self._state or None
        known = self._asked(lambda cache: cache.state_at(seq))
        return known or (self._state_in_store(seq) if 0 < seq < self._next_seq else None)

    def _state_in_store(self, seq: int) -> State | None:
        """As `_state_at`, for what a process that took in a run dropped from the cache."""
        start = Run.at(seq - 1, runs.LEVELS[0]).first_seq
        last = None
        for info in self._store.list_objects(FOLDER, after=f"{FOLDER}{start:020d}"):
            position = position_of(info.path)
            if position is not None and position >= seq:
                break
            last = info.path if position is not None else last
        if last is None:
            return None
        footer = read_footer(self._store, last)
        return state_of(footer) if footer.next_seq == seq else None

    # What compaction moved

    def _is_time_to_look(self) -> bool:
        if time.monotonic() - self._looked < LOOK_S:
            return False
        self._looked = time.monotonic()
        return self._first_open() < self._next_seq >> runs.LEVELS[0] << runs.LEVELS[0]

    def _first_open(self) -> int:
        """The start of the first range, of the larger level, in which a run can be new."""
        small, large = runs.LEVELS
        for index, place in enumerate(self._places):
            first = Run.at(place.first_seq, large)
            if first.end_seq > self._next_seq:
                # Only the lower level can be new here.
                rest = self._places[index:]
                is_open = any(
                    other.count < 1 << small
                    and Run.at(other.first_seq, small).end_seq <= self._next_seq
                    for other in rest
                )
                return first.first_seq if is_open else self._next_seq
            if _level_of(place) < large:
                return first.first_seq
        return self._next_seq

    def _look_for_runs(self) -> None:
        self._looked = time.monotonic()
        low = Run.at(self._first_open(), runs.LEVELS[1]).first_seq
        listed = self._store.list_objects(MERGED, after=f"{MERGED}{low:020d}")
        found = {run for info in listed if (run := Run.of(info.path)) is not None}
        end = max((run.end_seq for run in found), default=0)
        small = runs.LEVELS[0]
        for run in sorted(run for run in found if run.level == small):
            if run.end_seq <= self._next_seq:
                self._adopt(run)
        while self._next_seq < end:
            run = Run.at(self._next_seq, small)
            if run not in found or not self._adopt(run):
                self._add_next()
        for run in sorted(run for run in found if run.level != small):
            self._adopt(run)

    def _add_next(self) -> None:
        path = segment_path(self._next_seq)
        try:
            footer = read_footer(self._store, path)
        except NotFound as error:
            raise _not_contiguous(self._next_seq, "nothing", path) from error
        self._add(footer, path)

    def _adopt(self, run: Run) -> bool:
        """Take the events of a range from its run from now on.

        A run that does not fit what is known, or that nobody vouches for, is left alone, and
        what it merges is read instead: whoever compacts or verifies tells what is wrong with it.
        """
        at = bisect_left(self._places, run.first_seq, key=_first_seq)
        end = bisect_left(self._places, run.end_seq, key=_first_seq)
        old = self._places[at:end]
        is_new = run.end_seq > self._next_seq
        if run in self._refused:
            return False
        # The last one, because stubs come in order.
        if not is_new and old[-1].count >= 1 << runs.LEVELS[0] and _level_of(old[-1]) >= run.level:
            return True
        try:
            footer = read_footer(self._store, run.path)
        except CorruptData:
            self._refused.add(run)
            return False
        known = None if is_new else self._state_at(run.end_seq)
        fits = footer.tree_size == run.end_seq and (
            is_new or (known is not None and known["edge"] == list(footer.edge))
        )
        small = runs.LEVELS[0]
        if run.level == small:
            new = [_place_of(footer, run.path)]
        else:
            # Its pieces stay places of their own, with times and a state each.
            new = [place.moved_to(run.path, run.first_seq) for place in old]
            fits = fits and all(place.count == 1 << small for place in old)
        if not fits or not self._is_vouched_for(run, footer):
            self._refused.add(run)
            return False
        if run.level == small:
            self._cache.add(footer, new[0], run.path)
        else:
            self._cache.move(new)
        self._places[at:end] = new
        self._given = None
        if is_new:
            self._set_end(footer)
        return True

    def _is_vouched_for(self, run: Run, footer: SegmentFooter) -> bool:
        """Whether a run's rows are those that were sealed, as far as it costs little to know.

        The last file that it merges has to say the same of the log. If it is a stub, whoever
        made it had verified the run. Else the run's bytes must have their checksum: so what
        was damaged since is not used. (One that was made wrong on purpose, with a checksum, is
        found by `verify`, and never leads to a stub.)
        """
        if not footer.pieces:
            return False
        first = run.end_seq - footer.pieces[-1]
        path = segment_path(first)
        if run.level != runs.LEVELS[0] and self._store.exists(
            small := Run(first, runs.LEVELS[0]).path
        ):
            path = small
        try:
            last = read_footer(self._store, path)
            same = ("next_seq", "tree_size", "root", "edge", "hot", "duplicate_ids")
            if any(getattr(last, name) != getattr(footer, name) for name in same):
                return False
            if last.moved is not None and last.moved.path == run.path:
                return True
            stored, found = stored_checksum(self._store, run.path)
        except (CorruptData, NotFound):
            return False
        return stored == found


def _place_of(footer: SegmentFooter, path: str) -> Place:
    """Where the events are of which a file tells, be it a stub."""
    low, high = footer.timestamp_us
    place = Place(footer.first_seq, footer.count, path, 0, low, high)
    if footer.moved is None or footer.moved.archive:
        return place
    run = run_of(footer.moved.path)
    if run is None:
        raise CorruptData("a stub names no run", found=footer.moved.path, where=path)
    return place.moved_to(footer.moved.path, run[0])


def _level_of(place: Place) -> int:
    """Of the run that the events are in; 0 for a segment."""
    run = run_of(place.path)
    return run[1] if run else 0


def _first_seq(place: Place) -> int:
    return place.first_seq


def _not_contiguous(expected: int, found: str, where: str) -> CorruptData:
    return CorruptData(
        "segments are not contiguous", expected=f"one from {expected}", found=found, where=where
    )
