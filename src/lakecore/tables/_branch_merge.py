"""What a branch changed, made in its table: one mutation, computed against the newest version.

    base --> branch   ours     \\
                                three ways --> files rewritten, rows added
    base --> table    theirs   /

A lost race plans again, against what the table is then. A mutation that the table already
has, by its id, is not made again: merging after a crash goes on where it was.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import numpy as np
import pyarrow as pa

from lakecore.base import Bug, Conflict, InvalidInput, NotFound
from lakecore.tables._attempt import Attempt
from lakecore.tables._branch_rows import UnkeyedMerge, add_rows
from lakecore.tables._clone import check_references
from lakecore.tables._difference import RowChanges, Side, differing, row_changes
from lakecore.tables._keys import candidate_files, key_frame
from lakecore.tables._logged import check_key_then, read_commit
from lakecore.tables._merge import match_keys
from lakecore.tables._operations import journal_batch
from lakecore.tables._rewrite import NO_ROWS, Rewriter, Touch, journal_inserts
from lakecore.tables._schema import cast_table, delta_type_text
from lakecore.tables._state import TableState
from lakecore.tables._three_way import Merged, Resolutions, RowSet, three_way

if TYPE_CHECKING:
    from lakecore.tables._types import DatasetRef, TableSettings


class BranchMerge:
    """Rows and added columns of a branch, onto the table that it was made of.

    Args:
        branch: where it lies. `start` is its first version, or, if the table was empty
            then, an empty one; `end` the version that is merged.
        base: what the table was when the branch was made; empty if it was.

    `already` is the version that has this mutation, if the last plan found one.
    """

    name = "MERGE"
    removes = True

    def __init__(
        self,
        branch: DatasetRef,
        start: TableState,
        end: TableState,
        base: TableState,
        resolutions: Resolutions,
    ) -> None:
        self._branch = branch
        self._start = start
        self._end = end
        self._base = base
        self._resolutions = resolutions
        self._looked_at = base.version
        self.already: int | None = None

    def parameters(self) -> dict[str, str]:
        return {"branch": self._branch.dataset_id, "branchVersion": str(self._end.version)}

    def discard(self) -> None:
        """Attempts own everything."""

    def plan(self, attempt: Attempt) -> None:
        if self._is_made(attempt):
            return
        # Anew in every attempt: others may have changed the table meanwhile.
        resolutions = replace(self._resolutions, count=0, first=[])
        for state in (self._start, self._end, self._base, attempt.base):
            if not state.empty:
                check_key_then(state, attempt.dataset)
        location = self._branch.location
        paths = {file.path for state in (self._start, self._end) for file in state.files}
        check_references(attempt.store, location, paths)
        sides = differing(_side(self._start, self._end), _side(self._end, self._end))
        ours = row_changes(attempt.store, location, attempt.dataset.key, sides, attempt.settings)
        before = attempt.schema
        lost = _merge_schemas(attempt, self._start, self._end)
        if not attempt.dataset.key:
            UnkeyedMerge(attempt, resolutions).run(ours, self._theirs(attempt), lost)
            return
        merged = self._three_way(attempt, ours, before, lost, resolutions)
        resolutions.check(attempt.dataset.name)
        self._apply(attempt, merged)
        if attempt.changes_something:
            journal_batch(attempt, "merge", None, attempt.inserted + attempt.updated)

    def _is_made(self, attempt: Attempt) -> bool:
        """Whether a version since the base has this mutation. Older ones cannot."""
        wanted = attempt.owners[0].mutation_id
        for version in range(attempt.base.version, self._looked_at, -1):
            try:
                record = read_commit(attempt.store, attempt.dataset.location, version).record
            except NotFound:
                break
            if record and any(one.mutation_id == wanted for one in record.mutations):
                self.already = version
                return True
        self._looked_at = attempt.base.version
        return False

    def _theirs(self, attempt: Attempt) -> Iterator[RowChanges]:
        base, now = self._base, attempt.base
        sides = differing(_side(base, now), _side(now, now))
        return row_changes(
            attempt.store, attempt.dataset.location, attempt.dataset.key, sides, attempt.settings
        )

    def _three_way(
        self,
        attempt: Attempt,
        changes: Iterator[RowChanges],
        before: pa.Schema,
        lost: frozenset[str],
        resolutions: Resolutions,
    ) -> Merged:
        schema, key = attempt.schema, attempt.dataset.key
        ours = _gathered(changes, schema, self._end.schema, attempt.settings)
        _check_lost(ours, lost, attempt.dataset.name)
        mine = [key_frame(part, key) for part in (ours.deleted, ours.inserted, ours.after)]
        theirs = _gathered(
            (_among(part, mine, key) for part in self._theirs(attempt)),
            schema,
            attempt.base.schema,
            attempt.settings,
        )
        has = set(before.names)
        new = frozenset() if attempt.base.empty else frozenset(set(schema.names) - has)
        for part in (ours, theirs):
            for name in ("deleted", "inserted", "before", "after"):
                setattr(part, name, cast_table(getattr(part, name), schema))
        return three_way(ours, theirs, key, new, resolutions)

    def _apply(self, attempt: Attempt, merged: Merged) -> None:
        key = attempt.dataset.key
        keys = key_frame(
            pa.concat_tables([merged.updated.select(list(key)), merged.deleted.select(list(key))]),
            key,
        )
        found = np.zeros(keys.height, dtype=np.bool_)
        with Rewriter(attempt) as rewriter:
            for file in candidate_files(attempt.base, key, keys) if keys.height else ():
                positions, sources = match_keys(attempt, file, keys)
                found[sources] = True
                if len(positions):
                    rewriter.rewrite(file, _Hit(merged, key, positions, sources).touch)
        if not found.all():
            raise Bug(
                "rows that the merge has to change are not in the table",
                where=attempt.dataset.name,
                found=int((~found).sum()),
            )
        add_rows(attempt, merged.inserted, lambda rows: journal_inserts(attempt, rows))


class _Hit:
    """Where rows of a merge are in one file: `positions`, ascending; `sources`: which of them."""

    def __init__(self, merged: Merged, key: Sequence[str], positions: Any, sources: Any) -> None:
        self._merged = merged
        self._key = key
        self._positions = positions
        self._sources = sources

    def touch(self, chunk: pa.Table, start: int) -> Touch:
        first, last = np.searchsorted(self._positions, (start, start + chunk.num_rows))
        positions, sources = self._positions[first:last] - start, self._sources[first:last]
        is_update = sources < self._merged.updated.num_rows
        removed = positions[~is_update] if len(positions) else NO_ROWS
        positions, sources = positions[is_update], sources[is_update]
        if not len(positions):
            return Touch(NO_ROWS, None, removed)
        index = pa.array(positions)
        columns = {}
        for name, mask in self._merged.masks.items():
            wanted = mask[sources]
            if wanted.any():
                new = self._merged.updated.column(name).take(pa.array(sources))
                columns[name] = _mixed(chunk.column(name).take(index), new, wanted)
        fields = [item for item in chunk.schema if item.name in columns]
        values = pa.table([columns[item.name] for item in fields], schema=pa.schema(fields))
        return Touch(positions, values, removed)


def _mixed(present: pa.ChunkedArray, other: pa.ChunkedArray, mask: Any) -> pa.ChunkedArray:
    """`present`, but `other` where `mask` says so; of any type."""
    if mask.all():
        return other
    index = np.arange(len(mask))
    index[mask] += len(mask)
    return pa.chunked_array([*present.chunks, *other.chunks], type=present.type).take(
        pa.array(index)
    )


def _side(state: TableState, otherwise: TableState) -> Side:
    """A state's files; one without data has the other's columns."""
    return Side(otherwise.schema if state.empty else state.schema, state.files)


def _gathered(
    changes: Iterator[RowChanges], schema: pa.Schema, seen: pa.Schema, settings: TableSettings
) -> RowSet:
    """All of one side in memory, with the columns that it has. Raises `InvalidInput`."""
    parts: dict[str, list[pa.Table]] = {"deleted": [], "inserted": [], "before": [], "after": []}
    empty = (seen if len(seen) else schema).empty_table()
    size_bytes = 0
    for found in changes:
        for name, held in parts.items():
            held.append(getattr(found, name))
            size_bytes += held[-1].nbytes
        if size_bytes > settings.input_bytes:
            raise InvalidInput(
                "too many changed rows for one merge",
                expected=f"at most {settings.input_bytes >> 20} MiB in memory",
                hint="make the larger changes in the dataset itself",
            )
    return RowSet(
        **{
            name: pa.concat_tables(held, promote_options="default") if held else empty
            for name, held in parts.items()
        }
    )


def _among(found: RowChanges, wanted: Sequence[Any], key: Sequence[str]) -> RowChanges:
    """Only rows that the other side touched, too."""
    import polars as pl

    keys = pl.concat([frame.drop("row") for frame in wanted], how="vertical_relaxed").unique()

    def kept(rows: pa.Table, by: pa.Table) -> pa.Table:
        if not rows.num_rows:
            return rows
        both = key_frame(by, key).join(keys, on=keys.columns, how="semi", nulls_equal=True)
        return rows.take(both["row"].sort().to_arrow())

    return RowChanges(
        kept(found.deleted, found.deleted),
        kept(found.inserted, found.inserted),
        kept(found.before, found.after),
        kept(found.after, found.after),
    )


def _merge_schemas(attempt: Attempt, start: TableState, end: TableState) -> frozenset[str]:
    """Give the table the columns that the branch added; those that the table has no more.

    Raises:
        Conflict: a column is of two types; the branch renamed, dropped or changed one.
    """
    if attempt.base.empty:
        attempt.evolve(end.schema, freeze=False)
        return frozenset()
    now = attempt.base.schema
    for item in start.schema if not start.empty else ():
        index, there = end.schema.get_field_index(item.name), now.get_field_index(item.name)
        if index < 0 and there >= 0:
            raise _schema_conflict(attempt, item.name, "was dropped or renamed here")
        kind = end.schema.field(index).type if index >= 0 else item.type
        same = kind == item.type or (there >= 0 and now.field(there).type == kind)
        if not same:
            raise _schema_conflict(attempt, item.name, "has another type here")
        if item.name in attempt.dataset.key and now.field(there).type != kind:
            raise _schema_conflict(attempt, item.name, "of the key has another type there")
    lost = set()
    new = []
    for item in end.schema:
        there = now.get_field_index(item.name)
        was_there = not start.empty and start.schema.get_field_index(item.name) >= 0
        if there < 0:
            if was_there:
                lost.add(item.name)
            else:
                new.append(item)
        elif not was_there and delta_type_text(now.field(there)) != delta_type_text(item):
            raise _schema_conflict(attempt, item.name, "was added by both, with two types")
    if new:
        attempt.evolve(pa.schema(new), freeze=False)
    return frozenset(lost)


def _schema_conflict(attempt: Attempt, name: str, what: str) -> Conflict:
    return Conflict(
        f"a column {what}",
        where=f"{attempt.dataset.name}, column {name!r}",
        hint="only added columns are merged: alter the dataset itself the same way first",
    )


def _check_lost(ours: RowSet, lost: frozenset[str], dataset: str) -> None:
    """Columns that the table dropped may be lost only where the branch left them alone."""
    from lakecore.journal import changed

    for name in sorted(lost):
        is_set = ours.inserted.column(name).null_count < ours.inserted.num_rows
        old, new = ours.before.column(name), ours.after.column(name)
        if is_set or np.asarray(changed(old, new), dtype=np.bool_).any():
            raise Conflict(
                "a column that was changed here is gone there",
                where=f"{dataset}, column {name!r}",
                hint="add it to the dataset again, or leave it alone in the workspace",
            )
