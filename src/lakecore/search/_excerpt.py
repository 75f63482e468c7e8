"""A part of a text around what was found in it. Pure."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

MARK: Final = "**"
BEFORE_CHARACTERS: Final = 40
MAX_CHARACTERS: Final = 240

Part = tuple[str, bool]
"""A piece of an excerpt, and whether it is what was found."""


def excerpt(value: str, spans: Sequence[tuple[int, int]]) -> str:
    """One line around the first span, with what was found between marks.

    It is plain text: whoever puts it into a page escapes it.

    >>> excerpt("Boeing builds the 737 in Renton", [(0, 6), (18, 21)])
    '**Boeing** builds the **737** in Renton'
    """
    return "".join(
        f"{MARK}{text}{MARK}" if is_found else text for text, is_found in parts(value, spans)
    )


def parts(value: str, spans: Sequence[tuple[int, int]]) -> list[Part]:
    """The same line in pieces: marks may be in a text, so whoever draws it takes these.

    >>> parts("Boeing builds the 737", [(0, 6), (18, 21)])
    [('Boeing', True), (' builds the ', False), ('737', True)]
    """
    first = spans[0][0]
    start = max(0, first - BEFORE_CHARACTERS)
    if start:
        space = value.find(" ", start, first)
        start = space + 1 if space >= 0 else start
    end = min(len(value), start + MAX_CHARACTERS)
    pieces, at = [("…" if start else "", False)], start
    for low, high in spans:
        if low < at or high > end:
            continue
        pieces += [(value[at:low], False), (value[low:high], True)]
        at = high
    pieces += [(value[at:end], False), ("…" if end < len(value) else "", False)]
    return _one_line(pieces)


def _one_line(pieces: Sequence[Part]) -> list[Part]:
    """With single blanks, none at the ends; neighbours of one kind are one piece."""
    found: list[Part] = []
    is_blank = True
    for text, is_found in pieces:
        line = " ".join(f"[{text}]".split())[1:-1]
        if is_blank:
            line = line.removeprefix(" ")
        if not line:
            continue
        is_blank = line.endswith(" ")
        if found and found[-1][1] == is_found:
            line = found.pop()[0] + line
        found.append((line, is_found))
    if found and is_blank:
        text, is_found = found.pop()
        found += [(text[:-1], is_found)] if text[:-1] else []
    return found
