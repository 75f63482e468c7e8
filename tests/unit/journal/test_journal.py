"""The face: recording, the seed's calls, background sealing, closing, statistics."""

from __future__ import annotations

import subprocess
import sys
import threading
import time
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path

import pytest
from tests.fakes.faulty_store import Fault, FaultyStore
from tests.fakes.journals import commit, event_ids, open_journal, sample, sealed_ids, target

from lakecore.base import InvalidInput, ManualClock, Unavailable
from lakecore.journal import Event, JournalSettings
from lakecore.journal._log.background import BackgroundSealer
from lakecore.storage import Store, open_store


@pytest.fixture
def store() -> Store:
    return open_store("memory://")


def wait_for(condition: Callable[[], bool], timeout_s: float = 10.0) -> None:
    deadline = time.monotonic() + timeout_s
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.01)


def test_defaults_of_recorded_events(store: Store, tmp_path: Path) -> None:
    """Id and time are given where they are missing; the caller's own are kept."""
    journal = open_journal(store, tmp_path, clock=ManualClock(1_700_000_000_000_000))
    first = journal.record({"entity_type": "t", "entity_id": "x", "action": "insert"})
    own = Event(
        entity_type="t", entity_id="x", action="update", event_id="mine",
        timestamp=datetime(2026, 1, 1, tzinfo=UTC),
    )  # fmt: skip
    assert journal.record(own) == "mine"
    many = journal.record_many([{"entity_type": "t", "entity_id": "x", "action": "delete"}, own])
    assert (len(many), many[1]) == (2, "mine")
    assert journal.record_batch(sample("a", 3)) == 3
    assert (journal.record_many([]), journal.record_batch(sample("a", 0))) == ([], 0)
    by_id = {event.event_id: event for event in journal.recent()}
    assert by_id[first].timestamp == datetime(2023, 11, 14, 22, 13, 20, tzinfo=UTC)
    assert by_id["mine"].timestamp == own.timestamp


def test_the_calls_of_the_seed(store: Store, tmp_path: Path) -> None:
    """record_insert, _update, _delete, _ingest; values become JSON text."""
    journal = open_journal(store, tmp_path)
    journal.record_insert("candidate", "CAND-1", "Sarah", "api", "")
    journal.record_update("candidate", "CAND-1", "phone", None, "555", "Sarah", "agent", "w1")
    journal.record_delete("candidate", "CAND-1", "Sarah", "api", "")
    journal.record_ingest("candidate", 12, "ingest_pipeline", "people.csv")
    events = journal.entity_history("CAND-1", "candidate")
    assert [event.action for event in events] == ["insert", "update", "delete"]
    update = journal.blame("CAND-1")["phone"]
    assert (update.old_value, update.new_value, update.workspace_id) == ("null", '"555"', "w1")
    assert (events[0].field, events[0].old_value, events[0].new_value) == ("*", None, None)
    ingest = journal.recent(1)[0]
    assert (ingest.entity_id, ingest.source) == ("batch:12", "ingest")
    assert ingest.new_value == '"12 rows from people.csv"'
    stats = journal.stats()
    assert (stats["buffer_events"], stats["persisted_files"]) == (4, 0)
    assert journal.flush() == 4
    stats = journal.stats()
    assert (stats["buffer_events"], stats["persisted_files"]) == (0, 1)
    assert (stats["total_events_created"], stats["tree_size"]) == (4, 4)
    assert stats["flush_threshold"] == 65_536
    assert len(stats["root"]) == 64


def test_refused_events_leave_nothing(store: Store, tmp_path: Path) -> None:
    """All or none: one bad event in a batch and nothing is recorded."""
    journal = open_journal(store, tmp_path)
    with pytest.raises(InvalidInput):
        journal.record({"entity_type": "t", "entity_id": "x", "action": "a", "colour": "red"})
    good = {"entity_type": "t", "entity_id": "x", "action": "a"}
    with pytest.raises(InvalidInput):
        journal.record_many([good, {**good, "new_value": "not json"}])
    assert journal.recent() == []


def test_sealing_by_threshold_and_by_time(store: Store, tmp_path: Path) -> None:
    """The thread seals when enough waits, and else when the time has come."""
    by_count = JournalSettings(seal_events=10, seal_interval_s=60)
    with open_journal(store, tmp_path / "a", settings=by_count) as journal:
        journal.record_batch(sample("a", 9))
        time.sleep(0.05)
        assert journal.stats()["tree_size"] == 0
        journal.record_batch(sample("b", 1))
        wait_for(lambda: journal.stats()["tree_size"] == 10)
    by_time = JournalSettings(seal_interval_s=0.05)
    with open_journal(store, tmp_path / "b", settings=by_time) as journal:
        journal.record_batch(sample("c", 1))
        commit(store, journal, target(0), sample("d", 2))
        wait_for(lambda: journal.stats()["tree_size"] == 13)


def test_closing_seals_what_this_process_recorded(store: Store, tmp_path: Path) -> None:
    """A journal that only read does not write when it is closed."""
    with open_journal(store, tmp_path) as journal:
        journal.record_batch(sample("a", 3))
    journal.close()
    with open_journal(FaultyStore(store, {1: Fault.BEFORE}), tmp_path) as reader:
        assert len(reader.recent()) == 3
    assert len(sealed_ids(open_journal(store, tmp_path))) == 3


def test_errors_of_the_thread_are_shown(store: Store, tmp_path: Path) -> None:
    """A store that is down is in the stats, and raised by the next seal; then all is sealed."""
    faulty = FaultyStore(store, {1: Fault.BEFORE, 2: Fault.BEFORE})
    settings = JournalSettings(seal_events=1, seal_interval_s=30)
    journal = open_journal(faulty, tmp_path, settings=settings)
    journal.record_batch(sample("a", 1))
    wait_for(lambda: journal.stats()["seal_errors"] == 1)
    assert "planned fault" in journal.stats()["last_seal_error"]
    with pytest.raises(Unavailable, match="planned"):
        journal.seal()
    journal.close()
    assert sealed_ids(open_journal(store, tmp_path)) == ["a:0"]


def test_closing_says_when_it_could_not_seal(store: Store, tmp_path: Path) -> None:
    """The error is raised, the journal is closed all the same, the next one finds everything."""
    journal = open_journal(FaultyStore(store, {1: Fault.BEFORE}), tmp_path)
    journal.record_batch(sample("a", 1))
    with pytest.raises(Unavailable):
        journal.close()
    journal.close()
    with pytest.raises(InvalidInput, match="closed"):
        journal.record_batch(sample("a", 1))
    assert open_journal(store, tmp_path).seal() == 1


def test_a_sleeping_sealer_holds_up_nobody(store: Store, tmp_path: Path) -> None:
    """Events are acknowledged and read while a seal hangs in a slow write."""
    slow = FaultyStore(store, {1: Fault.SLOW}, slow_s=1.0)
    settings = JournalSettings(seal_events=1)
    with open_journal(slow, tmp_path, settings=settings) as journal:
        journal.record_batch(sample("a", 1))
        wait_for(lambda: slow.writes == 1)
        began = time.monotonic()
        journal.record_batch(sample("b", 1))
        assert sorted(event_ids(journal.recent())) == ["a:0", "b:0"]
        assert time.monotonic() - began < 0.9
    assert sealed_ids(open_journal(store, tmp_path)) == ["a:0", "b:0"]


def test_sixty_four_threads(store: Store, tmp_path: Path) -> None:
    """64 threads record while a thread seals: everything once, verified."""
    settings = JournalSettings(seal_events=50, seal_interval_s=0.02)
    with open_journal(store, tmp_path, settings=settings) as journal:

        def work(number: int) -> None:
            for turn in range(4):
                journal.record_many([_event(f"{number}-{turn}")])

        threads = [threading.Thread(target=work, args=(number,)) for number in range(64)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    journal = open_journal(store, tmp_path)
    found = sealed_ids(journal)
    assert len(found) == len(set(found)) == 256
    assert journal.verify().status == "green"


def _event(event_id: str) -> dict[str, object]:
    return {"entity_type": "t", "entity_id": "x", "action": "a", "event_id": event_id}


def test_the_thread_backs_off() -> None:
    """Errors make pauses longer, and an explicit seal ends them."""
    calls: list[float] = []

    def fail() -> None:
        calls.append(time.monotonic())
        raise Unavailable("down")

    sealer = BackgroundSealer(fail, seal_events=1, interval_s=0.02)
    sealer.notify(1)
    wait_for(lambda: len(calls) >= 3)
    assert sealer.error_count >= 2
    assert calls[2] - calls[1] > 0.1
    sealer.stop()
    assert sealer.is_due
    sealer.sealed()
    assert not sealer.is_due
    assert sealer.last_error is None


def test_importing_the_journal_is_light() -> None:
    """Mentioning the journal imports neither Arrow nor Polars nor SQLite."""
    code = (
        "import sys, lakecore.journal; from lakecore.journal import Event, Author; "
        "print([m for m in ('pyarrow', 'polars', 'sqlite3', 'numpy') if m in sys.modules])"
    )
    answer = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True
    )
    assert answer.stdout.strip() == "[]"
