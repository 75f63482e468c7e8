"""What a review found, and what of it counts: a finding without its quote in the file is none.

Pure: texts in, findings out. The line is computed here and never taken from a reviewer.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from typing import Final

CATEGORIES: Final = (
    "correctness",
    "unenforced",
    "unwired",
    "placeholder",
    "error-handling",
    "concurrency",
    "data-loss",
    "security",
    "resource",
    "performance",
    "contract",
    "test-gap",
    "documentation",
    "dead-code",
)
"""The closed list: what is in no category is no finding."""

SEVERITIES: Final = ("critical", "major", "minor", "info")
SEVERE: Final = frozenset(("critical", "major"))
WEIGHTS: Final = {"critical": 8, "major": 4, "minor": 2, "info": 1}
"""How much an open finding of a severity counts in a sum over findings."""

MIN_QUOTE_CHARACTERS: Final = 6
MAX_QUOTE_CHARACTERS: Final = 4_000
MAX_CLAIM_CHARACTERS: Final = 4_000
_SPACE: Final = re.compile(r"\s+")


@dataclass(frozen=True, slots=True)
class RawFinding:
    """A finding as a reviewer stated it, before it is held against the file.

    Attributes:
        confidence: 0 to 1, the reviewer's own; None: it gave none.
    """

    category: str
    quote: str
    claim: str
    severity: str
    symbol: str = ""
    confidence: float | None = None


@dataclass(frozen=True, slots=True)
class Finding:
    """A finding whose quote is in the reviewed text.

    Attributes:
        symbol: the definition around the quote, as the file has it; "" at the top level.
        line, end_line: of the quote, from 1, both inclusive.
        ordinal: which of several with the same category, symbol and quote.
    """

    category: str
    path: str
    symbol: str
    quote: str
    claim: str
    severity: str
    line: int
    end_line: int
    confidence: float | None = None
    ordinal: int = 0

    @property
    def quote_hash(self) -> str:
        """Of the quote without regard to white space."""
        return hashlib.sha256(normal_space(self.quote).encode(errors="replace")).hexdigest()[:16]

    @property
    def fingerprint(self) -> str:
        """The name of this finding at this place: no line and no claim is in it."""
        parts = (self.category, self.path, self.symbol, self.quote_hash, str(self.ordinal))
        return hashlib.sha256("\0".join(parts).encode(errors="replace")).hexdigest()[:32]


@dataclass(frozen=True, slots=True)
class Grounded:
    """The findings of one review that count, and why the others do not."""

    findings: tuple[Finding, ...]
    refused: tuple[tuple[RawFinding, str], ...] = field(default=())


def ground(
    raw: Iterable[RawFinding],
    path: str,
    text: str,
    symbol_at: Callable[[int], str] = lambda line: "",
) -> Grounded:
    """Hold findings against the text that was reviewed.

    Args:
        symbol_at: the name of the definition around a line, "" where there is none.
    """
    index = QuoteIndex(text)
    found: list[Finding] = []
    refused: list[tuple[RawFinding, str]] = []
    for one in raw:
        why = _why_not(one)
        spans = [] if why else index.spans(one.quote)
        if why or not spans:
            refused.append((one, why or "ungrounded: the quote is not in the file"))
            continue
        line, end_line = _nearest(spans, one.symbol, symbol_at)
        symbol = symbol_at(line)
        stem = (one.category, symbol, normal_space(one.quote))
        if any(
            (f.category, f.symbol, normal_space(f.quote), f.line) == (*stem, line) for f in found
        ):
            refused.append((one, "repeated: the same finding at the same place"))
            continue
        found.append(
            Finding(
                one.category,
                path,
                symbol,
                one.quote,
                one.claim[:MAX_CLAIM_CHARACTERS],
                one.severity,
                line,
                end_line,
                one.confidence,
                _ordinal_at(index, one.quote, symbol, line, symbol_at),
            )
        )
    return Grounded(tuple(found), tuple(refused))


class QuoteIndex:
    """Where quotes are in a text, white space aside."""

    def __init__(self, text: str) -> None:
        words: list[str] = []
        self._starts: list[int] = []
        self._lines: list[int] = []
        position = 0
        for number, line in enumerate(text.splitlines(), 1):
            for word in line.split():
                words.append(word)
                self._starts.append(position)
                self._lines.append(number)
                position += len(word) + 1
        self._text = " ".join(words)

    def spans(self, quote: str) -> list[tuple[int, int]]:
        """(first line, last line) of each place where the quote is, from the top."""
        wanted = normal_space(quote)
        if not wanted:
            return []
        found = []
        at = self._text.find(wanted)
        while at >= 0:
            found.append((self._line(at), self._line(at + len(wanted) - 1)))
            at = self._text.find(wanted, at + 1)
        return found

    def _line(self, position: int) -> int:
        from bisect import bisect_right

        return self._lines[bisect_right(self._starts, position) - 1]


def normal_space(text: str) -> str:
    """The text with every run of white space as one blank."""
    return _SPACE.sub(" ", text).strip()


def _why_not(raw: RawFinding) -> str:
    if raw.category not in CATEGORIES:
        return f"no such category: {raw.category[:60]!r}"
    if raw.severity not in SEVERITIES:
        return f"no such severity: {raw.severity[:60]!r}"
    if raw.confidence is not None and not 0 <= raw.confidence <= 1:
        return f"no confidence between 0 and 1: {raw.confidence}"
    size = len(normal_space(raw.quote))
    if not MIN_QUOTE_CHARACTERS <= size <= MAX_QUOTE_CHARACTERS:
        return (
            f"the quote has {size} characters, not {MIN_QUOTE_CHARACTERS} to {MAX_QUOTE_CHARACTERS}"
        )
    return ""


def _nearest(
    spans: list[tuple[int, int]], named: str, symbol_at: Callable[[int], str]
) -> tuple[int, int]:
    """Of several places, the first in the definition that the reviewer named."""
    if named:
        tail = named.rsplit(".", 1)[-1].rsplit("::", 1)[-1]
        for span in spans:
            if symbol_at(span[0]).rsplit(".", 1)[-1] == tail:
                return span
    return spans[0]


def _ordinal_at(
    index: QuoteIndex, quote: str, symbol: str, line: int, symbol_at: Callable[[int], str]
) -> int:
    """How many such quotes are in the same definition above this one."""
    return sum(1 for start, _ in index.spans(quote) if start < line and symbol_at(start) == symbol)
