"""Verification that goes on where it stopped: what is believed, and what is looked at again."""

from __future__ import annotations

import shutil
import sqlite3
from collections.abc import Iterator
from pathlib import Path

import pytest
from tests.fakes.compaction import small_ranges
from tests.fakes.journals import TIME_US, commit, open_journal, sample, sealed_ids, target

from lakecore.base import CorruptData, ManualClock
from lakecore.journal import Journal
from lakecore.journal._check import verify
from lakecore.journal._check.incremental import FILE
from lakecore.journal._log.runs import SealedRange
from lakecore.journal._log.segment import segment_path
from lakecore.storage import Store, open_store


@pytest.fixture
def store(tmp_path: Path) -> Store:
    return open_store(str(tmp_path / "lake"))


@pytest.fixture
def state(tmp_path: Path) -> Path:
    return tmp_path / "state"


@pytest.fixture
def journal(store: Store, state: Path) -> Journal:
    """Three segments that are verified."""
    journal = open_journal(store, state, clock=ManualClock(TIME_US + 5_000_000))
    for version in range(3):
        commit(store, journal, target(version), sample(f"c{version}", 300))
        journal.record_batch(sample(f"h{version}", 40))
        journal.seal()
    assert journal.verify().earlier is None
    return journal


def test_only_what_is_new_is_recomputed(store: Store, journal: Journal) -> None:
    """The report counts the whole log, and says how much was verified when."""
    commit(store, journal, target(3), sample("d", 10))
    journal.seal()
    report = journal.verify()
    assert (report.status, report.events, report.segments) == ("green", 1030, 4)
    assert report.earlier is not None
    assert (report.earlier.events, report.earlier.at_us) == (1020, TIME_US + 5_000_000)
    assert report.root == journal.stats()["root"] == journal.verify(full=True).root
    assert journal.verify(full=True).earlier is None


def test_commits_and_hot_logs_go_on(store: Store, state: Path) -> None:
    """A commit that is continued behind what was verified is still held against its digest."""
    with small_ranges():
        journal = open_journal(store, state)
        commit(store, journal, target(0), sample("a", 40))
        journal.seal()
        last = sorted(info.path for info in store.list_objects("journal/log/"))[-1]
        whole = store.get(last)
        store.delete(last)
        assert journal.verify().status == "green"
        store.create(last, whole)
        report = journal.verify()
        assert report.status == "green"
        assert report.earlier is not None
        assert report.events == 40


def test_a_touched_file_is_looked_at_again(store: Store, journal: Journal) -> None:
    """Another time or size is enough: from there on everything is recomputed."""
    path = segment_path(340)
    whole = store.get(path)
    store.put(path, whole[:-1] + bytes([whole[-1] ^ 1]))
    report = journal.verify()
    assert report.status == "broken"
    assert {problem.where for problem in report.problems} == {path}
    assert report.earlier is not None
    assert report.earlier.events == 340
    store.put(path, whole)
    assert journal.verify().status == "green"


def test_decay_is_found_by_looking_at_everything(
    store: Store, journal: Journal, tmp_path: Path
) -> None:
    """A bit that flips without a trace in size and time is what `full` is for."""
    import os

    path = store.local_path(segment_path(340))
    assert path is not None
    times = path.stat()
    data = bytearray(path.read_bytes())
    data[100] ^= 1
    path.write_bytes(bytes(data))
    os.utime(path, ns=(times.st_atime_ns, times.st_mtime_ns))
    assert journal.verify().status == "green"
    assert journal.verify(full=True).status == "broken"


def test_a_log_that_got_shorter_is_reported(store: Store, journal: Journal) -> None:
    """The log that is left fits itself; this machine has seen more."""
    store.delete(segment_path(680))
    for full in (False, True):
        report = journal.verify(full=full)
        assert report.status == "broken"
        assert [(p.field, p.expected) for p in report.problems] == [
            ("size", "1020 events, verified before")
        ]


def test_a_log_that_was_rewritten_is_reported(
    store: Store, journal: Journal, tmp_path: Path
) -> None:
    """Another log in the same place is whole in itself, and not the one that was verified."""
    for info in list(store.list_objects("journal/log/")):
        store.delete(info.path)
    other = open_journal(store, tmp_path / "other")
    other.record_batch(sample("x", 340))
    other.seal()
    other.record_batch(sample("y", 700))
    other.seal()
    assert other.verify().status == "green"
    report = journal.verify()
    assert report.status == "broken"
    assert "verified root" in {problem.field for problem in report.problems}


@pytest.mark.parametrize("damage", ["bytes", "state", "root", "none"])
def test_a_damaged_memory_is_only_forgotten(journal: Journal, state: Path, damage: str) -> None:
    """Whatever becomes of it, no wrong green and no traceback: everything is recomputed."""
    path = state / FILE
    if damage == "bytes":
        path.write_bytes(b"not a database")
    elif damage == "none":
        path.unlink()
    else:
        connection = sqlite3.connect(path)
        text = '{"frontier": 7}' if damage == "state" else "00"
        connection.execute(f"UPDATE position SET {damage} = ?", (text,))
        connection.commit()
        connection.close()
    for suffix in ("-wal", "-shm"):
        if damage in ("bytes", "none"):
            path.with_name(path.name + suffix).unlink(missing_ok=True)
    for full in (False, True):
        report = journal.verify(full=full)
        assert (report.status, report.events) == ("green", 1020)


def test_compaction_is_verified_again(store: Store, state: Path) -> None:
    """Rows that were moved are recomputed where they are now."""
    with small_ranges():
        journal = open_journal(store, state)
        for number in range(5):
            journal.record_batch(sample(f"p{number}", 7))
            journal.seal()
        assert journal.verify().status == "green"
        assert journal.compact(grace_s=0).runs
        report = journal.verify()
        assert (report.status, report.events, report.earlier) == ("green", 35, None)
        again = journal.verify()
        assert again.earlier is not None
        assert again.earlier.events == 35


def test_a_copy_of_the_files_is_enough(store: Store, journal: Journal, tmp_path: Path) -> None:
    """Without a state directory, from a folder that is only read."""
    import shutil

    shutil.copytree(tmp_path / "lake", tmp_path / "copy")
    copy = open_journal(open_store(str(tmp_path / "copy")), Path("/proc/nothing/here"))
    report = copy.verify()
    assert (report.status, report.events, report.root) == ("green", 1020, journal.verify().root)
    assert copy.verify().earlier is None


def test_an_older_copy_is_accepted_on_demand_only(tmp_path: Path) -> None:
    """It stays broken, with the next step said, until somebody says that it was meant."""
    lake, state = tmp_path / "lake", tmp_path / "state"
    store = open_store(str(lake))
    with open_journal(store, state) as journal:
        journal.record_batch(sample("a", 5))
        journal.seal()
    shutil.copytree(lake, tmp_path / "older")
    with open_journal(store, state) as journal:
        for prefix in "bcd":
            journal.record_batch(sample(prefix, 5))
            journal.seal()
        assert journal.verify().status == "green"
    shutil.rmtree(lake)
    shutil.copytree(tmp_path / "older", lake)
    with open_journal(store, state) as journal:
        for full in (False, True, False):
            (problem,) = journal.verify(full=full).problems
            assert (problem.field, problem.expected) == ("size", "20 events, verified before")
            assert "`lakecore verify --forget`" in problem.found
        # What was sealed and is gone: all but the last batch, which the hot log still has.
        with pytest.raises(CorruptData, match="not sealed any more"):
            journal.record_batch(sample("e", 5))
        with pytest.raises(CorruptData, match="not sealed any more"):
            journal.seal()
        assert journal.repair().lost == 10
        assert journal.forget_verified(actor="ada", reason="a bad day") == 20
        assert journal.verify().status == "green"
        journal.record_batch(sample("e", 5))
        journal.seal()
        found = [name for name in sealed_ids(journal) if ":" in name]
        assert found == [f"{prefix}:{number}" for prefix in "ade" for number in range(5)]
        (event,) = journal.query(action="verify.forget").items
        assert (event.actor, event.old_value) == ("ada", "20")
        assert "a bad day" in event.context
        for full in (False, True):
            report = journal.verify(full=full)
            assert (report.status, report.problems) == ("green", [])


@pytest.mark.parametrize("full", [False, True])
def test_another_verification_that_sees_more_is_no_loss(
    store: Store, state: Path, monkeypatch: pytest.MonkeyPatch, full: bool
) -> None:
    """What it remembers meanwhile was not there when this one listed the log."""
    real = verify.sealed_ranges
    turns = iter([True])
    with open_journal(store, state) as journal:
        journal.record_batch(sample("a", 5))
        journal.seal()

        def listed(store: Store, *, after: str | None = None) -> Iterator[SealedRange]:
            found = list(real(store, after=after))
            if next(turns, False):
                journal.record_batch(sample("b", 5))
                journal.seal()
                assert journal.verify().events == 10
            yield from found

        monkeypatch.setattr(verify, "sealed_ranges", listed)
        report = journal.verify(full=full)
    assert (report.status, report.problems, report.events) == ("green", [], 5)
