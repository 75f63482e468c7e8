"""The name of a hot log: damaged, and had by two copies of one state directory."""

from __future__ import annotations

import shutil
import sqlite3
from pathlib import Path

import pytest
from tests.fakes.compaction import small_ranges
from tests.fakes.journals import commit, open_journal, sample, sealed_ids, target

from lakecore.base import CorruptData
from lakecore.journal import Journal
from lakecore.journal._hot.log import FILE
from lakecore.storage import Store, open_store


@pytest.fixture
def store(tmp_path: Path) -> Store:
    return open_store(str(tmp_path / "lake"))


def ids(prefix: str, count: int) -> list[str]:
    return [f"{prefix}:{number}" for number in range(count)]


def left(journal: Journal) -> None:
    """As a process that is killed leaves it."""
    journal._hot.close()
    journal._footers.close()


def rename(state: Path, statement: str) -> None:
    connection = sqlite3.connect(state / FILE)
    with connection:
        assert connection.execute(statement).rowcount == 1
    connection.close()


FLIP = "UPDATE meta SET log_id = 'f' || substr(log_id, 2)"
DAMAGES = {
    "a character": FLIP,
    "the format": "UPDATE meta SET format = 2",
    "the check": "UPDATE meta SET crc = (crc | 4) - (crc & 4)",
}


@pytest.mark.parametrize("damage", DAMAGES)
@pytest.mark.parametrize("sealed", [True, False], ids=["sealed", "never sealed"])
def test_a_damaged_name_is_refused_and_restored(
    store: Store, tmp_path: Path, damage: str, sealed: bool
) -> None:
    """Nothing is sealed a second time under another name; repair gives the log its own back."""
    state = tmp_path / "state"
    journal = open_journal(store, state)
    journal.record_batch(sample("a", 5))
    if sealed:
        journal.seal()
    journal.record_batch(sample("b", 4))
    left(journal)
    rename(state, DAMAGES[damage])

    journal = open_journal(store, state)
    record = commit(store, journal, target(0), sample("c", 2))
    for call in (journal.seal, lambda: journal.record_batch(sample("d", 1)), journal.stats):
        with pytest.raises(CorruptData, match="name of the hot log") as error:
            call()
        assert error.value.where == str(state / FILE)
        assert "repair" in (error.value.hint or "")
    assert journal._footers.is_sealed(record.commit_id)  # a commit need not wait for that
    assert [item.kind for item in journal.repair(dry_run=True).repairs] == ["hot log"]
    report = journal.repair(actor="ada")
    assert [(item.kind, item.where) for item in report.repairs] == [("hot log", str(state / FILE))]
    assert (report.beyond_repair, report.lost) == ([], 0)
    journal.record_batch(sample("d", 1))
    journal.seal()
    found = sealed_ids(journal)
    assert len(found) == len(set(found)) == 13  # one tells of the repair
    assert {*ids("a", 5), *ids("b", 4), *ids("c", 2), "d:0"} < set(found)
    assert journal.verify(full=True).status == "green"
    journal.close()


def test_a_name_that_nobody_knows_is_not_guessed(store: Store, tmp_path: Path) -> None:
    """Repair says that it cannot know; nothing is sealed twice, nothing is dropped."""
    state = tmp_path / "state"
    journal = open_journal(store, state)
    journal.record_batch(sample("a", 5))
    journal.seal()
    journal.record_batch(sample("b", 4))
    left(journal)
    rename(state, "UPDATE meta SET log_id = 'gone', crc = 0")
    journal = open_journal(store, state)
    report = journal.repair()
    assert report.repairs == []
    assert [problem.where for problem in report.beyond_repair] == [str(state / FILE)]
    with pytest.raises(CorruptData):
        journal.seal()
    connection = sqlite3.connect(state / FILE)
    assert connection.execute("SELECT sum(count) FROM batch").fetchone()[0] >= 4
    connection.close()
    left(journal)


@pytest.mark.parametrize("compacted", [False, True], ids=["segments", "runs"])
@pytest.mark.parametrize("mine", [2, 9], ids=["fewer", "more"])
def test_two_copies_of_a_state_directory(
    store: Store, tmp_path: Path, mine: int, compacted: bool
) -> None:
    """What both have is sealed once. What one has alone is not dropped when the other seals."""
    one, two = tmp_path / "one", tmp_path / "two"
    with small_ranges():
        journal = open_journal(store, one)
        journal.record_batch(sample("a", 16))
        journal.seal()
        journal.record_batch(sample("both", 3))
        left(journal)
        shutil.copytree(one, two)

        first = open_journal(store, one)
        second = open_journal(store, two)
        second.record_batch(sample("second", mine))
        first.record_batch(sample("first", 6))
        first.seal()
        first.record_batch(sample("more", 20))
        first.seal()
        if compacted:
            first.compact(grace_s=0)
        record = commit(store, second, target(0), sample("c", 2))
        with pytest.raises(CorruptData, match="two copies of one hot log") as error:
            second.seal()
        assert "repair" in (error.value.hint or "")
        assert second._footers.is_sealed(record.commit_id)
        before = sealed_ids(first)
        assert before == ids("a", 16) + ids("both", 3) + ids("first", 6) + ids("more", 20) + ids(
            "c", 2
        )
        left(second)

        second = open_journal(store, two)
        if mine < 6:
            with pytest.raises(CorruptData, match="two copies"):
                second.record_batch(sample("late", 1))
        (repair,) = second.repair(actor="ada").repairs
        assert (repair.kind, "offset 19" in repair.reason) == ("hot log", True)
        second.seal()
        assert sealed_ids(second)[len(before) :][:mine] == ids("second", mine)
        first.record_batch(sample("last", 1))
        first.seal()
        found = sealed_ids(first)
        assert len(found) == len(set(found)) == len(before) + mine + 2
        assert first.verify(full=True).status == "green"
        assert second.completeness([]).unreadable == []


def test_a_copy_that_only_fell_behind_is_no_damage(store: Store, tmp_path: Path) -> None:
    """A state directory from a backup holds nothing that was not sealed: it goes on anew."""
    state, backup = tmp_path / "state", tmp_path / "backup"
    journal = open_journal(store, state)
    journal.record_batch(sample("a", 5))
    left(journal)
    shutil.copytree(state, backup)
    journal = open_journal(store, state)
    journal.record_batch(sample("b", 5))
    journal.seal()
    left(journal)
    journal = open_journal(store, backup)
    journal.record_batch(sample("c", 5))
    journal.seal()
    assert sealed_ids(journal) == ids("a", 5) + ids("b", 5) + ids("c", 5)
    assert journal.repair().repairs == []
    journal.close()
