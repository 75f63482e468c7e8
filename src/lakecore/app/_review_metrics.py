"""Figures of reviewers and reviews, each with the query that it is from, n, interval and a goal.

A figure without a case has no value: that is not 0. Shares have a Wilson interval of 95 %.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    from lakecore.app._review_read import ReviewReading


@dataclass(frozen=True, slots=True)
class _Asked:
    """One figure.

    Attributes:
        query: gives rows of ``of`` (what it is of), ``hits``, ``n`` and ``newest``.
        good: from where on, or up to where, it is good.
    """

    name: str
    title: str
    about: str
    query: str
    unit: str = "share"
    good: float | None = None
    is_most: bool = False


# A batch that no review names is what a killed process left.
_WHOLE: Final = (
    "(coalesce(f.batch, '') = '' or exists (select 1 from system.reviews r "
    "where r.run_id = f.run_id and r.batch = f.batch))"
)
_ASKED: Final = (
    _Asked(
        "accepted",
        "Answers accepted",
        "of the answers of a model, those that were a review",
        "select model as of, sum(case when outcome = 'ok' then 1 else 0 end) as hits, "
        "count(*) as n, max(time) as newest from system.reviews where model <> '' "
        "group by model order by model",
        good=0.95,
    ),
    _Asked(
        "structured",
        "Answers in the form asked for",
        "of the accepted ones, those that were JSON by the schema",
        "select model as of, sum(case when output_format = 'json' then 1 else 0 end) as hits, "
        "count(*) as n, max(time) as newest from system.reviews "
        "where model <> '' and outcome = 'ok' group by model order by model",
        good=0.9,
    ),
    _Asked(
        "evidence",
        "Findings with valid evidence",
        "of the findings, those whose quote is in the file",
        "select model as of, sum(grounded) as hits, "
        "sum(grounded) + sum(ungrounded) as n, max(time) as newest from system.reviews "
        "where model <> '' and outcome = 'ok' group by model order by model",
        good=0.9,
    ),
    _Asked(
        "control",
        "Planted faults found",
        "of the faults planted in copies, those that the model found; one that misses them sleeps",
        "select model as of, sum(case when control_found then 1 else 0 end) as hits, "
        "count(*) as n, max(time) as newest from system.reviews "
        "where purpose = 'blind' and control_found is not null group by model order by model",
        good=0.8,
    ),
    _Asked(
        "confirmed",
        "Claimed fixes confirmed",
        "of the findings that an edit claims to fix, those confirmed by blind reviews",
        "select 'all' as of, count(distinct case when sign = 'confirmed' then finding_id end) "
        "as hits, count(distinct finding_id) as n, max(time) as newest from system.findings f "
        f"where state in ('claimed_fixed', 'confirmed_fixed') and {_WHOLE}",
        good=0.5,
    ),
    _Asked(
        "reopened",
        "Confirmed fixes that came back",
        "of the confirmed fixes, those reopened since",
        "select 'all' as of, count(distinct case when state = 'reopened' then finding_id end) "
        "as hits, count(distinct finding_id) as n, max(time) as newest from system.findings f "
        f"where (sign = 'confirmed' or state = 'reopened') and {_WHOLE}",
        good=0.05,
        is_most=True,
    ),
    _Asked(
        "cost",
        "Cost per confirmed fix",
        "what all reviews cost, by the fixes confirmed",
        "select 'all' as of, (select sum(cost_microusd) from system.reviews) as hits, "
        "count(distinct finding_id) as n, max(time) as newest from system.findings f "
        f"where sign = 'confirmed' and {_WHOLE}",
        unit="microusd",
    ),
    _Asked(
        "tiers",
        "How files may go on",
        "of the files, by the tier that their last review gave them",
        "select gradient_tier as of, count(*) as hits, sum(count(*)) over () as n, "
        "max(newest) as newest from (select repository, path, gradient_tier, time as newest, "
        "row_number() over (partition by repository, path order by time desc) as nth "
        "from system.reviews where purpose = 'review' and gradient_tier <> '') as ordered "
        "where nth = 1 group by gradient_tier order by gradient_tier",
    ),
)


def review_metrics(reading: ReviewReading) -> list[dict[str, Any]]:
    """Every figure: `source`, and for each model or tier `value`, `n`, `low`, `high`, `newest`."""
    found = []
    for asked in _ASKED:
        rows = reading._sql(asked.query)
        found.append(
            {
                "name": asked.name,
                "title": asked.title,
                "about": asked.about,
                "unit": asked.unit,
                "good": asked.good,
                "good_is": "at most" if asked.is_most else "at least",
                "source": asked.query,
                "items": [_item(asked, row) for row in rows if row["n"] or asked.unit == "share"],
            }
        )
    return found


def _item(asked: _Asked, row: dict[str, Any]) -> dict[str, Any]:
    from lakecore.review import wilson

    hits, n = int(row["hits"] or 0), int(row["n"] or 0)
    is_share = asked.unit == "share"
    low, high = wilson(hits, n) if is_share and n else (None, None)
    newest = row["newest"]
    return {
        "of": str(row["of"]),
        "value": None if not n else hits / n,
        "hits": hits,
        "n": n,
        "low": low,
        "high": high,
        "newest": None if newest is None else newest.isoformat(),
    }
