"""A lake whose tables are written by other programs, too."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest
from deltalake import DeltaTable

import lakecore
from lakecore.journal import Event

ROWS = [
    {"id": 1, "name": "ada", "seats": 10},
    {"id": 2, "name": "bob", "seats": 20},
    {"id": 3, "name": "cy", "seats": None},
]
SCHEMA = pa.schema([("id", pa.int64()), ("name", pa.string()), ("seats", pa.int64())])


def rows_of(*rows: dict[str, Any]) -> pa.Table:
    """Rows with the columns of the tests' tables."""
    return pa.Table.from_pylist(list(rows), schema=SCHEMA)


class Lake:
    """A lake with a keyed dataset ``planes`` and an unkeyed one ``notes``, and what tests ask."""

    def __init__(self, place: Path) -> None:
        self.place = place
        self.lake = lakecore.open(place, actor="ada")
        for name, key in (("planes", ["id"]), ("notes", [])):
            self.lake.create(name, key=key)
            self.lake.insert(name, rows_of(*ROWS))
        self.lake.journal.seal()

    def path(self, dataset: str = "planes") -> Path:
        """Where a dataset's table lies."""
        return self.place / self.lake.dataset(dataset).location

    def table(self, dataset: str = "planes") -> DeltaTable:
        """A dataset's table as any other program opens it."""
        return DeltaTable(str(self.path(dataset)))

    def entry(self, version: int, dataset: str = "planes") -> Path:
        """One entry of a table's log."""
        return self.path(dataset) / "_delta_log" / f"{version:020d}.json"

    def events(self, version: int, dataset: str = "planes") -> list[Event]:
        """The events of one version, in order."""
        found = self.lake.journal.query(
            dataset_id=self.lake.dataset(dataset).dataset_id, version=version, limit=1_000
        ).items
        return sorted(found, key=lambda event: int(event.event_id.rpartition(":")[2]))

    def changes(self, version: int, dataset: str = "planes") -> list[tuple[Any, ...]]:
        """The events of one version but the closing one: action, entity, field, old, new."""
        found = self.events(version, dataset)
        return sorted(
            (e.action, e.entity_id, e.field, e.old_value, e.new_value)
            for e in found
            if not e.entity_id.startswith("batch:")
        )

    def closing(self, version: int, dataset: str = "planes") -> tuple[Event, dict[str, Any]]:
        """The event of the commit as a whole, and its context."""
        event = self.events(version, dataset)[-1]
        return event, json.loads(event.context)

    def green(self) -> bool:
        """Whether everything is in the record, also when all is read again."""
        self.lake.journal.seal()
        return self.lake.verify().status == "green" == self.lake.verify(full=True).status


@pytest.fixture
def lake(tmp_path: Path) -> Iterator[Lake]:
    """A lake on a disk."""
    made = Lake(tmp_path / "lake")
    yield made
    made.lake.close()
