"""Whether a model under a bar is still the one that it was: a fixed set of files, again and again.

The first runs set the limits (Shewhart's chart for a share, and for a mean); a later one outside
of them is an alarm: the model, its rung, or its decoding changed, and scores before and after
are not to be compared. Pure.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from statistics import fmean, pstdev
from typing import Final

BASELINE_RUNS: Final = 5
SIGMAS: Final = 3.0


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
    """What a run is, against the limits; `limits` is None while they are not set yet."""

    is_alarm: bool
    reason: str
    limits: Limits | None = None


def limits_of(runs: Sequence[CanaryRun]) -> Limits | None:
    """The limits that the first `BASELINE_RUNS` runs set; None from fewer."""
    first = runs[:BASELINE_RUNS]
    planted = sum(run.planted for run in first)
    if len(first) < BASELINE_RUNS or not planted or not all(run.scores for run in first):
        return None
    share = sum(run.hits for run in first) / planted
    # A share that was never anything but 1 is not known to be 1: one more that was missed.
    assumed = min(max(share, 1 / (planted + 1)), planted / (planted + 1))
    a_run = planted / len(first)
    spread = SIGMAS * math.sqrt(assumed * (1 - assumed) / a_run)
    means = [fmean(run.scores) for run in first]
    # Of few runs the spread of their means is uncertain; that within files is not.
    within = fmean(pstdev(run.scores) for run in first) / math.sqrt(len(first[0].scores))
    drift = SIGMAS * max(pstdev(means), within / SIGMAS, 0.1)
    middle = fmean(means)
    return Limits(share - spread, share + spread, middle - drift, middle + drift)


def drift(runs: Sequence[CanaryRun]) -> Drift:
    """What the last run is, against the first ones."""
    limits = limits_of(runs)
    if limits is None or len(runs) <= BASELINE_RUNS:
        return Drift(False, f"{len(runs)} of {BASELINE_RUNS} runs that set the limits", limits)
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
