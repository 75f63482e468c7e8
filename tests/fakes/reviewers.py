"""A reviewer whose faults are dialled: it knows what is planted, and finds a share of it."""

from __future__ import annotations

import random
from collections.abc import Collection, Sequence
from dataclasses import dataclass

from lakecore.review import Noise, Pair, noise_of


@dataclass
class DialledReviewer:
    """Finds each planted fault with chance `recall`, and makes up to `false` others a review.

    Attributes:
        spread: standard deviation of its score, in points.
    """

    random: random.Random
    recall: float = 0.6
    false: float = 1.0
    spread: float = 0.5

    def review(self, planted: Collection[str]) -> tuple[float, frozenset[str]]:
        """(score, findings by identity)."""
        found = {one for one in sorted(planted) if self.random.random() < self.recall}
        made_up = {
            f"false-{self.random.randrange(10**9)}"
            for _ in range(int(self.false * 2) + 1)
            if self.random.random() < self.false / (int(self.false * 2) + 1)
        }
        score = 8 - len(planted) + self.random.gauss(0, self.spread)
        return min(10.0, max(0.0, score)), frozenset(found | made_up)

    def noise(self, planted: Sequence[str], pairs: int = 40) -> Noise:
        """Its floor, measured on a text that does not change."""
        measured = []
        for _ in range(pairs):
            (one, found), (other, again) = self.review(planted), self.review(planted)
            measured.append(Pair(one, other, found, again))
        noise = noise_of(measured)
        assert noise is not None
        return noise
