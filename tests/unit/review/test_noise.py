"""The floor, and what may be built on it."""

from __future__ import annotations

import math
import random

import pytest
from tests.fakes.reviewers import DialledReviewer

from lakecore.review import Noise, Pair, noise_of, wilson


@pytest.mark.parametrize("recall", [0.4, 0.6, 0.8, 0.95])
def test_what_is_measured_is_what_was_dialled(recall: float) -> None:
    """Recall and spread are found from A/A pairs."""
    planted = [f"f{n}" for n in range(4)]
    oracle = DialledReviewer(random.Random(7), recall, false=0, spread=0.7)
    noise = oracle.noise(planted, 400)
    assert noise.redetection == pytest.approx(recall, abs=0.04)
    assert noise.sigma == pytest.approx(0.7, abs=0.06)
    assert noise.least_change == pytest.approx(1.645 * math.sqrt(2) * 0.7, abs=0.15)


def test_what_is_made_up_lowers_redetection() -> None:
    """Chatter makes the floor higher."""
    planted = [f"f{n}" for n in range(8)]
    honest = DialledReviewer(random.Random(1), 0.8, false=0).noise(planted)
    chatty = DialledReviewer(random.Random(1), 0.8, false=4).noise(planted)
    assert chatty.redetection < honest.redetection
    assert chatty.novelty_p95 > honest.novelty_p95


@pytest.mark.parametrize(
    ("redetection", "count"), [(0.6, 4), (0.8, 2), (0.95, 1), (1.0, 1), (0.3, 9), (0.1, None)]
)
def test_blind_reviews(redetection: float, count: int | None) -> None:
    """As many looks as leave a chance of 5 % at most."""
    assert Noise(0.5, 0.5, 0.5, redetection, 10).blind_reviews == count
    if count:
        assert (1 - redetection) ** count <= 0.05 + 1e-9


def test_too_few_pairs_give_no_floor() -> None:
    """Fewer than five pairs say nothing."""
    pair = Pair(5, 5, frozenset("a"), frozenset("a"))
    assert noise_of([pair] * 4) is None
    assert noise_of([pair] * 5) is not None
    assert noise_of([]) is None


@pytest.mark.parametrize(
    ("hits", "tries", "low", "high"), [(0, 0, 0, 1), (0, 10, 0, 0.278), (81, 263, 0.255, 0.366)]
)
def test_wilson(hits: int, tries: int, low: float, high: float) -> None:
    """The last is the example of Newcombe (1998), table I."""
    assert wilson(hits, tries) == pytest.approx((low, high), abs=0.001)
