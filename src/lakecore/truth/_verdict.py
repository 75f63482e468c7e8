"""Three-valued answers for many rows at once: holds, does not hold, cannot be told."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np

from lakecore.truth._columns import Mask


@dataclass(frozen=True, slots=True)
class Verdict:
    """One row's answer each; arrays of length 1 stand for all rows.

    `holds` is False wherever `failed` is True; `failed` is None where no row failed.
    """

    holds: Mask
    failed: Mask | None = None

    def spread(self, length: int) -> Verdict:
        """The same with an entry for each of `length` rows."""
        failed = None if self.failed is None else _spread(self.failed, length)
        return Verdict(_spread(self.holds, length), failed)


YES = Verdict(np.ones(1, dtype=np.bool_))
NO = Verdict(np.zeros(1, dtype=np.bool_))
FAILED = Verdict(np.zeros(1, dtype=np.bool_), np.ones(1, dtype=np.bool_))


def constant(answer: bool) -> Verdict:
    """The same answer for all rows."""
    return YES if answer else NO


def negate(part: Verdict) -> Verdict:
    """What does not hold, holds; what failed, failed."""
    if part.failed is None:
        return Verdict(~part.holds)
    return Verdict(~(part.holds | part.failed), part.failed)


def conjoin(parts: Iterable[Verdict]) -> Verdict:
    """All hold. One that does not outweighs those that failed.

    Parts are asked for in turn, and no more of them once no row can hold.
    """
    holds, possible = YES.holds, None
    for part in parts:
        if possible is None and part.failed is not None:
            possible = holds
        if possible is not None:
            maybe = part.holds if part.failed is None else part.holds | part.failed
            possible = possible & maybe
        holds = holds & part.holds
        if not (holds if possible is None else possible).any():
            return NO
    return Verdict(holds, None) if possible is None else _verdict(holds, possible)


def disjoin(parts: Iterable[Verdict]) -> Verdict:
    """One holds. It outweighs those that failed.

    Parts are asked for in turn, and no more of them once all rows hold.
    """
    holds, failed = NO.holds, None
    for part in parts:
        holds = holds | part.holds
        if part.failed is not None:
            failed = part.failed if failed is None else failed | part.failed
        if holds.all():
            return YES
    return _verdict(holds, failed)


def choose(condition: Verdict, then: Verdict, other: Verdict) -> Verdict:
    """`then` where the condition holds, `other` where it does not; failed where it failed."""
    refused = negate(condition)
    holds = (condition.holds & then.holds) | (refused.holds & other.holds)
    failed = condition.failed
    for where, part in ((condition.holds, then), (refused.holds, other)):
        if part.failed is not None:
            there = where & part.failed
            failed = there if failed is None else failed | there
    return _verdict(holds, failed)


def judge(holds: Mask, null: Mask | None, null_fails: bool) -> Verdict:
    """`holds` where there is a value; nulls do not hold, or fail."""
    if null is None:
        return Verdict(holds)
    return Verdict(holds & ~null, null if null_fails else None)


def _verdict(holds: Mask, failed: Mask | None) -> Verdict:
    return Verdict(holds, None if failed is None else failed & ~holds)


def _spread(mask: Mask, length: int) -> Mask:
    return mask if len(mask) == length else np.broadcast_to(mask, (length,))
