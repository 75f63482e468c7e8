"""Reading: history, recent, pages and scans over sealed, committed and hot events."""

from __future__ import annotations

from datetime import datetime
from pathlib import Path
from typing import Any

import pyarrow.compute as pc
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.fakes.journals import TIME_US, commit, event_ids, open_journal, sample, target

from lakecore.base import InvalidInput
from lakecore.journal import Event, Journal, events_to_arrow
from lakecore.journal._read.pages import blame, in_order
from lakecore.storage import Store, open_store


@pytest.fixture
def store() -> Store:
    return open_store("memory://")


@pytest.fixture
def journal(store: Store, tmp_path: Path) -> Journal:
    """Two sealed segments, a committed and unsealed commit, and hot events."""
    journal = open_journal(store, tmp_path / "state")
    commit(store, journal, target(0), sample("a", 10, version=0, dataset_id="d"))
    journal.seal()
    journal.record_batch(sample("h", 10, first=100))
    journal.seal()
    commit(store, journal, target(1), sample("b", 5, first=200, version=1, dataset_id="d"))
    journal.record_batch(sample("i", 5, first=300))
    return journal


def all_pages(journal: Journal, limit: int, **filters: Any) -> list[str]:
    cursor = None
    found: list[str] = []
    while True:
        page = journal.query(limit=limit, cursor=cursor, **filters)
        assert len(page.items) <= limit
        found += event_ids(page.items)
        cursor = page.next
        if cursor is None:
            return found


def test_recent_is_newest_first(journal: Journal) -> None:
    """Unsealed events first, by time and id, then sealed ones by seq."""
    newest = [f"i:{n}" for n in range(304, 299, -1)] + [f"b:{n}" for n in range(204, 199, -1)]
    sealed = [f"h:{n}" for n in range(109, 99, -1)] + [f"a:{n}" for n in range(9, -1, -1)]
    assert event_ids(journal.recent()) == newest + sealed
    assert [event.seq for event in journal.recent(11)] == [None] * 10 + [19]


@pytest.mark.parametrize("limit", [1, 3, 10, 29, 30, 100])
def test_pages_cover_everything_once(journal: Journal, limit: int) -> None:
    """Pages of any size give every event, in one order."""
    assert all_pages(journal, limit) == event_ids(journal.recent(1000))


@pytest.mark.parametrize("limit", [1, 2, 4, 7])
def test_sealing_between_pages_changes_nothing(journal: Journal, limit: int) -> None:
    """Neither sealing nor new events repeat or hide what was there at the first page."""
    expected = event_ids(journal.recent(1000))
    page = journal.query(limit=limit)
    found = event_ids(page.items)
    journal.seal()
    journal.record_batch(sample("z", 3, first=900))
    while page.next:
        page = journal.query(limit=limit, cursor=page.next)
        found += event_ids(page.items)
    assert found == expected


def test_filters_on_columns_and_time(journal: Journal) -> None:
    """Every column that is given must match; since is inclusive, until is not."""
    second = [f"b:{n}" for n in range(204, 199, -1)]
    assert all_pages(journal, 3, dataset_id="d", version=1) == second
    assert all_pages(journal, 3, mutation_id="h", entity_id="N2") == ["h:107", "h:100"]
    assert all_pages(journal, 3, actor="nobody") == []
    at = "2026-01-01T00:00:00.{:06d}Z"
    between = all_pages(journal, 3, since=at.format(108), until=at.format(201))
    assert between == ["b:200", "h:109", "h:108"]
    assert all_pages(journal, 3, event_id="a:3", action="update", field="seats") == ["a:3"]


def test_bad_questions_are_refused(journal: Journal) -> None:
    """A wrong limit, cursor, time or type is said, not guessed."""
    questions: tuple[dict[str, Any], ...] = (
        {"limit": 0},
        {"limit": 10**9},
        {"cursor": "no cursor"},
        {"cursor": "WzFd"},
        {"since": "yesterday"},
        {"version": "1"},
        {"actor": 7},
    )
    for wrong in questions:
        with pytest.raises(InvalidInput):
            journal.query(**wrong)


def test_history_of_an_entity(journal: Journal) -> None:
    """All events of an entity from everywhere, in order; narrowed on request."""
    expected = ["a:2", "a:9", "h:100", "h:107", "i:303"]
    assert event_ids(journal.entity_history("N2")) == expected
    assert event_ids(journal.entity_history("N2", "plane", dataset_id="d")) == ["a:2", "a:9"]
    assert journal.entity_history("N2", "car") == []
    assert event_ids(journal.blame("N2").values()) == ["i:303"]
    before = event_ids(journal.entity_history("N4"))
    journal.seal()
    assert event_ids(journal.entity_history("N4")) == before


def test_history_of_a_dataset_goes_by_version() -> None:
    """A clock that went back does not reorder versions; direct events go by time."""
    rows = [("d", 0, 50), ("d", 1, 10), ("d", 2, 60), ("", None, 55), ("", None, 5), ("e", 0, 58)]
    events = [
        Event(entity_type="t", entity_id="x", action="update", event_id=f"{number}", field=f"{at}",
              dataset_id=dataset, version=version, timestamp=_at(at))
        for number, (dataset, version, at) in enumerate(rows)
    ]  # fmt: skip
    assert [event.event_id for event in in_order(reversed(events))] == list("401352")
    assert list(blame(events)) == ["50", "10", "60", "55", "5", "58"]


def _at(micros: int) -> datetime:
    from lakecore.journal._events.event import from_microseconds

    return from_microseconds(TIME_US + micros)


@given(
    parts=st.lists(st.tuples(st.integers(1, 4), st.booleans()), max_size=6),
    limit=st.integers(1, 5),
)
@settings(max_examples=15, deadline=None)
def test_pages_whatever_is_sealed(
    parts: list[tuple[int, bool]], limit: int, tmp_path_factory: pytest.TempPathFactory
) -> None:
    """Any mix of batches and seals: pages give each event once."""
    store = open_store("memory://")
    with open_journal(store, tmp_path_factory.mktemp("state")) as journal:
        recorded: list[str] = []
        for number, (count, is_sealed) in enumerate(parts):
            journal.record_batch(sample(f"p{number}", count))
            recorded += [f"p{number}:{n}" for n in range(count)]
            if is_sealed:
                journal.seal()
        assert sorted(all_pages(journal, limit)) == sorted(recorded)
    store.close()


def test_scan_streams_everything(journal: Journal) -> None:
    """All events, sealed first; columns and rows can be chosen."""
    table = journal.scan().read_all()
    assert table.num_rows == 30
    assert table.column("seq").to_pylist() == [*range(20), *[None] * 10]
    few = journal.scan(["event_id", "seq"], pc.field("entity_id") == "N2").read_all()
    assert few.schema.names == ["event_id", "seq"]
    assert few.column("event_id").to_pylist() == ["a:2", "a:9", "h:100", "h:107", "i:303"]
    paths, rest = journal.parts()
    assert (len(paths), rest.num_rows) == (2, 10)


def test_what_is_sealed_while_it_is_read_is_seen_once(journal: Journal, store: Store) -> None:
    """A staged file that goes away after the snapshot is read from its segment."""
    snapshot = journal._scanner.snapshot()
    journal.seal()
    assert list(store.list_objects("journal/staged/")) == []
    tables = [*snapshot.sealed(), *snapshot.unsealed()]
    found = [text for table in tables for text in table.column("event_id").to_pylist()]
    assert len(found) == len(set(found)) == 30


def test_a_partly_sealed_commit_is_seen_once(store: Store, tmp_path: Path) -> None:
    """Of a commit that is sealed in part, the rest comes from the staged file."""
    from tests.fakes.faulty_store import Fault, FaultyStore

    from lakecore.journal._log import parts

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(parts, "MAX_SEGMENT_BYTES", 1)
        faulty = FaultyStore(store, {2: Fault.BEFORE}, stays_down=True)
        journal = open_journal(store, tmp_path / "a")
        image = '"' + "v" * 3_000_000 + '"'
        event = {"entity_type": "t", "entity_id": "x", "action": "insert", "new_value": image}
        rows = [{**event, "event_id": f"big:{n}"} for n in range(20)]
        big = events_to_arrow(rows, now_us=TIME_US)
        commit(store, journal, target(0), big)
        with pytest.raises(Exception, match="planned"):
            open_journal(faulty, tmp_path / "b").seal()
    assert event_ids(journal.entity_history("x")) == [f"big:{n}" for n in range(20)]
    stats = journal.stats()
    assert 0 < stats["tree_size"] < 20
    assert stats["total_events_created"] == 20
    assert stats["pending"]["events"] == 20 - stats["tree_size"]
