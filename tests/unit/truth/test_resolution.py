"""The outcome of a change: rules, gradient and request together."""

from __future__ import annotations

from typing import Any

import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lakecore.base import InvalidInput
from lakecore.truth import (
    ACTIONS,
    TIERS,
    Principal,
    RuleSet,
    Size,
    Tier,
    change_rows,
    decide,
    explain,
)

ADA = Principal("ada")
unhurried = settings(deadline=None)
SIZE = Size(rows=5, fields=5, bytes=40, fraction=0.5)
FREE = RuleSet.from_dict({}).tier(ADA, "planes", "update", SIZE)


def rules(*actions: str, default: str = "allow", **members: Any) -> RuleSet:
    """Rules that fire on `n` greater than 1, one for each action."""
    return RuleSet.from_dict(
        {
            "default": default,
            "rule": [
                {
                    "id": f"r{number}",
                    "task_class": "*",
                    "when": {"field_greater": {"path": "after.n", "value": 1}},
                    "action": action,
                    "message": f"number {number}",
                    "actions": ["look"],
                }
                for number, action in enumerate(actions)
            ],
            **members,
        }
    )


def gradient(tier: str) -> Any:
    """A result of the gradient: this tier, whatever the size."""
    table: dict[str, Any] = {"auto": False} if tier == "block" else {tier: {}}
    return RuleSet.from_dict({"tier": [table]}).tier(ADA, "planes", "update", SIZE)


@pytest.mark.parametrize(
    ("action", "tier", "requested", "outcome"),
    [
        ("allow", "auto", "auto", "auto"),
        ("warn", "auto", "auto", "auto"),
        ("require_approval", "auto", "auto", "dry_run"),
        ("require_approval", "sim", "auto", "sim"),
        ("deny", "auto", "auto", "block"),
        ("deny", "sim", "dry_run", "block"),
        ("allow", "dry_run", "auto", "dry_run"),
        ("allow", "block", "sim", "block"),
        ("warn", "auto", "sim", "sim"),
        ("warn", "sim", "dry_run", "sim"),
    ],
)
def test_the_strictest_decides(action: str, tier: str, requested: str, outcome: str) -> None:
    """Of the rules' action, the gradient's tier and what was asked for."""
    decision = rules(action).evaluate("update", {"after": {"n": 2}})
    resolution = decide(decision, gradient(tier), requested)
    assert resolution.tier == outcome
    assert (resolution.demanded == outcome) == (decide(decision, gradient(tier)).tier == outcome)
    assert resolution.to_dict()["tier"] == outcome


def test_all_reasons_are_told_the_strictest_first() -> None:
    """Each rule that fired, the entry, the request; and what is no reason is not among them."""
    decision = rules("warn", "deny").evaluate("update", {"after": {"n": 2}})
    resolution = decide(decision, gradient("sim"), "dry_run")
    assert [(r.source, r.tier, r.rule_id, r.entry) for r in resolution.reasons] == [
        ("rule", "block", "r1", None),
        ("tier", "sim", "", 1),
        ("request", "dry_run", "", None),
        ("rule", "auto", "r0", None),
    ]
    quiet = rules("warn", "deny").evaluate("update", {"after": {"n": 0}})
    assert decide(quiet, FREE).reasons == ()


def test_a_default_that_nothing_lifts_is_a_reason() -> None:
    """The rule set's default demands as a rule does."""
    decision = rules("allow", default="require_approval").evaluate("update", {"after": {"n": 0}})
    resolution = decide(decision, FREE)
    assert (resolution.tier, [r.source for r in resolution.reasons]) == ("dry_run", ["default"])
    lifted = rules("allow", default="deny").evaluate("update", {"after": {"n": 2}})
    assert decide(lifted, FREE).tier == "auto"


def test_rules_that_cannot_be_evaluated_block() -> None:
    """As the decision has it, with the reason why."""
    resolution = decide(rules("warn").evaluate("update", {"after": {}}), FREE)
    assert resolution.tier == "block"
    assert resolution.reasons[0].message == (
        "number 0: could not be evaluated: after.n is not there"
    )


def test_parts_of_a_change_are_counted_together() -> None:
    """Rows that were looked at in several batches: one reason a rule, all rows counted."""
    asked = rules("require_approval")

    def part(*numbers: int | None) -> Any:
        after = pa.table({"n": pa.array(numbers, pa.int64())})
        return asked.evaluate_rows("update", change_rows(None, after))

    resolution = decide([part(0, 1), part(2, 3, 1)], FREE)
    (reason,) = resolution.reasons
    assert (resolution.tier, reason.message) == ("dry_run", "number 0 (2 of 5 rows)")
    assert decide([part(0, 1)], FREE).reasons == ()
    missing = asked.evaluate_rows("update", change_rows(None, pa.table({"m": [1, 2]})))
    (reason,) = decide(missing, FREE).reasons
    assert (reason.tier, reason.message) == (
        "block",
        "number 0 (2 of 2 rows): could not be evaluated: after.n is not there",
    )
    assert decide([], FREE).tier == "auto"


def test_a_tier_that_nobody_can_ask_for() -> None:
    """Block is not asked for, and neither is what is unknown."""
    decision = rules().evaluate("update", {})
    for requested in ("block", "later"):
        with pytest.raises(InvalidInput, match=r"expected auto \| dry_run \| sim"):
            decide(decision, FREE, requested)


def test_explained_for_people() -> None:
    """The outcome, the entry with its bound, who may approve, and the rules' reasons."""
    decision = rules("require_approval").evaluate("update", {"after": {"n": 2}})
    entry = {"auto": {"rows": 4}, "dry_run": {}, "approval": {"roles": ["chief"]}}
    tier = RuleSet.from_dict({"tier": [entry]}).tier(ADA, "planes", "update", SIZE)
    assert explain(decide(decision, tier, "sim")).splitlines() == [
        "sim: applied in a workspace only",
        "  sim was asked for; without that: dry_run",
        "  dry_run by tier entry 1: auto allows rows up to 4: found 5",
        "  may be approved by another with a role of chief",
        f"  update: needs an approval by the rules ({decision.hash[:12]})",
        "    require_approval: number 0 [r0, warning]",
        "      after.n = 2: is > 1",
        "      do: look",
        "    0 of 1 rules did not fire",
    ]
    after = pa.table({"n": [1, 2, 3]})
    batch = rules("deny", "warn", default="allow").evaluate_rows("update", change_rows(None, after))
    assert explain(decide(batch, FREE)).splitlines() == [
        "block: refused",
        "  auto: no tier entry matches",
        f"  update: denied by the rules ({batch.rule_set.hash[:12]})",
        "    deny: number 0 [r0, error]",
        "      2 of 3 rows, first row 1",
        "      do: look",
        "    warn: number 1 [r1, warning]",
        "      2 of 3 rows, first row 1",
        "      do: look",
        "    0 of 2 rules did not fire",
    ]


rule_actions = st.lists(st.sampled_from(["allow", "warn", "require_approval", "deny"]), max_size=4)
stricter = st.sampled_from(["warn", "require_approval", "deny"])


@unhurried
@given(
    rule_actions,
    stricter,
    st.sampled_from([a.value for a in ACTIONS]),
    st.sampled_from([tier.value for tier in TIERS]),
    st.sampled_from(["auto", "dry_run", "sim"]),
    st.sampled_from([0, 2, None]),
    st.booleans(),
)
def test_a_rule_more_never_makes_the_outcome_laxer(
    actions: list[str],
    more: str,
    default: str,
    tier: str,
    requested: str,
    value: int | None,
    whole: bool,
) -> None:
    """Whatever else is there. (`allow` is no demand: it lifts a default.)"""

    def outcome(*chosen: str) -> Tier:
        asked = rules(*chosen, default=default)
        if whole:
            return decide(
                asked.evaluate("update", {"after": {"n": value}}), gradient(tier), requested
            ).tier
        rows = change_rows(None, pa.table({"n": pa.array([value, 0], pa.int64())}))
        return decide(asked.evaluate_rows("update", rows), gradient(tier), requested).tier

    assert outcome(*actions, more).strength >= outcome(*actions).strength


@unhurried
@given(rule_actions, st.sampled_from([tier.value for tier in TIERS]), st.sampled_from([0, 2]))
def test_a_request_never_makes_the_outcome_laxer(actions: list[str], tier: str, value: int) -> None:
    """And the batch's outcome is that of its rows' strictest."""
    asked = rules(*actions)
    decision = asked.evaluate("update", {"after": {"n": value}})
    batch = asked.evaluate_rows("update", change_rows(None, pa.table({"n": [value]})))
    plain = decide(decision, gradient(tier))
    assert decide(batch, gradient(tier)).tier == plain.tier == plain.demanded
    for requested in ("dry_run", "sim"):
        wanted = decide(decision, gradient(tier), requested)
        assert wanted.tier.strength == max(plain.tier.strength, Tier(requested).strength)
        assert wanted.demanded == plain.tier
