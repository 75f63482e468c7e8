"""Text of cells for JSON, CSV and tables. The rules of values are the journal's."""

from __future__ import annotations

from typing import Final

import pyarrow as pa
import pyarrow.compute as pc

from lakecore.journal import encode_value, json_text

_TEXT: Final = pa.large_string()
_NESTED: Final = (
    pa.types.is_struct,
    pa.types.is_map,
    pa.types.is_list,
    pa.types.is_large_list,
    pa.types.is_fixed_size_list,
    pa.types.is_interval,
)


def json_cells(array: pa.Array) -> pa.Array:
    """One JSON text per cell, ``null`` for null. Integers are digits, however large."""
    if pa.types.is_integer(array.type):
        return pc.fill_null(array.cast(_TEXT), "null")
    return _joined(json_text(array))


def plain_cells(array: pa.Array) -> pa.Array:
    """One text per cell without JSON's quotes, null for null; nested values as JSON."""
    kind = array.type
    if pa.types.is_integer(kind) or pa.types.is_string(kind) or pa.types.is_large_string(kind):
        return array.cast(_TEXT)
    texts = _joined(json_text(array))
    if not any(is_nested(kind) for is_nested in _NESTED):
        texts = pc.utf8_trim(texts, '"')
    return pc.if_else(array.is_valid(), texts, pa.scalar(None, _TEXT))


def json_lines(batch: pa.RecordBatch, *, before: str = "", after: str = "") -> bytes:
    """One JSON object per row, each between `before` and `after`, columns in their order."""
    pieces: list[pa.Array | pa.Scalar] = []
    opening = before + "{"
    for name, column in zip(batch.schema.names, batch.columns, strict=True):
        pieces += [pa.scalar(f"{opening}{encode_value(name)}:", _TEXT), json_cells(column)]
        opening = ","
    if not pieces:
        row_count: int = batch.num_rows
        return (opening + "}" + after).encode() * row_count
    closing = pa.scalar("}" + after, _TEXT)
    return joined_bytes(pc.binary_join_element_wise(*pieces, closing, pa.scalar("", _TEXT)))


def joined_bytes(texts: pa.Array) -> bytes:
    """The texts one after the other: what their array holds in memory already."""
    _, offsets, values = texts.buffers()
    ends = pa.Array.from_buffers(pa.int64(), texts.offset + len(texts) + 1, [None, offsets])
    start, end = ends[texts.offset].as_py(), ends[texts.offset + len(texts)].as_py()
    if values is None:
        return b""
    joined: bytes = memoryview(values)[start:end].tobytes()
    return joined


def _joined(column: pa.ChunkedArray) -> pa.Array:
    whole = column.chunk(0) if column.num_chunks == 1 else pa.concat_arrays(column.chunks)
    return whole.cast(_TEXT)
