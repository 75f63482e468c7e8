"""Integrity: every leaf and the tree recomputed from the files of the log.

The question is whether the log still is what was sealed. Damage is reported with its
place, what was expected and what was found, and never raises. Each position answers for
itself: behind a damaged one, the check goes on from that one's footer.

1. **List** the files, and begin behind what this machine verified before, unless all is asked.
2. **Look** at positions one by one, in threads: checksum, rows, leaves, commits (`rows`).
   What is in memory is the rows of one aligned range of 65,536 for each thread.
3. **Join** them in order: one tree over all, roots at the sizes that checkpoints sign
   (`anchors`), hot logs and commits that go on from one position to the next.
4. **Remember** what was found whole (`incremental`).
"""

from __future__ import annotations

import os
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, field, replace
from functools import partial
from typing import TYPE_CHECKING

from lakecore.base import Clock, Inconclusive, SystemClock
from lakecore.base.limits import SEGMENT_EVENTS
from lakecore.journal._check.anchors import Checkpoints, Keys
from lakecore.journal._check.derived import check_postings, index_names
from lakecore.journal._check.incremental import (
    Known,
    Listing,
    Start,
    State,
    Verified,
    listing,
)
from lakecore.journal._check.report import (
    MAX_PROBLEMS,
    IntegrityReport,
    Problem,
    Status,
)
from lakecore.journal._check.rows import RangeCheck, check_file, check_ranges
from lakecore.journal._check.tiles import StoredTiles
from lakecore.journal._check.tree import GrowingTree, TreePart
from lakecore.journal._log.archived import ArchivedStore
from lakecore.journal._log.runs import MERGED, SealedRange, sealed_ranges
from lakecore.journal._log.segment import LEAF_CHECK, SegmentFooter, position_of, run_of

if TYPE_CHECKING:
    from lakecore.journal._index.names import Name
    from lakecore.storage import Store

__all__ = ["IntegrityReport", "Problem", "verify_log"]

_MAX_BATCH = 4_096
"""Positions that one thread takes at a time: they are short when there are so many."""


@dataclass(frozen=True, slots=True)
class Derived:
    """A problem of a file that can be built again."""

    problem: Problem


Found = list[RangeCheck] | list[Problem] | list[Derived]
Job = Callable[[], Found]


def verify_log(
    store: Store,
    *,
    verified: Verified | None = None,
    full: bool = True,
    keys: Keys | None = None,
    clock: Clock | None = None,
    threads: int | None = None,
) -> IntegrityReport:
    """Recompute the log from its files.

    Args:
        verified: what was verified before, and where this run is remembered.
        full: recompute all of it, whatever was verified before.
        keys: whose signatures under checkpoints count; see `anchors.Keys`.
        threads: how many look at positions; by default one for each core.

    Raises:
        Unavailable, ...: the store cannot be listed.
    """
    if isinstance(store, ArchivedStore):
        # An archive that is out of reach leaves a question, not a failure.
        store = store.raising(Inconclusive)
    # Before the log is listed: another run may see more of it, and remember that.
    last = verified.last() if verified is not None else None
    files = listing(store)
    checkpoints = Checkpoints(store, keys)
    start = Start()
    if verified is not None and not full:
        start = verified.start(files, checkpoints.sizes)
    run = _Integrity(
        start, files, checkpoints, verified, last,
        StoredTiles(store) if start.after is None else None,
        at_us=(clock or SystemClock()).now_us(),
    )  # fmt: skip
    count = threads or len(os.sched_getaffinity(0))
    for found in _in_order(_jobs(store, start.after, files, index_names(store)), count):
        for item in found:
            if isinstance(item, Problem):
                run.problems.append(item)
            elif isinstance(item, Derived):
                run.derived.append(item.problem)
            else:
                run.take(item)
    return run.report()


def _jobs(store: Store, after: str | None, files: Listing, names: Sequence[Name]) -> Iterator[Job]:
    """What threads can do at the same time, in the order of the log."""
    of_slot: dict[int, list[Name]] = {}
    for name in names:
        of_slot.setdefault(name.first // SEGMENT_EVENTS, []).append(name)
    # What is derived is compared when everything is.
    is_full = after is None

    def look(batch: list[SealedRange]) -> Job:
        found = of_slot.get(_slot(batch[0]), [])
        return partial(check_ranges, store, batch, found, with_index=is_full)

    batch: list[SealedRange] = []
    runs: set[str] = set()
    for sealed in sealed_ranges(store, after=after):
        if batch and (_slot(batch[-1]) != _slot(sealed) or len(batch) == _MAX_BATCH):
            yield look(batch)
            batch = []
        batch.append(sealed)
        if sealed.rows_path != sealed.path and sealed.rows_path not in runs:
            runs.add(sealed.rows_path)
            yield partial(check_file, store, sealed.rows_path)
    if batch:
        yield look(batch)
    if not is_full:
        return
    for path in files:
        # Stubs of runs, and runs that nothing leads to yet.
        if path.startswith(MERGED) and run_of(path) and path not in runs:
            yield partial(check_file, store, path)
    for name in names:
        if not name.is_lines:
            yield partial(_derived, store, name)


def _derived(store: Store, name: Name) -> Found:
    return [Derived(problem) for problem in check_postings(store, name)]


def _slot(sealed: SealedRange) -> int:
    return (position_of(sealed.path) or 0) // SEGMENT_EVENTS


def _in_order(jobs: Iterator[Job], threads: int) -> Iterator[Found]:
    """What the jobs give, in their order; few are under way or waiting at a time."""
    pool = ThreadPoolExecutor(threads, thread_name_prefix="lakecore-verify")
    waiting: deque[Future[Found]] = deque()
    try:
        for job in jobs:
            waiting.append(pool.submit(job))
            if len(waiting) > 2 * threads:
                yield waiting.popleft().result()
        while waiting:
            yield waiting.popleft().result()
    finally:
        pool.shutdown(cancel_futures=True)


@dataclass(slots=True)
class _Integrity:
    """What joining the positions has shown so far."""

    start: Start
    files: Listing
    checkpoints: Checkpoints
    verified: Verified | None
    last: Known | None
    tiles: StoredTiles | None
    at_us: int
    events: int = 0
    segments: int = 0
    problems: list[Problem] = field(default_factory=list)
    unknown: list[str] = field(default_factory=list)
    derived: list[Problem] = field(default_factory=list)
    tree: GrowingTree = field(init=False)
    hot: dict[str, int] = field(init=False)
    open_commits: dict[str, GrowingTree] = field(init=False)
    roots: dict[int, str] = field(init=False)
    sizes: list[int] = field(init=False)
    is_lost: bool = False
    """The position before could not be read at all: the tree up to here is not known."""
    is_whole: bool = True
    """Every leaf up to here was recomputed, and fits."""
    has_skipped: bool = False

    def __post_init__(self) -> None:
        state = self.start.state
        self.tree = GrowingTree.of(state.frontier)
        self.hot = dict(state.hot)
        self.open_commits = {name: GrowingTree.of(tree) for name, tree in state.commits.items()}
        self.roots = dict(self.start.roots)
        self.sizes = [size for size in self.checkpoints.sizes if size > self.tree.size]
        if 0 in self.checkpoints.sizes:
            self.roots[0] = GrowingTree().frontier().root().hex()

    def report(self) -> IntegrityReport:
        size = self.tree.size
        if self.verified is not None:
            loss = None if self.is_lost or self.last is None else self.last.loss(size)
            self.problems += [loss] if loss else []
            self.verified.save()
        status: Status = "green"
        if self.problems:
            status = "broken"
        elif self.unknown:
            status = "inconclusive"
        earlier = self.start.earlier
        derived = self.derived
        if self.tiles and self.is_whole:
            derived = derived + self.tiles.problems(size)
        return IntegrityReport(
            ok=status == "green",
            status=status,
            events=self.events + (earlier.events if earlier else 0),
            segments=self.segments + self.start.positions,
            root=self.tree.frontier().root().hex(),
            problems=self.problems[:MAX_PROBLEMS],
            unknown=self.unknown[:MAX_PROBLEMS],
            derived=derived[:MAX_PROBLEMS],
            earlier=earlier,
            anchors=self.checkpoints.compare(self.roots, size),
            problem_count=len(self.problems),
        )

    def take(self, check: RangeCheck) -> None:
        """The next position."""
        path, footer, part = check.sealed.path, check.footer, check.part
        before = len(self.problems)
        self.segments += 1
        position = position_of(path)
        if position != self.tree.size and not self.is_lost:
            self.add(path, "first_seq", self.tree.size, position)
            self._lose()
        self.problems += check.problems
        self.derived += check.derived
        if check.unknown is not None:
            self.unknown.append(f"{path}: {check.unknown}")
        if part is None or footer is None:
            self._skip(footer)
            return
        self.events += len(part.hashes)
        fits = self._check_tree(path, footer, part)
        # The rows fit the root: it is what was stored beside them that does not.
        named = LEAF_CHECK if fits else None
        self.problems += [replace(row, field=row.field or named) for row in check.rows]
        self._check_commits(path, check)
        self._check_hot(path, footer)
        self.is_lost = False
        if len(self.problems) == before and self.is_whole:
            self._remember(check, footer)
        else:
            self.is_whole = False

    def add(self, where: str, part: str | None, expected: object, found: object) -> None:
        self.problems.append(Problem(where, None, part, str(expected), str(found)))

    def _check_tree(self, path: str, footer: SegmentFooter, part: TreePart) -> bool:
        """Whether the footer's tree is the recomputed one."""
        if self.is_lost:
            self.tree = GrowingTree.of(footer.frontier())
            return False
        while self.sizes and self.sizes[0] <= part.end:
            size = self.sizes.pop(0)
            self._advance(part, size)
            if self.is_whole:
                self.roots[size] = self.tree.frontier().root().hex()
        self._advance(part, part.end)
        frontier = self.tree.frontier()
        root = frontier.root().hex()
        expected: dict[str, tuple[object, object]] = {
            "tree_size": (footer.tree_size, frontier.size),
            "root": (footer.root, root),
            "edge": (footer.edge, tuple(node.hex() for node in frontier.edge)),
        }
        fits = True
        for name, (stored, found) in expected.items():
            if stored != found:
                self.add(path, name, stored, found)
                fits = False
        if footer.tree_size == footer.next_seq and footer.root != root:
            # Report each segment's own damage, not that of all before it.
            self.tree = GrowingTree.of(footer.frontier())
            self.is_whole = False
        return fits

    def _advance(self, part: TreePart, end: int) -> None:
        blocks = self.tree.advance(part, end)
        if self.tiles is not None and self.is_whole:
            self.tiles.take(blocks)

    def _check_commits(self, path: str, check: RangeCheck) -> None:
        for piece, events in check.commits:
            tree = self.open_commits.pop(piece.commit_id, None) or GrowingTree()
            if self.has_skipped and piece.first_ordinal and not tree.size:
                continue  # it began in a segment that could not be read
            if tree.size != piece.first_ordinal:
                self.add(path, f"commit {piece.commit_id}", tree.size, piece.first_ordinal)
                continue
            tree.advance(events, events.end)
            if tree.size < piece.total:
                self.open_commits[piece.commit_id] = tree
            elif (root := tree.frontier().root().hex()) != piece.digest:
                self.add(path, f"commit {piece.commit_id}", piece.digest, root)

    def _check_hot(self, path: str, footer: SegmentFooter) -> None:
        """Every event is a commit's or a hot log's, and hot logs only go on."""
        direct = footer.count - sum(part.count for part in footer.commits)
        hot = dict(footer.hot)
        grown = sum(hot.get(log, 0) - before for log, before in self.hot.items())
        grown += sum(offset for log, offset in hot.items() if log not in self.hot)
        if grown != direct and not self.is_lost:
            self.add(path, "hot", f"{direct} events", f"{grown} events")
        self.hot = hot

    def _skip(self, footer: SegmentFooter | None) -> None:
        """Go on behind a segment that cannot be checked, from its footer if that is there."""
        self.has_skipped = True
        self.open_commits.clear()
        self._lose()
        if footer is not None:
            self.is_lost = False
            self.tree = GrowingTree.of(footer.frontier())
            self.hot = dict(footer.hot)

    def _lose(self) -> None:
        self.is_lost = True
        self.is_whole = False

    def _remember(self, check: RangeCheck, footer: SegmentFooter) -> None:
        if self.verified is None:
            return
        infos = [self.files.get(path) for path in {check.sealed.path, check.sealed.rows_path}]
        commits = {name: tree.frontier() for name, tree in self.open_commits.items()}
        known = Known(
            first_seq=footer.first_seq,
            count=footer.count,
            at_us=self.at_us,
            files=tuple((i.path, i.size_bytes, i.modified_us) for i in infos if i is not None),
            root=footer.root,
            state=State(self.tree.frontier(), self.hot, commits).to_json(),
        )
        contradiction = self.verified.contradiction(known)
        if contradiction is not None:
            self.problems.append(contradiction)
            self.is_whole = False
        elif len(known.files) == len(infos):
            self.verified.remember(known)
