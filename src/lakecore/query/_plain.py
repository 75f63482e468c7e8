"""DataFusion's batches with plain types and unique names. Pure."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import pyarrow as pa
import pyarrow.compute as pc


def plain_schema(schema: pa.Schema) -> pa.Schema:
    """The schema that a caller sees for one of DataFusion's."""
    names = unique_names(schema.names)
    return pa.schema(
        [
            pa.field(name, plain_type(field.type), field.nullable)
            for name, field in zip(names, schema, strict=True)
        ]
    )


def plain_batch(batch: pa.RecordBatch, schema: pa.Schema) -> pa.RecordBatch:
    """The batch in its plain schema."""
    columns = [
        column if column.type == kind else plain_array(column, kind)
        for column, kind in zip(batch.columns, schema.types, strict=True)
    ]
    if not columns:  # rows without columns still count
        return batch
    return pa.RecordBatch.from_arrays(columns, schema=schema)


def plain_array(array: pa.Array, kind: pa.DataType) -> pa.Array:
    """The array without views and encodings."""
    if pa.types.is_run_end_encoded(array.type):
        array = pc.run_end_decode(array)
    return array.cast(kind)


def unique_names(names: Sequence[str]) -> list[str]:
    """Every name once: what repeats gets a number behind it.

    >>> unique_names(["year", "year", "year_1"])
    ['year', 'year_2', 'year_1']
    """
    taken = set(names)
    seen: set[str] = set()
    unique = []
    for name in names:
        if name in seen:
            count = 1
            while f"{name}_{count}" in taken:
                count += 1
            name = f"{name}_{count}"
            taken.add(name)
        seen.add(name)
        unique.append(name)
    return unique


def plain_type(kind: pa.DataType) -> pa.DataType:
    """Text as string, binary as binary, no dictionaries: inside nested types, too."""
    if pa.types.is_string_view(kind):
        return pa.string()
    if pa.types.is_binary_view(kind):
        return pa.binary()
    if pa.types.is_dictionary(kind) or pa.types.is_run_end_encoded(kind):
        return plain_type(kind.value_type)
    if pa.types.is_timestamp(kind) and kind.tz == "+00:00":
        return pa.timestamp(kind.unit, tz="UTC")
    return _within(kind, plain_type)


def python_type(kind: pa.DataType) -> pa.DataType:
    """The type whose values Python's datetime can hold."""
    if pa.types.is_timestamp(kind) and kind.unit == "ns":
        return pa.timestamp("us", tz=kind.tz)
    if pa.types.is_time64(kind) and kind.unit == "ns":
        return pa.time64("us")
    if pa.types.is_duration(kind) and kind.unit == "ns":
        return pa.duration("us")
    return _within(kind, python_type)


def _within(kind: pa.DataType, change: Callable[[pa.DataType], pa.DataType]) -> pa.DataType:
    if pa.types.is_struct(kind):
        return pa.struct([field.with_type(change(field.type)) for field in kind])
    if pa.types.is_map(kind):
        return pa.map_(
            kind.key_field.with_type(change(kind.key_type)),
            kind.item_field.with_type(change(kind.item_type)),
        )
    for is_list, make in _LISTS:
        if is_list(kind):
            return make(kind.value_field.with_type(change(kind.value_type)))
    if pa.types.is_fixed_size_list(kind):
        return pa.list_(kind.value_field.with_type(change(kind.value_type)), kind.list_size)
    return kind


_LISTS = (
    (pa.types.is_list, pa.list_),
    (pa.types.is_large_list, pa.large_list),
)
