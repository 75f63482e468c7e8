"""JSON text of columns and rows, whether they changed, and hashes of sets of rows.

The rules of the text are in `text`; `json_text`, `row_json` and `encode_value` give
the same bytes for the same value. Golden files and properties hold them together.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

import polars as pl
import pyarrow as pa
import pyarrow.compute as pc

from lakecore.base import InvalidInput
from lakecore.journal._values import columns
from lakecore.journal._values.text import encode_value

__all__ = ["changed", "encode_value", "json_text", "row_json"]

_CHUNK_ROWS: Final = 16_384
"""Rows encoded in one call: their text stays in the cache."""


def json_text(column: pa.Array | pa.ChunkedArray) -> pa.ChunkedArray:
    """One JSON text per cell, as large_string; a null cell is the text ``null``.

    Raises:
        InvalidInput: a value of the column's type has no JSON text.
    """
    chunks = [columns.text_of_column(part).to_arrow() for part in _parts(column)]
    return pa.chunked_array(chunks, pa.large_string())


def row_json(table: pa.Table) -> pa.ChunkedArray:
    """One JSON object per row, as large_string: all columns, names in RFC 8785 order.

    Raises:
        InvalidInput: two columns have one name, or a column's type has no JSON text.
    """
    names = table.schema.names
    chunks = []
    for start in range(0, table.num_rows, _CHUNK_ROWS):
        part = table.slice(start, _CHUNK_ROWS)
        arrays = [columns.one_array(column) for column in part.columns]
        chunks.append(columns.text_of_rows(names, arrays, part.num_rows).to_arrow())
    return pa.chunked_array(chunks, pa.large_string())


def changed(old: pa.ChunkedArray, new: pa.ChunkedArray) -> pa.BooleanArray:
    """Row by row: is the new value another one? NaN equals NaN, 0.0 equals -0.0, null null.

    Raises:
        InvalidInput: the columns differ in type or length.
    """
    if len(old) != len(new):
        raise InvalidInput(
            "only columns of one length can be compared", expected=len(old), found=len(new)
        )
    parts = [
        _changed(
            columns.plain(columns.one_array(old.slice(start, _CHUNK_ROWS))),
            columns.plain(columns.one_array(new.slice(start, _CHUNK_ROWS))),
        )
        for start in range(0, max(1, len(old)), _CHUNK_ROWS)
    ]
    return columns.one_array(pl.concat(parts).to_arrow())


def _changed(old: pa.Array, new: pa.Array) -> pl.Series:
    if not _same_type(old.type, new.type):
        raise InvalidInput(
            "only columns of one type can be compared", expected=old.type, found=new.type
        )
    if (quick := _compared(old, new)) is not None:
        return columns.to_polars(quick)
    if not _polars_holds(old.type):
        return columns.text_of_column(old).ne_missing(columns.text_of_column(new))
    target = _without_maps(old.type)
    if target != old.type:
        old, new = old.cast(target), new.cast(target)
    frame = pl.DataFrame({"old": columns.to_polars(old), "new": columns.to_polars(new)})
    return frame.select(pl.col("old").ne_missing(pl.col("new"))).to_series()


def _compared(old: pa.Array, new: pa.Array) -> pa.BooleanArray | None:
    """`changed` of two arrays of a plain type without nulls, which Arrow compares at once."""
    kind = old.type
    if old.null_count or new.null_count or kind != new.type:
        return None
    if kind in columns.FLOATS:
        both_nan = pc.and_(pc.is_nan(old), pc.is_nan(new))
        return pc.and_not(pc.not_equal(old, new), both_nan)
    is_plain = (
        kind in columns.SMALL_INTEGERS
        or kind in (pa.int64(), pa.uint64())
        or any(is_kind(kind) for is_kind in _COMPARED)
    )
    return pc.not_equal(old, new) if is_plain else None


_COMPARED: Final = (
    pa.types.is_boolean,
    pa.types.is_string,
    pa.types.is_binary,
    pa.types.is_date32,
    pa.types.is_timestamp,
)


def _parts(column: pa.Array | pa.ChunkedArray) -> Iterator[pa.Array]:
    for chunk in column.chunks if isinstance(column, pa.ChunkedArray) else [column]:
        for start in range(0, len(chunk), _CHUNK_ROWS):
            yield chunk.slice(start, _CHUNK_ROWS)


def _same_type(old: pa.DataType, new: pa.DataType) -> bool:
    return bool(old == new) or any(
        all(any(is_kind(kind) for is_kind in kinds) for kind in (old, new))
        for kinds in (columns.TEXT_TYPES, columns.BINARY_TYPES)
    )


def _polars_holds(kind: pa.DataType) -> bool:
    """Can Polars compare such values? Lists and structs hold other types."""
    if pa.types.is_map(kind):
        return _polars_holds(kind.key_type) and _polars_holds(kind.item_type)
    if any(is_list(kind) for is_list in columns.LIST_TYPES[:3]):
        return _polars_holds(kind.value_type)
    if pa.types.is_struct(kind):
        return kind.num_fields > 0 and all(_polars_holds(field.type) for field in kind)
    return (
        kind in columns.SMALL_INTEGERS | columns.FLOATS
        or kind in (pa.int64(), pa.uint64())
        or pa.types.is_boolean(kind)
        or (pa.types.is_decimal(kind) and not pa.types.is_decimal256(kind) and kind.scale >= 0)
        or pa.types.is_date32(kind)
        or (pa.types.is_timestamp(kind) and kind.unit in ("us", "ns"))
        or any(is_kind(kind) for is_kind in (*columns.TEXT_TYPES, *columns.BINARY_TYPES))
    )


def _without_maps(kind: pa.DataType) -> pa.DataType:
    """The type with lists of pairs for maps, which Polars does not compare."""
    if pa.types.is_map(kind):
        pair = [("key", _without_maps(kind.key_type)), ("value", _without_maps(kind.item_type))]
        return pa.list_(pa.struct(pair))
    if pa.types.is_list(kind):
        return pa.list_(kind.value_field.with_type(_without_maps(kind.value_type)))
    if pa.types.is_struct(kind):
        return pa.struct([field.with_type(_without_maps(field.type)) for field in kind])
    return kind
