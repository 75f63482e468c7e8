"""A part of a text around what was found in it, with marks. Pure."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

MARK: Final = "**"
BEFORE_CHARACTERS: Final = 40
MAX_CHARACTERS: Final = 240


def excerpt(value: str, spans: Sequence[tuple[int, int]]) -> str:
    """One line around the first span, with what was found between marks.

    It is plain text: whoever puts it into a page escapes it.

    >>> excerpt("Boeing builds the 737 in Renton", [(0, 6), (18, 21)])
    '**Boeing** builds the **737** in Renton'
    """
    first = spans[0][0]
    start = max(0, first - BEFORE_CHARACTERS)
    if start:
        space = value.find(" ", start, first)
        start = space + 1 if space >= 0 else start
    end = min(len(value), start + MAX_CHARACTERS)
    parts, at = ["…" if start else ""], start
    for low, high in spans:
        if low < at or high > end:
            continue
        parts += [value[at:low], MARK, value[low:high], MARK]
        at = high
    parts += [value[at:end], "…" if end < len(value) else ""]
    return " ".join("".join(parts).split())
