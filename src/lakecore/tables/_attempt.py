"""One try at one mutation: what it would add and remove, and the events that say so.

An attempt is for one version, base + 1. It holds nothing of the table but names: rows
stream through it into data files and into the staged file. `discard` leaves nothing.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import suppress
from typing import TYPE_CHECKING, Any, Final
from urllib.parse import unquote

import numpy as np
import pyarrow as pa

from lakecore.base import InvalidInput, LakecoreError
from lakecore.base.limits import MIB
from lakecore.storage import Store
from lakecore.tables._delta_log import (
    AddFile,
    Commit,
    RemoveFile,
    commit_path,
    metadata_for,
    protocol_for,
)
from lakecore.tables._events import Change, EventTemplate, Numbering, Owner, schema_change
from lakecore.tables._lane import Pipeline
from lakecore.tables._read import FileReader
from lakecore.tables._schema import (
    added_columns,
    delta_type_text,
    has_zoneless_timestamp,
    storable_schema,
)
from lakecore.tables._state import DataFile, TableState
from lakecore.tables._types import (
    MAX_SAMPLE_CHANGES,
    DatasetRef,
    IngestNote,
    StagingJournal,
    TableSettings,
)
from lakecore.tables._write import FileWriter, RollingWriter

if TYPE_CHECKING:
    from lakecore.journal import Author, CommitRecord, Mutation, PreparedEvents, Staging
    from lakecore.tables._events import Owners

_PART_ROWS: Final = 1 << 15
_PART_BYTES: Final = 8 * MIB
"""Rows whose events are built at once: their JSON is several times as large."""


def parts_of(rows: pa.Table) -> list[pa.Table]:
    """`rows` in parts small enough to build their events at once."""
    step = _PART_ROWS
    if rows.nbytes > _PART_BYTES:
        step = max(1, min(step, rows.num_rows * _PART_BYTES // rows.nbytes))
    return [rows.slice(start, step) for start in range(0, rows.num_rows, step)]


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
        note: IngestNote | None = None,
        dry_run: bool = False,
        others: Sequence[Owner] = (),
    ) -> None:
        self.store = store
        self.settings = settings
        self.dataset = dataset
        self.base = base
        self.author = author
        self.note = note
        self.dry_run = dry_run
        self.version = base.version + 1
        self.timestamp_us = timestamp_us
        self.schema = base.schema
        self.inserted = self.updated = self.deleted = self.unchanged = 0
        self.owners = (Owner(author, mutation_id), *others)
        self.samples: list[list[Mapping[str, Any]]] = [[] for _ in self.owners]
        self.adds: list[AddFile] = []
        self.removes: list[RemoveFile] = []
        self.own_files: list[AddFile] = []
        self.schema_changed = False
        self.may_be_committed = False
        """From the first try to create the version until it is known to be another's."""
        self._journal = journal
        self._template = EventTemplate(
            dataset=dataset,
            owners=self.owners,
            version=self.version,
            timestamp_us=timestamp_us,
        )
        self._events = Pipeline(
            "lakecore-events",
            number=self._number_events,
            prepare=self._prepare_events,
            take=self._write_events,
        )
        self._staging: Staging | None = None
        self.numbering = Numbering(len(self.owners))

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
        self._events.run(lambda: change)

    def later(self, work: Callable[..., Change | None], *arguments: Any) -> None:
        """Have `work` done beside; the events that it returns are staged in the order of calls."""
        self._events.run(work, *arguments)

    def show(self, change: Change) -> None:
        """Keep the first changes of each mutation as its result's sample."""
        for owner, sample in enumerate(self.samples):
            room = MAX_SAMPLE_CHANGES - len(sample)
            if room <= 0:
                continue
            rows: Iterable[int] = range(min(len(change), room))
            if change.owners is not None:
                rows = np.flatnonzero(change.owners == owner)[:room].tolist()
            for row in rows:
                sample.append(
                    {
                        "action": change.action,
                        "entity_id": change.entity_ids[row].as_py(),
                        "field": change.field,
                        "old_value": change.old[row].as_py() if change.old is not None else None,
                        "new_value": change.new[row].as_py() if change.new is not None else None,
                    }
                )

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
        # The log spells paths as URLs do.
        path = f"{self.dataset.location}/{unquote(file.path)}"
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
        return self.numbering.total

    @property
    def changes_something(self) -> bool:
        """False when the table is already what the mutation wants."""
        rows = self.inserted + self.updated + self.deleted
        return bool(rows) or self.schema_changed or self.base.empty

    def wait(self) -> None:
        """Every event given so far is written; raises what went wrong."""
        self._events.wait()

    def stage(self) -> CommitRecord:
        """Make the events durable; nothing can be added after it."""
        self.wait()
        return self._open_staging().finish(self._mutations())

    def commit(self, record: CommitRecord, operation: str, parameters: Mapping[str, str]) -> bytes:
        """The commit's bytes."""
        metadata = protocol = None
        if self.base.empty or self.schema_changed:
            metadata, protocol = self._metadata_actions()
        note = self.note
        txn = (f"lakecore-ingest:{note.sha256}", self.version) if note is not None else None
        return Commit(
            operation=operation,
            parameters=parameters,
            timestamp_us=self.timestamp_us,
            record=record.to_json(),
            protocol=protocol,
            metadata=metadata,
            txn=txn,
            removes=self.removes,
            adds=self.adds,
        ).to_bytes()

    def discard(self) -> None:
        """Leave nothing: for an attempt that cannot become a version any more."""
        self._events.close()
        if self._staging is not None:
            with suppress(LakecoreError, OSError):
                self._staging.discard()
        for file in self.own_files:
            with suppress(LakecoreError, OSError):
                self.store.delete(f"{self.dataset.location}/{file.path}")

    def close(self) -> None:
        """End the events' thread; what is stored stays."""
        self._events.close()

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
        raised = has_zoneless_timestamp(self.schema) != has_zoneless_timestamp(self.base.schema)
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
                context=dict(owner.author.context),
            )
            for position, owner in enumerate(self.owners)
            if len(self.owners) == 1 or self.numbering.counts[position]
        ]

    def _open_staging(self) -> Staging:
        if self._staging is None:
            from lakecore.journal import Target

            target = Target(
                path=commit_path(self.dataset.location, self.version),
                kind="table",
                dataset=self.dataset.name,
                dataset_id=self.dataset.dataset_id,
                version=self.version,
            )
            self._staging = self._journal.stage(target)
        return self._staging

    def _number_events(self, change: Change | None) -> tuple[Change, Owners] | None:
        """Give the events of a change their ordinals; None when there is nothing to stage."""
        if change is None or not len(change):
            return None
        if change.entity_type is None:
            self.show(change)
        ordinals = self.numbering.take(change)
        return None if self.dry_run else (change, ordinals)

    def _prepare_events(self, change: Change, ordinals: Owners) -> PreparedEvents:
        from lakecore.journal import prepare_events

        return prepare_events(self._template.build(change, ordinals), json_is_known=True)

    def _write_events(self, prepared: PreparedEvents) -> None:
        self._open_staging().write(prepared)
