"""What rules need of a change: with nothing else at hand they answer the same."""

from __future__ import annotations

from typing import Any

import pyarrow as pa
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from tests.unit.truth.test_equal_evaluators import SHARED, conditions, rules_of, tables

from lakecore.truth import RuleSet, change_rows


def needs_of(condition: Any, **known: Any) -> tuple[Any, Any, bool, bool]:
    """What one rule needs."""
    needs = rules_of([condition]).needs("any", known)
    return needs.before, needs.after, needs.changed, needs.size


def side(*names: str) -> frozenset[str]:
    """Columns."""
    return frozenset(names)


PLANES = {"field_equals": {"path": "dataset", "value": "planes"}}
SEATS = {"field_greater": {"path": "after.seats", "value": 853}}


@pytest.mark.parametrize(
    ("condition", "before", "after", "changed", "size"),
    [
        ({"always": True}, side(), side(), False, False),
        (SEATS, side(), side("seats"), False, False),
        ({"field_empty": r"before.a\.b"}, side("a.b"), side(), False, False),
        ({"field_empty": "after.o.p.0"}, side(), side("o"), False, False),
        ({"field_empty": "before"}, None, side(), False, False),
        ({"field_greater": {"path": "size.rows", "value": 1}}, side(), side(), False, True),
        ({"cel": "after.a > before.b * 2"}, side("b"), side("a"), False, False),
        ({"cel": "after['a b'] == null"}, side(), side("a b"), False, False),
        ({"cel": "after[op] == null"}, side(), None, False, False),
        ({"cel": "has(after.a.b) && size.fraction > 0.5"}, side(), side("a"), False, True),
        ({"cel": "'a' in changed"}, side(), side(), True, False),
        ({"cel": "changed.exists(name, name == 'x')"}, side(), side(), True, False),
        ({"cel": "after.tags.all(after, after == 'x')"}, side(), side("tags"), False, False),
        ({"not": {"any": [SEATS, {"cel": "before.x"}]}}, side("x"), side("seats"), False, False),
        ({"cel": "before == null"}, None, side(), False, False),
    ],
)
def test_what_conditions_read(
    condition: Any, before: Any, after: Any, changed: bool, size: bool
) -> None:
    """Columns of each side, all of them where a row is looked at as a whole."""
    assert needs_of(condition) == (before, after, changed, size)


def test_what_follows_from_needs() -> None:
    """Whether rows are looked at at all, and the columns of both sides."""
    nothing = RuleSet.from_dict({}).needs("update")
    assert (nothing.rows, nothing.columns) == (False, frozenset())
    both = rules_of([{"cel": "after.a > before.b"}]).needs("any")
    assert (both.rows, both.columns) == (True, side("a", "b"))
    assert rules_of([{"cel": "'a' in changed"}]).needs("any").rows
    assert rules_of([{"field_empty": "after"}]).needs("any").columns is None
    other = rules_of([SEATS], task_class="update").needs("insert")
    assert not other.rows


@pytest.mark.parametrize(
    ("condition", "needed"),
    [
        ({"all": [PLANES, SEATS]}, False),
        ({"all": [SEATS, PLANES]}, False),
        ({"any": [PLANES, SEATS]}, True),
        ({"all": [{"not": PLANES}, SEATS]}, True),
        ({"all": [{"not": {"any": [{"not": PLANES}, SEATS]}}]}, False),
        ({"cel": "dataset == 'planes' && after.seats > 3"}, False),
        ({"cel": "after.seats > 3 && dataset in ['planes', 'trains']"}, False),
        ({"cel": "dataset != 'flights' && after.seats > 3"}, False),
        ({"cel": "!(dataset == 'planes') && after.seats > 3"}, True),
        ({"cel": "dataset == 'planes' || after.seats > 3"}, True),
        ({"cel": "dataset == op && after.seats > 3"}, True),
        ({"cel": "dataset.startsWith('pl') && after.seats > 3"}, True),
        ({"all": [{"field_greater": {"path": "dataset", "value": 3}}, SEATS]}, True),
        ({"all": [{"field_empty": "dataset"}, SEATS]}, False),
    ],
)
def test_rules_about_other_datasets_need_nothing(condition: Any, needed: bool) -> None:
    """Where what is known beforehand keeps them from firing; not where it only may."""
    found = needs_of(condition, dataset="flights")[1]
    assert found == (side("seats") if needed else side())


@pytest.mark.parametrize(
    "condition",
    [
        {"cel": "'seats' in changed"},
        {"all": [{"cel": "'seats' in changed"}, SEATS]},
        {"cel": "after.seats > before.seats"},
        {"all": [SEATS, {"field_greater": {"path": "size.rows", "value": 1}}]},
        {"field_empty": "before"},
    ],
)
def test_what_is_named_is_needed(condition: Any) -> None:
    """With what is named alone rows are decided as with everything; with less they are not."""
    rules = rules_of([condition])
    planes = pa.table({"seats": [900, 1000], "x": [1, 2]})
    changed = pa.array([["seats"], ["x"]])
    existed = pa.array([True, False])
    rows = change_rows(planes, planes, existed=existed, changed=changed)
    shared = {"size": {"rows": 2}}
    needs = rules.needs("any")
    left = pruned(rows, needs.before, needs.after, changed=needs.changed)
    kept = shared if needs.size else {}
    whole = rules.evaluate_rows("any", rows, shared)
    part = rules.evaluate_rows("any", left, kept)
    assert [count.to_dict() for count in part.rules] == [c.to_dict() for c in whole.rules]
    nothing = pruned(rows, side(), side(), changed=False)
    bare = rules.evaluate_rows("any", nothing, {})
    assert [count.to_dict() for count in bare.rules] != [c.to_dict() for c in whole.rules]


@settings(max_examples=40, deadline=None, suppress_health_check=list(HealthCheck), print_blob=True)
@given(
    chosen=st.lists(conditions, min_size=1, max_size=3),
    guarded=st.lists(st.booleans(), min_size=3, max_size=3),
    rows=tables(),
    missing=st.sampled_from(("error", "null")),
    dataset=st.sampled_from(("planes", "flights")),
)
def test_nothing_else_is_read(
    chosen: list[Any], guarded: list[bool], rows: pa.Table, missing: str, dataset: str
) -> None:
    """Whatever is not named as needed can be taken away: each row is decided as before."""
    asked = [
        {"all": [PLANES, condition]} if guard else condition
        for condition, guard in zip(chosen, guarded, strict=False)
    ]
    rules = rules_of(asked, missing=missing)
    known = {"dataset": dataset, "op": SHARED["op"]}
    shared = {**SHARED, **known}
    needs = rules.needs("any", known)
    kept = dict(shared)
    if not needs.size:
        del kept["size"]
    left = pruned(rows, needs.before, needs.after, changed=needs.changed)
    whole, part = rules.evaluate_rows("any", rows, shared), rules.evaluate_rows("any", left, kept)
    assert part.actions.tolist() == whole.actions.tolist()
    assert [count.fired for count in part.rules] == [count.fired for count in whole.rules]
    assert [count.errors for count in part.rules] == [count.errors for count in whole.rules]
    for row in range(rows.num_rows):
        assert part.decision(row).action is whole.decision(row).action


def pruned(
    rows: pa.Table, before: frozenset[str] | None, after: frozenset[str] | None, *, changed: bool
) -> pa.Table:
    """The contexts without what is not needed; a side keeps its nulls."""
    columns: dict[str, Any] = {}
    for name, wanted in (("before", before), ("after", after)):
        column = rows[name].combine_chunks()
        if wanted is None or pa.types.is_null(column.type):
            columns[name] = column
            continue
        table = pa.Table.from_batches([pa.RecordBatch.from_struct_array(column)])
        kept = table.select([one for one in table.column_names if one in wanted])
        made = change_rows(kept, None, existed=column.is_valid())
        columns[name] = made["before"]
    if changed:
        columns["changed"] = rows["changed"]
    return pa.table(columns)


def test_rows_without_columns_are_still_rows() -> None:
    """A dataset that has none of the columns that rules read: they fail, row by row."""
    rules = rules_of([SEATS])
    nothing = pa.table({"a": [1, 2, 3]}).select([])
    rows = change_rows(nothing, nothing, existed=pa.array([True, False, True]))
    assert rows["before"].to_pylist() == [{}, None, {}]
    batch = rules.evaluate_rows("any", rows)
    assert (batch.rules[0].errors, batch.decision(2).errors[0].error) == (
        3,
        "after.seats is not there",
    )
