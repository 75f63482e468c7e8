"""The Merkle tree of RFC 9162, section 2.1: roots, proofs, and a tree that only grows.

- A leaf hash comes from outside; a node is SHA-256(0x01 ‖ left ‖ right).
- *Node (level, index)* is the root of the full subtree over leaves
  ``[index * 2**level, (index + 1) * 2**level)``. Such a node never changes once it is
  full, so a source of them may be tiles, segments or an array.
- Everything here is pure: bytes and arrays in, bytes out.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Sequence
from typing import Any, Final

import numpy as np
import pyarrow as pa

from lakecore.base import CorruptData, InvalidInput
from lakecore.tlog._digest import HASH_BYTES, Hashes, sha256_rows

NodeSource = Callable[[int, int], bytes]
"""``node(level, index)``: the 32 bytes of a full subtree's root."""

EMPTY_ROOT: Final = hashlib.sha256(b"").digest()

_NODE_PREFIX: Final = b"\x01"
_PAIR_BYTES: Final = 1 + 2 * HASH_BYTES
_FEW_PAIRS: Final = 512
"""Up to here a loop is faster than hashing them as a column."""
_MAX_LEVELS: Final = 64


class Frontier:
    """The right edge of a growing tree: its size and the roots of its full subtrees.

    The edge has one hash for each bit that is set in the size, the largest subtree first:
    enough to append leaves and to know the root, in at most 64 hashes.
    """

    __slots__ = ("_edge", "_size")

    def __init__(self, size: int, edge: Sequence[bytes]) -> None:
        if size < 0 or size.bit_length() > _MAX_LEVELS:
            raise CorruptData("no tree has this size", found=size)
        if len(edge) != size.bit_count() or any(len(node) != HASH_BYTES for node in edge):
            raise CorruptData(
                "the edge does not fit the size",
                expected=f"{size.bit_count()} hashes of 32 bytes for {size} leaves",
                found=[len(node) for node in edge],
            )
        self._size = size
        self._edge = list(edge)

    @classmethod
    def empty(cls) -> Frontier:
        """The tree without leaves."""
        return cls(0, [])

    @property
    def size(self) -> int:
        """Number of leaves."""
        return self._size

    @property
    def edge(self) -> tuple[bytes, ...]:
        """Roots of the full subtrees, the largest first."""
        return tuple(self._edge)

    def root(self) -> bytes:
        """The root of the tree; of the empty tree, SHA-256 of nothing."""
        if not self._edge:
            return EMPTY_ROOT
        result = self._edge[-1]
        for left in reversed(self._edge[:-1]):
            result = node_hash(left, result)
        return result

    def append(self, leaves: Hashes) -> None:
        """Add leaf hashes, shape (n, 32), at the right, level by level.

        Raises:
            InvalidInput: the array has another shape.
        """
        level_hashes = _checked(leaves)
        by_level = dict(zip(_set_bits(self._size), self._edge, strict=True))
        size = self._size + len(level_hashes)
        level = 0
        while len(level_hashes):
            waiting = by_level.pop(level, None)
            if waiting is not None:
                # The subtree that waited for its right sibling has it now.
                left = np.frombuffer(waiting, dtype=np.uint8)[np.newaxis]
                level_hashes = np.concatenate([left, level_hashes])
            if len(level_hashes) % 2:
                by_level[level] = level_hashes[-1].tobytes()
            level_hashes = parents(level_hashes)
            level += 1
        self._size = size
        self._edge = [by_level[bit] for bit in _set_bits(size)]

    def copy(self) -> Frontier:
        """Another tree with the same leaves, to append to on trial."""
        return Frontier(self._size, self._edge)

    def to_json(self) -> dict[str, object]:
        """``{"size": n, "edge": [hex, …]}``."""
        return {"size": self._size, "edge": [node.hex() for node in self._edge]}

    @classmethod
    def from_json(cls, document: Any) -> Frontier:
        """The tree of `to_json`.

        Raises:
            CorruptData: it is not of that form, or edge and size do not fit.
        """
        try:
            size, edge = document["size"], document["edge"]
            if type(size) is not int:
                raise TypeError("size is not an integer")
            return cls(size, [bytes.fromhex(node) for node in edge])
        except (KeyError, TypeError, ValueError) as error:
            raise CorruptData(
                "not the edge of a tree", expected='{"size", "edge"}', found=error
            ) from error

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, Frontier):
            return NotImplemented
        return self._size == other._size and self._edge == other._edge

    __hash__ = None  # type: ignore[assignment]  # it changes

    def __repr__(self) -> str:
        return f"Frontier(size={self._size}, root={self.root().hex()})"


def node_hash(left: bytes, right: bytes) -> bytes:
    """SHA-256(0x01 ‖ left ‖ right)."""
    return hashlib.sha256(_NODE_PREFIX + left + right).digest()


def parents(hashes: Hashes) -> Hashes:
    """The nodes above a level, shape (n // 2, 32): an odd last one has none yet."""
    count = len(hashes) // 2
    if count <= _FEW_PAIRS:
        pairs_text = hashes[: 2 * count].tobytes()
        steps = range(0, count * 2 * HASH_BYTES, 2 * HASH_BYTES)
        nodes = [_sha256(_NODE_PREFIX + pairs_text[at : at + 2 * HASH_BYTES]) for at in steps]
        return np.frombuffer(b"".join(nodes), dtype=np.uint8).reshape(-1, HASH_BYTES)
    pairs = np.empty((count, _PAIR_BYTES), dtype=np.uint8)
    pairs[:, 0] = _NODE_PREFIX[0]
    pairs[:, 1:] = hashes[: 2 * count].reshape(count, 2 * HASH_BYTES)
    offsets = np.arange(0, (count + 1) * _PAIR_BYTES, _PAIR_BYTES, dtype=np.int64)
    buffers = [None, pa.py_buffer(offsets), pa.py_buffer(pairs)]
    return sha256_rows(pa.Array.from_buffers(pa.large_binary(), count, buffers))


def _sha256(data: bytes) -> bytes:
    return hashlib.sha256(data).digest()


def root(leaves: Hashes) -> bytes:
    """The root of the tree over leaf hashes, shape (n, 32)."""
    tree = Frontier.empty()
    tree.append(leaves)
    return tree.root()


def levels(leaves: Hashes) -> list[Hashes]:
    """All full nodes of the tree over leaf hashes: ``levels[level][index]``."""
    result = [_checked(leaves)]
    while len(result[-1]) > 1:
        result.append(parents(result[-1]))
    return result


def node_source(nodes: Sequence[Hashes]) -> NodeSource:
    """A source of nodes that are held in memory, as `levels` gives them."""

    def node(level: int, index: int) -> bytes:
        return bytes(nodes[level][index].tobytes())

    return node


def subtree_root(node: NodeSource, start: int, end: int) -> bytes:
    """The root over leaves ``[start, end)``; start is a multiple of a power of two ≥ the length.

    RFC 9162, 2.1.1: the left part is the largest full subtree.
    """
    if end == start:
        return EMPTY_ROOT
    full: list[bytes] = []
    while start < end:
        level = (end - start).bit_length() - 1
        full.append(node(level, start >> level))
        start += 1 << level
    result = full.pop()
    while full:
        result = node_hash(full.pop(), result)
    return result


def inclusion_path(node: NodeSource, index: int, size: int) -> list[bytes]:
    """The path that shows leaf `index` in the tree of `size` leaves (RFC 9162, 2.1.3.1).

    Raises:
        InvalidInput: there is no such leaf.
    """
    if not 0 <= index < size:
        raise InvalidInput("no such leaf", expected=f"0 to {size - 1}", found=index)
    path: list[bytes] = []
    start, end = 0, size
    while end - start > 1:
        middle = start + _split(end - start)
        if index < middle:
            path.append(subtree_root(node, middle, end))
            end = middle
        else:
            path.append(subtree_root(node, start, middle))
            start = middle
    return path[::-1]


def verify_inclusion(
    leaf: bytes, index: int, size: int, path: Sequence[bytes], root_hash: bytes
) -> bool:
    """Does the path show this leaf hash at `index` of the tree with that root (2.1.3.2)?"""
    if not 0 <= index < size or any(len(node) != HASH_BYTES for node in path):
        return False
    position, last = index, size - 1
    result = leaf
    for sibling in path:
        if last == 0:
            return False  # longer than the tree is high
        if position & 1 or position == last:
            result = node_hash(sibling, result)
            while not position & 1 and position:
                position, last = position >> 1, last >> 1
        else:
            result = node_hash(result, sibling)
        position, last = position >> 1, last >> 1
    return last == 0 and result == root_hash


def consistency_path(node: NodeSource, old_size: int, size: int) -> list[bytes]:
    """The path that shows the tree of `old_size` leaves as the start of the larger (2.1.4.1).

    It is empty for equal sizes, and for the empty tree, which every tree starts with.

    Raises:
        InvalidInput: the old tree is larger.
    """
    if not 0 <= old_size <= size:
        raise InvalidInput("no such tree", expected=f"a size of 0 to {size}", found=old_size)
    path: list[bytes] = []
    if old_size in (0, size):
        return path
    start, end = 0, size
    while end != old_size:
        middle = start + _split(end - start)
        if old_size <= middle:
            path.append(subtree_root(node, middle, end))
            end = middle
        else:
            path.append(subtree_root(node, start, middle))
            start = middle
    if start:
        # The old tree is no full subtree of the new one: its last part is needed, too.
        path.append(subtree_root(node, start, end))
    return path[::-1]


def verify_consistency(
    old_size: int, size: int, path: Sequence[bytes], old_root: bytes, root_hash: bytes
) -> bool:
    """Does the path show that the tree with `old_root` is the start of the other (2.1.4.2)?"""
    if not 0 <= old_size <= size or any(len(node) != HASH_BYTES for node in path):
        return False
    if old_size == size:
        return not path and old_root == root_hash
    if old_size == 0:
        return not path and old_root == EMPTY_ROOT
    nodes = list(path)
    if old_size & (old_size - 1) == 0:
        nodes.insert(0, old_root)  # a full subtree: the verifier has its root
    if not nodes:
        return False
    position, last = old_size - 1, size - 1
    while position & 1:
        position, last = position >> 1, last >> 1
    old_result = result = nodes[0]
    for sibling in nodes[1:]:
        if last == 0:
            return False
        if position & 1 or position == last:
            old_result = node_hash(sibling, old_result)
            result = node_hash(sibling, result)
            while not position & 1 and position:
                position, last = position >> 1, last >> 1
        else:
            result = node_hash(result, sibling)
        position, last = position >> 1, last >> 1
    return last == 0 and old_result == old_root and result == root_hash


def _checked(hashes: Hashes) -> Hashes:
    if hashes.dtype != np.uint8 or hashes.ndim != 2 or hashes.shape[1] != HASH_BYTES:
        raise InvalidInput(
            "not an array of hashes",
            expected="uint8 of shape (n, 32)",
            found=f"{hashes.dtype} of shape {hashes.shape}",
        )
    return np.ascontiguousarray(hashes)


def _split(size: int) -> int:
    """The largest power of two smaller than `size`."""
    return 1 << ((size - 1).bit_length() - 1)


def _set_bits(size: int) -> list[int]:
    """The bits that are set, the highest first."""
    return [bit for bit in reversed(range(size.bit_length())) if size >> bit & 1]
