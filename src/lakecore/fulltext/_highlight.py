"""Where in a value the words of a query are."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from lakecore.fulltext._analysis import Analysis
from lakecore.fulltext._fold import fold_with_offsets
from lakecore.fulltext._parse import Group, Node, Occur, Phrase, Prefix, Word


@dataclass(frozen=True, slots=True, order=True)
class Span:
    """Characters `start` up to but not including `end` of a value."""

    start: int
    end: int


def spans_of(
    tree: Group, value: str, analysis: Analysis, fields: Sequence[str], limit: int
) -> list[Span]:
    """Spans of `value` that the query asks for: in order, apart from each other, `limit` at most.

    Args:
        fields: which the value may be of; what the query asks of other fields is passed over.
    """
    # What is no character is as long as the sign that stands for it.
    folded, offsets = fold_with_offsets(value.encode("utf-8", "replace").decode())
    exact = analysis.tokens(folded, stemmed=False)
    stems = exact if analysis.language is None else analysis.tokens(folded, stemmed=True)
    marked: set[int] = set()
    for node in _wanted(tree, fields):
        words = analysis.words(node.text, stemmed=isinstance(node, Word))
        tokens = stems if isinstance(node, Word) else exact
        marked |= _found(node, words, [token[0] for token in tokens])
    return _merged(
        [(offsets[exact[at][2]], _end(offsets, exact[at][3])) for at in sorted(marked)],
        limit,
    )


def _wanted(node: Node, fields: Sequence[str]) -> Iterator[Word | Prefix | Phrase]:
    if node.field is not None and node.field not in fields:
        return
    if not isinstance(node, Group):
        yield node
        return
    for occur, clause in node.clauses:
        if occur is not Occur.NOT:
            yield from _wanted(clause, fields)


def _found(node: Word | Prefix | Phrase, words: list[str], tokens: list[str]) -> set[int]:
    """Places of the tokens that are part of a match."""
    if not words:
        return set()
    first, last, count = words[0], words[-1], len(words)
    begins = isinstance(node, Prefix)
    found: set[int] = set()
    for at, token in enumerate(tokens):
        if count == 1:
            matches = token.startswith(first) if begins else token == first
        else:
            window = tokens[at : at + count]
            matches = token == first and len(window) == count and window[:-1] == words[:-1]
            matches = matches and (window[-1].startswith(last) if begins else window[-1] == last)
        if matches:
            found.update(range(at, at + count))
    return found


def _end(offsets: list[int], end: int) -> int:
    """Where the letter ends whose last folded character is before `end`."""
    while end < len(offsets) - 1 and offsets[end] == offsets[end - 1]:
        end += 1
    return offsets[end]


def _merged(pairs: list[tuple[int, int]], limit: int) -> list[Span]:
    merged: list[Span] = []
    for start, end in pairs:
        if merged and start < merged[-1].end:
            merged[-1] = Span(merged[-1].start, max(end, merged[-1].end))
        elif len(merged) == limit:
            break
        else:
            merged.append(Span(start, end))
    return merged
