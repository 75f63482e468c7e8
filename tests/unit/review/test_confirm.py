"""No rise of a score before its confirmation, and hardly ever a false one."""

from __future__ import annotations

import os
import random

import pytest
from tests.fakes.reviewers import DialledReviewer

from lakecore.review import BlindReview, FixTest, Noise, Verdict, confirm

NOISE = Noise(0.5, 0.5, 0.4, 0.8, 40)
CLEAN = BlindReview("qwen", found_again=False, found_control=True)
OTHER = BlindReview("llama", found_again=False, found_control=True)
FIXED = FixTest(failed_before=True, passes_after=True)
SEEDS = int(os.environ.get("LAKECORE_SOAK_ROUNDS", "1000"))


def verdict(*reviews: BlindReview, **given: object) -> Verdict:
    fields: dict[str, object] = {"code_changed": True, "noise": NOISE, **given}
    return confirm(reviews=reviews, **fields).verdict  # type: ignore[arg-type]  # as given


@pytest.mark.parametrize("test", [None, FIXED])
def test_all_that_is_needed_confirms(test: FixTest | None) -> None:
    """Enough clean looks by awake reviewers of two families."""
    assert verdict(CLEAN, OTHER, test=test) is Verdict.CONFIRMED


@pytest.mark.parametrize(
    ("reviews", "given"),
    [
        ((CLEAN,), {}),
        ((CLEAN, CLEAN, CLEAN), {}),
        ((CLEAN, BlindReview("llama", False, found_control=False)), {}),
        ((CLEAN, BlindReview("llama", False, True, is_whole=False)), {}),
        ((CLEAN, OTHER), {"code_changed": False}),
        ((CLEAN, OTHER), {"noise": None}),
        ((CLEAN, OTHER), {"noise": Noise(0.5, 0.1, 0.9, 0.05, 40)}),
        ((CLEAN, OTHER), {"test": FixTest(failed_before=False, passes_after=True)}),
    ],
    ids=["one", "one family", "asleep", "clipped", "as it was", "no floor", "blind", "empty test"],
)
def test_what_leaves_it_open(reviews: tuple[BlindReview, ...], given: dict[str, object]) -> None:
    """Each thing that is missing leaves the claim open."""
    assert verdict(*reviews, **given) is Verdict.INCONCLUSIVE


def test_one_that_finds_it_again_refutes_it() -> None:
    """One look, or a failing test, refutes."""
    again = BlindReview("qwen", found_again=True, found_control=False)
    assert verdict(CLEAN, OTHER, again) is Verdict.REFUTED
    assert verdict(CLEAN, OTHER, test=FixTest(True, passes_after=False)) is Verdict.REFUTED


@pytest.mark.parametrize("recall", [0.4, 0.6, 0.8])
def test_a_fault_that_is_still_there_is_hardly_ever_confirmed(
    recall: float, capsys: pytest.CaptureFixture[str]
) -> None:
    """An edit that mends nothing, reviewed blind as often as the floor asks for."""
    false = 0
    for seed in range(SEEDS):
        oracle = DialledReviewer(random.Random(seed), recall, false=0.5)
        noise = Noise(0.5, 0.4, 0.5, recall, 40)
        reviews: list[BlindReview] = []
        while sum(one.found_control for one in reviews) < (noise.blind_reviews or 0):
            _, found = oracle.review(["the fault", "the control"])
            family = ("qwen", "llama")[len(reviews) % 2]
            reviews.append(BlindReview(family, "the fault" in found, "the control" in found))
        false += verdict(*reviews, noise=noise) is Verdict.CONFIRMED
    print(f"recall {recall}: {false} false rises of {SEEDS} seeds from 0")
    assert false <= 0.05 * SEEDS
