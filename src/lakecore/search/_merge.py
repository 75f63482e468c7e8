"""What a refresh finds out: which candidates are different, which rows are dead by now."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import Any, Final

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from lakecore.search._index import Index
from lakecore.search._opened import Opened
from lakecore.search._ports import KEY
from lakecore.search._segment import Segment

_PIECE_ROWS: Final = 16_384


class Merge:
    """A generation that is being followed up. `alive` is what is left of each segment."""

    def __init__(self, base: Opened) -> None:
        self._segments = base.segments
        self._alive = [segment.alive.copy() for segment in self._segments]
        self._seen = [np.zeros(segment.info.rows, np.bool_) for segment in self._segments]
        self.any_dead = False

    def seen(self, keys: pa.ChunkedArray) -> None:
        """These keys are among the candidates."""
        keys = _array(keys)
        for segment, seen in zip(self._segments, self._seen, strict=True):
            rows = segment.find(keys)
            seen[rows[rows >= 0]] = True

    def different(
        self, table: pa.Table, given: Callable[[pa.Table], NDArray[Any]], index: Index
    ) -> pa.Table:
        """The candidates that are new or not as they are indexed; those before them are dead."""
        is_same = np.zeros(table.num_rows, np.bool_)
        keys = _array(table.column(KEY))
        for at, segment in enumerate(self._segments):
            rows = segment.find(keys)
            there = np.flatnonzero(rows >= 0)
            if not len(there):
                continue
            candidates, rows = table.take(pa.array(there)), rows[there]
            same = _same_texts(segment, rows, candidates, index.stored_columns)
            if segment.vectors is not None and index.model is None:
                same &= (given(candidates) == segment.vectors[rows]).all(axis=1)
            is_same[there] |= same
            self._kill(at, rows[~same])
        return table.filter(pa.array(~is_same))

    def emptied(self, table: pa.Table) -> list[str]:
        """Candidates without content: they are not in the index any more."""
        return self._remove(_array(table.column(KEY)))

    def gone(self, keys: pa.Array | None) -> list[str]:
        """Rows that are no more; None: all that were not seen."""
        if keys is not None:
            return self._remove(keys)
        removed: list[str] = []
        for at, (segment, seen) in enumerate(zip(self._segments, self._seen, strict=True)):
            rows = np.flatnonzero(self._alive[at] & ~seen)
            removed += segment.keys.take(pa.array(rows)).to_pylist()
            self._kill(at, rows)
        return removed

    def is_too_much(self, written: int, share: float, least: int) -> bool:
        """Whether the delta and the dead are so many that all is better written anew."""
        delta = written + sum(
            int(alive.sum()) for segment, alive in self.states() if segment.info.is_delta
        )
        dead = sum(int((~alive).sum()) for segment, alive in self.states())
        total = written + sum(len(alive) for alive in self._alive)
        return delta + dead > max(least, share * total)

    def states(self) -> list[tuple[Segment, NDArray[np.bool_]]]:
        """The segments of before, with what is left of each."""
        return list(zip(self._segments, self._alive, strict=True))

    def live_rows(self, *, delta_only: bool) -> Iterator[tuple[pa.Table, NDArray[Any] | None]]:
        """What is left, with its vectors, a piece at a time."""
        for segment, alive in self.states():
            if delta_only and not segment.info.is_delta:
                continue
            rows = np.flatnonzero(alive)
            for first in range(0, len(rows), _PIECE_ROWS):
                piece = rows[first : first + _PIECE_ROWS]
                vectors = None if segment.vectors is None else segment.vectors[piece]
                yield segment.rows.take(pa.array(piece)), vectors

    def _remove(self, keys: pa.Array) -> list[str]:
        removed: list[str] = []
        for at, segment in enumerate(self._segments):
            rows = segment.find(keys)
            rows = rows[rows >= 0]
            rows = rows[self._alive[at][rows]]
            removed += segment.keys.take(pa.array(rows)).to_pylist()
            self._kill(at, rows)
        return removed

    def _kill(self, at: int, rows: NDArray[np.int64]) -> None:
        if len(rows):
            self._alive[at][rows] = False
            self.any_dead = True


def _same_texts(
    segment: Segment, rows: NDArray[np.int64], candidates: pa.Table, columns: Sequence[str]
) -> NDArray[np.bool_]:
    same = np.ones(len(rows), np.bool_)
    indexed = segment.rows.select(list(columns)).take(pa.array(rows))
    for name in columns:
        before, now = indexed.column(name), candidates.column(name)
        now = now if now.type == pa.string() else now.cast(pa.string())
        equal = pc.fill_null(pc.equal(before, now), False)
        neither = pc.and_(pc.is_null(before), pc.is_null(now))
        same &= pc.or_(equal, neither).to_numpy()
    return same


def _array(keys: pa.ChunkedArray | pa.Array) -> pa.Array:
    if isinstance(keys, pa.ChunkedArray):
        return pa.concat_arrays(keys.chunks) if keys.num_chunks else pa.array([], pa.string())
    return keys
