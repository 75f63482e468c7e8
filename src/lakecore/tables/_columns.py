"""Changes of a table's columns, as they are asked for; types by name."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from lakecore.base import InvalidInput

if TYPE_CHECKING:
    import pyarrow as pa

_OTHER_NAMES: Final = {
    "int8": "byte",
    "tinyint": "byte",
    "int16": "short",
    "smallint": "short",
    "int32": "integer",
    "int": "integer",
    "int64": "long",
    "bigint": "long",
    "float32": "float",
    "real": "float",
    "float64": "double",
    "bool": "boolean",
    "text": "string",
    "varchar": "string",
    "bytes": "binary",
    "timestamp_tz": "timestamp",
}
_TYPES: Final = (
    "string, long, integer, short, byte, double, float, decimal(p,s), boolean, binary, date, "
    "timestamp, timestamp_ntz, or a Delta type as JSON"
)
_DECIMAL: Final = re.compile(r"decimal\s*\(\s*(\d+)\s*(?:,\s*(\d+)\s*)?\)")


@dataclass(frozen=True, slots=True)
class AddColumn:
    """A new column, null in every row."""

    name: str
    type: str


@dataclass(frozen=True, slots=True)
class RenameColumn:
    """Another name for a column."""

    name: str
    new_name: str


@dataclass(frozen=True, slots=True)
class DropColumn:
    """A column goes, with its values."""

    name: str


@dataclass(frozen=True, slots=True)
class WidenColumn:
    """A type that holds every value of the present one."""

    name: str
    type: str


ColumnChange = AddColumn | RenameColumn | DropColumn | WidenColumn


def column_changes(
    *,
    add: Mapping[str, str] | None = None,
    rename: Mapping[str, str] | None = None,
    drop: Sequence[str] = (),
    widen: Mapping[str, str] | None = None,
) -> list[ColumnChange]:
    """Changes of columns, in the order in which they are made: drop, rename, widen, add."""
    names = [drop] if isinstance(drop, str) else list(drop)
    return [
        *(DropColumn(name) for name in names),
        *(RenameColumn(name, new_name) for name, new_name in (rename or {}).items()),
        *(WidenColumn(name, kind) for name, kind in (widen or {}).items()),
        *(AddColumn(name, kind) for name, kind in (add or {}).items()),
    ]


def renamed_key(key: Sequence[str], changes: Sequence[ColumnChange]) -> tuple[str, ...]:
    """The key columns' names after these changes.

    >>> renamed_key(("id", "day"), [RenameColumn("id", "number")])
    ('number', 'day')
    """
    names = list(key)
    for change in changes:
        if isinstance(change, RenameColumn):
            names = [change.new_name if name == change.name else name for name in names]
    return tuple(names)


def parse_type(text: str) -> pa.DataType:
    """The Arrow type of a type's name: Delta's, or what SQL and Arrow call it.

    >>> parse_type("decimal(10,2)"), parse_type("int64")
    (Decimal128Type(decimal128(10, 2)), DataType(int64))

    Raises:
        InvalidInput: there is no such type.
    """
    import pyarrow as pa
    from deltalake import Schema

    name = text.strip()
    if not name.startswith(("{", '"')):
        name = name.lower()
        name = _OTHER_NAMES.get(name, name)
        decimal = _DECIMAL.fullmatch(name)
        if decimal is not None:
            name = f"decimal({decimal[1]},{decimal[2] or 0})"
        name = json.dumps(name)
    try:
        field = {"name": "c", "type": json.loads(name), "nullable": True, "metadata": {}}
        schema = Schema.from_json(json.dumps({"type": "struct", "fields": [field]}))
        return pa.schema(schema.to_arrow()).field(0).type
    except Exception as error:  # the bindings raise what they like
        raise InvalidInput("not a type of a column", expected=_TYPES, found=text) from error
