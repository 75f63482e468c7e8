"""Tiles (c2sp.org/tlog-tiles): the tree's hashes in pieces that never change.

- A tile of level L has up to 256 nodes of the tree's level 8·L, side by side; a full one
  has all 256, a partial one the first W of them, and is named ``.p/W``.
- A node of level 8·L + r is computed from 2^r neighbours in one tile.
- An entry bundle has the entries of a level-0 tile, each behind its length (uint16, big-endian).
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Final

from lakecore.base import CorruptData, InvalidInput
from lakecore.tlog._merkle import NodeSource, node_hash
from lakecore.tlog._text import MAX_SIZE, shown

TILE_HEIGHT: Final = 8
TILE_WIDTH: Final = 1 << TILE_HEIGHT
MAX_ENTRY_BYTES: Final = (1 << 16) - 1
_HASH_BYTES: Final = 32
_MAX_LEVEL: Final = 63 // TILE_HEIGHT
_LENGTH_BYTES: Final = 2
_PATH: Final = re.compile(
    r"tile/(?P<level>[0-9]|[1-5][0-9]|6[0-3]|entries)"
    r"/(?P<index>(?:x[0-9]{3}/){0,6}[0-9]{3})"
    r"(?:\.p/(?P<width>[1-9][0-9]{0,2}))?"
)


@dataclass(frozen=True, slots=True)
class Tile:
    """One tile: its level, its index in the level, and how many nodes it has.

    Level None is that of entry bundles, which are cut as the tiles of level 0.
    """

    level: int | None
    index: int
    width: int = TILE_WIDTH

    def __post_init__(self) -> None:
        level = self.level or 0
        # The last entry below the largest size is in the last tile that there can be.
        limit = MAX_SIZE >> TILE_HEIGHT * (level + 1)
        if not 0 <= level <= _MAX_LEVEL or not 0 <= self.index <= limit:
            raise InvalidInput("no tree has such a tile", found=f"level {level}, {self.index}")
        if not 1 <= self.width <= TILE_WIDTH:
            raise InvalidInput("not the width of a tile", expected="1 to 256", found=self.width)

    @property
    def path(self) -> str:
        """The path below the log's prefix: ``tile/0/x001/x234/067`` or ``tile/1/000.p/17``."""
        groups = [f"{self.index % 1000:03d}"]
        rest = self.index // 1000
        while rest:
            groups.append(f"x{rest % 1000:03d}")
            rest //= 1000
        level = "entries" if self.level is None else str(self.level)
        partial = f".p/{self.width}" if self.width < TILE_WIDTH else ""
        return f"tile/{level}/{'/'.join(reversed(groups))}{partial}"

    @property
    def full(self) -> Tile:
        """The same tile once all its nodes are there."""
        return Tile(self.level, self.index)

    @property
    def first(self) -> int:
        """The first node of the tile, counted in its level."""
        return self.index * TILE_WIDTH


def parse_tile_path(path: str) -> Tile:
    """The tile, or the entry bundle, that a path names.

    Raises:
        InvalidInput: it names none, or not in the one form that there is.
    """
    match = _PATH.fullmatch(path)
    if match is not None:
        index = int(match["index"].replace("x", "").replace("/", ""))
        level = None if match["level"] == "entries" else int(match["level"])
        width = int(match["width"] or TILE_WIDTH)
        if (level or 0) <= _MAX_LEVEL and 1 <= width <= TILE_WIDTH:
            tile = Tile(level, index, width)
            if tile.path == path:
                return tile
    raise InvalidInput(
        "not the path of a tile", expected="tile/<level>/<index>[.p/<width>]", found=shown(path)
    )


def tile_of(level: int, index: int, size: int) -> Tile:
    """The tile at a place of the tree with `size` leaves, as wide as that tree has it.

    Raises:
        InvalidInput: the tree has nothing there.
    """
    tile = Tile(level, index)
    width = min(TILE_WIDTH, (size >> TILE_HEIGHT * level) - tile.first)
    if width < 1:
        raise InvalidInput("the tree has no such tile", expected=f"one of {size}", found=tile.path)
    return Tile(level, index, width)


def tiles_of(size: int, *, since: int = 0, first_level: int = 0) -> Iterator[Tile]:
    """The tiles of the tree with `size` leaves, level by level from the left.

    Args:
        since: without those that the tree with so many leaves has, too.
        first_level: from this level up.
    """
    for level in range(first_level, _MAX_LEVEL + 1):
        before, count = (n >> TILE_HEIGHT * level for n in (since, size))
        if not count:
            return
        for index in range(before // TILE_WIDTH, count // TILE_WIDTH):
            yield Tile(level, index)
        width = count % TILE_WIDTH
        if width and count != before:
            yield Tile(level, count // TILE_WIDTH, width)


TileLoader = Callable[[Tile], bytes]
"""The bytes of a tile, exactly as wide as asked for."""


def tile_nodes(load: TileLoader, size: int) -> NodeSource:
    """The nodes of the tree with `size` leaves, from its tiles; each is loaded once.

    The nodes are as right as the tiles: whoever uses them checks what comes out against
    a root. A tile of another length raises `CorruptData`.
    """
    tiles: dict[Tile, bytes] = {}

    def node(level: int, index: int) -> bytes:
        tile_level, height = divmod(level, TILE_HEIGHT)
        first = index << height
        tile = tile_of(tile_level, first // TILE_WIDTH, size)
        if tile not in tiles:
            tiles[tile] = checked_tile(tile, load(tile))
        start = (first - tile.first) * _HASH_BYTES
        data = tiles[tile][start : start + (_HASH_BYTES << height)]
        return _root_of_full(data)

    return node


def checked_tile(tile: Tile, data: bytes) -> bytes:
    """The bytes, if there are as many as the tile has."""
    if len(data) != tile.width * _HASH_BYTES:
        raise CorruptData(
            "a tile has another length",
            expected=f"{tile.width * _HASH_BYTES} bytes",
            found=len(data),
            where=tile.path,
        )
    return data


def encode_bundle(entries: Sequence[bytes]) -> bytes:
    """An entry bundle.

    Raises:
        InvalidInput: there are more than 256 entries, or one has more than 65,535 bytes.
    """
    if len(entries) > TILE_WIDTH:
        raise InvalidInput("a bundle has too many entries", expected=256, found=len(entries))
    parts = []
    for entry in entries:
        if len(entry) > MAX_ENTRY_BYTES:
            raise InvalidInput("an entry is too long", expected=MAX_ENTRY_BYTES, found=len(entry))
        parts += [len(entry).to_bytes(_LENGTH_BYTES, "big"), entry]
    return b"".join(parts)


def decode_bundle(data: bytes, width: int) -> list[bytes]:
    """The entries of a bundle of `width` entries.

    Raises:
        CorruptData: it has another number of entries, or ends within one.
    """
    entries: list[bytes] = []
    at = 0
    while at < len(data) and len(entries) <= width:
        start = at + _LENGTH_BYTES
        at = start + int.from_bytes(data[at:start], "big")
        entries.append(data[start:at])
    if at != len(data) or len(entries) != width:
        raise CorruptData(
            "not an entry bundle", expected=f"{width} whole entries", found=f"{len(data)} bytes"
        )
    return entries


def _root_of_full(data: bytes) -> bytes:
    """The root over 2^r hashes, one behind the other."""
    while len(data) > _HASH_BYTES:
        pair = 2 * _HASH_BYTES
        data = b"".join(
            node_hash(data[at : at + _HASH_BYTES], data[at + _HASH_BYTES : at + pair])
            for at in range(0, len(data), pair)
        )
    return data
