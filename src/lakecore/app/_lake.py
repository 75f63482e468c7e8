"""`Lake`: everything that a person or a program does with a lake, over the packages below."""

from __future__ import annotations

import dataclasses
import os
from collections.abc import Callable, Mapping, Sequence
from datetime import datetime
from types import TracebackType
from typing import TYPE_CHECKING, Any, cast

from lakecore.app._agents import AgentsFace
from lakecore.app._alter import AlterFace
from lakecore.app._auth import AuthFace
from lakecore.app._bucket_face import BucketFace
from lakecore.app._checks import DoctorReport, VerifyReport, doctor, status, verify
from lakecore.app._components import Components
from lakecore.app._entities import Entities
from lakecore.app._maintain import MaintainFace
from lakecore.app._models import ModelsFace
from lakecore.app._observer import ObserverFace
from lakecore.app._pending import PendingFace
from lakecore.app._reconcile import ReconcileFace
from lakecore.app._review import ReviewFace
from lakecore.app._search import SearchFace
from lakecore.app._serving import ServedJournal, Serving, changing, reading
from lakecore.app._time import TimeFace
from lakecore.app._truth import TruthFace
from lakecore.app._webhooks import WebhooksFace
from lakecore.app._workspaces import WorkspacesFace
from lakecore.base import InvalidInput
from lakecore.journal import Author
from lakecore.tables import to_batches

if TYPE_CHECKING:
    from lakecore.catalog import Dataset
    from lakecore.changes import ChangeResult
    from lakecore.ingest import IngestOptions, IngestResult, Progress
    from lakecore.journal import ArchiveReport, Event, Journal
    from lakecore.query import QueryResult
    from lakecore.tables import MutationResult


class Lake(
    AgentsFace,
    TimeFace,
    AlterFace,
    AuthFace,
    BucketFace,
    TruthFace,
    PendingFace,
    MaintainFace,
    ModelsFace,
    ReconcileFace,
    ReviewFace,
    SearchFace,
    WorkspacesFace,
    WebhooksFace,
    ObserverFace,
):
    """One lake, open. Made by `lakecore.open`; a context manager; threads may share it.

    Every method that changes something takes `actor` (default: the lake's), `source` and
    `reason`, which go into the journal with the change. Those that change rows or columns also
    take `workspace`, the name of one to change instead, and `tier`: ``auto`` commits what the
    rules let pass, ``dry_run`` and ``sim`` have the change wait for `approve`, ``preview`` only
    shows it; what the rules refuse is `Refused`.
    """

    def __init__(self, components: Components | Serving, *, actor: str) -> None:
        self._serving: Serving = (
            components if isinstance(components, Serving) else Serving.of(components)
        )
        self._actor = actor

    @property
    def _parts(self) -> Components:  # type: ignore[override]  # the faces only read it
        """Of whoever answers now: the lake's own store, or a replica."""
        return self._serving.parts

    @property
    def _entities(self) -> Entities:
        parts = self._parts
        return Entities(lambda: parts.tables, parts.journal)

    # -- the lake ---------------------------------------------------------------------

    @property
    def url(self) -> str:
        """Where the lake is, without secrets."""
        return self._parts.store.url

    @property
    def lake_id(self) -> str:
        """The lake's UUID."""
        return self._parts.format.lake_id

    @property
    def actor(self) -> str:
        """In whose name things are changed where a call names nobody."""
        return self._actor

    @property
    def journal(self) -> Journal:
        """The append-only journal: record, history, recent, query, stats."""
        if self._serving.has_replicas:
            return cast("Journal", ServedJournal(self._serving))
        return self._parts.journal

    def close(self) -> None:
        """Seal what is committed and let go of everything. Safe to call twice."""
        self._serving.close()

    def __enter__(self) -> Lake:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()

    # -- datasets ---------------------------------------------------------------------

    @reading
    def datasets(self, *, dropped: bool = False) -> list[Dataset]:
        """The datasets by name; with `dropped` also those that `undrop` can bring back."""
        return self._parts.catalog.list_datasets(dropped=dropped)

    @reading
    def dataset(self, name: str) -> Dataset:
        """One dataset's entry in the catalog. Raises `NotFound` with the nearest names."""
        return self._parts.catalog.get(name)

    @reading
    def describe(self, name: str) -> dict[str, Any]:
        """A dataset with its table as it is now: schema, version, rows, files, size."""
        return self._parts.describe(self.dataset(name))

    @changing
    def create(
        self,
        name: str,
        *,
        key: Sequence[str] = (),
        entity_type: str | None = None,
        contract: str = "evolve",
        owner: str = "",
        description: str = "",
        bucket: str = "",
        actor: str | None = None,
        source: str = "api",
        reason: str = "",
    ) -> Dataset:
        """Register an empty dataset; its columns come with its first rows.

        Args:
            key: the columns that identify a row; without, rows have no history of their own.
            entity_type: what a row is, for the journal; default the dataset's name.
            contract: ``evolve``, ``freeze`` or ``quarantine``: what later files may change.
            bucket: the named bucket that its table will be in; default the lake's own store.
        """
        proposed = self._parts.catalog.propose(
            name,
            key=_columns(key),
            entity_type=entity_type,
            contract=contract,
            owner=owner,
            description=description,
            bucket=self._parts.buckets.check_named(bucket),
        )
        author = self._author(actor, source, reason)
        return self._parts.catalog.register(proposed, author=author)

    @changing
    def drop(
        self,
        name: str,
        *,
        grace_days: float = 7,
        actor: str | None = None,
        source: str = "api",
        reason: str = "",
    ) -> Dataset:
        """Take a dataset out of sight; for `grace_days` it can be brought back by `undrop`."""
        author = self._author(actor, source, reason)
        return self._parts.catalog.drop(name, author=author, grace_days=grace_days)

    @changing
    def undrop(
        self, name: str, *, actor: str | None = None, source: str = "api", reason: str = ""
    ) -> Dataset:
        """Bring back a dropped dataset."""
        author = self._author(actor, source, reason)
        return self._parts.catalog.undrop(name, author=author)

    @changing
    def rename(
        self,
        name: str,
        new_name: str,
        *,
        actor: str | None = None,
        source: str = "api",
        reason: str = "",
    ) -> Dataset:
        """Give a dataset another name. Its history stays with it."""
        author = self._author(actor, source, reason)
        return self._parts.catalog.rename(name, new_name, author=author)

    # -- files in ---------------------------------------------------------------------

    @changing
    def ingest(
        self,
        files: str | os.PathLike[str] | Sequence[str | os.PathLike[str]],
        *,
        dataset: str,
        key: Sequence[str] = (),
        entity_type: str | None = None,
        mode: str = "append",
        bucket: str = "",
        options: IngestOptions | None = None,
        progress: Progress | None = None,
        actor: str | None = None,
        reason: str = "",
        tier: str = "auto",
    ) -> list[IngestResult]:
        """Files into a dataset, one mutation a file; the dataset is made when it is new.

        Args:
            key: the columns that identify a row; of a dataset that exists, its key or nothing.
            mode: ``append`` (new keys only), ``upsert`` (insert or change) or ``replace``
                (what the file lacks is deleted).
            tier: as for every change; with ``preview`` all is read and checked, nothing written.
            bucket: of a new dataset, the named bucket for its table; of one that exists, the one
                that it is in, or nothing.
            options: contract, null markers, strictness: see `IngestOptions`.

        Raises:
            InvalidInput: a file is not readable as what it is, or does not fit the dataset;
                nothing of that file is in the lake then.
        """
        from lakecore.changes import IngestTables
        from lakecore.ingest import IngestOptions, ingest

        if bucket:
            self._check_bucket(dataset, self._parts.buckets.check_named(bucket))
            options = dataclasses.replace(options or IngestOptions(), bucket=bucket)
        paths = [files] if isinstance(files, (str, os.PathLike)) else list(files)
        self._parts.changed()
        return ingest(
            [os.fspath(path) for path in paths],
            dataset=dataset,
            key=_columns(key),
            entity_type=entity_type,
            mode=mode,
            author=self._author(actor, "ingest", reason),
            options=options,
            tables=IngestTables(self._parts.changes, self._parts.tables, tier),
            catalog=self._parts.catalog,
            progress=progress,
            dry_run=tier == "preview",
        )

    # -- changes ----------------------------------------------------------------------

    def insert(self, dataset: str, rows: object, **options: Any) -> ChangeResult:
        """Add rows; of a keyed dataset, rows whose key is new. Options as for every change.

        With `bucket`, only where the dataset is in that bucket.
        """
        bucket = options.pop("bucket", None)
        if bucket is not None:
            self._check_bucket(dataset, bucket)
        return self._change(self._parts.tables.append, dataset, to_batches(rows), **options)

    def upsert(self, dataset: str, rows: object, **options: Any) -> ChangeResult:
        """Insert rows whose key is new and change those whose key is there."""
        return self._change(self._parts.tables.upsert, dataset, to_batches(rows), **options)

    def replace(self, dataset: str, rows: object, **options: Any) -> ChangeResult:
        """Make the dataset hold exactly these rows."""
        return self._change(self._parts.tables.replace, dataset, to_batches(rows), **options)

    def update(
        self,
        dataset: str,
        *,
        set: Mapping[str, object],  # noqa: A002 - SQL's word
        where: str | None = None,
        keys: object | None = None,
        all: bool = False,  # noqa: A002 - as the command line's --all
        **options: Any,
    ) -> ChangeResult:
        """Set columns of the rows with some keys, or where an SQL condition holds.

        Args:
            set: column to value; `lakecore.tables.Sql("...")` is an expression.
            where: an SQL condition over the dataset's columns; without it and without `keys`,
                `all` must be set.
            keys: one key, a sequence of keys, or a table of the key columns. A key is a value,
                of several columns a sequence or mapping of values. With `where`, rows have to
                meet both. `missing` of the result counts keys that no row has.
        """
        return self._change(
            self._parts.tables.update,
            dataset,
            where=where,
            keys=keys,
            set=set,
            all_rows=all,
            **options,
        )

    def delete(
        self,
        dataset: str,
        *,
        where: str | None = None,
        keys: object | None = None,
        all: bool = False,  # noqa: A002 - as the command line's --all
        **options: Any,
    ) -> ChangeResult:
        """Delete rows by `where` and `keys`, as for `update`; without both, `all` must be set."""
        return self._change(
            self._parts.tables.delete, dataset, where=where, keys=keys, all_rows=all, **options
        )

    # -- reading ----------------------------------------------------------------------

    @reading
    def sql(
        self,
        query: str,
        params: Mapping[str, object] | Sequence[object] | None = None,
        **limits: Any,
    ) -> QueryResult:
        """Run one read-only SQL statement over the datasets and `system.*`.

        Limits: `timeout_s`, `max_rows`, `memory_limit_bytes`; and `engine`: ``datafusion`` or
        ``spark``, by default as the settings say. Time travel by
        ``as_of('planes', 3)``, ``as_of('planes', '2026-01-31T12:00:00Z')`` or ``"planes@3"``;
        ``history('planes', 'N10156')`` and ``changes('planes', 1, 5)`` are tables, too, and so
        is ``search('planes_text', 'boeing', 10)``.
        """
        return self._parts.query.sql(query, params, **self._with_engine(limits))

    def _with_engine(self, limits: dict[str, Any]) -> dict[str, Any]:
        return {"engine": self._parts.settings.query.engine} | limits

    @reading
    def as_of(
        self, dataset: str, *, version: int | None = None, time: datetime | str | None = None
    ) -> QueryResult:
        """A dataset as it was at a version or at a time."""
        if (version is None) == (time is None):
            raise InvalidInput("as_of takes a version or a time", found=(version, time))
        name = self.dataset(dataset).name
        if isinstance(time, datetime):
            if time.tzinfo is None:
                raise InvalidInput("a time needs its zone", found=time.isoformat())
            time = time.isoformat()
        moment = version if version is not None else "'" + str(time).replace("'", "''") + "'"
        return self.sql(f"select * from as_of('{name}', {moment})", engine="datafusion")

    @reading
    def history(
        self,
        dataset: str,
        key: object,
        field: str | None = None,
        *,
        workspace_id: str | None = "",
    ) -> list[Event]:
        """What happened to one entity, oldest first.

        Args:
            key: the key's value; for a composite key a sequence or a mapping of its columns.
                Texts are read as the columns' types where they are not found as they stand.
            field: only what concerns this column; whole-row events are kept.
            workspace_id: ``""`` leaves out what is not merged from a workspace; a workspace's
                id asks for its events alone, None for everybody's.
        """
        entry = self.dataset(dataset)
        events = self._entities.history(entry, key, workspace_id=workspace_id)
        return [event for event in events if field is None or event.field in (field, "*")]

    @reading
    def entity(
        self,
        dataset: str,
        key: object,
        *,
        seq: int | None = None,
        version: int | None = None,
        time: datetime | str | None = None,
    ) -> dict[str, Any] | None:
        """One row as the journal has it at a seq, a version or a time, inclusive; None: gone.

        The values are those of the events' JSON: what it has no word for is text. Columns
        are those of then. A time means the last version at or before it.
        """
        entry = self.dataset(dataset)
        state = self._entities.state(entry, key, seq=seq, version=version, time=time)
        return None if state is None else state.values()

    @reading
    def blame(self, dataset: str, key: object) -> dict[str, Event]:
        """The last event that set each field of an entity; '*' is the row as a whole."""
        last: dict[str, Event] = {}
        for event in self.history(dataset, key):
            if event.field == "*":
                last.clear()
            last[event.field] = event
        return last

    # -- soundness --------------------------------------------------------------------

    @reading
    def verify(self, *, full: bool = False, vkeys: Sequence[str] = ()) -> VerifyReport:
        """Recompute the journal and match every version of every table and document with it.

        Args:
            full: also of the journal what this machine verified before and what looks as then.
            vkeys: verifier keys whose signatures under checkpoints count, beside this
                machine's own.
        """
        return verify(self._parts, full=full, vkeys=vkeys)

    def forget_verified(
        self, *, actor: str | None = None, source: str = "api", reason: str = ""
    ) -> int:
        """Take the journal as it is from now on; see `Journal.forget_verified`."""
        return self.journal.forget_verified(
            actor=actor or self._actor, source=source, reason=reason
        )

    def archive_journal(self, archive: str, **bounds: Any) -> ArchiveReport:
        """Move old events to an archive, by its name or place; bounds as `Journal.archive`."""
        return self.journal.archive(self._parts.archives.name_of(archive), **bounds)

    @reading
    def status(self) -> dict[str, Any]:
        """What the lake holds and what waits: JSON-ready."""
        return status(self._parts)

    def doctor(self) -> DoctorReport:
        """Probe what the lake relies on: the store's promises, the libraries' fit, the journal."""
        return doctor(self._parts)

    # -- inside -----------------------------------------------------------------------

    def _author(self, actor: str | None, source: str, reason: str) -> Author:
        return Author(actor=actor or self._actor, source=source, reason=reason)

    @changing
    def _change(
        self,
        change: Callable[..., MutationResult],
        dataset: str,
        *rows: Any,
        actor: str | None = None,
        source: str = "api",
        reason: str = "",
        tier: str = "auto",
        workspace: str | None = None,
        **options: Any,
    ) -> ChangeResult:
        """Have the tables' method `change` called, by the rules."""
        if workspace is not None:
            inside = self.workspace(workspace, create=False, actor=actor)
            given = {"source": source, "reason": reason, "tier": tier, **options}
            return inside.change(change.__name__, dataset, *rows, **given)
        entry = self.dataset(dataset)
        if entry.schema_name == "system":
            raise InvalidInput("system datasets are written by Lakecore alone", found=entry.name)
        author = self._author(actor, source, reason)
        self._parts.changed()
        name = change.__name__
        with self._parts.traces.span("change", dataset=entry.name, op=name) as span:
            made = self._parts.changes.make(name, entry, *rows, author=author, tier=tier, **options)
            span.set("mutation_id", made.mutation_id)
        return made


def _columns(key: Sequence[str] | str) -> tuple[str, ...]:
    return (key,) if isinstance(key, str) else tuple(key)
