"""Whether a model under a bar is still the one that it was: a fixed set of files, again and again.

The first runs set the limits; a later one outside of them is an alarm: the model, its rung, or
its decoding changed, and scores before and after are not to be compared. Pure.

Both limits know that they rest on few runs: of the hits, those that Fisher's exact test finds
unlike the first runs' (p < 0.01, both sides); of the mean score, the prediction interval of one
more run (Student's t, 98 %). So a model that is what it was gives an alarm in at most three runs
of a hundred.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from statistics import fmean, stdev
from typing import Final

BASELINE_RUNS: Final = 5
_TAIL: Final = 0.005
_STUDENT_T: Final = 3.747
"""Two-sided 98 % of Student's t for one degree of freedom less than there are first runs."""
LEAST_SCORE_CHANGE: Final = 0.3
"""Points: runs that happen to agree to the digit do not make a smaller change an alarm."""


@dataclass(frozen=True, slots=True)
class CanaryRun:
    """One run over the canary set.

    Attributes:
        hits: planted faults that were found, of `planted`.
        scores: of the files of the set, each 0 to 10.
    """

    hits: int
    planted: int
    scores: tuple[float, ...]


@dataclass(frozen=True, slots=True)
class Limits:
    """Within which a run is as it was: of the share of hits, and of the mean score."""

    least_hits: float
    most_hits: float
    least_score: float
    most_score: float


@dataclass(frozen=True, slots=True)
class Drift:
    """What a run is, against the limits.

    Attributes:
        limits: None while they are not set yet.
        is_judged: there are limits, and a run behind those that set them.
    """

    is_alarm: bool
    reason: str
    limits: Limits | None = None
    is_judged: bool = True


def limits_of(runs: Sequence[CanaryRun]) -> Limits | None:
    """The limits that the first `BASELINE_RUNS` runs set; None from fewer."""
    first = runs[:BASELINE_RUNS]
    planted = sum(run.planted for run in first)
    if len(first) < BASELINE_RUNS or not planted or not all(run.scores for run in first):
        return None
    a_run = planted // len(first)
    hits = sum(run.hits for run in first)
    usual = [one for one in range(a_run + 1) if _is_usual(one, a_run, hits, planted)]
    means = [fmean(run.scores) for run in first]
    spread = _STUDENT_T * stdev(means) * math.sqrt(1 + 1 / len(first))
    reach = max(spread, LEAST_SCORE_CHANGE)
    middle = fmean(means)
    return Limits(usual[0] / a_run, usual[-1] / a_run, middle - reach, middle + reach)


def _is_usual(hits: int, planted: int, first_hits: int, first_planted: int) -> bool:
    """Whether so many hits are no wonder, if all runs have the same chance (Fisher's test)."""
    found, all_ = hits + first_hits, planted + first_planted
    low, high = max(0, found - first_planted), min(planted, found)
    ways = math.comb(all_, planted)

    def chance(these: range) -> float:
        missed = all_ - found
        return sum(math.comb(found, k) * math.comb(missed, planted - k) for k in these) / ways

    return chance(range(low, hits + 1)) >= _TAIL and chance(range(hits, high + 1)) >= _TAIL


def drift(runs: Sequence[CanaryRun]) -> Drift:
    """What the last run is, against the first ones."""
    limits = limits_of(runs)
    if limits is None or len(runs) <= BASELINE_RUNS:
        return Drift(
            False, f"{len(runs)} of {BASELINE_RUNS} runs that set the limits", limits, False
        )
    last = runs[-1]
    share = last.hits / last.planted if last.planted else 0.0
    mean = fmean(last.scores) if last.scores else 0.0
    reasons = []
    if not limits.least_hits <= share <= limits.most_hits:
        reasons.append(f"finds {share:.0%}, outside {_range(limits.least_hits, limits.most_hits)}")
    if not limits.least_score <= mean <= limits.most_score:
        low, high = limits.least_score, limits.most_score
        reasons.append(f"mean score {mean:.2f}, outside {low:.2f} to {high:.2f}")
    if reasons:
        return Drift(True, "; ".join(reasons), limits)
    return Drift(False, f"finds {share:.0%}, mean score {mean:.2f}: within the limits", limits)


def _range(low: float, high: float) -> str:
    return f"{max(0.0, low):.0%} to {min(1.0, high):.0%}"
