"""Rows of Arrow as contexts: the one place where columns become Python objects."""

from __future__ import annotations

from typing import Any

import pyarrow as pa

from lakecore.truth._columns import decoded


def context_rows(rows: pa.RecordBatch) -> list[dict[str, Any]]:
    """Each row as a dict; times to the microsecond, maps with text keys as objects."""
    names = rows.schema.names
    columns = [_values(column) for column in rows.columns]
    return [dict(zip(names, row, strict=True)) for row in zip(*columns, strict=True)]


def _values(column: pa.Array) -> list[Any]:
    column = decoded(column)
    wanted = _python_type(column.type)
    if wanted != column.type:
        column = column.cast(wanted, safe=False)
    values: list[Any] = column.to_pylist(maps_as_pydicts="lossy")
    return values


def _python_type(kind: pa.DataType) -> pa.DataType:
    """The type without what Python cannot hold: nanoseconds, dictionaries."""
    types = pa.types
    if types.is_timestamp(kind) and kind.unit == "ns":
        return pa.timestamp("us", kind.tz)
    if types.is_time64(kind) and kind.unit == "ns":
        return pa.time64("us")
    if types.is_duration(kind) and kind.unit == "ns":
        return pa.duration("us")
    if types.is_dictionary(kind):
        return _python_type(kind.value_type)
    if types.is_struct(kind):
        return pa.struct([_field(kind.field(index)) for index in range(kind.num_fields)])
    if types.is_list(kind):
        return pa.list_(_field(kind.value_field))
    if types.is_large_list(kind):
        return pa.large_list(_field(kind.value_field))
    return kind


def _field(member: pa.Field) -> pa.Field:
    return member.with_type(_python_type(member.type))
