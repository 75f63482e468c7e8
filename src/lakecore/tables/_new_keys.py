"""New keys against each other and against the table: few in memory, many through DuckDB."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import TYPE_CHECKING, Any

import pyarrow as pa

from lakecore.tables._keys import (
    MAX_NAMED_KEYS,
    candidate_files,
    duplicate_error,
    key_frame,
    key_names,
    refuse_duplicates,
)
from lakecore.tables._state import DataFile, TableState
from lakecore.tables._types import TableSettings

if TYPE_CHECKING:
    import polars as pl

KeyBatches = Callable[[], Iterator[pa.Table]]
"""Key columns as tables, anew at every call."""


def check_new_keys(
    *,
    new: KeyBatches,
    new_rows: int,
    state: TableState,
    read_keys: Callable[[DataFile], Iterator[pa.Table]],
    key: Sequence[str],
    settings: TableSettings,
) -> None:
    """Refuse new rows that share a key with each other or with a row of the table.

    Few keys are held in memory; many go through DuckDB, whose memory is bounded and which
    spills to disk. Of the table only files whose statistics overlap are read.

    Raises:
        InvalidInput: names up to five of the keys.
    """
    if new_rows > settings.keys_in_memory:
        _check_new_keys_spilling(new, state, read_keys, key, settings)
        return
    tables = list(new())
    if not tables:
        return
    rows = pa.concat_tables(tables)
    keys = key_frame(rows, key)
    refuse_duplicates(keys, rows, key)
    names = key_names(key)
    for file in candidate_files(state, key, keys):
        for present in read_keys(file):
            both = key_frame(present, key).join(keys, on=names, how="semi", nulls_equal=True)
            if both.height:
                found = present.take(both["row"].head(MAX_NAMED_KEYS).to_arrow())
                raise duplicate_error("the key is already in the dataset", found, key)


def _check_new_keys_spilling(
    new: KeyBatches,
    state: TableState,
    read_keys: Callable[[DataFile], Iterator[pa.Table]],
    key: Sequence[str],
    settings: TableSettings,
) -> None:
    import tempfile

    import duckdb

    with tempfile.TemporaryDirectory(prefix="lakecore-keys-", dir=settings.temp_dir) as folder:
        database = duckdb.connect(
            config={
                "memory_limit": f"{settings.duckdb_memory_bytes}B",
                "temp_directory": folder,
                "threads": "2",
                "preserve_insertion_order": "false",
            }
        )
        try:
            # Its bar would go to stdout, which belongs to results.
            database.execute("set enable_progress_bar = false")
            _query_duplicates(database, new, state, read_keys, key)
        finally:
            database.close()


def _query_duplicates(
    database: Any,
    new: KeyBatches,
    state: TableState,
    read_keys: Callable[[DataFile], Iterator[pa.Table]],
    key: Sequence[str],
) -> None:
    names = ", ".join(key_names(key))
    first = next(new(), None)
    if first is None:
        return
    schema = pa.schema([first.schema.field(name) for name in key]).remove_metadata()
    database.register("added", _reader(new(), key, schema))
    double = database.sql(
        f"SELECT {names} FROM added GROUP BY ALL HAVING count(*) > 1 LIMIT {MAX_NAMED_KEYS}"
    ).to_arrow_table()
    if double.num_rows:
        message = "the same key occurs more than once in the input"
        raise duplicate_error(message, double.rename_columns(list(key)), key)
    files = _overlapping(database, new, state, key, schema)
    if not files:
        return
    database.unregister("added")
    database.register("added", _reader(new(), key, schema))
    present = (table for file in files for table in read_keys(file))
    database.register("present", _reader(present, key, schema))
    both = database.sql(
        f"SELECT {names} FROM present SEMI JOIN added USING ({names}) LIMIT {MAX_NAMED_KEYS}"
    ).to_arrow_table()
    if both.num_rows:
        raise duplicate_error(
            "the key is already in the dataset", both.rename_columns(list(key)), key
        )


def _overlapping(
    database: Any, new: KeyBatches, state: TableState, key: Sequence[str], schema: pa.Schema
) -> list[DataFile]:
    """Files that overlap the range of all new keys: exact enough, and one row to hold."""
    import polars as pl

    if not state.files:
        return []
    names = key_names(key)
    ends = ", ".join(f"{side}({name})" for side in ("min", "max") for name in names)
    database.unregister("added")
    database.register("added", _reader(new(), key, schema))
    found = database.sql(f"SELECT {ends} FROM added").to_arrow_table()
    width = len(names)
    columns = {
        name: pl.concat(
            [
                pl.Series(found.column(i).cast(schema.types[i])),
                pl.Series(found.column(i + width).cast(schema.types[i])),
            ]
        )
        for i, name in enumerate(names)
    }
    possible = []
    for position, file in enumerate(state.files):
        if all(
            _in_range(state, column, position, columns[name])
            for name, column in zip(names, key, strict=True)
        ):
            possible.append(file)
    return possible


def _in_range(state: TableState, column: str, position: int, ends: pl.Series) -> bool:
    bounds = state.bounds(column)
    if bounds is None:
        return True
    low, high = (side[position].as_py() for side in bounds)
    return low is None or high is None or (low <= ends[1] and high >= ends[0])


def _reader(
    tables: Iterable[pa.Table], key: Sequence[str], schema: pa.Schema
) -> pa.RecordBatchReader:
    named = pa.schema([pa.field(f"k{i}", field.type) for i, field in enumerate(schema)])
    batches = (
        batch
        for table in tables
        for batch in table.select(list(key)).rename_columns(named.names).cast(named).to_batches()
    )
    return pa.RecordBatchReader.from_batches(named, batches)
