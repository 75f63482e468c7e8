"""`lake.truth`, and the rules as a table."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from lakecore.app import Lake, open_lake
from lakecore.base import Conflict, InvalidInput
from lakecore.changes._rules import RulesRefused

RULES = """\
name = "fleet"

[[rule]]
id = "seats"
task_class = ["insert", "update"]
when.all = [
  { field_equals = { path = "dataset", value = "planes" } },
  { field_greater = { path = "after.seats", value = 853 } },
]
action = "deny"
message = "too many"

[[tier]]
dataset = "planes"
auto = { rows = 10 }
dry_run = {}
"""
CHANGE = {
    "dataset": "planes",
    "principal": {"name": "ada"},
    "size": {"rows": 11, "fields": 11, "bytes": 88, "fraction": 0.1},
    "after": {"seats": 4},
}


@pytest.fixture
def lake(tmp_path: Path) -> Iterator[Lake]:
    """A lake with planes and an empty dataset."""
    with open_lake(str(tmp_path / "lake"), actor="ada") as lake:
        lake.create("planes", key=["tailnum"])
        lake.insert("planes", [{"tailnum": "N1", "seats": 100}])
        lake.create("crews", key=["id"])
        yield lake


def test_asked_and_put_in_force(lake: Lake) -> None:
    """Check, evaluate, decide, test and explain by the rules in force."""
    assert lake.truth.list() == ()
    applied = lake.truth.apply(RULES, reason="new")
    assert (applied.version, applied.report.fit) == (0, True)
    assert [rule.id for rule in lake.truth.list()] == ["seats"]
    assert [could.rule_id for could in lake.truth.check("update", {})] == ["seats"]
    decision = lake.truth.evaluate("update", {"dataset": "planes", "after": {"seats": 900}})
    assert decision.action == "deny"
    assert "too many" in lake.truth.explain(decision)
    held = lake.truth.decide("update", CHANGE)
    assert (held.tier, held.gradient.entry) == ("dry_run", 1)
    assert lake.truth.decide("update", CHANGE, "sim").tier == "sim"
    assert lake.truth.test() == ()
    assert lake.truth.text() == RULES
    (version,) = lake.truth.versions()
    assert (version.actor, version.reason, version.source) == ("ada", "new", "api")


def test_the_datasets_of_the_lake_are_looked_at(lake: Lake) -> None:
    """A column that the dataset does not have is an error, with the nearest."""
    with pytest.raises(RulesRefused, match=r"no column seets \(in planes\), near it: seats"):
        lake.truth.apply(RULES.replace("after.seats", "after.seets"))
    other = lake.truth.inspect(RULES.replace('"planes"', '"plane"'))
    assert {finding.kind for finding in other.findings} == {"no_dataset", "untested"}
    assert lake.truth.current().version is None


def test_versions_and_back(lake: Lake) -> None:
    """What is different, and the older rules again."""
    none = lake.truth.current()
    lake.truth.apply(RULES, based_on=none)
    lake.truth.apply("", reason="none at all")
    assert lake.truth.diff(0).removed == ("seats",)
    assert lake.truth.diff(1, 0).added == ("seats",)
    with pytest.raises(Conflict):
        lake.truth.apply(RULES, based_on=none)
    assert lake.truth.rollback(0, actor="bo").version == 2
    assert lake.truth.version(2) == lake.truth.version(0)
    assert [one.actor for one in lake.truth.versions(2)] == ["bo", "ada"]


def test_a_context_that_tells_too_little(lake: Lake) -> None:
    """The gradient has to know who, where and how much."""
    with pytest.raises(InvalidInput, match=r"found no dataset, principal\.name, size\.rows"):
        lake.truth.decide("update", {})
    wrong = {**CHANGE, "size": {"rows": "many", "fields": 1, "bytes": 1, "fraction": 0.1}}
    with pytest.raises(InvalidInput, match=r"found no size\.rows"):
        lake.truth.decide("update", wrong)


def test_the_rules_as_a_table(lake: Lake) -> None:
    """`system.truth_rules` has the rules in force, with version and hash."""
    query = "select rule, action, version, task_class from system.truth_rules order by position"
    assert lake.sql(query).to_pylist() == []
    lake.truth.apply(RULES)
    assert lake.sql(query).to_pylist() == [
        {"rule": "seats", "action": "deny", "version": 0, "task_class": ["insert", "update"]}
    ]
    hashes = lake.sql("select distinct hash from system.truth_rules").to_pylist()
    assert hashes == [{"hash": lake.truth.current().hash}]


def test_the_rules_are_part_of_what_is_verified(lake: Lake) -> None:
    """Their versions and events match like every document's."""
    lake.truth.apply(RULES)
    lake.truth.apply(RULES + "# more\n")
    assert lake.verify().status == "green"
