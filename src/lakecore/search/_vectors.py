"""Vectors: what makes them valid, how they are kept, which are near. NumPy, no I/O.

Scores are such that more is better: cosine similarity, dot product, or the negative square
of the distance. Cosine vectors are kept as unit vectors in half precision; the others in
single precision, since their lengths may be any.
"""

from __future__ import annotations

from typing import Any, Final

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from lakecore.base import InvalidInput

MAX_DIMENSION: Final = 8_192
_GATHER_ROWS: Final = 16_384
"""Rows that are widened at a time: what a comparison takes of memory."""

Floats = NDArray[np.float32]
Rows = NDArray[np.int64]


def kept_type(metric: str) -> np.dtype[Any]:
    """How vectors of a metric are kept."""
    return np.dtype("<f2") if metric == "cosine" else np.dtype("<f4")


def check_query(vector: object, dimension: int, metric: str) -> Floats:
    """A vector to search with: right length, finite, and for cosine of unit length.

    Raises:
        InvalidInput: it is none.
    """
    try:
        found = np.asarray(vector, dtype=np.float32)
    except (TypeError, ValueError) as error:
        raise InvalidInput("not a vector", expected=f"{dimension} numbers") from error
    if found.shape != (dimension,):
        raise InvalidInput(
            "a vector of the wrong dimension", expected=dimension, found=list(found.shape)
        )
    if not np.isfinite(found).all():
        raise InvalidInput("a vector has what is no number", found="NaN or infinity")
    return _unit(found[None, :], ["the query"])[0] if metric == "cosine" else found


def check_made(vectors: object, count: int, dimension: int, model: str) -> Floats:
    """What a model made of `count` texts. `InvalidInput` when it is not what it says."""
    found = np.asarray(vectors, dtype=np.float32)
    if found.shape != (count, dimension):
        raise InvalidInput(
            "a model gave vectors of another form",
            expected=f"{count} × {dimension}",
            found=" × ".join(map(str, found.shape)),
            where=model,
        )
    if not np.isfinite(found).all():
        raise InvalidInput("a model gave a vector with what is no number", where=model)
    return found


def given_vectors(column: pa.ChunkedArray, keys: pa.ChunkedArray, dimension: int | None) -> Floats:
    """The vectors of a column of lists, none of them null.

    Raises:
        InvalidInput: one has another dimension, or holds null, NaN or an infinity; names its row.
    """
    column = column.combine_chunks() if isinstance(column, pa.ChunkedArray) else column
    if isinstance(column, pa.ChunkedArray):
        column = pa.concat_arrays(column.chunks)
    lengths = pc.list_value_length(column)
    wanted = lengths[0].as_py() if dimension is None and len(lengths) else dimension
    if wanted is None:
        return np.empty((0, 0), np.float32)
    wrong = pc.not_equal(lengths, wanted)
    if pc.any(wrong).as_py():
        at = pc.index(wrong, True).as_py()
        raise InvalidInput(
            "a vector of the wrong dimension",
            expected=wanted,
            found=lengths[at].as_py(),
            where=f"row {keys[at].as_py()}",
        )
    if not 1 <= wanted <= MAX_DIMENSION:
        raise InvalidInput(
            "not a dimension of vectors", expected=f"1 to {MAX_DIMENSION}", found=wanted
        )
    flat = pc.list_flatten(column).cast(pa.float32(), safe=False)
    values = pc.fill_null(flat, float("nan")).to_numpy(zero_copy_only=False)
    found = np.asarray(values, np.float32).reshape(len(column), wanted)
    finite = np.isfinite(found).all(axis=1)
    if not finite.all():
        at = int(np.flatnonzero(~finite)[0])
        raise InvalidInput(
            "a vector has what is no number",
            found="null, NaN or infinity",
            where=f"row {keys[at].as_py()}",
            hint="correct the row, or make the whole vector null: then it is left out",
        )
    return found


def to_keep(vectors: Floats, metric: str, keys: pa.ChunkedArray) -> NDArray[Any]:
    """As they are stored. `InvalidInput` for a cosine vector without a direction."""
    if metric == "cosine":
        vectors = _unit(vectors, keys)
    return vectors.astype(kept_type(metric))


def _unit(vectors: Floats, names: object) -> Floats:
    lengths = np.linalg.norm(vectors.astype(np.float64), axis=1, keepdims=True)
    if not lengths.all():
        at = int(np.flatnonzero(lengths[:, 0] == 0)[0])
        raise InvalidInput(
            "a vector of length 0 has no direction",
            expected="another metric than cosine, or null in its place",
            where=f"row {names[at]}",  # type: ignore[index]  # a sequence
        )
    made: Floats = (vectors / lengths).astype(np.float32)
    return made


def scores(kept: NDArray[Any], query: Floats, metric: str) -> Floats:
    """The score of each vector, a block at a time."""
    found = np.empty(len(kept), np.float32)
    for first in range(0, len(kept), _GATHER_ROWS):
        block = kept[first : first + _GATHER_ROWS].astype(np.float32, copy=False)
        if metric == "l2":
            apart = block - query
            found[first : first + len(block)] = -np.einsum("ij,ij->i", apart, apart)
        else:
            found[first : first + len(block)] = block @ query
    return found


def best(found: Floats, count: int) -> Rows:
    """Positions of the `count` highest scores, the best first; of equals the first first."""
    if count < len(found):
        edge = np.partition(found, len(found) - count)[len(found) - count]
        # Everything above the edge, and of what is on it as much as there is room for.
        above = np.flatnonzero(found > edge)
        on = np.flatnonzero(found == edge)[: count - len(above)]
        chosen = np.concatenate([above, on])
    else:
        chosen = np.arange(len(found))
    order: Rows = chosen[np.lexsort((chosen, -found[chosen]))]
    return order
