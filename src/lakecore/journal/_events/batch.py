"""The rules of `rules` over whole columns.

Nothing is decided here that the row rules do not decide: the columns only find the first
row that breaks one, and the row rules say how.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Collection
from functools import lru_cache
from typing import Any, Final

import msgspec
import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from lakecore.base import Bug, InvalidInput
from lakecore.base.limits import MAX_EVENT_TEXT_BYTES, MAX_VALUE_BYTES, SEGMENT_EVENTS
from lakecore.journal._events import rules
from lakecore.journal._events.escaped import MAX_GROWTH, escaped_sizes
from lakecore.journal._events.rules import FIELDS, from_microseconds

_TEXT_TYPES: Final = (pa.types.is_string, pa.types.is_large_string, pa.types.is_string_view)


def validate(
    batch: pa.Table | pa.RecordBatch,
    schema: pa.Schema,
    *,
    now_us: int | None,
    id_prefix: str | None,
    json_is_known: bool = False,
    constant: Collection[str] = (),
) -> pa.Table:
    """See `lakecore.journal._events.event.validate_batch`."""
    table = pa.table(batch) if isinstance(batch, pa.RecordBatch) else batch
    names = table.schema.names
    rules.check_names(names, FIELDS, where="the batch's columns")
    if twice := sorted({name for name in names if names.count(name) > 1}):
        raise InvalidInput("a column is there twice", found=", ".join(twice))
    columns = {name: _as_type(table.column(name), name) for name in names}
    return check_and_fill(
        columns,
        schema,
        count=table.num_rows,
        now_us=now_us,
        id_prefix=id_prefix,
        json_is_known=json_is_known,
        constant=constant,
    )


def check_and_fill(
    columns: dict[str, pa.ChunkedArray],
    schema: pa.Schema,
    *,
    count: int,
    now_us: int | None,
    id_prefix: str | None,
    json_is_known: bool = False,
    constant: Collection[str] = (),
) -> pa.Table:
    """Columns in their own types, by name, as `validate` gives them.

    Args:
        constant: names of columns with one value in all rows: it is checked once.
    """
    if absent := [name for name in rules.REQUIRED if name not in columns]:
        raise InvalidInput("the batch lacks a column", expected=", ".join(absent))
    bad = []
    for name, column in columns.items():
        some = column.slice(0, 1) if name in constant else column
        row = _first_bad(name, some, json_is_known)
        if row is not None:
            bad.append(row)
    if bad:
        _raise_for(columns, min(bad))
    return fill(columns, schema, now_us=now_us, id_prefix=id_prefix, count=count)


def fill(
    columns: dict[str, pa.ChunkedArray],
    schema: pa.Schema,
    *,
    count: int,
    now_us: int | None,
    id_prefix: str | None,
) -> pa.Table:
    """Checked columns as a table in the schema, with defaults for what is missing."""
    filled = [
        _filled(name, columns.get(name), count, now_us=now_us, id_prefix=id_prefix)
        for name in schema.names
    ]
    return pa.table(filled, schema=schema)


def _as_type(column: pa.ChunkedArray, name: str) -> pa.ChunkedArray:
    """The column in its own type: only the encoding changes, never a value."""
    kind = column.type
    if kind == _target(name):
        return column
    if pa.types.is_dictionary(kind):
        column = pc.cast(column, kind.value_type)
        kind = column.type
    if pa.types.is_null(kind):
        return pc.cast(column, _target(name))
    if name == "timestamp":
        if not pa.types.is_timestamp(kind) or kind.tz is None:
            raise _wrong_type(name, "timestamp with a zone", kind)
    elif name in rules.INTEGERS:
        if not pa.types.is_integer(kind):
            raise _wrong_type(name, "an integer type", kind)
    elif not any(is_text(kind) for is_text in _TEXT_TYPES):
        raise _wrong_type(name, "a string type", kind)
    try:
        return pc.cast(column, _target(name))
    except pa.ArrowInvalid as error:
        if pa.types.is_large_string(kind) or pa.types.is_string_view(kind):
            return _narrowed(column, name)
        raise InvalidInput(
            "a value does not fit",
            expected=_target(name),
            found=kind,
            where=f"row {_first_lossy(column, name)}, field {name}",
        ) from error


def _first_lossy(column: pa.ChunkedArray, name: str) -> int:
    if name in rules.INTEGERS:
        limit = pa.scalar(rules.MAX_INTEGER, column.type)
        return int(pc.index(pc.greater(column, limit), True).as_py())
    there = pc.cast(column, _target(name), safe=False)
    back = pc.cast(there, column.type, safe=False)
    return int(pc.index(pc.not_equal(back, column), True).as_py())


def _narrowed(column: pa.ChunkedArray, name: str) -> pa.ChunkedArray:
    """Chunks of more text than 32-bit offsets reach, in halves that they do reach."""
    chunks: list[pa.Array] = []
    pending = list(reversed(column.chunks))
    while pending:
        chunk = pending.pop()
        try:
            chunks.append(pc.cast(chunk, pa.string()))
        except pa.ArrowInvalid as error:
            half = len(chunk) // 2
            if not half:
                raise InvalidInput("a text is too long", where=f"column {name}") from error
            pending += [chunk.slice(half), chunk.slice(0, half)]
    return pa.chunked_array(chunks, pa.string())


_TARGETS: Final = (
    dict.fromkeys(FIELDS, pa.string())
    | dict.fromkeys(rules.INTEGERS, pa.int64())
    | {"timestamp": pa.timestamp("us", tz="UTC")}
)


def _target(name: str) -> pa.DataType:
    return _TARGETS[name]


def _wrong_type(name: str, expected: str, found: pa.DataType) -> InvalidInput:
    return InvalidInput(
        "a column has the wrong type", expected=expected, found=found, where=f"column {name}"
    )


def _first_bad(name: str, column: pa.ChunkedArray, json_is_known: bool) -> int | None:
    """The first row of a column that may break a rule."""
    if not len(column):
        return None
    if name == "timestamp":
        return _out_of(column.cast(pa.int64()), rules.MIN_TIMESTAMP_US, rules.MAX_TIMESTAMP_US)
    if name in rules.INTEGERS:
        low, high = (1, 1) if name == "leaf" else (0, rules.MAX_INTEGER)
        return _out_of(column, low, high)
    nulls = column.null_count
    try:
        column.validate(full=True)
    except pa.ArrowInvalid as error:
        raise InvalidInput("not valid UTF-8", found=error, where=f"column {name}") from error
    is_json = name in rules.JSON_FIELDS
    lowest = 1 if name in rules.NOT_EMPTY else 0
    shortest, longest = _extent(column)
    limit = MAX_VALUE_BYTES if is_json else MAX_EVENT_TEXT_BYTES // MAX_GROWTH
    if shortest >= lowest and longest <= limit and (name not in rules.REQUIRED or not nulls):
        return _first_not_json(name, column) if is_json and not json_is_known else None
    sizes, highest = (
        (pc.binary_length(column), MAX_VALUE_BYTES)
        if is_json
        else (escaped_sizes(column, MAX_EVENT_TEXT_BYTES), MAX_EVENT_TEXT_BYTES)
    )
    bad = [
        _first_null(column) if name in rules.REQUIRED else None,
        _out_of(sizes, lowest, highest),
        _first_not_json(name, column) if is_json and not json_is_known else None,
    ]
    return min((row for row in bad if row is not None), default=None)


def _extent(column: pa.ChunkedArray) -> tuple[int, int]:
    """The sizes in bytes of the shortest and the longest cell, from the offsets alone.

    A null counts as whatever lies below it; nothing, usually.
    """
    shortest, longest = MAX_VALUE_BYTES, 0
    for chunk in column.chunks:
        if len(chunk):
            # Buffers from elsewhere may be longer than their cells, by any number of bytes.
            count = chunk.offset + len(chunk) + 1
            offsets = np.frombuffer(chunk.buffers()[1], np.int32, count)
            sizes = np.diff(offsets[chunk.offset :])
            shortest = min(shortest, int(sizes.min()))
            longest = max(longest, int(sizes.max()))
    return shortest, longest


def _first_null(column: pa.ChunkedArray) -> int | None:
    return int(pc.index(pc.is_null(column), True).as_py()) if column.null_count else None


def _out_of(column: pa.ChunkedArray, low: int, high: int) -> int | None:
    bounds = pc.min_max(column).as_py()
    if bounds["min"] is None or (bounds["min"] >= low and bounds["max"] <= high):
        return None
    outside = pc.or_(pc.less(column, low), pc.greater(column, high))
    return int(pc.index(outside, True).as_py())


def _first_not_json(name: str, column: pa.ChunkedArray) -> int | None:
    parse = rules.parse_object if name == "context" else rules.parse_value
    distinct = _distinct(column)
    try:
        deque(map(parse, distinct), maxlen=0)
    except (msgspec.DecodeError, RecursionError):
        first = next(text for text in distinct if not _parses(parse, text))
        return int(pc.index(column, pa.scalar(first)).as_py())
    return None


def _distinct(column: pa.ChunkedArray) -> list[str]:
    """The texts to parse: each once where that is cheap to know, else all of them."""
    # Contexts repeat, row images do not: a sample tells, for a hash of all costs as much
    # as parsing them.
    sample = column.slice(0, 1024)
    if len(column) > len(sample) and len(sample.unique()) > len(sample) // 2:
        return list(column.drop_null().to_pylist())
    return list(column.unique().drop_null().to_pylist())


def _parses(parse: Any, text: str) -> bool:
    try:
        parse(text)
    except (msgspec.DecodeError, RecursionError):
        return False
    return True


def _raise_for(columns: dict[str, pa.ChunkedArray], row: int) -> None:
    values: list[object] = []
    for name in FIELDS:
        cell = columns[name][row] if name in columns else None
        if cell is None or not cell.is_valid:
            values.append(None)
        elif name == "timestamp":
            values.append(_moment(cell.value, row))
        else:
            values.append(cell.as_py())
    rules.check_row(values, row)
    raise Bug("a batch breaks a rule that its row does not", where=f"row {row}")


def _moment(timestamp_us: int, row: int) -> object:
    try:
        return from_microseconds(timestamp_us)
    except OverflowError as error:
        raise InvalidInput(
            "timestamp is out of range",
            expected="years 1 to 9999 in UTC",
            found=f"{timestamp_us} µs",
            where=f"row {row}, field timestamp",
        ) from error


def _filled(
    name: str,
    column: pa.ChunkedArray | None,
    count: int,
    *,
    now_us: int | None,
    id_prefix: str | None,
) -> pa.ChunkedArray:
    if name == "timestamp":
        return _filled_timestamp(column, count, now_us)
    if name in rules.VALUES or name == "version":
        return pa.nulls(count, _target(name)) if column is None else column
    if name == "event_id" and column is None and id_prefix is not None:
        return pa.chunked_array([_ids(count, id_prefix)])
    default = pa.scalar(str(rules.DEFAULTS.get(name, "")))
    if column is None:
        column = _repeated(default, count)
    elif column.null_count:
        column = pc.fill_null(column, default)
    if name == "event_id" and id_prefix is not None:
        column = _with_ids(column, id_prefix)
    return column


def _repeated(value: pa.Scalar, count: int) -> pa.ChunkedArray:
    known = _known_columns.get((value, count))
    if known is None:
        known = pa.chunked_array([pa.repeat(value, count)])
        if count <= _SMALL:
            if len(_known_columns) >= _MAX_KNOWN:
                _known_columns.clear()
            _known_columns[value, count] = known
    return known


_SMALL: Final = 4096
_MAX_KNOWN: Final = 64
_known_columns: Final[dict[tuple[pa.Scalar, int], pa.ChunkedArray]] = {}
"""Batches of callers have a few sizes: what is missing in them is made once."""


def _filled_timestamp(
    column: pa.ChunkedArray | None, count: int, now_us: int | None
) -> pa.ChunkedArray:
    kind = _target("timestamp")
    if column is None:
        if now_us is not None:
            return pa.chunked_array([pa.repeat(pa.scalar(now_us, kind), count)])
        column = pa.chunked_array([pa.nulls(count, kind)])
    if not column.null_count:
        return column
    if now_us is None:
        where = f"row {_first_null(column)}, field timestamp"
        raise InvalidInput("an event needs this field", where=where)
    return pc.fill_null(column, pa.scalar(now_us, pa.int64()).cast(kind))


def _with_ids(column: pa.ChunkedArray, prefix: str) -> pa.ChunkedArray:
    missing = pc.equal(column, "")
    if not pc.any(missing).as_py():
        return column
    return pc.if_else(missing, _ids(len(column), prefix), column)


def _ids(count: int, prefix: str) -> pa.Array:
    ordinals = _known_ordinals(count) if count <= SEGMENT_EVENTS else _ordinals(count)
    return pc.binary_join_element_wise(prefix, ordinals, ":")


def _ordinals(count: int) -> pa.Array:
    return pa.array(np.arange(count)).cast(pa.string())


_known_ordinals: Final = lru_cache(maxsize=16)(_ordinals)
"""As `_known_columns`."""
