"""The bytes of index files: what is written is found again, what is damaged is told."""

from __future__ import annotations

import zlib
from pathlib import Path

import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lakecore.base import CorruptData, LakecoreError, UnsupportedFormat
from lakecore.journal._index import arrays, layout, names
from lakecore.journal._index.files import OpenFiles
from lakecore.journal._index.indexer import groups_to_merge
from lakecore.journal._index.merge import merge_postings
from lakecore.journal._index.names import Name, choose
from lakecore.storage import Store, open_store

ROOT = b"r" * 32
IDS = st.lists(st.text(max_size=8), min_size=1, max_size=300)


def lines_file(entity_ids: list[str], first: int = 0) -> tuple[Name, bytes, list[bytes]]:
    """A file of events of these entities; a line is the id and the place."""
    lines = [f"{entity}/{place}".encode() for place, entity in enumerate(entity_ids)]
    name = Name(first, first + len(lines), True)
    column = pa.chunked_array([pa.array(lines, pa.large_binary())])
    postings = arrays.postings_of(pa.chunked_array([pa.array(entity_ids, pa.string())]))
    return name, arrays.encode_lines(name, [column], postings, ROOT), lines


def opened(store: Store) -> OpenFiles:
    return OpenFiles(store, lambda size: ROOT)


@settings(max_examples=50, deadline=None)
@given(IDS)
def test_lines_and_positions_come_back(entity_ids: list[str]) -> None:
    """Every line at its place, every entity at its positions, an unknown one nowhere."""
    store = open_store("memory://")
    name, data, lines = lines_file(entity_ids, first=65_536)
    store.put(name.path, data)
    file = opened(store).get(name)
    found = [line for n in range(file.trailer.block_count) for line in file.block(n).lines()]
    assert found == lines
    assert file.block(0).line(len(lines[:64]) - 1) == lines[:64][-1]
    for entity in set(entity_ids):
        places = [place for place, other in enumerate(entity_ids) if other == entity]
        assert list(file.positions(layout.key_of(entity)) or ()) == places
    assert file.positions(layout.key_of("no such entity")) == ()
    store.close()


def test_hot_keys_of_a_whole_range() -> None:
    """65,536 events of one entity: starts and positions fit two bytes."""
    store = open_store("memory://")
    name, data, _ = lines_file(["one"] * 65_535 + ["two"])
    store.put(name.path, data)
    file = opened(store).get(name)
    assert list(file.positions(layout.key_of("one")) or ()) == list(range(65_535))
    assert file.positions(layout.key_of("two")) == (65_535,)


@settings(max_examples=100, deadline=None)
@given(st.data())
def test_a_flipped_bit_is_found_or_without_effect(data: st.DataObject) -> None:
    """Whatever bit is flipped: the right answer, or an error; never another answer."""
    store = open_store("memory://")
    entity_ids = [f"N{place % 23}" for place in range(150)]
    name, content, lines = lines_file(entity_ids)
    at = data.draw(st.integers(0, len(content) - 1))
    damaged = bytearray(content)
    damaged[at] ^= 1 << data.draw(st.integers(0, 7))
    store.put(name.path, bytes(damaged))
    for number in range(3):
        try:
            block = opened(store).get(name).block(number).lines()
        except LakecoreError:
            continue
        assert block == lines[64 * number : 64 * number + 64]
    for entity in set(entity_ids):
        try:
            found = opened(store).get(name).positions(layout.key_of(entity))
        except LakecoreError:
            continue
        assert found is not None
        assert list(found) == [n for n, other in enumerate(entity_ids) if other == entity]
    store.close()


@pytest.mark.parametrize("cut", [0, 10, 91, 92, 500, -1])
def test_a_shortened_file_is_damaged(cut: int) -> None:
    """A file without its end says so."""
    store = open_store("memory://")
    name, data, _ = lines_file(["a"] * 100)
    store.put(name.path, data[:cut])
    with pytest.raises(CorruptData) as caught:
        opened(store).get(name)
    assert caught.value.where == name.path


def test_a_newer_format_is_told() -> None:
    """A trailer of a newer format is not called damaged."""
    trailer = bytearray(layout.Trailer(layout.LINES, 0, 1, 8, 8, 8, ROOT).encode())
    trailer[8] = 2
    trailer[-4:] = zlib.crc32(trailer[:-4]).to_bytes(4, "little")
    with pytest.raises(UnsupportedFormat, match="another format"):
        layout.Trailer.decode(bytes(trailer), "somewhere")


def test_a_file_of_other_events_is_refused() -> None:
    """A file whose root the journal does not have, or under another's name, is not used."""
    store = open_store("memory://")
    name, data, _ = lines_file(["a"] * 3)
    store.put(name.path, data)
    with pytest.raises(CorruptData, match="other events"):
        OpenFiles(store, lambda size: b"x" * 32).get(name)
    other = Name(0, 4, True)
    store.put(other.path, data)
    with pytest.raises(CorruptData, match="name"):
        opened(store).get(other)


@settings(max_examples=25, deadline=None)
@given(
    st.lists(st.lists(st.integers(0, 40), min_size=16, max_size=16), min_size=2, max_size=20),
    st.integers(0, 12),
)
def test_merged_postings_are_the_union(ranges: list[list[int]], limit: int) -> None:
    """Merged postings answer as their sources do; heavy keys say that they are heavy."""
    store = open_store("memory://")
    files = opened(store)
    sources = []
    for number, entities in enumerate(ranges):
        name, data, _ = lines_file([f"N{entity}" for entity in entities], first=16 * number)
        store.put(name.path, data)
        sources.append(files.get(name))
    whole = Name(0, 16 * len(ranges), False)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(layout, "HEAVY_ROWS", limit)
        merge_postings(store, whole, sources, ROOT)
    merged = files.get(whole)
    flat = [entity for entities in ranges for entity in entities]
    for entity in range(41):
        places = [place for place, other in enumerate(flat) if other == entity]
        found = merged.positions(layout.key_of(f"N{entity}"))
        assert found is None if len(places) > limit else list(found or ()) == places
    store.close()


def test_merging_twice_and_heavy_sources() -> None:
    """A key that is heavy in a source is heavy in what it is merged into."""
    store = open_store("memory://")
    files = opened(store)
    name, data, _ = lines_file(["hot"] * 300 + ["cold"])
    store.put(name.path, data)
    first, second = Name(0, 301, False), Name(0, 302, False)
    merge_postings(store, first, [files.get(name)], ROOT)
    merge_postings(store, second, [files.get(first)], ROOT)
    merge_postings(store, second, [files.get(first)], ROOT)
    for merged in (first, second):
        assert files.get(merged).positions(layout.key_of("hot")) is None
        assert files.get(merged).positions(layout.key_of("cold")) == (300,)


def test_names() -> None:
    """Names are parsed back; ranges that no file can have are none."""
    for name in (Name(0, 65_536, True), Name(1 << 20, 2 << 20, False), Name(5, 6, True)):
        assert names.parse_name(name.path.removeprefix(names.FOLDER)) == name
    for wrong in (Name(65_535, 65_537, True), Name(5, 5, True), Name(0, 65_536, False)):
        assert names.parse_name(wrong.path.removeprefix(names.FOLDER)) is None
    assert names.parse_name(".tmp-1") is None


def test_choosing_takes_the_largest_and_names_gaps() -> None:
    """From each position the longest file; nothing beyond the end; gaps in between."""
    some = [(0, 4), (0, 8), (4, 8), (6, 10), (12, 16), (16, 20)]
    chosen = choose([Name(first, end, True) for first, end in some], 0, 18)
    assert chosen == [Name(0, 8, True), (8, 12), Name(12, 16, True), (16, 18)]


def test_what_is_merged() -> None:
    """Sixteen neighbours of a tier, or a complete range; nothing across a gap or a range."""
    ones = [Name(n, n + 1, True) for n in range(40)]
    assert groups_to_merge(ones) == [ones[:16], ones[16:32]]
    assert groups_to_merge([*ones[:10], *ones[11:20]]) == []
    whole = [Name(0, 65_000, True), Name(65_000, 65_536, True), Name(65_536, 65_540, True)]
    assert groups_to_merge(whole) == [whole[:2]]
    assert groups_to_merge([Name(0, 65_536, True)]) == []


def test_open_files_are_bounded(tmp_path: Path) -> None:
    """More files than are kept open can be asked, in any order."""
    store = open_store(tmp_path.as_uri())
    files = opened(store)
    all_names = []
    before = len(list(Path("/proc/self/fd").iterdir()))
    for number in range(300):
        name, data, _ = lines_file([f"N{number}"], first=number)
        store.put(name.path, data)
        all_names.append(name)
    for name in [*all_names, *reversed(all_names)]:
        assert files.get(name).positions(layout.key_of(f"N{name.first}")) == (0,)
    assert len(list(Path("/proc/self/fd").iterdir())) < before + 200
