"""JSON text of values: columns, rows and single values agree; changes and hashes of sets."""

from __future__ import annotations

import hashlib
import json
import math
from collections.abc import Callable
from datetime import UTC, date, datetime, time, timedelta, timezone
from decimal import Decimal
from typing import Any

import numpy as np
import pyarrow as pa
import pytest
import rfc8785
from hypothesis import given, settings
from hypothesis import strategies as st

from lakecore.base import CorruptData, InvalidInput
from lakecore.journal._values.multiset import MultisetHash, multiset_hash
from lakecore.journal._values.row_hash import row_record
from lakecore.journal._values.text import day_text
from lakecore.journal._values.values import (
    changed,
    encode_value,
    json_text,
    row_json,
)

TEXT = st.text(st.characters(exclude_categories=["Cs"]), max_size=20)
DECIMAL = st.decimals(-(10**6), 10**6, places=3, allow_nan=False)
SCALARS: list[tuple[pa.DataType, st.SearchStrategy[Any]]] = [
    (pa.bool_(), st.booleans()),
    (pa.int32(), st.integers(-(2**31), 2**31 - 1)),
    (pa.int64(), st.integers(-(2**63), 2**63 - 1) | st.integers(-5, 5)),
    (pa.uint64(), st.integers(0, 2**64 - 1)),
    (pa.float64(), st.floats()),
    (pa.string(), TEXT),
    (pa.binary(), st.binary(max_size=9)),
    (pa.date32(), st.dates()),
    (pa.time64("us"), st.times()),
    (pa.timestamp("us"), st.datetimes()),
    (pa.timestamp("us", tz="UTC"), st.datetimes(timezones=st.just(UTC))),
    (pa.duration("us"), st.timedeltas(timedelta(-99_999), timedelta(99_999))),
    (pa.decimal128(12, 3), DECIMAL),
]
COLUMNS = st.sampled_from(SCALARS).flatmap(
    lambda pair: st.tuples(st.just(pair[0]), st.lists(st.none() | pair[1], max_size=8))
)


def nested(columns: st.SearchStrategy[Any]) -> st.SearchStrategy[Any]:
    """Lists and structs of columns that are given as (type, values)."""

    def lists(column: tuple[pa.DataType, list[Any]]) -> tuple[pa.DataType, list[Any]]:
        kind, values = column
        return pa.list_(kind), [values, None, [], values[:1]]

    def structs(column: tuple[pa.DataType, list[Any]]) -> tuple[pa.DataType, list[Any]]:
        kind, values = column
        fields = [("z", kind), ("é", pa.int8()), ("a", kind)]
        return pa.struct(fields), [None, *({"z": value, "é": 1, "a": None} for value in values)]

    return columns.map(lists) | columns.map(structs)


@settings(max_examples=200, deadline=None)
@given(st.recursive(COLUMNS, nested, max_leaves=3))
def test_columns_and_values_have_the_same_text(column: tuple[pa.DataType, list[Any]]) -> None:
    """`json_text` of a column is `encode_value` of its cells, for every type and nesting."""
    kind, values = column
    texts = json_text(pa.array(values, kind)).to_pylist()
    assert texts == [encode_value(value) for value in values]
    for text in texts:
        json.loads(text, parse_constant=pytest.fail)


@settings(max_examples=100, deadline=None)
@given(st.lists(st.floats(width=32), max_size=8), st.lists(st.floats(width=16), max_size=8))
def test_floats_are_shortest_for_their_own_width(wide: list[float], half: list[float]) -> None:
    """The digits give the same 32 or 16 bits back, and NumPy's scalars agree."""
    for values, kind in ((wide, np.float32), (half, np.float16)):
        array = np.array(values, kind)
        texts = json_text(pa.array(array)).to_pylist()
        assert texts == [encode_value(value) for value in array]
        for value, text in zip(array, texts, strict=True):
            back = kind(json.loads(text).replace("Infinity", "inf") if '"' in text else text)
            assert back == value or (np.isnan(back) and np.isnan(value))


@settings(max_examples=200, deadline=None)
@given(st.floats(allow_nan=False, allow_infinity=False))
def test_a_double_is_read_back_exactly(value: float) -> None:
    """Any JSON reader gets the same bits, the sign of zero included."""
    back = json.loads(encode_value(value))
    assert back == value
    assert math.copysign(1, back) == math.copysign(1, value)


@settings(max_examples=100, deadline=None)
@given(
    st.lists(st.tuples(TEXT, st.sampled_from(SCALARS)), max_size=8, unique_by=lambda pair: pair[0]),
    st.data(),
)
def test_rows_are_objects_in_canonical_order(columns: list[Any], data: st.DataObject) -> None:
    """A row is the object of its cells, names in the order of RFC 8785, nulls included."""
    values = {
        name: data.draw(st.lists(st.none() | strategy, min_size=3, max_size=3))
        for name, (_, strategy) in columns
    }
    arrays = [pa.array(values[name], kind) for name, (kind, _) in columns]
    table = pa.table(arrays, names=list(values))
    rows = row_json(table).to_pylist()
    expected = [
        encode_value({name: values[name][row] for name in values}) for row in range(table.num_rows)
    ]
    assert rows == expected
    order = list(json.loads(rfc8785.dumps(dict.fromkeys(values))))
    assert all(list(json.loads(row)) == order for row in rows)


def test_rows_of_many_chunks_stay_in_order() -> None:
    """Chunk borders of the table and of the encoder leave no trace."""
    numbers = pa.chunked_array([pa.array(range(9)), pa.array(range(9, 40_000))])
    table = pa.table({"n": numbers, "f": pa.array([math.nan] + [0.5] * 39_999)})
    rows = row_json(table).to_pylist()
    assert rows[0] == '{"f":"NaN","n":0}'
    assert [json.loads(row)["n"] for row in rows] == list(range(40_000))
    assert json_text(numbers).to_pylist() == [str(number) for number in range(40_000)]


def test_tables_without_columns_or_rows() -> None:
    """The borders of what a table can be."""
    assert row_json(pa.table({"a": pa.array([], pa.int8())})).to_pylist() == []
    assert json_text(pa.array([], pa.string())).to_pylist() == []
    assert json_text(pa.chunked_array([], pa.string())).type == pa.large_string()


def test_a_name_that_is_there_twice_is_refused() -> None:
    """An object with a repeated name means different things to different readers."""
    column = pa.array([1])
    with pytest.raises(InvalidInput, match="twice: found a"):
        row_json(pa.table([column, column], names=["a", "a"]))
    twice = pa.StructArray.from_arrays([column, column], names=["a", "a"])
    with pytest.raises(InvalidInput, match="twice"):
        json_text(twice)


def test_names_are_names_and_no_patterns() -> None:
    """Names that mean several columns to the encoder's library mean themselves."""
    names = ["*", "^.*$", "", "a", 'q"\\']
    table = pa.table([pa.array([at]) for at in range(5)], names=names)
    assert row_json(table).to_pylist() == ['{"":2,"*":0,"^.*$":1,"a":3,"q\\"\\\\":4}']
    spliced = table.append_column("z", pa.array([math.nan]))
    assert row_json(spliced).to_pylist() == ['{"":2,"*":0,"^.*$":1,"a":3,"q\\"\\\\":4,"z":"NaN"}']


def test_what_has_no_text_is_refused() -> None:
    """Unions, objects, names that are not text, lone surrogates."""
    union = pa.UnionArray.from_dense(
        pa.array([0], pa.int8()), pa.array([0], pa.int32()), [pa.array([1])]
    )
    with pytest.raises(InvalidInput):
        json_text(union)
    for value in (object(), {1: 2}, "\ud800", {"\ud800": 1}, {1, 2}, np.longdouble(1)):
        with pytest.raises(InvalidInput):
            encode_value(value)


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (np.int64(7), "7"),
        (np.bool_(True), "true"),
        (np.float32(0.1), "0.1"),
        (np.float64(0.1), "0.1"),
        (Decimal("NaN"), '"NaN"'),
        (Decimal("1E+2"), '"100"'),
        (
            datetime(2026, 1, 1, tzinfo=timezone(timedelta(hours=2))),
            '"2025-12-31T22:00:00.000000Z"',
        ),
        (date(2026, 1, 1), '"2026-01-01"'),
        (time(1), '"01:00:00.000000"'),
        (bytearray(b"hi"), '"aGk="'),
        ((1, "a", None), '[1,"a",null]'),
    ],
)
def test_single_values_of_python(value: object, text: str) -> None:
    """What Python and NumPy have beside what comes out of Arrow."""
    assert encode_value(value) == text


@given(st.dates())
def test_days_are_those_of_the_calendar(day: date) -> None:
    """The arithmetic for any year agrees with Python's calendar where that reaches."""
    assert day_text(day.toordinal() - date(1970, 1, 1).toordinal()) == day.isoformat()


NAN = math.nan
FLOAT = pa.float64()
WRAPPED: list[tuple[pa.DataType, Callable[[object], object]]] = [
    (FLOAT, lambda value: value),
    (pa.list_(FLOAT), lambda value: [1.0, value]),
    (pa.struct([("a", FLOAT)]), lambda value: {"a": value}),
    (pa.map_(pa.string(), FLOAT), lambda value: [("k", value)]),
    (pa.list_(pa.struct([("a", pa.map_(pa.string(), FLOAT))])), lambda v: [{"a": [("k", v)]}]),
]


@pytest.mark.parametrize(("kind", "wrap"), WRAPPED)
def test_changes_of_floats_at_any_depth(
    kind: pa.DataType, wrap: Callable[[object], object]
) -> None:
    """NaN equals NaN and 0.0 equals -0.0, also inside of lists, structs and maps."""
    pairs = [(NAN, NAN), (0.0, -0.0), (None, None), (1.0, 2.0), (NAN, 1.0), (None, 0.0)]
    old = [wrap(before) for before, _ in pairs]
    new = [wrap(after) for _, after in pairs]
    result = changed(chunked([*old, None, None], kind), chunked([*new, wrap(0.0), None], kind))
    assert result.to_pylist() == [False, False, False, True, True, True, True, False]


@pytest.mark.parametrize(
    ("kind", "values"),
    [
        (pa.string(), ["a", "b", "", None]),
        (pa.string_view(), ["a", "b", "", None]),
        (pa.dictionary(pa.int8(), pa.string()), ["a", "b", "", None]),
        (pa.binary(2), [b"ab", b"cd", None]),
        (pa.decimal256(50, 2), [Decimal("1.00"), Decimal("2.00"), None]),
        (pa.time64("ns"), [time(1), time(2), None]),
        (pa.timestamp("us", tz="UTC"), [datetime(2026, 1, 1, tzinfo=UTC), None]),
        (pa.list_view(pa.int64()), [[1], [], [2], None]),
        (pa.struct([]), [{}, None]),
        (pa.bool_(), [True, False, None]),
    ],
)
def test_changes_of_every_pair(kind: pa.DataType, values: list[object]) -> None:
    """Exactly the pairs of unequal values are changes, null among them."""
    pairs = [(before, after) for before in range(len(values)) for after in range(len(values))]
    old = chunked([values[before] for before, _ in pairs], kind)
    new = chunked([values[after] for _, after in pairs], kind)
    assert changed(old, new).to_pylist() == [before != after for before, after in pairs]


def test_columns_that_cannot_be_compared_are_refused() -> None:
    """Another type or length is a mistake of the caller; another encoding is none."""
    with pytest.raises(InvalidInput, match="one type"):
        changed(chunked([1], pa.int64()), chunked([1], pa.int32()))
    with pytest.raises(InvalidInput, match="one length"):
        changed(chunked([1], pa.int64()), chunked([], pa.int64()))
    same = changed(chunked(["a"], pa.large_string()), chunked(["a"], pa.string()))
    assert same.to_pylist() == [False]
    assert changed(chunked([], pa.int64()), chunked([], pa.int64())).to_pylist() == []


def chunked(values: list[Any], kind: pa.DataType) -> pa.ChunkedArray:
    """A column of two chunks."""
    half = len(values) // 2
    return pa.chunked_array([pa.array(values[:half], kind), pa.array(values[half:], kind)])


ROWS = st.lists(st.sampled_from([1, 2, None]), max_size=12)


def table_of(values: list[Any]) -> pa.Table:
    """A table of one column."""
    return pa.table({"a": pa.array(values, pa.int64())})


@settings(deadline=None)
@given(ROWS, ROWS, st.randoms())
def test_a_multiset_hash_knows_rows_and_no_order(
    first: list[int | None], second: list[int | None], random: Any
) -> None:
    """Order and grouping do not matter, repetition does, and rows can be taken out again."""
    whole = multiset_hash(table_of([*first, *second]))
    shuffled = [*first, *second]
    random.shuffle(shuffled)
    assert multiset_hash(table_of(shuffled)) == whole
    parts = [multiset_hash(table_of(rows)) for rows in (first, second)]
    assert parts[0] + parts[1] == whole
    assert whole - parts[1] == parts[0]
    rest = whole.copy()
    rest.subtract(table_of(second))
    assert rest == parts[0]
    rest.merge(parts[1])
    assert rest == whole
    assert (parts[0] == parts[1]) is (sorted(map(str, first)) == sorted(map(str, second)))
    assert MultisetHash.from_json(json.loads(json.dumps(whole.to_json()))) == whole


def test_a_multiset_hash_is_the_sum_of_digests() -> None:
    """Anybody can recompute it: four little-endian 64-bit lanes, modulo 2^64."""
    rows = table_of(list(range(2_000)))
    lanes = [0, 0, 0, 0]
    for row in rows.to_pylist():
        digest = hashlib.sha256(row_record(row, rows.schema)).digest()
        for lane in range(4):
            lanes[lane] += int.from_bytes(digest[8 * lane : 8 * lane + 8], "little")
    expected = b"".join((lane % (1 << 64)).to_bytes(8, "little") for lane in lanes)
    result = multiset_hash(rows)
    assert result.hex() == expected.hex()
    assert result.count == 2_000
    assert result.hex() in repr(result)
    assert MultisetHash().to_json() == {"count": 0, "sum": "00" * 32}


@pytest.mark.parametrize(
    "document",
    [None, {}, {"count": 1, "sum": "00"}, {"count": "1", "sum": "00" * 32}, {"count": 1}],
)
def test_a_damaged_multiset_hash_is_corrupt(document: object) -> None:
    """What is not of the form is refused."""
    with pytest.raises(CorruptData):
        MultisetHash.from_json(document)
