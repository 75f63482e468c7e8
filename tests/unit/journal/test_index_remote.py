"""The index and sealing on a store where every call is a round trip."""

from __future__ import annotations

from pathlib import Path

import pyarrow as pa
import pytest
from tests.fakes.journals import MANUAL, open_journal
from tests.fakes.slow_store import SlowStore

from lakecore.base import CorruptData
from lakecore.journal import Event
from lakecore.journal._index import arrays
from lakecore.journal._index.files import OpenFiles
from lakecore.journal._index.merge import merge_postings
from lakecore.journal._index.names import Name
from lakecore.storage import Store, open_store

ROOT = b"r" * 32
SEGMENTS = 16
EACH = 300


def _events(number: int) -> list[Event]:
    return [
        Event(
            entity_type="order",
            entity_id=f"order-{(number * EACH + n) * 7919 % 977}",
            field="status",
            action="update",
            new_value=f'"{number}"',
            actor="ada",
            event_id=f"e-{number}-{n}",
            timestamp=f"2026-01-01T00:00:00.{n:06d}Z",
        )
        for n in range(EACH)
    ]


def _index(folder: Path, store: Store) -> dict[str, bytes]:
    with open_journal(store, folder, settings=MANUAL) as journal:
        for number in range(SEGMENTS):
            journal.record_many(_events(number))
            journal.seal()
        history = [event.seq for event in journal.entity_history("order-5")]
        assert history
    return {info.path: store.get(info.path) for info in store.list_objects("journal/index/")}


def test_a_remote_index_is_the_local_one(tmp_path: Path) -> None:
    """The same files, and few reads for them: neighbouring blocks are one range."""
    near = _index(tmp_path / "near", open_store("memory://"))
    slow = SlowStore(open_store("memory://"), write_s=0.0, read_s=0.0)
    far = _index(tmp_path / "far", slow)
    assert set(far) == set(near)
    lines = sorted(path for path in far if path.endswith(".lines"))
    assert lines
    # 75 blocks of 64 lines were merged, some of them more than once.
    assert slow.reads < 30 * SEGMENTS


def test_postings_are_merged_alike() -> None:
    """A merge that reads ahead writes what one that reads in turn writes, byte by byte."""
    written = []
    for is_far in (False, True):
        store: Store = open_store("memory://")
        if is_far:
            store = SlowStore(store, write_s=0.0, read_s=0.0)
        files = OpenFiles(store, lambda size: ROOT)
        sources = []
        for number in range(SEGMENTS):
            name = Name(number * EACH, (number + 1) * EACH, True)
            ids = [f"order-{(name.first + n) * 7919 % 977}" for n in range(EACH)]
            lines = pa.chunked_array([pa.array([text.encode() for text in ids], pa.large_binary())])
            postings = arrays.postings_of(pa.chunked_array([pa.array(ids, pa.string())]))
            store.put(name.path, arrays.encode_lines(name, [lines], postings, ROOT))
            sources.append(files.get(name))
        whole = Name(0, SEGMENTS * EACH, False)
        merge_postings(store, whole, sources, ROOT)
        written.append(store.get(whole.path))
        store.close()
    assert written[0] == written[1]
    assert len(written[0]) > 8 * SEGMENTS * EACH // 2


def test_a_damaged_run_of_blocks_says_so() -> None:
    """A block that is damaged is named, though its neighbours are read with it."""
    store = open_store("memory://")
    name = Name(0, EACH, True)
    ids = [f"order-{n}" for n in range(EACH)]
    lines = pa.chunked_array([pa.array([text.encode() for text in ids], pa.large_binary())])
    postings = arrays.postings_of(pa.chunked_array([pa.array(ids, pa.string())]))
    data = bytearray(arrays.encode_lines(name, [lines], postings, ROOT))
    data[100] ^= 1  # within the first block
    store.put(name.path, bytes(data))
    file = OpenFiles(store, lambda size: ROOT).get(name)
    with pytest.raises(CorruptData):
        file.packed_run(range(file.trailer.block_count))
    assert len(file.packed_run(range(1, file.trailer.block_count))) > 1
    store.close()


def test_staged_files_are_judged_and_cleared_at_once(tmp_path: Path) -> None:
    """Many staged files on a remote store: each is sealed once, and goes."""
    slow = SlowStore(open_store("memory://"), write_s=0.0, read_s=0.0)
    with open_journal(slow, tmp_path, settings=MANUAL) as journal:
        for number in range(20):
            journal.record_many(_events(number)[:5])
        assert len(list(slow.list_objects("journal/staged/"))) == 20
        assert journal.seal() == 100
        assert list(slow.list_objects("journal/staged/")) == []
        assert journal.seal() == 0
        assert journal.verify().status == "green"


def test_a_log_is_read_ahead_for_the_first_time(tmp_path: Path) -> None:
    """A machine that sees many segments for the first time knows the same as their writer."""
    inner = open_store("memory://")
    slow = SlowStore(inner, write_s=0.0, read_s=0.0)
    with open_journal(slow, tmp_path / "writer", settings=MANUAL) as journal:
        for number in range(80):
            journal.record_many(_events(number)[:3])
            journal.seal()
        expected = journal.stats()["root"]
    with open_journal(slow, tmp_path / "reader", settings=MANUAL) as reader:
        assert (reader.stats()["tree_size"], reader.stats()["root"]) == (240, expected)
    [*_, last] = inner.list_objects("journal/log/")
    damaged = inner.get(last.path)[:-40]
    inner.put(last.path, damaged)
    with (
        open_journal(slow, tmp_path / "third", settings=MANUAL) as third,
        pytest.raises(CorruptData),
    ):
        third.recent(1)
