"""How many of the true nearest a graph finds, and how far it has to be searched for enough."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from lakecore.search._graph import Graph, candidates_for
from lakecore.search._index import SegmentInfo
from lakecore.search._vectors import Floats, Rows, best, kept_type, scores

RECALL_COUNT: Final = 10
"""Recall at ten."""

MAX_QUERIES: Final = 256
_BLOCK_ROWS: Final = 16_384
_SEED: Final = 8


def recall_of(
    graphs: Sequence[SegmentInfo],
    place_of: Callable[[str], Path],
    *,
    metric: str,
    dimension: int,
    expansion: int,
    max_expansion: int,
    wanted: float,
    pause: Callable[[], None],
    count: int = RECALL_COUNT,
) -> tuple[int, float]:
    """The least expansion tried that gives the recall that is wanted, and that recall.

    Queries are rows of the index, and a row's own vector does not count. Where even the widest
    search falls short, its recall is returned all the same: the registry tells.
    """
    measured = [
        _Measured(info, place_of, metric=metric, dimension=dimension, count=count, pause=pause)
        for info in graphs
    ]
    while True:
        pause()
        weights = [(one.recall(expansion), one.rows) for one in measured]
        recall = sum(share * rows for share, rows in weights) / sum(rows for _, rows in weights)
        if recall >= wanted or expansion >= max_expansion:
            return expansion, round(recall, 4)
        expansion = min(max_expansion, expansion * 2)


class _Measured:
    """One segment with some of its rows as queries, and their true answers."""

    def __init__(
        self,
        info: SegmentInfo,
        place_of: Callable[[str], Path],
        *,
        metric: str,
        dimension: int,
        count: int,
        pause: Callable[[], None],
    ) -> None:
        self.rows = info.rows
        self._metric = metric
        self._count = min(count, info.rows - 1)
        self._graph_place = place_of(f"graph-{info.id}.usearch")
        place = place_of(f"vectors-{info.id}.bin")
        shape = (info.rows, dimension)
        self._vectors: NDArray[Any] = np.memmap(place, kept_type(metric), "r", shape=shape)
        chosen = np.random.default_rng(_SEED).choice(
            info.rows, min(MAX_QUERIES, info.rows), replace=False
        )
        self._chosen: Rows = np.sort(chosen).astype(np.int64)
        self._queries: Floats = self._vectors[self._chosen].astype(np.float32)
        self._true = exact(self._vectors, self._queries, self._count + 1, metric, pause)

    def recall(self, expansion: int) -> float:
        graph = Graph(self._graph_place, self._vectors.shape[1], self.rows, expansion)
        hits = 0
        for own, query, true in zip(self._chosen, self._queries, self._true, strict=True):
            rows = graph.candidates(query, candidates_for(self._count + 1))
            found = rows[best(scores(self._vectors[rows], query, self._metric), self._count + 1)]
            hits += len(
                np.intersect1d(_others(found, own, self._count), _others(true, own, self._count))
            )
        return hits / (len(self._chosen) * self._count)


def exact(
    vectors: NDArray[Any],
    queries: Floats,
    count: int,
    metric: str,
    pause: Callable[[], None],
) -> list[Rows]:
    """The true nearest of many queries at once, the best first, a block of rows at a time."""
    found_rows = np.empty((len(queries), 0), np.int64)
    found = np.empty((len(queries), 0), np.float32)
    for first in range(0, len(vectors), _BLOCK_ROWS):
        pause()
        block = vectors[first : first + _BLOCK_ROWS].astype(np.float32)
        products = queries @ block.T
        if metric == "l2":
            lengths = np.einsum("ij,ij->i", block, block)
            products = 2 * products - lengths - np.einsum("ij,ij->i", queries, queries)[:, None]
        keep = min(count, products.shape[1])
        top = np.argpartition(products, -keep, axis=1)[:, -keep:]
        found = np.hstack([found, np.take_along_axis(products, top, axis=1)])
        found_rows = np.hstack([found_rows, top + first])
        if found.shape[1] > count:
            top = np.argpartition(found, -count, axis=1)[:, -count:]
            found = np.take_along_axis(found, top, axis=1)
            found_rows = np.take_along_axis(found_rows, top, axis=1)
    order = np.argsort(-found, axis=1, kind="stable")
    return list(np.take_along_axis(found_rows, order, axis=1))


def _others(rows: Rows, own: int, count: int) -> Rows:
    others: Rows = rows[rows != own][:count]
    return others
