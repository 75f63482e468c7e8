"""Arrow schemas as Delta tables can hold them, and rows cast to them without loss.

Pure. Rules:

- Every column is nullable, and of a type that Delta has: unsigned integers become the next
  wider signed one, dictionaries their values, times of day text, timestamps microseconds.
- A cast that would change a value is an error that names column and row.
- A timestamp without a zone is taken as UTC where the table's column has a zone; the other
  way round is refused, because what the zone was could not be told afterwards.
"""

from __future__ import annotations

import difflib
import itertools
import json
from collections.abc import Callable, Iterable, Sequence
from typing import Any, Final

import pyarrow as pa
import pyarrow.compute as pc
from pyarrow import types as pat

from lakecore.base import InvalidInput, limits

MAX_COLUMN_NAME_CHARACTERS: Final = 255
MAX_DECIMAL_DIGITS: Final = 38

_SIMPLE: Final[tuple[tuple[Callable[[pa.DataType], bool], pa.DataType], ...]] = (
    (pat.is_null, pa.string()),
    (pat.is_large_string, pa.string()),
    (pat.is_string_view, pa.string()),
    (pat.is_uint8, pa.int16()),
    (pat.is_uint16, pa.int32()),
    (pat.is_uint32, pa.int64()),
    (pat.is_uint64, pa.decimal128(20, 0)),
    (pat.is_float16, pa.float32()),
    (pat.is_date64, pa.date32()),
    (pat.is_time, pa.string()),
    (pat.is_large_binary, pa.binary()),
    (pat.is_binary_view, pa.binary()),
    (pat.is_fixed_size_binary, pa.binary()),
)
_KEPT: Final = (
    pat.is_string,
    pat.is_signed_integer,
    pat.is_float32,
    pat.is_float64,
    pat.is_boolean,
    pat.is_date32,
    pat.is_binary,
)


def storable_type(kind: pa.DataType, *, where: str = "") -> pa.DataType:
    """The type that a Delta table keeps values of `kind` in.

    Raises:
        InvalidInput: Delta has none (intervals, durations, unions, decimals over 38 digits).
    """
    if isinstance(kind, pa.BaseExtensionType):
        return storable_type(kind.storage_type, where=where)
    if any(keeps(kind) for keeps in _KEPT):
        return kind
    for matches, stored in _SIMPLE:
        if matches(kind):
            return stored
    if pat.is_dictionary(kind) or pat.is_run_end_encoded(kind):
        return storable_type(kind.value_type, where=where)
    if pat.is_timestamp(kind):
        return pa.timestamp("us", tz="UTC" if kind.tz else None)
    if pat.is_decimal(kind) and kind.precision <= MAX_DECIMAL_DIGITS and kind.scale >= 0:
        return pa.decimal128(kind.precision, kind.scale)
    nested = _storable_nested(kind, where)
    if nested is None:
        raise InvalidInput("tables cannot hold this type", found=kind, where=where or None)
    return nested


def _storable_nested(kind: pa.DataType, where: str) -> pa.DataType | None:
    if pat.is_struct(kind):
        check_names([part.name for part in kind], where=where)
        return pa.struct(_storable_field(part, f"{where}.{part.name}") for part in kind)
    if pat.is_map(kind):
        key = storable_type(kind.key_type, where=f"{where}.key")
        return pa.map_(key, storable_type(kind.item_type, where=f"{where}.value"))
    lists = (pat.is_list, pat.is_large_list, pat.is_fixed_size_list, pat.is_list_view)
    if any(is_list(kind) for is_list in lists) or pat.is_large_list_view(kind):
        return pa.list_(pa.field("element", storable_type(kind.value_type, where=where)))
    return None


def _storable_field(field: pa.Field, where: str) -> pa.Field:
    return pa.field(field.name, storable_type(field.type, where=where))


def storable_schema(schema: pa.Schema) -> pa.Schema:
    """`schema` as a table keeps it; names are checked. Raises `InvalidInput`."""
    check_names(schema.names)
    return pa.schema([_storable_field(field, f"column {field.name!r}") for field in schema])


def check_names(names: Sequence[str], *, where: str = "") -> None:
    """Column names: not empty, at most 255 characters, no two that differ by case only."""
    if not names:
        raise InvalidInput("there are no columns", where=where or None)
    if len(names) > limits.MAX_COLUMNS:
        raise InvalidInput(
            "too many columns", expected=f"at most {limits.MAX_COLUMNS}", found=len(names)
        )
    seen: dict[str, str] = {}
    for name in names:
        if not name or len(name) > MAX_COLUMN_NAME_CHARACTERS:
            raise InvalidInput(
                "not a column name",
                expected=f"1 to {MAX_COLUMN_NAME_CHARACTERS} characters",
                found=repr(name[:40]),
                where=where or None,
            )
        other = seen.get(name.casefold())
        seen[name.casefold()] = name
        if other is not None:
            raise InvalidInput(
                "two columns differ at most by case",
                found=f"{other!r} and {name!r}",
                where=where or None,
                hint="rename one of them",
            )


def delta_schema_string(schema: pa.Schema) -> str:
    """The `schemaString` of a Delta table that holds `schema`."""
    from deltalake import Schema

    return str(Schema.from_arrow(schema).to_json())


def delta_type_text(field: pa.Field) -> str:
    """JSON text of one column's Delta type: ``"long"``, or an object for nested types."""
    fields = json.loads(delta_schema_string(pa.schema([field])))["fields"]
    return json.dumps(fields[0]["type"], separators=(",", ":"), sort_keys=True)


def has_zoneless_timestamp(kind: pa.Schema | pa.DataType) -> bool:
    """Whether a timestamp without a zone is anywhere inside: such tables need `timestampNtz`."""
    if isinstance(kind, pa.Schema):
        return any(has_zoneless_timestamp(field.type) for field in kind)
    if pat.is_timestamp(kind):
        return kind.tz is None
    children = (kind.field(position).type for position in range(kind.num_fields))
    return any(has_zoneless_timestamp(child) for child in children)


def nearest(name: str, known: Iterable[str]) -> str:
    """A hint that names the column most like `name`, or all of them when none is."""
    names = list(known)
    by_case = [other for other in names if other.casefold() == name.casefold()]
    found = by_case or difflib.get_close_matches(name, names, n=1)
    if found:
        return f"did you mean {found[0]!r}?"
    shown = ", ".join(names[:10]) + (", …" if len(names) > 10 else "")
    return f"columns are {shown}"


def cast_table(rows: pa.Table, target: pa.Schema, *, first_row: int = 0) -> pa.Table:
    """`rows` with exactly the columns and types of `target`; missing columns are null.

    Args:
        first_row: how many rows of the input came before, to name the right one in errors.

    Raises:
        InvalidInput: a value does not fit; names column, row (from 1), expected and found.
    """
    columns = []
    for field in target:
        position = rows.schema.get_field_index(field.name)
        if position < 0:
            columns.append(pa.chunked_array([pa.nulls(rows.num_rows, field.type)]))
        else:
            columns.append(cast_column(rows.column(position), field, first_row=first_row))
    return pa.table(columns, schema=target)


def cast_column(column: pa.ChunkedArray, field: pa.Field, *, first_row: int = 0) -> Any:
    """One column as `field.type`, without loss. Raises `InvalidInput`."""
    if column.type == field.type:
        return column
    _check_zone(column.type, field)
    try:
        return _cast(column, field.type)
    except (pa.ArrowInvalid, pa.ArrowNotImplementedError, pa.ArrowTypeError) as error:
        row, found = _first_misfit(column, field.type)
        raise InvalidInput(
            "a value does not fit the column",
            expected=str(field.type),
            found=found if found is not None else str(column.type),
            where=f"column {field.name!r}" + (f", row {first_row + row + 1}" if row >= 0 else ""),
            hint="correct the value, or give the column another name",
        ) from error


def _cast(column: pa.ChunkedArray, kind: pa.DataType) -> pa.ChunkedArray:
    if isinstance(column.type, pa.BaseExtensionType):
        column = pa.chunked_array(
            [chunk.storage for chunk in column.chunks], type=column.type.storage_type
        )
    if pat.is_dictionary(column.type):
        column = column.cast(column.type.value_type)
    if pat.is_boolean(column.type) and pat.is_decimal(kind):
        raise pa.ArrowInvalid("a boolean is not a number")
    return column.cast(kind, safe=True)


def _check_zone(kind: pa.DataType, field: pa.Field) -> None:
    if pat.is_timestamp(kind) and kind.tz and pat.is_timestamp(field.type) and not field.type.tz:
        raise InvalidInput(
            "a timestamp with a zone does not fit the column",
            expected="a timestamp without a zone",
            found=str(kind),
            where=f"column {field.name!r}",
            hint="convert it to the local time that the column holds",
        )


def _first_misfit(column: pa.ChunkedArray, kind: pa.DataType) -> tuple[int, str | None]:
    """Position and text of the first value that does not fit; -1 when no single one is at fault."""

    def fits(start: int, length: int) -> bool:
        try:
            _cast(column.slice(start, length), kind)
        except (pa.ArrowInvalid, pa.ArrowNotImplementedError, pa.ArrowTypeError):
            return False
        return True

    if fits(0, 0) is False:
        return -1, None
    start, length = 0, len(column)
    while length > 1:
        half = length // 2
        if fits(start, half):
            start, length = start + half, length - half
        else:
            length = half
    return start, repr(column[start].as_py())[:100]


def added_columns(table: pa.Schema, rows: pa.Schema) -> list[pa.Field]:
    """The columns of `rows` that `table` lacks, as it would keep them.

    Raises:
        InvalidInput: a new name differs from a column's by case only.
    """
    new = [field for field in rows if table.get_field_index(field.name) < 0]
    check_names(list(itertools.chain(table.names, (field.name for field in new))))
    return [_storable_field(field, f"column {field.name!r}") for field in new]


def any_nan(column: pa.ChunkedArray) -> bool:
    """Whether a float column holds a NaN."""
    return bool(pc.any(pc.is_nan(column)).as_py())
