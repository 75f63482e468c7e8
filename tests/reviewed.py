"""A lake with reviews in it, by rows: files that move as real ones do, without asking a model."""

from __future__ import annotations

import json
import random
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from typing import Any

from lakecore.app import Lake
from lakecore.review import PROMPTS, Bar

REPOSITORY = "rules"
BAR = Bar(PROMPTS["forensic"], output_format="json", decoding={"temperature": 0.0}).id
BEGAN = datetime(2026, 1, 5, 9, tzinfo=UTC)
MODELS = (("qwen-coder-7b", "qwen", "local"), ("llama-8b", "llama", "paid"))
ROUNDS = 6
SEED = 7
# What a file does: its score in each round, and the state of its first finding.
_N, _P, _C, _F, _R = "new", "persistent", "claimed_fixed", "confirmed_fixed", "reopened"
STORIES = {
    "looping": ((4.0, 4.1, 3.9, 4.2, 4.0, 4.1), (_N, _P, _P, _P, _P, _P)),
    "converging": ((3.0, 4.5, 5.9, 7.0, 8.2, 9.1), (_N, _C, _F, _F, _F, _F)),
    "reopened": ((5.0, 6.0, 7.0, 6.8, 4.9, 5.0), (_N, _C, _F, _F, _R, _P)),
    "plateau": ((7.0, 7.0, 7.1, 7.0, 6.9, 7.0), (_N, _P, _P, _P, _P, _P)),
    "fixed": ((6.0, 6.4, 8.0, 8.9, 9.0, 9.0), (_N, _P, _C, _F, _F, _F)),
}
WEIGHT = {"critical": 3.0, "major": 2.0, "minor": 1.0}


def fill_reviews(
    lake: Lake,
    paths: Sequence[tuple[str, str]],
    *,
    claim: str,
    quote: str,
    rounds: int = ROUNDS,
) -> None:
    """Rows of some iterations of files.

    Args:
        paths: (path, story) of each file; a story is one of `STORIES`.
        claim, quote: what every second finding says.
    """
    random_ = random.Random(SEED)
    reviews: list[dict[str, Any]] = []
    findings: list[dict[str, Any]] = []
    for iteration in range(1, rounds + 1):
        time = BEGAN + timedelta(days=3 * iteration)
        for number, (path, story) in enumerate(paths):
            time += timedelta(milliseconds=20)
            scores, states = STORIES[story]
            model, family, rung = MODELS[0] if random_.random() < 0.8 else MODELS[1]
            severity = ("critical", "major", "minor")[number % 3]
            batch = f"b{iteration}-{number}"
            at = iteration - 1
            is_open = states[at] not in (_F,)
            id_ = f"f{number:05}"
            common: dict[str, Any] = {
                "time": time,
                "repository": REPOSITORY,
                "bar": BAR,
                "run_id": f"run-{iteration}",
                "iteration": iteration,
                "path": path,
                "model": model,
                "family": family,
                "batch": batch,
            }
            said = claim if number % 2 else "takes what the caller says for granted"
            shown = quote if number % 2 else "return accept_all(rule, context)"
            seen = is_open and states[at] != _C
            reviews.append(
                common
                | {
                    "schema_version": 4,
                    "revision": f"{iteration:040x}",
                    "renamed_from": "",
                    "blob": f"{number:08x}{iteration:032x}",
                    "purpose": "review",
                    "outcome": "ok",
                    "is_clipped": False,
                    "is_changed": True,
                    "rung": rung,
                    "attempts": 1 if rung == "local" else 2,
                    "prompt_tokens": 400 + (number * 377) % 4_000,
                    "completion_tokens": 220,
                    "cost_microusd": 0 if rung == "local" else 3_400,
                    "output_format": "json",
                    "verdict": "needs_work",
                    "score": scores[at],
                    "confirmed_score": min(10.0, scores[0] + (2.0 if states[at] == _F else 0.0)),
                    "confidence": 0.7,
                    "gradient_tier": "block" if scores[at] < 5 else "dry_run",
                    "critical_failures_count": int(severity == "critical" and seen),
                    "verified_components_count": 2,
                    "missing_components_count": 0,
                    "grounded": 2,
                    "ungrounded": int(number % 5 == 0),
                    "control_found": None,
                    "found": [id_] if seen else [],
                    "touched": [id_] if at else [],
                    "severe_open": [id_] if is_open and severity == "critical" else [],
                    "open_weight": WEIGHT[severity] if is_open else 0.0,
                    "confirmed_count": int(states[at] == _F),
                    "answer": _answer(scores[at], said, shown, severity),
                }
            )
            findings.append(
                common
                | {
                    "finding_id": id_,
                    "sign": {_F: "confirmed", _C: "changed"}.get(states[at], "observed"),
                    "state": states[at],
                    "symbol": f"check_{number}",
                    "category": "unenforced",
                    "severity": severity,
                    "quote": shown,
                    "claim": said,
                    "line": 12 + number % 80,
                    "end_line": 13 + number % 80,
                    "ordinal": 0,
                    "confidence": 0.8,
                    "reason": "",
                    "who": "",
                    "until": None,
                }
            )
            if number < 8:
                drift = random_.choice((-0.3, 0.0, 0.2))
                reviews.append(
                    reviews[-1]
                    | {
                        "purpose": "again",
                        "score": scores[at] + drift,
                        "time": time + timedelta(milliseconds=5),
                    }
                )
            if states[at] == _F and states[at - 1] == _C:
                blind = {"purpose": "blind", "control_found": number % 4 != 3}
                later = time + timedelta(milliseconds=8)
                reviews.append(reviews[-1] | blind | {"time": later})
    names = ("reviews", "findings")
    for kind, rows in zip(names, (reviews, findings), strict=True):
        ids = [f"{kind}-{n}" for n in range(len(rows))]
        for start in range(0, len(rows), 5_000):
            part = slice(start, start + 5_000)
            lake._parts.records.append(kind, rows[part], ids=ids[part])
    lake._parts.records.flush()


def _answer(score: float, claim: str, quote: str, severity: str) -> str:
    return json.dumps(
        {
            "verdict": "needs_work",
            "score": score,
            "confidence": 0.7,
            "findings": [
                {
                    "category": "unenforced",
                    "severity": severity,
                    "symbol": "check",
                    "quote": quote,
                    "claim": claim,
                    "confidence": 0.8,
                }
            ],
            "verified_components": ["the guard of an empty rule"],
            "missing_components": [],
        },
        indent=2,
    )
