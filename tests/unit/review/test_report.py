"""The figures of iterations, on the example that the loop was made for."""

from __future__ import annotations

from typing import Any

from lakecore.review._report import iterations


def row(iteration: int, path: str, score: float | None, **given: Any) -> dict[str, Any]:
    return {
        "iteration": iteration,
        "path": path,
        "score": score,
        "confirmed_score": 3.0,
        "attempts": 1,
        "output_format": "json",
        "verified_components_count": 1,
        "gradient_tier": "dry_run",
        **given,
    }


def test_two_iterations() -> None:
    """Means, movement, attempts, tiers and signals of an iteration."""
    rows = [row(3, path, score) for path, score in (("a", 3), ("b", 4), ("c", 5), ("d", 4))]
    rows += [
        row(4, "a", 6, confirmed_score=5.0),
        row(4, "b", 4, output_format="markdown", verified_components_count=None),
        row(4, "c", 4, attempts=2, gradient_tier="block"),
        row(4, "d", None, gradient_tier=None),
        row(4, "e", 7),
    ]
    before, after = iterations(reversed(rows), {"a": "CONVERGING", "b": "PLATEAU"})
    assert (before.mean_score, before.movement, before.signals) == (
        (4.0, {"↑": 0, "↓": 0, "=": 0}, {})
    )
    assert (after.files, after.reviewed, after.mean_score) == (5, 4, 5.25)
    assert after.mean_confirmed == 3.4
    assert after.movement == {"↑": 1, "↓": 1, "=": 1}
    assert (after.first_attempt, after.structured, after.verified_components) == (3, 4, 4)
    assert after.tiers == {"auto": 0, "dry_run": 3, "sim": 0, "block": 1}
    assert after.signals == {"CONVERGING": 1, "PLATEAU": 1}
    assert [m["arrow"] for m in after.to_body()["files_moved"]] == ["↑", "=", "↓", " "]


def test_nothing_reviewed() -> None:
    """No review is no score, not 0."""
    [only] = iterations([row(1, "a", None, confirmed_score=None)])
    assert (only.mean_score, only.mean_confirmed, only.reviewed) == (None, None, 0)
    assert iterations([]) == []
