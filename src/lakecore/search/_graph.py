"""The approximate index of many vectors: an HNSW graph in a file, through usearch.

The graph finds candidates, on vectors of 8 bits where the metric is cosine; which of them are
the nearest is decided by the vectors as they are kept. Malkov, Yashunin, "Efficient and robust
approximate nearest neighbor search using Hierarchical Navigable Small World graphs", 2016.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from lakecore.base import CorruptData, InvalidInput
from lakecore.search._vectors import Floats, Rows

_METRICS: Final = {"cosine": "cos", "dot": "ip", "l2": "l2sq"}
_PIECE_ROWS: Final = 8_192
MOST_FURTHER: Final = 40


def candidates_for(count: int) -> int:
    """How many are looked at for those that are wanted: 8 bits put some in the wrong order.

    >>> candidates_for(10), candidates_for(100)
    (30, 140)
    """
    return count + min(2 * count, MOST_FURTHER)


def build_graph(
    vectors: NDArray[Any],
    metric: str,
    place: Path,
    *,
    connectivity: int,
    expansion_add: int,
    expansion: int,
    pause: Callable[[], None],
) -> None:
    """Make the graph of all vectors, in a file. `pause` is called now and then; it may raise."""
    index = _library().Index(
        ndim=vectors.shape[1],
        metric=_METRICS[metric],
        dtype="i8" if metric == "cosine" else "f32",
        connectivity=connectivity,
        expansion_add=expansion_add,
        expansion_search=expansion,
        enable_key_lookups=False,
    )
    for first in range(0, len(vectors), _PIECE_ROWS):
        pause()
        piece = vectors[first : first + _PIECE_ROWS].astype(np.float32)
        index.add(np.arange(first, first + len(piece)), piece)
    index.save(str(place))


class Graph:
    """A graph in a file, mapped into memory. Threads may share it."""

    def __init__(self, place: Path, dimension: int, rows: int, expansion: int) -> None:
        try:
            index = _library().Index.restore(str(place), view=True)
        except (RuntimeError, ValueError, OSError) as error:
            raise CorruptData("a graph cannot be read", where=place.name, found=error) from error
        if index is None or index.ndim != dimension or len(index) != rows:
            raise CorruptData(
                "a graph of other vectors", where=place.name, expected=f"{rows} × {dimension}"
            )
        index.expansion_search = expansion
        self._index: Any = index

    def candidates(self, query: Floats, count: int) -> Rows:
        """Rows that are probably the nearest, the nearest first."""
        found = self._index.search(query, count, threads=1)
        return np.asarray(found.keys, dtype=np.int64)


def _library() -> Any:
    try:
        import usearch.index
    except ImportError as error:
        raise InvalidInput(
            "vector search is not installed", hint="pip install 'lakecore[search]'"
        ) from error
    return usearch.index
