"""Sealing: order, exactly once, fates, large commits, several sealers, damage."""

from __future__ import annotations

import threading
from pathlib import Path

import pytest
from tests.fakes.faulty_store import Fault, FaultyStore
from tests.fakes.journals import (
    MANUAL,
    commit,
    delta_commit,
    open_journal,
    sample,
    seal_until_done,
    sealed_ids,
    stage,
    target,
)

from lakecore.base import CorruptData, ManualClock, Unavailable
from lakecore.base.limits import SEGMENT_EVENTS
from lakecore.journal import Journal, JournalSettings, StagedReader, Staging
from lakecore.journal._log import parts
from lakecore.journal._log.segment import FOLDER, read_footer
from lakecore.storage import Store, open_store


@pytest.fixture
def store() -> Store:
    return open_store("memory://")


@pytest.fixture
def journal(store: Store, tmp_path: Path) -> Journal:
    return open_journal(store, tmp_path / "state", clock=ManualClock())


def staged_files(store: Store) -> list[str]:
    return [info.path for info in store.list_objects("journal/staged/")]


def segments(store: Store) -> list[str]:
    return [info.path for info in store.list_objects(FOLDER)]


def ids(prefix: str, count: int) -> list[str]:
    return [f"{prefix}:{number}" for number in range(count)]


def test_commits_in_order_then_hot_events(store: Store, journal: Journal) -> None:
    """Commits by time, target and version, then the hot log; all numbered from 0."""
    journal.record_batch(sample("hot", 3))
    commit(store, journal, target(2), sample("late", 2))
    commit(store, journal, target(1), sample("early", 2))
    assert journal.seal() == 7
    assert sealed_ids(journal) == ids("early", 2) + ids("late", 2) + ids("hot", 3)
    assert staged_files(store) == []
    assert journal.verify().status == "green"
    assert journal.seal() == 0
    assert len(segments(store)) == 1


def test_fates_decide(store: Store, journal: Journal) -> None:
    """Undecided ones stay, dead ones go, and only committed ones are sealed."""
    undecided = stage(journal, target(9), sample("undecided", 2))
    dead = stage(journal, target(1), sample("dead", 2))
    lost = stage(journal, target(2), sample("lost", 2))
    commit(store, journal, target(1), sample("won", 2))
    store.create(target(2).path, delta_commit(None))
    assert journal.seal() == 2
    assert sealed_ids(journal) == ids("won", 2)
    assert staged_files(store) == [f"journal/staged/{undecided.commit_id}.arrow"]
    assert {dead.commit_id, lost.commit_id}.isdisjoint(staged_files(store))
    store.create(target(9).path, delta_commit(undecided))  # a put that lands late
    assert journal.seal() == 2
    assert sealed_ids(journal) == ids("won", 2) + ids("undecided", 2)


def test_unreadable_is_not_dead(store: Store, journal: Journal) -> None:
    """A torn target decides nothing: the events stay, others are sealed, and it is said."""
    record = stage(journal, target(1), sample("torn", 2))
    store.create(target(1).path, delta_commit(record)[:-5])
    commit(store, journal, target(2), sample("whole", 2))
    with pytest.raises(CorruptData, match=target(1).path):
        journal.seal()
    assert sealed_ids(journal) == ids("whole", 2)
    assert len(staged_files(store)) == 1
    store.put(target(1).path, delta_commit(record))
    assert journal.seal() == 2


def test_a_staged_file_must_have_the_commits_digest(store: Store, journal: Journal) -> None:
    """Other events than the commit names are never sealed, and never deleted."""
    record = commit(store, journal, target(1), sample("a", 5))
    path = f"journal/staged/{record.commit_id}.arrow"
    elsewhere = open_store("memory://")
    with Staging(elsewhere, target(1), commit_id=record.commit_id) as forged:
        forged.write(sample("forged", 5))
        forged.finish([])
    store.put(path, elsewhere.get(path))
    journal.record_batch(sample("hot", 1))
    with pytest.raises(CorruptData, match="does not have the events"):
        journal.seal()
    assert sealed_ids(journal) == ids("hot", 1)
    assert path in staged_files(store)
    assert journal.stats()["tree_size"] == 1


def test_a_damaged_staged_file_is_reported(store: Store, journal: Journal) -> None:
    """Damage in one staged file leaves it there and holds up nobody else."""
    record = commit(store, journal, target(1), sample("a", 500))
    path = f"journal/staged/{record.commit_id}.arrow"
    data = bytearray(store.get(path))
    data[len(data) // 2] ^= 0xFF
    store.put(path, bytes(data))
    store.create("journal/staged/stray.txt", b"not ours")
    commit(store, journal, target(2), sample("b", 5))
    with pytest.raises(CorruptData, match=path):
        journal.seal()
    assert sealed_ids(journal) == ids("b", 5)


def test_segments_end_at_multiples(store: Store, journal: Journal) -> None:
    """A commit larger than a segment goes on in the next ones; hot events likewise."""
    journal.record_batch(sample("first", 10))
    journal.seal()
    commit(store, journal, target(1), sample("big", 2 * SEGMENT_EVENTS))
    assert journal.seal() == 2 * SEGMENT_EVENTS
    footers = [read_footer(store, path) for path in segments(store)]
    assert [footer.first_seq for footer in footers] == [0, 10, SEGMENT_EVENTS, 2 * SEGMENT_EVENTS]
    pieces = [(c.first_ordinal, c.count, c.total) for f in footers for c in f.commits]
    assert pieces == [
        (0, SEGMENT_EVENTS - 10, 2 * SEGMENT_EVENTS),
        (SEGMENT_EVENTS - 10, SEGMENT_EVENTS, 2 * SEGMENT_EVENTS),
        (2 * SEGMENT_EVENTS - 10, 10, 2 * SEGMENT_EVENTS),
    ]
    assert journal.verify().status == "green"


def test_a_run_may_leave_what_fills_no_segment(store: Store, journal: Journal) -> None:
    """Under load segments are whole; the rest is the next run's, which finds nothing whole."""
    journal.record_batch(sample("a", SEGMENT_EVENTS + 10))
    outcome = journal._sealer.seal(whole=True)
    assert (outcome.events, outcome.segments, outcome.left) == (SEGMENT_EVENTS, 1, 10)
    outcome = journal._sealer.seal(whole=True)
    assert (outcome.events, outcome.segments, outcome.left) == (10, 1, 0)
    assert sealed_ids(journal) == ids("a", SEGMENT_EVENTS + 10)


def test_segments_are_bounded_in_bytes_and_commits(
    store: Store, journal: Journal, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Large values make segments of fewer events; many commits, of fewer commits."""
    monkeypatch.setattr(parts, "MAX_SEGMENT_COMMITS", 3)
    for version in range(7):
        commit(store, journal, target(version), sample(f"c{version}", 2))
    journal.seal()
    assert [read_footer(store, path).count for path in segments(store)] == [6, 6, 2]
    monkeypatch.setattr(parts, "MAX_SEGMENT_BYTES", 1)
    for version in range(7, 10):
        commit(store, journal, target(version), sample(f"c{version}", 2))
    journal.seal()
    assert len(segments(store)) == 6
    assert journal.verify().status == "green"


def test_another_machine_continues_a_commit(store: Store, journal: Journal, tmp_path: Path) -> None:
    """A machine that dies in the middle of a commit: the next one seals the rest, once."""
    faulty = FaultyStore(store, {2: Fault.BEFORE}, stays_down=True)
    commit(store, journal, target(1), sample("big", SEGMENT_EVENTS + 50))
    dying = open_journal(faulty, tmp_path / "dying")
    with pytest.raises(Unavailable):
        dying.seal()
    assert len(segments(store)) == 1
    commit(store, journal, target(0), sample("other", 5))  # earlier, but the other has begun
    assert journal.seal() == 55
    assert sealed_ids(journal) == ids("big", SEGMENT_EVENTS + 50) + ids("other", 5)
    assert journal.verify().status == "green"


def test_a_lost_answer_is_recognised(store: Store, tmp_path: Path) -> None:
    """AlreadyExists after the own first try: the seal id in the footer says it was ours."""

    class Retrying(FaultyStore):
        def create(self, path: str, data: bytes) -> None:
            super().create(path, data)
            if path.startswith(FOLDER):
                super().create(path, data)

    journal = open_journal(Retrying(store), tmp_path)
    journal.record_batch(sample("a", 5))
    assert journal.seal() == 5
    assert sealed_ids(journal) == ids("a", 5)


def test_losing_a_position_renumbers(store: Store, journal: Journal, tmp_path: Path) -> None:
    """Who loses a position drops what the winner has, and seals the rest behind it."""
    other = open_journal(store, tmp_path / "other")

    class Overtaken(FaultyStore):
        overtaken = False

        def create(self, path: str, data: bytes) -> None:
            if path.startswith(FOLDER) and not self.overtaken:
                self.overtaken = True
                other.record_batch(sample("other", 3))
                other.seal()
            super().create(path, data)

    slow = open_journal(Overtaken(store), tmp_path / "slow")
    commit(store, slow, target(1), sample("shared", 5))
    slow.record_batch(sample("slow", 4))
    assert slow.seal() == 4  # the other one took the commit
    assert sealed_ids(journal) == ids("shared", 5) + ids("other", 3) + ids("slow", 4)
    assert journal.verify().status == "green"


def test_direct_events_of_a_remote_lake(store: Store, tmp_path: Path) -> None:
    """Without a hot log, direct events are staged objects: any machine can seal them."""
    settings = JournalSettings(background=False, direct="staged", linger_s=0.01)
    remote = open_journal(store, tmp_path / "a", settings=settings)
    threads = [
        threading.Thread(target=remote.record_batch, args=(sample(f"t{n}", 2),)) for n in range(20)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    remote.record_batch(sample("last", 40))
    assert len(staged_files(store)) < 21
    assert remote.stats()["buffer_events"] == 80
    assert not (tmp_path / "a" / "hot.sqlite").exists()
    other = open_journal(store, tmp_path / "b")
    assert other.seal() == 80
    assert len(set(sealed_ids(other))) == 80
    assert other.verify().status == "green"


def test_a_hot_log_from_a_backup_loses_nothing_new(store: Store, tmp_path: Path) -> None:
    """A hot log that is older than its sealed part is renewed before it is used."""
    import shutil

    first = open_journal(store, tmp_path / "state")
    first.record_batch(sample("a", 5))
    first._hot.close()
    shutil.copytree(tmp_path / "state", tmp_path / "backup")
    again = open_journal(store, tmp_path / "state")
    again.record_batch(sample("b", 5))
    again.seal()
    restored = open_journal(store, tmp_path / "backup")
    restored.record_batch(sample("c", 3))
    restored.seal()
    restored.record_batch(sample("d", 3))
    restored.seal()
    assert sealed_ids(restored) == ids("a", 5) + ids("b", 5) + ids("c", 3) + ids("d", 3)


def test_leftovers_of_a_run_that_died_before_clearing(store: Store, journal: Journal) -> None:
    """Sealed staged files that were not deleted are found sealed, and deleted."""
    record = commit(store, journal, target(1), sample("a", 5))
    path = f"journal/staged/{record.commit_id}.arrow"
    data = store.get(path)
    journal.seal()
    store.create(path, data)
    assert StagedReader(store, path).check()[0] == 5
    assert journal.recent(100)[0].seq == 4
    assert journal.seal() == 0
    assert staged_files(store) == []
    assert sealed_ids(journal) == ids("a", 5)


def test_many_sealers_on_one_store(store: Store, tmp_path: Path) -> None:
    """Four machines record and seal at a time: everything once, without gaps."""
    machines = [open_journal(store, tmp_path / f"m{n}", settings=MANUAL) for n in range(4)]

    def work(number: int) -> None:
        for turn in range(5):
            machines[number].record_batch(sample(f"m{number}-{turn}", 3))
            version = number * 100 + turn
            commit(store, machines[number], target(version), sample(f"c{version}", 2))
            seal_until_done(machines[number])

    threads = [threading.Thread(target=work, args=(number,)) for number in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    machines[0].seal()
    found = sealed_ids(machines[0])
    assert len(found) == len(set(found)) == 4 * 5 * 5
    assert machines[0].verify().status == "green"
