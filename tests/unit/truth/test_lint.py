"""What is said of rule sets before they are used."""

from __future__ import annotations

from typing import Any

import pyarrow as pa
import pytest

from lakecore.truth import RuleSet

ALWAYS = {"always": True}
A_IS_1 = {"field_equals": {"path": "a", "value": 1}}


def rule(name: str, when: Any, action: str = "deny", task_class: Any = "*") -> dict[str, Any]:
    """A rule with a test, so that `untested` stays away."""
    return {
        "id": name,
        "task_class": task_class,
        "when": {"cel": when} if isinstance(when, str) else when,
        "action": action,
        "message": "m",
        "test": [{"context": {}, "expect": "error"}],
    }


def found(*tables: dict[str, Any], **members: Any) -> list[tuple[str, tuple[str, ...]]]:
    """Kinds and rules of the findings."""
    findings = RuleSet.from_dict({"rule": list(tables), **members}).lint()
    return [(finding.kind, finding.rules) for finding in findings]


def test_contradictions_and_duplicates() -> None:
    """The same condition, actions that oppose or repeat each other, classes that overlap."""
    deny, allow = rule("d", A_IS_1), rule("a", A_IS_1, "allow")
    assert found(deny, allow) == [("contradiction", ("d", "a"))]
    assert found(deny, rule("e", A_IS_1)) == [("duplicate", ("d", "e"))]
    assert found(deny, rule("w", A_IS_1, "warn")) == []
    here, there = rule("h", A_IS_1, task_class="x"), rule("t", A_IS_1, "allow", task_class="y")
    assert found(here, there) == []
    assert found(here, allow) == [("contradiction", ("h", "a"))]


@pytest.mark.parametrize(
    "when",
    [
        {"not": ALWAYS},
        {"all": [A_IS_1, {"not": A_IS_1}]},
        {"all": [A_IS_1, {"all": [{"field_equals": {"path": "a", "value": "1"}}]}]},
        {"all": [A_IS_1, {"field_greater": {"path": "a", "value": 1}}]},
        {"all": [{"field_empty": "a"}, A_IS_1]},
        {"all": [{"field_greater": {"path": "a", "value": ""}}, {"field_empty": "a"}]},
        {"any": [{"not": ALWAYS}, {"cel": "1 > 2"}]},
        {"not": {"any": [A_IS_1, {"not": A_IS_1}]}},
    ],
)
def test_rules_that_never_fire(when: dict[str, Any]) -> None:
    """Where that can be told without a context."""
    assert found(rule("r", when)) == [("never_fires", ("r",))]


@pytest.mark.parametrize(
    "when",
    [
        {"all": [A_IS_1, {"field_greater": {"path": "a", "value": 0}}]},
        {"all": [A_IS_1, {"field_equals": {"path": "a", "value": 1.0}}]},
        {"all": [{"field_empty": "a"}, {"field_equals": {"path": "a", "value": ""}}]},
        {"all": [{"field_empty": "a"}, {"field_empty": "b"}]},
        {"any": [A_IS_1, {"not": ALWAYS}]},
        {
            "all": [
                {"field_equals": {"path": "a", "value": "2026-01-01T00:00:00Z"}},
                {"field_equals": {"path": "a", "value": "2026-01-01T01:00:00+01:00"}},
            ]
        },
    ],
)
def test_rules_that_may_fire_are_left_alone(when: dict[str, Any]) -> None:
    """No false alarm."""
    assert found(rule("r", when)) == []


def test_what_denies_everything() -> None:
    """A rule that always denies, or a default that nothing can lift."""
    everything = [("denies_everything", ("r",))]
    assert found(rule("r", ALWAYS)) == everything
    assert found(rule("r", "true")) == everything
    assert found(rule("r", {"any": [A_IS_1, {"not": A_IS_1}]}, "require_approval")) == everything
    assert found(rule("r", ALWAYS, "warn")) == []
    assert found(default="deny") == [("denies_everything", ())]
    assert found(rule("r", {"not": ALWAYS}, "allow"), default="deny") == [
        ("never_fires", ("r",)),
        ("denies_everything", ()),
    ]
    assert found(rule("r", A_IS_1, "allow"), default="deny") == []
    (finding,) = RuleSet.from_dict({"rule": [rule("r", ALWAYS)]}).lint()
    assert finding.severity == "critical"
    (finding,) = RuleSet.from_dict({"rule": [rule("r", ALWAYS, task_class="update")]}).lint()
    assert (finding.severity, finding.message) == (
        "warning",
        "the rule denies update, whatever the context is",
    )


def test_untested_rules() -> None:
    """Said, and not grave."""
    (finding,) = RuleSet.from_dict({"rule": [{**rule("r", A_IS_1), "test": []}]}).lint()
    assert (finding.kind, finding.severity) == ("untested", "info")
    assert finding.to_dict()["rules"] == ["r"]


SCHEMA = pa.schema(
    {
        "tailnum": pa.string(),
        "seats": pa.int32(),
        "price": pa.decimal128(10, 2),
        "seen": pa.timestamp("us", "UTC"),
        "local": pa.timestamp("us"),
        "day": pa.date32(),
        "active": pa.bool_(),
        "tags": pa.list_(pa.string()),
        "engine": pa.struct({"name": pa.string(), "power": pa.float64()}),
        "kind": pa.dictionary(pa.int8(), pa.string()),
    }
)


def against(when: Any) -> list[tuple[str, str, tuple[str, ...]]]:
    """Kind, path and nearest names of what is found in one rule."""
    findings = RuleSet.from_dict({"rule": [rule("r", when)]}).check_against(SCHEMA)
    return [(finding.kind, finding.path, finding.nearest) for finding in findings]


@pytest.mark.parametrize(
    ("when", "path", "nearest"),
    [
        ({"field_empty": "after.tailnumber"}, "after.tailnumber", ("tailnum",)),
        ("before.seat > 3", "before.seat", ("seats",)),
        ("has(after.engine.nam)", "after.engine.nam", ("name",)),
        ({"field_equals": {"path": "afer.seats", "value": 1}}, "afer.seats", ("after",)),
        ("size.row > 3", "size.row", ("rows",)),
        ({"field_empty": "after.seats.x"}, "after.seats.x", ()),
        ("after.tags.exists(t, t == before.tag)", "before.tag", ("tags",)),
    ],
)
def test_columns_that_do_not_exist(when: Any, path: str, nearest: tuple[str, ...]) -> None:
    """With what may have been meant."""
    assert against(when) == [("unknown_path", path, nearest)]


def compare(path: str, value: Any, how: str = "field_equals") -> dict[str, Any]:
    """A condition."""
    return {how: {"path": path, "value": value}}


@pytest.mark.parametrize(
    "when",
    [
        compare("after.seats", "many"),
        compare("after.seats", True),
        compare("after.tailnum", 3),
        compare("after.active", 1),
        compare("after.active", 0, "field_greater"),
        compare("after.seen", "2026-01-01T00:00:00"),
        compare("after.local", "2026-01-01T00:00:00Z", "field_greater"),
        compare("after.day", "today"),
        compare("after.tags", "a"),
        compare("after.tags.0", 1),
        compare("after.engine.power", "x", "field_greater"),
        compare("after.kind", 1),
        "after.price > 3",
        "2026 < after.seen",
        "after.seats == 'x'",
        "after.seats > null",
    ],
)
def test_values_that_cannot_compare(when: Any) -> None:
    """By the column's type; CEL sees decimals and times as text."""
    assert [kind for kind, _, _ in against(when)] == ["not_comparable"]


@pytest.mark.parametrize(
    "when",
    [
        compare("after.seats", 1.5),
        compare("after.price", 3, "field_greater"),
        compare("after.seen", "2026-01-01T00:00:00Z", "field_greater"),
        compare("after.day", "2026-01-01"),
        compare("after.tags.0", "a"),
        compare("after.tags", ["a"]),
        compare("after.engine.power", 1),
        compare("after.kind", "a"),
        compare("after.seats", None),
        compare("principal.anything", 1),
        "after.price == '1.50' && after.seats != null && after.active == true",
        "timestamp(after.seen) > timestamp('2026-01-01T00:00:00Z')",
        "'admin' in principal.roles && size.rows > 3 && 'seats' in changed && op == 'update'",
        {"field_empty": "after"},
    ],
)
def test_right_rules_pass(when: Any) -> None:
    """No false alarm."""
    assert against(when) == []


def test_a_schema_may_be_a_mapping() -> None:
    """Names and types."""
    ours = RuleSet.from_dict({"rule": [rule("r", {"field_empty": "after.b"})]})
    (finding,) = ours.check_against({"a": pa.int64()})
    assert finding.message == "there is no column b"
