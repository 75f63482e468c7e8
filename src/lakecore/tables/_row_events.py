"""Differences of rows and columns as events."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import Any

import numpy as np
import pyarrow as pa

from lakecore.journal import json_text, row_json
from lakecore.tables._attempt import parts_of
from lakecore.tables._difference import RowChanges, changed_cells, side_column
from lakecore.tables._events import SCHEMA, Change, texts
from lakecore.tables._keys import entity_ids
from lakecore.tables._schema import delta_type_text
from lakecore.tables._types import DatasetRef

Builder = tuple[Callable[..., Change], tuple[Any, ...]]
"""A call that makes events, and its arguments: it may be made by another thread."""


def row_builders(found: RowChanges, key: Sequence[str]) -> Iterator[Builder]:
    """The events of rows that differ; without a key, rows as they went and came, each once."""
    for rows in parts_of(found.deleted):
        yield _deletes, (rows, key)
    start = 0
    for before in parts_of(found.before):
        after = found.after.slice(start, before.num_rows)
        start += before.num_rows
        for field in after.schema:
            if field.name in key:
                continue
            old, new = side_column(before, field), after.column(field.name)
            mask = np.asarray(changed_cells(old, new), dtype=np.bool_)
            if mask.any():
                where = pa.array(mask)
                keys = after.select(list(key)).filter(where)
                yield _updates, (keys, key, field.name, old.filter(where), new.filter(where))
    for rows in parts_of(found.inserted):
        yield _inserts, (rows, key)


def _deletes(rows: pa.Table, key: Sequence[str]) -> Change:
    return Change(action="delete", entity_ids=_ids(rows, key), old=row_json(rows))


def _inserts(rows: pa.Table, key: Sequence[str]) -> Change:
    return Change(action="insert", entity_ids=_ids(rows, key), new=row_json(rows))


def _updates(keys: pa.Table, key: Sequence[str], name: str, old: Any, new: Any) -> Change:
    return Change(
        action="update",
        entity_ids=entity_ids(keys, key),
        field=name,
        old=json_text(old),
        new=json_text(new),
    )


def _ids(rows: pa.Table, key: Sequence[str]) -> pa.ChunkedArray | pa.Array:
    # Rows of an unkeyed dataset have no name.
    return entity_ids(rows, key) if key else pa.repeat("", rows.num_rows)


def column_event(
    dataset: DatasetRef, action: str, name: str, old: str | None, new: str | None
) -> Change:
    """One event about a column; `old` and `new` are JSON text: types, or names of a rename."""
    return Change(
        action=action,
        entity_type=SCHEMA,
        entity_ids=texts(dataset.name),
        field=name,
        old=texts(old) if old is not None else None,
        new=texts(new) if new is not None else None,
    )


def schema_events(
    dataset: DatasetRef, old: pa.Schema, new: pa.Schema
) -> tuple[list[Change], list[Change]]:
    """What becomes of the columns: events to tell before those of the rows, and after them.

    Columns go last, because rows that go are told as they were, with these columns.
    """
    first, last = [], []
    for field in new:
        index = old.get_field_index(field.name)
        before = delta_type_text(old.field(index)) if index >= 0 else None
        after = delta_type_text(field)
        if before is None:
            first.append(column_event(dataset, "add_column", field.name, None, after))
        elif before != after:
            first.append(column_event(dataset, "change_column", field.name, before, after))
    for field in old:
        if new.get_field_index(field.name) < 0:
            text = delta_type_text(field)
            last.append(column_event(dataset, "drop_column", field.name, text, None))
    return first, last
