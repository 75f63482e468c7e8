"""The composition root: which parts a lake is made of, and how they are joined."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

from lakecore.app._archives import Archives
from lakecore.app._buckets import Buckets, open_lake_store
from lakecore.app._format import LakeFormat, create_format, read_format
from lakecore.app._made import cached_property
from lakecore.app._replicas import replica_state_directory
from lakecore.app._source import LakeTables, facts
from lakecore.app._truth import schemas_of
from lakecore.base import Clock, LakecoreError, ReadOnly, SystemClock
from lakecore.catalog import Catalog, Dataset
from lakecore.config import check_buckets
from lakecore.documents import Documents
from lakecore.journal import Journal
from lakecore.journal import JournalSettings as SealSettings
from lakecore.storage import GuardedStore, MountedStore, Store
from lakecore.telemetry import Traces

if TYPE_CHECKING:
    from lakecore.app._agents import AgentDesk
    from lakecore.app._review_desk import ReviewDesk
    from lakecore.app._workspace_source import WorkspaceSource
    from lakecore.auth import Keys
    from lakecore.changes import (
        Approvals,
        ChangeParts,
        Changes,
        Pendings,
        Principals,
        RuleGate,
        Rules,
    )
    from lakecore.config import Settings
    from lakecore.llm import Ladder
    from lakecore.maintain import Background, Maintainer
    from lakecore.observer import Observer
    from lakecore.query import QueryEngine
    from lakecore.reconcile import Reconciler
    from lakecore.records import Recorder
    from lakecore.search import Indexes
    from lakecore.spark import SparkServer
    from lakecore.tables import Tables
    from lakecore.webhooks import Deliverer, DeliveryState, Webhooks
    from lakecore.workspaces import Workspaces, WorkspaceSimulator, WorkspaceView


class Components:
    """The parts of one open lake. Heavy ones are made when they are first used."""

    def __init__(
        self,
        store: Store,
        settings: Settings,
        *,
        create: bool,
        state_dir: Path | None = None,
        clock: Clock | None = None,
        refusal: Callable[[str], LakecoreError] | None = None,
    ) -> None:
        self.settings = settings
        self.clock = clock or SystemClock()
        self.format: LakeFormat = create_format(store, self.clock) if create else read_format(store)
        self.buckets = Buckets(settings)
        self.buckets.lake_id = self.format.lake_id
        if self.format.is_replica:
            # Whatever changes a replica but replication would make it another lake.
            store = GuardedStore(store, refusal or _is_replica)
            state_dir = state_dir or replica_state_directory(
                _state_home(self.format.lake_id), store.url
            )
        self.own_store = store
        """The lake's own, without the buckets in it."""

        # Also without any: a bucket that is not configured must not look like an empty folder.
        self._mounted = MountedStore(store, self.buckets, is_copy=self.format.is_replica)
        self.store: Store = self._mounted
        self.state_dir = state_dir or state_directory(store, self.format.lake_id)
        self.archives = Archives(settings)
        self.traces = Traces()
        self.deliverer: Deliverer | None = None
        """While this process delivers webhooks."""

        self.journal = Journal.open(
            self.store,
            self.state_dir,
            clock=self.clock,
            origin=self.format.origin,
            archives=self.archives,
            traces=self.traces,
            settings=SealSettings(
                seal_events=settings.journal.seal_events,
                seal_interval_s=settings.journal.seal_interval_s,
                max_hot_bytes=settings.journal.max_hot_bytes,
                idempotency_days=settings.journal.idempotency_days,
                compact=settings.journal.compact,
                compact_grace_s=settings.journal.compact_grace_s,
                checkpoint=settings.journal.checkpoint,
                checkpoint_interval_s=settings.journal.checkpoint_interval_s,
            ),
        )
        self.documents = Documents(self.store, self.journal, self.clock)
        self.catalog = Catalog(self.documents, self.clock)
        self.buckets.holds = lambda name: any(
            dataset.bucket == name for dataset in self.catalog.list_datasets()
        )

    @classmethod
    def open(cls, settings: Settings, *, create: bool) -> Components:
        check_buckets(settings.storage.bucket, where="settings")
        store = open_lake_store(settings)
        try:
            return cls(store, settings, create=create)
        except BaseException:
            store.close()
            raise

    @cached_property
    def tables(self) -> Tables:
        from lakecore.tables import Tables

        return Tables(self.store, self.journal, self.clock, gate=self.gate)

    @cached_property
    def rules(self) -> Rules:
        from lakecore.changes import Rules

        return Rules(self.documents, lambda: schemas_of(self.catalog, lambda: self.tables))

    @cached_property
    def principals(self) -> Principals:
        from lakecore.app._auth import KeyPrincipals

        return KeyPrincipals(lambda: self.keys)

    @cached_property
    def keys(self) -> Keys:
        from lakecore.auth import Keys

        return Keys(self.documents, self.clock, state_dir=self.state_dir)

    @cached_property
    def webhooks(self) -> Webhooks:
        from lakecore.app._webhooks import make_webhooks

        return make_webhooks(self)

    @cached_property
    def deliveries(self) -> DeliveryState:
        from lakecore.webhooks import DeliveryState

        return DeliveryState(self.state_dir)

    @cached_property
    def gate(self) -> RuleGate:
        from lakecore.changes import RuleGate

        return RuleGate(self.rules, self.principals, self.journal)

    @cached_property
    def pendings(self) -> Pendings:
        from lakecore.changes import Pendings

        return Pendings(self.documents, self.clock)

    @cached_property
    def changes(self) -> Changes:
        from lakecore.changes import Changes

        return Changes(self._change_parts, gate=self.gate)

    @cached_property
    def approvals(self) -> Approvals:
        from lakecore.changes import Approvals

        return Approvals(self._change_parts)

    @cached_property
    def _change_parts(self) -> ChangeParts:
        from lakecore.app._time import derived_arguments
        from lakecore.changes import ChangeParts, ChangeSettings

        bounds = self.settings.truth
        return ChangeParts(
            tables=self.tables,
            pendings=self.pendings,
            principals=self.principals,
            catalog=self.catalog,
            journal=self.journal,
            store=self.store,
            clock=self.clock,
            derive=derived_arguments(self.journal),
            simulator=self.simulator,
            settings=ChangeSettings(
                pending_days=bounds.pending_days,
                pending_bytes=bounds.pending_bytes,
                pending_max=bounds.pending_max,
            ),
        )

    @cached_property
    def indexes(self) -> Indexes:
        from lakecore.app._search import make_indexes

        return make_indexes(self)

    @cached_property
    def reconciler(self) -> Reconciler:
        from lakecore.reconcile import Reconciler

        return Reconciler(self.store, self.journal, self.catalog)

    @cached_property
    def workspaces(self) -> Workspaces:
        from lakecore.workspaces import Workspaces

        return Workspaces(self.documents, self.catalog, self.tables, self.store, self.clock)

    @cached_property
    def simulator(self) -> WorkspaceSimulator:
        from lakecore.app._workspaces import checks_of, run_check
        from lakecore.workspaces import WorkspaceSimulator

        return WorkspaceSimulator(
            self.workspaces, self.clock, checks=checks_of(self.catalog), run=run_check(self)
        )

    @cached_property
    def lake_tables(self) -> LakeTables:
        """What SQL sees of main."""
        return LakeTables(
            self.store,
            self.catalog,
            lambda: self.tables,
            self.journal,
            pending=lambda: self.approvals.list_pending(decided=True),
            rules=lambda: self.rules.current(),
            workspaces=lambda: self.workspaces.to_table(),
            keys=lambda: self.keys,
            records=lambda: self.records,
            settle=self._settle,
            indexes=lambda: self.indexes,
            spark_lake=self.settings.query.spark_lake,
        )

    @cached_property
    def records(self) -> Recorder:
        """The lake's own records, `system.*`; see `lakecore.records`."""
        from lakecore.app._records import make_recorder

        return make_recorder(self)

    @cached_property
    def observer(self) -> Observer:
        from lakecore.app._observer import make_observer

        return make_observer(self)

    @cached_property
    def maintainer(self) -> Maintainer:
        from lakecore.app._maintain import make_maintainer

        return make_maintainer(self)

    @cached_property
    def background(self) -> Background:
        from lakecore.app._maintain import make_background

        return make_background(self)

    def ahead(self) -> Callable[[str], bool]:
        """Of a replica that is being brought up to date: versions that may lack their events."""
        from lakecore.backup import read_replica

        state = read_replica(self.own_store) if self.format.is_replica else None
        return (lambda path: False) if state is None else state.is_ahead

    def is_inside(self, bucket: str) -> bool:
        """Whether a bucket lies in the lake's own store, as in a copy of the lake."""
        return self._mounted.is_inside(bucket)

    def changed(self) -> None:
        """Something was changed: upkeep may be due, in a process that lives long enough."""
        if self.settings.lake.maintain:
            self.background.notify()

    def webhooks_changed(self) -> None:
        """A webhook was made, changed or removed in this process."""
        if self.deliverer is not None:
            self.deliverer.poke()

    @cached_property
    def ladder(self) -> Ladder:
        from lakecore.app._models import make_ladder

        return make_ladder(self)

    def _settle(self, name: str) -> None:
        """Hand on what this process knows of a kind of record, before it is asked about."""
        if name == "usage" and "ladder" in self.__dict__:
            self.ladder.project()

    @cached_property
    def agents(self) -> AgentDesk:
        from lakecore.app._agents import AgentDesk

        return AgentDesk(self)

    @cached_property
    def reviews(self) -> ReviewDesk:
        from lakecore.app._review_desk import ReviewDesk

        return ReviewDesk(self)

    @cached_property
    def query(self) -> QueryEngine:
        from lakecore.query import QueryEngine
        from lakecore.query import QuerySettings as EngineSettings

        limits = self.settings.query
        return QueryEngine(
            self.lake_tables,
            EngineSettings(
                memory_limit_bytes=limits.memory_limit_bytes,
                timeout_s=limits.timeout_s,
                spill_directory=limits.spill_directory or None,
            ),
            spark=self.spark,
        )

    @cached_property
    def spark(self) -> SparkServer | None:
        """The Spark Connect server of the settings; None without one."""
        from lakecore.app._spark import make_server

        return make_server(self.settings.query)

    def workspace_source(self, view: WorkspaceView) -> WorkspaceSource:
        """What SQL sees of one workspace."""
        from lakecore.app._workspace_source import WorkspaceSource

        return WorkspaceSource(self, view, self.lake_tables)

    def describe(self, dataset: Dataset) -> dict[str, Any]:
        """A dataset and its table as of now, JSON-ready."""
        view = self.tables.open(dataset)
        columns = [
            {"name": field.name, "type": str(field.type), "nullable": field.nullable}
            for field in (view.schema if view else [])
        ]
        return facts(dataset, view) | {"columns": columns}

    def close(self) -> None:
        if "agents" in self.__dict__:
            self.agents.close()
        if "reviews" in self.__dict__:
            self.reviews.close()
        if "ladder" in self.__dict__:
            self.ladder.close()
        if "records" in self.__dict__:
            self.records.close()
        if "background" in self.__dict__:
            self.background.close()
        if "indexes" in self.__dict__:
            self.indexes.close()
        if "query" in self.__dict__:
            self.query.close()
        if "deliveries" in self.__dict__:
            self.deliveries.close()
        try:
            self.journal.close()
        finally:
            self.store.close()


def state_directory(store: Store, lake_id: str) -> Path:
    """Where this machine keeps what is not shared: the hot log, caches, later the signing key.

    In a local lake its folder `.local`; else below ``XDG_STATE_HOME``, one folder a lake.
    """
    inside = store.local_path(".local")
    return inside if inside is not None else _state_home(lake_id)


def _state_home(lake_id: str) -> Path:
    home = os.environ.get("XDG_STATE_HOME") or Path.home() / ".local" / "state"
    return Path(home) / "lakecore" / lake_id


def _is_replica(path: str) -> LakecoreError:
    return ReadOnly(
        "this is a replica: it is read, and changed by replication alone",
        where=path,
        hint="change the lake that it is of",
    )
