"""A lake with tables and a journal that only stages."""

from __future__ import annotations

import json
import uuid
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest
from tests.fakes.staged_journal import StagedJournal

from lakecore.base import Clock, ManualClock
from lakecore.journal import Author, Event
from lakecore.storage import Store, open_store
from lakecore.tables import DatasetRef, Gate, MutationResult, Tables, TableSettings

ADA = Author(actor="ada", reason="test")


@dataclass(frozen=True, kw_only=True)
class Ref:
    """A dataset as tables need it."""

    name: str = "planes"
    dataset_id: str = field(default_factory=lambda: str(uuid.uuid4()))
    location: str = "tables/main/planes"
    key: tuple[str, ...] = ("id",)
    entity_type: str = "plane"
    contract: str = "evolve"


class Lake:
    """One store with one dataset, and shortcuts for what tests do with them."""

    def __init__(
        self,
        store: Store,
        *,
        dataset: DatasetRef | None = None,
        settings: TableSettings | None = None,
        clock: Clock | None = None,
        gate: Gate | None = None,
    ) -> None:
        self.store = store
        self.clock = clock or ManualClock()
        self.journal = StagedJournal(store)
        self.dataset = dataset or Ref()
        self.tables = Tables(store, self.journal, self.clock, settings, gate)

    def append(self, rows: Any, **options: Any) -> MutationResult:
        return self.tables.append(self.dataset, as_table(rows), author=ADA, **options)

    def upsert(self, rows: Any, **options: Any) -> MutationResult:
        return self.tables.upsert(self.dataset, as_table(rows), author=ADA, **options)

    def replace(self, rows: Any, **options: Any) -> MutationResult:
        return self.tables.replace(self.dataset, as_table(rows), author=ADA, **options)

    def update(self, **options: Any) -> MutationResult:
        return self.tables.update(self.dataset, author=ADA, **options)

    def delete(self, **options: Any) -> MutationResult:
        return self.tables.delete(self.dataset, author=ADA, **options)

    def arrow(self, **at: Any) -> pa.Table:
        view = self.tables.open(self.dataset, **at)
        assert view is not None
        return view.delta.to_pyarrow_table()

    def rows(self, **at: Any) -> list[dict[str, Any]]:
        """The table's rows, sorted by their text."""
        return sorted(self.arrow(**at).to_pylist(), key=repr)

    def events(self) -> list[Event]:
        return self.journal.events_of(self.dataset.location)

    def log(self, version: int) -> list[dict[str, Any]]:
        """The actions of one version."""
        path = f"{self.dataset.location}/_delta_log/{version:020d}.json"
        return [json.loads(line) for line in self.store.get(path).splitlines()]

    def files(self) -> set[str]:
        """Data files that are stored, referred to or not."""
        prefix = f"{self.dataset.location}/"
        paths = (found.path for found in self.store.list_objects(prefix))
        return {path.removeprefix(prefix) for path in paths if path.endswith(".parquet")}


def context_of(event: Event) -> dict[str, Any]:
    """An event's context, without what the last event of a commit says about the commit."""
    context: dict[str, Any] = json.loads(event.context)
    context.pop("commit", None)
    return context


def as_table(rows: Any) -> Any:
    """Rows as a table: a mapping of columns, a list of rows, or Arrow as it is."""
    if isinstance(rows, Mapping):
        return pa.table(rows)
    if isinstance(rows, list):
        return pa.Table.from_pylist(rows)
    return rows


@pytest.fixture
def lake(tmp_path: Path) -> Iterator[Lake]:
    """An empty lake with a dataset keyed by `id`."""
    store = open_store(str(tmp_path / "lake"))
    yield Lake(store)
    store.close()


@pytest.fixture
def unkeyed(tmp_path: Path) -> Iterator[Lake]:
    """An empty lake with a dataset without a key."""
    store = open_store(str(tmp_path / "lake"))
    yield Lake(store, dataset=Ref(key=()))
    store.close()
