"""Results on stdout, notes on stderr; JSON documents and aligned tables."""

from __future__ import annotations

import dataclasses
import json
import sys
from base64 import b64encode
from collections.abc import Mapping, Sequence
from datetime import UTC, date, datetime, time
from enum import Enum
from typing import Any

from lakecore.cli._text import columns_taken, printable, shortened

_GAP = "  "
_MAX_CELL = 72


def print_json(document: object) -> None:
    """One JSON document, indented, in the order of its keys."""
    json.dump(document, sys.stdout, ensure_ascii=False, indent=2, default=_plain)
    print()


def print_text(text: str = "") -> None:
    """A line of a result."""
    print(text)


def note(text: str) -> None:
    """A line beside the result."""
    print(text, file=sys.stderr)


def print_table(
    columns: Sequence[str], rows: Sequence[Sequence[object]], *, right: Sequence[str] = ()
) -> None:
    """An aligned table with a header; columns named in `right` are aligned to the right.

    Cells lose their control characters, and what is beyond 72 characters: whoever needs
    the whole value asks for JSON.
    """
    cells = [[shortened(printable(cell), _MAX_CELL) for cell in row] for row in rows]
    widths = [
        max([columns_taken(column), *(columns_taken(row[index]) for row in cells)])
        for index, column in enumerate(columns)
    ]
    rule = ["─" * width for width in widths]
    for row in [list(columns), rule, *cells]:
        aligned = []
        for column, cell, width in zip(columns, row, widths, strict=True):
            space = " " * (width - columns_taken(cell))
            aligned.append(space + cell if column in right else cell + space)
        print(_GAP.join(aligned).rstrip())


def print_pairs(pairs: Mapping[str, object]) -> None:
    """Names and values, one a line, the values aligned."""
    width = max(map(len, pairs), default=0)
    for name, value in pairs.items():
        print(f"{name:<{width}}{_GAP}{printable(value)}".rstrip())


def _plain(value: Any) -> object:
    """What JSON has no word for, as text; what no rule covers is a bug and raises."""
    if hasattr(value, "to_dict"):
        return value.to_dict()
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        return {field.name: getattr(value, field.name) for field in dataclasses.fields(value)}
    if isinstance(value, Enum):
        return value.value
    if isinstance(value, datetime) and value.tzinfo is not None:
        return value.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%S.%fZ")
    if isinstance(value, date | time):
        return value.isoformat()
    if isinstance(value, bytes):
        return b64encode(value).decode()
    if isinstance(value, Mapping):
        return dict(value)
    if isinstance(value, set | frozenset):
        return sorted(value)
    raise TypeError(f"{type(value).__name__} has no JSON form")


def flattened(document: object, prefix: str = "") -> dict[str, object]:
    """Nested objects as lines: names joined by spaces, whole numbers with separators.

    >>> flattened({"lake": {"lake_id": "x"}, "journal": {"tree_size": 1000}, "open": True})
    {'lake id': 'x', 'journal tree size': '1,000', 'open': 'yes'}
    """
    if isinstance(document, dict):
        lines: dict[str, object] = {}
        for name, value in document.items():
            rest = name.removeprefix(f"{prefix}_")
            lines.update(flattened(value, f"{prefix} {rest}".strip().replace("_", " ")))
        return lines
    return {prefix: _value(document)}


def _value(value: object) -> object:
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, int):
        return f"{value:,}"
    if isinstance(value, list | tuple):
        return ", ".join(str(_value(item)) for item in value) or "none"
    return "none" if value is None else value
