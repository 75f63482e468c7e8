"""Trust in models as a lake has it: from its rows, into rows of its own, and to where it counts.

The rows that count are read narrow: answers and quotes are most of a row, and say nothing here.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    from lakecore.app._lake import Lake
    from lakecore.llm import Rung
    from lakecore.records import RecordKind
    from lakecore.review import TrustProfile

MODEL_TRUST: Final = "model_trust"
_COUNTS: Final = (
    "confirmed",
    "refuted",
    "control_hits",
    "control_misses",
    "grounded",
    "ungrounded",
)
_REVIEWS: Final = """
select run_id, batch, model, purpose, control_found, grounded, ungrounded
from system.reviews where $before is null or time < $before
"""
_FINDINGS: Final = """
select run_id, batch, repository, bar, finding_id, sign, model, reason
from system.findings where sign in ('confirmed', 'ignore') and ($before is null or time < $before)
"""


@dataclass(frozen=True, slots=True)
class Counted:
    """What is to count in one run.

    Attributes:
        order: rungs by name, as they are to be asked; empty: as settings have them.
        tier: trust by model, for the gradient's tier; empty: it does not count.
    """

    order: Sequence[str] = ()
    tier: Mapping[str, float] = field(default_factory=dict)


def profiles_of(lake: Lake, *, before: datetime | None = None) -> list[TrustProfile]:
    """Every model by what became of its findings, in all repositories.

    Args:
        before: rows of this time and later are left out.
    """
    from lakecore.review import by_trust, trust_of

    found: list[Sequence[Mapping[str, Any]]] = []
    for query in (_REVIEWS, _FINDINGS):
        with lake.sql(query, {"before": before}, engine="datafusion") as result:
            found.append(result.to_pylist())
    return by_trust(trust_of(found[0], found[1]))


def counted_in(lake: Lake, run_id: str) -> Counted:
    """What settings have count in a run.

    A run that is finished after it was interrupted goes by what was known when it began.
    """
    from lakecore.review import in_order, known_trust

    settings = lake._parts.settings.review
    if not (settings.order_by_trust or settings.tier_by_trust):
        return Counted()
    with lake.sql(
        "select min(time) as began from system.reviews where run_id = $run",
        {"run": run_id},
        engine="datafusion",
    ) as result:
        [row] = result.to_pylist()
    trust = known_trust(profiles_of(lake, before=row["began"]))

    def model_of(rung: Rung) -> str:
        return rung.model

    rungs = in_order(lake._parts.ladder.rungs, trust, model_of)
    return Counted(
        tuple(rung.name for rung in rungs) if settings.order_by_trust else (),
        trust if settings.tier_by_trust else {},
    )


def record_trust(lake: Lake, run_id: str) -> None:
    """A row for each model in `system.model_trust`, as it stands behind a run."""
    rows, ids = [], []
    for profile in profiles_of(lake):
        body = profile.to_row()
        counts = ",".join(str(body[name]) for name in _COUNTS)
        told = hashlib.sha256(counts.encode()).hexdigest()[:16]
        rows.append(body | {"run_id": run_id})
        # A run that is finished later may know more: then that is another row.
        ids.append(f"{run_id}:{profile.model}:{told}")
    if rows:
        lake._parts.records.append(MODEL_TRUST, rows, ids=ids)


def trust_kind() -> RecordKind:
    """The columns of `system.model_trust`."""
    import pyarrow as pa

    from lakecore.records import RecordKind

    shares = ("precision", "recall", "evidence")
    return RecordKind(
        MODEL_TRUST,
        pa.schema(
            [
                ("time", pa.timestamp("us", "UTC")),
                ("run_id", pa.string()),
                ("model", pa.string()),
                *((name, pa.int64()) for name in _COUNTS),
                *((f"{name}_{end}", pa.float64()) for name in shares for end in ("low", "high")),
                ("trust", pa.float64()),
                ("is_known", pa.bool_()),
            ]
        ),
        "Trust in models: a row for each, behind each run of reviews.",
    )
