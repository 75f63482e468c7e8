"""How much a reviewer differs from itself on the same text: the floor under every figure. Pure.

A/A reviews, two of one text under one bar, give the spread of the score, how many findings
come back, and how many look new although nothing is. Source of the definitions: docs/review.
"""

from __future__ import annotations

import math
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from typing import Final

Z_95: Final = 1.645
"""One-sided 95 % of the normal distribution."""
Z_95_BOTH: Final = 1.96
"""Two-sided."""
MISS_RISK: Final = 0.05
MAX_BLIND_REVIEWS: Final = 20
MIN_PAIRS: Final = 5
"""Fewer pairs of reviews give no floor."""


@dataclass(frozen=True, slots=True)
class Pair:
    """Two reviews of one text under one bar; findings by their common identity."""

    first_score: float
    second_score: float
    first: frozenset[str]
    second: frozenset[str]


@dataclass(frozen=True, slots=True)
class Noise:
    """The floor.

    Attributes:
        sigma: standard deviation of one score, in points.
        jaccard: mean likeness of the findings of two reviews, 0 to 1.
        novelty_p95: 95th percentile of the share of findings that look new, 0 to 1.
        redetection: chance that a finding that is there is found, 0 to 1.
        pairs: of reviews that it was measured on.
    """

    sigma: float
    jaccard: float
    novelty_p95: float
    redetection: float
    pairs: int

    @property
    def least_change(self) -> float:
        """The least difference of two scores that is more than noise, in points."""
        return Z_95 * math.sqrt(2) * self.sigma

    @property
    def flat_within(self) -> float:
        """The difference of two scores, up or down, that noise alone stays within at 95 %."""
        return Z_95_BOTH * math.sqrt(2) * self.sigma

    @property
    def blind_reviews(self) -> int | None:
        """Clean reviews after which a finding that is still there was missed with p <= 0.05.

        None: the reviewer finds so little again that no affordable number would do.
        """
        if self.redetection <= 0:
            return None
        if self.redetection >= 1:
            return 1
        exact = math.log(MISS_RISK) / math.log(1 - self.redetection)
        count = math.ceil(exact - 1e-9)
        return count if count <= MAX_BLIND_REVIEWS else None


def noise_of(pairs: Sequence[Pair]) -> Noise | None:
    """The floor from pairs of reviews; None from fewer than `MIN_PAIRS`."""
    if len(pairs) < MIN_PAIRS:
        return None
    squares = sum((pair.first_score - pair.second_score) ** 2 for pair in pairs)
    both = sum(len(pair.first & pair.second) for pair in pairs)
    total = sum(len(pair.first) + len(pair.second) for pair in pairs)
    news = sorted(novelty(pair.second, pair.first) for pair in pairs)
    return Noise(
        sigma=math.sqrt(squares / len(pairs) / 2),
        jaccard=sum(jaccard(pair.first, pair.second) for pair in pairs) / len(pairs),
        novelty_p95=news[min(len(news) - 1, math.ceil(0.95 * len(news)) - 1)],
        # Two independent looks at the same things: E[both] = p p n, E[each] = p n.
        redetection=2 * both / total if total else 0.0,
        pairs=len(pairs),
    )


def jaccard(one: Collection[str], other: Collection[str]) -> float:
    """|both| / |either|; of two empty sets 1."""
    mine, theirs = set(one), set(other)
    either = mine | theirs
    return len(mine & theirs) / len(either) if either else 1.0


def novelty(now: Collection[str], earlier: Collection[str]) -> float:
    """The share of what is found now that was never found before; 0 where nothing is found."""
    return len(set(now) - set(earlier)) / len(set(now)) if now else 0.0


def wilson(hits: int, tries: int, z: float = 1.96) -> tuple[float, float]:
    """The 95 % interval of a share (Wilson 1927); (0, 1) without a try."""
    if not tries:
        return 0.0, 1.0
    share, square = hits / tries, z * z
    middle = share + square / (2 * tries)
    spread = z * math.sqrt(share * (1 - share) / tries + square / (4 * tries * tries))
    scale = 1 + square / tries
    return max(0.0, (middle - spread) / scale), min(1.0, (middle + spread) / scale)
