"""When a fix is confirmed. Pure: what reviewers and tests said in, a verdict out.

- The quoted code says something else than before.
- As many blind reviews under the same bar as the noise floor asks for do not find it again,
  by at least two families of models.
- Each of them found the planted control: one that did not is asleep, and counts for nothing.
- Where a test exists, it failed before and passes now.

One look that finds it again refutes it. Whatever else is missing leaves it inconclusive.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Final

from lakecore.review._noise import Noise

MIN_FAMILIES: Final = 2


class Verdict(StrEnum):
    """What came of a confirmation."""

    CONFIRMED = "confirmed"
    REFUTED = "refuted"
    INCONCLUSIVE = "inconclusive"


@dataclass(frozen=True, slots=True)
class BlindReview:
    """One look at the changed file by somebody who was told nothing of the finding.

    Attributes:
        family: of the model, such as ``qwen``: models of one family share their blind spots.
        found_again: the finding, by its identity.
        found_control: the planted fault.
        is_whole: the whole file was reviewed and the answer could be read.
    """

    family: str
    found_again: bool
    found_control: bool
    is_whole: bool = True


@dataclass(frozen=True, slots=True)
class FixTest:
    """A test that stands for the finding: what it said of the code before and after."""

    failed_before: bool
    passes_after: bool


@dataclass(frozen=True, slots=True)
class Confirmation:
    """A verdict and its reason; `missing` blind reviews would change an inconclusive one."""

    verdict: Verdict
    reason: str
    missing: int = 0


def confirm(
    *,
    code_changed: bool,
    reviews: Sequence[BlindReview],
    noise: Noise | None,
    test: FixTest | None = None,
    min_families: int = MIN_FAMILIES,
) -> Confirmation:
    """Decide on one finding that is claimed to be fixed."""
    whole = [review for review in reviews if review.is_whole]
    if any(review.found_again for review in whole):
        return Confirmation(Verdict.REFUTED, "a blind review finds it again")
    if test is not None and not test.passes_after:
        return Confirmation(Verdict.REFUTED, "its test fails")
    if not code_changed:
        return _open("the quoted code is as it was")
    if test is not None and not test.failed_before:
        return _open("its test passed before the change, too: it shows nothing")
    if noise is None:
        return _open("the noise of this bar was not measured yet")
    needed = noise.blind_reviews
    if needed is None:
        return _open(f"reviewers find {noise.redetection:.0%} again: no number of looks is enough")
    awake = [review for review in whole if review.found_control]
    families = {review.family for review in awake}
    missing = max(0, needed - len(awake), min_families - len(families))
    if missing:
        asleep = len(whole) - len(awake)
        return _open(
            f"{len(awake)} of {needed} clean blind reviews by {len(families)} of {min_families} "
            f"families; {asleep} asleep",
            missing,
        )
    return Confirmation(
        Verdict.CONFIRMED,
        f"{len(awake)} blind reviews by {len(families)} families are clean and awake"
        + ("; its test fails before and passes now" if test else ""),
    )


def _open(reason: str, missing: int = 0) -> Confirmation:
    return Confirmation(Verdict.INCONCLUSIVE, reason, missing)
