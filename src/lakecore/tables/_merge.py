"""Upsert and keyed replace: rows matched by key, file by file.

The input is held in memory, the table is not: files are pruned by statistics, of the rest
the key columns are read and joined, and only files that are hit are read whole.
"""

from __future__ import annotations

from collections.abc import Sequence
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
from lakecore.tables._rewrite import NO_ROWS, Reach, Rewriter, Touch, journal_inserts
from lakecore.tables._schema import cast_table
from lakecore.tables._state import DataFile, TableState
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
        self.input = whole_input(batches, settings)
        self.is_replace = replace
        self._settings = settings
        self._freeze = freeze
        self._owners: Any = None
        self._keys: pl.DataFrame | None = None

    @classmethod
    def of_several(cls, parts: Sequence[Merge]) -> Merge:
        """Upserts of several mutations as one: see `_group`. Their columns are the same."""
        rows = pa.concat_tables([part.input for part in parts])
        one = cls(rows.to_reader(), parts[0]._settings, freeze=True)
        one._owners = np.repeat(np.arange(len(parts)), [part.input.num_rows for part in parts])
        return one

    def parameters(self) -> dict[str, str]:
        return {"mode": "Overwrite" if self.is_replace else "Merge"}

    def discard(self) -> None:
        """Attempts own everything."""

    def plan(self, attempt: Attempt) -> None:
        key = attempt.dataset.key
        schema = attempt.evolve(self.input.schema, freeze=self._freeze)
        rows, keys = self._checked(schema, key)
        self._keys = keys
        found = self._change_present(attempt, rows, keys)
        new = None if self._owners is None else self._owners[~found]
        self._insert(attempt, rows if not found.any() else rows.filter(pa.array(~found)), new)
        if attempt.changes_something:
            journal_batch(attempt, "merge", None, attempt.inserted + attempt.updated)

    def check(self, schema: pa.Schema, key: Sequence[str]) -> None:
        """Raise what is wrong with the input by itself, in a table of that schema."""
        self._checked(schema, key)

    def unaffected(self, attempt: Attempt, added: TableState) -> bool:
        """Whether the plan would be the same with these files more: they have no key of ours."""
        if self._keys is None or self.is_replace:
            return False
        files = candidate_files(added, attempt.dataset.key, self._keys)
        return not any(len(match_keys(attempt, file, self._keys)[0]) for file in files)

    def _checked(self, schema: pa.Schema, key: Sequence[str]) -> tuple[pa.Table, pl.DataFrame]:
        check_key_columns(self.input.schema, key)
        rows = cast_table(self.input, schema).combine_chunks()
        check_keys(rows, key)
        keys = key_frame(rows, key)
        refuse_duplicates(keys, rows, key)
        return rows, keys

    def _change_present(self, attempt: Attempt, rows: pa.Table, keys: pl.DataFrame) -> Any:
        """Rewrite what is there; which input rows were."""
        key = attempt.dataset.key
        found = np.zeros(rows.num_rows, dtype=np.bool_)
        given = rows.schema.names if self.is_replace else self.input.schema.names
        values = rows.select([name for name in rows.schema.names if name in set(given) - set(key)])
        files = attempt.base.files
        if not self.is_replace:
            files = candidate_files(attempt.base, key, keys)
        with Rewriter(attempt) as rewriter:
            for file in files:
                positions, sources = match_keys(attempt, file, keys)
                found[sources] = True
                if len(positions) or self.is_replace:
                    owners = None if self._owners is None else self._owners[sources]
                    hit = _Hit(values, positions, sources, owners, remove_others=self.is_replace)
                    reach = None if self.is_replace else Reach(hit.any, values.schema.names)
                    rewriter.rewrite(file, hit.touch, reach)
        return found

    def _insert(self, attempt: Attempt, rows: pa.Table, owners: Any) -> None:
        attempt.inserted = rows.num_rows
        if not rows.num_rows:
            return
        if owners is not None:
            attempt.shares.count("inserted", owners)
        start = 0
        writer = attempt.rolling_writer()
        try:
            reader = pa.RecordBatchReader.from_batches(rows.schema, rows.to_batches())
            for part in tables_of(reader, self._settings):
                end = start + part.num_rows
                of_each = None if owners is None else owners[start:end]
                journal_inserts(attempt, part, owners=of_each)
                start = end
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
        self, values: pa.Table, positions: Any, sources: Any, owners: Any, *, remove_others: bool
    ) -> None:
        self._values = values
        self._positions = positions
        self._sources = sources
        self._owners = owners
        self._remove_others = remove_others

    def any(self, start: int, end: int) -> bool:
        """Whether some of it is in these rows."""
        first, last = np.searchsorted(self._positions, (start, end))
        return bool(last > first)

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
        owners = None if self._owners is None else self._owners[first:last]
        return Touch(positions, values, removed, owners)


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
