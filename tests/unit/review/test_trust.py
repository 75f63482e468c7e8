"""Trust is what became of findings, not what a model says of itself."""

from __future__ import annotations

from lakecore.review import TrustProfile, by_trust


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
