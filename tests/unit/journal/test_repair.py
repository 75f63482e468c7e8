"""Repair: the rest works again, nothing is deleted, and what is lost is said."""

from __future__ import annotations

import json
import os
import signal
import sqlite3
from collections.abc import Callable
from pathlib import Path

import pytest
from tests.fakes.faulty_store import Fault, FaultyStore
from tests.fakes.journals import (
    commit,
    event_ids,
    open_journal,
    sample,
    sealed_ids,
    target,
)
from tests.fakes.killing_store import KillingStore

from lakecore.base import CorruptData, LakecoreError
from lakecore.journal import Journal
from lakecore.storage import Store, open_store


@pytest.fixture
def store(tmp_path: Path) -> Store:
    return open_store(str(tmp_path / "lake"))


@pytest.fixture
def state(tmp_path: Path) -> Path:
    return tmp_path / "state"


@pytest.fixture
def journal(store: Store, state: Path) -> Journal:
    """Sealed events, three hot batches, a staged commit."""
    journal = open_journal(store, state)
    commit(store, journal, target(0), sample("a", 40))
    journal.seal()
    for prefix, count in (("h", 3), ("i", 50), ("k", 4)):
        journal.record_batch(sample(prefix, count))
    commit(store, journal, target(1), sample("b", 300))
    return journal


def damage_batch(state: Path, offset: int, change: str = "data") -> bytes:
    """Flip a bit in a batch, or set a column to nonsense; returns its bytes as they are then."""
    connection = sqlite3.connect(state / "hot.sqlite")
    (data,) = connection.execute("SELECT data FROM batch WHERE first = ?", (offset,)).fetchone()
    if change == "data":
        damaged = bytearray(data)
        damaged[len(data) // 2] ^= 4
        data = bytes(damaged)
        connection.execute("UPDATE batch SET data = ? WHERE first = ?", (data, offset))
    else:
        connection.execute(f"UPDATE batch SET {change} = 77 WHERE first = ?", (offset,))
    connection.commit()
    connection.close()
    return bytes(data)


def damage(store: Store, path: str, at: int = 0) -> bytes:
    data = bytearray(store.get(path))
    data[at or len(data) // 2] ^= 64
    store.put(path, bytes(data))
    return bytes(data)


def staged(store: Store) -> str:
    (info,) = store.list_objects("journal/staged/")
    return info.path


def objects(store: Store) -> list[tuple[str, bytes]]:
    return [(info.path, store.get(info.path)) for info in store.list_objects("tables/")]


def test_nothing_is_done_where_nothing_is_damaged(store: Store, journal: Journal) -> None:
    """No event, no file, no loss."""
    before = [info.path for info in store.list_objects("")]
    report = journal.repair()
    assert (report.repairs, report.beyond_repair, report.lost) == ([], [], 0)
    assert [info.path for info in store.list_objects("")] == before
    assert journal.seal() == 357


@pytest.mark.parametrize("change", ["data", "crc", "encoding"])
def test_events_behind_a_damaged_batch_are_sealed(
    store: Store, journal: Journal, state: Path, change: str
) -> None:
    """Its events are lost and said so, one by one; those behind it are there."""
    damaged = damage_batch(state, 3, change)
    with pytest.raises(LakecoreError, match="hot log"):
        journal.seal()
    broken = journal.completeness(objects(store))
    assert [problem.where for problem in broken.unreadable] == [f"{state}/hot.sqlite, offset 3"]
    report = journal.repair(actor="ada")
    (repair,) = report.repairs
    assert (repair.kind, report.lost) == ("hot batch", 50)
    assert Path(repair.moved_to).read_bytes() == damaged
    if change != "data":
        assert repair.loss is not None
        assert repair.loss.event_ids[:2] == ("i:0", "i:1") or change == "encoding"
    journal.seal()
    assert (journal.verify().status, journal.completeness(objects(store)).ok) == ("green", True)
    ids = sealed_ids(journal)
    assert [name for name in ids if name[0] in "hk" and ":" in name] == [
        *(f"h:{n}" for n in range(3)),
        *(f"k:{n}" for n in range(4)),
    ]
    lost = journal.query(action="lost", limit=100).items
    assert len(lost) == 50
    assert json.loads(lost[-1].context)["offset"] == 3
    (said,) = journal.query(action="repair").items
    assert (said.entity_type, said.actor) == ("journal", "ada")
    assert json.loads(said.new_value or "")["repairs"][0]["loss"]["count"] == 50
    assert journal.repair().repairs == []


@pytest.mark.parametrize("offset", [3, 53])
def test_a_wrong_number_of_events_loses_none(journal: Journal, state: Path, offset: int) -> None:
    """The bytes of a batch say how many events it has; what stands beside them may be wrong."""
    damage_batch(state, offset, "count")
    assert journal.repair().lost == 0
    journal.seal()
    assert journal.verify().status == "green"
    assert [name[0] for name in sealed_ids(journal)].count("i") == 50
    assert [name[0] for name in sealed_ids(journal)].count("k") == 4


def test_a_dry_run_changes_nothing(store: Store, journal: Journal, state: Path) -> None:
    """It says the same, and everything is as damaged as before."""
    damage_batch(state, 3)
    damage(store, staged(store))
    before = {info.path: store.get(info.path) for info in store.list_objects("")}
    planned = journal.repair(dry_run=True)
    assert {info.path: store.get(info.path) for info in store.list_objects("")} == before
    assert not (state / "quarantine").exists()
    assert planned.dry_run
    assert journal.repair().repairs == planned.repairs


def test_a_damaged_staged_file_is_moved_away(store: Store, journal: Journal) -> None:
    """Its commit's events are missing, which completeness says by the name of the commit."""
    path = staged(store)
    with pytest.raises(CorruptData):
        (damage(store, path, 4_000), journal.seal())
    damaged = store.get(path)
    report = journal.repair()
    (repair,) = report.repairs
    assert (repair.kind, repair.where, report.lost) == ("staged file", path, 300)
    assert repair.loss is not None
    assert repair.loss.commit == target(1).path
    assert store.get(repair.moved_to) == damaged
    assert not store.exists(path)
    journal.seal()
    complete = journal.completeness(objects(store))
    assert [(p.where, p.field, p.found) for p in complete.missing] == [
        (target(1).path, "event_count", "0")
    ]
    assert journal.verify().status == "green"


def test_sealed_damage_is_beyond_repair(store: Store, journal: Journal) -> None:
    """A segment stays where it is, named with its column."""
    path = "journal/log/00000000000000000000.parquet"
    whole = store.get(path)
    damage(store, path)
    damaged = store.get(path)
    report = journal.repair()
    assert report.repairs == []
    assert {problem.where for problem in report.beyond_repair} == {path}
    assert store.get(path) == damaged
    store.put(path, whole)
    assert journal.verify().status == "green"


def test_derived_files_are_built_again(store: Store, state: Path) -> None:
    """Index, tiles and cache: gone or right afterwards, and every answer as before."""
    with Journal.open(store, state, origin="example.com/log") as journal:
        journal.record_batch(sample("t", 66_000))
        journal.seal()
        journal.checkpoint()
        expected = event_ids(journal.entity_history("N3"))
        index = next(i.path for i in store.list_objects("journal/index/"))
        tile = next(i.path for i in store.list_objects("journal/tiles/"))
        damage(store, index)
        damage(store, tile, 5)
        report = journal.verify(full=True)
        assert report.status == "green"
        assert {problem.where for problem in report.derived} == {index, tile}
        repaired = journal.repair()
        assert {repair.where for repair in repaired.repairs} == {index, tile}
        assert event_ids(journal.entity_history("N3")) == expected
        journal.record_batch(sample("u", 10))
        journal.seal()
        journal.checkpoint()
        assert journal.verify(full=True).derived == []
    cache = state / "footers-3.sqlite"
    cache.write_bytes(cache.read_bytes()[:5000] + bytes(3000))
    with open_journal(store, state) as journal:
        journal.repair()
        found = event_ids(journal.entity_history("N3"))
        assert [name for name in found if not name.startswith("u")] == expected


def test_a_damaged_row_is_named_by_its_field(store: Store, state: Path) -> None:
    """The line of the index is the one that was sealed: it tells the field and its value."""
    from tests.unit.journal.test_verify import rewrite, set_cell

    journal = open_journal(store, state)
    journal.record_batch(sample("a", 500))
    journal.seal()
    rewrite(store, 0, lambda t, f: (set_cell(t, "actor", 77, "eve"), f))
    rows = [problem for problem in journal.verify().problems if problem.row is not None]
    assert [(p.row, p.field, p.found) for p in rows] == [(77, "actor", '"eve"')]
    assert rows[0].expected == '"ada" (by the line index)'


@pytest.mark.parametrize("fault", [Fault.BEFORE, Fault.AFTER])
def test_a_repair_that_fails_is_done_again(
    store: Store, journal: Journal, state: Path, fault: Fault
) -> None:
    """Whichever write fails, before or after it is stored: the next repair ends it."""
    path = staged(store)
    damage(store, path, 4_000)
    damage_batch(state, 3)
    damaged = store.get(path)
    journal.close = lambda: None  # type: ignore[method-assign]  # the state is shared below
    for number in (1, 2):
        faulty = FaultyStore(store, {number: fault})
        again = open_journal(faulty, state)
        with pytest.raises(LakecoreError):
            again.repair()
    final = open_journal(store, state)
    final.repair()
    assert final.repair().repairs == []
    assert not store.exists(path)
    kept = [info.path for info in store.list_objects("journal/quarantine/")]
    assert [store.get(name) for name in kept] == [damaged]
    final.seal()
    assert final.verify().status == "green"
    assert [name for name in sealed_ids(final) if name.startswith("k")] == [
        f"k:{n}" for n in range(4)
    ]


@pytest.mark.parametrize("step", ["store 1", "store 2", "said", "kept", "replaced"])
def test_a_repair_that_is_killed_is_done_again(
    store: Store, journal: Journal, state: Path, step: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Killed at each step, in another process: nothing is gone that was not kept before."""
    path = staged(store)
    damage(store, path, 4_000)
    damage_batch(state, 3)
    journal._footers.close()
    child = os.fork()
    if child == 0:
        _repair_and_die(store, state, step)
    _, status = os.waitpid(child, 0)
    assert os.WIFSIGNALED(status)
    assert os.WTERMSIG(status) == signal.SIGKILL
    kept = [info.path for info in store.list_objects("journal/quarantine/")]
    assert store.exists(path) or kept
    with open_journal(store, state) as again:
        again.repair()
        assert again.repair().repairs == []
        again.seal()
        assert again.verify().status == "green"
        assert len(again.query(action="lost", limit=100).items) == 50
        assert again.query(action="repair").items
        assert [name for name in sealed_ids(again) if name.startswith("k")] == [
            f"k:{n}" for n in range(4)
        ]


def _repair_and_die(store: Store, state: Path, step: str) -> None:
    from lakecore.journal._check import repair
    from lakecore.journal._check.hot_damage import HotDamage

    def after(act: Callable[..., object]) -> Callable[..., object]:
        def killed(*arguments: object) -> object:
            act(*arguments)
            os.kill(os.getpid(), signal.SIGKILL)
            return None

        return killed

    try:
        faults = {int(step[-1]): Fault.AFTER} if step.startswith("store") else {}
        dying = open_journal(KillingStore(store, faults), state)
        if step == "said":
            dying.record = after(dying.record)  # type: ignore[method-assign,assignment]  # to die
        elif step == "kept":
            repair.keep = after(repair.keep)  # type: ignore[assignment]  # to die there
        elif step == "replaced":
            HotDamage.replace = after(HotDamage.replace)  # type: ignore[assignment,method-assign]  # to die
        dying.repair()
    finally:
        os._exit(0)
