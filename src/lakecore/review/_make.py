"""The parts of a row that say what was found; who, when and where is added by the run. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from lakecore.review._examine import Examined
from lakecore.review._memory import FileMemory, Tracked
from lakecore.review._rows import SCHEMA_VERSION
from lakecore.review._score import gradient_tier
from lakecore.review._state import Sign


def review_row(
    examined: Examined, after: FileMemory | None, trust: Mapping[str, float]
) -> dict[str, Any]:
    """A row of `system.reviews`.

    Args:
        after: the file as it is known behind the review.
        trust: by model, as far as it counts for the tier.
    """
    is_read = examined.outcome == "ok"
    critical = sum(one.severity == "critical" for one in examined.findings)
    tier = None
    if is_read and examined.score is not None:
        tier = gradient_tier(
            examined.score, examined.confidence, critical, trust.get(examined.reply.model)
        )
    reply = examined.reply
    return {
        "schema_version": SCHEMA_VERSION,
        "outcome": examined.outcome,
        "is_clipped": examined.is_clipped,
        "model": reply.model,
        "family": reply.family,
        "rung": reply.rung,
        "attempts": reply.attempts,
        "prompt_tokens": reply.prompt_tokens,
        "completion_tokens": reply.completion_tokens,
        "cost_microusd": reply.cost_microusd,
        "output_format": examined.output_format,
        "verdict": examined.verdict,
        "score": examined.score,
        "confirmed_score": None if after is None else after.confirmed_score,
        "confidence": examined.confidence,
        "gradient_tier": tier,
        "critical_failures_count": critical if is_read else None,
        "verified_components_count": len(examined.verified) if is_read else None,
        "missing_components_count": len(examined.missing) if is_read else None,
        "grounded": len(examined.findings),
        "ungrounded": examined.ungrounded,
        "severe_open": [] if after is None else after.severe_open,
        "open_weight": 0.0 if after is None else after.open_weight,
        "confirmed_count": 0 if after is None else after.confirmed_count,
        "answer": examined.answer,
    }


def finding_row(one: Tracked, sign: Sign) -> dict[str, Any]:
    """A row of `system.findings`."""
    finding = one.finding
    return {
        "finding_id": one.id,
        "sign": sign.value,
        "state": one.state.value,
        "path": finding.path,
        "symbol": finding.symbol,
        "category": finding.category,
        "severity": finding.severity,
        "quote": finding.quote,
        "claim": finding.claim,
        "line": finding.line,
        "end_line": finding.end_line,
        "ordinal": finding.ordinal,
        "confidence": finding.confidence,
        "model": one.model,
        "family": one.family,
        "reason": one.reason,
        "who": one.who,
        "until": one.until,
    }
