"""Many contexts at once: counts, samples, bounds, and what is said of them."""

from __future__ import annotations

import json
from typing import Any

import numpy as np
import pyarrow as pa
import pytest

from lakecore.base import InvalidInput
from lakecore.truth import ACTIONS, Action, BatchDecision, RuleSet, change_rows
from lakecore.truth import _bounds as bounds


def rules(*conditions: Any, **members: Any) -> RuleSet:
    """A rule set: the first rule denies, the second warns, the third asks for an approval."""
    actions = ("deny", "warn", "require_approval", "allow")
    return RuleSet.from_dict(
        {
            "default": members.pop("default", "allow"),
            "rule": [
                {
                    "id": f"r{n}",
                    "task_class": "*",
                    "when": {"cel": when} if isinstance(when, str) else when,
                    "action": actions[n],
                    "message": "m",
                    **members,
                }
                for n, when in enumerate(conditions)
            ],
        }
    )


def ask(ours: RuleSet, after: dict[str, Any], **shared: Any) -> BatchDecision:
    """Evaluate an insert of these columns."""
    return ours.evaluate_rows("x", change_rows(None, pa.table(after)), shared)


def test_each_row_has_its_strongest_action() -> None:
    """By row; the batch's is the strongest of all."""
    batch = ask(
        rules("after.a == 3", "after.a >= 2", "after.b"), {"a": [1, 2, 3], "b": [False] * 3}
    )
    assert [ACTIONS[code].value for code in batch.actions] == ["allow", "warn", "deny"]
    assert batch.actions.dtype == np.int8
    assert batch.action is Action.DENY
    assert batch.counts[Action.WARN] == 1
    assert [(c.fired, c.errors, c.samples, c.reason) for c in batch.rules] == [
        (1, 0, [2], None),
        (2, 0, [1, 2], None),
        (0, 0, [], None),
    ]
    assert json.loads(json.dumps(batch.to_dict()))["rows"] == 3


def test_samples_are_the_first_twenty() -> None:
    """Over several chunks of the table, too."""
    values = pa.chunked_array([[0] * 70_000, [1] * 15, [0] * 5, [1] * 100_000])
    rows = pa.table({"n": values})
    batch = rules("n == 1").evaluate_rows("x", rows)
    assert batch.rules[0].fired == 100_015
    assert batch.rules[0].samples == [*range(70_000, 70_015), *range(70_020, 70_025)]


def test_no_rows() -> None:
    """Nothing fires; what is decided is the default."""
    rows = pa.table({"n": pa.array([], pa.int64())})
    assert rules("n == 1").evaluate_rows("x", rows).action is Action.ALLOW
    strict = rules("n == 1", default="deny").evaluate_rows("x", rows)
    assert (strict.action, len(strict.actions)) == (Action.DENY, 0)


def test_a_default_is_lifted_by_row() -> None:
    """Only the rows that a rule allows."""
    conditions = ({"not": {"always": True}}, "n == 5", "n == 6", "n > 1")
    batch = rules(*conditions, default="deny").evaluate_rows("x", pa.table({"n": [1, 2, 5, 6]}))
    assert [ACTIONS[code].value for code in batch.actions] == [
        *("deny", "allow", "warn", "require_approval"),
    ]


def test_rows_that_fail_are_counted_and_explained() -> None:
    """Errors by row; the first one's reason is the single evaluator's."""
    batch = ask(rules("after.a > 1"), {"a": [1, None, 2, None]})
    (count,) = batch.rules
    assert (count.fired, count.errors, count.samples) == (3, 2, [1, 2, 3])
    assert count.error == "after.a > 1: No matching overloads found : _>_(null_type, int64)"
    assert batch.decision(1).outcomes[0].error == count.error
    assert batch.actions.tolist() == [0, 3, 3, 3]


def test_failures_may_be_skipped() -> None:
    """They are reported, and demand nothing."""
    batch = ask(rules("after.nothing > 1", on_error="skip"), {"a": [1, 2]})
    (count,) = batch.rules
    assert (count.fired, count.errors, batch.action) == (0, 2, Action.ALLOW)
    assert "Key not found" in str(count.error)


def test_what_needs_rows_says_so() -> None:
    """A loop is evaluated row by row, and the batch tells."""
    batch = ask(rules("after.l.exists(x, x > 2)"), {"l": [[1], [3], []], "wide": [1, 2, 3]})
    (count,) = batch.rules
    assert (count.fired, count.rows_one_by_one) == (1, 3)
    assert count.reason == "comprehension over columns"


def test_rows_beyond_the_bound_fail_closed(monkeypatch: pytest.MonkeyPatch) -> None:
    """They are not looked at, count as errors, and are denied; the bound is one for all chunks."""
    monkeypatch.setattr(bounds, "MAX_FALLBACK_ROWS", 5)
    rows = pa.table({"l": pa.chunked_array([[[1], [1], [1]], [[3], [1], [1], [1]]])})
    (count,) = (batch := rules("l.exists(x, x > 2)").evaluate_rows("x", rows)).rules
    assert (count.fired, count.errors, count.rows_one_by_one) == (3, 2, 5)
    assert count.rows_not_evaluated == 2
    assert "not more than 5 rows" in str(count.error)
    assert batch.actions.tolist() == [0, 0, 0, 3, 0, 3, 3]


def test_shared_members_decide_before_rows_are_looked_at() -> None:
    """What does not hold for the whole change costs no look at its rows."""
    ours = rules("op == 'delete' && after.l.exists(x, x > 2)")
    (count,) = ask(ours, {"l": [[3]]}, op="update").rules
    assert (count.fired, count.rows_one_by_one) == (0, 0)
    (count,) = ask(ours, {"l": [[3]]}, op="delete").rules
    assert (count.fired, count.rows_one_by_one) == (1, 1)


def test_a_column_wins_over_a_shared_member() -> None:
    """In both evaluators."""
    batch = rules("n == 1").evaluate_rows("x", pa.table({"n": [1, 2]}), {"n": 1})
    assert batch.actions.tolist() == [3, 0]
    assert batch.decision(1).action is Action.ALLOW


@pytest.mark.parametrize(
    ("expression", "values"),
    [
        ("after.v == 'a'", pa.array(["a", "b"]).dictionary_encode()),
        ("after.v.startsWith('a')", pa.array(["a", "b"], pa.large_string())),
        ("after.v in ['a', 'c']", pa.array(["xx", "a", "b"]).slice(1)),
        ("size(after.v) == 1", pa.array(["é", "ab"])),
        ("size(after.v) == 1", pa.array(["a", "é" * 2])),
        ("after.v == 1", pa.array([1, 2], pa.uint16())),
        ("after.v", pa.array([None, True, False]).slice(1)),
        ("after.v > 0.25", pa.array([0.5, 0.1], pa.float32())),
        (
            "timestamp(after.v) < timestamp('1970-01-01T00:00:00.000001Z')",
            pa.array([0, 1], pa.timestamp("us", "UTC")),
        ),
        ("after.v == 2 || after.v == 3", pa.RunEndEncodedArray.from_arrays([1, 2], [3, 4])),
    ],
)
def test_types_and_slices_are_evaluated_by_columns(expression: str, values: pa.Array) -> None:
    """The first of two rows fires; nothing is looked at row by row."""
    batch = ask(rules(expression), {"v": values})
    assert batch.actions.tolist() == [3, 0]
    assert batch.rules[0].rows_one_by_one == 0
    assert batch.decision(0).action is Action.DENY


def test_record_batches_and_names() -> None:
    """A record batch will do; two columns of one name will not; rows have numbers."""
    batch = rules("n == 1").evaluate_rows("x", pa.record_batch({"n": [1]}))
    assert batch.action is Action.DENY
    with pytest.raises(InvalidInput, match="no such row"):
        batch.decision(1)
    twice = pa.Table.from_arrays([pa.array([1]), pa.array([2])], names=["n", "n"])
    with pytest.raises(InvalidInput, match="one name"):
        rules("n == 1").evaluate_rows("x", twice)


def test_whether_there_is_a_row_is_told_by_columns() -> None:
    """An insert has nothing before; that needs no look at rows one by one."""
    rules = RuleSet.from_dict(
        {
            "rule": [
                {"id": name, "task_class": "*", "when": when, "action": "deny", "message": "m"}
                for name, when in (
                    ("empty", {"field_empty": "before"}),
                    ("null", {"cel": "before == null"}),
                    ("there", {"cel": "before != null"}),
                )
            ]
        }
    )
    before = pa.table({"a": [1, 2, 3]})
    existed = pa.array([True, False, True])
    batch = rules.evaluate_rows("any", change_rows(before, before, existed=existed))
    assert [(count.fired, count.rows_one_by_one) for count in batch.rules] == [
        (1, 0),
        (1, 0),
        (2, 0),
    ]
    nothing = change_rows(before.select([]), None, existed=existed)
    assert rules.evaluate_rows("any", nothing).rules[0].fired == 3
    assert rules.evaluate("any", {"before": {}}).outcomes[0].fired
