"""Texts of like length go together, so that little is computed for padding. No I/O."""

from __future__ import annotations

from collections.abc import Sequence


def batches_by_length(lengths: Sequence[int], size: int) -> list[list[int]]:
    """Places of the texts, the longest first, `size` to a batch.

    >>> batches_by_length([5, 1, 9, 2], 2)
    [[2, 0], [3, 1]]
    """
    order = sorted(range(len(lengths)), key=lambda at: -lengths[at])
    return [order[at : at + size] for at in range(0, len(order), size)]
