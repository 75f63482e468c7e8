"""The gradient: how entries are read, which one decides, and what is wrong with them."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lakecore.base import InvalidInput
from lakecore.truth import Principal, RuleSet, Size, Tier
from lakecore.truth import _bounds as bounds
from lakecore.truth._tier import covers, matches

ADA = Principal("ada")
unhurried = settings(deadline=None)
BOT = Principal("agent:cleaner", kind="agent")


def entries(*tables: dict[str, Any]) -> RuleSet:
    """A rule set of these entries."""
    return RuleSet.from_dict({"tier": list(tables)})


def size(rows: int = 1, fraction: float = 0.0, fields: int = 1, size_bytes: int = 8) -> Size:
    """How much changes."""
    return Size(rows=rows, fields=fields, bytes=size_bytes, fraction=fraction)


GRADIENT = """
[[tier]]
principal = "agent:*"
dataset = "hr.*"
task_class = ["update", "delete"]
auto = { rows = 100, fraction = 0.01 }
dry_run = { rows = 10000 }
sim = { rows = 100000 }
approval = { roles = ["chief"] }

[[tier]]
kind = "agent"
auto = { rows = 10 }
dry_run = {}
approval = { by = "anyone" }
"""


@pytest.mark.parametrize(
    ("rows", "fraction", "tier", "why"),
    [
        (100, 0.01, "auto", "auto by tier entry 1"),
        (101, 0.0, "dry_run", "dry_run by tier entry 1: auto allows rows up to 100: found 101"),
        (1, 0.02, "dry_run", "dry_run by tier entry 1: auto allows fraction up to 0.01: found 0.0"),
        (1, float("nan"), "dry_run", "dry_run by tier entry 1: auto allows fraction"),
        (100_000, 0.5, "sim", "sim by tier entry 1: auto allows rows up to 100: found 100,000; "),
        (100_001, 0.5, "block", "block by tier entry 1: auto allows rows"),
    ],
)
def test_the_first_bound_that_is_kept_is_the_tier(
    rows: int, fraction: float, tier: str, why: str
) -> None:
    """At a bound, above it, above all; and the reason names bound, found and allowed."""
    rules = RuleSet.from_toml(GRADIENT)
    result = rules.tier(BOT, "hr.people", "update", size(rows, fraction))
    assert result.tier == tier
    assert str(result).startswith(why)
    assert (result.entry, result.approval.roles) == (1, ("chief",))


@pytest.mark.parametrize(
    ("principal", "dataset", "task_class", "entry"),
    [
        (BOT, "hr.people", "update", 1),
        (BOT, "hr.people", "insert", 2),
        (BOT, "planes", "update", 2),
        (ADA, "hr.people", "update", None),
        (Principal("agent:x"), "hr.people", "delete", 1),
        (Principal("x", kind="agent"), "hr.people", "delete", 2),
    ],
)
def test_the_first_entry_that_matches_decides(
    principal: Principal, dataset: str, task_class: str, entry: int | None
) -> None:
    """By name, kind, dataset and task class; where none matches, a change is committed."""
    result = RuleSet.from_toml(GRADIENT).tier(principal, dataset, task_class, size())
    assert (result.tier, result.entry) == (Tier.AUTO, entry)
    assert result.to_dict()["entry"] == entry


def test_tiers_that_are_not_on_offer() -> None:
    """False and what is not there are never given; an empty bound is none."""
    held = entries({"auto": False, "dry_run": {}})
    result = held.tier(ADA, "planes", "insert", size(10**9))
    assert (result.tier, str(result)) == (
        "dry_run",
        "dry_run by tier entry 1: auto is not on offer",
    )
    assert entries({"auto": False}).tier(ADA, "planes", "insert", size(0)).tier == "block"
    assert entries({"sim": {}}).tier(ADA, "planes", "insert", size(0)).tier == "sim"
    assert entries({"auto": {}}).tier(ADA, "planes", "insert", size(10**9)).tier == "auto"
    small = entries({"auto": {"bytes": 8, "fields": 1}})
    assert small.tier(ADA, "planes", "insert", size(10**9)).tier == "auto"
    assert small.tier(ADA, "planes", "insert", size(fields=2)).tier == "block"
    assert small.tier(ADA, "planes", "insert", size(size_bytes=9)).tier == "block"


@pytest.mark.parametrize(
    ("table", "says"),
    [
        ({"atuo": {"rows": 1}}, r"tier\[0\]\.atuo: expected auto, found atuo"),
        ({"auto": {"row": 1}}, r"tier\[0\]\.auto\.row: expected rows, found row"),
        ({"auto": {"rows": -1}}, r"tier\[0\]\.auto\.rows: expected an integer from 0, found -1"),
        ({"auto": {"rows": True}}, "expected an integer from 0"),
        ({"auto": {"rows": 1.5}}, "expected an integer from 0"),
        ({"auto": {"fraction": -0.1}}, "expected a number from 0"),
        ({"auto": {"fraction": float("nan")}}, "not a fraction"),
        ({"auto": {"fraction": "1%"}}, "not a fraction"),
        ({"auto": True}, r"auto is no bound at .*tier\[0\]\.auto"),
        ({"auto": 100}, "auto is no bound"),
        ({}, "offers nothing"),
        ({"principal": "x"}, "offers nothing"),
        ({"auto": {}, "kind": "agnet"}, r"tier\[0\]\.kind: expected agent, found agnet"),
        ({"auto": {}, "kind": "x"}, "expected one of person, agent"),
        ({"auto": {}, "principal": ""}, "the principal is empty"),
        ({"auto": {}, "dataset": 3}, "dataset is not a text"),
        ({"auto": {}, "dataset": "*a*a*a*a*"}, "too many stars"),
        ({"auto": {}, "dataset": "a" * 301}, "too many characters"),
        ({"auto": {}, "task_class": []}, "task class is wrong"),
        ({"auto": {}, "task_class": ["a", "a"]}, "task class is wrong"),
        ({"auto": {}, "approval": {"by": "me"}}, "expected one of another, anyone, found me"),
        ({"auto": {}, "approval": {"role": ["x"]}}, "expected roles, found role"),
        ({"auto": {}, "approval": {"roles": "chief"}}, "not a list of texts"),
        ({"auto": {}, "approval": "another"}, "not a table"),
        ("auto", "not a table"),
    ],
)
def test_what_is_not_understood_is_refused(table: Any, says: str) -> None:
    """With the place, what was expected, and what was found."""
    with pytest.raises(InvalidInput, match=says):
        entries(table)


def test_lists_of_entries() -> None:
    """They are a list, and it has a bound."""
    with pytest.raises(InvalidInput, match="not a list"):
        RuleSet.from_dict({"tier": {"auto": {}}})
    with pytest.raises(InvalidInput, match="too many tiers"):
        entries(*[{"auto": {}}] * (bounds.MAX_TIERS + 1))


def test_the_canonical_form() -> None:
    """Defaults are spelled out, the form reads back as it is, the hash knows the tiers."""
    rules = entries({"auto": {"rows": 1, "fraction": 1}})
    assert rules.to_dict()["tier"] == [
        {
            "principal": "*",
            "kind": "*",
            "dataset": "*",
            "task_class": ["*"],
            "auto": {"rows": 1, "fraction": 1.0},
            "dry_run": False,
            "sim": False,
            "approval": {"by": "another", "roles": []},
        }
    ]
    assert RuleSet.from_dict(rules.to_dict()).hash == rules.hash
    assert rules != entries({"auto": {"rows": 2, "fraction": 1}})
    assert rules != RuleSet.from_dict({})
    gradient = RuleSet.from_toml(GRADIENT)
    assert RuleSet.from_dict(gradient.to_dict()) == gradient


def test_differences_of_tiers() -> None:
    """Added, removed, and in another order."""
    one, other = {"auto": {"rows": 1}}, {"auto": {"rows": 2}}
    difference = entries(other).diff(entries(one))
    assert difference
    assert [entry["auto"] for entry in difference.to_dict()["tiers_added"]] == [{"rows": 2}]
    assert [entry["auto"] for entry in difference.to_dict()["tiers_removed"]] == [{"rows": 1}]
    turned = entries(other, one).diff(entries(one, other))
    assert turned
    assert turned.tiers_reordered
    assert not entries(one, other).diff(entries(one, other))


def found(*tables: dict[str, Any]) -> list[tuple[str, str]]:
    """Kinds and places of what is wrong with entries."""
    return [(finding.kind, finding.path) for finding in entries(*tables).lint()]


def test_entries_that_never_decide() -> None:
    """An earlier one takes everything; a wider one behind it is no shadow."""
    narrow = {"principal": "agent:*", "task_class": "update", "auto": {"rows": 1}}
    assert found({"auto": {"rows": 9}}, narrow) == [("never_matches", "tier[1]")]
    assert found(narrow, {"auto": {"rows": 9}}) == []
    assert found(narrow, {**narrow, "principal": "agent:a?"}) == [("never_matches", "tier[1]")]
    assert found(narrow, {**narrow, "task_class": ["update", "delete"]}) == []
    assert found({**narrow, "kind": "agent"}, narrow) == []
    (finding,) = entries({"auto": {}}, narrow).lint()
    assert finding.message == ("tier entry 2 can never decide: entry 1 takes all that it matches")


def test_bounds_that_decrease() -> None:
    """A stricter tier that allows less, or that nobody ever gets."""
    less = [("bounds_decrease", "tier[0]")]
    assert found({"auto": {"rows": 10}, "dry_run": {"rows": 9}}) == less
    assert found({"auto": {"rows": 10}, "sim": {"rows": 10}}) == less
    assert found({"auto": {}, "sim": {"rows": 10}}) == less
    assert found({"auto": {"rows": 10}, "dry_run": {"rows": 20}, "sim": {}}) == []
    assert found({"auto": {"rows": 10, "fraction": 0.1}, "dry_run": {"rows": 20}}) == []
    assert found({"auto": {"rows": 10}, "dry_run": {"fraction": 0.1}}) == []


def test_task_classes_that_no_change_has() -> None:
    """Named with the nearest; of rules only what is nearly one."""
    (finding,) = entries({"task_class": "updaet", "auto": {}}).lint()
    assert (finding.kind, finding.severity, finding.nearest[0]) == (
        "unknown_task_class",
        "error",
        "update",
    )
    rule = {
        "id": "r",
        "when": {"field_empty": "a"},
        "action": "deny",
        "message": "m",
        "test": [{"context": {}, "expect": "fired"}],
    }
    (finding,) = RuleSet.from_dict({"rule": [{**rule, "task_class": "updaet"}]}).lint()
    assert (finding.kind, finding.severity, finding.rules) == (
        "unknown_task_class",
        "warning",
        ("r",),
    )
    assert RuleSet.from_dict({"rule": [{**rule, "task_class": "code_review"}]}).lint() == ()


def test_tiers_that_block_everything() -> None:
    """Only where nothing before lets anything through."""
    block = {"auto": False}
    assert found(block) == [("denies_everything", "tier[0]")]
    assert found({"dataset": "a", **block}, block) == [("denies_everything", "tier[1]")]
    assert found({"dataset": "a", "auto": {}}, block) == []
    assert found({"dataset": "a", **block}) == []


texts = st.text(alphabet="ab.", max_size=4)
globs = st.text(alphabet="ab.*?", max_size=4)


@unhurried
@given(glob=globs, other=globs, name=texts)
def test_what_a_glob_covers_it_matches(glob: str, other: str, name: str) -> None:
    """Never a shadow that is none: what the covered one matches, the covering one does."""
    if covers(glob, other) and matches(other, name):
        assert matches(glob, name)
    assert matches(name, name)
    assert covers("*", other)


sizes = st.none() | st.integers(0, 4)
bound = st.just(False) | st.builds(
    lambda rows, fraction: {
        name: value for name, value in (("rows", rows), ("fraction", fraction)) if value is not None
    },
    sizes,
    st.none() | st.sampled_from((0.0, 0.5, 1.0)),
)
entry = st.fixed_dictionaries(
    {"auto": bound, "dry_run": bound, "sim": bound},
    optional={
        "principal": st.sampled_from(("*", "a*", "ada", "b?")),
        "kind": st.sampled_from(("*", "person", "agent")),
        "dataset": st.sampled_from(("*", "x", "x*")),
        "task_class": st.sampled_from(("*", "update", ["update", "delete"])),
    },
)
change = st.tuples(
    st.builds(Principal, st.sampled_from(("ada", "bo", "c")), st.sampled_from(("person", "agent"))),
    st.sampled_from(("x", "xy", "z")),
    st.sampled_from(("update", "delete", "insert")),
    st.builds(size, st.integers(0, 5), st.sampled_from((0.0, 0.4, 0.9, 2.0))),
)


@unhurried
@given(st.lists(entry, max_size=3), entry, change)
def test_an_entry_more_at_the_end_is_never_laxer(
    tables: list[dict[str, Any]], more: dict[str, Any], change: Any
) -> None:
    """It decides only where nothing did before, and there everything was let through."""
    before, after = entries(*tables).tier(*change), entries(*tables, more).tier(*change)
    assert after.tier.strength >= before.tier.strength
    assert before.entry is None or after == before


@unhurried
@given(st.lists(entry, max_size=3), change, st.integers(0, 3), st.floats(0, 1))
def test_a_larger_change_is_never_let_through_sooner(
    tables: list[dict[str, Any]], change: Any, rows: int, fraction: float
) -> None:
    """Whatever the bounds are, even those that decrease."""
    *who, small = change
    large = size(small.rows + rows, small.fraction + fraction)
    rules = entries(*tables)
    assert rules.tier(*who, large).tier.strength >= rules.tier(*who, small).tier.strength


@unhurried
@given(st.lists(entry, min_size=1, max_size=3), change, st.data())
def test_a_bound_that_is_tightened_is_never_laxer(
    tables: list[dict[str, Any]], change: Any, data: st.DataObject
) -> None:
    """Less of any bound, in any entry."""
    at = data.draw(st.integers(0, len(tables) - 1))
    name = data.draw(st.sampled_from(("auto", "dry_run", "sim")))
    kept = tables[at][name]
    tight = False if kept is False or data.draw(st.booleans()) else {**kept, "rows": 0}
    tightened = [*tables[:at], {**tables[at], name: tight}, *tables[at + 1 :]]
    before, after = entries(*tables).tier(*change), entries(*tightened).tier(*change)
    assert after.tier.strength >= before.tier.strength


@unhurried
@given(st.lists(entry, max_size=4), change)
def test_entries_that_lint_says_never_decide_do_not(
    tables: list[dict[str, Any]], change: Any
) -> None:
    """Without them every change gets the tier that it gets with them."""
    rules = entries(*tables)
    shadowed = {f.path for f in rules.lint() if f.kind == "never_matches"}
    left = [table for at, table in enumerate(tables) if f"tier[{at}]" not in shadowed]
    assert entries(*left).tier(*change).tier == rules.tier(*change).tier
