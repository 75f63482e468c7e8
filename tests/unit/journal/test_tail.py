"""Tail: sealed events in order, resumed from cursors that prove the past."""

from __future__ import annotations

import shutil
import threading
import time
from pathlib import Path

import pytest
from tests.fakes.compaction import seal_pieces, small_ranges
from tests.fakes.journals import open_journal, sample

from lakecore.base import CorruptData, InvalidInput
from lakecore.journal import Journal, TailBatch
from lakecore.journal._log.segment import segment_path
from lakecore.journal._read import tail as tail_module
from lakecore.journal._read.tail import TailCursor
from lakecore.storage import Store, open_store
from lakecore.tlog import EMPTY_ROOT


@pytest.fixture
def store(tmp_path: Path) -> Store:
    """A lake on the disk."""
    return open_store(str(tmp_path / "lake"))


@pytest.fixture
def journal(store: Store, tmp_path: Path) -> Journal:
    """Three segments: 5, 3 and 4 events."""
    journal = open_journal(store, tmp_path / "state")
    for name, count in (("a", 5), ("b", 3), ("c", 4)):
        add(journal, name, count)
    return journal


def add(journal: Journal, name: str, count: int = 1) -> None:
    """A segment of its own."""
    journal.record_batch(sample(name, count))
    journal.seal()


def seqs(batches: list[TailBatch]) -> list[int | None]:
    return [event.seq for batch in batches for event in batch]


def test_everything_in_order(journal: Journal) -> None:
    """From the beginning, a seq, or so many before the end; the events are those of the scan."""
    batches = list(journal.tail())
    assert seqs(batches) == list(range(12))
    scanned = journal.scan(["event_id"]).read_all().column(0).to_pylist()
    assert [event.event_id for batch in batches for event in batch] == scanned
    assert seqs(list(journal.tail(from_seq=6))) == [6, 7, 8, 9, 10, 11]
    assert seqs(list(journal.tail(from_seq=-2))) == [10, 11]
    assert seqs(list(journal.tail(from_seq=-99))) == list(range(12))
    assert list(journal.tail(from_seq=12)) == []


def test_only_sealed_events_are_given(journal: Journal) -> None:
    """What is not sealed has no place in the order yet."""
    journal.record_batch(sample("hot", 2))
    assert seqs(list(journal.tail(from_seq=10))) == [10, 11]


@pytest.mark.parametrize("size", [1, 2, 5, 12, 100])
def test_any_cursor_goes_on_without_gap_or_double(journal: Journal, size: int) -> None:
    """Cursors within a segment and at its end; the root is that of the tree of this size."""
    found: list[TailBatch] = []
    cursor = None
    while batches := list(journal.tail(cursor, limit=size)):
        found += batches
        cursor = batches[-1].cursor
    assert seqs(found) == list(range(12))
    assert cursor is not None
    assert TailCursor.from_text(cursor) == TailCursor("", 12, journal.stats()["root"])


def test_small_batches(journal: Journal, monkeypatch: pytest.MonkeyPatch) -> None:
    """A batch is bounded; each has a cursor that can be gone on from."""
    monkeypatch.setattr(tail_module, "MAX_BATCH_EVENTS", 2)
    batches = list(journal.tail())
    assert [len(batch) for batch in batches] == [2, 2, 1, 2, 1, 2, 2]
    for number, batch in enumerate(batches):
        assert list(journal.tail(batch.cursor)) == batches[number + 1 :]


def test_an_empty_journal(store: Store, tmp_path: Path) -> None:
    """Its cursor is that of the empty tree, and goes on with the first event."""
    with open_journal(store, tmp_path / "state") as journal:
        tail = journal.tail()
        assert list(tail) == []
        assert TailCursor.from_text(tail.cursor) == TailCursor("", 0, EMPTY_ROOT.hex())
        add(journal, "a")
        assert seqs(list(journal.tail(tail.cursor))) == [0]


def rewritten(store: Store, tmp_path: Path, names: str) -> Journal:
    """A log of its own with the segments of `journal`, under other names where they differ."""
    folder = store.local_path("journal/log")
    assert folder is not None
    shutil.rmtree(folder)
    other = open_store(str(tmp_path / "other"))
    with open_journal(other, tmp_path / "other state") as forged:
        for name, count in zip(names, (5, 3, 4), strict=True):
            add(forged, name, count)
    made = other.local_path("journal/log")
    assert made is not None
    shutil.copytree(made, folder)
    return open_journal(store, tmp_path / "state")


@pytest.mark.parametrize("names", ["xbc", "axc", "abx"])
@pytest.mark.parametrize("at", [4, 5, 8, 11, 12])
def test_rewritten_history_is_told(
    journal: Journal, store: Store, tmp_path: Path, names: str, at: int
) -> None:
    """A log that is sound in itself, but not the one that was seen, up to the cursor."""
    (batch, *_) = reversed(list(journal.tail(limit=at)))
    journal.close()
    changed_at = {"x": 0, "a": {"x": 5, "b": 8}[names[1]]}[names[0]]
    with rewritten(store, tmp_path, names) as forged:
        if at > changed_at:
            with pytest.raises(CorruptData, match="history before this cursor was rewritten"):
                forged.tail(batch.cursor)
        else:
            assert seqs(list(forged.tail(batch.cursor))) == list(range(at, 12))


def test_rewriting_is_told_to_who_has_the_old_footers(
    journal: Journal, store: Store, tmp_path: Path
) -> None:
    """What this process knows of older segments does not hide that they are others now."""
    cursor = list(journal.tail(limit=6))[-1].cursor
    rewritten(store, tmp_path, "xbc").close()
    with pytest.raises(CorruptData, match="rewritten"):
        list(journal.tail(cursor))


def test_a_log_that_lost_its_end(journal: Journal, store: Store, tmp_path: Path) -> None:
    """Fewer events than the cursor has seen."""
    cursor = list(journal.tail())[-1].cursor
    journal.close()
    store.delete(segment_path(8))
    with (
        open_journal(store, tmp_path / "state") as cut,
        pytest.raises(CorruptData, match="the log is shorter than what you saw"),
    ):
        cut.tail(cursor)


def test_what_is_no_cursor(journal: Journal) -> None:
    """Other text, other logs, two beginnings, a seq that is not there yet."""
    for text in ("", "x", "e30", "W10", TailCursor("", 1, "ab").to_text()):
        with pytest.raises(InvalidInput, match="not a cursor"):
            journal.tail(text)
    with pytest.raises(InvalidInput, match="another log"):
        journal.tail(TailCursor("elsewhere", 1, "00" * 32).to_text())
    with pytest.raises(InvalidInput, match="one of them"):
        journal.tail(journal.tail().cursor, from_seq=1)
    with pytest.raises(InvalidInput, match="at most 12"):
        journal.tail(from_seq=13)
    for bad in ({"limit": 0}, {"poll_s": 0}, {"timeout_s": -1}):
        with pytest.raises(InvalidInput, match="out of range"):
            journal.tail(**bad)  # type: ignore[arg-type]  # wrong on purpose


def test_the_origin_is_part_of_the_cursor(
    journal: Journal, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A cursor of this log names it."""
    monkeypatch.setattr(journal, "_origin", "example.com/lake")
    cursor = journal.tail(limit=3).cursor
    assert TailCursor.from_text(cursor).origin == "example.com/lake"
    assert seqs(list(journal.tail(cursor))) == list(range(12))


def test_following_wakes_for_what_others_seal(
    journal: Journal, store: Store, tmp_path: Path
) -> None:
    """Events of another process come within a moment, to several tails at once."""
    found: list[list[tuple[int | None, float]]] = [[], []]

    def follow(into: list[tuple[int | None, float]]) -> None:
        for batch in journal.tail(from_seq=12, follow=True, limit=4, timeout_s=20):
            into += [(event.seq, time.monotonic()) for event in batch]

    threads = [threading.Thread(target=follow, args=(into,)) for into in found]
    for thread in threads:
        thread.start()
    with open_journal(store, tmp_path / "other state") as other:
        for name in ("d", "e"):
            time.sleep(0.3)
            add(other, name, 2)
            sealed_at = time.monotonic()
    for thread in threads:
        thread.join(30)
    for into in found:
        assert [seq for seq, _ in into] == [12, 13, 14, 15]
        assert into[-1][1] - sealed_at < 5


def test_following_ends(journal: Journal) -> None:
    """After a time without events; when it is closed; when the journal is."""
    started = time.monotonic()
    assert seqs(list(journal.tail(from_seq=11, follow=True, timeout_s=0.3))) == [11]
    assert time.monotonic() - started >= 0.3
    tail = journal.tail(from_seq=11, follow=True, poll_s=60)
    threading.Timer(0.2, tail.close).start()
    assert seqs(list(tail)) == [11]
    tail = journal.tail(from_seq=11, follow=True)
    threading.Timer(0.2, journal.close).start()
    assert seqs(list(tail)) == [11]


def test_waiting_costs_next_to_nothing(journal: Journal) -> None:
    """A tail that follows sleeps between its looks."""
    used = time.process_time()
    list(journal.tail(from_seq=12, follow=True, timeout_s=1.0))
    assert time.process_time() - used < 0.3


def test_sealing_beside_a_tail_leaves_no_gap(store: Store, tmp_path: Path) -> None:
    """One thread records and seals, one reads: every event once, in order."""
    with open_journal(store, tmp_path / "state") as journal:

        def write() -> None:
            for number in range(30):
                add(journal, f"w{number}", 1 + number % 5)

        writer = threading.Thread(target=write)
        writer.start()
        total = sum(1 + number % 5 for number in range(30))
        batches = list(journal.tail(follow=True, limit=total, timeout_s=60, poll_s=0.005))
        writer.join()
        assert seqs(batches) == list(range(total))
        assert TailCursor.from_text(batches[-1].cursor).root == journal.stats()["root"]


@pytest.mark.parametrize("at", [1, 5, 8, 16, 17, 31, 64, 70])
def test_compaction_beside_a_tail_leaves_no_gap(
    store: Store, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, at: int
) -> None:
    """Segments become runs and stubs between two batches: every event once, under one root."""
    monkeypatch.setattr(tail_module, "MAX_BATCH_EVENTS", 3)
    with small_ranges(), open_journal(store, tmp_path / "state") as journal:
        seal_pieces(journal, 5, 11, 16, 1, 15, 16, 7, 9, 4)
        cursor = list(journal.tail(limit=at))[-1].cursor
        tail = journal.tail()
        found = [next(tail)]
        assert journal.compact(grace_s=0).replaced
        found += list(tail)
        assert seqs(found) == list(range(84))
        assert seqs(list(journal.tail(cursor))) == list(range(at, 84))
        assert TailCursor.from_text(found[-1].cursor).root == journal.stats()["root"]
    with small_ranges(), open_journal(store, tmp_path / "another machine") as journal:
        assert seqs(list(journal.tail(cursor))) == list(range(at, 84))
