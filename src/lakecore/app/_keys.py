"""A key as people write it, in the types of the dataset's key columns."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from contextlib import suppress
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import pyarrow as pa


def typed_key(schema: pa.Schema, columns: Sequence[str], key: object) -> object:
    """`key` with its texts read as the columns' types: ``"2013-01-01T06:00Z"`` is a time.

    What is no text, or is none of the type, stays as it is; so does a key that has not a
    value for each column.
    """
    values = key
    if isinstance(key, str) and len(columns) > 1:
        with suppress(ValueError):
            values = json.loads(key)
    if isinstance(values, Mapping):
        values = [values.get(name) for name in columns]
    if isinstance(values, str):
        values = [values]
    if not isinstance(values, Sequence) or len(values) != len(columns):
        return key
    return [
        _typed(schema.field(name).type, value) if name in schema.names else value
        for name, value in zip(columns, values, strict=True)
    ]


def _typed(kind: pa.DataType, value: object) -> object:
    import pyarrow as pa

    if not isinstance(value, str) or pa.types.is_string(kind) or pa.types.is_large_string(kind):
        return value
    try:
        return pa.scalar(value).cast(kind).as_py()
    except (pa.ArrowException, OverflowError, ValueError):
        return value
