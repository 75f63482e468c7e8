"""Segments and the cache of their footers."""

from __future__ import annotations

import random
from dataclasses import replace
from pathlib import Path

import pyarrow.parquet as pq
import pytest
from tests.fakes.journals import sample

from lakecore.base import CorruptData, UnsupportedFormat
from lakecore.journal import event_schema
from lakecore.journal._events.hashing import hash_events
from lakecore.journal._log.footer_cache import FILE
from lakecore.journal._log.footers import Footers
from lakecore.journal._log.segment import (
    SealedCommit,
    SegmentFooter,
    checksum_of,
    encode_segment,
    position_of,
    read_footer,
    room_at,
    segment_path,
)
from lakecore.storage import Store, open_store
from lakecore.tlog import Frontier


@pytest.fixture
def store() -> Store:
    return open_store("memory://")


def put_segment(store: Store, first_seq: int, count: int, tree: Frontier | None = None) -> Frontier:
    """A segment of `count` events at a position, continuing `tree`."""
    events = sample(f"m{first_seq}", count)
    tree = tree.copy() if tree is not None else Frontier.empty()
    hashes = hash_events(events)
    tree.append(hashes)
    footer = SegmentFooter(
        first_seq=first_seq,
        count=count,
        seal_id=f"seal-{first_seq}",
        sealed_at_us=5,
        commits=(SealedCommit(f"c{first_seq}", "t/1.json", "d", 0, 0, count, count),),
        hot={"log": first_seq},
        tree_size=tree.size,
        root=tree.root().hex(),
        edge=tuple(node.hex() for node in tree.edge),
        timestamp_us=(1, 2),
    )
    store.create(footer.path, encode_segment(events, hashes, footer))
    return tree


def test_names_and_room() -> None:
    """Positions are 20 digits, and a segment ends at a multiple of 65,536."""
    assert segment_path(65_536) == "journal/log/00000000000000065536.parquet"
    assert position_of(segment_path(7)) == 7
    assert position_of("journal/log/7.parquet") is None
    assert (room_at(0), room_at(65_535), room_at(65_536)) == (65_536, 1, 65_536)


def test_rows_and_footer_are_read_back(store: Store, tmp_path: Path) -> None:
    """Any Parquet reader sees the schema of events; the footer has what was put in."""
    tree = put_segment(store, 0, 300)
    footer = read_footer(store, segment_path(0))
    assert footer.frontier().root() == tree.root()
    assert (footer.next_seq, footer.hot, footer.commits[0].total) == (300, {"log": 0}, 300)
    assert SegmentFooter.from_json(footer.to_json() | {"later": 1}) == footer
    with store.open(segment_path(0)) as file:
        table = pq.read_table(file)
    assert table.drop_columns(["leaf_check"]).schema.equals(event_schema())
    assert table.column("seq").to_pylist() == list(range(300))


def test_the_checksum_covers_every_bit(store: Store) -> None:
    """Whatever bit is flipped, also in statistics, the checksum differs or is gone."""
    put_segment(store, 0, 50)
    data = store.get(segment_path(0))
    stored, found = checksum_of(data)
    assert stored == found
    rng = random.Random(3)
    for _ in range(200):
        damaged = bytearray(data)
        damaged[rng.randrange(len(data))] ^= 1 << rng.randrange(8)
        try:
            expected, other = checksum_of(bytes(damaged))
        except CorruptData:
            continue
        assert expected != other


def test_values_that_look_like_a_checksum_do_no_harm(store: Store) -> None:
    """The checksum is found from the end, where no event can write."""
    events = sample("m", 1).set_column(
        9, event_schema().field("source"), [['"checksum":"' + "0" * 64 + '"']]
    )
    hashes = hash_events(events)
    tree = Frontier.empty()
    tree.append(hashes)
    edge = tuple(node.hex() for node in tree.edge)
    footer = SegmentFooter(
        first_seq=0, count=1, seal_id="s", sealed_at_us=1, commits=(), hot={}, tree_size=1,
        root=tree.root().hex(), edge=edge, timestamp_us=(0, 0),
    )  # fmt: skip
    data = encode_segment(events, hashes, footer)
    assert len(set(checksum_of(data))) == 1


def test_a_footer_that_lies_is_refused(store: Store) -> None:
    """A segment under another name, a newer format, a damaged file: each is said."""
    put_segment(store, 0, 10)
    data = store.get(segment_path(0))
    store.put(segment_path(20), data)
    with pytest.raises(CorruptData, match="name"):
        read_footer(store, segment_path(20))
    store.put(segment_path(0), data[:-20])
    with pytest.raises(CorruptData, match=segment_path(0)):
        read_footer(store, segment_path(0))
    content = replace_format(data)
    with pytest.raises(UnsupportedFormat):
        SegmentFooter.from_json(content)
    with pytest.raises(CorruptData):
        SegmentFooter.from_json({"format": 1})


def replace_format(data: bytes) -> dict[str, object]:
    import io
    import json

    metadata = pq.read_metadata(io.BytesIO(data)).metadata
    return {**json.loads(metadata[b"lakecore.segment"]), "format": 2}


def test_footers_are_cached_and_the_cache_is_derived(store: Store, tmp_path: Path) -> None:
    """A second opening reads one footer; without the cache, or with another's, all of them."""
    tree = put_segment(store, 0, 10)
    tree = put_segment(store, 10, 5, tree)
    first = Footers(store, tmp_path)
    first.refresh()
    assert (first.next_seq, first.hot, first.made_by(10)) == (15, {"log": 10}, "seal-10")
    put_segment(store, 15, 5, tree)
    second = Footers(store, tmp_path)
    second.refresh()
    first.refresh()
    for footers in (first, second):
        assert [entry.first_seq for entry in footers.places()] == [0, 10, 15]
        assert (footers.sealed_count("c10"), footers.is_sealed("c10")) == (5, True)
        assert footers.sealed_count("c99") == 0
        assert [piece.first_seq for piece in footers.all_pieces()] == [0, 10, 15]

    other = open_store("memory://")
    put_segment(other, 0, 3)
    third = Footers(other, tmp_path)  # the state directory of another lake
    third.refresh()
    assert (third.next_seq, third.sealed_count("c10")) == (3, 0)


def test_a_damaged_cache_is_left_aside(store: Store, tmp_path: Path) -> None:
    """A cache that is no database costs time, nothing else."""
    put_segment(store, 0, 10)
    (tmp_path / FILE).write_bytes(b"no database at all" * 1000)
    footers = Footers(store, tmp_path)
    footers.refresh()
    assert (footers.next_seq, footers.is_sealed("c0")) == (10, True)
    footers.close()


def test_a_missing_segment_is_damage(store: Store, tmp_path: Path) -> None:
    """Positions have no gap: a journal that lost a segment is not read as if it were whole."""
    tree = put_segment(store, 0, 10)
    put_segment(store, 10, 5, tree)
    store.delete(segment_path(0))
    with pytest.raises(CorruptData, match="contiguous"):
        Footers(store, tmp_path).refresh()


def test_another_process_may_cache_ahead(store: Store, tmp_path: Path) -> None:
    """What another process cached counts only once this one has looked at the store."""
    tree = put_segment(store, 0, 10)
    footers = Footers(store, tmp_path)
    footers.refresh()
    put_segment(store, 10, 5, tree)
    Footers(store, tmp_path).refresh()
    assert footers.sealed_count("c10") == 0
    footers.refresh()
    assert footers.sealed_count("c10") == 5


def test_a_footer_is_taken_once(store: Store, tmp_path: Path) -> None:
    """One that is known already changes nothing; one that leaves a gap is damage."""
    put_segment(store, 0, 10)
    footers = Footers(store, tmp_path)
    footers.refresh()
    footer = read_footer(store, segment_path(0))
    footers.add(footer)
    assert (footers.next_seq, len(footers.places())) == (10, 1)
    with pytest.raises(CorruptData):
        footers.add(replace(footer, first_seq=11))
