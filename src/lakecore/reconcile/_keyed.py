"""What a version changed in a keyed dataset: rows removed and added, matched by key.

Rows that were only moved to another file produce nothing. Of a row that is on both sides,
each column that differs is one event. Linear in the rows; the order of events follows from
the order of rows in the files, so everybody derives the same.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import polars as pl
import pyarrow as pa
from pyarrow import types as pat

from lakecore.base import InvalidInput
from lakecore.journal import changed, json_text, row_json
from lakecore.reconcile._cancel import taken
from lakecore.reconcile._events import Piece, parts_of
from lakecore.reconcile._rows import Underivable
from lakecore.reconcile._sides import Sides
from lakecore.tables import entity_ids


@dataclass(slots=True)
class Counts:
    """Rows by what became of them; `fields` counts the events."""

    inserted: int = 0
    updated: int = 0
    deleted: int = 0
    fields: int = 0

    @property
    def any(self) -> bool:
        return bool(self.inserted or self.updated or self.deleted)


def check_key_schema(schema: pa.Schema, key: Sequence[str]) -> None:
    """Raises `Underivable` when rows cannot be matched by `key` in this version."""
    for name in key:
        index = schema.get_field_index(name)
        if index < 0:
            raise Underivable(f"the key column {name!r} is missing")
        if pat.is_nested(schema.field(index).type):
            raise Underivable(f"the key column {name!r} is of a nested type")


def keyed_pieces(sides: Sides, key: Sequence[str], counts: Counts) -> Iterator[Piece]:
    """The events of all parts.

    Raises:
        Underivable: a key is null, or comes twice on one side.
    """
    for part in range(sides.parts):
        before, after = sides.read("removed", part), sides.read("added", part)
        yield from _pieces(before, after, list(key), counts)


def _pieces(before: pa.Table, after: pa.Table, key: list[str], counts: Counts) -> Iterator[Piece]:
    at_old, at_new = _matched(before, after, key)
    gone = _others(at_old, before.num_rows)
    counts.deleted += len(gone)
    for rows in parts_of(before.take(pa.array(gone))):
        counts.fields += rows.num_rows
        yield Piece(action="delete", entity_ids=entity_ids(rows, key), old=row_json(rows))
    yield from _updates(before, after, at_old, at_new, key, counts)
    come = _others(at_new, after.num_rows)
    counts.inserted += len(come)
    for rows in parts_of(after if len(come) == after.num_rows else after.take(pa.array(come))):
        counts.fields += rows.num_rows
        yield Piece(action="insert", entity_ids=entity_ids(rows, key), new=row_json(rows))


def _matched(before: pa.Table, after: pa.Table, key: list[str]) -> tuple[Any, Any]:
    """Positions of rows with one key on both sides. Raises `Underivable`."""
    names = [f"k{position}" for position in range(len(key))]
    news = _keys(after, key, names)
    if _same_keys(before, after, key):
        # A file that is rewritten keeps the order of its rows, mostly.
        places = np.arange(after.num_rows)
        return places, places
    olds = _keys(before, key, names)
    if [olds[name].dtype for name in names] != [news[name].dtype for name in names]:
        raise Underivable("the key column is of another type than before")
    both = news.join(olds, on=names, how="inner", suffix="_old", maintain_order="left")
    return both["row_old"].to_numpy(), both["row"].to_numpy()


def _same_keys(before: pa.Table, after: pa.Table, key: list[str]) -> bool:
    """Whether both have the same keys in the same order."""
    if before.num_rows != after.num_rows:
        return False
    pairs = [(before.column(name), after.column(name)) for name in key]
    return all(old.type == new.type and old.equals(new) for old, new in pairs)


def _updates(
    before: pa.Table, after: pa.Table, at_old: Any, at_new: Any, key: list[str], counts: Counts
) -> Iterator[Piece]:
    """The events of rows on both sides, column by column."""
    touched = np.zeros(len(at_new), dtype=np.bool_)
    for name in after.schema.names:
        if name in key:
            continue
        new = taken(after.column(name), at_new)
        index = before.schema.get_field_index(name)
        old = (
            taken(before.column(index), at_old)
            if index >= 0
            else pa.chunked_array([pa.nulls(len(at_new), new.type)])
        )
        differs = np.asarray(_differ(old, new), dtype=np.bool_)
        if not differs.any():
            continue
        touched |= differs
        mask = pa.array(differs)
        keys = after.select(key).take(pa.array(at_new[differs]))
        rows = pa.table({"old": old.filter(mask), "new": new.filter(mask)})
        start = 0
        for part in parts_of(rows):
            counts.fields += part.num_rows
            yield Piece(
                action="update",
                entity_ids=entity_ids(keys.slice(start, part.num_rows), key),
                field=name,
                old=json_text(part.column("old")),
                new=json_text(part.column("new")),
            )
            start += part.num_rows
    counts.updated += int(touched.sum())


def _differ(old: pa.ChunkedArray, new: pa.ChunkedArray) -> Any:
    """Row by row, whether the value is another one; of another type, whether its text is."""
    if old.type != new.type:
        try:
            old = old.cast(new.type)
        except (pa.ArrowInvalid, pa.ArrowNotImplementedError, pa.ArrowTypeError):
            return pl.Series(json_text(old)).ne(pl.Series(json_text(new))).to_numpy()
    return changed(old, new)


def _others(positions: Any, count: int) -> Any:
    """The positions below `count` that are not among these, ascending."""
    rest = np.ones(count, dtype=np.bool_)
    rest[positions] = False
    return np.flatnonzero(rest)


def _keys(rows: pa.Table, key: list[str], names: list[str]) -> pl.DataFrame:
    try:
        columns = [
            pl.Series(name, rows.column(column)) for name, column in zip(names, key, strict=True)
        ]
    except (TypeError, ValueError, InvalidInput) as error:
        raise Underivable(f"keys of this type cannot be matched: {error}") from error
    frame = pl.DataFrame(columns)
    for name, column in zip(names, key, strict=True):
        values = frame[name]
        if values.null_count() or (values.dtype.is_float() and values.is_nan().any()):
            raise Underivable(f"a row has no key: {column!r} is null")
    distinct = frame[names[0]].n_unique() if len(names) == 1 else frame.n_unique()
    if distinct != frame.height:
        raise Underivable(f"{frame.height - distinct} keys come more than once")
    return frame.with_row_index("row")
