"""The log's tree from parts that threads have computed.

Most of a tree's work is in its lowest levels. So whoever has the leaves of a range computes
the nodes over its aligned blocks of 256 there (`TreePart`), in any thread; what is left to
do in order is a 256th of it (`GrowingTree`).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

from lakecore.tlog import Frontier

if TYPE_CHECKING:
    from collections.abc import Sequence

    from lakecore.tlog import Hashes

BLOCK_LEVEL: Final = 8
BLOCK: Final = 1 << BLOCK_LEVEL


@dataclass(frozen=True, slots=True)
class TreePart:
    """Leaf hashes from position `first` on, and the nodes of the aligned blocks among them."""

    first: int
    hashes: Hashes
    nodes: Hashes

    @property
    def end(self) -> int:
        return self.first + len(self.hashes)

    @property
    def first_block(self) -> int:
        """Which block the first of `nodes` is."""
        return -(-self.first // BLOCK)

    @classmethod
    def of(cls, first: int, hashes: Hashes) -> TreePart:
        from lakecore.tlog import parents

        start = -first % BLOCK
        count = max(0, len(hashes) - start) // BLOCK * BLOCK
        nodes = hashes[start : start + count]
        for _ in range(BLOCK_LEVEL):
            nodes = parents(nodes)
        return cls(first, hashes, nodes)

    def at(self, first: int, start: int, count: int) -> TreePart:
        """Some of the leaves, from row `start` on, as those from `first` on of another tree."""
        if first % BLOCK == (self.first + start) % BLOCK:
            # The blocks of the other tree are blocks of this one.
            block = -(-(self.first + start) // BLOCK) - self.first_block
            blocks = max(0, count - (-first % BLOCK)) // BLOCK
            nodes = self.nodes[block : block + blocks]
            return TreePart(first, self.hashes[start : start + count], nodes)
        return TreePart.of(first, self.hashes[start : start + count])


class GrowingTree:
    """A tree that takes parts in order, up to any position in them."""

    def __init__(self, size: int = 0, edge: Sequence[bytes] = ()) -> None:
        whole = size // BLOCK
        count = whole.bit_count()
        self._blocks = Frontier(whole, edge[:count])
        self._rest = Frontier(size % BLOCK, edge[count:])

    @classmethod
    def of(cls, frontier: Frontier) -> GrowingTree:
        """The tree with this edge."""
        return cls(frontier.size, frontier.edge)

    @property
    def size(self) -> int:
        return self._blocks.size * BLOCK + self._rest.size

    def frontier(self) -> Frontier:
        """The whole tree's edge."""
        return Frontier(self.size, [*self._blocks.edge, *self._rest.edge])

    def advance(self, part: TreePart, end: int) -> Hashes:
        """Take the leaves of a part up to position `end`; returns the blocks that became full."""
        import numpy as np

        full: list[Any] = []
        position = self.size
        while position < end:
            if position % BLOCK == 0 and end - position >= BLOCK:
                block = position // BLOCK - part.first_block
                count = (end - position) // BLOCK
                full.append(part.nodes[block : block + count])
                self._blocks.append(full[-1])
                position += count * BLOCK
            else:
                stop = min(end, position - position % BLOCK + BLOCK)
                self._rest.append(part.hashes[position - part.first : stop - part.first])
                position = stop
                if self._rest.size == BLOCK:
                    full.append(np.frombuffer(self._rest.root(), np.uint8)[np.newaxis])
                    self._blocks.append(full[-1])
                    self._rest = Frontier.empty()
        return np.concatenate(full) if full else np.empty((0, 32), np.uint8)
