"""One try at one mutation: what it would add and remove, and the events that say so.

An attempt is for one version, base + 1. It holds nothing of the table but names: rows
stream through it into data files and into the staged file. `discard` leaves nothing.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import replace
from typing import TYPE_CHECKING, Any, Final

import numpy as np
import pyarrow as pa

from lakecore.base import Bug, InvalidInput, LakecoreError
from lakecore.base.limits import MIB
from lakecore.storage import Store
from lakecore.tables._delta_log import (
    AddFile,
    Commit,
    RemoveFile,
    actions_sha256,
    metadata_for,
    protocol_for,
)
from lakecore.tables._event_stream import EventStream
from lakecore.tables._events import Change, Owner, Shares, owners_of, schema_change
from lakecore.tables._gate import Plan
from lakecore.tables._places import file_path
from lakecore.tables._read import FileReader
from lakecore.tables._schema import (
    added_columns,
    delta_type_text,
    has_zoneless_timestamp,
    storable_schema,
)
from lakecore.tables._state import DataFile, TableState
from lakecore.tables._types import (
    DatasetRef,
    IngestNote,
    Once,
    StagingJournal,
    TableSettings,
)
from lakecore.tables._write import FileWriter, RollingWriter

if TYPE_CHECKING:
    from lakecore.journal import Author, CommitRecord, Mutation
    from lakecore.tables._events import Owners
    from lakecore.tables._review import Review

    Mask = np.ndarray[Any, np.dtype[np.bool_]]

_PART_ROWS: Final = 1 << 15
_PART_BYTES: Final = 8 * MIB
"""Rows whose events are built at once: their JSON is several times as large."""


def parts_of(rows: pa.Table) -> list[pa.Table]:
    """`rows` in parts small enough to build their events at once."""
    step = _PART_ROWS
    if rows.nbytes > _PART_BYTES:
        step = max(1, min(step, rows.num_rows * _PART_BYTES // rows.nbytes))
    return [rows.slice(start, step) for start in range(0, rows.num_rows, step)]


def pairs_of(before: pa.Table, after: pa.Table) -> list[tuple[pa.Table, pa.Table]]:
    """The same of rows before and after a change: parts of equal length."""
    wider = before if before.nbytes > after.nbytes else after
    step = max(1, max((part.num_rows for part in parts_of(wider)), default=1))
    return [
        (before.slice(start, step), after.slice(start, step))
        for start in range(0, before.num_rows, step)
    ]


class Attempt:
    """What one try has gathered. Events are written by a thread of its own, in order."""

    def __init__(
        self,
        *,
        store: Store,
        journal: StagingJournal,
        settings: TableSettings,
        dataset: DatasetRef,
        base: TableState,
        author: Author,
        mutation_id: str,
        timestamp_us: int,
        review: Review,
        note: IngestNote | None = None,
        once: Once | None = None,
        dry_run: bool = False,
        others: Sequence[Owner] = (),
    ) -> None:
        self.store = store
        self.settings = settings
        self.dataset = dataset
        self.base = base
        self.author = author
        self.note = note
        self.once = once
        self.dry_run = dry_run
        self.version = base.version + 1
        self.timestamp_us = timestamp_us
        self.schema = base.schema
        self.inserted = self.updated = self.deleted = self.unchanged = 0
        self.missing = self.conflicts = 0
        self.owners = (Owner(author, mutation_id, review), *others)
        self.adds: list[AddFile] = []
        self.removes: list[RemoveFile] = []
        self.own_files: list[AddFile] = []
        self.schema_changed = False
        self.keeps_rows = False
        """Files are exchanged, or only the log is written: no row changes."""
        self.txn: tuple[str, int] | None = None
        self._commit: Commit | None = None
        self._record: CommitRecord | None = None
        self.may_be_committed = False
        """From the first try to create the version until it is known to be another's."""
        self.events = EventStream(
            journal=journal,
            dataset=dataset,
            owners=self.owners,
            version=self.version,
            timestamp_us=timestamp_us,
            dry_run=dry_run,
        )
        self.shares = Shares(len(self.owners))
        """Rows of each mutation, where there are several."""

    # -- what the mutation says -----------------------------------------------------------

    def evolve(self, incoming: pa.Schema, *, freeze: bool) -> pa.Schema:
        """Give the table the columns of `incoming` that it lacks; the schema it then has.

        Raises:
            InvalidInput: there are new columns and the schema is frozen.
        """
        if self.base.empty:
            self.schema = storable_schema(incoming)
            return self.schema
        new = added_columns(self.schema, incoming)
        if not new:
            return self.schema
        if freeze:
            raise InvalidInput(
                "the input has columns that the dataset does not have",
                expected=", ".join(self.schema.names[:20]),
                found=", ".join(repr(field.name) for field in new),
                where=self.dataset.name,
                hint="allow the schema to evolve, or leave these columns out",
            )
        self.schema = pa.schema([*self.schema, *new])
        self.schema_changed = True
        for field in new:
            self.emit(schema_change(self.dataset, field.name, delta_type_text(field)))
        return self.schema

    def emit(self, change: Change) -> None:
        """Have these events staged, after those given before."""
        self.events.run(lambda: change)

    def later(self, work: Callable[..., Change | None], *arguments: Any) -> None:
        """Have `work` done beside; the events that it returns are staged in the order of calls."""
        self.events.run(work, *arguments)

    @property
    def review(self) -> Review:
        """What the judge of the only, or first, mutation is shown."""
        return self.owners[0].review

    def judge(
        self, before: pa.Table | None, after: pa.Table | None, owners: Owners | None = None
    ) -> None:
        """Have the judges shown, beside, rows that are inserted or deleted.

        `owners`: which mutation each row belongs to, by position; None: the first.
        """
        for position in owners_of(owners):
            owner = self.owners[position]
            if owner.review.shows_rows:
                mask = None if owners is None else pa.array(owners == position)
                self.later(owner.review.show, before, after, mask)

    def judge_updates(
        self,
        before: pa.Table,
        after: pa.Table,
        positions: Owners,
        any_change: Mask,
        masks: Mapping[str, Mask],
        owners: Owners | None = None,
    ) -> None:
        """Have the judges shown, beside, the rows at `positions` that `any_change` marks.

        `masks` marks, of the same rows, those that change in one column.
        """
        for position in owners_of(None if owners is None else owners[any_change]):
            owner = self.owners[position]
            if owner.review.shows_rows:
                mine = any_change if owners is None else any_change & (owners == position)
                self.later(owner.review.show_updates, before, after, positions, mine, masks)

    def remove(self, file: DataFile) -> None:
        """The commit removes this file of the base version."""
        self.removes.append(RemoveFile(path=file.path, size_bytes=file.size_bytes))

    def add(self, file: AddFile) -> None:
        """The commit adds this file, which the attempt owns: discarded with it."""
        self.adds.append(file)
        self.own_files.append(file)

    # -- files ----------------------------------------------------------------------------

    def reader(self, file: DataFile | AddFile) -> FileReader:
        """Reads a file of the table in the schema that the commit gives it."""
        path = file_path(self.dataset.location, file.path)
        return FileReader(self.store, path, self.schema, self.settings)

    def file_writer(self) -> FileWriter:
        """Writes one data file."""
        return FileWriter(
            self.store, self.dataset.location, self.schema, self.settings, keys=self.dataset.key
        )

    def rolling_writer(self) -> RollingWriter:
        """Writes as many data files as it takes."""
        return RollingWriter(
            self.store, self.dataset.location, self.schema, self.settings, keys=self.dataset.key
        )

    def read_keys(self, file: DataFile | AddFile) -> Iterator[pa.Table]:
        """The key columns of a file."""
        with self.reader(file) as reader:
            yield from reader.chunks(self.dataset.key)

    # -- the end --------------------------------------------------------------------------

    @property
    def event_count(self) -> int:
        return self.events.numbering.total

    @property
    def changes_something(self) -> bool:
        """False when the table is already what the mutation wants."""
        rows = self.inserted + self.updated + self.deleted
        return bool(rows) or self.schema_changed or self.base.empty or self.keeps_rows

    def wait(self) -> None:
        """Every event given so far is written; raises what went wrong."""
        self.events.wait()

    def counts(self, position: int) -> dict[str, int]:
        """Rows of one mutation: inserted, updated, deleted and unchanged."""
        names = ("inserted", "updated", "deleted", "unchanged")
        if len(self.owners) == 1:
            return {name: getattr(self, name) for name in names}
        return {name: self.shares.of(name, position) for name in names}

    def takes_part(self, position: int) -> bool:
        """Whether a mutation changes something; one that is alone may change the table only."""
        return len(self.owners) == 1 or bool(self.events.numbering.counts[position])

    def plan(self, position: int = 0) -> Plan:
        """The change as the judge of a mutation sees it, once all is planned."""
        self.wait()
        counts = self.counts(position)
        return Plan(
            inserted=counts["inserted"],
            updated=counts["updated"],
            deleted=counts["deleted"],
            fields=int(self.events.numbering.counts[position]),
            bytes=int(self.events.value_bytes[position]),
            base_rows=self._base_rows(),
            schema_changes=tuple(self.events.schema_changes),
            schema=self.schema,
            digest=self.owners[position].review.digest,
        )

    def stage(self, operation: str, parameters: Mapping[str, str]) -> CommitRecord:
        """Make the events durable; nothing can be added after it.

        The one way to a commit: `commit` has no bytes without it. So nothing is committed
        that a judge has not let pass.
        """
        self.wait()
        parts = [owner for n, owner in enumerate(self.owners) if self.takes_part(n)]
        if not all(owner.review.passed for owner in parts):
            raise Bug("a change is staged that was not let pass", where=self.dataset.name)
        if self.keeps_rows and self.inserted + self.updated + self.deleted:
            raise Bug("upkeep that changes rows", where=self.dataset.name)
        self._commit = self._actions(operation, parameters)
        sha256 = actions_sha256(self._commit.to_bytes())
        self._record = self.events.finish(sha256, self._mutations())
        return self._record

    def restage(self, base: TableState, now_us: int) -> CommitRecord:
        """Stage the same change for the version after `base`, where it still holds."""
        if self._commit is None:
            raise Bug("nothing was staged before", where=self.dataset.name)
        self.base, self.version = base, base.version + 1
        self.timestamp_us = max(now_us, base.commit_us + 1)
        txn = self._commit.txn
        if txn is not None and self.once is None:
            txn = (txn[0], self.version)
        self._commit = replace(self._commit, timestamp_us=self.timestamp_us, txn=txn)
        sha256 = actions_sha256(self._commit.to_bytes())
        self._record = self.events.move(
            self.store, self.version, self.timestamp_us, sha256, self._mutations()
        )
        return self._record

    def commit(self) -> bytes:
        """The bytes of what was staged."""
        if self._commit is None or self._record is None:
            raise Bug("a commit that was not staged", where=self.dataset.name)
        return replace(self._commit, record=self._record.to_json()).to_bytes()

    def _actions(self, operation: str, parameters: Mapping[str, str]) -> Commit:
        metadata = protocol = None
        if self.base.empty or self.schema_changed:
            metadata, protocol = self._metadata_actions()
        note = self.note
        txn = self.txn
        if note is not None:
            txn = (f"lakecore-ingest:{note.sha256}", self.version)
        if self.once is not None:
            txn = (self.once.name, self.once.number)
        return Commit(
            operation=operation,
            parameters=parameters,
            timestamp_us=self.timestamp_us,
            protocol=protocol,
            metadata=metadata,
            txn=txn,
            removes=self.removes,
            adds=self.adds,
            data_change=not self.keeps_rows,
        )

    def _base_rows(self) -> int:
        known = self.base.row_count
        if known is not None:
            return known
        total = 0
        for file in self.base.files:
            with self.reader(file) as reader:
                total += reader.rows
        return total

    def discard(self) -> None:
        """Leave nothing: for an attempt that cannot become a version any more."""
        self.events.discard()
        for file in self.own_files:
            with suppress(LakecoreError, OSError):
                self.store.delete(f"{self.dataset.location}/{file.path}")

    def close(self) -> None:
        """End the events' thread; what is stored stays."""
        self.events.close()

    def _metadata_actions(self) -> tuple[Mapping[str, Any], Mapping[str, Any] | None]:
        known = self.base.metadata
        metadata = metadata_for(
            self.schema,
            table_id=known.table_id,
            created_us=self.timestamp_us if self.base.empty else known.created_us,
            configuration=known.configuration,
            name=known.name,
            description=known.description,
        )
        # A protocol is raised where the schema needs it, and never lowered.
        raised = has_zoneless_timestamp(self.schema) and not has_zoneless_timestamp(
            self.base.schema
        )
        protocol = protocol_for(self.schema) if self.base.empty or raised else None
        return metadata, protocol

    def _mutations(self) -> list[Mutation]:
        """Those that change something; one that is alone changes the table, if not rows."""
        from lakecore.journal import Mutation

        return [
            Mutation(
                mutation_id=owner.mutation_id,
                actor=owner.author.actor,
                source=owner.author.source,
                workspace_id=owner.author.workspace_id,
                reason=owner.author.reason,
                timestamp_us=self.timestamp_us,
                context={**owner.author.context, **owner.review.context()},
            )
            for position, owner in enumerate(self.owners)
            if self.takes_part(position)
        ]
