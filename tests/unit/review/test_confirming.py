"""Blind looks: the planted fault is told from the finding, wherever it is planted."""

from __future__ import annotations

import pytest
from tests.fakes.oracle_models import OracleModels
from tests.unit.review.repositories import faulty, mended

from lakecore.code import Language
from lakecore.review import PROMPTS, Bar, Noise, RawFinding, State, Tracked, Verdict, ground
from lakecore.review._confirming import confirm_claims
from lakecore.review._examine import Text

NOISE = Noise(sigma=0.0, jaccard=1.0, novelty_p95=0.0, redetection=0.99, pairs=6)
TEXT = mended(faulty(0))
MENDED = next(line.strip() for line in TEXT.splitlines() if "rule.holds" in line)


def _claim(quote: str) -> Tracked:
    raw = RawFinding("unenforced", quote, "it accepts whatever it is given", "critical")
    symbol_at = Text("rules.py", TEXT, Language.PYTHON).symbol_at
    [finding] = ground([raw], "rules.py", TEXT, symbol_at).findings
    return Tracked("one", finding, State.CLAIMED_FIXED)


@pytest.mark.parametrize("seed", range(40))
def test_a_planted_fault_beside_the_finding_is_not_the_finding(seed: int) -> None:
    """Of the same symbol, category and words: what tells them apart is the place."""
    models = OracleModels(clean={line.strip() for line in TEXT.splitlines()})
    done = confirm_claims(
        [_claim(MENDED)],
        Text("rules.py", TEXT, Language.PYTHON),
        Bar(PROMPTS["forensic"]),
        models,
        NOISE,
        call_id=f"run-{seed}:rules.py:blind",
        max_tokens=4_000,
    )
    assert all(look.control_found for look in done.looks)
    assert done.verdicts["one"].verdict is Verdict.CONFIRMED
