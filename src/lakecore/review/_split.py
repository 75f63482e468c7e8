"""A long file in parts that a model can read whole. Pure."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass
from typing import Final

CHARACTERS_PER_TOKEN: Final = 3
"""Fewer than real tokenizers need of code, so that a part never turns out too long."""
OVERLAP_LINES: Final = 12


@dataclass(frozen=True, slots=True)
class Part:
    """Lines `first` to `last` of a file, both inclusive, from 1."""

    first: int
    last: int
    text: str


@dataclass(frozen=True, slots=True)
class Parts:
    """The parts; `is_clipped`: there are lines that are in none. Such a file is never green."""

    parts: tuple[Part, ...]
    is_clipped: bool


def split(
    text: str, max_tokens: int, starts: Collection[int] = (), *, max_parts: int = 64
) -> Parts:
    """Cut a file where definitions begin, so that no part has more than `max_tokens`.

    Neighbours share some lines, so that what stands on a border is seen whole by one of them.

    Args:
        starts: lines where definitions begin.
    """
    lines = text.splitlines(keepends=True)
    budget = max(1, max_tokens * CHARACTERS_PER_TOKEN)
    wanted = sorted(start for start in starts if 1 < start <= len(lines))
    parts: list[Part] = []
    first, is_clipped = 0, False
    while first < len(lines):
        if len(parts) == max_parts:
            is_clipped = True
            break
        stop = _fill(lines, first, budget)
        if stop == first:  # one line is longer than a part
            is_clipped = True
            parts.append(Part(first + 1, first + 1, lines[first][:budget]))
            first += 1
            continue
        if stop < len(lines):
            # Not in the first half: parts would become many and small.
            cuts = [
                start - 1 for start in wanted if first + (stop - first) // 2 < start - 1 <= stop
            ]
            stop = cuts[-1] if cuts else stop
        parts.append(Part(first + 1, stop, "".join(lines[first:stop])))
        if stop >= len(lines):
            break
        first = max(first + 1, stop - min(OVERLAP_LINES, (stop - first) // 4))
    return Parts(tuple(parts), is_clipped)


def fits(text: str, max_tokens: int) -> bool:
    """Whether a text is one part."""
    return len(text) <= max(1, max_tokens * CHARACTERS_PER_TOKEN)


def tokens_of(text: str) -> int:
    """About how many tokens a text has: an estimate from above."""
    return -(-len(text) // CHARACTERS_PER_TOKEN)


def _fill(lines: list[str], first: int, budget: int) -> int:
    size, at = 0, first
    while at < len(lines) and size + len(lines[at]) <= budget:
        size += len(lines[at])
        at += 1
    return at
