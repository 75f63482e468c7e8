"""Rows for the index: checked as a table, then handed over one by one. No I/O."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Final

from lakecore.base import InvalidInput
from lakecore.base.limits import MIB
from lakecore.fulltext._columns import KEY
from lakecore.fulltext._fold import fold

if TYPE_CHECKING:
    import pyarrow as pa

MAX_KEY_BYTES: Final = 1_024
MAX_TEXT_BYTES: Final = 16 * MIB
MAX_DELETES: Final = 10_000_000
_BATCH_ROWS: Final = 4_096

Row = tuple[str, list[str | None]]


def check_upserts(table: pa.Table, fields: Sequence[str]) -> pa.Table:
    """The key and the fields of `table`, the last row of each key.

    Raises:
        InvalidInput: a column that is missing or no text, a key that is null, empty or too long,
            a text that is too long.
    """
    import pyarrow as pa
    import pyarrow.compute as pc

    columns = {}
    for name in (KEY, *fields):
        if table.schema.get_all_field_indices(name) != [table.schema.get_field_index(name)]:
            raise InvalidInput(
                "rows for a text index lack a column, or have it twice",
                expected=", ".join((KEY, *fields)),
                found=", ".join(table.column_names)[:200],
            )
        column = table[name]
        kind = column.type
        if kind == pa.string_view() or pa.types.is_null(kind) or _is_encoded_text(kind):
            column = column.cast(pa.large_string())
        elif not (pa.types.is_string(kind) or pa.types.is_large_string(kind)):
            raise InvalidInput("a column of a text index is no text", where=name, found=kind)
        longest = pc.max(pc.binary_length(column)).as_py() or 0
        most = MAX_KEY_BYTES if name == KEY else MAX_TEXT_BYTES
        if longest > most:
            raise InvalidInput(
                "a value for a text index is too long",
                expected=f"at most {most:,} bytes",
                found=f"{longest:,}",
                where=name,
            )
        columns[name] = column
    if columns[KEY].null_count:
        raise InvalidInput(
            "a row for a text index has no key", found=f"{columns[KEY].null_count} nulls"
        )
    return _last_of_each(pa.table(columns))


def _is_encoded_text(kind: pa.DataType) -> bool:
    import pyarrow as pa

    texts = (pa.string(), pa.large_string())
    return bool(pa.types.is_dictionary(kind) and kind.value_type in texts)


def check_keys(keys: Sequence[str], *, most: int = MAX_DELETES) -> list[str]:
    """`keys`, but for those that no index can have.

    Raises:
        InvalidInput: too many, or one that is no text.
    """
    if isinstance(keys, str):
        raise InvalidInput("keys are a list of texts", found="one text")
    if len(keys) > most:
        raise InvalidInput("too many keys", expected=f"at most {most:,}", found=f"{len(keys):,}")
    for key in keys:
        if not isinstance(key, str):
            raise InvalidInput("a key of a text index is text", found=type(key).__name__)
    try:
        size = len("".join(keys).encode())
    except UnicodeEncodeError as error:
        found = ascii(error.object[error.start])
        raise InvalidInput("a key of a text index is no valid text", found=found) from None
    if size <= MAX_KEY_BYTES:
        return list(keys)
    return [key for key in keys if len(key) <= MAX_KEY_BYTES and len(key.encode()) <= MAX_KEY_BYTES]


def rows_of(table: pa.Table | None, fields: Sequence[str]) -> Iterator[Row]:
    """Key and folded texts of each row."""
    if table is None:
        return
    for batch in table.to_batches(max_chunksize=_BATCH_ROWS):
        keys = batch.column(0).to_pylist()
        texts = [batch.column(1 + at).to_pylist() for at in range(len(fields))]
        for key, *values in zip(keys, *texts, strict=True):
            yield key, [None if value is None else fold(value) for value in values]


def _last_of_each(table: pa.Table) -> pa.Table:
    import numpy as np
    import pyarrow as pa
    import pyarrow.compute as pc

    if pc.count_distinct(table[KEY]).as_py() == len(table):
        return table
    places = pa.table({KEY: table[KEY], "at": np.arange(len(table))})
    last = places.group_by(KEY).aggregate([("at", "max")])["at_max"]
    return table.take(last)
