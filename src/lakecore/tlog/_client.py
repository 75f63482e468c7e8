"""The other side of a tiled log: whoever fetches its tiles and believes only a checkpoint."""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from typing import Final

from lakecore.base import CorruptData, InvalidInput, NotFound
from lakecore.tlog._checkpoint import Checkpoint
from lakecore.tlog._merkle import (
    consistency_path,
    inclusion_path,
    verify_consistency,
    verify_inclusion,
)
from lakecore.tlog._text import shown
from lakecore.tlog._tiles import (
    TILE_WIDTH,
    Tile,
    TileLoader,
    checked_tile,
    decode_bundle,
    tile_nodes,
    tile_of,
)

_HASH_BYTES: Final = 32

Fetch = Callable[[str], bytes]
"""The object at a path below the log's prefix; `NotFound` when it is not there."""


def fetched_tiles(fetch: Fetch) -> TileLoader:
    """A loader over paths. A partial tile that is gone is taken from the full one."""

    def load(tile: Tile) -> bytes:
        try:
            return checked_tile(tile, fetch(tile.path))
        except NotFound:
            if tile.width == TILE_WIDTH:
                raise
        return checked_tile(tile.full, fetch(tile.full.path))[: tile.width * _HASH_BYTES]

    return load


def check_inclusion(fetch: Fetch, checkpoint: Checkpoint, index: int, leaf_hash: bytes) -> None:
    """Fetch what shows that the leaf is entry `index` of the checkpoint's tree.

    Raises:
        CorruptData: it is not, or a tile is wrong.
        InvalidInput: the tree has no such entry.
    """
    nodes = tile_nodes(fetched_tiles(fetch), checkpoint.size)
    path = inclusion_path(nodes, index, checkpoint.size)
    if not verify_inclusion(leaf_hash, index, checkpoint.size, path, checkpoint.root):
        raise CorruptData("the log's tiles do not show the entry", where=f"entry {index}")


def check_consistency(fetch: Fetch, old: Checkpoint, new: Checkpoint) -> None:
    """Fetch what shows that the log only grew from one checkpoint to the other.

    Raises:
        CorruptData: it did not, or a tile is wrong.
        InvalidInput: the checkpoints are of two logs, or the old one is larger.
    """
    if old.origin != new.origin:
        raise InvalidInput(
            "checkpoints of two logs", expected=shown(old.origin), found=shown(new.origin)
        )
    nodes = tile_nodes(fetched_tiles(fetch), new.size)
    path = consistency_path(nodes, old.size, new.size)
    if not verify_consistency(old.size, new.size, path, old.root, new.root):
        raise CorruptData(
            "the log is not a continuation of what it was",
            expected=f"the tree of {old.size} at its start",
            where=f"checkpoint {new.size}",
        )


def fetch_entry(fetch: Fetch, checkpoint: Checkpoint, index: int) -> bytes:
    """The entry at `index`, once it is shown to be in the checkpoint's tree; raises as above."""
    if not 0 <= index < checkpoint.size:
        raise InvalidInput("no such entry", expected=f"0 to {checkpoint.size - 1}", found=index)
    tile = tile_of(0, index // TILE_WIDTH, checkpoint.size)
    bundle = Tile(None, tile.index, tile.width)
    try:
        data, width = fetch(bundle.path), bundle.width
    except NotFound:
        if bundle.width == TILE_WIDTH:
            raise
        data, width = fetch(bundle.full.path), TILE_WIDTH
    entry = decode_bundle(data, width)[index % TILE_WIDTH]
    check_inclusion(fetch, checkpoint, index, hashlib.sha256(b"\x00" + entry).digest())
    return entry
