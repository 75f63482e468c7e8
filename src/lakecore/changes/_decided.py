"""What was decided about one change: for its author, for the journal, and for its commit."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Final

from lakecore.base import Bug, Refused

_MAX_SHOWN_REASONS: Final = 20


@dataclass(frozen=True, slots=True, kw_only=True)
class Decided:
    """A decision, JSON-ready; it names the rule set that it was made by.

    Attributes:
        outcome: ``committed``, ``held``, ``refused``, or of a preview ``preview``.
        tier, demanded: what it comes to, and without what was asked for.
        reasons: what demanded it, the strictest first (`truth.Reason`).
        rules: how many rows each rule fired or failed on.
        samples: at most 20 rows with what each rule found.
        approval: who may approve it.
        input: SHA-256 of all that the decision was made of, beside the rule set.
    """

    op: str
    outcome: str
    tier: str
    demanded: str
    rule_set: Mapping[str, Any]
    reasons: tuple[Mapping[str, Any], ...] = ()
    rules: tuple[Mapping[str, Any], ...] = ()
    samples: tuple[Mapping[str, Any], ...] = ()
    size: Mapping[str, Any] = field(default_factory=dict)
    approval: Mapping[str, Any] = field(default_factory=dict)
    input: str = ""

    def to_dict(self) -> dict[str, Any]:
        """All of it."""
        return {
            "op": self.op,
            "outcome": self.outcome,
            "tier": self.tier,
            "demanded": self.demanded,
            "rule_set": dict(self.rule_set),
            "reasons": [dict(reason) for reason in self.reasons[:_MAX_SHOWN_REASONS]],
            "rules": [dict(rule) for rule in self.rules],
            "samples": [dict(sample) for sample in self.samples],
            "size": dict(self.size),
            "approval": dict(self.approval),
            "input": self.input,
        }

    def committed(self) -> dict[str, Any]:
        """What a commit says of it: small, without reasons."""
        fired = {rule["rule"]: rule["fired"] for rule in self.rules}
        said: dict[str, Any] = {"op": self.op, "tier": self.tier, "rule_set": dict(self.rule_set)}
        return said | ({"fired": fired} if fired else {})

    @property
    def reason(self) -> str:
        """Why, in one line."""
        return "; ".join(str(reason["message"]) for reason in self.reasons[:3])

    def refusal(self, dataset: str) -> Refused:
        """The error that its author gets. Raises `Bug` when there is no reason."""
        if not self.reasons:
            raise Bug("a refusal without a reason")
        first = self.reasons[0]
        expected, found = _seen(self.samples)
        by = f" [{first['rule']}]" if first.get("rule") else ""
        error = Refused(
            f"the rules do not allow this: {first['message']}{by}",
            where=dataset,
            expected=expected,
            found=found,
            hint=_advice(first),
        )
        for sample in self.samples[:3]:
            error.add_note(sample_text(sample))
        for reason in self.reasons[1:4]:
            error.add_note(str(reason["message"]))
        return error


def sample_text(sample: Mapping[str, Any]) -> str:
    """One row of a decision in a line: which, what was found, what was expected."""
    parts = []
    for rule in sample["rules"]:
        told = [
            f"{check['path']} = {json.dumps(check['found'], ensure_ascii=False)}"
            f" ({check['expected']})"
            for check in rule["because"]
            if check["path"]
        ]
        why = rule["error"] or ", ".join(told) or rule["message"]
        parts.append(f"{rule['rule']}: {why}")
    return f"{sample['entity_id'] or 'a row'}: {'; '.join(parts)}"


def sha256_of(value: object) -> str:
    """Of the value's canonical JSON, hex."""
    text = json.dumps(value, sort_keys=True, separators=(",", ":"), ensure_ascii=False, default=str)
    return hashlib.sha256(text.encode()).hexdigest()


def _seen(samples: tuple[Mapping[str, Any], ...]) -> tuple[str | None, str | None]:
    """What the first rule of the first row found: (the rule's condition, the value)."""
    for sample in samples:
        for rule in sample["rules"]:
            for check in rule["because"]:
                if check["path"]:
                    row = f" in {sample['entity_id']}" if sample["entity_id"] else ""
                    found = json.dumps(check["found"], ensure_ascii=False)
                    return f"not {check['expected']}", f"{check['path']} = {found}{row}"
    return None, None


def _advice(reason: Mapping[str, Any]) -> str | None:
    actions = reason.get("actions") or ()
    return "; ".join(actions) or None
