"""A tree that grows and leaves tiles behind: what a signer keeps between two checkpoints.

Of each level of tiles only the last, partial one is held. They are enough to know the
root, to append, and to write the next tiles, and they can be read back from tiles.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np

from lakecore.base import CorruptData
from lakecore.tlog._digest import HASH_BYTES, Hashes
from lakecore.tlog._merkle import EMPTY_ROOT, parents, subtree_root
from lakecore.tlog._tiles import TILE_HEIGHT, TILE_WIDTH, Tile, TileLoader, checked_tile, tile_nodes


class TileTree:
    """A growing tree, by the partial tiles at its right edge.

    Args:
        size: number of leaves.
        edge: for each level of tiles, the hashes of its last tile, which is not full;
            shape (n, 32).
    """

    def __init__(self, size: int, edge: Sequence[Hashes]) -> None:
        widths = [(size >> TILE_HEIGHT * level) % TILE_WIDTH for level in range(len(edge))]
        if [len(row) for row in edge] != widths or size >> TILE_HEIGHT * len(edge):
            raise CorruptData(
                "the edge does not fit the size", expected=widths, found=[len(row) for row in edge]
            )
        self._size = size
        self._edge = list(edge)
        self._full: list[tuple[Tile, bytes]] = []

    @classmethod
    def empty(cls) -> TileTree:
        """The tree without leaves."""
        return cls(0, [])

    @classmethod
    def load(cls, size: int, load: TileLoader) -> TileTree:
        """The tree with `size` leaves, from its partial tiles; the root says if they are right."""
        edge: list[Hashes] = []
        while count := size >> TILE_HEIGHT * len(edge):
            data = b""
            if width := count % TILE_WIDTH:
                tile = Tile(len(edge), count // TILE_WIDTH, width)
                data = checked_tile(tile, load(tile))
            edge.append(np.frombuffer(data, np.uint8).reshape(-1, HASH_BYTES))
        return cls(size, edge)

    @property
    def size(self) -> int:
        """Number of leaves."""
        return self._size

    def root(self) -> bytes:
        """The root of the tree."""
        if not self._size:
            return EMPTY_ROOT
        nodes = tile_nodes(lambda tile: self._edge[tile.level or 0].tobytes(), self._size)
        return subtree_root(nodes, 0, self._size)

    def append(self, leaves: Hashes) -> None:
        """Add leaf hashes, shape (n, 32), at the right."""
        new, level = leaves, 0
        before = self._size
        while len(new):
            if level == len(self._edge):
                self._edge.append(new[:0])
            row = np.concatenate([self._edge[level], new])
            count = len(row) // TILE_WIDTH * TILE_WIDTH
            full = row[:count]
            first = (before >> TILE_HEIGHT * level) // TILE_WIDTH
            if level:
                for number, tile in enumerate(full.reshape(-1, TILE_WIDTH, HASH_BYTES)):
                    self._full.append((Tile(level, first + number), tile.tobytes()))
            self._edge[level] = row[count:].copy()
            for _ in range(TILE_HEIGHT):
                full = parents(full)
            new, level = full, level + 1
        self._size = before + len(leaves)

    def take_full(self) -> list[tuple[Tile, bytes]]:
        """The tiles above level 0 that became full since this was asked last."""
        taken, self._full = self._full, []
        return taken

    def partial(self) -> Iterator[tuple[Tile, bytes]]:
        """The partial tiles above level 0."""
        for level, row in enumerate(self._edge):
            if level and len(row):
                index = (self._size >> TILE_HEIGHT * level) // TILE_WIDTH
                yield Tile(level, index, len(row)), row.tobytes()
