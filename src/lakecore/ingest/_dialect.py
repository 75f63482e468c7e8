"""The dialect of a delimited text, from a sample of it. Pure: text in, decision out.

DuckDB's own sniffer is not used: on small files it prefers a comma inside decimals to
the semicolon between them and then skips the header as a preamble. Here a dialect is
scored by how many of the sample's records have as many fields as the first one.
"""

from __future__ import annotations

import csv
import re
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

_DELIMITERS: Final = (",", "\t", ";", "|")
_SAMPLE_RECORDS: Final = 1_000
_MAX_PREAMBLE_LINES: Final = 20


@dataclass(frozen=True, slots=True, kw_only=True)
class Dialect:
    """How records are written. `skip_rows` lines come before the first record."""

    delimiter: str
    quote: str
    escape: str
    skip_rows: int = 0

    def describe(self) -> str:
        """Nothing for what everybody expects of a CSV file."""
        if self.delimiter == "," and self.quote == self.escape == '"':
            return ""
        quoted = f"quote {self.quote!r}" if self.quote else "no quote"
        return f"delimiter {self.delimiter!r}, {quoted}"


def sniff_dialect(
    sample: str,
    *,
    delimiter: str | None = None,
    quote: str | None = None,
    escape: str | None = None,
    skip_rows: int | None = None,
) -> Dialect:
    """The likeliest dialect of `sample` (whole lines); what is given is kept."""
    lines = sample.splitlines(keepends=True)[: 4 * _SAMPLE_RECORDS]
    skip = skip_rows or 0
    quotes = (quote,) if quote is not None else _quotes_in(sample)
    best: tuple[tuple[float, ...], Dialect] | None = None
    for candidate in (delimiter,) if delimiter else _DELIMITERS:
        for mark in quotes:
            chosen_escape = escape if escape is not None else _escape(sample, candidate, mark)
            records = parse(
                lines[skip:], Dialect(delimiter=candidate, quote=mark, escape=chosen_escape)
            )
            preamble = _preamble(records) if skip_rows is None else 0
            score = _score(records[preamble:])
            dialect = Dialect(
                delimiter=candidate,
                quote=mark,
                escape=chosen_escape,
                skip_rows=skip + _lines_before(lines, records, preamble),
            )
            # A preamble is believed only where the text has no better reading.
            rank = (*score, -float(preamble))
            if best is None or rank > best[0]:
                best = (rank, dialect)
    assert best is not None  # noqa: S101 - there is at least one candidate
    return best[1]


def _escape(sample: str, delimiter: str, quote: str) -> str:
    """A backslash where one stands before a quote that does not end its field."""
    inside = re.escape(f"\\{quote}") + f"[^{re.escape(delimiter)}{quote}\r\n]"
    return "\\" if quote and re.search(inside, sample) else quote


def _quotes_in(sample: str) -> tuple[str, ...]:
    if "'" in sample and '"' not in sample:
        return ('"', "'")
    return ('"',)


def parse(lines: Sequence[str], dialect: Dialect) -> list[list[str]]:
    """The first records of `lines`, leniently, by Python's csv."""
    doubled = dialect.escape == dialect.quote
    reader = csv.reader(
        (line.replace("\0", "") for line in lines),
        delimiter=dialect.delimiter,
        quotechar=dialect.quote or None,
        quoting=csv.QUOTE_MINIMAL if dialect.quote else csv.QUOTE_NONE,
        doublequote=doubled,
        escapechar=None if doubled or not dialect.escape else dialect.escape,
    )
    records: list[list[str]] = []
    try:
        for record in reader:
            records.append(record)
            if len(records) == _SAMPLE_RECORDS:
                break
    except csv.Error:
        pass  # an unfinished field at the sample's end: the records before it count
    return records


def _score(records: Sequence[Sequence[str]]) -> tuple[float, ...]:
    filled = [record for record in records if record]
    if not filled:
        return (0.0, 0.0, 0.0)
    width = len(filled[0])
    agreeing = sum(len(record) == width for record in filled) / len(filled)
    # Whole records that agree beat more columns; one column never beats several that agree.
    # A header of several columns over ragged records still is one: each has a delimiter.
    delimited = sum(len(record) > 1 for record in filled) / len(filled)
    several = 1.0 if width > 1 and (agreeing >= 0.5 or delimited >= 0.9) else 0.0
    return (several, round(agreeing, 2), float(width))


def _preamble(records: Sequence[Sequence[str]]) -> int:
    """How many leading records have no delimiter while nearly all others have several."""
    widths = [len(record) for record in records if record]
    if len(widths) < 3:
        return 0
    mode, count = Counter(widths).most_common(1)[0]
    if mode < 2 or count < 0.7 * len(widths):
        return 0
    for index, record in enumerate(records[:_MAX_PREAMBLE_LINES]):
        if len(record) == mode:
            return index
        if len(record) > 1:
            return 0
    return 0


def _lines_before(lines: Sequence[str], records: Sequence[Sequence[str]], count: int) -> int:
    # Preamble records have one field without quotes: one line each, blank ones included.
    return count if records and lines else 0


def has_header(records: Sequence[Sequence[str]], is_typed: Sequence[bool]) -> bool:
    """Whether the first record names the columns.

    It does when none of its values is a number, date or boolean and either some column's
    other values are (`is_typed`), or all its values are distinct, filled, and do not come
    again below.
    """
    first = [value.strip() for value in records[0]]
    if not any(first) or any(looks_typed(value) for value in first):
        return False
    if len(records) == 1 or any(is_typed):
        return True
    repeated = any(
        value and value == (record[index].strip() if index < len(record) else None)
        for record in records[1:]
        for index, value in enumerate(first)
    )
    return not repeated


def looks_typed(value: str) -> bool:
    """A number, an ISO date or time, or a boolean."""
    text = value.strip()
    if not text or text[0] not in "+-.0123456789tTfF":
        return False
    if text.lower() in {"true", "false"}:
        return True
    if len(text) >= 10 and text[4:5] == "-" and text[7:8] == "-" and text[:4].isdigit():
        return True
    try:
        float(text)
    except ValueError:
        return False
    return "_" not in text


def columns_typed(records: Sequence[Sequence[str]], markers: Sequence[str]) -> list[bool]:
    """Per column: whether all values below the first record are typed, and there is one."""
    width = len(records[0]) if records else 0
    typed = []
    for index in range(width):
        values = [
            record[index]
            for record in records[1:200]
            if index < len(record) and record[index].strip() not in markers
        ]
        typed.append(bool(values) and all(looks_typed(value) for value in values))
    return typed
