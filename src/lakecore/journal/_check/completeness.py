"""Commits against events, both ways: does every commit have its events, every event its commit?

The footers know the digest of every sealed commit, and `verify_segments` shows that they
are right; here they are compared with what the commit objects themselves say. What is in
memory is what is wrong, and what is pending: see `ledger`.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import TYPE_CHECKING

from lakecore.base import CorruptData, UnsupportedFormat
from lakecore.journal._check.ledger import Ledger, SealedVersion
from lakecore.journal._check.report import Problem
from lakecore.journal._commits.commit import CommitRecord, is_foreign_id, read_commit_record

if TYPE_CHECKING:
    from lakecore.journal._log.footers import Footers
    from lakecore.journal._log.pending import PendingList


@dataclass(frozen=True, slots=True)
class CompletenessReport:
    """Commits against events; objects are named by their paths.

    Attributes:
        ok: nothing is missing, without object, foreign or unreadable.
        matched: commits whose events are all sealed, with the commit's digest.
        missing: commits with a record whose events are not there, or are others.
        without_object: sealed commits whose object was not listed.
        foreign: objects without a record, made by another program, that the journal does
            not tell of either. An object that it tells of as a commit of ours, and that has
            no record, is among the `missing`.
        reconciled: objects without a record that were journaled as another program's.
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
    reconciled: int = 0


def match_commits(
    commits: Iterable[tuple[str, bytes]], footers: Footers, staged: PendingList, now_us: int
) -> CompletenessReport:
    """Compare the commit objects of a lake with what is sealed and staged.

    Args:
        commits: (path, bytes) of every commit object that there should be events of.
    """
    with Ledger(footers, staged, now_us) as ledger:
        return _match(commits, staged, ledger)


def _match(
    commits: Iterable[tuple[str, bytes]], staged: PendingList, ledger: Ledger
) -> CompletenessReport:
    unreadable = [Problem(e.where or "", None, None, "", str(e)) for e in staged.problems]
    matched = reconciled = 0
    missing: list[Problem] = []
    foreign: list[str] = []
    ages: dict[str, float] = {}
    listed: set[str] = set()
    for path, data in commits:
        sealed = ledger.sealed_at(path)
        if sealed:
            listed.add(path)
        try:
            record = read_commit_record(data)
        except (CorruptData, UnsupportedFormat) as error:
            unreadable.append(Problem(path, None, None, "a commit", str(error)))
            continue
        problem = compare_commit(path, record, sealed)
        if problem is None:
            matched += record is not None
            reconciled += record is None
        elif path in ledger.pending:
            ages[path] = ledger.pending[path]
        elif record is None and not sealed:
            foreign.append(path)
        else:
            missing.append(problem)
    without_object = [
        version.path
        for folder in ledger.folders()
        for version in ledger.sealed(folder)
        if version.path not in listed
    ]
    return CompletenessReport(
        ok=not (missing or without_object or foreign or unreadable),
        matched=matched,
        missing=missing,
        without_object=without_object,
        foreign=foreign,
        reconciled=reconciled,
        pending=ages,
        undecided=ledger.undecided,
        unreadable=unreadable,
    )


def compare_commit(
    path: str, record: CommitRecord | None, sealed: list[SealedVersion]
) -> Problem | None:
    """What a commit and the events that are sealed for it differ in; None when they match.

    Args:
        record: the one in the object; None for a version that another program made.
        sealed: what the journal has sealed for this object.
    """
    expected = record.commit_id if record is not None else "none"
    for version in sealed:
        is_its = is_foreign_id(version.commit_id) if record is None else False
        if not is_its and version.commit_id != expected:
            if record is None:
                # The journal knows who made this version; it says so no more.
                return Problem(path, None, "commit record", version.commit_id, "none")
            return Problem(path, None, "commit_id", version.commit_id, record.commit_id)
    if record is not None and not record.event_count:
        # Every change has events: a record of none would hide one.
        return Problem(path, None, "event_count", "at least 1", "0")
    count = sum(version.count for version in sealed)
    total = record.event_count if record is not None else sum(v.total for v in sealed) or 1
    if count != total:
        return Problem(path, None, "event_count", f"{total}", f"{count}")
    for version in sealed:
        if record is not None and version.digest != record.digest:
            return Problem(path, None, "digest", record.digest, version.digest)
    return None
