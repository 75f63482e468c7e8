"""What the rules make of changes: committed with a decision, refused with reasons, held."""

from __future__ import annotations

import json
from typing import Any

import pyarrow as pa
import pytest
from tests.unit.changes.conftest import decisions, salaries

from lakecore.app import Lake
from lakecore.base import Bug, InvalidInput, Refused, Unavailable
from lakecore.changes._gate import Passage, RuleGate, RuleJudge
from lakecore.changes._principal import NamedPrincipals
from lakecore.journal import Author, read_commit_record
from lakecore.tables import ChangeFacts, Plan, Ruling
from lakecore.truth import RuleSet, Tier


def decision_of(lake: Lake, version: int) -> dict[str, Any]:
    """The decision in the commit record of a version of staff."""
    location = lake.dataset("staff").location
    data = lake._parts.store.get(f"{location}/_delta_log/{version:020d}.json")
    record = read_commit_record(data)
    assert record is not None
    return dict(record.mutations[-1].context["decision"])


def test_a_commit_carries_its_decision(lake: Lake) -> None:
    """Tier, rule set and what fired are in the commit's record, and it is small."""
    result = lake.update("staff", set={"name": "eve"}, where="id = 'e1'")
    said = decision_of(lake, result.version or 0)
    rules = lake.truth.current()
    assert said == {
        "op": "update",
        "tier": "auto",
        "rule_set": {"name": "staff", "version": rules.version, "hash": rules.hash},
    }
    assert decisions(lake) == []


def test_a_lake_without_rules_says_so(lake: Lake) -> None:
    """The first insert was made by an empty rule set."""
    assert decision_of(lake, 0)["rule_set"]["version"] is None


def test_a_denial_has_its_reasons(lake: Lake) -> None:
    """Rule, row, path, found and expected; nothing is changed; it is on record before."""
    with pytest.raises(Refused) as refused:
        lake.update("staff", set={"salary": 5000}, where="id in ('e1', 'e2')", reason="bonus")
    error = refused.value
    assert "nobody earns more than 1000 (2 of 2 rows) [no-riches]" in error.message
    assert (error.where, error.found) == ("staff", "after.salary = 5000 in e1")
    assert error.expected == "not > 1000"
    assert error.hint == "ask the board"
    assert any("e2: no-riches: after.salary = 5000" in note for note in error.__notes__)
    assert salaries(lake)["e1"] == 100
    (event,) = lake.journal.query(entity_type="decision").items
    said = json.loads(event.context)
    assert (event.action, event.dataset, event.actor) == ("refused", "staff", "ada")
    assert event.entity_id == event.mutation_id
    assert said["reason"] == "bonus"
    assert [(rule["rule"], rule["fired"]) for rule in said["rules"]][:1] == [("no-riches", 2)]
    assert [sample["entity_id"] for sample in said["samples"]] == ["e1", "e2"]
    assert said["rule_set"]["hash"] == lake.truth.current().hash
    assert lake.verify().status == "green"


def test_samples_are_bounded_and_counts_exact(lake: Lake) -> None:
    """Of 5,000 rows in many batches 20 are shown, and all are counted."""
    rows = pa.table({"id": [f"n{i}" for i in range(5000)], "salary": [5000] * 5000})
    with pytest.raises(Refused, match=r"5,000 of 5,000 rows"):
        lake.insert("staff", rows.to_reader(max_chunksize=700))
    said = json.loads(lake.journal.query(entity_type="decision").items[0].context)
    assert len(said["samples"]) == 20
    assert said["rules"][0]["fired"] == 5000
    assert said["size"]["rows"] == 5000


@pytest.mark.parametrize("rows", [1, 2, 3])
def test_the_gradient_looks_at_the_size(lake: Lake, rows: int) -> None:
    """An agent changes one row by itself, two with an approval, three not at all."""

    def change() -> Any:
        where = f"id <= 'e{rows}'"
        return lake.update("staff", set={"name": "x"}, where=where, actor="agent:a")

    if rows == 3:
        with pytest.raises(Refused, match="dry_run allows rows up to 2: found 3"):
            change()
        return
    result = change()
    assert (result.committed, result.held) == (rows == 1, rows == 2)
    assert result.tier == ("auto" if rows == 1 else "dry_run")


def test_a_rule_about_the_size_is_asked_at_the_end(lake: Lake) -> None:
    """It needs the whole change: rows are kept until all were seen, inserts and updates alike."""
    lake.truth.apply(
        """
        [[rule]]
        id = "few"
        task_class = "upsert"
        when.all = [
          { field_greater = { path = "size.rows", value = 2 } },
          { field_equals = { path = "after.status", value = "new" } },
        ]
        action = "deny"
        message = "at most two new ones"
        [[rule.test]]
        context = { size = { rows = 3 }, after = { status = "new" } }
        expect = "fired"
        """,
    )
    given = [{"id": f"e{i}", "status": "new"} for i in (1, 2, 8)]
    assert lake.upsert("staff", given[1:]).committed
    with pytest.raises(Refused, match="at most two new ones"):
        lake.upsert("staff", [*given[:1], {"id": "e7", "status": "new"}, {"id": "e9"}])


def test_system_datasets_are_exempt() -> None:
    """The lake's own records are not judged."""
    gate = RuleGate(_Rules(RuleSet.from_dict({"default": "deny"})), NamedPrincipals(), _Journal())
    assert gate.judge(facts(name="system.quarantine")) is None
    assert gate.judge(facts()) is not None


def test_a_condition_that_matches_everything_asks(lake: Lake) -> None:
    """It is refused unless every row is asked for as well; of one row it may be all."""
    with pytest.raises(Refused, match="the condition matches every row") as refused:
        lake.delete("staff", where="salary > 0")
    assert "--all" in (refused.value.hint or "")
    assert lake.delete("staff", where="id <> 'e1'").deleted == 3
    assert lake.delete("staff", where="salary > 0").deleted == 1
    lake.insert("staff", [{"id": "a", "salary": 1}, {"id": "b", "salary": 1}])
    assert lake.delete("staff", where="salary > 0", all=True).deleted == 2


def test_a_change_of_columns_is_judged(lake: Lake) -> None:
    """One without rows is asked about once, as a whole."""
    lake.truth.apply(
        """
        [[rule]]
        id = "frozen"
        task_class = "schema"
        when = { always = true }
        action = "deny"
        message = "columns stay"
        [[rule.test]]
        context = {}
        expect = "fired"
        """,
    )
    with pytest.raises(Refused, match="columns stay"):
        lake.alter("staff", add={"age": "long"})
    assert decisions(lake) == [("refused", "ada")]


# -- the judge alone ----------------------------------------------------------------------


class _Rules:
    def __init__(self, rules: RuleSet | Exception) -> None:
        self.rules = rules

    def current(self) -> RuleSet:
        if isinstance(self.rules, Exception):
            raise self.rules
        return self.rules


class _Journal:
    def __init__(self) -> None:
        self.events: list[Any] = []

    def record(self, event: Any) -> str:
        self.events.append(event)
        return "id"


class _Ref:
    dataset_id = "d"
    location = "tables/main/staff"
    key = ("id",)
    entity_type = "person"
    contract = "evolve"

    def __init__(self, name: str) -> None:
        self.name = name


def facts(name: str = "staff", *, grant: object = None) -> ChangeFacts:
    """A change of one dataset as it is known before planning."""
    return ChangeFacts(
        dataset=_Ref(name),
        op="update",
        author=Author(actor="ada"),
        mutation_id="m",
        base_version=0,
        base_rows=4,
        schema=pa.schema([("id", pa.string()), ("salary", pa.int64())]),
        dry_run=False,
        grant=grant,
    )


def plan(rows: int) -> Plan:
    """A plan that updates so many rows."""
    return Plan(
        inserted=0,
        updated=rows,
        deleted=0,
        fields=rows,
        bytes=rows,
        base_rows=4,
        schema_changes=(),
        schema=pa.schema([]),
        digest=lambda: "00",
    )


def judge_of(rules: RuleSet, journal: _Journal, grant: object = None) -> RuleJudge:
    """The judge of one attempt."""
    judge = RuleGate(_Rules(rules), NamedPrincipals(), journal).judge(facts(grant=grant))
    assert judge is not None
    return judge


@pytest.mark.parametrize("error", [ZeroDivisionError("oops"), Bug("wrong")])
def test_an_error_in_the_rules_refuses(error: Exception, monkeypatch: pytest.MonkeyPatch) -> None:
    """Whatever goes wrong, nothing passes: in the rule set, among rows, at the end."""
    journal = _Journal()
    with pytest.raises(Refused, match="could not be asked"):
        RuleGate(_Rules(error), NamedPrincipals(), journal).judge(facts())

    def fail(*_: object) -> None:
        raise error

    for place in ("add", "decision"):
        judge = judge_of(RuleSet.from_dict({}), journal)
        monkeypatch.setattr(judge._asking, place, fail)
        judge.rows(None, pa.table({"id": ["e1"]}), None)
        with pytest.raises(Refused, match="could not be asked"):
            judge.decide(plan(1))
    assert [event.action for event in journal.events] == ["refused"] * 2


def test_what_is_to_be_tried_again_stays_so() -> None:
    """A store that does not answer is no refusal; nothing passes all the same."""
    with pytest.raises(Unavailable):
        RuleGate(_Rules(Unavailable("away")), NamedPrincipals(), _Journal()).judge(facts())


def test_nothing_waits_where_nobody_keeps_it() -> None:
    """A change that needs an approval, made by the tables directly, is refused."""
    rules = RuleSet.from_dict({"default": "require_approval"})
    journal = _Journal()
    with pytest.raises(Refused, match="nothing is there to keep it"):
        judge_of(rules, journal).decide(plan(1))
    assert judge_of(rules, journal, Passage(keeps=True)).decide(plan(1)) is Ruling.HOLD


def test_only_the_columns_that_rules_read_are_wanted() -> None:
    """And the key, to name rows; none at all where no rule looks at rows."""
    when = {"field_greater": {"path": "after.salary", "value": 7}}
    rule = {"id": "r", "task_class": "*", "when": when, "action": "deny", "message": "m"}
    assert judge_of(RuleSet.from_dict({"rule": [rule]}), _Journal()).columns == frozenset(
        {"id", "salary"}
    )
    assert judge_of(RuleSet.from_dict({}), _Journal()).columns == frozenset()


def test_a_preview_is_not_recorded() -> None:
    """It says what would be, refused or not, and leaves nothing behind."""
    journal = _Journal()
    passage = Passage(preview=True)
    assert judge_of(RuleSet.from_dict({"default": "deny"}), journal, passage).decide(plan(1)) is (
        Ruling.HOLD
    )
    assert passage.decided is not None
    assert (passage.decided.tier, passage.decided.outcome) == (Tier.BLOCK, "preview")
    assert journal.events == []


def test_unknown_tiers_are_refused(lake: Lake) -> None:
    """Nothing is done."""
    with pytest.raises(InvalidInput, match="unknown tier"):
        lake.delete("staff", where="id = 'e1'", tier="maybe")
