"""Rules held against all datasets of a lake."""

from __future__ import annotations

from typing import Any

import pyarrow as pa

from lakecore.truth import RuleSet

SCHEMAS = {
    "planes": pa.schema({"tailnum": pa.string(), "seats": pa.int32()}),
    "flights": pa.schema({"tailnum": pa.string(), "delay": pa.float64()}),
    "empty": None,
}
SEATS = {"field_greater": {"path": "after.seats", "value": 853}}
PLANES = {"field_equals": {"path": "dataset", "value": "planes"}}


def found(*whens: Any, schemas: Any = None, tiers: Any = (), **members: Any) -> list[Any]:
    """Kind, severity, rules and path of the findings."""
    rules = RuleSet.from_dict(
        {
            "rule": [
                {
                    "id": f"r{number}",
                    "task_class": "*",
                    "when": {"cel": when} if isinstance(when, str) else when,
                    "action": "deny",
                    "message": "m",
                    **members,
                }
                for number, when in enumerate(whens)
            ],
            "tier": list(tiers),
        }
    )
    findings = rules.check_datasets(SCHEMAS if schemas is None else schemas)
    return [(f.kind, f.severity.value, f.rules, f.path) for f in findings]


def test_a_column_that_no_dataset_has_is_an_error() -> None:
    """It is misspelt: the rule would refuse every change, or none."""
    wrong = {"field_greater": {"path": "after.seat", "value": 853}}
    assert found(wrong) == [("unknown_path", "error", ("r0",), "after.seat")]
    assert found(wrong, missing="null") == [("unknown_path", "warning", ("r0",), "after.seat")]
    (finding,) = RuleSet.from_dict(
        {"rule": [{"id": "r", "task_class": "*", "when": wrong, "action": "deny", "message": "m"}]}
    ).check_datasets(SCHEMAS)
    assert finding.message == "there is no column seat (in flights, planes)"
    assert finding.nearest == ("seats",)


def test_a_column_that_some_datasets_lack_is_a_warning() -> None:
    """There the rule fails closed, unless it says that it is about another dataset."""
    assert found(SEATS) == [("unknown_path", "warning", ("r0",), "after.seats")]
    assert found(SEATS, missing="null") == []
    assert found({"all": [PLANES, SEATS]}) == []
    assert found("dataset == 'planes' && after.seats > 853") == []
    assert found("dataset == 'flights' && after.seats > 853") == [
        ("unknown_path", "error", ("r0",), "after.seats")
    ]


def test_values_that_cannot_compare() -> None:
    """By the type of the column in the datasets that the rule is about."""
    text = {"field_greater": {"path": "after.seats", "value": "many"}}
    assert found({"all": [PLANES, text]}) == [("not_comparable", "error", ("r0",), "after.seats")]


def test_paths_beside_the_rows_are_looked_at_once() -> None:
    """What a change has no member for is told without any dataset, and once with many."""
    wrong = {"field_empty": "sise.rows"}
    error = [("unknown_path", "error", ("r0",), "sise.rows")]
    assert found(wrong) == error
    assert found(wrong, schemas={}) == error


def test_datasets_that_are_not_there() -> None:
    """A rule or an entry about none: its name may be misspelt."""
    other = {"all": [{"field_equals": {"path": "dataset", "value": "plnaes"}}, SEATS]}
    assert found(other) == [("no_dataset", "warning", ("r0",), "")]
    assert found({"not": {"always": True}}) == []
    tiers = [{"dataset": "plane", "auto": {}}, {"dataset": "fli*", "auto": {}}]
    assert found(tiers=tiers) == [("no_dataset", "warning", (), "tier[0]")]
    assert found(other, SEATS, tiers=tiers, schemas={}) == []
    assert found(SEATS, schemas={"empty": None}) == []
