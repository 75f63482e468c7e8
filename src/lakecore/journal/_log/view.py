"""What is sealed, as of one moment."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from lakecore.journal._log.runs import Place
from lakecore.tlog import Frontier


@dataclass(frozen=True, slots=True)
class View:
    """What the footers say at one moment, all of it together.

    What is asked of `Footers` one after the other may be of several moments: other threads
    take in further footers at any time.

    Attributes:
        places: where the sealed events are, in order.
        hot: how far each hot log is sealed.
        tree: the Merkle tree over them.
        duplicate_ids: as `Footers.duplicate_ids`.
    """

    places: tuple[Place, ...]
    hot: Mapping[str, int]
    tree: Frontier
    duplicate_ids: int

    @property
    def size(self) -> int:
        """How many events are sealed."""
        return self.tree.size
