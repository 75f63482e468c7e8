"""Tiles: names, which there are, nodes from them, growth, bundles, the client."""

from __future__ import annotations

import hashlib
from functools import cache

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lakecore.base import CorruptData, InvalidInput, NotFound
from lakecore.tlog import (
    TILE_WIDTH,
    Checkpoint,
    Frontier,
    Hashes,
    Tile,
    TileTree,
    check_consistency,
    check_inclusion,
    consistency_path,
    decode_bundle,
    encode_bundle,
    fetch_entry,
    inclusion_path,
    levels,
    node_source,
    parse_tile_path,
    tile_nodes,
    tile_of,
    tiles_of,
)

SIZE = 70_000
ORIGIN = "example.com/log"


@cache
def leaves() -> Hashes:
    """Leaf hashes of `SIZE` entries, each the text of its number."""
    data = b"".join(hashlib.sha256(b"\x00%d" % number).digest() for number in range(SIZE))
    return np.frombuffer(data, np.uint8).reshape(-1, 32)


@cache
def nodes() -> list[Hashes]:
    """All full nodes of that tree."""
    return levels(leaves())


def tile_bytes(tile: Tile) -> bytes:
    """A tile by its definition: nodes of level 8·L, side by side."""
    assert tile.level is not None
    row = nodes()[8 * tile.level]
    return row[tile.first : tile.first + tile.width].tobytes()


def checkpoint(size: int) -> Checkpoint:
    tree = Frontier.empty()
    tree.append(leaves()[:size])
    return Checkpoint(ORIGIN, size, tree.root())


class Log:
    """A tiled log of the first `size` entries, as a web server would have it."""

    def __init__(self, size: int) -> None:
        self.objects = {tile.path: tile_bytes(tile) for tile in tiles_of(size)}
        for tile in tiles_of(size):
            if tile.level == 0:
                entries = [b"%d" % n for n in range(tile.first, tile.first + tile.width)]
                bundle = Tile(None, tile.index, tile.width)
                self.objects[bundle.path] = encode_bundle(entries)
        self.fetched: list[str] = []

    def fetch(self, path: str) -> bytes:
        self.fetched.append(path)
        if path not in self.objects:
            raise NotFound("no such object", where=path)
        return self.objects[path]


@pytest.mark.parametrize(
    ("tile", "path"),
    [
        (Tile(0, 1_234_067), "tile/0/x001/x234/067"),  # the example of c2sp.org/tlog-tiles
        (Tile(1, 0, 17), "tile/1/000.p/17"),
        (Tile(None, 999), "tile/entries/999"),
        (Tile(None, 1_000, 5), "tile/entries/x001/000.p/5"),
        (Tile(7, 0, 1), "tile/7/000.p/1"),
    ],
)
def test_the_paths_of_tiles(tile: Tile, path: str) -> None:
    """Groups of three digits, all but the last with an x."""
    assert tile.path == path
    assert parse_tile_path(path) == tile


@given(st.none() | st.integers(0, 6), st.integers(0, 127), st.integers(0), st.integers(1, 256))
def test_paths_round_trip(level: int | None, shift: int, index: int, width: int) -> None:
    """parse(path) is the tile, for every tile that a tree can have."""
    limit = (2**63 - 1) >> 8 * ((level or 0) + 1)
    tile = Tile(level, (index >> shift) % (limit + 1), width)
    assert parse_tile_path(tile.path) == tile


@pytest.mark.parametrize(
    "path",
    [
        "",
        "tile/0",
        "tile/0/1",
        "tile/0/0001",
        "tile/00/001",
        "tile/64/001",
        "tile/8/000",
        "tile/-1/001",
        "tile/0/x001",
        "tile/0/001/002",
        "tile/0/x000/001",
        "tile/0/001.p/0",
        "tile/0/001.p/256",
        "tile/0/001.p/01",
        "tile/0/001.p/",
        "tile/0/001/",
        "tile/data/001",
        "/tile/0/001",
        "tile/0/../001",
        "tile/0/x999/x999/x999/x999/x999/x999/999",
        "tile/0/٠٠١",
        "tile/0/001\n",
    ],
)
def test_other_paths_are_refused(path: str) -> None:
    """One tile has one path, and nothing else is one."""
    with pytest.raises(InvalidInput):
        parse_tile_path(path)


@given(st.text(max_size=40))
def test_any_text_is_a_path_or_refused(text: str) -> None:
    """Nothing but `InvalidInput` comes of bad paths."""
    for path in (text, f"tile/0/{text}", f"tile/0/001{text}"):
        try:
            tile = parse_tile_path(path)
        except InvalidInput:
            continue
        assert tile.path == path


def test_the_tiles_of_the_examples() -> None:
    """c2sp.org/tlog-tiles: what a tree of 70,000 and one of 256 leaves have."""
    found = list(tiles_of(70_000))
    assert sum(tile.level == 0 and tile.width == 256 for tile in found) == 273
    assert [tile for tile in found if tile.width < 256] == [
        Tile(0, 273, 112),
        Tile(1, 1, 17),
        Tile(2, 0, 1),
    ]
    assert Tile(1, 0) in found
    assert len(found) == 273 + 4
    assert list(tiles_of(256)) == [Tile(0, 0), Tile(1, 0, 1)]
    assert list(tiles_of(0)) == []


@given(st.integers(0, 300_000), st.integers(0, 300_000))
def test_the_tiles_that_are_new(first: int, second: int) -> None:
    """What a larger tree has and a smaller one has not."""
    small, large = sorted((first, second))
    new = set(tiles_of(large, since=small))
    assert new == set(tiles_of(large)) - set(tiles_of(small))


def test_a_tile_beyond_the_tree() -> None:
    """There is no tile where the tree has no node."""
    assert tile_of(1, 1, 70_000) == Tile(1, 1, 17)
    for level, index in ((0, 274), (1, 2), (3, 0), (9, 0), (0, -1)):
        with pytest.raises(InvalidInput):
            tile_of(level, index, 70_000)


@settings(max_examples=50, deadline=None)
@given(st.integers(1, SIZE), st.data())
def test_paths_from_tiles_are_those_of_the_tree(size: int, data: st.DataObject) -> None:
    """Inclusion and consistency paths are the same from tiles and from all nodes."""
    from_tiles = tile_nodes(tile_bytes, size)
    from_nodes = node_source(nodes())
    index = data.draw(st.integers(0, size - 1))
    assert inclusion_path(from_tiles, index, size) == inclusion_path(from_nodes, index, size)
    old = data.draw(st.integers(0, size))
    assert consistency_path(from_tiles, old, size) == consistency_path(from_nodes, old, size)


def test_a_tile_of_another_length_is_damage() -> None:
    """Short and long tiles are told by their name."""
    for change in (lambda data: data[:-1], lambda data: data + bytes(32)):
        nodes_of = tile_nodes(lambda tile, change=change: change(tile_bytes(tile)), SIZE)
        with pytest.raises(CorruptData, match=r"tile/0/000"):
            nodes_of(0, 0)


@settings(max_examples=30, deadline=None)
@given(st.lists(st.integers(0, SIZE), max_size=6))
def test_however_it_grows_the_tiles_are_the_same(cuts: list[int]) -> None:
    """Whatever the steps, and whether it is loaded between them: root and tiles are right."""
    tree = TileTree.empty()
    written: dict[Tile, bytes] = {}
    before = 0
    for cut in sorted(cuts):
        tree = TileTree.load(before, tile_bytes)
        tree.append(leaves()[before:cut])
        new = dict(tree.take_full()) | dict(tree.partial())
        assert set(tiles_of(cut, since=before, first_level=1)) <= set(new)
        written |= new
        assert tree.root() == checkpoint(cut).root
        assert tree.size == cut
        before = cut
    assert all(data == tile_bytes(tile) for tile, data in written.items())


def test_a_tree_of_wrong_tiles_has_another_root() -> None:
    """Loading believes nothing: the root tells."""
    assert TileTree.load(SIZE, tile_bytes).root() == checkpoint(SIZE).root
    wrong = TileTree.load(SIZE, lambda tile: bytes(32 * tile.width))
    assert wrong.root() != checkpoint(SIZE).root
    with pytest.raises(CorruptData):
        TileTree(3, [leaves()[:2]])
    with pytest.raises(CorruptData):
        TileTree(256, [leaves()[:0]])


@given(st.lists(st.binary(max_size=300), max_size=TILE_WIDTH))
def test_bundles_round_trip(entries: list[bytes]) -> None:
    """decode(encode) gives the entries; one more or one less is damage."""
    data = encode_bundle(entries)
    assert decode_bundle(data, len(entries)) == entries
    for width in {len(entries) + 1, max(0, len(entries) - 1)} - {len(entries)}:
        with pytest.raises(CorruptData):
            decode_bundle(data, width)


def test_the_bytes_of_a_bundle() -> None:
    """Lengths are two bytes, the high one first."""
    assert encode_bundle([b"ab", b"", b"c" * 258]) == b"\0\2ab\0\0\1\2" + b"c" * 258
    assert len(encode_bundle([b"x" * 65_535])) == 65_537
    with pytest.raises(InvalidInput):
        encode_bundle([b"x" * 65_536])
    with pytest.raises(InvalidInput):
        encode_bundle([b""] * 257)


@given(st.binary(max_size=60), st.integers(0, 5))
def test_any_bytes_are_a_bundle_or_damage(data: bytes, width: int) -> None:
    """What decodes is what was encoded."""
    try:
        entries = decode_bundle(data, width)
    except CorruptData:
        return
    assert encode_bundle(entries) == data


@pytest.mark.parametrize("size", [1, 255, 256, 257, 65_536, SIZE])
def test_a_client_checks_a_log(size: int) -> None:
    """Entries and growth are shown by a few tiles; nothing but the checkpoint is believed."""
    log = Log(size)
    for index in {0, size // 2, size - 1}:
        assert fetch_entry(log.fetch, checkpoint(size), index) == b"%d" % index
        log.fetched.clear()
        check_inclusion(log.fetch, checkpoint(size), index, leaves()[index].tobytes())
        assert len(log.fetched) <= 5
        with pytest.raises(CorruptData):
            check_inclusion(log.fetch, checkpoint(size), index, bytes(32))
    for old in {0, 1, size // 2, size}:
        check_consistency(log.fetch, checkpoint(old), checkpoint(size))


def test_a_client_takes_the_full_tile_when_the_partial_one_is_gone() -> None:
    """A log may delete partial tiles once the full one is there."""
    log = Log(SIZE)
    old = checkpoint(1_000)
    assert "tile/0/003.p/232" not in log.objects
    assert fetch_entry(log.fetch, old, 999) == b"999"


def test_a_client_sees_a_log_that_was_rewritten() -> None:
    """Another entry, other tiles, a fork: none of them agrees with the checkpoint."""
    log = Log(SIZE)
    log.objects["tile/entries/000"] = log.objects["tile/entries/000"].replace(
        b"\0\x017", b"\0\x018"
    )
    with pytest.raises(CorruptData):
        fetch_entry(log.fetch, checkpoint(SIZE), 7)
    fork = Checkpoint(ORIGIN, 1_000, bytes(32))
    with pytest.raises(CorruptData, match="continuation"):
        check_consistency(log.fetch, fork, checkpoint(SIZE))
    with pytest.raises(InvalidInput):
        check_consistency(log.fetch, Checkpoint("b", 1, bytes(32)), checkpoint(SIZE))
    with pytest.raises(InvalidInput):
        fetch_entry(log.fetch, checkpoint(SIZE), SIZE)


@pytest.mark.parametrize("size", [10_000_000, 2**40 + 12_345])
def test_a_proof_reads_little(size: int) -> None:
    """A proof in a log of ten million entries reads no more than 60 kB of hashes."""
    for index in (0, 1, size // 3, size - 300, size - 1):
        read: list[Tile] = []

        def load(tile: Tile, read: list[Tile] = read) -> bytes:
            read.append(tile)
            return bytes(32 * tile.width)

        inclusion_path(tile_nodes(load, size), index, size)
        assert len(read) == len(set(read))
        assert sum(32 * tile.width for tile in read) <= 60_000 * size.bit_length() / 24
