"""Stored tiles against the recomputed tree: they are served to others as they lie there."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from lakecore.base import InvalidInput, NotFound
from lakecore.journal._check.report import MAX_PROBLEMS, Problem
from lakecore.journal._check.tree import BLOCK, BLOCK_LEVEL

if TYPE_CHECKING:
    from lakecore.storage import Store
    from lakecore.tlog import Hashes

FOLDER: Final = "journal/tiles/"
_HASH_BYTES: Final = 32


class StoredTiles:
    """The tiles of a lake, each compared when the tree's nodes for it are known.

    In memory is one tile of each level, and the names of those that are stored.
    """

    def __init__(self, store: Store) -> None:
        from lakecore.tlog import parse_tile_path

        self._store = store
        self._widths: dict[tuple[int, int], list[int]] = {}
        self._problems: list[Problem] = []
        self._levels: list[bytearray] = []
        self._counts: list[int] = []
        for info in store.list_objects(FOLDER):
            try:
                tile = parse_tile_path(info.path[len(FOLDER) :])
            except InvalidInput:
                self._add(info.path, "the path of a tile", "another name")
                continue
            if tile.level:
                self._widths.setdefault((tile.level, tile.index), []).append(tile.width)

    def take(self, blocks: Hashes) -> None:
        """The next nodes of level 8."""
        if len(blocks):
            self._append(1, blocks.tobytes())

    def problems(self, size: int) -> list[Problem]:
        """What is stored otherwise than it should be; `size` is that of the tree."""
        for number, held in enumerate(self._levels):
            self._compare(number + 1, self._counts[number], bytes(held))
            held.clear()
        for level, index in self._widths:
            self._add(self._path(level, index, BLOCK), f"a tree of {size} events", "a tile beyond")
        self._widths.clear()
        return self._problems

    def _append(self, level: int, nodes: bytes) -> None:
        import numpy as np

        from lakecore.tlog import parents

        if len(self._levels) < level:
            self._levels.append(bytearray())
            self._counts.append(0)
        held = self._levels[level - 1]
        held += nodes
        whole = BLOCK * _HASH_BYTES
        while len(held) >= whole:
            data = bytes(held[:whole])
            del held[:whole]
            self._compare(level, self._counts[level - 1], data)
            self._counts[level - 1] += 1
            above = np.frombuffer(data, np.uint8).reshape(-1, _HASH_BYTES)
            for _ in range(BLOCK_LEVEL):
                above = parents(above)
            self._append(level + 1, above.tobytes())

    def _compare(self, level: int, index: int, nodes: bytes) -> None:
        for width in self._widths.pop((level, index), []):
            path = self._path(level, index, width)
            try:
                found = self._store.get(path)
            except NotFound:
                continue
            if len(nodes) < width * _HASH_BYTES:
                self._add(path, "nodes of the tree", "a tile beyond its end")
            elif found != nodes[: width * _HASH_BYTES]:
                self._add(path, "the recomputed nodes", "others")

    def _path(self, level: int, index: int, width: int) -> str:
        from lakecore.tlog import Tile

        return FOLDER + Tile(level, index, width).path

    def _add(self, path: str, expected: str, found: str) -> None:
        if len(self._problems) < MAX_PROBLEMS:
            self._problems.append(Problem(path, None, None, expected, found))
