"""Results as aligned text for a terminal: bounded, and safe to print."""

from __future__ import annotations

import re
from collections.abc import Iterator
from itertools import zip_longest
from typing import TYPE_CHECKING, Final

import pyarrow as pa

from lakecore.query._cells import plain_cells

if TYPE_CHECKING:
    from lakecore.query._result import QueryResult

_MAX_CELL_WIDTH: Final = 60
_MAX_CELL_LINES: Final = 200
_PLAN_COLUMNS: Final = ["plan_type", "plan"]
"""What EXPLAIN returns: text that is useless when cut."""

# Control characters, among them those that move the cursor or hide text.
_CONTROL: Final = re.compile("[\x00-\x1f\x7f-\x9f\u200e\u200f\u2028-\u202e\u2066-\u2069\ufeff]")


def render(result: QueryResult, shown_rows: int) -> Iterator[bytes]:
    """Header, rule, the first `shown_rows` rows, and how many rows there are.

    Widths are those of a terminal: East Asian characters take two columns, combining ones none.
    """
    schema = result.schema
    rows, more = _first_rows(result, shown_rows)
    width = None if schema.names == _PLAN_COLUMNS else _MAX_CELL_WIDTH
    header = [[_cut(_escape(name), width)] for name in schema.names]
    cells = [[_lines(cell, width) for cell in row] for row in rows]
    widths = [
        max((_width(line) for cell in (title, *column) for line in cell), default=0)
        for title, *column in zip(header, *cells, strict=True)
    ]
    right = [_is_number(kind) for kind in schema.types]
    out = []
    if schema.names:
        out.append(_row(header, widths, right))
        out.append("─┼─".join("─" * width for width in widths))
        out += [_row(row, widths, right) for row in cells]
    out.append(_count(len(rows), more=more, cut=result.truncated))
    yield ("\n".join(out) + "\n").encode("utf-8", "replace")


def _first_rows(result: QueryResult, shown_rows: int) -> tuple[list[list[str | None]], bool]:
    rows: list[list[str | None]] = []
    for batch in result.batches():
        part = batch.slice(0, shown_rows - len(rows))
        columns = [plain_cells(column).to_pylist() for column in part.columns]
        rows += [list(row) for row in zip(*columns, strict=True)] or [[]] * part.num_rows
        if part.num_rows < batch.num_rows:
            result.close()
            return rows, True
    return rows, False


def _count(shown: int, *, more: bool, cut: bool) -> str:
    noun = "row" if shown == 1 else "rows"
    if more:
        return f"(first {shown:,} {noun}; there are more)"
    return f"({shown:,} {noun}; cut off at the limit)" if cut else f"({shown:,} {noun})"


def _lines(cell: str | None, width: int | None) -> list[str]:
    if cell is None:
        return [""]
    # A line break elsewhere could pass itself off as another row.
    lines = cell.rstrip("\n").split("\n") if width is None else [cell]
    shown = [_cut(_escape(line), width) for line in lines[:_MAX_CELL_LINES]]
    return shown if len(lines) <= _MAX_CELL_LINES else [*shown, "…"]


def _escape(text: str) -> str:
    return _CONTROL.sub(lambda match: match[0].encode("unicode_escape").decode(), text)


def _cut(text: str, width: int | None) -> str:
    from rich.cells import set_cell_size

    if width is None or (len(text) <= width and _width(text) <= width):
        return text
    return set_cell_size(text[:width], width - 1).rstrip() + "…"


def _width(text: str) -> int:
    from rich.cells import cell_len

    return len(text) if text.isascii() else cell_len(text)


def _row(cells: list[list[str]], widths: list[int], right: list[bool]) -> str:
    """One row, as many lines high as its highest cell."""
    lines = []
    for parts in zip_longest(*cells, fillvalue=""):
        padded = []
        for part, width, to_right in zip(parts, widths, right, strict=True):
            space = " " * (width - _width(part))
            padded.append(space + part if to_right else part + space)
        lines.append(" │ ".join(padded).rstrip())
    return "\n".join(lines)


def _is_number(kind: pa.DataType) -> bool:
    tests = (pa.types.is_integer, pa.types.is_floating, pa.types.is_decimal)
    return any(is_number(kind) for is_number in tests)
