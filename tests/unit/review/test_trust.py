"""Trust is what became of findings, not what a model says of itself; and what follows from it."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import pytest

from lakecore.review import TrustProfile, by_trust, gradient_tier, in_order, known_trust, trust_of

KNOWN = TrustProfile("known", 9, 1, 9, 1)
BETTER = TrustProfile("better", 40, 0, 40, 0)
WORSE = TrustProfile("worse", 4, 16, 10, 10)
NEW = TrustProfile("new", 9, 0, 400, 0)  # one judged finding too few
ASLEEP = TrustProfile("asleep", 400, 0, 9, 0)  # one planted fault too few


def test_order() -> None:
    """Known and right first; unknown last."""
    good = TrustProfile("good", confirmed=40, refuted=2, control_hits=40, control_misses=2)
    bad = TrustProfile("bad", confirmed=2, refuted=40, control_hits=40, control_misses=2)
    asleep = TrustProfile("asleep", confirmed=40, refuted=2, control_hits=2, control_misses=40)
    unknown = TrustProfile("unknown")
    lucky = TrustProfile("lucky", confirmed=2, control_hits=2)
    order = [one.model for one in by_trust([unknown, bad, lucky, asleep, good])]
    assert order[0] == "good"
    assert order[1] == "lucky"
    assert order[-1] == "unknown"
    assert unknown.trust == 0
    assert good.trust > 0.6


def test_evidence_that_is_enough() -> None:
    """Ten judged findings and ten planted faults; not one of them less."""
    profiles = [KNOWN, BETTER, WORSE, NEW, ASLEEP]
    assert [one.model for one in profiles if one.is_known] == ["known", "better", "worse"]
    assert known_trust(profiles).keys() == {"known", "better", "worse"}


@pytest.mark.parametrize(
    ("rungs", "expected"),
    [
        (["new", "asleep"], ["new", "asleep"]),
        (["worse", "known", "better"], ["better", "known", "worse"]),
        # Who is not known keeps its place: first, between, or last.
        (["new", "worse", "better"], ["new", "better", "worse"]),
        (["worse", "new", "better", "asleep"], ["better", "new", "worse", "asleep"]),
        (["worse", "new"], ["worse", "new"]),
        ([], []),
    ],
)
def test_who_is_asked_first(rungs: list[str], expected: list[str]) -> None:
    """Known models change places among themselves."""
    trust = known_trust([KNOWN, BETTER, WORSE, NEW, ASLEEP])
    assert in_order(rungs, trust, lambda name: name) == expected


def test_rungs_of_one_model_stay_in_order() -> None:
    """Equals are not exchanged."""
    rungs = [("a", "known"), ("b", "better"), ("c", "known"), ("d", "better")]
    found = in_order(rungs, known_trust([KNOWN, BETTER]), lambda rung: rung[1])
    assert [name for name, _ in found] == ["b", "d", "a", "c"]


@pytest.mark.parametrize("score", [0.0, 2.9, 3.0, 7.9, 8.0, 10.0])
@pytest.mark.parametrize("confidence", [None, 0.5, 0.9, 1.0])
@pytest.mark.parametrize("critical", [0, 1, 3])
def test_trust_makes_no_tier_milder(score: float, confidence: float | None, critical: int) -> None:
    """Without trust the tier is as it was; with any it is that one, or a stricter one."""
    order = ("auto", "dry_run", "sim", "block")
    plain = gradient_tier(score, confidence, critical)
    for trust in (None, 0.0, 0.49, 0.5, 1.0):
        tier = gradient_tier(score, confidence, critical, trust)
        assert order.index(tier) >= order.index(plain)
        if trust is None or trust >= 0.5 or plain != "auto":
            assert tier == plain
        else:
            assert tier == "dry_run"


def review(model: str, **given: Any) -> dict[str, Any]:
    row = {"run_id": "r", "batch": "b", "purpose": "blind", "control_found": None}
    return row | {"model": model, "grounded": 0, "ungrounded": 0} | given


def sign(finding: str, sign: str, **given: Any) -> dict[str, Any]:
    row = {"repository": "x", "bar": "y", "run_id": "r", "batch": "b", "model": "m", "reason": ""}
    return (
        row
        | {"time": datetime(2026, 1, 1, tzinfo=UTC), "finding_id": finding, "sign": sign}
        | given
    )


def test_what_counts() -> None:
    """Confirmed, called wrong by a person, controls; each finding once, and no killed batch."""
    reviews = [
        review("m", control_found=True, grounded=3, ungrounded=1),
        review("m", control_found=False),
        review("m", purpose="review", control_found=True),  # nothing was planted there
    ]
    findings = [
        sign("one", "confirmed"),
        sign("one", "confirmed"),  # undone, and mended again
        sign("one", "confirmed", repository="z"),
        sign("two", "ignore", reason="wrong: by design", batch=""),
        sign("three", "ignore", reason="not now", batch=""),
        sign("four", "confirmed", batch="left by a killed process"),
        sign("five", "refuted"),  # of the fix: the finding stands
    ]
    [profile] = trust_of(reviews, findings)
    assert profile == TrustProfile("m", 2, 1, 1, 1, 3, 1)
    row = profile.to_row()
    assert (row["trust"], row["is_known"]) == (profile.trust, False)
    assert row["precision_low"] < row["precision_high"]
