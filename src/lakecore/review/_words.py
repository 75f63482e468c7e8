"""Words of code and prose as they are searched, and why a hit is ranked where it is. Pure."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any, Final

from lakecore.review._finding import WEIGHTS

MAX_TERM_CHARACTERS: Final = 200
_WORD: Final = re.compile(r"\w+")
_PART: Final = re.compile(r"[A-Z]+(?![a-z])|[A-Z]?[a-z]+|\d+|[^\W\d_A-Za-z]+")

POINTS: Final = {
    "is the symbol": 8.0,
    "in the symbol": 4.0,
    "is the file's name": 5.0,
    "in the path": 3.0,
    "in the claim": 2.0,
    "in the quote": 1.0,
    "in the answer": 1.0,
}
"""What a place of the term counts. An open finding counts up to one point more, by severity."""


def words(text: str) -> list[str]:
    """The words of a text, lower case: names whole, and their parts behind them.

    >>> words("Ladder._fromModel(2)")
    ['ladder', '_frommodel', 'from', 'model', '2']
    """
    found: list[str] = []
    for name in _WORD.findall(text):
        whole = name.lower()
        found.append(whole)
        parts = [part.lower() for part in _PART.findall(name)]
        if parts != [whole]:
            found += parts
    return found


def term_words(term: str) -> list[str]:
    """What a term asks for: all of it has to be there."""
    return [name.lower() for name in _WORD.findall(term[:MAX_TERM_CHARACTERS])]


@dataclass(frozen=True, slots=True)
class Hit:
    """Something that the term is in.

    Attributes:
        kind: ``file``, ``finding`` or ``review``.
        why: (reason, points) of each reason; they add up to `score`.
    """

    row: Mapping[str, Any]
    score: float
    why: tuple[tuple[str, float], ...]

    def to_body(self) -> dict[str, Any]:
        """JSON-ready."""
        why = [{"reason": reason, "points": points} for reason, points in self.why]
        return {**self.row, "score": self.score, "why": why}


def ranked(rows: Iterable[Mapping[str, Any]], term: str) -> list[Hit]:
    """Hits, the best first; of equals the newest, then by path.

    Args:
        rows: with `symbol`, `path`, `claim`, `quote`, `answer`, `severity`, `is_open`, `time`.
    """
    wanted = term_words(term)
    hits = [_hit(row, wanted, term.strip().lower()) for row in rows]
    hits.sort(key=lambda hit: (str(hit.row["path"]), str(hit.row["id"])))
    hits.sort(key=lambda hit: str(hit.row["time"]), reverse=True)
    hits.sort(key=lambda hit: -hit.score)
    return hits


def _hit(row: Mapping[str, Any], wanted: list[str], term: str) -> Hit:
    why: list[tuple[str, float]] = []

    def add(reason: str) -> None:
        why.append((reason, POINTS[reason]))

    symbols = str(row["symbol"] or "").lower().split()
    names = {one.replace("::", ".").rsplit(".", 1)[-1] for one in symbols} | set(symbols)
    path = str(row["path"] or "").lower()
    file_name = path.rsplit("/", 1)[-1]
    if term in names:
        add("is the symbol")
    elif _has(row["symbol"], wanted):
        add("in the symbol")
    if term in (path, file_name, file_name.rsplit(".", 1)[0]):
        add("is the file's name")
    elif _has(row["path"], wanted):
        add("in the path")
    for place in ("claim", "quote", "answer"):
        if _has(row[place], wanted):
            add(f"in the {place}")
    if row["is_open"]:
        weight = WEIGHTS.get(str(row["severity"]), 0) / max(WEIGHTS.values())
        why.append((f"open, {row['severity']}", weight))
    return Hit(row, round(sum(points for _, points in why), 3), tuple(why))


def _has(text: Any, wanted: list[str]) -> bool:
    have = words(str(text or ""))
    return all(any(word.startswith(one) for word in have) for one in wanted)
