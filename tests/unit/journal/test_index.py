"""The index beside a journal: the same answers with it, without it, and while it is damaged."""

from __future__ import annotations

import random
import threading
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.fakes.journals import open_journal, sample

from lakecore.base import CorruptData, OutOfSpace
from lakecore.journal import Event, Journal, events_to_arrow
from lakecore.journal._events.leaf import leaf_line
from lakecore.journal._index import indexer, layout, names
from lakecore.journal._read.filter import EventFilter
from lakecore.journal._read.pages import Page, history, page
from lakecore.storage import Store, open_store


@pytest.fixture
def small_ranges(monkeypatch: pytest.MonkeyPatch) -> None:
    """Merged postings for 64 and 256 events, so that few events have all kinds of files."""
    for module in (names, indexer):
        monkeypatch.setattr(module, "MERGED_EVENTS", (64, 256))
    monkeypatch.setattr(layout, "HEAVY_ROWS", 12)


@pytest.fixture
def store() -> Iterator[Store]:
    store = open_store("memory://")
    yield store
    store.close()


class NoDisk:
    """A store as one behind a network looks: nothing of it lies on this machine's disk."""

    def __init__(self, store: Store) -> None:
        self._store = store
        self.ranges = 0

    def __getattr__(self, name: str) -> Any:
        return getattr(self._store, name)

    def local_path(self, path: str) -> None:
        return None

    def get_range(self, path: str, start: int, length: int) -> bytes:
        self.ranges += 1
        return self._store.get_range(path, start, length)


def index_files(store: Store) -> list[str]:
    return [info.path for info in store.list_objects(names.FOLDER)]


def fill(journal: Journal, sizes: list[int], *, first: int = 0) -> int:
    """Seal segments of these sizes."""
    for size in sizes:
        journal.record_batch(sample("e", size, first=first))
        journal.seal()
        first += size
    return first


def without_index(journal: Journal, **equals: Any) -> list[Event]:
    snapshot = replace(journal._scanner.snapshot(), index=None)
    return history(snapshot, EventFilter.of(**equals))


def pages(journal: Journal, limit: int, *, indexed: bool, **equals: Any) -> list[Event]:
    """All pages, with the index or without."""
    found: list[Event] = []
    cursor = None
    while True:
        snapshot = journal._scanner.snapshot()
        if not indexed:
            snapshot = replace(snapshot, index=None)
        answer: Page = page(snapshot, EventFilter.of(**equals), limit=limit, cursor=cursor)
        found += answer.items
        cursor = answer.next
        if cursor is None:
            return found


def assert_same_answers(journal: Journal) -> None:
    for number in range(8):
        wanted = {"entity_id": f"N{number}"}
        assert journal.entity_history(f"N{number}") == without_index(journal, **wanted)
    for limit, equals in (
        (7, {}),
        (5, {"entity_id": "N3"}),
        (3, {"entity_id": "N3", "field": "x"}),
    ):
        found = pages(journal, limit, indexed=True, **equals)
        assert found == pages(journal, limit, indexed=False, **equals)


def test_every_seal_is_covered(store: Store, tmp_path: Path) -> None:
    """After a seal there is a line for every event, and the segments are not read."""
    journal = open_journal(store, tmp_path)
    fill(journal, [10, 100, 3])
    index = journal._index
    index.refresh(113)
    assert index.gaps() == []
    assert index.covered(112)
    assert not index.covered(113)
    seqs, gaps = index.find("N3", end_seq=113)
    assert gaps == []
    assert seqs.tolist() == list(range(3, 113, 7))
    assert journal.stats()["index"] == {
        "built_events": 113,
        "errors": 0,
        "last_error": None,
        "gap_events": 0,
    }
    for info in list(store.list_objects("journal/log/")):
        store.delete(info.path)
    found = journal._index.lines(range(113))
    assert found[112] == leaf_line(sample_event(112))
    journal.close()


def sample_event(number: int) -> Event:
    from lakecore.journal import arrow_to_events

    return arrow_to_events(sample("e", 1, first=number))[0]


def test_leaves_are_those_of_the_tree(store: Store, tmp_path: Path) -> None:
    """The leaf hashes of a covered range; an uncovered one is told."""
    from lakecore.tlog import Frontier

    journal = open_journal(store, tmp_path)
    fill(journal, [100, 60])
    journal._index.refresh(160)
    tree = Frontier.empty()
    tree.append(journal._index.leaves(0, 160))
    assert tree.root().hex() == journal.stats()["root"]
    assert np.array_equal(journal._index.leaves(90, 130), journal._index.leaves(0, 160)[90:130])
    with pytest.raises(CorruptData):
        journal._index.leaves(100, 161)
    journal.close()


def test_small_files_become_large_ones(store: Store, tmp_path: Path, small_ranges: None) -> None:
    """Sixteen neighbours become one file; complete ranges have merged postings."""
    journal = open_journal(store, tmp_path)
    fill(journal, [4] * 80)
    journal._indexer.merge(320)
    found = {names.parse_name(path.removeprefix(names.FOLDER)) for path in index_files(store)}
    assert found == {
        *(names.Name(first, first + 64, True) for first in range(0, 320, 64)),
        names.Name(0, 256, False),
        names.Name(256, 320, False),
    }
    assert_same_answers(journal)
    assert journal.stats()["index"]["errors"] == 0
    journal.close()


def test_the_last_segment_of_a_range_takes_the_rest_along(
    store: Store, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A few earlier events are put before it at once; damaged ones do not stop it."""
    monkeypatch.setattr(indexer, "SEGMENT_EVENTS", 64)
    journal = open_journal(store, tmp_path)
    fill(journal, [3, 61])
    assert index_files(store) == [names.Name(0, 64, True).path]
    assert_same_answers(journal)
    fill(journal, [3], first=64)
    path = names.Name(64, 67, True).path
    store.put(path, store.get(path)[:-1])
    fill(journal, [61], first=67)
    assert names.Name(67, 128, True).path in index_files(store)
    assert_same_answers(journal)
    journal._indexer.catch_up(128)
    assert [names.Name(first, first + 64, True).path for first in (0, 64)] == index_files(store)
    assert_same_answers(journal)
    journal.close()


def test_long_values_come_from_the_segment(store: Store, tmp_path: Path) -> None:
    """A value that is a digest in the line is given whole."""
    journal = open_journal(store, tmp_path)
    long = '"' + "x" * 20_000 + '"'
    rows = [
        {"entity_type": "t", "entity_id": "a", "action": "update", "new_value": value}
        for value in ("1", long, None, long, "2")
    ]
    journal.record_many(rows)
    journal.seal()
    assert [event.new_value for event in journal.entity_history("a")] == [
        "1",
        long,
        None,
        long,
        "2",
    ]
    assert [event.new_value for event in journal.recent(3)] == ["2", long, None]
    journal.close()


def test_an_entity_that_shares_a_key_is_left_out(
    store: Store, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whoever has the same key is not the same entity: the id in the line decides."""
    journal = open_journal(store, tmp_path)
    fill(journal, [30])
    same = layout.key_of("N1")
    monkeypatch.setattr(layout, "key_of", lambda entity_id: same)
    assert journal.entity_history("N2") == []
    assert len(journal.entity_history("N1")) == 5
    journal.close()


def test_an_index_of_other_events_is_not_believed(store: Store, tmp_path: Path) -> None:
    """Files that outlived their journal, before a backup came back, say, answer nothing."""
    other = open_store("memory://")
    journal = open_journal(other, tmp_path / "a")
    fill(journal, [20])
    journal.close()
    mine = open_journal(store, tmp_path / "b")
    mine.record_batch(sample("other", 20, first=5))
    mine.seal()
    for path in index_files(other):
        store.put(path, other.get(path))
    assert [event.event_id[:5] for event in mine.recent(2)] == ["other", "other"]
    assert_same_answers(mine)
    # Catching up replaces it.
    mine._indexer.catch_up(20)
    mine._index.refresh(20)
    assert mine._index.lines([0])[0].startswith(b'{"action"')
    assert not mine._index.damaged()
    mine.close()


def test_a_lost_index_is_built_again(store: Store, tmp_path: Path, small_ranges: None) -> None:
    """`catch_up` fills what is missing, in parts if asked to."""
    journal = open_journal(store, tmp_path)
    end = fill(journal, [20, 30, 40])
    for path in index_files(store):
        store.delete(path)
    assert_same_answers(journal)
    assert journal.stats()["index"]["gap_events"] == end
    assert journal._indexer.catch_up(end) == end
    assert journal._indexer.catch_up(end) == 0
    assert journal.stats()["index"]["gap_events"] == 0
    assert_same_answers(journal)
    journal.close()


def test_what_fails_at_building_fails_nothing_else(
    store: Store, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A full disk: the seal ends well, the stats tell, and it is made up for later."""
    journal = open_journal(store, tmp_path)
    put = store.put

    def full(path: str, data: bytes) -> None:
        raise OutOfSpace("no room", where=path)

    monkeypatch.setattr(store, "put", full)
    fill(journal, [10, 10])
    figures = journal.stats()["index"]
    assert figures["errors"] == 2
    assert "no room" in figures["last_error"]
    assert_same_answers(journal)
    monkeypatch.setattr(store, "put", put)
    assert journal._indexer.catch_up(20) == 20
    assert journal.stats()["index"]["last_error"] is None
    journal.close()


def test_a_remote_store(store: Store, tmp_path: Path, small_ranges: None) -> None:
    """The same answers through ranges; what tables say is kept, so one lookup is one range."""
    remote = NoDisk(store)
    journal = open_journal(remote, tmp_path)  # type: ignore[arg-type]  # it delegates
    fill(journal, [64] * 5)
    assert_same_answers(journal)
    journal.entity_history("N1")
    before = remote.ranges
    journal._index.find("N1", end_seq=256)
    assert remote.ranges - before <= 5
    journal.close()


@pytest.mark.parametrize("seed", range(3))
def test_damage_while_sealing(seed: int, tmp_path: Path, small_ranges: None) -> None:
    """Files vanish, bits flip, ends are cut off, while events are sealed: answers stay right."""
    chance = random.Random(seed)
    store = open_store((tmp_path / "lake").as_uri())
    journal = open_journal(store, tmp_path / "state")
    is_done = threading.Event()
    failures: list[BaseException] = []

    def seal() -> None:
        first = 0
        try:
            for _ in range(40):
                size = chance.choice((1, 1, 2, 7, 30))
                first = fill(journal, [size], first=first)
        except BaseException as error:
            failures.append(error)
        finally:
            is_done.set()

    thread = threading.Thread(target=seal)
    thread.start()
    other = random.Random(seed + 100)
    rounds = 0
    while not is_done.is_set() or rounds < 20:
        rounds += 1
        damage(store, other)
        entity = f"N{other.randrange(7)}"
        snapshot = journal._scanner.snapshot()
        wanted = EventFilter.of(entity_id=entity)
        plain = replace(snapshot, index=None)
        assert history(snapshot, wanted) == history(plain, wanted)
        everything = EventFilter.of()
        assert page(snapshot, everything, limit=50) == page(plain, everything, limit=50)
        if rounds % 7 == 0:
            journal._indexer.catch_up(snapshot.size)
    thread.join()
    assert failures == []
    assert_same_answers(journal)
    size = journal._scanner.snapshot().size
    for _ in range(3):
        journal._indexer.catch_up(size)
    journal._indexer.merge(size)
    assert_same_answers(journal)
    journal.close()


def damage(store: Store, chance: random.Random) -> None:
    paths = index_files(store)
    if not paths:
        return
    path = chance.choice(paths)
    file = store.local_path(path)
    if file is None:
        return
    kind = chance.randrange(4)
    with suppress(FileNotFoundError):
        if kind == 0:
            file.unlink()
        elif kind == 1:
            with file.open("r+b") as opened:
                size = opened.seek(0, 2)
                opened.seek(chance.randrange(size))
                byte = opened.read(1)
                opened.seek(-1, 1)
                opened.write(bytes([byte[0] ^ (1 << chance.randrange(8))]))
        elif kind == 2:
            with file.open("r+b") as opened:
                opened.truncate(chance.randrange(opened.seek(0, 2)))


@settings(max_examples=15, deadline=None)
@given(
    st.lists(
        st.lists(st.tuples(st.sampled_from("abcäö"), st.text(max_size=5)), min_size=1, max_size=20),
        min_size=1,
        max_size=6,
    )
)
def test_the_same_events(
    tmp_path_factory: pytest.TempPathFactory, batches: list[list[tuple[str, str]]]
) -> None:
    """Any text comes back from a line as it comes from the segment."""
    store = open_store("memory://")
    journal = open_journal(store, tmp_path_factory.mktemp("state"))
    for number, rows in enumerate(batches):
        table: pa.Table = events_to_arrow(
            (
                {"entity_type": "t", "entity_id": entity, "action": "a", "actor": text}
                for entity, text in rows
            ),
            now_us=1,
            id_prefix=f"x{number}",
        )
        journal.record_batch(table)
        journal.seal()
    for entity in "abcäö":
        assert journal.entity_history(entity) == without_index(journal, entity_id=entity)
    assert journal.recent(1000) == pages(journal, 1000, indexed=False)
    journal.close()
    store.close()
