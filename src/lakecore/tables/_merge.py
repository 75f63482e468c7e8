"""Upsert and keyed replace: rows matched by key, file by file.

The input is held in memory, the table is not: files are pruned by statistics, of the rest
the key columns are read and joined, and only files that are hit are read whole.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import pyarrow as pa

from lakecore.tables._attempt import Attempt
from lakecore.tables._keys import (
    candidate_files,
    check_key_columns,
    check_keys,
    key_frame,
    key_names,
    refuse_duplicates,
)
from lakecore.tables._operations import journal_batch, tables_of, whole_input
from lakecore.tables._rewrite import NO_ROWS, Rewriter, Touch, journal_inserts
from lakecore.tables._schema import cast_table
from lakecore.tables._state import DataFile
from lakecore.tables._types import TableSettings

if TYPE_CHECKING:
    import polars as pl


class Merge:
    """Rows by key: those that are there are changed, others inserted.

    Columns that the input lacks keep their value; with `replace` the input is the whole
    content: columns it lacks become null, and rows whose key it lacks are deleted.
    """

    name = "MERGE"
    removes = True

    def __init__(
        self,
        batches: pa.RecordBatchReader,
        settings: TableSettings,
        *,
        freeze: bool,
        replace: bool = False,
    ) -> None:
        self._input = whole_input(batches, settings)
        self._settings = settings
        self._freeze = freeze
        self._replace = replace

    def parameters(self) -> dict[str, str]:
        return {"mode": "Overwrite" if self._replace else "Merge"}

    def discard(self) -> None:
        """Attempts own everything."""

    def plan(self, attempt: Attempt) -> None:
        key = attempt.dataset.key
        schema = attempt.evolve(self._input.schema, freeze=self._freeze)
        check_key_columns(self._input.schema, key)
        rows = cast_table(self._input, schema).combine_chunks()
        check_keys(rows, key)
        keys = key_frame(rows, key)
        refuse_duplicates(keys, rows, key)
        found = self._change_present(attempt, rows, keys)
        self._insert(attempt, rows if not found.any() else rows.filter(pa.array(~found)))
        if attempt.changes_something:
            journal_batch(attempt, "merge", None, attempt.inserted + attempt.updated)

    def _change_present(self, attempt: Attempt, rows: pa.Table, keys: pl.DataFrame) -> Any:
        """Rewrite what is there; which input rows were."""
        key = attempt.dataset.key
        found = np.zeros(rows.num_rows, dtype=np.bool_)
        given = rows.schema.names if self._replace else self._input.schema.names
        values = rows.select([name for name in rows.schema.names if name in set(given) - set(key)])
        files = attempt.base.files
        if not self._replace:
            files = candidate_files(attempt.base, key, keys)
        with Rewriter(attempt) as rewriter:
            for file in files:
                positions, sources = match_keys(attempt, file, keys)
                found[sources] = True
                if len(positions) or self._replace:
                    hit = _Hit(values, positions, sources, remove_others=self._replace)
                    rewriter.rewrite(file, hit.touch)
        return found

    def _insert(self, attempt: Attempt, rows: pa.Table) -> None:
        attempt.inserted = rows.num_rows
        if not rows.num_rows:
            return
        writer = attempt.rolling_writer()
        try:
            reader = pa.RecordBatchReader.from_batches(rows.schema, rows.to_batches())
            for part in tables_of(reader, self._settings):
                journal_inserts(attempt, part)
                if not attempt.dry_run:
                    writer.write(part)
            files = writer.finish()
        except BaseException as error:
            writer.abort(error)
            raise
        finally:
            attempt.own_files.extend(writer.files)
        attempt.adds.extend(files)


class _Hit:
    """Where the input's rows are in one file: `positions`, ascending, and their `sources`."""

    def __init__(
        self, values: pa.Table, positions: Any, sources: Any, *, remove_others: bool
    ) -> None:
        self._values = values
        self._positions = positions
        self._sources = sources
        self._remove_others = remove_others

    def touch(self, chunk: pa.Table, start: int) -> Touch:
        """The part of it that falls into a chunk."""
        first, last = np.searchsorted(self._positions, (start, start + chunk.num_rows))
        positions = self._positions[first:last] - start
        sources = self._sources[first:last]
        removed = NO_ROWS
        if self._remove_others and len(positions) < chunk.num_rows:
            others = np.ones(chunk.num_rows, dtype=np.bool_)
            others[positions] = False
            removed = np.flatnonzero(others)
        values = self._values.take(pa.array(sources)) if len(positions) else None
        return Touch(positions, values, removed)


def match_keys(attempt: Attempt, file: DataFile, keys: pl.DataFrame) -> tuple[Any, Any]:
    """(positions in the file, ascending; rows of the input) of the keys that both have."""
    key = attempt.dataset.key
    names = key_names(key)
    positions: list[Any] = []
    sources: list[Any] = []
    start = 0
    for present in attempt.read_keys(file):
        both = key_frame(present, key).join(keys, on=names, how="inner", suffix="_in")
        both = both.sort("row")
        positions.append(both["row"].to_numpy().astype(np.intp) + start)
        sources.append(both["row_in"].to_numpy().astype(np.intp))
        start += present.num_rows
    if not positions:
        return NO_ROWS, NO_ROWS
    return np.concatenate(positions), np.concatenate(sources)
