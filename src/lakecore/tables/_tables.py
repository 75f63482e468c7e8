"""The face of the package: datasets read at a version, and changed."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from datetime import datetime
from typing import TYPE_CHECKING, Final

from lakecore.base import Clock, InvalidInput, SystemClock
from lakecore.tables._branches import BranchTables
from lakecore.tables._gate import DiffSink, Gate
from lakecore.tables._time import TimeTables
from lakecore.tables._types import (
    DatasetRef,
    IngestNote,
    MutationResult,
    Once,
    SchemaChange,
    StagingJournal,
    TableSettings,
)

RESERVED_CONTEXT: Final = frozenset({"commit", "decision"})
"""Members of a context that say what was committed and decided: not the author's to say."""

if TYPE_CHECKING:
    import pyarrow as pa

    from lakecore.journal import Author
    from lakecore.storage import Store
    from lakecore.tables._operations import Operation
    from lakecore.tables._state import TableView


class Tables(TimeTables, BranchTables):
    """The Delta tables of one lake. Threads and processes may change them at the same time.

    Every change is one mutation: it is journaled, committed as the table's next version, and
    durable when the call returns. Nothing is visible before it is committed, and a call that
    raises has changed nothing (`Unavailable` with a hint is the one case that cannot know).

    Arguments that all changes share:
        author: who changes, and why.
        mutation_id: names the mutation; a new UUIDv7 when None.
        schema_change: ``evolve`` adds columns that the input has and the dataset lacks,
            ``freeze`` refuses them; None does what the dataset's contract says.
        ingest: the file that the rows came from.
        dry_run: plan only; nothing is written, the result has counts and a sample.
        before_commit: called once, when everything is staged, just before the commit; if it
            raises, nothing is changed.
        grant: handed to the gate as it is.
        diff: gets the exact change, also of a dry run and of one that is held.

    Errors that all changes share:
        InvalidInput: names column, row, expected and found.
        Refused: the gate says no, with its reasons.
        Conflict: others committed first, more often than the bound on retries.
        UnsupportedFormat: the table has features that Lakecore does not write.
        Unavailable, OutOfSpace, ReadOnly: the store.
    """

    def __init__(
        self,
        store: Store,
        journal: StagingJournal,
        clock: Clock | None = None,
        settings: TableSettings | None = None,
        gate: Gate | None = None,
    ) -> None:
        # Arrow and deltalake take a while to import: not before a table is used.
        from lakecore.tables._commit import Committer
        from lakecore.tables._state import TableStates

        self._store = store
        self._clock = clock or SystemClock()
        self._settings = settings or TableSettings()
        self._states = TableStates(store)
        self._committer = Committer(store, journal, self._clock, self._settings, self._states, gate)

    # -- reading --------------------------------------------------------------------------

    def open(
        self, dataset: DatasetRef, *, version: int | None = None, time: datetime | None = None
    ) -> TableView | None:
        """The dataset as of a version or a time (aware), the newest when neither is given.

        None when it has no data yet. Raises `NotFound` when there is no such version.
        """
        return self._states.view(dataset, version=version, time=time)

    def ingested_version(self, dataset: DatasetRef, sha256: str) -> int | None:
        """The version that a file with this hash was committed as, None when it never was."""
        view = self.open(dataset)
        if view is None:
            return None
        return view.delta.transaction_version(f"lakecore-ingest:{sha256}")

    def number_of(self, dataset: DatasetRef, name: str) -> int:
        """The number that the newest commit with a `Once` of this name left; 0: there is none."""
        return self._states.number_of(dataset, name)

    def commit_time_us(self, dataset: DatasetRef, version: int) -> int:
        """When a version was committed, in microseconds; 0 when its log entry is gone."""
        return self._states.commit_time_us(dataset.location, version)

    # -- changing -------------------------------------------------------------------------

    def append(
        self,
        dataset: DatasetRef,
        batches: pa.RecordBatchReader | pa.Table,
        *,
        author: Author,
        mutation_id: str | None = None,
        action: str = "insert",
        schema_change: SchemaChange | None = None,
        ingest: IngestNote | None = None,
        once: Once | None = None,
        dry_run: bool = False,
        before_commit: Callable[[], None] | None = None,
        grant: object | None = None,
        diff: DiffSink | None = None,
    ) -> MutationResult:
        """Add rows, streaming. A key that is there already, or comes twice, is refused.

        With `once`, raises `Conflict` when the table's number of that name is another one.
        """
        from lakecore.tables._append import Append

        if ingest is not None and once is not None:
            raise InvalidInput("a file and a number", expected="one of them", where=dataset.name)
        operation = Append(
            _reader(batches),
            self._settings,
            freeze=_freezes(dataset, schema_change),
            action=action,
        )
        return self._run(
            operation,
            dataset,
            author,
            op="ingest" if ingest else "insert",
            mutation_id=mutation_id,
            dry_run=dry_run,
            note=ingest,
            once=once,
            before_commit=before_commit,
            grant=grant,
            diff=diff,
        )

    insert = append

    def upsert(
        self,
        dataset: DatasetRef,
        batches: pa.RecordBatchReader | pa.Table,
        *,
        author: Author,
        mutation_id: str | None = None,
        schema_change: SchemaChange | None = None,
        ingest: IngestNote | None = None,
        dry_run: bool = False,
        before_commit: Callable[[], None] | None = None,
        grant: object | None = None,
        diff: DiffSink | None = None,
    ) -> MutationResult:
        """Change the rows whose key is there, insert the others.

        Columns that the input lacks keep their value; rows that are already so are left
        alone. The input is held in memory, at most `TableSettings.input_bytes`.
        """
        from lakecore.tables._merge import Merge

        if not dataset.key:
            raise InvalidInput(
                "upsert needs a key",
                where=dataset.name,
                hint="this dataset has none: append to it or replace it",
            )
        operation = Merge(_reader(batches), self._settings, freeze=_freezes(dataset, schema_change))
        return self._run(
            operation,
            dataset,
            author,
            op="ingest" if ingest else "upsert",
            mutation_id=mutation_id,
            dry_run=dry_run,
            note=ingest,
            before_commit=before_commit,
            grant=grant,
            diff=diff,
        )

    def replace(
        self,
        dataset: DatasetRef,
        batches: pa.RecordBatchReader | pa.Table,
        *,
        author: Author,
        mutation_id: str | None = None,
        schema_change: SchemaChange | None = None,
        ingest: IngestNote | None = None,
        dry_run: bool = False,
        before_commit: Callable[[], None] | None = None,
        grant: object | None = None,
        diff: DiffSink | None = None,
    ) -> MutationResult:
        """Make the input the whole content: keyed as inserts, updates and deletes.

        Columns that the input lacks become null. A keyed dataset's input is held in memory,
        at most `TableSettings.input_bytes`; an unkeyed one's is streamed.
        """
        from lakecore.tables._append import Append
        from lakecore.tables._merge import Merge

        kind = Merge if dataset.key else Append
        operation = kind(
            _reader(batches),
            self._settings,
            freeze=_freezes(dataset, schema_change),
            replace=True,
        )
        return self._run(
            operation,
            dataset,
            author,
            op="replace",
            mutation_id=mutation_id,
            dry_run=dry_run,
            note=ingest,
            before_commit=before_commit,
            grant=grant,
            diff=diff,
        )

    def update(
        self,
        dataset: DatasetRef,
        *,
        where: str | None = None,
        keys: object | None = None,
        set: Mapping[str, object],  # noqa: A002 - what SQL calls it
        author: Author,
        all_rows: bool = False,
        mutation_id: str | None = None,
        dry_run: bool = False,
        before_commit: Callable[[], None] | None = None,
        grant: object | None = None,
        diff: DiffSink | None = None,
    ) -> MutationResult:
        """Set columns of the rows that meet an SQL condition over the dataset's columns.

        Values are literal; `Sql` marks an expression over the row as it was. Every row must
        be asked for: `all_rows`. A changed key is a delete and an insert in one mutation.

        Args:
            keys: only rows with one of these keys: one key, a sequence, or a table of the
                key columns. A key is a value, or a sequence of values or mapping of several.
                The result counts those that no row has as `missing`.
        """
        from lakecore.tables._modify import Modify

        self._check_scope(dataset, where, keys, all_rows)
        operation = Modify(where, dict(set), keys)
        return self._run(
            operation,
            dataset,
            author,
            op="update",
            mutation_id=mutation_id,
            dry_run=dry_run,
            before_commit=before_commit,
            grant=grant,
            diff=diff,
        )

    def delete(
        self,
        dataset: DatasetRef,
        *,
        where: str | None = None,
        keys: object | None = None,
        author: Author,
        all_rows: bool = False,
        mutation_id: str | None = None,
        dry_run: bool = False,
        before_commit: Callable[[], None] | None = None,
        grant: object | None = None,
        diff: DiffSink | None = None,
    ) -> MutationResult:
        """Delete the rows that meet an SQL condition; all of them only with `all_rows`.

        `keys` as for `update`.
        """
        from lakecore.tables._modify import Modify

        self._check_scope(dataset, where, keys, all_rows)
        operation = Modify(where, None, keys)
        return self._run(
            operation,
            dataset,
            author,
            op="delete",
            mutation_id=mutation_id,
            dry_run=dry_run,
            before_commit=before_commit,
            grant=grant,
            diff=diff,
        )

    def _check_scope(
        self, dataset: DatasetRef, where: str | None, keys: object | None, all_rows: bool
    ) -> None:
        is_narrowed = where is not None or keys is not None
        if not is_narrowed and not all_rows:
            raise InvalidInput(
                "no condition: this would change every row",
                where=dataset.name,
                hint="give a condition, or ask for every row (--all, all_rows=True)",
            )
        if is_narrowed and all_rows:
            raise InvalidInput("a condition and every row", expected="one of them")
        if self._states.current(dataset) is None:
            raise InvalidInput(
                "the dataset has no data yet", where=dataset.name, hint="add rows first"
            )

    def _run(
        self,
        operation: Operation,
        dataset: DatasetRef,
        author: Author,
        *,
        op: str,
        mutation_id: str | None,
        dry_run: bool,
        note: IngestNote | None = None,
        once: Once | None = None,
        before_commit: Callable[[], None] | None,
        grant: object | None,
        diff: DiffSink | None,
    ) -> MutationResult:
        from lakecore.tables._commit import Request, new_mutation_id

        reserved = sorted(RESERVED_CONTEXT & author.context.keys())
        if reserved:
            raise InvalidInput(
                "the author's context has a member that only a commit may have",
                found=", ".join(reserved),
            )
        request = Request(
            dataset=dataset,
            author=author,
            op=op,
            mutation_id=new_mutation_id(self._clock, mutation_id),
            note=note,
            once=once,
            dry_run=dry_run,
            before_commit=before_commit,
            grant=grant,
            diff=diff,
        )
        return self._committer.run(operation, request)


def _reader(batches: pa.RecordBatchReader | pa.Table) -> pa.RecordBatchReader:
    import pyarrow as pa

    if isinstance(batches, pa.RecordBatchReader):
        return batches
    if isinstance(batches, pa.Table):
        return batches.to_reader()
    if isinstance(batches, pa.RecordBatch):
        return pa.RecordBatchReader.from_batches(batches.schema, [batches])
    return pa.RecordBatchReader.from_stream(batches)


def _freezes(dataset: DatasetRef, schema_change: SchemaChange | None) -> bool:
    if schema_change is None:
        return dataset.contract != "evolve"
    return schema_change == "freeze"
