"""The part of the face that goes back: restore, diff, revert; and columns altered."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from datetime import datetime
from typing import TYPE_CHECKING

from lakecore.base import InvalidInput, NotFound

if TYPE_CHECKING:
    import pyarrow as pa

    from lakecore.journal import Author
    from lakecore.storage import Store
    from lakecore.tables._columns import ColumnChange
    from lakecore.tables._conflicts import Later
    from lakecore.tables._gate import DiffSink
    from lakecore.tables._operations import Operation
    from lakecore.tables._state import TableState, TableStates
    from lakecore.tables._types import DatasetRef, MutationResult, TableSettings


class TimeTables:
    """What `Tables` does with earlier versions and with columns."""

    _store: Store
    _settings: TableSettings
    _states: TableStates
    _run: Callable[..., MutationResult]

    def diff(
        self,
        dataset: DatasetRef,
        old_version: int,
        new_version: int,
    ) -> Iterator[pa.Table]:
        """What turns one version into another: tables with `DIFF_COLUMNS`, all text.

        Rows come as insert or delete with field ``*``, fields as update; of an unkeyed
        dataset whole rows, one line for each. Columns that come or go have the entity type
        ``schema``. Only files that differ are read; the versions may be in either order.

        Raises:
            NotFound: there is no such version, or its files are gone.
        """
        from lakecore.tables._diff import difference

        states = [self._state_at(dataset, version) for version in (old_version, new_version)]
        return difference(self._store, dataset, states[0], states[1], self._settings)

    def restore(
        self,
        dataset: DatasetRef,
        *,
        version: int | None = None,
        time: datetime | None = None,
        author: Author,
        mutation_id: str | None = None,
        dry_run: bool = False,
        before_commit: Callable[[], None] | None = None,
        grant: object | None = None,
        diff: DiffSink | None = None,
    ) -> MutationResult:
        """Make the dataset what it was at a version or a time (aware): rows and columns.

        It becomes a new version; what was there stays in the history. The journal has
        exactly the rows and fields that differ.

        Raises:
            NotFound: there is no such version, or its files were removed for good.
        """
        from lakecore.tables._restore import Restore

        if (version is None) == (time is None):
            raise InvalidInput("restore takes a version or a time", found=(version, time))
        target = self._state_at(dataset, version, time)
        return self._run(
            Restore(target),
            dataset,
            _with_context(author, {"restores": target.version}),
            op="restore",
            mutation_id=mutation_id,
            dry_run=dry_run,
            before_commit=before_commit,
            grant=grant,
            diff=diff,
        )

    def revert(
        self,
        dataset: DatasetRef,
        reverted: str,
        *,
        version: int,
        events: Iterable[pa.Table | pa.RecordBatch],
        author: Author,
        skip_conflicts: bool = False,
        later: Later | None = None,
        mutation_id: str | None = None,
        dry_run: bool = False,
        before_commit: Callable[[], None] | None = None,
        grant: object | None = None,
        diff: DiffSink | None = None,
    ) -> MutationResult:
        """Undo the mutation `reverted`, which was committed as `version`, and nothing else.

        Rows and fields that were changed since are a conflict: nothing is done then, or with
        `skip_conflicts` the rest. Of an unkeyed dataset, and where the events are more than
        memory should hold, the commit's files are taken back, as long as all are untouched.

        Args:
            events: the mutation's, in order, with `entity_id`, field, action, `old_value`,
                `new_value`.
            later: names the mutations that conflicts are with.

        Raises:
            Conflict: names rows and fields that were changed since.
            InvalidInput: the mutation changed columns, or has no rows to undo.
        """
        from lakecore.tables._mutation_events import MutationEvents
        from lakecore.tables._revert import RevertRows

        found = MutationEvents.read(events, self._settings.input_bytes)
        if found.schema_changes:
            raise InvalidInput(
                "a change of columns is not undone by reverting it",
                found=", ".join(found.schema_changes[:10]),
                where=dataset.name,
                hint="restore the version before it, or alter the columns again",
            )
        operation: Operation
        if dataset.key and found.complete:
            if not found.rows:
                raise InvalidInput(
                    "this mutation changed no rows", found=reverted, where=dataset.name
                )
            operation = RevertRows(found, reverted, skip_conflicts=skip_conflicts, later=later)
        else:
            operation = self._revert_files(dataset, reverted, version)
        return self._run(
            operation,
            dataset,
            _with_context(author, {"reverts": reverted}),
            op="revert",
            mutation_id=mutation_id,
            dry_run=dry_run,
            before_commit=before_commit,
            grant=grant,
            diff=diff,
        )

    def alter_columns(
        self,
        dataset: DatasetRef,
        changes: Sequence[ColumnChange],
        *,
        author: Author,
        mutation_id: str | None = None,
        dry_run: bool = False,
        before_commit: Callable[[], None] | None = None,
        grant: object | None = None,
        diff: DiffSink | None = None,
    ) -> MutationResult:
        """Add, rename, drop and widen columns, in this order, as one version.

        Adding writes the log alone; all else rewrites the table's files. The journal gets an
        event for each column and none for rows. Who renames a key column renames it in the
        catalog, too (`renamed_key`).

        Raises:
            InvalidInput: no such column; a key column would be dropped; a type that is not
                wider.
        """
        from lakecore.tables._alter import AlterColumns

        if self._states.current(dataset) is None:
            raise InvalidInput(
                "the dataset has no data yet", where=dataset.name, hint="add rows first"
            )
        return self._run(
            AlterColumns(changes),
            dataset,
            author,
            op="schema",
            mutation_id=mutation_id,
            dry_run=dry_run,
            before_commit=before_commit,
            grant=grant,
            diff=diff,
        )

    def _state_at(
        self, dataset: DatasetRef, version: int | None, time: datetime | None = None
    ) -> TableState:
        view = self._states.view(dataset, version=version, time=time)
        if view is None:
            raise NotFound("the dataset has no data yet", where=dataset.name)
        return self._states.state_of(dataset, view)

    def _revert_files(self, dataset: DatasetRef, reverted: str, version: int) -> Operation:
        from lakecore.tables._logged import read_commit
        from lakecore.tables._restore import RevertFiles

        try:
            commit = read_commit(self._store, dataset.location, version)
        except NotFound as error:
            raise NotFound(
                "the log entry of this mutation is gone", where=dataset.name, found=version
            ) from error
        mutations = commit.record.mutations if commit.record is not None else ()
        if commit.record is not None and [one.mutation_id for one in mutations] != [reverted]:
            raise InvalidInput(
                "the files of this mutation hold rows of others, too",
                found=f"{len(mutations)} mutations in version {version}",
                where=dataset.name,
                hint="delete its rows by a condition, or restore the version before it",
            )
        return RevertFiles(commit, version, reverted)


def _with_context(author: Author, extra: Mapping[str, object]) -> Author:
    return replace(author, context={**author.context, **extra})
