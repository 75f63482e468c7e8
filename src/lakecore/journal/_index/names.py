"""The names of index files, and which of them to ask."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from typing import Final, NamedTuple

from lakecore.base.limits import SEGMENT_EVENTS

FOLDER: Final = "journal/index/"
MERGED_EVENTS: Final = (1 << 20, 1 << 24)
"""The aligned ranges that merged postings are made for."""

_NAME: Final = re.compile(r"(\d{20})-(\d{20})\.(lines|postings)")


class Name(NamedTuple):
    """An index file for the events [first, end)."""

    first: int
    end: int
    is_lines: bool

    @property
    def path(self) -> str:
        kind = "lines" if self.is_lines else "postings"
        return f"{FOLDER}{self.first:020d}-{self.end:020d}.{kind}"

    def covers(self, other: Name) -> bool:
        return self.first <= other.first and other.end <= self.end


def parse_name(name: str) -> Name | None:
    """The name without its folder; None for what no index file is called."""
    match = _NAME.fullmatch(name)
    if match is None:
        return None
    found = Name(int(match[1]), int(match[2]), match[3] == "lines")
    size = found.end - found.first
    if found.is_lines:
        right = size > 0 and found.first // SEGMENT_EVENTS == (found.end - 1) // SEGMENT_EVENTS
    else:
        right = size in MERGED_EVENTS and found.first % size == 0
    return found if right else None


def choose(names: Iterable[Name], first: int, end: int) -> list[Name | tuple[int, int]]:
    """What covers [first, end): from each position the file with the largest end.

    Ranges that no file starts in are given as (start, end).
    """
    found: list[Name | tuple[int, int]] = []
    at = first
    for name in sorted(names, key=lambda n: (n.first, -n.end, n.is_lines)):
        if name.first < at or name.end > end:
            continue
        if name.first > at:
            found.append((at, name.first))
        found.append(name)
        at = name.end
    if at < end:
        found.append((at, end))
    return found


def gaps(chosen: Sequence[Name | tuple[int, int]]) -> list[tuple[int, int]]:
    """The ranges without a file."""
    return [piece for piece in chosen if not isinstance(piece, Name)]
