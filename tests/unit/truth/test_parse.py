"""Reading rule sets: what is wrong is named by file, rule, path, expected and found."""

from __future__ import annotations

import hashlib
import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lakecore.base import InvalidInput, NotFound, UnsupportedFormat
from lakecore.truth import Action, Path, RuleSet, Severity
from lakecore.truth import _bounds as bounds

RULE = {
    "id": "r",
    "task_class": "update",
    "when": {"always": True},
    "action": "deny",
    "message": "no",
}


def rules(*changes: dict[str, Any], **members: Any) -> RuleSet:
    """A rule set of one rule for each of `changes`, each with an id of its own."""
    tables = [{**RULE, "id": f"r{n}", **change} for n, change in enumerate(changes)]
    return RuleSet.from_dict({"rule": tables, **members}, source="file.toml")


def nested(depth: int) -> dict[str, Any]:
    """`not` as deep as that."""
    return {"always": True} if depth == 1 else {"not": nested(depth - 1)}


WRONG: list[tuple[dict[str, Any], str, str]] = [
    ({"id": ""}, "id", "printable"),
    ({"id": 3}, "id", "text"),
    ({"id": "a\nb"}, "id", "printable"),
    ({"action": "refuse"}, "action", "allow, warn, require_approval, deny"),
    ({"action": ["deny"]}, "action", "allow"),
    ({"severity": "bad"}, "severity", "info, warning, error, critical"),
    ({"on_error": "allow"}, "on_error", "deny, require_approval, warn, skip"),
    ({"missing": "skip"}, "missing", "error, null"),
    ({"message": None}, "message", "text"),
    ({"message": "x" * 2001}, "message", "at most 2,000"),
    ({"message": "\ud800"}, "message", "Unicode"),
    ({"on_eror": "skip"}, "on_eror", "on_error"),
    ({"task_class": []}, "task_class", "a name"),
    ({"task_class": ["a", "a"]}, "task_class", "a name"),
    ({"task_class": 1}, "task_class", "texts"),
    ({"actions": "ask"}, "actions", "texts"),
    ({"when": {}}, "when", "one of all, always"),
    ({"when": {"always": True, "not": {"always": True}}}, "when", "one of"),
    ({"when": {"alway": True}}, "when.alway", "always"),
    ({"when": {"always": False}}, "when.always", "always = true"),
    ({"when": {"all": []}}, "when.all", "at least one"),
    ({"when": {"any": [{"always": True}, 3]}}, "when.any[1]", "one of"),
    ({"when": {"field_equals": {"path": "a"}}}, "when.field_equals.value", "a value"),
    ({"when": {"field_equals": {"path": "a", "valu": 1}}}, "when.field_equals.valu", "value"),
    ({"when": {"field_equals": {"value": 1}}}, "when.field_equals.path", "text"),
    ({"when": {"field_equals": "a"}}, "when.field_equals", "a table with path, value"),
    ({"when": {"field_empty": "a..b"}}, "when.field_empty.path", "names joined by dots"),
    ({"when": {"field_empty": {"path": "a\\b"}}}, "when.field_empty.path", r"\."),
    ({"when": {"field_empty": "a." * 32 + "a"}}, "when.field_empty.path", "at most 32"),
    ({"when": {"field_empty": "a" * 513}}, "when.field_empty.path", "at most 512"),
    ({"when": {"field_greater": {"path": "a", "value": True}}}, "value", "a number or a text"),
    ({"when": {"field_greater": {"path": "a", "value": None}}}, "value", "a number or a text"),
    ({"when": {"field_greater": {"path": "a", "value": float("nan")}}}, "value", "finite"),
    ({"when": {"field_equals": {"path": "a", "value": 1 << 64}}}, "value", "64 bits"),
    ({"when": {"field_equals": {"path": "a", "value": {1, 2}}}}, "value", "text, number"),
    ({"when": {"not": {"cel": "a +"}}}, "when.not.cel", "a +"),
    ({"when": {"cel": 3}}, "when.cel", "text"),
    ({"when": {"cel": "1 + 1"}}, "when.cel", "true or false"),
    ({"when": {"cel": "f(a)"}}, "when.cel", "undeclared reference to 'f'"),
    ({"when": {"cel": "'a' > 1"}}, "when.cel", "no matching overload"),
    ({"when": {"cel": "a" * 1001}}, "when.cel", "at most 1000"),
    ({"when": {"cel": "(" * 40 + "a" + ")" * 40}}, "when.cel", "recursion limit"),
    ({"when": {"cel": "a == '\ud800'"}}, "when.cel", "Unicode"),
    ({"when": nested(17)}, "when", "at most 16 levels"),
    ({"when": {"all": [{"always": True}] * 256}}, "when", "at most 256"),
    ({"test": [{"context": 1, "expect": "fired"}]}, "test[0].context", "a table"),
    ({"test": [{"context": {}, "expect": True}]}, "test[0].expect", "fired, not_fired, error"),
    ({"test": [{"context": {}}] * 101}, "test", "at most 100"),
    ({"test": [{"context": {"a": float("nan")}}]}, "test[0].context.a", "finite"),
    ({"test": [{"context": {"a": ["\ud800"]}}]}, "test[0].context.a[0]", "Unicode"),
]


@pytest.mark.parametrize(("change", "path", "expected"), WRONG)
def test_what_is_wrong_is_named(change: dict[str, Any], path: str, expected: str) -> None:
    """File, rule, path in the rule, and what would have been right."""
    with pytest.raises(InvalidInput) as caught:
        rules({"id": "other"}, change)
    error = caught.value
    where = error.where or ""
    assert where.startswith("file.toml: rule ")
    assert path in where
    assert ("rule r1" if "id" not in change else "rule ") in where
    assert expected in str(error)
    json.dumps(error.to_dict())


def test_a_rule_without_a_condition_is_refused() -> None:
    """`when` is not optional: a rule that always fires says so."""
    table = {name: value for name, value in RULE.items() if name != "when"}
    with pytest.raises(InvalidInput, match=r"no condition at file\.toml: rule r: when"):
        RuleSet.from_dict({"rule": [table]}, source="file.toml")


def test_a_duplicate_id_is_refused() -> None:
    """The second rule of a name would hide the first."""
    with pytest.raises(InvalidInput, match=r"same id at file.toml: rule r.*again as rule number 2"):
        rules({"id": "r"}, {"id": "r"})


def test_the_rule_set_itself_is_checked() -> None:
    """Unknown members, a newer format, too many rules, what is not TOML."""
    with pytest.raises(InvalidInput, match="expected rule, found rules"):
        RuleSet.from_dict({"rules": []})
    with pytest.raises(InvalidInput, match="not a list"):
        RuleSet.from_dict({"rule": {"id": "r"}})
    with pytest.raises(InvalidInput, match="not a table"):
        RuleSet.from_dict({"rule": [3]})
    with pytest.raises(UnsupportedFormat, match=r"newer format at file\.toml"):
        rules(format=2)
    with pytest.raises(InvalidInput, match="format is not a number"):
        rules(format="1")
    with pytest.raises(InvalidInput, match="too many rules"):
        RuleSet.from_dict({"rule": [RULE] * (bounds.MAX_RULES + 1)})
    with pytest.raises(InvalidInput, match=r"not TOML: .*line 2"):
        RuleSet.from_toml("[[rule]]\nid = =\n", source="file.toml")
    with pytest.raises(InvalidInput, match="too large"):
        RuleSet.from_toml("#" * (bounds.MAX_SOURCE_BYTES + 1))
    with pytest.raises(InvalidInput, match="not an object"):
        RuleSet.from_dict([])  # type: ignore[arg-type]  # what a caller may pass


def test_defaults() -> None:
    """What is not said has a default, and the severity follows the action."""
    rule = rules({}).rule("r0")
    assert (rule.severity, rule.on_error.value, rule.missing.value) == ("error", "deny", "error")
    assert rules({"action": "warn"}).rule("r0").severity is Severity.WARNING
    assert rules({}).default is Action.ALLOW
    with pytest.raises(NotFound, match="no such rule"):
        rules({}).rule("r9")


def test_canonical_form_and_hash() -> None:
    """The bytes are pinned: a hash in a decision is checked years later."""
    found = rules({"when": {"field_equals": {"path": r"a\.b.c", "value": "é"}}}, name="n")
    assert found.canonical.decode() == (
        '{"default":"allow","description":"","format":1,"name":"n","rule":[{"action":"deny",'
        '"actions":[],"description":"","id":"r0","message":"no","missing":"error",'
        '"on_error":"deny","severity":"error","task_class":["update"],"test":[],'
        '"when":{"field_equals":{"path":"a\\\\.b.c","value":"é"}}}]}'
    )
    assert found.hash == hashlib.sha256(found.canonical).hexdigest()
    assert found.hash == "b8a3ef71875b41ffd4d3d605a75a9447ed45c6cf801b820a39bb60db6cd55c4f"


def test_the_form_does_not_depend_on_how_it_was_written() -> None:
    """TOML, JSON and defaults spelled out give one hash; the version is not in it."""
    toml = RuleSet.from_toml(
        'rule = [{message = "no", action = "deny", id = "r0", task_class = "update",'
        " when = {always = true}}]",
        version=7,
    )
    assert toml == rules({})
    assert hash(toml) == hash(rules({}))
    again = RuleSet.from_dict(json.loads(toml.canonical))
    assert again.canonical == toml.canonical
    assert "1 rules" in repr(toml)


def test_toml_times_are_text() -> None:
    """A date-time is kept as RFC 3339 in UTC, a date and a time as their text."""
    toml = (
        '[[rule]]\nid = "r"\ntask_class = "*"\naction = "deny"\nmessage = "m"\n'
        'when = {field_equals = {path = "a", value = [2026-01-01T01:00:00+01:00,'
        " 2026-01-01T00:00:00, 2026-01-01, 01:02:03]}}"
    )
    value = RuleSet.from_toml(toml).rule("r").to_dict()["when"]["field_equals"]["value"]
    assert value == ["2026-01-01T00:00:00Z", "2026-01-01T00:00:00", "2026-01-01", "01:02:03"]


def test_differences() -> None:
    """Added, removed, changed with the members, reordered, settings."""
    old = rules({"id": "a"}, {"id": "b"}, {"id": "c"})
    new = rules({"id": "c"}, {"id": "b", "action": "warn"}, {"id": "d"}, default="deny")
    assert new.diff(old).to_dict() == {
        "added": ["d"],
        "removed": ["a"],
        "changed": {"b": ["action", "severity"]},
        "reordered": True,
        "settings": ["default"],
        "tiers_added": [],
        "tiers_removed": [],
        "tiers_reordered": False,
    }
    assert not old.diff(old)


@given(st.lists(st.text(min_size=1), min_size=1, max_size=5))
def test_paths_round_trip(names: list[str]) -> None:
    """Any names, with dots and backslashes, come back from their text."""
    path = Path(tuple(names))
    assert Path.parse(str(path)) == path
