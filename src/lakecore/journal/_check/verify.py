"""Integrity: every leaf and the tree recomputed from the segments.

The question is whether the segments still are what was sealed. Damage is reported with
its place, what was expected and what was found, and never raises. Each segment answers
for itself: behind a damaged one, the check goes on from that one's footer.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Final, Literal

from lakecore.base import CorruptData, Inconclusive, NotFound, UnsupportedFormat
from lakecore.journal._events.hashing import hash_events
from lakecore.journal._events.rules import FIELDS, STAGED_FIELDS
from lakecore.journal._log.runs import RowReader, SealedRange, sealed_ranges
from lakecore.journal._log.segment import (
    LEAF_CHECK,
    SegmentFooter,
    decoding,
    open_segment,
    position_of,
    run_of,
    stored_checksum,
)
from lakecore.tlog import Frontier

if TYPE_CHECKING:
    from lakecore.storage import Store

Status = Literal["green", "broken", "inconclusive"]

MAX_PROBLEMS: Final = 1_000
"""More are counted, not listed."""


@dataclass(frozen=True, slots=True)
class Problem:
    """Something that is not what it should be.

    `where` is an object's path; `row` is the row in it and `field` the column or the part
    of the footer, where they are known.
    """

    where: str
    row: int | None
    field: str | None
    expected: str
    found: str


@dataclass(frozen=True, slots=True)
class IntegrityReport:
    """What recomputing everything showed; `root` (hex) is the recomputed one."""

    ok: bool
    status: Status
    events: int
    segments: int
    root: str
    problems: list[Problem]


def verify_segments(store: Store) -> IntegrityReport:
    """Recompute every leaf and the tree, segment by segment; memory holds one of them."""
    run = _Integrity()
    with RowReader(store, verify_pages=True) as rows:
        for sealed in sealed_ranges(store):
            run.check(store, sealed, rows)
    return run.report()


@dataclass(slots=True)
class _Integrity:
    frontier: Frontier = field(default_factory=Frontier.empty)
    events: int = 0
    segments: int = 0
    problems: list[Problem] = field(default_factory=list)
    unknown: int = 0
    open_commits: dict[str, Frontier] = field(default_factory=dict)
    hot: dict[str, int] = field(default_factory=dict)
    is_lost: bool = False
    """The segment before could not be read at all: the tree up to here is not known."""
    has_skipped: bool = False
    checked_run: str = ""

    def report(self) -> IntegrityReport:
        status: Status = "green"
        if self.problems:
            status = "broken"
        elif self.unknown:
            status = "inconclusive"
        return IntegrityReport(
            ok=status == "green",
            status=status,
            events=self.events,
            segments=self.segments,
            root=self.frontier.root().hex(),
            problems=self.problems[:MAX_PROBLEMS],
        )

    def check(self, store: Store, sealed: SealedRange, rows: RowReader) -> None:
        import pyarrow as pa

        path, footer = sealed.path, sealed.footer
        self.segments += 1
        position = position_of(path)
        if position != self.frontier.size and not self.is_lost:
            self.add(path, "first_seq", self.frontier.size, position)
        try:
            self._check_bytes(store, path)
            if sealed.problem is not None:
                raise sealed.problem
            if footer is not None:
                if sealed.rows_path != path:
                    self._check_bytes(store, sealed.rows_path)
                found = rows.read(sealed.rows_path, sealed.row, footer.count)
                with decoding(sealed.rows_path):
                    self._check_rows(path, footer, pa.concat_tables(found))
        except (UnsupportedFormat, Inconclusive):
            self.unknown += 1
            self._skip(footer)
        except (CorruptData, NotFound) as error:
            where = error.where or path
            column = _unreadable_column(store, where)
            self.add(where, column, error.expected or "a segment that decodes", str(error))
            self._skip(footer)

    def add(
        self, where: str, part: str | None, expected: object, found: object, row: int | None = None
    ) -> None:
        self.problems.append(Problem(where, row, part, str(expected), str(found)))

    def _check_bytes(self, store: Store, path: str) -> None:
        """The whole file, also what no reader looks at; each once."""
        if path == self.checked_run:
            return
        if run_of(path) is not None:
            self.checked_run = path
        expected, found = stored_checksum(store, path)
        if expected != found:
            self.add(path, "checksum", expected, found)

    def _check_rows(self, path: str, footer: SegmentFooter, table: Any) -> None:
        import numpy as np

        first = footer.first_seq
        missing = [name for name in (*FIELDS, LEAF_CHECK) if name not in table.schema.names]
        if missing:
            raise CorruptData("a segment lacks columns", found=", ".join(missing))
        seq = table.column("seq").to_numpy()
        for row in np.flatnonzero(seq != np.arange(first, first + len(seq)))[:MAX_PROBLEMS]:
            self.add(path, "seq", first + int(row), int(seq[row]), int(row))
        events = table.select(["leaf", *STAGED_FIELDS])
        hashes = hash_events(events)
        found = np.ascontiguousarray(hashes[:, :4]).view("<i4").ravel()
        stored = table.column(LEAF_CHECK).to_numpy()
        for row in np.flatnonzero(found != stored)[:MAX_PROBLEMS]:
            self.add(path, None, _hex(stored[row]), _hex(found[row]), int(row))
        self.events += len(seq)
        self.frontier.append(hashes)
        self._check_tree(path, footer)
        self._check_commits(path, footer, hashes)
        self._check_hot(path, footer)
        self.is_lost = False

    def _check_tree(self, path: str, footer: SegmentFooter) -> None:
        if self.is_lost:
            self.frontier = footer.frontier()
            return
        root = self.frontier.root().hex()
        edge = tuple(node.hex() for node in self.frontier.edge)
        expected: dict[str, tuple[object, object]] = {
            "tree_size": (footer.tree_size, self.frontier.size),
            "root": (footer.root, root),
            "edge": (footer.edge, edge),
        }
        for part, (stored, found) in expected.items():
            if stored != found:
                self.add(path, part, stored, found)
        if footer.tree_size == footer.next_seq and footer.root != root:
            # Report each segment's own damage, not that of all before it.
            self.frontier = footer.frontier()

    def _check_commits(self, path: str, footer: SegmentFooter, hashes: Any) -> None:
        for part in footer.commits:
            tree = self.open_commits.pop(part.commit_id, None) or Frontier.empty()
            if self.has_skipped and part.first_ordinal and not tree.size:
                continue  # it began in a segment that could not be read
            if tree.size != part.first_ordinal:
                self.add(path, f"commit {part.commit_id}", tree.size, part.first_ordinal)
            tree.append(hashes[part.row : part.row + part.count])
            if tree.size < part.total:
                self.open_commits[part.commit_id] = tree
            elif tree.root().hex() != part.digest:
                self.add(path, f"commit {part.commit_id}", part.digest, tree.root().hex())

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
        self.is_lost = footer is None
        self.open_commits.clear()
        if footer is not None:
            self.frontier = footer.frontier()
            self.hot = dict(footer.hot)


def _unreadable_column(store: Store, path: str) -> str | None:
    """The one column that does not decode, if it is one."""
    bad = []
    try:
        with open_segment(store, path, verify_pages=True) as parquet:
            for name in (*FIELDS, LEAF_CHECK):
                try:
                    with decoding(path):
                        parquet.read(columns=[name])
                except CorruptData:
                    bad.append(name)
    except (CorruptData, NotFound):
        return None
    return bad[0] if len(bad) == 1 else None


def _hex(check: int) -> str:
    """The four bytes of a leaf check."""
    return int(check).to_bytes(4, "little", signed=True).hex() + "…"
