"""What verifying found, in words: one sentence for each kind, with its place in front (pure)."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from lakecore.journal import CommitRecord, Problem, SealedVersion


def mismatch(
    path: str, record: CommitRecord | None, sealed: Sequence[SealedVersion], problem: Problem
) -> str:
    """A version whose commit record and sealed events are not of each other."""
    if problem.field == "commit record":
        return (
            f"{path}: its commit record was taken out: the journal has it as commit "
            f"{problem.expected}"
        )
    if problem.field == "commit_id":
        return (
            f"{path}: another version was put in its place: the journal has sealed commit "
            f"{problem.expected}, it says {problem.found}"
        )
    if record is not None and not record.event_count:
        return (
            f"{path}: its commit record is forged: it names no events, and every change has at "
            "least 1"
        )
    if not sealed and record is not None:
        return (
            f"{path}: its events are missing: it names {record.event_count:,} of commit "
            f"{record.commit_id}, the journal has none"
        )
    return (
        f"{path}: its commit record is forged: it names other events than are sealed for it: "
        f"{problem.field} expected {problem.expected}, found {problem.found}"
    )


def foreign(path: str) -> str:
    return f"{path}: committed by another program, not in the journal"


def rewritten(path: str, sealed: str, found: str) -> str:
    return (
        f"{path}: rewritten after it was committed: what it does had digest {sealed}, "
        f"and has {found}"
    )


def gone(path: str) -> str:
    return f"{path}: its events are sealed, the version itself is gone"


def cut_off(path: str, count: int, newest: int) -> str:
    last = "no version is left" if newest < 0 else f"its log ends at version {newest}"
    more = f" (and {count - 1:,} behind it)" if count > 1 else ""
    return (
        f"{gone(path)}{more}: {last}: the table was replaced by an older copy, or its log was "
        "cut off"
    )


def gone_in_the_middle(path: str) -> str:
    return f"{gone(path)}, from the middle of the log"


def other_table(location: str, expected: str, found: str) -> str:
    return (
        f"{location}: another table lies at this place: expected table {expected}, "
        f"found {found or 'none'}"
    )


def unregistered(location: str) -> str:
    return f"{location}: a table that the catalog never named"


def unreadable(path: str, error: object) -> str:
    return f"{path}: cannot be read: {error}"


def missing_file(path: str, version: int) -> str:
    return f"{path}: a data file of version {version}, the newest, is missing"


def other_size(path: str, expected: int, found: int) -> str:
    return f"{path}: a data file has {found:,} bytes, its commit says {expected:,}"


def changed_file(path: str, expected: str, found: str) -> str:
    return (
        f"{path}: the bytes of a data file are not those that were written: SHA-256 {expected} "
        f"was committed, {found} is there"
    )


def checkpoint(path: str, what: str) -> str:
    return f"{path}: the checkpoint does not agree with the log: it {what}"


def wrong_events(path: str, what: str) -> str:
    return f"{path}: its sealed events are of another version: {what}"
