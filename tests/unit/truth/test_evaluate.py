"""One context: which rules fire, why, and what is decided."""

from __future__ import annotations

import json
import threading
from datetime import UTC, date, datetime, time, timedelta, timezone
from decimal import Decimal
from typing import Any

import pytest

from lakecore.base import InvalidInput
from lakecore.truth import Action, RuleSet, explain

NOON = datetime(2026, 1, 1, 12, tzinfo=UTC)


def rule(name: str, when: Any, action: str = "deny", **members: Any) -> dict[str, Any]:
    """A rule of every task class."""
    table = {"id": name, "task_class": "*", "when": when, "action": action, "message": f"{name}!"}
    return {**table, **members}


def rules(*tables: dict[str, Any], **members: Any) -> RuleSet:
    """A rule set."""
    return RuleSet.from_dict({"name": "test", "rule": list(tables), **members}, version=4)


def says(when: dict[str, Any], context: dict[str, Any], **members: Any) -> bool | str:
    """Whether one condition holds of a context, or why it cannot be told."""
    outcome = rules(rule("r", when, **members)).evaluate("any", context).outcomes[0]
    return outcome.fired if outcome.error is None else outcome.error


def equals(path: str, value: Any) -> dict[str, Any]:
    """A condition."""
    return {"field_equals": {"path": path, "value": value}}


def greater(path: str, value: Any) -> dict[str, Any]:
    """A condition."""
    return {"field_greater": {"path": path, "value": value}}


@pytest.mark.parametrize(
    ("found", "value", "answer"),
    [
        (1, 1, True),
        (1, 1.0, True),
        (True, 1, False),
        (1, True, False),
        (False, False, True),
        ("1", 1, False),
        (None, None, True),
        (None, 0, False),
        (2**53 + 1, float(2**53), False),
        (float("nan"), 0.0, False),
        (Decimal("0.10"), 0.1, True),
        (Decimal("NaN"), 0.1, False),
        (Decimal("0.10"), "0.10", False),
        (NOON, "2026-01-01T12:00:00Z", True),
        (NOON, "2026-01-01T13:00:00+01:00", True),
        (NOON, "2026-01-01T12:00:00", False),
        (NOON.astimezone(timezone(timedelta(hours=5))), "2026-01-01T12:00:00Z", True),
        (NOON.replace(tzinfo=None), "2026-01-01T12:00:00", True),
        (date(2026, 1, 1), "2026-01-01", True),
        (date(2026, 1, 1), "2026-01-02", False),
        (time(1, 2), "01:02:00", True),
        (b"a", "YQ==", True),
        (["a", 1], ["a", 1.0], True),
        (("a",), ["a"], True),
        (["a"], ["a", "b"], False),
        ({"a": [1]}, {"a": [1]}, True),
        ({"a": 1}, {"a": "1"}, False),
        ({"a": 1}, {}, False),
    ],
)
def test_equality(found: Any, value: Any, answer: bool) -> None:
    """By kind, numbers exactly, times as instants, lists and objects member by member."""
    assert says(equals("a.b", value), {"a": {"b": found}}) is answer


@pytest.mark.parametrize(
    ("found", "value", "answer"),
    [
        (2, 1, True),
        (1, 1, False),
        (2**53 + 1, float(2**53), True),
        (float("nan"), -1e300, False),
        (float("inf"), 2**64 - 1, True),
        (Decimal("0.11"), 0.1, True),
        (Decimal("0.10"), 0.1, False),
        (Decimal("NaN"), 0, False),
        ("b", "a", True),
        ("", "", False),
        (None, 1, False),
        (NOON, "2026-01-01T11:59:59.999999Z", True),
        (date(2026, 1, 2), "2026-01-01", True),
        ("a", 1, "a: text has no order with integer 1"),
        (1, "a", "a: integer has no order with text 'a'"),
        (True, 0, "a: boolean has no order with integer 0"),
        (NOON, "noon", "a: timestamp has no order with text 'noon'"),
        (NOON, "2026-01-01T11:00:00", "a: timestamp has no order"),
        ([1], 1, "a: list has no order"),
        ({}, "x", "a: object has no order"),
        (b"a", "YQ==", "a: binary has no order"),
    ],
)
def test_order(found: Any, value: Any, answer: bool | str) -> None:
    """Numbers, text, times of a kind; null exceeds nothing; the rest has no order: an error."""
    said = says(greater("a", value), {"a": found})
    assert said is answer or (isinstance(answer, str) and str(said).startswith(answer))


@pytest.mark.parametrize(
    ("context", "answer"),
    [
        ({}, True),
        ({"a": None}, True),
        ({"a": {"b": None}}, True),
        ({"a": {"b": ""}}, True),
        ({"a": {"b": []}}, True),
        ({"a": {"b": {}}}, True),
        ({"a": {"b": b""}}, True),
        ({"a": {"b": 0}}, False),
        ({"a": {"b": False}}, False),
        ({"a": {"b": " "}}, False),
        ({"a": 3}, True),
    ],
)
def test_emptiness(context: dict[str, Any], answer: bool) -> None:
    """Missing, null, or without content; zero and false are something."""
    assert says({"field_empty": "a.b"}, context) is answer


def test_paths() -> None:
    """Dots in names, list indices; below null is null; a missing member is an error."""
    context = {"a.b": {"\\": [{"c": 1}]}, "null": None}
    assert says(equals(r"a\.b.\\.0.c", 1), context) is True
    assert says(equals("null.x.y", None), context) is True
    assert says(greater("null.x", 1), context) is False
    assert says(equals(r"a\.b.\\.1", 1), context) == r"a\.b.\\.1 is not there"
    assert says(equals("nothing", 1), context) == "nothing is not there"
    assert says({"not": equals("nothing", 1)}, context) == "nothing is not there"
    assert says({"not": equals("nothing", 1)}, context, missing="null") is True
    assert says(equals("nothing", None), context, missing="null") is True


def test_composition_ignores_failures_that_do_not_matter() -> None:
    """As in CEL: what decides, decides, in whatever order."""
    bad, yes, no = greater("s", 1), {"always": True}, {"not": {"always": True}}
    for parts, answer in (
        ({"all": [bad, no]}, False),
        ({"all": [no, bad]}, False),
        ({"any": [bad, yes]}, True),
        ({"all": [yes, yes]}, True),
        ({"any": [no, no]}, False),
        ({"not": {"any": [bad, yes]}}, False),
    ):
        assert says(parts, {"s": "x"}) is answer
    for parts in ({"all": [bad, yes]}, {"any": [no, bad]}, {"not": bad}):
        assert "has no order" in str(says(parts, {"s": "x"}))


@pytest.mark.parametrize(
    ("expression", "context", "answer"),
    [
        ("a.b > 1 && a.c.startsWith('x')", {"a": {"b": 2, "c": "xy"}}, True),
        ("has(a.b)", {"a": {"b": None}}, True),
        ("has(a.b)", {"a": {}}, False),
        ("a.b > 1", {"a": {}}, "Key not found in map"),
        ("a.b > 1", {}, 'No value with name "a"'),
        ("a > 1", {"a": "x"}, "No matching overloads"),
        ("a", {"a": 1}, "the expression answered int, not true or false"),
        ("a + 1 > 0", {"a": 2**63 - 1}, "integer overflow"),
        ("1 / a > 0", {"a": 0}, "divide by zero"),
        ("a.matches('[')", {"a": "x"}, "invalid regular expression"),
        ("a.all(x, a.all(y, a.all(z, z >= 0)))", {"a": [1] * 100}, "Iteration budget exceeded"),
        ("a == '2026-01-01T12:00:00.000000Z'", {"a": NOON}, True),
        ("timestamp(a) > timestamp('2026-01-01T00:00:00Z')", {"a": NOON}, True),
        ("a == '0.10'", {"a": Decimal("0.10")}, True),
        ("duration(a) > duration('1s')", {"a": timedelta(seconds=1, microseconds=1)}, True),
        ("a == 'YQ=='", {"a": b"a"}, True),
        ("a.`b.c` == 1", {"a": {"b.c": 1}}, True),
        ("a == 'x'", {"a": "\ud800"}, "construction from null"),
        ("a.b == 1", {"a": {"b": 1, "c": object()}}, True),
        ("a == 1", {"a": object()}, "object is not a kind of value"),
        ("size(a) == 2 && a[0] == 'é' && a == a", {"a": ("é", "x")}, True),
        ("a != a", {"a": float("nan")}, True),
    ],
)
def test_expressions(expression: str, context: dict[str, Any], answer: bool | str) -> None:
    """CEL's answers, and its errors as reasons; only the members that are read matter."""
    said = says({"cel": expression}, context)
    assert said is answer or (isinstance(answer, str) and answer in str(said)), said


def test_the_strongest_action_decides() -> None:
    """Deny overrides whatever else fires, in any order of the rules."""
    always, tables = {"always": True}, []
    for action, expected in (
        ("allow", Action.ALLOW),
        ("warn", Action.WARN),
        ("require_approval", Action.REQUIRE_APPROVAL),
        ("deny", Action.DENY),
    ):
        tables.append(rule(action, always, action))
        assert rules(*tables).evaluate("x", {}).action is expected
        assert rules(*reversed(tables)).evaluate("x", {}).action is expected
    assert rules(*tables[:2]).evaluate("x", {}).allowed
    assert not rules(*tables[:3]).evaluate("x", {}).allowed


def test_the_default() -> None:
    """It holds where no rule allows; a rule that allows lifts it, but no other rule."""
    allow = rule("allow", equals("a", 1), "allow", missing="null")
    strict = rules(allow, default="deny")
    assert strict.evaluate("x", {"a": 1}).action is Action.ALLOW
    assert strict.evaluate("x", {"a": 2}).action is Action.DENY
    assert "default is deny" in explain(strict.evaluate("x", {"a": 2}))
    assert rules(default="require_approval").evaluate("x", {}).action is Action.REQUIRE_APPROVAL
    approve = rule("approve", {"always": True}, "require_approval")
    both = rules(allow, approve, default="deny")
    assert both.evaluate("x", {"a": 1}).action is Action.REQUIRE_APPROVAL


@pytest.mark.parametrize(
    ("action", "on_error", "decided"),
    [
        ("warn", "deny", "deny"),
        ("allow", "deny", "deny"),
        ("deny", "warn", "deny"),
        ("warn", "require_approval", "require_approval"),
        ("allow", "warn", "warn"),
        ("deny", "skip", "allow"),
    ],
)
def test_a_rule_that_fails_counts_as_declared(action: str, on_error: str, decided: str) -> None:
    """Deny unless the rule says otherwise; the error is reported in every case."""
    decision = rules(rule("r", greater("s", 1), action, on_error=on_error)).evaluate("x", {"s": ""})
    assert decision.action.value == decided
    assert decision.errors == decision.outcomes
    assert decision.outcomes[0].fired is (on_error != "skip")
    assert "could not be evaluated: s: text has no order" in explain(decision)


def test_a_failing_allow_lifts_no_default() -> None:
    """Only a rule that fired for its condition allows."""
    failing = rule("r", greater("s", 1), "allow", on_error="skip")
    assert rules(failing, default="deny").evaluate("x", {"s": ""}).action is Action.DENY


def test_what_a_context_raises_is_a_failure() -> None:
    """Whatever an object in the context does, the rule fails closed."""

    decision = rules(rule("r", equals("a.b", 1), "warn")).evaluate("x", {"a": _Lookup()})
    assert decision.action is Action.DENY
    assert decision.outcomes[0].error == "OSError: gone"


class _Lookup(dict[str, Any]):
    """A mapping of a subclass, whose look-ups fail."""

    def get(self, *_: Any) -> Any:
        raise OSError("gone")


def test_task_classes() -> None:
    """Exact names and the wildcard; others have no rules at all."""
    ours = rules(
        {**rule("a", {"always": True}), "task_class": ["update", "delete"]},
        {**rule("b", {"always": True}, "warn"), "task_class": "*"},
    )
    assert [o.rule_id for o in ours.evaluate("update", {}).outcomes] == ["a", "b"]
    assert [o.rule_id for o in ours.evaluate("updates", {}).outcomes] == ["b"]
    assert [could.rule_id for could in ours.check("delete")] == ["a", "b"]
    assert [could.action for could in ours.check("other")] == [Action.WARN]
    nothing = {**rule("a", {"always": True}), "task_class": "update"}
    assert rules(nothing).evaluate("*", {}).outcomes == ()
    assert "no rule concerns" in explain(rules(nothing).evaluate("delete", {}))


def test_check_looks_at_no_condition() -> None:
    """What could apply, however little its condition holds."""
    never = rule("r", {"not": {"always": True}}, actions=["stop"])
    (could,) = rules(never).check("x")
    assert (could.action, could.message, could.actions) == (Action.DENY, "r!", ("stop",))
    assert rules(never).evaluate("x", {}).action is Action.ALLOW


def test_a_decision_is_json_and_names_its_rules() -> None:
    """Every value found has a JSON form; long ones are cut; the hash is the rule set's."""
    values = {
        "nan": float("nan"),
        "decimal": Decimal("1.50"),
        "time": NOON,
        "long": "x" * 1000,
        "many": list(range(1000)),
        "object": {"a": {"b": float("inf")}},
        "odd": object(),
    }
    asked = rules(*(rule(name, equals(name, 1)) for name in (*values, "nothing")))
    decision = asked.evaluate("x", values)
    told = json.loads(json.dumps(decision.to_dict(), allow_nan=False))
    assert told["rule_set"] == {"name": "test", "version": 4, "hash": asked.hash}
    found = {o["rule"]: o["because"][0]["found"] for o in told["outcomes"]}
    assert found["nan"] == "NaN"
    assert found["decimal"] == "1.50"
    assert found["time"] == "2026-01-01T12:00:00.000000Z"
    assert len(found["long"]) == 201
    assert found["many"] == list(range(20))
    assert found["object"] == {"a": {"b": "Infinity"}}
    assert told["outcomes"][-1]["because"][0]["missing"] is True
    assert decision == asked.evaluate("x", values)


def test_reasons_name_path_found_and_expected() -> None:
    """For every rule, fired or not, and for expressions the paths that they read."""
    decision = rules(
        rule("a", {"all": [greater("x.y", 3), equals("z", "q")]}),
        rule("b", {"cel": "x.y > 100 || z == 'q'"}),
    ).evaluate("t", {"x": {"y": 5}, "z": "w"})
    first, second = decision.outcomes
    assert [check.to_dict() for check in first.checks] == [
        {"path": "x.y", "found": 5, "expected": "> 3", "holds": True},
        {"path": "z", "found": "w", "expected": '= "q"', "holds": False},
    ]
    assert [(check.path, check.found) for check in second.checks] == [("x.y", 5), ("z", "w")]


def test_a_context_is_an_object() -> None:
    """Anything else is refused, not denied."""
    with pytest.raises(InvalidInput, match="not an object"):
        rules().evaluate("x", [])  # type: ignore[arg-type]  # what a caller may pass


def test_threads_share_a_rule_set() -> None:
    """Eight threads get the answers that one gets."""
    asked = rules(rule("a", {"cel": "a.b > 5"}), rule("b", greater("a.b", 7), "warn"))
    expected = [asked.evaluate("x", {"a": {"b": n}}).action for n in range(10)]
    wrong: list[int] = []

    def work() -> None:
        for turn in range(500):
            n = turn % 10
            if asked.evaluate("x", {"a": {"b": n}}).action is not expected[n]:
                wrong.append(n)

    threads = [threading.Thread(target=work) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert wrong == []


def test_tests_of_rules() -> None:
    """Each runs against its own rule; what was found is told."""
    tests = [
        {"context": {"a": 1}, "expect": "fired"},
        {"context": {"a": 2}, "expect": "fired", "name": "wrong"},
        {"context": {}, "expect": "error"},
    ]
    results = rules(rule("r", equals("a", 1), test=tests)).run_tests()
    assert [(r.name, r.passed) for r in results] == [
        ("test 1", True),
        ("wrong", False),
        ("test 3", True),
    ]
    assert results[1].to_dict()["found"] == "not_fired"
