"""What a file's reviews say together: one class, with its reason. Pure.

Only reviews under one bar are compared, and of a text that says the same (spacing, comments,
names aside) only one point is made, so that reviewing again is no movement. The first of these
that holds is the class:

1. INSUFFICIENT  fewer than four points, or no noise floor
2. LOOPING       nothing confirmed, and a severe finding open throughout that edits touch
3. ORBITING      fixes confirmed, and news above the floor twice
4. CONVERGING    fixes confirmed, the open weight falls (Mann-Kendall, p <= 0.05), and the
                 score rose by more than the floor
5. PLATEAU       no change of the score above the floor, and no news above it twice, by a
                 reviewer that finds at least four of five again
6. MIXED         anything else
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from statistics import median
from typing import Final

from lakecore.review._noise import Noise, novelty

MIN_POINTS: Final = 4
"""With three the least p of a one-sided Mann-Kendall test is 1/6."""
MIN_REDETECTION: Final = 0.8
MIN_TOUCHES: Final = 2
MIN_LOUD: Final = 2
"""By the floor's own definition one review in twenty has more news without a cause."""
SIGNIFICANT: Final = 0.05
_EXACT_POINTS: Final = 8


class SignalClass(StrEnum):
    """How a file moves."""

    INSUFFICIENT = "INSUFFICIENT"
    LOOPING = "LOOPING"
    ORBITING = "ORBITING"
    CONVERGING = "CONVERGING"
    PLATEAU = "PLATEAU"
    MIXED = "MIXED"


@dataclass(frozen=True, slots=True)
class Point:
    """A file at one iteration.

    Attributes:
        score: the model's, 0 to 10.
        found: identities of the findings that this review has.
        open_weight: of the findings open after it, by severity.
        severe_open: identities of the severe ones among them.
        touched: identities whose quoted code the edit before this point overlaps.
        confirmed: fixes confirmed up to here.
    """

    score: float
    found: frozenset[str]
    open_weight: float
    severe_open: frozenset[str] = field(default=frozenset())
    touched: frozenset[str] = field(default=frozenset())
    confirmed: int = 0


@dataclass(frozen=True, slots=True)
class Signal:
    """A class, and why it is this one."""

    name: SignalClass
    reason: str


def classify(points: Sequence[Point], noise: Noise | None) -> Signal:
    """The class of a file; points in order, one for each text that says something else."""
    if len(points) < MIN_POINTS:
        return _insufficient(f"{len(points)} of {MIN_POINTS} reviews of changed code under one bar")
    if noise is None:
        return _insufficient("the noise of this bar was not measured yet")
    confirmed = points[-1].confirmed
    if not confirmed and (stuck := _stuck(points)):
        return Signal(
            SignalClass.LOOPING,
            f"nothing confirmed fixed; {len(stuck)} severe open in all {len(points)} reviews, "
            "although edits touch the code",
        )
    news = [novelty(p.found, _earlier(points, at)) for at, p in enumerate(points) if at]
    loud = sum(1 for share in news if share > noise.novelty_p95)
    if confirmed and loud >= MIN_LOUD:
        return Signal(
            SignalClass.ORBITING,
            f"{confirmed} confirmed fixed, and {loud} times more news than {noise.novelty_p95:.0%}",
        )
    rise = points[-1].score - points[0].score
    chance = falling([point.open_weight for point in points])
    if confirmed and chance <= SIGNIFICANT and rise >= noise.least_change:
        return Signal(
            SignalClass.CONVERGING,
            f"{confirmed} confirmed fixed; open weight falls (p = {chance:.3f}); "
            f"score {rise:+.1f}, floor {noise.least_change:.1f}",
        )
    drift = slope([point.score for point in points]) * (len(points) - 1)
    flat = abs(drift) <= noise.flat_within
    if flat and loud < MIN_LOUD and noise.redetection >= MIN_REDETECTION:
        return Signal(
            SignalClass.PLATEAU,
            f"score {drift:+.1f} within the floor of {noise.flat_within:.1f}, no news, "
            f"{noise.redetection:.0%} found again",
        )
    why = [
        f"score {drift:+.1f} (floor {noise.least_change:.1f})",
        f"{confirmed} confirmed fixed",
        f"open weight p = {chance:.2f}",
        f"{loud} of {len(news)} with news",
        f"{noise.redetection:.0%} found again",
    ]
    return Signal(SignalClass.MIXED, "no class fits: " + ", ".join(why))


def falling(values: Sequence[float]) -> float:
    """The one-sided p of the Mann-Kendall test that the values fall: exact up to eight of them.

    Beyond, the normal approximation with continuity correction, ties accounted for.
    """
    count = len(values)
    score = _kendall(values)
    if count <= _EXACT_POINTS:
        orders = list(itertools.permutations(values))
        return sum(1 for order in orders if _kendall(order) <= score) / len(orders)
    ties = [len(list(group)) for _, group in itertools.groupby(sorted(values))]
    spread = count * (count - 1) * (2 * count + 5) - sum(t * (t - 1) * (2 * t + 5) for t in ties)
    if spread == 0:
        return 1.0
    z = (score + 1) / math.sqrt(spread / 18)
    return 0.5 * (1 + math.erf(z / math.sqrt(2)))


def slope(values: Sequence[float]) -> float:
    """The Theil-Sen slope: the median over all pairs, a step."""
    steps = [
        (later - sooner) / (there - here)
        for (here, sooner), (there, later) in itertools.combinations(enumerate(values), 2)
    ]
    return median(steps) if steps else 0.0


def _kendall(values: Sequence[float]) -> int:
    return sum(
        (later > sooner) - (later < sooner) for sooner, later in itertools.combinations(values, 2)
    )


def _stuck(points: Sequence[Point]) -> frozenset[str]:
    always = frozenset.intersection(*(point.severe_open for point in points))
    return frozenset(
        one for one in always if sum(one in point.touched for point in points) >= MIN_TOUCHES
    )


def _earlier(points: Sequence[Point], at: int) -> frozenset[str]:
    return frozenset().union(*(point.found for point in points[:at]))


def _insufficient(reason: str) -> Signal:
    return Signal(SignalClass.INSUFFICIENT, reason)
