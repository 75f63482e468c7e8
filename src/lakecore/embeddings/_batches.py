"""Texts of like length go together, so that little is computed for padding. No I/O."""

from __future__ import annotations

from collections.abc import Sequence


def batches_by_length(
    lengths: Sequence[int], size: int, *, most_together: int | None = None
) -> list[list[int]]:
    """Places of the texts, the longest first.

    Args:
        size: texts of a batch at most.
        most_together: of all lengths in a batch, unless one alone is longer; None: no bound.

    >>> batches_by_length([5, 1, 9, 2], 2)
    [[2, 0], [3, 1]]
    >>> batches_by_length([5, 1, 9, 2], 3, most_together=8)
    [[2], [0, 3, 1]]
    """
    batches: list[list[int]] = []
    together = 0
    for at in sorted(range(len(lengths)), key=lambda at: -lengths[at]):
        is_full = not batches or len(batches[-1]) == size
        if is_full or (most_together is not None and together + lengths[at] > most_together):
            batches.append([])
            together = 0
        batches[-1].append(at)
        together += lengths[at]
    return batches
