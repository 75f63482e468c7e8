"""Arrow types as Delta stores them: the same value in the nearest type, or a refusal.

===============================  ==============================================
from                             to
===============================  ==============================================
uint8, uint16, uint32            int16, int32, int64
uint64                           decimal(20, 0)
float16                          float
null                             text, all null
time                             text, ``HH:MM:SS[.f]``
duration                         int64, in the duration's own unit
date64                           date
timestamp in s, ms, ns           timestamp in µs; ns that would be cut: refused
timestamp with any zone          timestamp in UTC, the same instant
dictionary, run-end encoded      its values
large and view text, binary      text, binary
fixed-size binary                binary
large, fixed-size and view list  list
decimal32, 64, 256               decimal128; more than 38 digits: refused
extension                        its storage
struct, list, map                the same, of mapped parts
union, interval, empty struct    refused
===============================  ==============================================
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from lakecore.base import InvalidInput

if TYPE_CHECKING:
    import pyarrow as pa


def storable_type(kind: pa.DataType, where: str) -> pa.DataType:
    """The type that `kind` is stored as; `InvalidInput` naming `where` when there is none."""
    import pyarrow as pa

    t = pa.types
    if isinstance(kind, pa.BaseExtensionType):
        return storable_type(kind.storage_type, where)
    if t.is_dictionary(kind) or t.is_run_end_encoded(kind):
        return storable_type(kind.value_type, where)
    if t.is_struct(kind) and kind.num_fields:
        return pa.struct([_field(kind.field(i), where) for i in range(kind.num_fields)])
    if t.is_map(kind):
        return pa.map_(
            storable_type(kind.key_type, f"{where}.key"),
            storable_type(kind.item_type, f"{where}.value"),
        )
    if (
        t.is_list(kind)
        or t.is_large_list(kind)
        or t.is_fixed_size_list(kind)
        or t.is_list_view(kind)
        or t.is_large_list_view(kind)
    ):
        return pa.list_(storable_type(kind.value_type, f"{where}[]"))
    if t.is_timestamp(kind):
        return pa.timestamp("us", "UTC" if kind.tz else None)
    if t.is_decimal(kind):
        if kind.precision > 38 or kind.scale < 0:
            raise _refused(kind, where, "at most 38 digits")
        return pa.decimal128(kind.precision, kind.scale)
    return _plain_type(kind, where)


def _field(field: pa.Field, where: str) -> pa.Field:
    return field.with_type(storable_type(field.type, f"{where}.{field.name}")).with_nullable(True)


def _plain_type(kind: pa.DataType, where: str) -> pa.DataType:
    import pyarrow as pa

    t = pa.types
    same = (
        t.is_boolean(kind)
        or t.is_signed_integer(kind)
        or t.is_float32(kind)
        or t.is_float64(kind)
        or t.is_date32(kind)
        or t.is_string(kind)
        or t.is_binary(kind)
    )
    if same and not t.is_fixed_size_binary(kind):
        return kind
    mapped = {
        pa.uint8(): pa.int16(),
        pa.uint16(): pa.int32(),
        pa.uint32(): pa.int64(),
        pa.uint64(): pa.decimal128(20, 0),
        pa.float16(): pa.float32(),
        pa.date64(): pa.date32(),
        pa.null(): pa.string(),
        pa.large_string(): pa.string(),
        pa.string_view(): pa.string(),
        pa.large_binary(): pa.binary(),
        pa.binary_view(): pa.binary(),
    }.get(kind)
    if mapped is not None:
        return mapped
    if t.is_time(kind):
        return pa.string()
    if t.is_duration(kind):
        return pa.int64()
    if t.is_fixed_size_binary(kind):
        return pa.binary()
    raise _refused(kind, where, "a type that Delta has")


def _refused(kind: pa.DataType, where: str, expected: str) -> InvalidInput:
    return InvalidInput(
        "the column's type cannot be stored",
        expected=expected,
        found=kind,
        where=where,
        hint="Convert or leave out the column.",
    )


def to_storable(array: pa.Array, target: pa.DataType, where: str) -> pa.Array:
    """`array` as `target`, exactly; `InvalidInput` where a value would change."""
    import pyarrow as pa

    if array.type == target:
        return array
    if isinstance(array, pa.ExtensionArray):
        return to_storable(array.storage, target, where)
    if pa.types.is_dictionary(array.type):
        return to_storable(array.dictionary_decode(), target, where)
    if pa.types.is_run_end_encoded(array.type):
        return to_storable(pa.compute.run_end_decode(array), target, where)
    try:
        if pa.types.is_uint64(array.type):
            # There is no direct cast of the upper half.
            return array.cast(pa.string()).cast(target)
        return array.cast(target)
    except (pa.ArrowInvalid, pa.ArrowNotImplementedError) as error:
        raise InvalidInput(
            "the column has a value that cannot be stored exactly",
            expected=target,
            found=str(error).splitlines()[0],
            where=where,
            hint="Round or convert the column.",
        ) from None
