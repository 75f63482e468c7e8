"""Results that are not shown whole yet: the next page is of the same result, not of a new one.

A cursor names a result by 144 random bits and a row in it. It opens for the client alone that
the result was made for, and for nobody else, whatever they know of it: that client was asked
for its right to the data, and its scopes cannot change during the life of its key.
"""

from __future__ import annotations

import re
import secrets
import threading
import time
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Final

from lakecore.base import NotFound
from lakecore.mcp._cut import fitted_line
from lakecore.mcp._limits import (
    KEPT_BYTES,
    KEPT_RESULTS,
    KEPT_ROWS,
    KEPT_S,
    KEPT_TOTAL_BYTES,
    PAGE_BYTES,
    PAGE_ROWS,
    ROW_BYTES,
)

_CURSOR: Final = re.compile(r"(?P<name>[A-Za-z0-9_-]{24})\.(?P<row>[0-9]{1,6})")
_NAME_BYTES: Final = 18
_SEPARATOR_BYTES: Final = 2
_LINE_BYTES: Final = 64
"""What a line takes beside its bytes, about."""


@dataclass(frozen=True, slots=True)
class Page:
    """Some rows of a result, each a JSON value.

    Attributes:
        first: the row number of the first one, from 0.
        total: rows there are to be had of the result.
        next: the cursor of what follows; None: nothing does.
    """

    lines: Sequence[bytes]
    first: int
    total: int
    next: str | None


@dataclass(slots=True)
class _Result:
    owner: str
    lines: Sequence[bytes]
    size_bytes: int
    until_s: float


class Shelf:
    """Keeps what follows the first page, bounded in number, bytes and time. Threads may share it.

    Args:
        monotonic_s: seconds that never go back.
    """

    def __init__(self, monotonic_s: Callable[[], float] = time.monotonic) -> None:
        self._monotonic_s = monotonic_s
        self._results: dict[str, _Result] = {}
        self._lock = threading.Lock()

    def put(self, owner: str, lines: Sequence[bytes]) -> Page:
        """The first page; what is behind it is kept for its owner."""
        count = _fitting(lines, 0)
        if count == len(lines):
            return Page(lines, 0, len(lines), None)
        name = secrets.token_urlsafe(_NAME_BYTES)
        size = sum(map(len, lines)) + _LINE_BYTES * len(lines)
        with self._lock:
            until_s = self._monotonic_s() + KEPT_S
            self._results[name] = _Result(owner, lines, size, until_s)
            self._make_room(owner)
        return Page(lines[:count], 0, len(lines), f"{name}.{count}")

    def more(self, owner: str, cursor: str) -> Page:
        """What a cursor stands for.

        Raises:
            NotFound: nothing of this owner's; whether it is somebody else's is not told.
        """
        match = _CURSOR.fullmatch(cursor)
        with self._lock:
            self._forget_old()
            result = self._results.get(match["name"]) if match else None
            if match is None or result is None or result.owner != owner:
                raise _no_such_cursor()
            start = int(match["row"])
            if start >= len(result.lines):
                raise _no_such_cursor()
            result.until_s = self._monotonic_s() + KEPT_S
        lines, count = result.lines, _fitting(result.lines, start)
        end = start + count
        following = f"{match['name']}.{end}" if end < len(lines) else None
        return Page(lines[start:end], start, len(lines), following)

    def __len__(self) -> int:
        return len(self._results)

    def _make_room(self, owner: str) -> None:
        self._forget_old()
        mine = [name for name, result in self._results.items() if result.owner == owner]
        for name in mine[: max(0, len(mine) - KEPT_RESULTS)]:
            del self._results[name]
        size = sum(result.size_bytes for result in self._results.values())
        while size > KEPT_TOTAL_BYTES:
            size -= self._results.pop(next(iter(self._results))).size_bytes

    def _forget_old(self) -> None:
        now_s = self._monotonic_s()
        for name in [name for name, one in self._results.items() if one.until_s <= now_s]:
            del self._results[name]


def gathered(lines: Iterable[bytes]) -> tuple[list[bytes], bool]:
    """As many lines as are kept of a result, each of bounded length; and whether there are more."""
    found: list[bytes] = []
    size = 0
    for line in lines:
        short = fitted_line(line, ROW_BYTES)
        size += len(short)
        if len(found) >= KEPT_ROWS or size > KEPT_BYTES:
            return found, True
        found.append(short)
    return found, False


def _fitting(lines: Sequence[bytes], start: int) -> int:
    """How many lines from `start` on go into one answer."""
    size = count = 0
    for line in lines[start : start + PAGE_ROWS]:
        size += len(line) + _SEPARATOR_BYTES
        if size > PAGE_BYTES:
            break
        count += 1
    return count


def _no_such_cursor() -> NotFound:
    return NotFound(
        "there is no such cursor",
        expected=f"one of an answer of the last {KEPT_S / 60:.0f} minutes",
        hint="call the tool again",
    )
