"""Classes on histories whose truth is known, with the confusion matrix printed."""

from __future__ import annotations

import random
from collections import Counter
from collections.abc import Callable

import pytest
from tests.fakes.reviewers import DialledReviewer

from lakecore.review import Noise, Point, SignalClass, classify
from lakecore.review._signal import falling, slope

POINTS = 6
SEEDS = 200
QUIET = Noise(0.3, 0.8, 0.2, 0.9, 40)


def points(
    oracle: DialledReviewer,
    planted: Callable[[int], set[str]],
    *,
    confirmed: Callable[[int], int] = lambda at: 0,
    touched: Callable[[int], set[str]] = lambda at: set(),
) -> list[Point]:
    """A history: what is there at each step, reviewed."""
    history = []
    for at in range(POINTS):
        there = planted(at)
        score, found = oracle.review(there)
        history.append(
            Point(
                score,
                found,
                4.0 * len(there),
                frozenset(there),
                frozenset(touched(at)),
                confirmed(at),
            )
        )
    return history


def faults(*numbers: int) -> set[str]:
    return {f"f{n}" for n in numbers}


HISTORIES: dict[SignalClass, Callable[[DialledReviewer], list[Point]]] = {
    # Four faults; one after the other is mended and confirmed.
    SignalClass.CONVERGING: lambda oracle: points(
        oracle, lambda at: faults(*range(at, 6)), confirmed=lambda at: at
    ),
    # The same fault, edited again and again.
    SignalClass.LOOPING: lambda oracle: points(
        oracle, lambda at: faults(0, 1, 2), touched=lambda at: faults(0)
    ),
    # What is mended makes room for others.
    SignalClass.ORBITING: lambda oracle: points(
        oracle, lambda at: faults(*range(3 * at, 3 * at + 3)), confirmed=lambda at: at
    ),
    # Edits elsewhere: nothing moves.
    SignalClass.PLATEAU: lambda oracle: points(oracle, lambda at: faults(0, 1, 2)),
}


def test_confusion_matrix() -> None:
    """Histories of known truth get their class in nine of ten cases."""
    matrix: dict[SignalClass, Counter[SignalClass]] = {}
    for truth, history in HISTORIES.items():
        counts: Counter[SignalClass] = Counter()
        for seed in range(SEEDS):
            oracle = DialledReviewer(random.Random(seed), recall=0.95, false=0, spread=0.3)
            noise = oracle.noise(["f0", "f1", "f2"])
            counts[classify(history(oracle), noise).name] += 1
        matrix[truth] = counts
        print(f"{truth:<12}", dict(counts))
    for truth, counts in matrix.items():
        assert counts[truth] >= 0.9 * SEEDS, (truth, counts)


@pytest.mark.parametrize("recall", [0.6, 0.9])
def test_a_text_that_does_not_change_is_one_point(recall: float) -> None:
    """However often it is reviewed: there is nothing that moved."""
    oracle = DialledReviewer(random.Random(3), recall)
    [point] = points(oracle, lambda at: faults(0, 1, 2))[:1]
    assert classify([point], oracle.noise(["f0", "f1"])).name is SignalClass.INSUFFICIENT


def test_edits_that_mend_nothing_are_never_progress() -> None:
    """Reviewed with recall .6, the last score is often above the first; no class says so."""
    better = 0
    for seed in range(SEEDS):
        oracle = DialledReviewer(random.Random(seed), recall=0.6, false=1)
        history = points(oracle, lambda at: faults(0, 1, 2, 3))
        better += history[-1].score > history[0].score
        found = classify(history, oracle.noise(["f0", "f1", "f2", "f3"])).name
        assert found in (SignalClass.MIXED, SignalClass.PLATEAU)
    assert better > 0.3 * SEEDS


def test_without_a_floor_or_points_nothing_is_said() -> None:
    """Too little to say is INSUFFICIENT."""
    four = [Point(5, frozenset(), 0)] * 4
    assert classify(four[:3], QUIET).name is SignalClass.INSUFFICIENT
    assert classify(four, None).name is SignalClass.INSUFFICIENT
    assert classify(four, QUIET).name is SignalClass.PLATEAU


@pytest.mark.parametrize(
    ("values", "chance"),
    [([4, 3, 2, 1], 1 / 24), ([1, 2, 3, 4], 1.0), ([3, 2, 1], 1 / 6), ([1, 1, 1, 1], 1.0)],
)
def test_falling(values: list[float], chance: float) -> None:
    """The exact one-sided Mann-Kendall p."""
    assert falling(values) == pytest.approx(chance)


def test_falling_by_the_normal_approximation() -> None:
    """Twelve values that fall but for one exchange; by scipy's Kendall test p < 1e-5."""
    assert falling([12, 11, 10, 9, 8, 7, 6, 5, 4, 3, 1, 2]) < 1e-4
    assert falling([1.0] * 12) == 1.0
    assert falling(list(range(12))) > 0.99


def test_slope() -> None:
    """The median of all steps."""
    assert slope([1, 2, 3, 4, 100]) == 1
    assert slope([1]) == 0
