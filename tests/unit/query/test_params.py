"""Values for $name and $1: every type, and what is refused."""

from __future__ import annotations

import re
from datetime import UTC, date, datetime, time
from decimal import Decimal
from typing import Any

import pyarrow as pa
import pytest

from lakecore.base import InvalidInput
from lakecore.query import QueryEngine


@pytest.mark.parametrize(
    "value",
    [
        None,
        True,
        0,
        -(2**63),
        2**63 - 1,
        1.5,
        float("inf"),
        "",
        'it\'s "quoted"; drop table planes --',
        "ζ 日本 \U0001f600",
        b"\x00\xff",
        date(2026, 1, 31),
        datetime(2026, 1, 31, 12, 30, 15, 123456),
        datetime(2026, 1, 31, 12, 30, 15, 123456, tzinfo=UTC),
        time(12, 30, 15, 123456),
        Decimal("12345678901234567890.0123456789"),
        Decimal("-0.01"),
        [1, 2, 3],
        ["a", None],
        {"a": 1, "b": "x"},
    ],
)
def test_values_come_back_as_they_were(engine: QueryEngine, value: object) -> None:
    """A parameter is a value, never text that is parsed."""
    assert engine.sql("select $value as v", {"value": value}).to_pylist() == [{"v": value}]
    assert engine.sql("select $1 as v", [value]).to_pylist() == [{"v": value}]


def test_parameters_in_conditions(engine: QueryEngine) -> None:
    """Named and numbered, in WHERE, IN, LIMIT and functions."""
    named = engine.sql(
        "select tailnum from planes where seats >= $least and maker = $maker order by 1 limit $few",
        {"least": 100, "maker": "AIRBUS", "few": 1},
    )
    assert named.to_pylist() == [{"tailnum": "N102UW"}]
    numbered = engine.sql("select count(*) n from planes where seats between $1 and $2", (50, 60))
    assert numbered.to_pylist() == [{"n": 1}]
    among = engine.sql(
        "select count(*) n from planes where array_has($names, tailnum)",
        {"names": ["N10156", "N103US", "N0"]},
    )
    assert among.to_pylist() == [{"n": 2}]


def test_names_may_have_their_dollar(engine: QueryEngine) -> None:
    """`$x` and `x` name one parameter; Arrow scalars keep their type."""
    assert engine.sql("select $x as v", {"$x": 1}).to_pylist() == [{"v": 1}]
    scalar = pa.scalar(1, pa.int16())
    assert engine.sql("select $x as v", {"x": scalar}).schema.field("v").type == pa.int16()


def test_a_missing_parameter_is_named(engine: QueryEngine) -> None:
    """The placeholder that has no value, and where it stands."""
    with pytest.raises(InvalidInput) as caught:
        engine.sql("select $here, $gone as v", {"here": 1}).to_arrow()
    assert caught.value.found == "$gone"
    assert caught.value.where == "line 1, column 15"


@pytest.mark.parametrize(
    ("params", "message"),
    [
        ("abc", "a mapping for $name or a list for $1"),
        (5, "a mapping for $name or a list for $1"),
        ({"a b": 1}, "no name for a parameter"),
        ({"x": object()}, "at $x"),
        ({"x": 2**70}, "at $x"),
        ({"x": ["a", 1]}, "at $x"),
        ([1, object()], "at $2"),
    ],
)
def test_values_without_a_type_are_refused(engine: QueryEngine, params: Any, message: str) -> None:
    """The error names the parameter and what would do."""
    with pytest.raises(InvalidInput, match=re.escape(message)):
        engine.sql("select 1", params)


def test_a_value_that_does_not_fit_is_refused(engine: QueryEngine) -> None:
    """Text where a number is compared."""
    with pytest.raises(InvalidInput, match="Cannot cast string 'many'"):
        engine.sql("select * from planes where seats > $1", ["many"]).to_arrow()
