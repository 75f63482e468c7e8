"""Commits against events, both ways: does every commit have its events, every event its commit?

The footers know the digest of every sealed commit, and `verify_segments` shows that they
are right; here they are compared with what the commit objects themselves say. Which objects
are sealed is kept in a temporary file, so that ten million of them take no more memory
than ten: what is in memory is what is wrong, and what is pending.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from lakecore.base import CorruptData, UnsupportedFormat
from lakecore.journal._check.report import Problem
from lakecore.journal._commits.commit import CommitRecord, Fate, read_commit_record

if TYPE_CHECKING:
    from lakecore.journal._log.footer_cache import Piece
    from lakecore.journal._log.footers import Footers
    from lakecore.journal._log.pending import PendingList, StagedCommit


_CACHE_KIB: Final = 16_384
"""Of the temporary file in memory."""


@dataclass(frozen=True, slots=True)
class CompletenessReport:
    """Commits against events; objects are named by their paths.

    Attributes:
        ok: nothing is missing, without object, foreign or unreadable.
        matched: commits whose events are all sealed, with the commit's digest.
        missing: commits with a record whose events are not there, or are others.
        without_object: sealed commits whose object was not listed.
        foreign: objects without a record, made by another program, that the journal does
            not tell of either. An object that it does tell of and that has no record is
            among the `missing`.
        pending: committed and not yet sealed, {path: age in seconds}.
        undecided: staged for an object that does not exist (yet).
        unreadable: objects and staged files that do not decode, and why.
    """

    ok: bool
    matched: int
    missing: list[Problem]
    without_object: list[str]
    foreign: list[str]
    pending: dict[str, float]
    undecided: list[str]
    unreadable: list[Problem]


def match_commits(
    commits: Iterable[tuple[str, bytes]], footers: Footers, staged: PendingList, now_us: int
) -> CompletenessReport:
    """Compare the commit objects of a lake with what is sealed and staged.

    Args:
        commits: (path, bytes) of every commit object that there should be events of.
    """
    pending = {c.header.target.path: c for c in staged.with_fate(Fate.COMMITTED)}
    told = _Told(footers)
    try:
        return _match(commits, footers, staged, pending, told, now_us)
    finally:
        told.close()


class _Told:
    """What the journal says of each object, who made it; and which objects were listed."""

    def __init__(self, footers: Footers) -> None:
        # Without a name: a temporary file, removed when it is closed.
        self._database = sqlite3.connect("", isolation_level=None)
        run = self._database.execute
        run("PRAGMA journal_mode = OFF")
        run(f"PRAGMA cache_size = -{_CACHE_KIB}")
        run("CREATE TABLE told (path TEXT PRIMARY KEY, commit_id TEXT, listed INTEGER) "
            "WITHOUT ROWID")  # fmt: skip
        run("BEGIN")
        self._database.executemany(
            "INSERT OR REPLACE INTO told VALUES (?, ?, 0)",
            ((p.commit.target, p.commit.commit_id) for p in footers.all_pieces()),
        )

    def listed(self, path: str) -> str | None:
        """The commit that the journal has sealed for an object that is there."""
        found = self._database.execute(
            "SELECT commit_id FROM told WHERE path = ?", (path,)
        ).fetchone()
        if found is None:
            return None
        self._database.execute("UPDATE told SET listed = 1 WHERE path = ?", (path,))
        return str(found[0])

    def without_object(self) -> list[str]:
        """The sealed commits whose object was not listed; direct events have none."""
        rows = self._database.execute(
            "SELECT path FROM told WHERE NOT listed AND path != '' ORDER BY path"
        )
        return [path for (path,) in rows]

    def close(self) -> None:
        self._database.close()


def _match(
    commits: Iterable[tuple[str, bytes]],
    footers: Footers,
    staged: PendingList,
    pending: Mapping[str, StagedCommit],
    told: _Told,
    now_us: int,
) -> CompletenessReport:
    unreadable = [Problem(e.where or "", None, None, "", str(e)) for e in staged.problems]
    matched = 0
    missing: list[Problem] = []
    foreign: list[str] = []
    ages: dict[str, float] = {}
    for path, data in commits:
        sealed = told.listed(path)
        try:
            record = read_commit_record(data)
        except (CorruptData, UnsupportedFormat) as error:
            unreadable.append(Problem(path, None, None, "a commit", str(error)))
            continue
        if record is None and sealed is not None:
            # The journal knows who made this version; it says so no more.
            missing.append(Problem(path, None, "commit record", sealed, "none"))
            continue
        if record is None:
            foreign.append(path)
            continue
        problem = _compare(path, record, footers.pieces(record.commit_id), sealed)
        if problem is None:
            matched += 1
        elif path in pending:
            ages[path] = (now_us - pending[path].timestamp_us) / 1e6
        else:
            missing.append(problem)
    without_object = told.without_object()
    return CompletenessReport(
        ok=not (missing or without_object or foreign or unreadable),
        matched=matched,
        missing=missing,
        without_object=without_object,
        foreign=foreign,
        pending=ages,
        undecided=[c.header.target.path for c in staged.with_fate(Fate.UNDECIDED)],
        unreadable=unreadable,
    )


def _compare(
    path: str, record: CommitRecord, pieces: list[Piece], told: str | None
) -> Problem | None:
    """What a commit and its sealed events differ in; None when they match.

    `told` is the commit that the journal has sealed for this object.
    """
    if told is not None and told != record.commit_id:
        return Problem(path, None, "commit_id", told, record.commit_id)
    if not record.event_count:
        # Every change has events: a record of none would hide one.
        return Problem(path, None, "event_count", "at least 1", "0")
    sealed = sum(piece.commit.count for piece in pieces)
    if sealed != record.event_count:
        return Problem(path, None, "event_count", f"{record.event_count}", f"{sealed}")
    for piece in pieces:
        if piece.commit.target != path:
            return Problem(path, None, "target", piece.commit.target, path)
        if piece.commit.digest != record.digest:
            return Problem(path, None, "digest", record.digest, piece.commit.digest)
    return None
