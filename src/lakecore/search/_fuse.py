"""Reciprocal rank fusion: two rankings made one. Pure.

Cormack, Clarke, Büttcher, "Reciprocal Rank Fusion outperforms Condorcet and individual Rank
Learning Methods", SIGIR 2009: the sum of 1 / (60 + rank) over the rankings.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

CONSTANT: Final = 60


def fuse(rankings: Sequence[Sequence[str]]) -> list[tuple[str, float]]:
    """Keys with their score, the best first; of equals the first by key.

    >>> fuse([["a", "b"], ["b", "c"]])[0][0]
    'b'
    """
    found: dict[str, float] = {}
    for ranking in rankings:
        for rank, key in enumerate(ranking, start=1):
            found[key] = found.get(key, 0.0) + 1 / (CONSTANT + rank)
    return sorted(found.items(), key=lambda one: (-one[1], one[0]))
