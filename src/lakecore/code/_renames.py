"""Symbols that another name was given to; pure."""

from __future__ import annotations

from collections.abc import Iterator
from difflib import SequenceMatcher
from itertools import islice
from typing import Final

from lakecore.code._parse import Code, Symbol, Token

_MIN_RATIO: Final = 0.6
_MAX_COMPARED: Final = 200
_MAX_TOKENS: Final = 2_000


def renamed_symbols(old: Code, new: Code) -> tuple[tuple[Symbol, Symbol], ...]:
    """Pairs of a symbol that went and the one that came in its place.

    A pair is of one kind and has nearly the same tokens, its own name aside; each symbol is in
    one pair at most, the most alike first. At most 200 symbols of each side are compared.

    >>> from lakecore.code import Language, parse
    >>> old, new = (parse(f"def {n}(a): return a + 1", Language.PYTHON) for n in ("f", "g"))
    >>> [(a.name, b.name) for a, b in renamed_symbols(old, new)]
    [('f', 'g')]
    """
    before = {(s.kind, s.qualified) for s in old.symbols}
    after = {(s.kind, s.qualified) for s in new.symbols}
    went = [s for s in old.symbols if (s.kind, s.qualified) not in after][:_MAX_COMPARED]
    came = [s for s in new.symbols if (s.kind, s.qualified) not in before][:_MAX_COMPARED]
    if not went or not came:
        return ()
    bodies = {id(s): list(_body(old, s)) for s in went} | {id(s): list(_body(new, s)) for s in came}
    scored = []
    for first in went:
        for second in came:
            if first.kind != second.kind or first.name == second.name:
                continue
            matcher = SequenceMatcher(None, bodies[id(first)], bodies[id(second)], autojunk=False)
            if matcher.real_quick_ratio() < _MIN_RATIO or matcher.quick_ratio() < _MIN_RATIO:
                continue
            ratio = matcher.ratio()
            if ratio >= _MIN_RATIO:
                scored.append((ratio, first, second))
    scored.sort(key=lambda item: (-item[0], item[1].start_byte, item[2].start_byte))
    pairs = []
    used: set[int] = set()
    for _, first, second in scored:
        if id(first) not in used and id(second) not in used:
            used |= {id(first), id(second)}
            pairs.append((first, second))
    return tuple(sorted(pairs, key=lambda pair: pair[0].start_byte))


def _body(code: Code, symbol: Symbol) -> Iterator[str]:
    """A symbol's tokens, its own name replaced by a sign of its own."""
    for token in islice(_within(code, symbol), _MAX_TOKENS):
        yield "\0" if token.text == symbol.name else token.text


def _within(code: Code, symbol: Symbol) -> Iterator[Token]:
    for token in code.tokens:
        if symbol.start_line <= token.line <= symbol.end_line:
            yield token
