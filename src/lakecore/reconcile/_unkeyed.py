"""What a version changed, as multisets of rows: for datasets without a key, and where keys fail.

Rows that are on both sides, as often, were only moved to another file: they cancel out.
"""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import numpy as np
import pyarrow as pa

from lakecore.journal import MultisetHash, row_hashes
from lakecore.reconcile._sides import SIDES, Side

if TYPE_CHECKING:
    import numpy.typing as npt

_LANES: Final = ("a", "b", "c", "d")
_HASH_BYTES: Final = 32


class RowSets:
    """Hashes of the rows removed and added, 32 bytes a row; in memory, or spilled.

    Args:
        parts: into how many; 1 keeps all hashes in memory.
        folder: where to spill.
    """

    def __init__(self, parts: int, folder: Path) -> None:
        self._parts = parts
        self._folder = folder
        self._held: dict[Side, list[npt.NDArray[np.uint64]]] = {side: [] for side in SIDES}

    def write(self, side: Side, tables: Iterable[pa.Table]) -> None:
        """Take the rows of one side."""
        for rows in tables:
            hashes = np.ascontiguousarray(row_hashes(rows)).view("<u8").reshape(-1, len(_LANES))
            if self._parts == 1:
                self._held[side].append(hashes)
                continue
            numbers = (hashes[:, 0] % np.uint64(self._parts)).astype(np.int64)
            for part in np.unique(numbers).tolist():
                with self._path(side, part).open("ab") as file:
                    hashes[numbers == part].tofile(file)

    def difference(self) -> tuple[MultisetHash, MultisetHash]:
        """What is on the one side only: the rows (removed, added), each with its count."""
        removed, added = MultisetHash(), MultisetHash()
        for part in range(self._parts):
            gone, come = _difference(self._read("removed", part), self._read("added", part))
            removed.merge(gone)
            added.merge(come)
        return removed, added

    def _read(self, side: Side, part: int) -> npt.NDArray[np.uint64]:
        if self._parts == 1:
            return np.concatenate([np.empty((0, len(_LANES)), np.uint64), *self._held[side]])
        path = self._path(side, part)
        if not path.exists():
            return np.empty((0, len(_LANES)), np.uint64)
        return np.fromfile(path, "<u8").reshape(-1, len(_LANES))

    def _path(self, side: Side, part: int) -> Path:
        return self._folder / f"{side}-{part:03d}.hashes"


def _difference(
    removed: npt.NDArray[np.uint64], added: npt.NDArray[np.uint64]
) -> tuple[MultisetHash, MultisetHash]:
    import polars as pl

    lanes: Any = np.concatenate([removed, added])
    signs = np.ones(len(lanes), np.int64)
    signs[: len(removed)] = -1
    columns = {name: lanes[:, index] for index, name in enumerate(_LANES)}
    net = (
        pl.DataFrame(columns | {"times": signs})
        .group_by(_LANES)
        .agg(pl.col("times").sum())
        .filter(pl.col("times") != 0)
    )
    return _sum(net.filter(pl.col("times") < 0)), _sum(net.filter(pl.col("times") > 0))


def _sum(rows: Any) -> MultisetHash:
    """The hash of rows that occur `times` each."""
    times = np.abs(rows["times"].to_numpy()).astype(np.uint64)
    lanes = rows.select(_LANES).to_numpy().astype(np.uint64)
    return MultisetHash(int(times.sum()), (lanes * times[:, None]).sum(axis=0, dtype=np.uint64))


def parts_for(rows: int, memory_bytes: int, limit: int) -> int:
    """Into how many parts the hashes of so many rows go."""
    return max(1, min(limit, -(-rows * _HASH_BYTES // memory_bytes)))
