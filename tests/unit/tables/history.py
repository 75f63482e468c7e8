"""A table's events followed row by row, in plain Python: what the journal alone says it holds."""

from __future__ import annotations

import json
from collections.abc import Iterable
from typing import Any

import pyarrow as pa

from lakecore.journal import Event, encode_value

Rows = dict[str, dict[str, Any]]
"""Entity id to column to value, as JSON has them."""


def as_json(row: dict[str, Any]) -> dict[str, Any]:
    """A row of Python values as JSON values."""
    return {name: json.loads(encode_value(value)) for name, value in row.items()}


def follow(rows: Rows, changes: Iterable[Any]) -> None:
    """Apply events, or rows of a difference; every old value has to be there."""
    for change in changes:
        if change.entity_type == "schema":
            _follow_column(rows, change)
        elif change.field != "*":
            assert json.loads(change.old_value) == rows[change.entity_id].get(change.field)
            assert change.old_value != change.new_value
            rows[change.entity_id][change.field] = json.loads(change.new_value)
        elif change.action == "delete":
            assert json.loads(change.old_value) == rows.pop(change.entity_id)
            assert change.new_value is None
        elif not change.entity_id.startswith("batch:"):
            assert change.entity_id not in rows
            assert change.old_value is None
            rows[change.entity_id] = json.loads(change.new_value)


def _follow_column(rows: Rows, change: Any) -> None:
    if change.action == "add_column":
        for row in rows.values():
            row[change.field] = None
    elif change.action == "drop_column":
        for row in rows.values():
            row.pop(change.field, None)
    elif change.action == "rename_column":
        for row in rows.values():
            row[json.loads(change.new_value)] = row.pop(change.field)


class Line:
    """A row of a difference with the names of an event."""

    def __init__(self, row: dict[str, str | None]) -> None:
        self.__dict__.update(row)


def lines(tables: Iterable[pa.Table]) -> list[Any]:
    """A difference's rows, as `follow` takes them."""
    return [Line(row) for table in tables for row in table.to_pylist()]


def events_table(events: Iterable[Event]) -> pa.Table:
    """Events as `Tables.revert` takes them."""
    names = ("entity_id", "field", "action", "old_value", "new_value")
    columns = zip(*([getattr(event, name) for name in names] for event in events), strict=True)
    arrays = [pa.array(column, pa.string()) for column in columns]
    return pa.table(arrays or [pa.array([], pa.string())] * len(names), names=list(names))
