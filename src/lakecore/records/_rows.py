"""Rows as the columns of a kind, and batches as bytes. Pure.

A batch in the spool is an Arrow stream of one record batch, LZ4, with its own schema: so a
process that knows older columns passes on what a newer one wrote.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any, Final, TypeAlias

import pyarrow as pa
import pyarrow.compute as pc

from lakecore.base import CorruptData, InvalidInput
from lakecore.base.limits import MIB
from lakecore.records._kind import EXTRA, RecordKind

MAX_APPEND_BYTES: Final = 32 * MIB
"""Of the rows of one append, in memory."""

_OPTIONS: Final = pa.ipc.IpcWriteOptions(compression="lz4")
_SHOWN: Final = 10

Rows: TypeAlias = "Sequence[Mapping[str, Any]] | pa.RecordBatch | pa.Table"


def to_batch(kind: RecordKind, rows: Rows, *, now_us: int) -> pa.RecordBatch:
    """The rows in the columns of their kind.

    Times are aware `datetime`s or microseconds since the epoch, UTC; a row without one gets
    `now_us`.

    Raises:
        InvalidInput: a value does not fit its column, or there is a member that is none; names
            row and column.
    """
    if isinstance(rows, (pa.RecordBatch, pa.Table)):
        batch = _of_arrow(kind, rows)
    else:
        batch = _of_mappings(kind, rows)
    batch = _timed(kind, batch, now_us)
    if batch.nbytes > MAX_APPEND_BYTES:
        raise InvalidInput(
            "too many records at a time",
            expected=f"at most {MAX_APPEND_BYTES >> 20} MiB",
            found=f"{batch.nbytes >> 20} MiB",
            where=kind.dataset,
            hint="append them in several parts",
        )
    return batch


def encode(batch: pa.RecordBatch) -> bytes:
    """The bytes of a batch."""
    sink = pa.BufferOutputStream()
    with pa.ipc.new_stream(sink, batch.schema, options=_OPTIONS) as writer:
        writer.write_batch(batch)
    return bytes(sink.getvalue())


def decode(data: bytes, *, where: object = None) -> pa.Table:
    """The batch of some bytes. Raises `CorruptData`."""
    try:
        with pa.ipc.open_stream(data) as reader:
            table = reader.read_all()
            table.validate(full=True)
            return table
    except (pa.ArrowException, OSError, ValueError) as error:
        raise CorruptData("a batch of records does not read", where=where, found=error) from error


def join(tables: Sequence[pa.Table]) -> pa.Table:
    """Batches as one table; a column that some lack is null there.

    Raises:
        InvalidInput: two have a column of the same name and of different types.
    """
    try:
        return pa.concat_tables(tables, promote_options="default").combine_chunks()
    except (pa.ArrowInvalid, pa.ArrowTypeError) as error:
        raise InvalidInput("a column is of two types", found=error) from error


def _of_mappings(kind: RecordKind, rows: Sequence[Mapping[str, Any]]) -> pa.RecordBatch:
    known = frozenset(kind.schema.names)
    if any(not known.issuperset(row) for row in rows):
        rows = [_with_extra(kind, row, known, at) for at, row in enumerate(rows)]
    try:
        times = [field.name for field in kind.schema if pa.types.is_timestamp(field.type)]
        if not any(_is_naive(row.get(name)) for name in times for row in rows):
            return pa.RecordBatch.from_pylist(list(rows), schema=kind.schema)
    except (pa.ArrowException, TypeError, ValueError, OverflowError):
        pass
    # One by one, to name the value that does not fit.
    columns = [_column(kind, field, [row.get(field.name) for row in rows]) for field in kind.schema]
    return pa.RecordBatch.from_arrays(columns, schema=kind.schema)


def _is_naive(value: object) -> bool:
    return isinstance(value, datetime) and value.tzinfo is None


def _with_extra(
    kind: RecordKind, row: Mapping[str, Any], known: frozenset[str], at: int
) -> Mapping[str, Any]:
    others = {name: value for name, value in row.items() if name not in known}
    if not others:
        return row
    if not kind.has_extra or row.get(EXTRA) is not None:
        raise _unknown(kind, sorted(map(str, others)), f"row {at}")
    kept = {name: value for name, value in row.items() if name in known}
    text = json.dumps(others, ensure_ascii=False, sort_keys=True, default=str)
    return {**kept, EXTRA: text.encode("utf-8", "replace").decode()}


def _column(kind: RecordKind, field: pa.Field, cells: list[Any]) -> pa.Array:
    is_time = pa.types.is_timestamp(field.type)
    for at, cell in enumerate(cells):
        try:
            pa.array([cell], field.type)
            if not (is_time and _is_naive(cell)):
                continue
        except (pa.ArrowException, TypeError, ValueError, OverflowError):
            pass
        raise InvalidInput(
            "a value does not fit the column",
            expected="a time with its zone, or microseconds" if is_time else field.type,
            found=repr(cell)[:200],
            where=f"{kind.dataset}, row {at}, column {field.name!r}",
        )
    return pa.array(cells, field.type)


def _of_arrow(kind: RecordKind, rows: pa.RecordBatch | pa.Table) -> pa.RecordBatch:
    unknown = [name for name in rows.schema.names if name not in kind.schema.names]
    if unknown:
        raise _unknown(kind, unknown, "the batch")
    if len(set(rows.schema.names)) != len(rows.schema.names):
        raise InvalidInput("a column is there twice", where=kind.dataset)
    columns = []
    for field in kind.schema:
        if field.name not in rows.schema.names:
            columns.append(pa.nulls(rows.num_rows, field.type))
            continue
        column = rows.column(field.name)
        if isinstance(column, pa.ChunkedArray):
            column = column.combine_chunks()
        try:
            columns.append(column.cast(field.type))
        except (pa.ArrowException, ValueError) as error:
            raise InvalidInput(
                "values do not fit the column",
                expected=field.type,
                found=str(error)[:200],
                where=f"{kind.dataset}, column {field.name!r}",
            ) from error
    return pa.RecordBatch.from_arrays(columns, schema=kind.schema)


def _timed(kind: RecordKind, batch: pa.RecordBatch, now_us: int) -> pa.RecordBatch:
    times = batch.column(kind.time_column)
    if not times.null_count:
        return batch
    filled = pc.fill_null(times, pa.scalar(now_us, times.type))
    at = batch.schema.get_field_index(kind.time_column)
    return batch.set_column(at, batch.schema.field(at), filled)


def _unknown(kind: RecordKind, names: Sequence[str], where: str) -> InvalidInput:
    more = f" and {len(names) - _SHOWN} more" if len(names) > _SHOWN else ""
    return InvalidInput(
        "there is no such column",
        expected=", ".join(kind.schema.names),
        found=", ".join(map(repr, names[:_SHOWN])) + more,
        where=f"{kind.dataset}, {where}",
    )
