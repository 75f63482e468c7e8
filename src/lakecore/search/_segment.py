"""Rows that were indexed together: their keys, what an answer shows of them, their vectors.

Files of a segment, each written once:

    rows-<id>.arrow      `_key`, the key's columns, the indexed texts: Arrow IPC, mapped
    order-<id>.i32       the rows in the order of their keys: where a key is, by bisection
    vectors-<id>.bin     one vector a row
    graph-<id>.usearch   candidates, where there are more rows than are compared one by one
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Final

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from lakecore.base import CorruptData
from lakecore.search._graph import Graph, candidates_for
from lakecore.search._index import SegmentInfo
from lakecore.search._ports import KEY
from lakecore.search._vectors import Floats, Rows, best, kept_type, scores

_FEW_KEYS: Final = 256
"""So many keys are looked up by bisection, more by one pass over all."""


class SegmentWriter:
    """Writes one segment into a folder, a table at a time: memory holds the keys alone."""

    def __init__(self, folder: Path, segment_id: str, *, metric: str, has_vectors: bool) -> None:
        self.folder = folder
        self.id = segment_id
        self.rows = 0
        self.dimension: int | None = None
        self._metric = metric
        self._keys: list[pa.ChunkedArray] = []
        self._writer: pa.ipc.RecordBatchFileWriter | None = None
        self._vectors = self.path("vectors", "bin").open("wb") if has_vectors else None

    def path(self, part: str, ending: str) -> Path:
        return self.folder / f"{part}-{self.id}.{ending}"

    def append(self, rows: pa.Table, vectors: NDArray[Any] | None) -> None:
        """Add rows, with their vectors as they are to be kept."""
        if self._writer is None:
            self._writer = pa.ipc.new_file(str(self.path("rows", "arrow")), rows.schema)
        self._writer.write_table(rows)
        self._keys.append(rows.column(KEY))
        self.rows += rows.num_rows
        if self._vectors is not None and vectors is not None:
            self.dimension = vectors.shape[1]
            self._vectors.write(np.ascontiguousarray(vectors).tobytes())

    def finish(self) -> None:
        """Complete the files."""
        if self._writer is not None:
            self._writer.close()
        if self._vectors is not None:
            self._vectors.close()
        if self.rows:
            keys = pa.chunked_array([chunk for keys in self._keys for chunk in keys.chunks])
            order = pc.sort_indices(keys).to_numpy().astype("<i4")
            order.tofile(self.path("order", "i32"))
        self._keys = []

    def mapped_vectors(self) -> NDArray[Any]:
        """All vectors, from the finished file."""
        shape = (self.rows, self.dimension or 0)
        place = self.path("vectors", "bin")
        return np.memmap(place, kept_type(self._metric), "r", shape=shape)

    def close(self) -> None:
        """Let go of the files, finished or not."""
        if self._vectors is not None and not self._vectors.closed:
            self._vectors.close()


class Segment:
    """A segment, mapped into memory. Threads may share it."""

    def __init__(
        self,
        info: SegmentInfo,
        places: Mapping[str, Path],
        *,
        metric: str,
        dimension: int | None,
        expansion: int,
    ) -> None:
        self.info = info
        self._metric = metric
        self.rows = _read_rows(places["rows"], info)
        self._keys = self.rows.column(KEY).combine_chunks()
        if isinstance(self._keys, pa.ChunkedArray):
            self._keys = pa.concat_arrays(self._keys.chunks)
        self._order = _mapped(places["order"], np.dtype("<i4"), (info.rows,))
        self.alive = np.ones(info.rows, np.bool_)
        if "dead" in places:
            self.alive[np.fromfile(places["dead"], "<i4")] = False
        self.live = int(self.alive.sum())
        """Rows that can be found."""

        self.vectors: NDArray[Any] | None = None
        self._graph: Graph | None = None
        self._wide: Floats | None = None
        if dimension is not None:
            self.vectors = _mapped(places["vectors"], kept_type(metric), (info.rows, dimension))
            if "graph" in places:
                self._graph = Graph(places["graph"], dimension, info.rows, expansion)

    @property
    def is_exact(self) -> bool:
        """Whether every vector is compared."""
        return self._graph is None

    @property
    def keys(self) -> pa.Array:
        """The keys of all rows, dead ones included."""
        return self._keys

    def find(self, keys: Sequence[str] | pa.Array) -> Rows:
        """The row of each key, -1 where there is none that can be found."""
        if len(keys) <= _FEW_KEYS:
            texts = keys.to_pylist() if isinstance(keys, pa.Array | pa.ChunkedArray) else keys
            found = np.fromiter(map(self._find_one, texts), np.int64, len(texts))
        else:
            wanted = keys if isinstance(keys, pa.Array) else pa.array(keys, pa.string())
            found = pc.fill_null(pc.index_in(wanted, value_set=self._keys), -1)
            found = found.to_numpy(zero_copy_only=False).astype(np.int64)
        found[(found >= 0) & ~self.alive[found]] = -1
        return found

    def mask(self, keys: pa.Array) -> NDArray[np.bool_]:
        """Which rows have one of these keys and can be found."""
        chosen = pc.is_in(self._keys, value_set=keys).to_numpy(zero_copy_only=False)
        return np.asarray(chosen, np.bool_) & self.alive

    def nearest(
        self, query: Floats, count: int, allowed: NDArray[np.bool_] | None, exact_rows: int
    ) -> tuple[Rows, Floats]:
        """The nearest rows with their scores, the best first.

        Args:
            allowed: which rows may be found; None: all that are alive.
            exact_rows: of so many rows each is compared.
        """
        if self.vectors is None or not self.info.rows:
            return np.empty(0, np.int64), np.empty(0, np.float32)
        mask = self.alive if allowed is None else allowed
        live = self.live if allowed is None else int(mask.sum())
        if self._graph is None or live <= exact_rows:
            return self._compared(query, count, mask, live)
        # Candidates that may not be found make room for others: ask for more until all fit.
        wanted = min(self.info.rows, candidates_for(count))
        if live < self.info.rows:
            wanted = min(self.info.rows, int(wanted * self.info.rows / live) + count)
        while True:
            if wanted > self.info.rows // 4:
                return self._compared(query, count, mask, live)
            rows = self._graph.candidates(query, wanted)
            rows = rows[mask[rows]]
            if len(rows) >= min(count, live):
                return self._ranked(query, rows, count)
            wanted *= 4

    def _compared(
        self, query: Floats, count: int, mask: NDArray[np.bool_], live: int
    ) -> tuple[Rows, Floats]:
        assert self.vectors is not None  # noqa: S101 - asked before
        if live == self.info.rows and self._graph is None:
            if self._wide is None:
                self._wide = self.vectors.astype(np.float32)
            found = scores(self._wide, query, self._metric)
            top = best(found, count)
            return top, found[top]
        return self._ranked(query, np.flatnonzero(mask), count)

    def _ranked(self, query: Floats, rows: Rows, count: int) -> tuple[Rows, Floats]:
        assert self.vectors is not None  # noqa: S101 - asked before
        found = np.empty(len(rows), np.float32)
        for first in range(0, len(rows), 65_536):  # what is widened at a time
            part = rows[first : first + 65_536]
            found[first : first + len(part)] = scores(self.vectors[part], query, self._metric)
        top = best(found, count)
        return rows[top], found[top]

    def _find_one(self, key: str) -> int:
        low, high = 0, self.info.rows
        while low < high:
            middle = (low + high) // 2
            if self._keys[int(self._order[middle])].as_py() < key:
                low = middle + 1
            else:
                high = middle
        if low < self.info.rows:
            row = int(self._order[low])
            if self._keys[row].as_py() == key:
                return row
        return -1


def dead_rows(alive: NDArray[np.bool_]) -> NDArray[np.int32]:
    """As a segment's `dead` file has them."""
    return np.flatnonzero(~alive).astype("<i4")


def _read_rows(place: Path, info: SegmentInfo) -> pa.Table:
    try:
        table = pa.ipc.open_file(pa.memory_map(str(place))).read_all()
    except (pa.ArrowInvalid, OSError) as error:
        raise CorruptData("rows of an index cannot be read", where=place.name) from error
    if table.num_rows != info.rows:
        raise CorruptData(
            "rows of an index are missing",
            where=place.name,
            expected=info.rows,
            found=table.num_rows,
        )
    return table


def _mapped(place: Path, kind: np.dtype[Any], shape: tuple[int, ...]) -> NDArray[Any]:
    wanted = int(np.prod(shape)) * kind.itemsize
    if place.stat().st_size != wanted:
        raise CorruptData(
            "a file of an index is of another length",
            where=place.name,
            expected=wanted,
            found=place.stat().st_size,
        )
    return np.memmap(place, kind, "r", shape=shape)
