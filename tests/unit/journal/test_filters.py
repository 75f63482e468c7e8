"""`query` filters by every column, alone and together."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from tests.fakes.journals import open_journal

from lakecore.base import InvalidInput
from lakecore.journal import Event, Journal
from lakecore.storage import open_store

START = datetime(2026, 1, 1, tzinfo=UTC)
COLUMNS = (
    "entity_type",
    "entity_id",
    "field",
    "action",
    "actor",
    "source",
    "workspace_id",
    "dataset",
    "dataset_id",
    "version",
    "mutation_id",
    "event_id",
)


def value(column: str, number: int) -> Any:
    """The value of a column in the event of this number."""
    return number if column == "version" else f"{column}-{number}"


@pytest.fixture(scope="module", params=["sealed", "half", "hot"])
def journal(request: pytest.FixtureRequest, tmp_path_factory: Any) -> Iterator[Journal]:
    """Six events that differ in every column: all sealed, half of them, or none."""
    state: Path = tmp_path_factory.mktemp("state")
    with open_journal(open_store("memory://"), state) as journal:
        for number in range(6):
            values = {column: value(column, number) for column in COLUMNS}
            at = START + timedelta(hours=number)
            journal.record(Event(timestamp=at, old_value="1", new_value="2", **values))
            if request.param == "half" and number == 2:
                journal.seal()
        if request.param == "sealed":
            journal.seal()
        yield journal


@pytest.mark.parametrize("column", COLUMNS)
@pytest.mark.parametrize("number", [0, 4])
def test_each_column(journal: Journal, column: str, number: int) -> None:
    """Equal to, and nothing else."""
    wanted = value(column, number)
    assert [e.event_id for e in journal.query(**{column: wanted}).items] == [f"event_id-{number}"]
    missing: Any = 99 if column == "version" else "nobody"
    assert journal.query(**{column: missing}).items == []


def test_columns_together(journal: Journal) -> None:
    """All conditions must hold."""
    both = journal.query(actor="actor-1", version=1, since=START)
    assert [event.event_id for event in both.items] == ["event_id-1"]
    assert journal.query(actor="actor-1", version=2).items == []


def test_a_span_of_time(journal: Journal) -> None:
    """At or after the one, before the other."""
    since, until = START + timedelta(hours=1), "2026-01-01T03:00:00Z"
    found = journal.query(since=since, until=until).items
    assert [event.event_id for event in found] == ["event_id-2", "event_id-1"]


@pytest.mark.parametrize("wrong", [{"version": "1"}, {"actor": 1}, {"since": "soon"}])
def test_values_of_the_wrong_type(journal: Journal, wrong: dict[str, Any]) -> None:
    """They are refused, not matched with nothing."""
    with pytest.raises(InvalidInput):
        journal.query(**wrong)
