"""An event id that the caller supplies is recorded once, wherever the first one lies by now."""

from __future__ import annotations

import subprocess
import sys
import tempfile
import threading
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from tests.fakes.journals import event_ids, open_journal, sample

from lakecore.base import InvalidInput, ManualClock
from lakecore.journal import Event, Journal, JournalSettings
from lakecore.storage import Store, open_store

DAY_US = 86_400_000_000
STAGED = JournalSettings(background=False, direct="staged", linger_s=0.0)
HOT = JournalSettings(background=False, direct="hot", append_timeout_s=5.0)


def change(event_id: str = "", **more: object) -> dict[str, object]:
    event = {"event_id": event_id, "entity_type": "plane", "entity_id": "N1", "action": "inspect"}
    return event | more


def all_ids(journal: Journal) -> list[str]:
    return sorted(journal.scan(["event_id"]).read_all().column("event_id").to_pylist())


@pytest.fixture(params=["hot", "staged"])
def journal(request: pytest.FixtureRequest, tmp_path: Path) -> Any:
    """A journal of each way in which direct events are acknowledged."""
    modes = {"hot": HOT, "staged": STAGED}
    with open_journal(open_store("memory://"), tmp_path, settings=modes[request.param]) as opened:
        yield opened


@pytest.mark.parametrize("seal", [False, True])
def test_the_same_again_is_recorded_once(journal: Journal, seal: bool) -> None:
    """Each call acknowledges the id again; one event is there, before and after sealing."""
    for attempt in range(3):
        assert journal.record(change("a", actor="ada")) == "a"
        assert journal.record_many([change("a"), change("b")]) == ["a", "b"]
        assert journal.record_batch(pa.Table.from_pylist([change("b"), change("c")])) == 2
        if seal and attempt < 2:
            journal.seal()
    assert all_ids(journal) == ["a", "b", "c"]
    assert journal.stats()["duplicate_ids"] == 0


@pytest.mark.parametrize("seal", [False, True])
def test_other_content_is_refused(journal: Journal, seal: bool) -> None:
    """The error names id, field, both values; nothing of the call is recorded."""
    journal.record_many([change("a", actor="ada", new_value="1"), change("x")])
    if seal:
        journal.seal()
    with pytest.raises(InvalidInput) as refused:
        journal.record_many([change("new"), change("x"), change("a", actor="bob")])
    text = str(refused.value)
    assert all(part in text for part in ("row 2", "'a'", "field actor", "'ada'", "'bob'"))
    with pytest.raises(InvalidInput, match="new_value"):
        journal.record(change("a", new_value=None))
    with pytest.raises(InvalidInput, match="timestamp"):
        journal.record(change("a", timestamp="2026-01-01T00:00:00Z"))
    with pytest.raises(InvalidInput) as long:
        journal.record(change("a", context='{"text":"' + "x" * 100_000 + '"}'))
    assert len(str(long.value)) < 1_000
    assert all_ids(journal) == ["a", "x"]


def test_only_what_is_given_is_compared(journal: Journal) -> None:
    """A mapping gives the fields that it has; an `Event` all but a missing timestamp."""
    journal.record(change("a", actor="ada", source="cli", dataset="planes"))
    journal.record(change("a"))
    journal.record(change("a", actor="ada", source=None))
    with pytest.raises(InvalidInput, match="actor"):
        journal.record(Event(event_id="a", entity_type="plane", entity_id="N1", action="inspect"))
    journal.record(
        Event(
            event_id="a",
            entity_type="plane",
            entity_id="N1",
            action="inspect",
            actor="ada",
            source="cli",
            dataset="planes",
        )
    )
    table = pa.Table.from_pylist([change("a", actor="ada"), change("a", actor=None)])
    assert journal.record_batch(table) == 2
    assert all_ids(journal) == ["a"]


def test_one_id_twice_in_a_batch(journal: Journal) -> None:
    """Equal ones collapse, also after new ones; others refuse the batch."""
    assert journal.record_many([change("a"), change(), change("a")])[::2] == ["a", "a"]
    with pytest.raises(InvalidInput, match="actor"):
        journal.record_many([change("b"), change("c"), change("b", actor="bob")])
    assert len(all_ids(journal)) == 2
    assert "a" in all_ids(journal)


def test_a_large_batch_again(journal: Journal) -> None:
    """Delivered once more in part and in another order, a batch adds what is new."""
    journal.record_batch(sample("m", 500))
    journal.record_batch(sample("m", 700).take(list(reversed(range(100, 700)))))
    journal.seal()
    assert journal.record_batch(sample("m", 700)) == 700
    assert len(all_ids(journal)) == 700


def test_generated_ids_are_not_looked_up(tmp_path: Path) -> None:
    """An id that the journal gave is not kept apart: it may be anybody's."""
    with open_journal(open_store("memory://"), tmp_path, settings=HOT) as journal:
        given = journal.record(change())
        assert journal.record(change(given)) == given
        assert all_ids(journal) == [given, given]


def test_threads_with_the_same_ids(tmp_path: Path) -> None:
    """Whoever comes first records; all are acknowledged, while others seal."""
    with open_journal(open_store("memory://"), tmp_path, settings=HOT) as journal:
        errors: list[BaseException] = []

        def deliver() -> None:
            try:
                for start in range(0, 200, 5):
                    journal.record_many([change(f"e{n}") for n in range(start, start + 10)])
            except BaseException as error:
                errors.append(error)

        threads = [threading.Thread(target=deliver) for _ in range(4)]
        for thread in threads:
            thread.start()
        while any(thread.is_alive() for thread in threads):
            journal.seal()
        for thread in threads:
            thread.join()
        assert not errors
        journal.seal()
        assert all_ids(journal) == sorted(f"e{n}" for n in range(205))
        assert journal.stats()["duplicate_ids"] == 0


_DELIVER = """
import sys
from pathlib import Path
from lakecore.journal import Journal, JournalSettings
from lakecore.storage import open_store
root, seals = Path(sys.argv[1]), sys.argv[2] == "seals"
store = open_store(str(root / "lake"))
journal = Journal.open(store, root / "state", settings=JournalSettings(background=False))
for start in range(0, 120, 3):
    rows = [dict(event_id=f"e{n}", entity_type="t", entity_id="x", action="a", actor="ada")
            for n in range(start, start + 6)]
    journal.record_many(rows)
    if seals and start % 30 == 0:
        journal.seal()
journal.close()
"""


def test_processes_with_the_same_ids(tmp_path: Path) -> None:
    """Three processes deliver the same, one of them seals at times: everything is there once."""
    runs = [
        subprocess.Popen([sys.executable, "-c", _DELIVER, str(tmp_path), how])
        for how in ("seals", "no", "no")
    ]
    assert [run.wait(timeout=120) for run in runs] == [0, 0, 0]
    with open_journal(open_store(str(tmp_path / "lake")), tmp_path / "state") as journal:
        journal.seal()
        assert all_ids(journal) == sorted(f"e{n}" for n in range(123))
        assert journal.verify().status == "green"


def test_after_the_state_directory_is_lost(tmp_path: Path) -> None:
    """The ids of sealed events are read from the segments, also by another machine."""
    store = open_store(str(tmp_path / "lake"))
    with open_journal(store, tmp_path / "one") as journal:
        journal.record_many([change("a", actor="ada"), change(), change("b")])
        journal.seal()
        journal.record_many([change() for _ in range(3)])
        journal.seal()
    with open_journal(store, tmp_path / "two") as other:
        assert other.record(change("a")) == "a"
        with pytest.raises(InvalidInput, match="actor"):
            other.record(change("b", actor="bob"))
        assert len(all_ids(other)) == 6


@pytest.mark.parametrize("is_known", [True, False], ids=["same process", "another machine"])
def test_the_window_ends(tmp_path: Path, is_known: bool) -> None:
    """After the declared days from sealing on, an id may be used again, for anything."""
    clock = ManualClock(1_700_000_000_000_000)
    store = open_store(str(tmp_path / "lake"))
    window = JournalSettings(background=False, idempotency_days=2)
    with open_journal(store, tmp_path / "one", clock=clock, settings=window) as journal:
        journal.record(change("a", actor="ada"))
        journal.seal()
        clock.advance(2 * DAY_US)
        other = (
            journal
            if is_known
            else open_journal(store, tmp_path / "two", clock=clock, settings=window)
        )
        other.record(change("a"))
        with pytest.raises(InvalidInput):
            other.record(change("a", actor="bob"))
        clock.advance(1)
        other.record(change("a", actor="bob"))
        other.record(change("a", actor="bob"))
        other.seal()
        assert all_ids(other) == ["a", "a"]
        assert other.stats()["duplicate_ids"] == 0
        other.close()


def two_machines(store: Store, tmp_path: Path) -> tuple[Journal, Journal]:
    return (
        open_journal(store, tmp_path / "one", settings=STAGED),
        open_journal(store, tmp_path / "two", settings=STAGED),
    )


def test_two_machines_see_what_is_staged(tmp_path: Path) -> None:
    """Before it is sealed, and while another machine seals it."""
    one, two = two_machines(open_store("memory://"), tmp_path)
    one.record(change("a", actor="ada"))
    two.record(change("a"))
    with pytest.raises(InvalidInput, match="actor"):
        two.record(change("a", actor="bob"))
    one.seal()
    two.record(change("a", actor="ada"))
    with pytest.raises(InvalidInput, match="actor"):
        two.record_many([change("b"), change("a", actor="bob")])
    assert all_ids(two) == ["a"]
    one.close()
    two.close()


def test_a_race_of_two_machines_is_flagged(tmp_path: Path) -> None:
    """Both stored the id before either could see the other: sealing counts the second."""
    store = open_store("memory://")
    one = open_journal(store, tmp_path / "one", settings=HOT)
    two = open_journal(store, tmp_path / "two", settings=HOT)
    one.record(change("a", actor="ada"))
    two.record(change("a", actor="bob"))
    one.seal()
    assert one.stats()["duplicate_ids"] == 0
    two.seal()
    assert two.stats()["duplicate_ids"] == 1
    assert sorted(event.actor for event in two.recent()) == ["ada", "bob"]
    one.close()
    two.close()
    with open_journal(store, tmp_path / "three", settings=HOT) as three:
        assert three.stats()["duplicate_ids"] == 1
        assert event_ids(three.recent()) == ["a", "a"]


_events = st.lists(
    st.fixed_dictionaries(
        {"event_id": st.sampled_from(["", "", "a", "b", "c", "d"])},
        optional={"actor": st.sampled_from(["ada", "bob"]), "new_value": st.sampled_from(["1"])},
    ),
    min_size=1,
    max_size=6,
)
_steps = st.lists(st.one_of(_events, st.just("seal"), st.just("open")), max_size=8)


def model(stored: dict[str, dict[str, Any]], batch: list[dict[str, Any]]) -> bool:
    """What a batch leaves; False when it is refused. One event after another."""
    after = dict(stored)
    for event in batch:
        name = event["event_id"]
        if name and name in after:
            if any(after[name].get(key) != event[key] for key in event):
                return False
        elif name:
            after[name] = {"actor": "", "new_value": None} | event
    stored.update(after)
    return True


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(_steps, st.sampled_from([HOT, STAGED]))
def test_any_mix_of_ids_against_a_model(steps: list[Any], mode: JournalSettings) -> None:
    """Batches with and without ids, sealed and reopened at any time."""
    stored: dict[str, dict[str, Any]] = {}
    anonymous = 0
    store = open_store("memory://")
    with tempfile.TemporaryDirectory() as state:
        journal = open_journal(store, Path(state), settings=mode)
        for step in steps:
            if step == "seal":
                journal.seal()
            elif step == "open":
                journal.close()
                journal = open_journal(store, Path(state), settings=mode)
            elif model(stored, step):
                journal.record_many([change(**event) for event in step])
                anonymous += sum(not event["event_id"] for event in step)
            else:
                with pytest.raises(InvalidInput):
                    journal.record_many([change(**event) for event in step])
        table = journal.scan(["event_id", "actor", "new_value"]).read_all().to_pylist()
        journal.close()
    found = {row["event_id"]: row for row in table if row["event_id"] in "abcd"}
    assert found == stored
    assert len(table) == len(stored) + anonymous
