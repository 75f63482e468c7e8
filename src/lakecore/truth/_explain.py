"""Decisions for people: the verdict, then everything that spoke, and why."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from lakecore.truth._decision import Decision, Outcome
from lakecore.truth._path import MISSING
from lakecore.truth._resolution import Resolution, by_default
from lakecore.truth._rule import Action
from lakecore.truth._tier import Tier
from lakecore.truth._values import shown

if TYPE_CHECKING:
    from lakecore.truth._batch import BatchDecision

_SAYS = {
    Action.ALLOW: "allowed",
    Action.WARN: "allowed, with a warning",
    Action.REQUIRE_APPROVAL: "needs an approval",
    Action.DENY: "denied",
}
_HAPPENS = {
    Tier.AUTO: "committed",
    Tier.DRY_RUN: "held until somebody approves",
    Tier.SIM: "applied in a workspace only",
    Tier.BLOCK: "refused",
}


def explain(decision: Decision | BatchDecision | Resolution) -> str:
    """What was decided, for people: the verdict, then each rule that fired or failed, and why."""
    if isinstance(decision, Resolution):
        return "\n".join(_resolution(decision))
    return "\n".join(_rules(decision))


def _resolution(resolution: Resolution) -> list[str]:
    lines = [f"{resolution.tier}: {_HAPPENS[resolution.tier]}"]
    if resolution.tier is not resolution.demanded:
        lines.append(f"  {resolution.tier} was asked for; without that: {resolution.demanded}")
    lines.append(f"  {resolution.gradient}")
    if resolution.tier in (Tier.DRY_RUN, Tier.SIM):
        approval = resolution.approval
        roles = f" with a role of {', '.join(approval.roles)}" if approval.roles else ""
        lines.append(f"  may be approved by {approval.by}{roles}")
    for decision in resolution.decisions:
        lines += [f"  {line}" for line in _rules(decision)]
    return lines


def _rules(decision: Decision | BatchDecision) -> list[str]:
    if isinstance(decision, Decision):
        return _one(decision)
    rules, rows = decision.rule_set, len(decision.actions)
    lines = [_verdict(decision, rules.name, rules.version, rules.hash)]
    told = [count for count in decision.rules if count.fired or count.errors]
    for count in told:
        lines.append(
            f"  {count.rule.action}: {count.rule.message} [{count.rule_id}, {count.rule.severity}]"
        )
        lines.append(f"    {count.fired:,} of {rows:,} rows, first row {count.samples[0]:,}")
        if count.error is not None:
            lines.append(f"    {count.errors:,} could not be evaluated: {count.error}")
        lines += [f"    do: {text}" for text in count.rule.actions if count.fired]
    return [*lines, *_quiet(len(decision.rules), len(told)), *_default(decision)]


def _one(decision: Decision) -> list[str]:
    lines = [_verdict(decision, decision.rule_set, decision.version, decision.hash)]
    told = [o for o in decision.outcomes if o.fired or o.error is not None]
    by_strength = sorted(told, key=lambda o: 0 if o.action is None else -1 - o.action.strength)
    for outcome in by_strength:
        lines += _told(outcome)
    return [*lines, *_quiet(len(decision.outcomes), len(told)), *_default(decision)]


def _verdict(
    decision: Decision | BatchDecision, name: str, version: int | None, digest: str
) -> str:
    known = "" if version is None else f", version {version}"
    return (
        f"{decision.task_class}: {_SAYS[decision.action]}"
        f" by {name or 'the rules'}{known} ({digest[:12]})"
    )


def _quiet(asked: int, told: int) -> list[str]:
    if asked:
        return [f"  {asked - told} of {asked} rules did not fire"]
    return ["  no rule concerns this task class"]


def _default(decision: Decision | BatchDecision) -> list[str]:
    if by_default(decision):
        return [f"  no rule allows it, and the rule set's default is {decision.action}"]
    return []


def _told(outcome: Outcome) -> list[str]:
    rule = outcome.rule
    what = outcome.action.value if outcome.action else "skipped"
    lines = [f"  {what}: {rule.message} [{rule.id}, {rule.severity}]"]
    if outcome.error is not None:
        lines.append(f"    could not be evaluated: {outcome.error}")
    for check in outcome.checks:
        found = "nothing" if check.found is MISSING else _text(check.found)
        verb = {True: "is", False: "is not", None: "cannot be told to be"}[check.holds]
        lines.append(f"    {check.path} = {found}: {verb} {check.expected}")
    if outcome.fired:
        lines += [f"    do: {text}" for text in rule.actions]
    return lines


def _text(value: Any) -> str:
    return json.dumps(shown(value), ensure_ascii=False)
