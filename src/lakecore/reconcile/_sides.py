"""The rows that a version removed and added, in parts that fit in memory.

Rows with one key are in one part, on both sides. Few rows are kept in memory as one part;
many are spilled to disk, by a hash of their key.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any, Final, Literal

import numpy as np
import pyarrow as pa

Side = Literal["removed", "added"]
SIDES: Final[tuple[Side, Side]] = ("removed", "added")
MAX_PARTS: Final = 128
"""Two open files each, while rows are spilled."""


class Sides:
    """Rows of both sides; written once, then read part by part.

    Args:
        parts: into how many; 1 keeps all rows in memory.
        folder: where to spill.
    """

    def __init__(self, key: Sequence[str], parts: int, folder: Path) -> None:
        self._key = list(key)
        self.parts = parts
        self._folder = folder
        self._held: dict[Side, list[pa.Table]] = {side: [] for side in SIDES}
        self._writers: dict[tuple[Side, int], Any] = {}
        self._schemas: dict[Side, pa.Schema] = {}

    def write(self, side: Side, schema: pa.Schema, tables: Iterable[pa.Table]) -> None:
        """Take the rows of one side."""
        self._schemas[side] = schema
        for rows in tables:
            if self.parts == 1:
                self._held[side].append(rows)
            else:
                self._spill(side, rows)
        for writer in self._writers.values():
            writer.close()
        self._writers.clear()

    def read(self, side: Side, part: int) -> pa.Table:
        """The rows of one part of a side, in the order in which they came."""
        schema = self._schemas[side]
        if self.parts == 1:
            return pa.concat_tables([schema.empty_table(), *self._held[side]])
        path = self._path(side, part)
        if not path.exists():
            return schema.empty_table()
        with pa.OSFile(str(path)) as file:
            return pa.ipc.open_stream(file).read_all()

    def _spill(self, side: Side, rows: pa.Table) -> None:
        for part, found in _split(rows, self._key, self.parts):
            writer = self._writers.get((side, part))
            if writer is None:
                options = pa.ipc.IpcWriteOptions(compression="lz4")
                path = str(self._path(side, part))
                writer = pa.ipc.new_stream(path, rows.schema, options=options)
                self._writers[side, part] = writer
            writer.write_table(found)

    def _path(self, side: Side, part: int) -> Path:
        return self._folder / f"{side}-{part:03d}.arrow"


def _split(rows: pa.Table, key: list[str], parts: int) -> Iterator[tuple[int, pa.Table]]:
    """Rows by the part that their key belongs to."""
    import polars as pl

    hashes = pl.DataFrame([pl.Series(name, rows.column(name)) for name in key]).hash_rows(seed=0)
    numbers = (hashes.to_numpy() % np.uint64(parts)).astype(np.int64)
    order = np.argsort(numbers, kind="stable")
    sorted_rows = rows.take(pa.array(order))
    ends = np.searchsorted(numbers[order], np.arange(parts), side="right")
    start = 0
    for part, end in enumerate(ends.tolist()):
        if end > start:
            yield part, sorted_rows.slice(start, end - start)
        start = end
