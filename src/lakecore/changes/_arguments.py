"""Arguments of a change as JSON, to be given again when it is approved.

Each value is an object with one member:

===========  ===============================================================================
`value`      JSON as it is: text, a finite number, true, false, null
`sql`        an `Sql`
`values`     a mapping: its values, encoded
`items`      a list: its values, encoded; `tuple`: likewise
`column`     a change of columns: its class under `change`, and its members
`table`      rows: base64 of an Arrow stream
`arrow`      what JSON has no word for: base64 of an Arrow stream of one column and one row
===========  ===============================================================================
"""

from __future__ import annotations

import base64
import math
from collections.abc import Iterator, Mapping
from dataclasses import asdict
from typing import Any, Final

import pyarrow as pa

from lakecore.base import CorruptData, InvalidInput
from lakecore.tables import AddColumn, DropColumn, RenameColumn, Sql, WidenColumn

_COLUMN_CHANGES: Final = {
    kind.__name__: kind for kind in (AddColumn, DropColumn, RenameColumn, WidenColumn)
}


def repeatable(value: object) -> object:
    """The same value, in a form that can be gone through more than once."""
    if isinstance(value, pa.RecordBatchReader):
        return value.read_all()
    return list(value) if isinstance(value, Iterator) else value


def encode_arguments(arguments: Mapping[str, object]) -> dict[str, Any]:
    """Every argument by its name."""
    return {name: encode_value(value) for name, value in arguments.items()}


def decode_arguments(encoded: Mapping[str, Any]) -> dict[str, Any]:
    """What `encode_arguments` was given. Raises `CorruptData`."""
    return {name: decode_value(value) for name, value in encoded.items()}


def encode_value(value: object) -> dict[str, Any]:
    """One value.

    >>> encode_value(7), encode_value(Sql("seats + 1"))
    ({'value': 7}, {'sql': 'seats + 1'})
    """
    if isinstance(value, Sql):
        return {"sql": value.text}
    if value is None or isinstance(value, bool | int | str):
        return {"value": value}
    if isinstance(value, float) and math.isfinite(value):
        return {"value": value}
    if isinstance(value, Mapping):
        return {"values": {str(key): encode_value(one) for key, one in value.items()}}
    if isinstance(value, list | tuple):
        kind = "tuple" if isinstance(value, tuple) else "items"
        return {kind: [encode_value(one) for one in value]}
    if isinstance(value, AddColumn | DropColumn | RenameColumn | WidenColumn):
        return {"column": {"change": type(value).__name__, **asdict(value)}}
    if hasattr(value, "__arrow_c_stream__"):
        return {"table": _stream(pa.table(value))}
    try:
        return {"arrow": _stream(pa.table({"value": pa.array([value])}))}
    except (pa.ArrowException, TypeError, ValueError, OverflowError) as error:
        raise InvalidInput(
            "a value cannot be kept for an approval", found=repr(value)[:100]
        ) from error


def decode_value(encoded: Mapping[str, Any]) -> Any:
    """What `encode_value` was given."""
    try:
        ((kind, value),) = encoded.items()
        return _DECODERS[kind](value)
    except (AttributeError, KeyError, TypeError, ValueError, pa.ArrowException) as error:
        raise CorruptData("an argument of a pending change is not readable", found=error) from error


def _stream(table: pa.Table) -> str:
    sink = pa.BufferOutputStream()
    with pa.ipc.new_stream(sink, table.schema) as writer:
        writer.write_table(table)
    return base64.b64encode(sink.getvalue()).decode("ascii")


def _table(text: str) -> pa.Table:
    with pa.ipc.open_stream(base64.b64decode(text, validate=True)) as reader:
        return reader.read_all()


def _column(members: Mapping[str, Any]) -> Any:
    values = dict(members)
    return _COLUMN_CHANGES[values.pop("change")](**values)


_DECODERS: Final[Mapping[str, Any]] = {
    "value": lambda value: value,
    "sql": Sql,
    "values": lambda value: {key: decode_value(one) for key, one in value.items()},
    "items": lambda value: [decode_value(one) for one in value],
    "tuple": lambda value: tuple(decode_value(one) for one in value),
    "column": _column,
    "table": _table,
    "arrow": lambda value: _table(value).column("value")[0].as_py(),
}
