"""Tiles as they are stored: ``journal/tiles/tile/<L>/<N>[.p/<W>]``, from level 1 up.

Level 0 is not stored: its hashes come from the leaves. Tiles are derived. They are
written create-only, because all signers of one log write the same bytes.
"""

from __future__ import annotations

from contextlib import suppress
from typing import TYPE_CHECKING, Final

from lakecore.base import AlreadyExists, CorruptData, NotFound
from lakecore.journal._prove.leaves import Leaves

if TYPE_CHECKING:
    from lakecore.storage import Store
    from lakecore.tlog import Tile

FOLDER: Final = "journal/tiles/"


class StoredTiles:
    """The tiles of one journal.

    Args:
        leaves: the leaf hashes, for level 0.
    """

    def __init__(self, store: Store, leaves: Leaves) -> None:
        self._store = store
        self._leaves = leaves

    def load(self, tile: Tile) -> bytes:
        """A tile's bytes, exactly as wide as asked for.

        Raises:
            NotFound: it is not stored.
            CorruptData: it has another length.
        """
        from lakecore.tlog import fetched_tiles

        if tile.level == 0:
            return self._leaves(tile.first, tile.first + tile.width).tobytes()
        return fetched_tiles(lambda path: self._store.get(FOLDER + path))(tile)

    def write(self, tile: Tile, data: bytes) -> None:
        """Store a tile that is known to be right.

        Raises:
            CorruptData: another is there.
        """
        path = FOLDER + tile.path
        try:
            self._store.create(path, data)
        except AlreadyExists:
            if self._store.get(path) != data:
                raise CorruptData(
                    "a tile is not what the journal's events give",
                    where=path,
                    hint="either the tile or the events were changed after it was written; "
                    "`journal repair` writes tiles anew once the events are found right",
                ) from None

    def repair(self, tile: Tile, data: bytes) -> bool:
        """Store a tile that is known to be right over one that is not; whether it had to."""
        with suppress(NotFound):
            if self._store.get(FOLDER + tile.path) == data:
                return False
        self._store.put(FOLDER + tile.path, data)
        return True

    def forget_partial(self, full: Tile) -> None:
        """Delete the partial tiles of one that is full now; readers fall back to it."""
        for info in list(self._store.list_objects(f"{FOLDER}{full.full.path}.p/")):
            self._store.delete(info.path)
