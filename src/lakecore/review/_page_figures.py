"""The figures on top of the report page: value, n, interval, what it is, source. Pure."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from statistics import fmean
from typing import Any, Final

from lakecore.review._finding import SEVERITIES
from lakecore.review._memory import Memory
from lakecore.review._noise import Z_95_BOTH, wilson
from lakecore.review._page_parts import Html, table, tag
from lakecore.review._report import IterationReport
from lakecore.review._state import State
from lakecore.review._trust import TrustProfile

_MICRO: Final = 1_000_000


@dataclass(frozen=True, slots=True)
class PageFacts:
    """What a page is made of.

    Attributes:
        rows: of `system.reviews` under the bar, of every purpose.
        trust: of every model, in all repositories.
    """

    repository: str
    bar: str
    memory: Memory
    rows: Sequence[Mapping[str, Any]]
    trust: Sequence[TrustProfile]
    made: datetime
    version: str


def figures(facts: PageFacts, reports: Sequence[IterationReport]) -> Html:
    """Where it stands, as a section."""
    last = reports[-1]
    where = f"bar = '{facts.bar}' and iteration = {last.iteration} and purpose = 'review'"
    tracked = [one for known in facts.memory.files.values() for one in known.tracked.values()]
    open_ = Counter(one.finding.severity for one in tracked if one.is_open)
    confirmed = sum(one.state is State.CONFIRMED_FIXED for one in tracked)
    claimed = sum(one.state is State.CLAIMED_FIXED for one in tracked)
    noise = facts.memory.noise
    by_severity = ", ".join(f"{open_[name]} {name}" for name in SEVERITIES if open_[name])
    signs = "the last state of each finding in system.findings"
    rows = [
        (
            "Open findings",
            sum(open_.values()),
            len(tracked),
            "–",
            f"{by_severity or 'none'}",
            signs,
        ),
        ("Fixes confirmed", confirmed, len(tracked), "–", f"{claimed} more are claimed", signs),
        (
            "Files reviewed",
            last.reviewed,
            last.files,
            "–",
            "answers that could be read",
            f"count(*) where {where}",
        ),
        (
            "Mean model score",
            number(last.mean_score),
            last.reviewed,
            _mean_interval(last, facts),
            "an opinion, 0 to 10",
            f"avg(score) where {where}",
        ),
        (
            "Mean confirmed score",
            number(last.mean_confirmed),
            last.reviewed,
            "–",
            "moves by confirmed fixes alone",
            f"avg(confirmed_score) where {where}",
        ),
        (
            "The same, of all files",
            number(_mean(facts)),
            sum(known.confirmed_score is not None for known in facts.memory.files.values()),
            "–",
            "each as its last review left it",
            "the last confirmed_score of each path, and what was confirmed since",
        ),
        (
            "Accepted at first attempt",
            last.first_attempt,
            last.files,
            share(last.first_attempt, last.files),
            "of the files that were asked about",
            f"count(*) where attempts = 1 and {where}",
        ),
        (
            "Answered as JSON",
            last.structured,
            last.files,
            share(last.structured, last.files),
            "the rest as Markdown, or not at all",
            f"count(*) where output_format = 'json' and {where}",
        ),
        (
            "Verified components",
            last.verified_components,
            last.reviewed,
            "–",
            "what reviewers say is shown to work",
            f"sum(verified_components_count) where {where}",
        ),
        (
            "Noise: sigma of a score",
            "–" if noise is None else f"{noise.sigma:.2f}",
            len(facts.memory.pairs),
            "–",
            "from two reviews of one text; no floor below 5 pairs",
            f"pairs of purpose 'review' and 'again', bar = '{facts.bar}'",
        ),
        (
            "Noise: found again",
            "–" if noise is None else f"{noise.redetection:.0%}",
            len(facts.memory.pairs),
            "–",
            _looks(facts),
            f"found in pairs, bar = '{facts.bar}'",
        ),
        (
            "Cost of this iteration",
            f"${_cost(facts, last.iteration):.4f}",
            sum(row["iteration"] == last.iteration for row in facts.rows),
            "–",
            "reviews, second looks and blind ones",
            f"sum(cost_microusd) where bar = '{facts.bar}' and iteration = {last.iteration}",
        ),
    ]
    columns = ("figure", "value", "n", "95 % interval", "what it is", "source")
    shown = [(*row[:5], tag("code", row[5])) for row in rows]
    return section(
        "Where it stands",
        table(columns, shown, right=("value", "n", "95 % interval"), wide=("source",)),
        "Sources without another name are of system.reviews.",
    )


def _mean(facts: PageFacts) -> float | None:
    scores = [known.confirmed_score for known in facts.memory.files.values()]
    known = [score for score in scores if score is not None]
    return fmean(known) if known else None


def _looks(facts: PageFacts) -> str:
    noise = facts.memory.noise
    if noise is None:
        return "nothing is confirmed before it is known"
    if noise.blind_reviews is None:
        return "too little: no number of blind looks confirms a fix"
    return f"clean blind looks that confirm a fix: {noise.blind_reviews}"


def _mean_interval(report: IterationReport, facts: PageFacts) -> str:
    spread, mean = half(report, facts), report.mean_score
    if mean is None:
        return "–"
    if spread is None:
        return "no floor yet"
    return f"{max(0.0, mean - spread):.2f} to {min(10.0, mean + spread):.2f}"


def half(report: IterationReport, facts: PageFacts) -> float | None:
    """Half of the 95 % interval of a mean score; None without a floor."""
    noise = facts.memory.noise
    if noise is None or not report.reviewed:
        return None
    return Z_95_BOTH * noise.sigma / math.sqrt(report.reviewed)


def share(hits: int, tries: int) -> str:
    """The 95 % interval of a share, in words."""
    low, high = wilson(hits, tries)
    return f"{low:.0%} to {high:.0%}" if tries else "–"


def _cost(facts: PageFacts, iteration: int) -> float:
    rows = [row for row in facts.rows if row["iteration"] == iteration]
    return sum(int(row["cost_microusd"] or 0) for row in rows) / _MICRO


def section(title: str, inner: Html, about: str) -> Html:
    """A headed part, with what it is and where it comes from."""
    return tag("section", tag("h2", title), tag("p", about, kind="quiet"), inner)


def number(value: float | None) -> str:
    """A score, or a dash."""
    return "–" if value is None else f"{value:.2f}"
