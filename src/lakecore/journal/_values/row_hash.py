"""Row hash version 1: the SHA-256 of a row's values, whatever file or order they lie in.

A row is hashed as one record of fixed width:

- 32 bytes: SHA-256 of the columns' JSON text, ``[["name","kind"],…]``, sorted by name;
- one bit a column, in that order, least significant first: set where the value is null;
- a cell a column, in that order; zeros where the value is null:

  ==========================  =====  ==================================================
  kind                        bytes  the cell
  ==========================  =====  ==================================================
  ``int``                         8  little-endian, two's complement; any width of type
  ``bool``                        8  0 or 1
  ``date``                        8  days since 1970-01-01, as ``int``
  ``timestamp``                   8  microseconds since 1970-01-01T00:00:00Z, as ``int``
  ``timestamp_ntz``               8  the same, of a timestamp without a zone
  ``float``                       8  IEEE 754 binary64, little-endian; one NaN, no −0.0
  ``text``                       32  SHA-256 of the UTF-8
  ``binary``                     32  SHA-256 of the bytes
  ``json``                       32  SHA-256 of the value's JSON text (see `values`)
  ==========================  =====  ==================================================

Records of fixed width are gathered by columns, several times as fast as texts of rows are
written. `row_record` is the definition, in plain Python.
"""

from __future__ import annotations

import hashlib
import json
import struct
from collections.abc import Mapping
from typing import Any, Final

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.types as pat

from lakecore.base import InvalidInput
from lakecore.tlog import HASH_BYTES, Hashes, sha256_rows

_CHUNK_ROWS: Final = 16_384
_NUMBER_BYTES: Final = 8
_FEW_DISTINCT: Final = 4
"""A text column is hashed by distinct values when they are at most a quarter of the rows."""
_HASHED: Final = frozenset({"text", "binary", "json"})
_HASH: Final = np.dtype((np.void, HASH_BYTES))
_WHOLE: Final = np.dtype("<i8")
_REAL: Final = np.dtype("<f8")
_NAN: Final = struct.pack("<d", float("nan"))


def kind_of(kind: pa.DataType) -> str:
    """The kind of a column's type: what the table of this module calls it."""
    if pat.is_dictionary(kind):
        return kind_of(kind.value_type)
    if pat.is_integer(kind):
        return "int"
    if pat.is_timestamp(kind):
        return "timestamp_ntz" if kind.tz is None else "timestamp"
    for is_kind, name in (
        (pat.is_boolean, "bool"),
        (pat.is_date, "date"),
        (pat.is_floating, "float"),
        (lambda t: pat.is_string(t) or pat.is_large_string(t) or pat.is_string_view(t), "text"),
        (lambda t: pat.is_binary(t) or pat.is_large_binary(t) or pat.is_binary_view(t), "binary"),
    ):
        if is_kind(kind):
            return name
    return "json"


def row_hashes(rows: pa.Table) -> Hashes:
    """The hash of each row, shape (n, 32), in the order of the rows.

    Raises:
        InvalidInput: a value does not fit its cell: an integer beyond 64 bits, a timestamp
            that is not whole microseconds.
    """
    layout = _Layout(rows.schema)
    return np.concatenate(
        [np.empty((0, HASH_BYTES), np.uint8)]
        + [
            layout.hashes(rows.slice(start, _CHUNK_ROWS))
            for start in range(0, rows.num_rows, _CHUNK_ROWS)
        ]
    )


def row_record(row: Mapping[str, Any], schema: pa.Schema) -> bytes:
    """The record of one row, given as `pyarrow` would: the definition, value by value."""
    names = sorted(schema.names)
    kinds = [kind_of(schema.field(name).type) for name in names]
    mask = sum(1 << bit for bit, name in enumerate(names) if row[name] is None)
    record = _head(names, kinds) + mask.to_bytes(-(-len(names) // 8), "little")
    for name, kind in zip(names, kinds, strict=True):
        record += _cell(pa.scalar(row[name], schema.field(name).type), kind)
    return record


def _cell(value: pa.Scalar, kind: str) -> bytes:
    if not value.is_valid:
        return bytes(HASH_BYTES if kind in _HASHED else _NUMBER_BYTES)
    if kind == "float":
        number = float(value.as_py())
        return _NAN if number != number else struct.pack("<d", number + 0.0)
    if kind not in _HASHED:
        whole = value.cast(_number_type(kind))
        if kind == "date":
            whole = whole.cast(pa.int32())
        return int(whole.cast(pa.int64()).as_py()).to_bytes(_NUMBER_BYTES, "little", signed=True)
    if kind == "json":
        return hashlib.sha256(_json_text(pa.chunked_array([[value]]))[0].as_buffer()).digest()
    return hashlib.sha256(value.as_buffer()).digest()


def _head(names: list[str], kinds: list[str]) -> bytes:
    columns = [list(pair) for pair in zip(names, kinds, strict=True)]
    text = json.dumps(columns, ensure_ascii=False, separators=(",", ":"))
    return hashlib.sha256(text.encode()).digest()


def _number_type(kind: str) -> pa.DataType:
    """What a column of a kind is cast to on its way to 64 bits."""
    types = {
        "date": pa.date32(),
        "timestamp": pa.timestamp("us", tz="UTC"),
        "timestamp_ntz": pa.timestamp("us"),
        "float": pa.float64(),
    }
    return types.get(kind, pa.int64())


class _Layout:
    """Where each column of a schema lies in the records."""

    def __init__(self, schema: pa.Schema) -> None:
        self._names = sorted(schema.names)
        self._kinds = [kind_of(schema.field(name).type) for name in self._names]
        self._head = np.frombuffer(_head(self._names, self._kinds), np.uint8)
        offset = HASH_BYTES + -(-len(self._names) // 8)
        formats, offsets = [], []
        for kind in self._kinds:
            formats.append(_HASH if kind in _HASHED else _REAL if kind == "float" else _WHOLE)
            offsets.append(offset)
            offset += formats[-1].itemsize
        self._width = offset
        self._record = np.dtype(
            {
                "names": [str(position) for position in range(len(self._names))],
                "formats": formats,
                "offsets": offsets,
                "itemsize": offset,
            }
        )

    def hashes(self, rows: pa.Table) -> Hashes:
        count = rows.num_rows
        data = np.zeros((count, self._width), np.uint8)
        data[:, :HASH_BYTES] = self._head
        records = data.view(self._record).reshape(count)
        for position, (name, kind) in enumerate(zip(self._names, self._kinds, strict=True)):
            column = rows.column(name)
            if pat.is_dictionary(column.type):
                column = column.cast(column.type.value_type)
            cells = records[str(position)]
            cells[:] = _hashed(column, kind) if kind in _HASHED else _numbers(column, kind)
            if column.null_count:
                null = pc.is_null(column).to_numpy()
                cells[null] = np.zeros((), cells.dtype)
                data[null, HASH_BYTES + position // 8] |= np.uint8(1 << position % 8)
        ends = pa.py_buffer(np.arange(count + 1, dtype=np.int64) * self._width)
        return sha256_rows(
            pa.LargeBinaryArray.from_buffers(
                pa.large_binary(), count, [None, ends, pa.py_buffer(data)]
            )
        )


def _numbers(column: pa.ChunkedArray, kind: str) -> np.ndarray[Any, Any]:
    try:
        column = column.cast(_number_type(kind))
        if kind not in ("float", "int"):
            column = column.cast(pa.int32() if kind == "date" else pa.int64()).cast(pa.int64())
    except pa.ArrowInvalid as error:
        raise InvalidInput("a value has no row hash", expected=f"a {kind}", found=error) from error
    zero: object = 0.0 if kind == "float" else 0
    numbers: np.ndarray[Any, Any] = pc.fill_null(column, zero).to_numpy()
    if kind == "float":
        numbers = numbers + 0.0  # -0.0 becomes 0.0, and the copy can be written to
        numbers[np.isnan(numbers)] = np.nan
    return numbers


def _hashed(column: pa.ChunkedArray, kind: str) -> np.ndarray[Any, Any]:
    """The hash of each cell; of a null, of something that the caller blanks."""
    if kind == "json":
        return _cells(_json_text(column))
    values = pc.fill_null(column, "" if kind == "text" else b"")
    sample = values.slice(0, 512)
    if len(pc.unique(sample)) * _FEW_DISTINCT > len(sample):
        return _cells(_as_binary(values))
    encoded = values.combine_chunks().dictionary_encode()
    distinct = _cells(_as_binary(pa.chunked_array([encoded.dictionary])))
    cells: np.ndarray[Any, Any] = distinct[encoded.indices.to_numpy()]
    return cells


def _cells(values: pa.ChunkedArray) -> np.ndarray[Any, Any]:
    cells: np.ndarray[Any, Any] = sha256_rows(values).view(_HASH).reshape(len(values))
    return cells


def _as_binary(values: pa.ChunkedArray) -> pa.ChunkedArray:
    if pat.is_string(values.type) or pat.is_string_view(values.type):
        values = values.cast(pa.large_string())
    return values.cast(pa.large_binary())


def _json_text(column: pa.ChunkedArray) -> pa.ChunkedArray:
    from lakecore.journal._values.values import json_text

    return json_text(column)
