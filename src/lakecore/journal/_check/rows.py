"""One position of the log, looked at alone: its file, its rows, their leaves.

Nothing here depends on what was before, so threads do it for many positions at a time.
What the position says about the log up to it is compared in order, by `verify`.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from lakecore.base import CorruptData, Inconclusive, NotFound, UnsupportedFormat
from lakecore.journal._check.derived import check_lines, name_fields
from lakecore.journal._check.report import MAX_PROBLEMS, Problem
from lakecore.journal._check.tree import TreePart
from lakecore.journal._events.hashing import hash_events
from lakecore.journal._events.rules import FIELDS, STAGED_FIELDS
from lakecore.journal._log.runs import RowReader, SealedRange, sealed_ranges
from lakecore.journal._log.segment import (
    FOLDER,
    LEAF_CHECK,
    SealedCommit,
    SegmentFooter,
    decoding,
    open_segment,
    stored_checksum,
)

if TYPE_CHECKING:
    from lakecore.journal._index.names import Name
    from lakecore.storage import Store
    from lakecore.tlog import Hashes

_MAX_TRIES = 3
_MAX_LINES = 20
"""Damaged rows of a position whose fields are named."""
_COLUMNS = [*FIELDS, LEAF_CHECK]


@dataclass(slots=True)
class RangeCheck:
    """What one position showed.

    Attributes:
        part: its leaves; None when its rows could not be read, or not judged.
        commits: the parts of commits that are continued in other positions.
        rows: rows whose leaf is not the one that they were stored with.
        lines: {row: (seq, canonical line as it is now)} of some of those.
        derived: index files of these events that are not what they should be.
        unknown: why it could not be judged; None when it could.
    """

    sealed: SealedRange
    part: TreePart | None = None
    commits: list[tuple[SealedCommit, TreePart]] = field(default_factory=list)
    problems: list[Problem] = field(default_factory=list)
    rows: list[Problem] = field(default_factory=list)
    lines: dict[int, tuple[int, bytes]] = field(default_factory=dict)
    derived: list[Problem] = field(default_factory=list)
    unknown: str | None = None

    @property
    def footer(self) -> SegmentFooter | None:
        return self.sealed.footer

    def add(self, where: str, part: str | None, expected: object, found: object) -> None:
        self.problems.append(Problem(where, None, part, str(expected), str(found)))


def check_ranges(
    store: Store, ranges: Sequence[SealedRange], names: Sequence[Name], *, with_index: bool
) -> list[RangeCheck]:
    """Look at positions that follow each other; a file that they share is read once.

    Args:
        names: the index files there are.
        with_index: compare those of these events with them.
    """
    with RowReader(store, verify_pages=True) as reader:
        checks = [_settled(store, sealed, reader) for sealed in ranges]
    for check in checks:
        check.rows = name_fields(store, names, check.rows, check.lines)
    if with_index:
        _check_index(store, checks, names)
    return checks


def _check_index(store: Store, checks: list[RangeCheck], names: Sequence[Name]) -> None:
    """Compare the index with each row of whole positions."""
    import numpy as np

    group: list[RangeCheck] = []
    for check in [*checks, None]:
        part = check.part if check is not None and not check.rows else None
        last = group[-1].part if group else None
        if group and (part is None or last is None or part.first != last.end):
            parts = [item.part for item in group if item.part is not None]
            hashes = np.concatenate([item.hashes for item in parts])
            group[0].derived = check_lines(store, names, parts[0].first, hashes)
            group = []
        if check is not None and part is not None:
            group.append(check)


def check_file(store: Store, path: str) -> list[Problem]:
    """Whether a file of the log is the bytes that it was: its checksum."""
    try:
        expected, found = stored_checksum(store, path)
    except (NotFound, Inconclusive):
        # Replaced or gone since it was listed, or out of reach: who needs its rows says so.
        return []
    except CorruptData as error:
        return [_unreadable(store, path, error)]
    if expected == found:
        return []
    return [Problem(path, None, _damaged_column(store, path) or "checksum", expected, found)]


def _settled(store: Store, sealed: SealedRange, reader: RowReader) -> RangeCheck:
    """The check of a position; again if compaction moved its rows meanwhile."""
    check = _check(store, sealed, reader)
    for _ in range(_MAX_TRIES - 1):
        if not check.problems and check.unknown is None:
            return check
        reader.close()
        now = _resolved(store, sealed.path)
        if now is None or (now.rows_path, now.footer) == (sealed.rows_path, sealed.footer):
            return check
        sealed = now
        check = _check(store, sealed, reader)
    return check


def _resolved(store: Store, path: str) -> SealedRange | None:
    """The position with this name, as it is now."""
    position = int(path[len(FOLDER) :].partition(".")[0])
    after = f"{FOLDER}{position - 1:020d}.parquet" if position else None
    found = next(sealed_ranges(store, after=after), None)
    return found if found is not None and found.path == path else None


def _check(store: Store, sealed: SealedRange, reader: RowReader) -> RangeCheck:
    check = RangeCheck(sealed)
    check.problems += check_file(store, sealed.path)
    problem = sealed.problem
    if isinstance(problem, NotFound | UnsupportedFormat | Inconclusive):
        check.unknown = str(problem)
        return check
    if problem is not None:
        if not check.problems or problem.where != sealed.path:
            check.problems.append(_unreadable(store, problem.where or sealed.path, problem))
        return check
    try:
        _read_rows(check, reader)
    except (UnsupportedFormat, Inconclusive) as error:
        check.unknown = str(error)
    except (CorruptData, NotFound) as error:
        where = error.where or sealed.rows_path
        if not any(problem.where == where and problem.field for problem in check.problems):
            check.problems.append(_unreadable(store, where, error))
    return check


def _read_rows(check: RangeCheck, reader: RowReader) -> None:
    import numpy as np

    sealed, footer = check.sealed, check.footer
    if footer is None:
        return
    hashes: list[Hashes] = []
    row = sealed.row
    seq = footer.first_seq
    for table in reader.read(sealed.rows_path, sealed.row, footer.count):
        with decoding(sealed.rows_path):
            missing = [name for name in _COLUMNS if name not in table.schema.names]
            if missing:
                raise CorruptData("a segment lacks columns", found=", ".join(missing))
            _check_seq(check, table, seq, row)
            hashes.append(hash_events(table.select(["leaf", *STAGED_FIELDS])))
            _check_leaves(check, table, hashes[-1], row, seq)
        seq += table.num_rows
        row += table.num_rows
    part = TreePart.of(footer.first_seq, np.concatenate(hashes))
    check.part = part
    for commit in footer.commits:
        if commit.row < 0 or commit.count < 0 or commit.row + commit.count > footer.count:
            check.add(sealed.path, f"commit {commit.commit_id}", footer.count, commit.row)
            continue
        # At its place among its own commit's events.
        events = part.at(commit.first_ordinal, commit.row, commit.count)
        if commit.first_ordinal or commit.count != commit.total:
            check.commits.append((commit, events))
        elif (found := root_of(events)) != commit.digest:
            check.add(sealed.path, f"commit {commit.commit_id}", commit.digest, found)


def root_of(part: TreePart) -> str:
    """The root (hex) over a part that begins its tree."""
    from lakecore.journal._check.tree import GrowingTree

    if len(part.hashes) == 1:
        return bytes(part.hashes[0].tobytes()).hex()
    tree = GrowingTree()
    tree.advance(part, part.end)
    return tree.frontier().root().hex()


def _check_seq(check: RangeCheck, table: Any, first: int, row: int) -> None:
    import numpy as np

    seq = table.column("seq").to_numpy()
    for at in np.flatnonzero(seq != np.arange(first, first + len(seq)))[:MAX_PROBLEMS]:
        place = int(at)
        found = Problem(
            check.sealed.rows_path, row + place, "seq", str(first + place), str(seq[place])
        )
        check.problems.append(found)


def _check_leaves(check: RangeCheck, table: Any, hashes: Hashes, row: int, seq: int) -> None:
    import numpy as np

    from lakecore.journal._events.leaf import leaf_lines

    found = np.ascontiguousarray(hashes[:, :4]).view("<i4").ravel()
    stored = table.column(LEAF_CHECK).to_numpy()
    where = check.sealed.rows_path
    for at in np.flatnonzero(found != stored)[:MAX_PROBLEMS]:
        place = int(at)
        check.rows.append(Problem(where, row + place, None, _hex(stored[at]), _hex(found[at])))
        if len(check.lines) < _MAX_LINES:
            line = leaf_lines(table.slice(place, 1).select(["leaf", *STAGED_FIELDS]))[0].as_py()
            check.lines[row + place] = (seq + place, line)


def _unreadable(store: Store, path: str, error: Any) -> Problem:
    column = _damaged_column(store, path)
    expected = error.expected or "a segment that decodes"
    return Problem(path, None, column, expected, str(error))


def _damaged_column(store: Store, path: str) -> str | None:
    """The one column that does not decode, if it is one."""
    bad = []
    try:
        with open_segment(store, path, verify_pages=True) as parquet:
            for name in _COLUMNS:
                try:
                    with decoding(path):
                        for group in range(parquet.num_row_groups):
                            parquet.read_row_group(group, columns=[name])
                except CorruptData:
                    bad.append(name)
    except (CorruptData, NotFound):
        return None
    return bad[0] if len(bad) == 1 else None


def _hex(check: int) -> str:
    """The four bytes of a leaf check."""
    return int(check).to_bytes(4, "little", signed=True).hex() + "…"
