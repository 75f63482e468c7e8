"""The two scores of a file, 0 to 10. Pure.

`model_score` is what a model says: an opinion. `confirmed_score` begins as the first one under
a bar and then moves for two reasons only: a fix is confirmed, or one that was is reopened.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final

from lakecore.review._state import State

LEAST: Final = 0.0
MOST: Final = 10.0
GAINS: Final = {"critical": 2.0, "major": 1.0, "minor": 0.5, "info": 0.25}
"""Points of a confirmed fix, by the severity of what was fixed."""
MIN_TRUST: Final = 0.5
"""Ten of ten right and ten of ten planted faults found are just above."""


def confirmed_score(baseline: float, findings: Iterable[tuple[State, str]]) -> float:
    """The score that fixes have earned.

    Args:
        baseline: the first model score under this bar.
        findings: (state, severity) of every finding of the file.
    """
    gained = sum(GAINS[severity] for state, severity in findings if state is State.CONFIRMED_FIXED)
    return round(min(MOST, max(LEAST, baseline) + gained), 2)


def gradient_tier(
    score: float, confidence: float | None, critical: int, trust: float | None = None
) -> str:
    """How far a change to such a file may go by itself: one of the tiers of `lakecore.truth`.

    A review can hold a change back and never lets one through that a rule refuses.

    Args:
        trust: in the model, where it is known and is to count: one that is trusted less than
            `MIN_TRUST` lets nothing through by itself. It makes no tier milder.
    """
    if score < 3 or critical >= 3:
        return "block"
    if critical:
        return "sim"
    if score < 8 or confidence is None or confidence < 0.9:
        return "dry_run"
    if trust is not None and trust < MIN_TRUST:
        return "dry_run"
    return "auto"
