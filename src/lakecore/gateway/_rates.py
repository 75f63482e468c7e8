"""How often somebody may ask: one bucket of tokens each. No I/O; the clock is an argument."""

from __future__ import annotations

import math
from collections import OrderedDict
from typing import Final

from lakecore.base import TooManyRequests

MAX_KEPT: Final = 10_000
"""Buckets at a time; the one that was asked of longest ago makes room, and is full again then."""


class Rates:
    """So many requests a second, and so many at once. For one thread: the event loop's.

    >>> rates = Rates(per_s=2, burst=1)
    >>> rates.take("ada", now_s=0.0)
    >>> rates.take("ada", now_s=0.1)
    Traceback (most recent call last):
    ...
    lakecore.base.errors.TooManyRequests: more than 2 requests a second
    >>> rates.take("bob", now_s=0.1)
    >>> rates.take("ada", now_s=0.6)

    Args:
        per_s: 0: as many as come.
    """

    def __init__(self, *, per_s: float, burst: int) -> None:
        self._per_s = per_s
        self._burst = float(burst)
        self._left: OrderedDict[str, tuple[float, float]] = OrderedDict()

    def take(self, who: str, now_s: float) -> None:
        """Count a request.

        Raises:
            TooManyRequests: there were too many; it says after how many seconds there is room.
        """
        if not self._per_s:
            return
        left, at_s = self._left.get(who, (self._burst, now_s))
        left = min(self._burst, left + max(0.0, now_s - at_s) * self._per_s)
        taken = left >= 1
        self._left[who] = (left - 1 if taken else left, now_s)
        self._left.move_to_end(who)
        if len(self._left) > MAX_KEPT:
            self._left.popitem(last=False)
        if not taken:
            wait_s = max(1, math.ceil((1 - left) / self._per_s))
            raise TooManyRequests(
                f"more than {self._per_s:g} requests a second", retry_after_s=wait_s
            )
