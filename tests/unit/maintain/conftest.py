"""A lake whose tables are kept, and a clock that can be put forward."""

from __future__ import annotations

import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest

from lakecore.base import ManualClock
from lakecore.catalog import Catalog, Dataset
from lakecore.documents import Documents
from lakecore.journal import Author, Event, Journal, JournalSettings
from lakecore.maintain import Maintainer, MaintainSettings, MaintenanceReport, NoWorkspaces
from lakecore.reconcile import Reconciler, completeness
from lakecore.storage import Store, open_store
from lakecore.tables import Gate, Tables, TableSettings, Upkeep

ADA = Author(actor="ada")
KEEPER = Author(actor="keeper", source="maintain")
HOUR_US = 3600 * 1_000_000
SETTINGS = MaintainSettings(
    min_files=4, checkpoint_versions=1_000, retention_days=1, retention_versions=1, grace_hours=1
)


class Lake:
    """One lake on a store, as one machine has it open."""

    def __init__(
        self,
        store: Store,
        state: Path,
        *,
        settings: MaintainSettings = SETTINGS,
        tables: TableSettings | None = None,
        workspaces: Any = None,
        gate: Gate | None = None,
    ) -> None:
        self.store = store
        self.state = state
        # Files get their times from the store, so the clock begins where that is.
        self.clock = ManualClock(time.time_ns() // 1_000)
        self.journal = Journal.open(
            store, state, clock=self.clock, settings=JournalSettings(background=False)
        )
        self.catalog = Catalog(Documents(store, self.journal, self.clock), self.clock)
        self.tables = Tables(store, self.journal, self.clock, tables, gate)
        self.reconciler = Reconciler(store, self.journal, self.catalog)
        self.upkeep = Upkeep(self.tables)
        self.maintainer = Maintainer(
            store,
            self.journal,
            self.catalog,
            self.upkeep,
            clock=self.clock,
            unjournaled=self._unjournaled,
            settings=settings,
            workspaces=workspaces or NoWorkspaces(),
        )

    def _unjournaled(self, dataset: Dataset) -> list[int]:
        with self.journal.ledger() as ledger:
            return list(self.reconciler.foreign(dataset, ledger))

    def make(self, name: str = "planes", key: tuple[str, ...] = ("id",)) -> Dataset:
        """Register a dataset."""
        return self.catalog.register(self.catalog.propose(name, key=key), author=ADA)

    def append(self, name: str, *ids: int, **columns: Any) -> int:
        """Commit rows; the version."""
        rows = pa.table({"id": list(ids), "v": [f"row {i}" for i in ids], **columns})
        result = self.tables.append(self.catalog.get(name), rows, author=ADA)
        assert result.version is not None
        return result.version

    def rows(self, name: str = "planes", version: int | None = None) -> list[dict[str, Any]]:
        """The rows of a version, by id."""
        view = self.tables.open(self.catalog.get(name), version=version)
        assert view is not None
        return sorted(view.delta.to_pyarrow_table().to_pylist(), key=lambda row: row["id"])

    def files(self, name: str = "planes") -> set[str]:
        """The Parquet files that lie in a table's folder."""
        location = self.catalog.get(name).location
        found = (info.path for info in self.store.list_objects(f"{location}/"))
        return {path for path in found if path.endswith(".parquet") and "_delta_log" not in path}

    def live(self, name: str = "planes") -> int:
        """How many files the newest version has."""
        state = self.upkeep.state(self.catalog.get(name))
        return len(state.files) if state is not None else 0

    def run(self, *names: str, dry_run: bool = False) -> MaintenanceReport:
        """Keep these datasets, or all."""
        return self.maintainer.run(names or None, author=KEEPER, dry_run=dry_run)

    def done(self, *names: str) -> list[tuple[str, str]]:
        """As `run`: action and outcome of each step."""
        return [(step.action, step.outcome) for step in self.run(*names).steps]

    def later(self, hours: float) -> None:
        """Put the clock forward."""
        self.clock.advance(int(hours * HOUR_US))

    def events(self) -> list[Event]:
        """What is told of upkeep, the oldest first."""
        found = self.journal.query(entity_type="maintenance", limit=1_000).items
        return sorted(found, key=lambda e: (str(e.timestamp), e.action.endswith("done")))

    def check(self, *, full: bool = True) -> None:
        """Everything is in the record, and everything that is kept is as it was committed."""
        self.journal.seal()
        assert self.journal.verify(full=full).status == "green"
        report = completeness(
            self.store, self.journal, self.state, now_us=self.clock.now_us(), full=full
        )
        assert report.problems == []
        assert report.status == "green"

    def close(self) -> None:
        self.journal.close()


@pytest.fixture
def lake(tmp_path: Path) -> Iterator[Lake]:
    """A lake on a disk, with a keyed dataset ``planes``."""
    store = open_store(str(tmp_path / "lake"))
    made = Lake(store, tmp_path / "state")
    made.make()
    yield made
    made.close()
    store.close()
