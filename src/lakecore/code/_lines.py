"""From a line before a change to the same line after it, and back; pure."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Sequence

from lakecore.code._records import Hunk


class LineMap:
    """Where each line went, by the hunks of one file; lines count from 1.

    >>> moved = LineMap([Hunk(2, 2, ("b",), ("x", "y"))])
    >>> moved.to_new(1), moved.to_new(2), moved.to_new(3), moved.to_old(4)
    (1, None, 4, 3)
    """

    def __init__(self, hunks: Sequence[Hunk]) -> None:
        self._hunks = sorted(hunks, key=lambda hunk: (_first(hunk, old=True), hunk.new_start))
        self._old_starts = [_first(hunk, old=True) for hunk in self._hunks]
        self._new_starts = [_first(hunk, old=False) for hunk in self._hunks]

    def to_new(self, line: int) -> int | None:
        """The line's new number; None if it was removed or rewritten."""
        index = bisect_right(self._old_starts, line) - 1
        if index < 0:
            return line
        hunk = self._hunks[index]
        beyond = line - self._old_starts[index] - len(hunk.removed)
        return None if beyond < 0 else self._new_starts[index] + len(hunk.added) + beyond

    def to_old(self, line: int) -> int | None:
        """The line's old number; None if it is new or rewritten."""
        index = bisect_right(self._new_starts, line) - 1
        if index < 0:
            return line
        hunk = self._hunks[index]
        beyond = line - self._new_starts[index] - len(hunk.added)
        return None if beyond < 0 else self._old_starts[index] + len(hunk.removed) + beyond

    def touches(self, first: int, last: int, *, old: bool = True) -> bool:
        """Whether a hunk changes one of these lines, or puts something between two of them."""
        starts = self._old_starts if old else self._new_starts
        for start, hunk in zip(starts, self._hunks, strict=True):
            count = len(hunk.removed if old else hunk.added)
            if count == 0 and first < start <= last:
                return True
            if count and start <= last and first < start + count:
                return True
        return False


def _first(hunk: Hunk, *, old: bool) -> int:
    """The first line that is not as before: a diff names the one before an insertion."""
    count = len(hunk.removed if old else hunk.added)
    start = hunk.old_start if old else hunk.new_start
    return start if count else start + 1
