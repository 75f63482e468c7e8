"""Which finding of one review is which of the next: one identity over edits and renames. Pure.

Pairs are found tier by tier, strongest first, and one to one within the whole:

1. same category, symbol, quote and ordinal
2. same category and symbol, quotes that are alike
3. same category, and the old line maps to the new one through the edit
4. same category and quote, in another symbol: code that was moved

A renamed file is the same file: the caller says so with its new path. Neither the line by
itself nor the wording of the claim is ever compared.
"""

from __future__ import annotations

import difflib
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Final

from lakecore.review._finding import Finding, normal_space

ALIKE: Final = 0.7
"""How alike two quotes are at least, 0 to 1, to be the same finding in the same symbol."""
_COST_EXACT: Final = 0.0
_COST_ALIKE: Final = 1.0
_COST_LINE: Final = 2.5
_COST_MOVED: Final = 3.5
_IMPOSSIBLE: Final = 1e6
_LINE_SLACK: Final = 1


@dataclass(frozen=True, slots=True)
class Matching:
    """`pairs` of (old index, new index); the rest of the old and of the new."""

    pairs: tuple[tuple[int, int], ...]
    lost: tuple[int, ...]
    fresh: tuple[int, ...]


def match(
    old: Sequence[Finding],
    new: Sequence[Finding],
    *,
    line_of: Callable[[int], int | None] = lambda line: None,
    new_path: str | None = None,
) -> Matching:
    """Pair the findings of two reviews of one file.

    Args:
        line_of: from a line of the old text to that of the new one; None: it is gone.
        new_path: where the file is now, if it was renamed.
    """
    if not old or not new:
        return Matching((), tuple(range(len(old))), tuple(range(len(new))))
    import numpy as np
    from scipy.optimize import linear_sum_assignment

    moved = [one if new_path is None else replace(one, path=new_path) for one in old]
    costs = np.full((len(old), len(new)), _IMPOSSIBLE)
    for row, before in enumerate(moved):
        for column, after in enumerate(new):
            costs[row, column] = _cost(before, after, line_of)
    rows, columns = linear_sum_assignment(costs)
    pairs = tuple(
        (int(row), int(column))
        for row, column in zip(rows, columns, strict=True)
        if costs[row, column] < _IMPOSSIBLE
    )
    had, has = {row for row, _ in pairs}, {column for _, column in pairs}
    return Matching(
        pairs,
        tuple(row for row in range(len(old)) if row not in had),
        tuple(column for column in range(len(new)) if column not in has),
    )


def line_map(old: str, new: str) -> Callable[[int], int | None]:
    """From lines of one text to those of another, counted from 1, by the longest common parts."""
    before, after = old.splitlines(), new.splitlines()
    ahead = _common(before, after)
    behind = _common(before[ahead:][::-1], after[ahead:][::-1])
    middle = difflib.SequenceMatcher(
        None,
        before[ahead : len(before) - behind],
        after[ahead : len(after) - behind],
        autojunk=False,
    )
    known = {number: number for number in range(1, ahead + 1)}
    for tag, start, stop, to, end in middle.get_opcodes():
        if tag == "equal" or (tag == "replace" and stop - start == end - to):
            for step in range(stop - start):
                known[ahead + start + step + 1] = ahead + to + step + 1
        elif tag == "replace":
            # Line by line there is no answer; as a block there is.
            for step in range(stop - start):
                share = step * (end - to) // (stop - start)
                known[ahead + start + step + 1] = ahead + to + share + 1
    shift = len(after) - len(before)
    for number in range(len(before) - behind + 1, len(before) + 1):
        known[number] = number + shift
    return known.get


def _cost(old: Finding, new: Finding, line_of: Callable[[int], int | None]) -> float:
    if old.category != new.category or old.path != new.path:
        return _IMPOSSIBLE
    same_symbol = old.symbol == new.symbol
    same_quote = old.quote_hash == new.quote_hash
    if same_symbol and same_quote:
        # Of several the same, those of the same ordinal belong together.
        return _COST_EXACT + min(abs(old.ordinal - new.ordinal), 9) / 10
    if same_symbol and (likeness := _likeness(old.quote, new.quote)) >= ALIKE:
        return _COST_ALIKE + (1 - likeness)
    line = line_of(old.line)
    if line is not None and new.line - _LINE_SLACK <= line <= new.end_line + _LINE_SLACK:
        return _COST_LINE + abs(line - new.line) / 1_000
    if same_quote:
        return _COST_MOVED
    return _IMPOSSIBLE


def _likeness(one: str, other: str) -> float:
    from rapidfuzz import fuzz

    return float(fuzz.ratio(normal_space(one), normal_space(other))) / 100


def _common(one: Sequence[str], other: Sequence[str]) -> int:
    count = 0
    for mine, theirs in zip(one, other, strict=False):
        if mine != theirs:
            break
        count += 1
    return count
