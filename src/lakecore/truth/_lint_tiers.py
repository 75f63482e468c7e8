"""What looks wrong with `[[tier]]` entries: those that never decide, tiers that nobody gets."""

from __future__ import annotations

import difflib
from collections.abc import Iterator, Sequence
from itertools import combinations

from lakecore.truth._finding import Finding
from lakecore.truth._rule import Severity
from lakecore.truth._tier import OPERATIONS, SIZE_MEMBERS, Bound, TierEntry

_ALL = TierEntry()


def lint_tiers(entries: Sequence[TierEntry]) -> Iterator[Finding]:
    """Entries in the shadow of earlier ones, bounds that decrease, classes that are none."""
    yield from _shadowed(entries)
    for number, entry in enumerate(entries, start=1):
        yield from _bounds(number, entry)
        yield from _classes(number, entry)
    yield from _blocks_everything(entries)


def _finding(kind: str, severity: Severity, number: int, message: str, *nearest: str) -> Finding:
    text = f"tier entry {number} {message}"
    return Finding(kind, severity, (), text, f"tier[{number - 1}]", nearest)


def _shadowed(entries: Sequence[TierEntry]) -> Iterator[Finding]:
    for later, entry in enumerate(entries, start=1):
        for earlier, other in enumerate(entries[: later - 1], start=1):
            if other.covers(entry):
                message = f"can never decide: entry {earlier} takes all that it matches"
                yield _finding("never_matches", Severity.WARNING, later, message)
                break


def _bounds(number: int, entry: TierEntry) -> Iterator[Finding]:
    offered = [(tier, bound) for tier, bound in entry.bounds if bound is not None]
    for (laxer, low), (stricter, high) in combinations(offered, 2):
        decreasing = [
            name
            for name in SIZE_MEMBERS
            if (ours := getattr(low, name)) is not None
            and (theirs := getattr(high, name)) is not None
            and theirs < ours
        ]
        if decreasing:
            message = f"allows less {', '.join(decreasing)} in {stricter} than in {laxer}"
            yield _finding("bounds_decrease", Severity.WARNING, number, message)
        elif _within(high, low):
            message = f"never leads to {stricter}: {laxer} takes all that it allows"
            yield _finding("bounds_decrease", Severity.WARNING, number, message)


def _within(bound: Bound, other: Bound) -> bool:
    """Whether no change keeps `bound` and exceeds `other`."""
    return all(
        (theirs := getattr(other, name)) is None
        or ((ours := getattr(bound, name)) is not None and ours <= theirs)
        for name in SIZE_MEMBERS
    )


def _classes(number: int, entry: TierEntry) -> Iterator[Finding]:
    for name in entry.task_classes:
        if name != "*" and name not in OPERATIONS:
            near = difflib.get_close_matches(name, OPERATIONS, n=3)
            message = f"names a task class that no change has: {name}"
            yield _finding("unknown_task_class", Severity.ERROR, number, message, *near)


def _blocks_everything(entries: Sequence[TierEntry]) -> Iterator[Finding]:
    for number, entry in enumerate(entries, start=1):
        if any(bound is not None for _, bound in entry.bounds):
            return
        if entry.covers(_ALL):
            message = "blocks every change, of whatever size"
            yield _finding("denies_everything", Severity.CRITICAL, number, message)
            return
