"""A lake's parts with a recorder, on a folder."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest

from lakecore.base import ManualClock
from lakecore.catalog import Catalog
from lakecore.documents import Documents
from lakecore.journal import Journal, JournalSettings
from lakecore.records import Recorder, RecordKind, RecordSettings
from lakecore.storage import Store, open_store
from lakecore.tables import Tables

TIME = pa.timestamp("us", "UTC")
SCHEMA = pa.schema([("time", TIME), ("run", pa.string()), ("n", pa.int64())])
STEPS = RecordKind("steps", SCHEMA, description="Steps of a test.", retention_days=10)
NOTES = RecordKind("notes", SCHEMA, description="Notes of a test.", has_extra=True)
FEW = RecordKind("few", SCHEMA, description="May fill half of the spool.", share=0.5)
SLOWLY = RecordSettings(interval_s=3_600)


@dataclass
class Parts:
    """Recorders over one folder; each as if it were a process of its own."""

    folder: Path
    store: Store
    journal: Journal
    catalog: Catalog
    tables: Tables
    clock: ManualClock
    opened: list[Recorder] = field(default_factory=list)

    def recorder(
        self, *, kinds: Any = (STEPS, NOTES, FEW), state: str = ".local", **settings: Any
    ) -> Recorder:
        """A recorder that flushes by itself only when it is told to."""
        made = Recorder(
            self.folder / state,
            self.catalog,
            self.tables,
            kinds=kinds,
            settings=RecordSettings(**{"interval_s": 3_600.0, **settings}),
            clock=self.clock,
        )
        self.opened.append(made)
        return made

    def rows(self, name: str = "steps") -> list[dict[str, Any]]:
        """What is in the table, in the order of `n`."""
        dataset = self.catalog.find(f"system.{name}")
        view = self.tables.open(dataset) if dataset is not None else None
        found = [] if view is None else view.delta.to_pyarrow_table().to_pylist()
        return sorted(found, key=lambda row: row["n"])

    def numbers(self, name: str = "steps") -> list[int]:
        """The column `n`, sorted."""
        return [row["n"] for row in self.rows(name)]

    def version(self, name: str = "steps") -> int:
        """The newest version of the table."""
        view = self.tables.open(self.catalog.get(f"system.{name}"))
        return -1 if view is None else view.version


@pytest.fixture
def make_parts(tmp_path: Path) -> Iterator[Callable[[Store], Parts]]:
    """Parts over a store."""
    made: list[Parts] = []

    def make(store: Store) -> Parts:
        journal = Journal.open(
            store, tmp_path / ".local", settings=JournalSettings(background=False)
        )
        catalog = Catalog(Documents(store, journal))
        parts = Parts(tmp_path, store, journal, catalog, Tables(store, journal), ManualClock())
        made.append(parts)
        return parts

    yield make
    for parts in made:
        for recorder in parts.opened:
            recorder.close()
        parts.journal.close()


@pytest.fixture
def parts(make_parts: Callable[[Store], Parts], tmp_path: Path) -> Parts:
    """Parts over a local lake."""
    return make_parts(open_store(str(tmp_path / "lake")))


def some(*numbers: int) -> list[dict[str, Any]]:
    """Rows with these numbers."""
    return [{"run": "a", "n": number} for number in numbers]
