"""`query` by actor and time is exact whatever the clocks did, and wherever the events lie."""

from __future__ import annotations

import random
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from tests.fakes.journals import open_journal

from lakecore.journal import Event, Journal
from lakecore.storage import Store, open_store

START = datetime(2026, 1, 1, tzinfo=UTC)
ACTORS = ("ada", "bob", 'e"ve', "лев")
EVENTS = 900
LONG = '"' + "x" * 20_000 + '"'


def events() -> list[Event]:
    """Events whose clock jumps back and forth by hours, and stands still at times."""
    chance = random.Random(7)
    at = START
    found = []
    for number in range(EVENTS):
        at += timedelta(minutes=chance.choice([1, 1, 1, 0, 200, -180, -20]))
        found.append(
            Event(
                entity_type="plane",
                entity_id=f"N{chance.randrange(50)}",
                field="seats",
                action="update",
                actor=chance.choice(ACTORS),
                timestamp=at,
                version=number // 10 if chance.random() < 0.5 else None,
                new_value=LONG if chance.random() < 0.02 else str(number),
                event_id=f"id-{number}",
            )
        )
    return found


def is_index(path: str) -> bool:
    return path.startswith("journal/index/")


@pytest.fixture(scope="module", params=["disk", "memory", "no index", "half an index"])
def journal(request: pytest.FixtureRequest, tmp_path_factory: Any) -> Iterator[Journal]:
    """Three segments, on a disk or not, with an index, none or a part of it."""
    folder: Path = tmp_path_factory.mktemp("lake")
    store: Store = open_store("memory://" if request.param == "memory" else str(folder / "lake"))
    with open_journal(store, folder / "state") as journal:
        everything = events()
        for start in range(0, EVENTS, EVENTS // 3):
            journal.record_many(everything[start : start + EVENTS // 3])
            journal.seal()
        if "index" in request.param:
            names = [info.path for info in store.list_objects("journal/") if is_index(info.path)]
            for name in names[: 1 if request.param.startswith("half") else None]:
                store.delete(name)
            journal._index.invalidate()
        yield journal


def numbers(events: list[Event]) -> list[str]:
    return [str(event.event_id) for event in events]


@pytest.mark.parametrize("seed", range(20))
def test_an_actor_in_a_span_of_time(journal: Journal, seed: int) -> None:
    """The same events, page for page, as looking at each of them."""
    chance = random.Random(seed)
    times = sorted(event.timestamp for event in events() if event.timestamp)
    since = chance.choice(times) + timedelta(seconds=chance.choice([0, 0, 1, -1]))
    until = since + timedelta(minutes=chance.choice([1, 60, 600, 5000]))
    asked: dict[str, Any] = {"since": since, "until": until}
    if seed % 4:
        asked["actor"] = chance.choice([*ACTORS, "nobody"])
    if seed % 5 == 1:
        del asked["since"]
    expected = [
        event
        for event in reversed(events())
        if event.timestamp is not None
        and asked.get("since", event.timestamp) <= event.timestamp < until
        and asked.get("actor", event.actor) == event.actor
    ]
    found: list[Event] = []
    cursor = None
    for _ in range(EVENTS):
        page = journal.query(**asked, limit=chance.choice([1, 7, 100]), cursor=cursor)
        found += page.items
        cursor = page.next
        if cursor is None:
            break
    assert numbers(found) == numbers(expected)
    assert [e.new_value for e in found] == [e.new_value for e in expected]
    assert [e.timestamp for e in found] == [e.timestamp for e in expected]


def test_a_column_that_may_be_null(journal: Journal) -> None:
    """A version that some events do not have."""
    expected = [event for event in reversed(events()) if event.version == 30]
    assert numbers(journal.query(version=30).items) == numbers(expected)
