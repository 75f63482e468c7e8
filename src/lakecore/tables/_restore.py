"""A table made what it was, by files: of an earlier version, or before one commit.

Files are taken back into the table as they lie; nothing is written but the log. What the
journal has to say is read from the files that differ: exactly the rows and fields that do.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import replace
from typing import Any

import numpy as np
import pyarrow as pa

from lakecore.base import Conflict, InvalidInput, NotFound
from lakecore.tables._attempt import Attempt, parts_of
from lakecore.tables._delta_log import AddFile
from lakecore.tables._difference import (
    RowChanges,
    Side,
    changed_cells,
    differing,
    row_changes,
    side_column,
)
from lakecore.tables._logged import LoggedCommit, added_again, check_key_then, missing_files
from lakecore.tables._new_keys import check_new_keys
from lakecore.tables._operations import journal_batch
from lakecore.tables._row_events import row_builders, schema_events
from lakecore.tables._row_hashes import RowHashes
from lakecore.tables._schema import cast_table
from lakecore.tables._state import DataFile, TableState, not_kept
from lakecore.tables._supported import check_writable

_MAX_NAMED_FILES = 3


class Restore:
    """The table becomes what it was at `target`: rows, columns and files."""

    name = "RESTORE"
    removes = True

    def __init__(self, target: TableState) -> None:
        self._target = target

    def parameters(self) -> dict[str, str]:
        return {"version": str(self._target.version)}

    def discard(self) -> None:
        """Attempts own everything; the files that come back were there before."""

    def plan(self, attempt: Attempt) -> None:
        target, dataset = self._target, attempt.dataset
        check_writable(target, dataset, removes=True)
        check_key_then(target, dataset)
        sides = differing(
            Side(attempt.base.schema, attempt.base.files), Side(target.schema, target.files)
        )
        check_kept(attempt, target.version)
        check_stored(attempt, sides[1].files, f"version {target.version}")
        first, last = schema_events(dataset, attempt.base.schema, target.schema)
        attempt.schema = target.schema
        attempt.schema_changed = bool(first or last)
        for change in first:
            attempt.emit(change)
        take_files(attempt, sides, "restore", again=_adds(attempt, sides[1].files, target))
        for change in last:
            attempt.emit(change)


class RevertFiles:
    """The files that one commit added go, and those that it removed come back.

    Only as long as the table still has every file of that commit: else rows that were
    changed since would be taken along.
    """

    name = "REVERT"
    removes = True

    def __init__(self, commit: LoggedCommit, version: int, mutation_id: str) -> None:
        self._commit = commit
        self._version = version
        self._mutation_id = mutation_id

    def parameters(self) -> dict[str, str]:
        return {"mutation": self._mutation_id, "version": str(self._version)}

    def discard(self) -> None:
        """As for a restore."""

    def plan(self, attempt: Attempt) -> None:
        base, commit = attempt.base, self._commit
        present = {file.path: file for file in base.files}
        gone = [added.path for added in commit.adds if added.path not in present]
        if gone:
            raise Conflict(
                "rows of this mutation were changed or moved to other files since",
                where=f"{attempt.dataset.name}, version {self._version}",
                found=f"{len(gone)} of its {len(commit.adds)} files are not in the table now",
                hint="revert later mutations first, or restore the version before it",
            )
        back = [removed.path for removed in commit.removes if removed.path in present]
        if back:
            # A file cannot be in a table twice: its rows would be told and not be there.
            raise Conflict(
                "rows that this mutation took away are back already",
                where=f"{attempt.dataset.name}, version {self._version}",
                found=f"{len(back)} of the {len(commit.removes)} files that it removed are there",
                hint="revert the change that brought them back first",
            )
        if commit.removes:
            check_kept(attempt, self._version - 1)
        check_stored(attempt, commit.removes, f"version {self._version - 1}")
        mine = Side(base.schema, [present[added.path] for added in commit.adds])
        sides = mine, Side(base.schema, commit.removes)
        again = added_again(
            attempt.store,
            attempt.dataset.location,
            commit.removes,
            version=self._version - 1,
            schema=base.schema,
        )
        keys = take_files(attempt, sides, "revert", again=again)
        if keys:
            _check_free(attempt, keys, {file.path for file in mine.files})


def _adds(attempt: Attempt, files: Sequence[DataFile], target: TableState) -> list[AddFile]:
    return added_again(
        attempt.store,
        attempt.dataset.location,
        files,
        version=target.version,
        schema=target.schema,
    )


def check_kept(attempt: Attempt, version: int) -> None:
    """Refuse to go back behind what is kept. Raises `NotFound`.

    Files may be there still, while they are being removed: the version that says what is
    kept was committed first, so whoever plans on it does not take them back.
    """
    if version < attempt.base.kept_from:
        raise not_kept(attempt.dataset, version, attempt.base)


def check_stored(attempt: Attempt, files: Sequence[DataFile], which: str) -> None:
    """Refuse to go back to files that are gone. Raises `NotFound`."""
    gone = missing_files(attempt.store, attempt.dataset.location, files)
    if gone:
        raise NotFound(
            f"files of {which} were removed for good",
            where=attempt.dataset.name,
            found=f"{len(gone)} of {len(files)} files, such as {gone[:_MAX_NAMED_FILES]}",
            hint="choose a later version, or bring the files back from a backup",
        )


def take_files(
    attempt: Attempt, sides: tuple[Side, Side], action: str, *, again: Sequence[AddFile]
) -> list[pa.Table]:
    """Replace the files of one side by the other's, and journal what differs.

    The keys of rows that come back are returned.
    """
    dataset = attempt.dataset
    hashes = None if dataset.key else RowHashes()
    found = row_changes(attempt.store, dataset.location, dataset.key, sides, attempt.settings)
    keys = journal_found(attempt, found, hashes)
    attempt.wait()
    if not attempt.changes_something:
        return []
    for file in sides[0].files:
        attempt.remove(file)
    attempt.adds.extend(again)
    if hashes is not None:
        journal_batch(attempt, action, hashes, hashes.added_rows + hashes.removed_rows)
    return keys


def journal_found(
    attempt: Attempt, changes: Iterable[RowChanges], hashes: RowHashes | None
) -> list[pa.Table]:
    """Count and journal rows that differ; the keys of rows that are inserted."""
    key = attempt.dataset.key
    inserted = []
    for found in changes:
        attempt.deleted += found.deleted.num_rows
        attempt.inserted += found.inserted.num_rows
        attempt.updated += found.before.num_rows
        if found.deleted.num_rows:
            attempt.judge(found.deleted, None)
        if found.inserted.num_rows:
            attempt.judge(None, found.inserted)
        _judge_updates(attempt, found)
        if hashes is None:
            for build, arguments in row_builders(found, key):
                attempt.later(build, *arguments)
            inserted.append(found.inserted.select(list(key)))
        else:
            for rows in parts_of(found.deleted):
                hashes.journal(attempt, rows, None)
            for rows in parts_of(found.inserted):
                hashes.journal(attempt, None, rows)
    return [rows for rows in inserted if rows.num_rows]


def _judge_updates(attempt: Attempt, found: RowChanges) -> None:
    count = found.before.num_rows
    if not count:
        return
    before = _as_after(found.before, found.after.schema)
    masks: dict[str, Any] = {}
    for field in found.after.schema:
        old = side_column(found.before, field)
        mask = np.asarray(changed_cells(old, found.after.column(field.name)), dtype=np.bool_)
        if mask.any():
            masks[field.name] = mask
    every = np.ones(count, dtype=np.bool_)
    positions = np.arange(count, dtype=np.intp)
    attempt.judge_updates(before, found.after, positions, every, masks)


def _as_after(rows: pa.Table, schema: pa.Schema) -> pa.Table:
    """Rows as they were, with the columns and types that they get."""
    try:
        return cast_table(rows, schema)
    except InvalidInput:
        # A type that cannot hold the old values: the judge sees those columns as they were.
        return rows.select([name for name in schema.names if name in rows.schema.names])


def _check_free(attempt: Attempt, keys: list[pa.Table], leaving: set[str]) -> None:
    """No row that comes back has the key of one that is there now. Raises `InvalidInput`."""
    base = attempt.base
    stays = pa.array([file.path not in leaving for file in base.files], pa.bool_())
    check_new_keys(
        new=lambda: iter(keys),
        new_rows=sum(rows.num_rows for rows in keys),
        state=replace(base, actions=base.actions.filter(stays)),
        read_keys=attempt.read_keys,
        key=attempt.dataset.key,
        settings=attempt.settings,
    )
