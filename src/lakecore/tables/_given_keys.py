"""Rows named by their keys, for update and delete: as people and programs give them."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, Final

import numpy as np
import pyarrow as pa

from lakecore.base import InvalidInput
from lakecore.tables._attempt import Attempt
from lakecore.tables._keys import candidate_files, check_keys, key_frame, key_names
from lakecore.tables._merge import match_keys
from lakecore.tables._schema import cast_column, cast_table
from lakecore.tables._sql import literal_column
from lakecore.tables._state import DataFile

_NO_KEYS: Final = "there are no keys"


class GivenKeys:
    """Keys to look for in one attempt's table, and those that were found.

    Raises:
        InvalidInput: they are not keys of this dataset.
    """

    def __init__(self, attempt: Attempt, keys: object) -> None:
        self._attempt = attempt
        self._key = attempt.dataset.key
        rows = key_table(keys, self._key, attempt.schema)
        check_keys(rows, self._key)
        names = key_names(self._key)
        self._frame = key_frame(rows, self._key).unique(names, keep="first").drop("row")
        self._frame = self._frame.with_row_index("row")
        self._found = np.zeros(self._frame.height, dtype=np.bool_)

    def files(self) -> list[DataFile]:
        """The files that may hold one of the keys, by their statistics."""
        return candidate_files(self._attempt.base, self._key, self._frame)

    def matches(self, file: DataFile) -> np.ndarray[Any, np.dtype[np.bool_]] | None:
        """Which rows of a file have one of the keys; None when none has."""
        positions, sources = match_keys(self._attempt, file, self._frame)
        if not len(positions):
            return None
        self._found[sources] = True
        with self._attempt.reader(file) as reader:
            mask = np.zeros(reader.rows, dtype=np.bool_)
        mask[positions] = True
        return mask

    @property
    def missing(self) -> int:
        """Keys that no file has had so far."""
        return int((~self._found).sum())


def key_table(keys: object, key: Sequence[str], schema: pa.Schema) -> pa.Table:
    """The keys as a table of the dataset's key columns.

    `keys` is Arrow with these columns, one key, or a sequence of keys. A key is a value, or
    for several columns a sequence of values, a mapping, or the text of a JSON array. Texts
    are read as the columns' types.

    Raises:
        InvalidInput: not a key, or a value that does not fit its column.
    """
    fields = [schema.field(name) for name in key if schema.get_field_index(name) >= 0]
    if len(fields) != len(key) or not key:
        raise InvalidInput(
            "this dataset has no key to look for",
            expected=", ".join(key) or "a dataset with a key",
            found=", ".join(schema.names[:20]),
            hint=None if key else "give a condition instead",
        )
    if isinstance(keys, pa.RecordBatch):
        keys = pa.Table.from_batches([keys])
    if isinstance(keys, pa.Table):
        lacking = [name for name in key if keys.schema.get_field_index(name) < 0]
        if lacking:
            raise InvalidInput(
                "the table of keys lacks a key column",
                expected=", ".join(key),
                found=", ".join(keys.schema.names[:20]),
            )
        return cast_table(keys, pa.schema(fields))
    rows = [_parts(one, key) for one in _several(keys, len(key))]
    if not rows:
        raise InvalidInput(_NO_KEYS, expected="at least one")
    columns = [
        _column([row[position] for row in rows], field) for position, field in enumerate(fields)
    ]
    return pa.table(columns, schema=pa.schema(fields))


def _several(keys: object, width: int) -> list[object]:
    """One key as a list of one."""
    if isinstance(keys, (str, bytes, Mapping)) or not isinstance(keys, Iterable):
        return [keys]
    found = list(keys)
    is_one = (
        width > 1
        and len(found) == width
        and not any(isinstance(part, (list, tuple, Mapping)) for part in found)
        and not all(_is_array(part) for part in found)
    )
    return [found] if is_one else found


def _is_array(part: object) -> bool:
    return isinstance(part, str) and part.startswith("[") and part.endswith("]")


def _parts(one: object, key: Sequence[str]) -> Sequence[object]:
    """The values of one key, in the order of the key's columns."""
    parts = one
    if isinstance(parts, str) and len(key) > 1:
        try:
            parts = json.loads(parts)
        except ValueError:
            parts = [parts]
    if isinstance(parts, Mapping):
        parts = [parts[name] for name in key if name in parts]
    if not isinstance(parts, (list, tuple)):
        parts = [parts]
    if len(parts) != len(key):
        raise InvalidInput(
            "not a key of this dataset",
            expected=f"a value for each of {', '.join(key)}",
            found=repr(one)[:100],
        )
    return parts


def _column(values: list[object], field: pa.Field) -> pa.ChunkedArray:
    try:
        return cast_column(pa.chunked_array([pa.array(values)]), field)
    except (pa.ArrowException, TypeError, OverflowError, InvalidInput):
        # Values of several types, or one that does not fit: one by one, to name it.
        columns = [literal_column(value, field) for value in values]
        return pa.chunked_array([chunk for column in columns for chunk in column.chunks])
