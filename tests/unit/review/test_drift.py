"""The sentinel: quiet while nothing changes, loud when the model is another one."""

from __future__ import annotations

import random

import pytest

from lakecore.review._drift import BASELINE_RUNS, CanaryRun, drift

PLANTED = 40
SEEDS = 300


def canary(source: random.Random, recall: float, score: float) -> CanaryRun:
    hits = sum(source.random() < recall for _ in range(PLANTED))
    return CanaryRun(hits, PLANTED, tuple(source.gauss(score, 0.6) for _ in range(20)))


def alarms(recall: float, score: float) -> int:
    count = 0
    for seed in range(SEEDS):
        source = random.Random(seed)
        runs = [canary(source, 0.7, 5) for _ in range(BASELINE_RUNS)]
        count += drift([*runs, canary(source, recall, score)]).is_alarm
    return count


def test_the_same_model_is_quiet() -> None:
    """At most one alarm in twenty without a cause."""
    assert alarms(0.7, 5) <= 0.05 * SEEDS


@pytest.mark.parametrize(("recall", "score"), [(0.35, 5), (0.7, 6.5), (0.7, 3.5), (1.0, 5)])
def test_another_one_is_not(recall: float, score: float) -> None:
    """A worse, better or differently scoring model is noticed."""
    assert alarms(recall, score) >= 0.9 * SEEDS


def test_limits_take_some_runs() -> None:
    """Before there are limits there is no alarm."""
    source = random.Random(0)
    runs = [canary(source, 0.0, 0) for _ in range(BASELINE_RUNS)]
    assert not drift(runs[:-1]).is_alarm
    assert drift(runs[:-1]).limits is None
    assert drift(runs).limits is not None
    assert not drift([]).is_alarm
