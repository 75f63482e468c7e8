"""Keys: their text in the journal, what makes them valid, where they are, which are double."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from contextlib import suppress
from typing import TYPE_CHECKING, Final

import pyarrow as pa
import pyarrow.compute as pc
from pyarrow import types as pat

from lakecore.base import InvalidInput, limits
from lakecore.journal import encode_value, json_text
from lakecore.tables._schema import nearest
from lakecore.tables._state import DataFile, TableState

if TYPE_CHECKING:
    import polars as pl

MAX_NAMED_KEYS: Final = 5
"""Offending keys that an error names."""


def entity_ids(rows: pa.Table, key: Sequence[str]) -> pa.ChunkedArray:
    """The journal's `entity_id` of every row: the key's text, or a JSON array of several."""
    if len(key) == 1:
        column = rows.column(key[0])
        if pat.is_string(column.type):
            return pc.fill_null(column, "null")
        if pat.is_integer(column.type):
            # Digits, however many: what `json_text` quotes loses its quotes below.
            return pc.fill_null(column.cast(pa.string()), "null")
        # Numbers are bare, dates and decimals quoted: the text itself has no quotes.
        return pc.utf8_trim(_as_string(json_text(column)), characters='"')
    parts = [_as_string(json_text(rows.column(name))) for name in key]
    joined = pc.binary_join_element_wise(*parts, ",")
    return pc.binary_join_element_wise("[", joined, "]", "")


def entity_id(key: Sequence[str], value: object) -> str:
    """The journal's `entity_id` of one key: a value, or for several columns a sequence or mapping.

    Text of a composite key may also be the JSON array itself.

    >>> entity_id(["origin", "day"], ("JFK", 1))
    '["JFK",1]'

    Raises:
        InvalidInput: not as many values as key columns.
    """
    if len(key) == 1:
        if isinstance(value, Mapping):
            value = value.get(key[0])
        elif isinstance(value, (list, tuple)) and len(value) == 1:
            value = value[0]
        return value if isinstance(value, str) else encode_value(value).strip('"')
    if isinstance(value, str):
        with suppress(ValueError):
            value = json.loads(value)
    if isinstance(value, Mapping):
        value = [value[name] for name in key if name in value]
    if not isinstance(value, (list, tuple)) or len(value) != len(key):
        raise InvalidInput(
            "not a key of this dataset",
            expected=f"a value for each of {', '.join(key)}",
            found=repr(value)[:100],
        )
    return "[" + ",".join(encode_value(part) for part in value) + "]"


def _as_string(column: pa.ChunkedArray) -> pa.ChunkedArray:
    return column if column.type == pa.string() else column.cast(pa.string())


def check_key_columns(schema: pa.Schema, key: Sequence[str]) -> None:
    """Every key column is there, and of a type that identifies: not nested.

    Raises:
        InvalidInput: names the column.
    """
    for name in key:
        if schema.get_field_index(name) < 0:
            raise InvalidInput(
                "the key column is missing", expected=name, hint=nearest(name, schema.names)
            )
        if pat.is_nested(schema.field(name).type):
            raise InvalidInput(
                "a column of this type cannot be a key",
                found=str(schema.field(name).type),
                where=f"column {name!r}",
            )


def check_keys(rows: pa.Table, key: Sequence[str], *, first_row: int = 0) -> None:
    """No key is null or NaN, or longer than an event may name.

    Raises:
        InvalidInput: names column and row (from 1).
    """
    for name in key:
        column = rows.column(name)
        bad = None
        if column.null_count:
            bad = pc.is_null(column), "null"
        elif pat.is_floating(column.type) and pc.any(pc.is_nan(column)).as_py():
            bad = pc.is_nan(column), "NaN"
        if bad is not None:
            raise InvalidInput(
                "a key has no value",
                found=bad[1],
                where=f"column {name!r}, row {first_row + pc.index(bad[0], True).as_py() + 1}",
                hint="every row needs its key; correct the row or leave it out",
            )
        if pat.is_string(column.type) or pat.is_binary(column.type):
            _check_length(column, name, first_row)


def _check_length(column: pa.ChunkedArray, name: str, first_row: int) -> None:
    lengths = pc.binary_length(column)
    longest = pc.max(lengths).as_py() or 0
    if longest > limits.MAX_EVENT_TEXT_BYTES:
        row = first_row + pc.index(lengths, longest).as_py() + 1
        raise InvalidInput(
            "a key is too long",
            expected=f"at most {limits.MAX_EVENT_TEXT_BYTES} bytes",
            found=longest,
            where=f"column {name!r}, row {row}",
        )


def key_frame(rows: pa.Table, key: Sequence[str]) -> pl.DataFrame:
    """The key columns as Polars has them, named k0, k1, …, with `row`: the position."""
    import polars as pl

    columns = {f"k{i}": pl.Series(rows.column(name)) for i, name in enumerate(key)}
    return pl.DataFrame(columns).with_row_index("row")


def key_names(key: Sequence[str]) -> list[str]:
    """The column names of a `key_frame`."""
    return [f"k{position}" for position in range(len(key))]


def candidate_files(state: TableState, key: Sequence[str], keys: pl.DataFrame) -> list[DataFile]:
    """The files whose statistics allow one of `keys`; a file without them is always one."""
    import numpy as np
    import polars as pl

    if not state.files or not keys.height:
        return []
    possible = np.ones(len(state.files), dtype=np.bool_)
    for name, column in zip(key_names(key), key, strict=True):
        bounds = state.bounds(column)
        if bounds is None:
            continue
        values = keys[name].sort()
        low, high = (pl.Series(side).cast(values.dtype) for side in bounds)
        known = (low.is_not_null() & high.is_not_null()).to_numpy()
        first = values.search_sorted(low.fill_null(values[0]), side="left").to_numpy()
        after = values.search_sorted(high.fill_null(values[-1]), side="right").to_numpy()
        possible &= ~known | (after > first)
    return [file for file, hit in zip(state.files, possible, strict=True) if hit]


def refuse_duplicates(keys: pl.DataFrame, rows: pa.Table, key: Sequence[str]) -> None:
    """Refuse rows that share a key. Raises `InvalidInput` naming up to five of them."""
    import polars as pl

    names = key_names(key)
    values = keys[names[0]] if len(names) == 1 else keys.select(pl.struct(names)).to_series()
    if values.n_unique() == keys.height:
        return
    double = keys.filter(values.is_duplicated()).unique(names, keep="first", maintain_order=True)
    found = rows.take(double["row"].head(MAX_NAMED_KEYS).to_arrow())
    raise duplicate_error("the same key occurs more than once in the input", found, key)


def duplicate_error(message: str, rows: pa.Table, key: Sequence[str]) -> InvalidInput:
    """The refusal of double keys, naming those of `rows`."""
    shown = ", ".join(entity_ids(rows.slice(0, MAX_NAMED_KEYS), key).to_pylist())
    return InvalidInput(
        message,
        expected=f"one row for each {' + '.join(key)}",
        found=shown,
        hint="every row needs a key of its own; upsert changes rows that are there",
    )
