"""The Merkle tree against known vectors, a naive recursion, and itself."""

from __future__ import annotations

import hashlib
from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.golden.generate_leaf_v1 import tree_hash

from lakecore.base import CorruptData, InvalidInput
from lakecore.tlog._digest import Hashes
from lakecore.tlog._merkle import (
    EMPTY_ROOT,
    Frontier,
    consistency_path,
    inclusion_path,
    levels,
    node_source,
    root,
    subtree_root,
    verify_consistency,
    verify_inclusion,
)

# The leaves and roots that Certificate Transparency's implementations test with.
KNOWN_LEAVES = [
    "",
    "00",
    "10",
    "2021",
    "3031",
    "40414243",
    "5051525354555657",
    "606162636465666768696a6b6c6d6e6f",
]
KNOWN_ROOTS = [
    "6e340b9cffb37a989ca544e6bb780a2c78901d3fb33738768511a30617afa01d",
    "fac54203e7cc696cf0dfcb42c92a1d9dbaf70ad9e621f4bd8d98662f00e3c125",
    "aeb6bcfe274b70a14fb067a5e5578264db0fa9b51af5e0ba159158f329e06e77",
    "d37ee418976dd95753c1c73862b9398fa2a2cf9b4ff0fdfe8b30cd95209614b7",
    "4e3bbb1f7b478dcfe71fb631631519a3bca12c9aefca1612bfce4c13a86264d4",
    "76e67dadbcdf1e10e1b74ddc608abd2f98dfb16fbce75277b5232a127f2087ef",
    "ddb89be403809e325750d3d263cd78929c2942b7942a34b77e122c9594a74c8c",
    "5dc9da79a70659a9ad559cb701ded9a2ab9d823aad2f4960cfe370eff4604328",
]


def leaf(data: bytes) -> bytes:
    """A leaf hash of RFC 9162."""
    return hashlib.sha256(b"\x00" + data).digest()


def hashes_of(items: list[bytes]) -> Hashes:
    """Leaf hashes as an array."""
    return np.frombuffer(b"".join(items), dtype=np.uint8).reshape(-1, 32)


LEAVES = [leaf(str(at).encode()) for at in range(600)]
SIZES = st.integers(0, 130)


def test_the_known_vectors_of_certificate_transparency() -> None:
    """Eight leaves that every implementation knows, with the roots of all sizes."""
    leaves = [leaf(bytes.fromhex(text)) for text in KNOWN_LEAVES]
    assert EMPTY_ROOT.hex() == "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"
    assert root(hashes_of([])) == EMPTY_ROOT
    for size, expected in enumerate(KNOWN_ROOTS, start=1):
        assert root(hashes_of(leaves[:size])).hex() == expected


def test_a_known_inclusion_path() -> None:
    """The path of leaf 5 of 8 is the one of the published vectors."""
    leaves = [leaf(bytes.fromhex(text)) for text in KNOWN_LEAVES]
    node = node_source(levels(hashes_of(leaves)))
    assert [item.hex() for item in inclusion_path(node, 5, 8)] == [
        "bc1a0643b12e4d2d7c77918f44e0f4f79a838b6cf9ec5b5c283e1f4d88599e6b",
        "ca854ea128ed050b41b35ffc1b87b8eb2bde461e9e3b5596ece6b9d5975a0ae0",
        "d37ee418976dd95753c1c73862b9398fa2a2cf9b4ff0fdfe8b30cd95209614b7",
    ]


def test_known_consistency_paths() -> None:
    """The published paths from 1, 6 and 2 leaves."""
    leaves = [leaf(bytes.fromhex(text)) for text in KNOWN_LEAVES]
    node = node_source(levels(hashes_of(leaves)))
    assert [item.hex()[:8] for item in consistency_path(node, 1, 8)] == [
        "96a296d2",
        "5f083f0a",
        "6b47aaf2",
    ]
    assert [item.hex()[:8] for item in consistency_path(node, 6, 8)] == [
        "0ebc5d34",
        "ca854ea1",
        "d37ee418",
    ]
    assert [item.hex()[:8] for item in consistency_path(node, 2, 5)] == ["5f083f0a", "bc1a0643"]


@settings(max_examples=60, deadline=None)
@given(SIZES, st.lists(SIZES, max_size=4))
def test_however_it_grows_the_root_is_the_same(size: int, cuts: list[int]) -> None:
    """Any split into appends gives the root of the naive recursion."""
    tree = Frontier.empty()
    bounds = [0, *sorted(min(cut, size) for cut in cuts), size]
    for start, end in pairwise(bounds):
        tree.append(hashes_of(LEAVES[start:end]))
        assert tree.size == end
        assert tree.root() == tree_hash(LEAVES[:end])
        tree = Frontier.from_json(tree.to_json())
    assert tree.root() == root(hashes_of(LEAVES[:size]))
    assert len(tree.edge) == size.bit_count()


@settings(max_examples=100, deadline=None)
@given(st.integers(1, 130), st.data())
def test_inclusion_is_shown_and_only_that(size: int, data: st.DataObject) -> None:
    """Each leaf's path verifies; for another leaf, place, size, root or path it does not."""
    index = data.draw(st.integers(0, size - 1))
    node = node_source(levels(hashes_of(LEAVES[:size])))
    path = inclusion_path(node, index, size)
    tree_root = tree_hash(LEAVES[:size])
    assert verify_inclusion(LEAVES[index], index, size, path, tree_root)
    assert not verify_inclusion(LEAVES[index + 1], index, size, path, tree_root)
    assert not verify_inclusion(LEAVES[index], index, size, path, EMPTY_ROOT)
    assert not verify_inclusion(LEAVES[index], index, size, [*path, EMPTY_ROOT], tree_root)
    assert not verify_inclusion(LEAVES[index], size, size, path, tree_root)
    assert not verify_inclusion(LEAVES[index], -1, size, path, tree_root)
    if path:
        assert not verify_inclusion(LEAVES[index], index, size, path[:-1], tree_root)
        assert not verify_inclusion(LEAVES[index], index, size, [*path[:-1], b"x"], tree_root)
        changed = [*path[:-1], EMPTY_ROOT]
        assert not verify_inclusion(LEAVES[index], index, size, changed, tree_root)
        other = index ^ 1
        if other < size:
            assert not verify_inclusion(LEAVES[index], other, size, path, tree_root)


@settings(max_examples=100, deadline=None)
@given(SIZES, SIZES)
def test_consistency_is_shown_and_only_that(first: int, second: int) -> None:
    """A tree's start verifies against it; any other root, size or path does not."""
    old_size, size = sorted((first, second))
    node = node_source(levels(hashes_of(LEAVES[:size])))
    path = consistency_path(node, old_size, size)
    old_root, new_root = tree_hash(LEAVES[:old_size]), tree_hash(LEAVES[:size])
    assert verify_consistency(old_size, size, path, old_root, new_root)
    assert not verify_consistency(old_size, size, [*path, EMPTY_ROOT], old_root, new_root)
    assert not verify_consistency(size + 1, size, path, old_root, new_root)
    other = leaf(b"other")
    assert not verify_consistency(old_size, size, path, other, new_root)
    if old_size:
        assert not verify_consistency(old_size, size, path, old_root, other)
    if path:
        assert not verify_consistency(old_size, size, path[:-1], old_root, new_root)
        assert not verify_consistency(old_size, size, [b"x", *path[1:]], old_root, new_root)
        assert not verify_consistency(old_size, size, [], old_root, new_root)


def test_every_small_tree() -> None:
    """All sizes to 40, all leaves and all starts."""
    for size in range(1, 41):
        node = node_source(levels(hashes_of(LEAVES[:size])))
        tree_root = tree_hash(LEAVES[:size])
        for index in range(size):
            path = inclusion_path(node, index, size)
            assert verify_inclusion(LEAVES[index], index, size, path, tree_root)
            old_root = tree_hash(LEAVES[:index])
            path = consistency_path(node, index, size)
            assert verify_consistency(index, size, path, old_root, tree_root)


def test_only_full_nodes_are_asked_for() -> None:
    """A path needs nothing that a tile of a growing tree does not have."""
    size = 37
    nodes = levels(hashes_of(LEAVES[:size]))
    asked: list[tuple[int, int]] = []

    def node(level: int, index: int) -> bytes:
        asked.append((level, index))
        return bytes(nodes[level][index].tobytes())

    for index in range(size):
        inclusion_path(node, index, size)
        consistency_path(node, index, size)
    assert all((index + 1) << level <= size for level, index in asked)
    assert subtree_root(node, 0, 0) == EMPTY_ROOT


def test_a_large_append_is_vectorised_and_right() -> None:
    """Beyond the bound where hashing is handed over, the roots still agree."""
    leaves = [leaf(at.to_bytes(4, "big")) for at in range(3_001)]
    tree = Frontier.empty()
    tree.append(hashes_of(leaves[:1_501]))
    trial = tree.copy()
    trial.append(hashes_of(leaves[1_501:]))
    assert trial.root() == tree_hash(leaves)
    assert tree.root() == tree_hash(leaves[:1_501])
    assert tree != trial
    assert tree == tree.copy()
    assert "size=1501" in repr(tree)


def test_what_does_not_exist_is_refused() -> None:
    """Leaves and trees beyond the size, and arrays of another shape."""
    node = node_source(levels(hashes_of(LEAVES[:5])))
    with pytest.raises(InvalidInput):
        inclusion_path(node, 5, 5)
    with pytest.raises(InvalidInput):
        consistency_path(node, 6, 5)
    with pytest.raises(InvalidInput):
        root(np.zeros((2, 31), np.uint8))
    with pytest.raises(InvalidInput):
        root(np.zeros((2, 32), np.uint16))


@pytest.mark.parametrize(
    "document",
    [
        None,
        {},
        {"size": 1, "edge": []},
        {"size": 2, "edge": ["00"]},
        {"size": "1", "edge": ["00" * 32]},
        {"size": -1, "edge": []},
        {"size": 1 << 64, "edge": ["00" * 32]},
        {"size": 1, "edge": ["zz" * 32]},
        {"size": 1, "edge": 7},
    ],
)
def test_a_damaged_edge_is_corrupt(document: object) -> None:
    """Size and edge have to fit each other."""
    with pytest.raises(CorruptData):
        Frontier.from_json(document)
