"""Conditions and assignments: what they mean, and what is refused before anything is read."""

from __future__ import annotations

from datetime import date

import pyarrow as pa
import pytest

from lakecore.base import InvalidInput
from lakecore.tables import Sql
from lakecore.tables._sql import Assignments, Condition

SCHEMA = pa.schema(
    [
        ("id", pa.int64()),
        ("Name", pa.string()),
        ("seats", pa.int32()),
        ("day", pa.date32()),
        ("ratio", pa.float64()),
    ]
)
ROWS = pa.table(
    {
        "id": [1, 2, 3],
        "Name": ["a", None, "c"],
        "seats": pa.array([10, 20, None], pa.int32()),
        "day": [date(2020, 1, 1), date(2021, 1, 1), None],
        "ratio": [0.5, float("nan"), None],
    },
    schema=SCHEMA,
)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("id = 2", [False, True, False]),
        ('"Name" is null', [False, True, False]),
        ("seats > 5 and id <> 1", [False, True, False]),
        ("day >= '2020-06-01'", [False, True, False]),
        ("true", [True, True, True]),
        ("null", [False, False, False]),
        ("1 = 1", [True, True, True]),
        ("\"Name\" = 'a' or \"Name\" like 'c%'", [True, False, True]),
    ],
)
def test_conditions(text: str, expected: list[bool]) -> None:
    """Row by row; what is neither true nor false does not match."""
    condition = Condition(text, SCHEMA)
    rows = ROWS.select(condition.columns)
    assert condition.matches(rows).tolist() == expected


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("seat = 1", "no such column"),
        ("name = 'a'", "no such column"),
        ("seats", "not a condition"),
        ("id = 'x'", "not an expression"),
        ("id = 1) or (1 = 1", "not an expression"),
        ("id = 1; delete from t", "not an expression"),
        ("exists (select 1)", "no place here"),
        ("id in (select 1)", "no place here"),
        ("sum(id) > 1", "no place here"),
        ("", "not an expression"),
    ],
)
def test_bad_conditions(text: str, words: str) -> None:
    """Refused by planning it over no rows."""
    with pytest.raises(InvalidInput, match=words):
        Condition(text, SCHEMA)


def test_unknown_columns_have_a_hint() -> None:
    """The nearest name; names with capitals need their quotes."""
    with pytest.raises(InvalidInput) as caught:
        Condition("seat = 1", SCHEMA)
    assert caught.value.hint == "did you mean 'seats'?"
    with pytest.raises(InvalidInput) as caught:
        Condition("Name = 'a'", SCHEMA)
    assert '"Name"' in (caught.value.hint or "")


def test_assignments_are_typed() -> None:
    """Literals take the column's type, also from text; expressions are cast without loss."""
    values = {"seats": Sql("id * 2"), "Name": "x", "day": "2024-02-29", "ratio": None}
    found = Assignments(values, SCHEMA).evaluate(ROWS)
    assert found.schema == pa.schema([SCHEMA.field(n) for n in ("Name", "seats", "day", "ratio")])
    assert found.column("seats").to_pylist() == [2, 4, 6]
    assert found.column("day").to_pylist() == [date(2024, 2, 29)] * 3
    assert found.column("ratio").null_count == 3


@pytest.mark.parametrize(
    "values",
    [
        {},
        {"seat": 1},
        {"seats": "many"},
        {"seats": 1.5},
        {"seats": Sql("nothing")},
        {"seats": Sql("1 +")},
        {"day": "2024-02-30"},
    ],
)
def test_bad_assignments(values: dict[str, object]) -> None:
    """Refused before any row is read."""
    with pytest.raises(InvalidInput):
        Assignments(values, SCHEMA)


def test_expressions_that_do_not_fit_some_row() -> None:
    """An expression of the right type may still give a value that the column cannot hold."""
    assignments = Assignments({"seats": Sql("id * 1000000000")}, SCHEMA)
    with pytest.raises(InvalidInput, match="column 'seats', row 3"):
        assignments.evaluate(ROWS)


def test_rows_are_not_kept() -> None:
    """A condition and assignments over any number of chunks hold none of them."""
    schema = pa.schema([("id", pa.int64()), ("amount", pa.float64())])
    condition = Condition("id % 2 = 0", schema)
    assignments = Assignments({"amount": Sql("amount + 1")}, schema)
    before = pa.total_allocated_bytes()
    for first in range(0, 1_000_000, 50_000):
        ids = pa.array(range(first, first + 50_000), pa.int64())
        rows = pa.table([ids, ids.cast(pa.float64())], schema=schema)
        assert condition.matches(rows.select(["id"])).sum() == 25_000
        assert assignments.evaluate(rows).num_rows == 50_000
    del ids, rows
    assert pa.total_allocated_bytes() - before < 1_000_000


@pytest.mark.parametrize(
    ("text", "columns", "expected"),
    [
        ("1 = 1 or seats > 5", None, [True, True, True]),
        ("id = 1 and (1 = 1 or seats > 5)", ["id"], [True, False, False]),
        ("case when true then id = 2 else ratio > 1 end", ["id"], [False, True, False]),
        ("\"Name\" = 'x' and 1 = 0 and seats > 5", None, [False, False, False]),
    ],
)
def test_a_column_that_is_named_and_not_read(
    text: str, columns: list[str] | None, expected: list[bool]
) -> None:
    """The optimiser leaves it away, and the condition is still one over the table."""
    condition = Condition(text, SCHEMA)
    assert columns is None or condition.columns == columns
    assert condition.matches(ROWS.select(condition.columns)).tolist() == expected


def test_what_assignments_read() -> None:
    """The columns that are assigned and those that expressions need, no others."""
    some = Assignments({"seats": Sql("coalesce(1, id)"), "ratio": 2.5}, SCHEMA)
    assert some.columns == {"seats", "ratio", "id"}
    rows = ROWS.select([name for name in SCHEMA.names if name in some.columns])
    assert some.evaluate(rows).to_pydict() == {"seats": [1, 1, 1], "ratio": [2.5, 2.5, 2.5]}
    other = Assignments({"seats": Sql("id * 2"), "Name": Sql('upper("Name")')}, SCHEMA)
    assert other.columns == {"seats", "id", "Name"}
