"""What iterations come to: the figures of a run beside those of the one before. Pure.

Rows of `system.reviews` go in, one for each file and iteration under one bar.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from statistics import fmean
from typing import Any, Final

TIERS: Final = ("auto", "dry_run", "sim", "block")


@dataclass(frozen=True, slots=True)
class Movement:
    """A file's scores in two iterations; `before` is None where it is new."""

    path: str
    before: float | None
    after: float

    @property
    def arrow(self) -> str:
        """↑, ↓ or =; of a file that is new a blank."""
        if self.before is None:
            return " "
        return "↑" if self.after > self.before else "↓" if self.after < self.before else "="


@dataclass(frozen=True, slots=True)
class IterationReport:
    """One iteration.

    Attributes:
        mean_score: of the model's scores; None where none could be read.
        mean_confirmed: of the scores that fixes have earned.
        first_attempt: files whose first attempt was accepted.
        structured: files answered as JSON.
        verified_components: found to work, in all files.
        tiers: files by gradient tier.
        signals: files by signal class.
    """

    iteration: int
    files: int
    reviewed: int
    mean_score: float | None
    mean_confirmed: float | None
    first_attempt: int
    structured: int
    verified_components: int
    tiers: Mapping[str, int]
    movements: tuple[Movement, ...] = ()
    signals: Mapping[str, int] = field(default_factory=dict)

    @property
    def movement(self) -> dict[str, int]:
        """Files by arrow."""
        counts = Counter(one.arrow for one in self.movements)
        return {arrow: counts[arrow] for arrow in ("↑", "↓", "=")}

    def to_body(self) -> dict[str, Any]:
        """JSON-ready."""
        return {
            "iteration": self.iteration,
            "files": self.files,
            "reviewed": self.reviewed,
            "mean_score": self.mean_score,
            "mean_confirmed": self.mean_confirmed,
            "first_attempt": self.first_attempt,
            "structured": self.structured,
            "verified_components": self.verified_components,
            "tiers": dict(self.tiers),
            "movement": self.movement,
            "signals": dict(self.signals),
            "files_moved": [
                {"path": m.path, "before": m.before, "after": m.after, "arrow": m.arrow}
                for m in self.movements
            ],
        }


def iterations(
    rows: Iterable[Mapping[str, Any]], signals: Mapping[str, str] | None = None
) -> list[IterationReport]:
    """Reports in order; `signals`, by path, belong to the last one."""
    by_number: dict[int, list[Mapping[str, Any]]] = {}
    for row in rows:
        by_number.setdefault(int(row["iteration"]), []).append(row)
    reports: list[IterationReport] = []
    last: dict[str, float] = {}
    for number in sorted(by_number):
        group = sorted(by_number[number], key=lambda row: str(row["path"]))
        moves = [
            Movement(str(row["path"]), last.get(str(row["path"])), float(row["score"]))
            for row in group
            if row["score"] is not None
        ]
        last |= {move.path: move.after for move in moves}
        reports.append(_report(number, group, moves))
    if reports and signals:
        from dataclasses import replace

        reports[-1] = replace(reports[-1], signals=dict(Counter(signals.values())))
    return reports


def _report(
    number: int, group: Sequence[Mapping[str, Any]], moves: Sequence[Movement]
) -> IterationReport:
    confirmed = [float(r["confirmed_score"]) for r in group if r["confirmed_score"] is not None]
    counts = Counter(str(row["gradient_tier"]) for row in group if row["gradient_tier"])
    return IterationReport(
        iteration=number,
        files=len(group),
        reviewed=len(moves),
        mean_score=round(fmean(move.after for move in moves), 2) if moves else None,
        mean_confirmed=round(fmean(confirmed), 2) if confirmed else None,
        first_attempt=sum(1 for row in group if row["score"] is not None and row["attempts"] == 1),
        structured=sum(1 for row in group if row["output_format"] == "json"),
        verified_components=sum(int(row["verified_components_count"] or 0) for row in group),
        tiers={tier: counts[tier] for tier in TIERS},
        movements=tuple(moves),
    )
