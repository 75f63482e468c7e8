"""The journal's JSON text of values, back as columns of a table's types.

The inverse of `lakecore.journal.json_text` and `row_json`: a text says nothing about its
type, so the column's type decides how it is read.
"""

from __future__ import annotations

import base64
import json
from collections.abc import Callable, Iterable, Sequence
from decimal import Decimal
from typing import Any

import numpy as np
import pyarrow as pa
from pyarrow import types as pat

from lakecore.base import InvalidInput

Reader = Callable[[Any], Any]


def decode_column(texts: Iterable[str | None], kind: pa.DataType) -> pa.Array:
    """Cells of one column; a missing text and the text ``null`` are null.

    Raises:
        InvalidInput: a text is not of that type.
    """
    return decode_values(_parsed(texts), kind)


def decode_values(values: Iterable[Any], kind: pa.DataType) -> pa.Array:
    """Cells from values as JSON has them. Raises `InvalidInput`."""
    read = _reader(kind)
    try:
        return pa.array([None if value is None else read(value) for value in values], kind)
    except (pa.ArrowException, ArithmeticError, ValueError, TypeError, KeyError) as error:
        raise InvalidInput(
            "a value of the journal is not of the column's type", expected=kind, found=error
        ) from error


def decode_rows(texts: Iterable[str | None], schema: pa.Schema) -> tuple[pa.Table, list[set[str]]]:
    """Whole rows, and for each the columns that its text names; others are null.

    Names that the schema lacks are in the sets, and nowhere else. Raises `InvalidInput`.
    """
    rows = [row or {} for row in _parsed(texts)]
    columns = [decode_values([row.get(f.name) for row in rows], f.type) for f in schema]
    return pa.table(columns, schema=schema), [set(row) for row in rows]


def decode_keys(entity_ids: Sequence[str], key: Sequence[str], schema: pa.Schema) -> pa.Table:
    """Key columns from the journal's `entity_id`s. Raises `InvalidInput`."""
    fields = [schema.field(name) for name in key]
    if len(fields) > 1:
        parts = list(zip(*_parsed(entity_ids), strict=True)) or [()] * len(fields)
        columns = [decode_values(p, field.type) for p, field in zip(parts, fields, strict=True)]
    elif pat.is_string(fields[0].type):
        columns = [pa.array(entity_ids, pa.string())]
    else:
        # A single key stands without the quotes that its JSON text has.
        bare = pat.is_integer(fields[0].type) or pat.is_boolean(fields[0].type)
        values = _parsed(entity_ids) if bare else entity_ids
        columns = [decode_values(values, fields[0].type)]
    return pa.table(columns, schema=pa.schema(fields))


def _parsed(texts: Iterable[str | None]) -> list[Any]:
    try:
        found: list[Any] = json.loads("[" + ",".join(text or "null" for text in texts) + "]")
    except ValueError as error:
        raise InvalidInput("a value of the journal is not JSON", found=error) from error
    return found


def _reader(kind: pa.DataType) -> Reader:
    """What makes a value of Arrow's out of one of JSON's."""
    if pat.is_map(kind):
        key, item = _reader(kind.key_type), _nullable(kind.item_type)
        return lambda pairs: [(key(k), item(v)) for k, v in pairs]
    if pat.is_struct(kind):
        parts = {field.name: _nullable(field.type) for field in kind}
        return lambda row: {name: read(row.get(name)) for name, read in parts.items()}
    if pat.is_list(kind):
        element = _nullable(kind.value_type)
        return lambda values: [element(value) for value in values]
    for is_kind, read in _LEAVES:
        if is_kind(kind):
            return read
    return lambda value: value


def _nullable(kind: pa.DataType) -> Reader:
    read = _reader(kind)
    return lambda value: None if value is None else read(value)


def _ticks(unit: str) -> Reader:
    def read(text: str) -> int:
        # NumPy knows years beyond 9999, and no zone: ours is always UTC.
        bare = text.removesuffix("Z").removeprefix("+")
        return int(np.array(bare, dtype=f"datetime64[{unit}]").astype(np.int64))

    return read


_LEAVES: tuple[tuple[Callable[[pa.DataType], bool], Reader], ...] = (
    (pat.is_integer, int),
    (pat.is_floating, float),
    (pat.is_decimal, Decimal),
    (pat.is_binary, base64.b64decode),
    (pat.is_date, _ticks("D")),
    (pat.is_timestamp, _ticks("us")),
)
