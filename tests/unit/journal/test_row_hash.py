"""Row hash version 1: one definition, and a fast way to the same bytes."""

from __future__ import annotations

import hashlib
import json
import math
import random
from datetime import UTC, date, datetime
from decimal import Decimal
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lakecore.base import InvalidInput
from lakecore.journal._values.row_hash import kind_of, row_hashes, row_record

GOLDEN = Path(__file__).parents[2] / "golden" / "row_hash_v1.json"
TYPES: dict[str, tuple[pa.DataType, st.SearchStrategy[Any]]] = {
    "int": (pa.int64(), st.integers(-(2**63), 2**63 - 1)),
    "small": (pa.int8(), st.integers(-128, 127)),
    "float": (pa.float64(), st.floats()),
    "short float": (pa.float32(), st.floats(width=32)),
    "bool": (pa.bool_(), st.booleans()),
    "date": (pa.date32(), st.dates()),
    "moment": (pa.timestamp("us", tz="UTC"), st.datetimes(timezones=st.just(UTC))),
    "zoneless": (pa.timestamp("us"), st.datetimes()),
    "text": (pa.string(), st.text(max_size=5)),
    "few": (pa.string(), st.sampled_from(["", "a", "é"])),
    "bytes": (pa.binary(), st.binary(max_size=5)),
    "decimal": (pa.decimal128(9, 2), st.decimals(-1_000, 1_000, places=2)),
    "list": (pa.list_(pa.int64()), st.lists(st.integers(-9, 9), max_size=3)),
}
SCHEMA = pa.schema([(name, kind) for name, (kind, _) in TYPES.items()])
ROW = st.fixed_dictionaries({name: st.none() | values for name, (_, values) in TYPES.items()})


def digests(table: pa.Table) -> list[str]:
    return [bytes(row).hex() for row in row_hashes(table)]


def table_of(rows: list[dict[str, Any]], schema: pa.Schema = SCHEMA) -> pa.Table:
    return pa.Table.from_pylist(rows, schema=schema)


@settings(deadline=None)
@given(st.lists(ROW, max_size=6))
def test_both_ways_give_the_same_bytes(rows: list[dict[str, Any]]) -> None:
    """Column by column and value by value, for every kind, with nulls."""
    expected = [hashlib.sha256(row_record(row, SCHEMA)).hexdigest() for row in rows]
    assert digests(table_of(rows)) == expected


@settings(deadline=None, max_examples=20)
@given(st.lists(ROW, min_size=1, max_size=6), st.randoms(use_true_random=False))
def test_only_values_matter(rows: list[dict[str, Any]], chance: random.Random) -> None:
    """Neither the order of columns, nor chunks, nor the encoding of a column."""
    table = table_of(rows)
    names = list(SCHEMA.names)
    chance.shuffle(names)
    assert digests(table.select(names)) == digests(table)
    assert digests(pa.concat_tables([table.slice(0, 1), table.slice(1)])) == digests(table)
    encoded = table.set_column(
        table.schema.get_field_index("few"), "few", table["few"].dictionary_encode()
    )
    assert digests(encoded) == digests(table)
    large = table.set_column(
        table.schema.get_field_index("text"), "text", table["text"].cast(pa.large_string())
    )
    assert digests(large) == digests(table)


def test_many_rows_are_hashed_each_for_itself() -> None:
    """Over several chunks, with few and with many distinct texts."""
    count = 40_000
    table = pa.table(
        {
            "n": pa.array(range(count), pa.int32()),
            "few": [None if n % 5 == 0 else f"t{n % 3}" for n in range(count)],
            "many": [f"x{n}" for n in range(count)],
        }
    )
    found = digests(table)
    for row in (0, 1, 16_383, 16_384, 32_768, count - 1):
        record = row_record(table.slice(row, 1).to_pylist()[0], table.schema)
        assert found[row] == hashlib.sha256(record).hexdigest()
    assert len(set(found)) == count


@pytest.mark.parametrize(
    ("kind", "one", "other"),
    [
        (pa.int64(), 0, None),
        (pa.string(), "", None),
        (pa.bool_(), False, None),
        (pa.float64(), 0.0, None),
        (pa.string(), "1", "1 "),
        (pa.float64(), 1.0, math.nextafter(1.0, 2.0)),
        (pa.list_(pa.int64()), [], None),
        (pa.decimal128(5, 2), Decimal("1.00"), Decimal("1.01")),
        (pa.timestamp("us"), datetime(2026, 1, 1), datetime(2026, 1, 1, 0, 0, 0, 1)),
        (pa.date32(), date(1970, 1, 1), date(1969, 12, 31)),
    ],
)
def test_different_values_have_different_hashes(kind: pa.DataType, one: Any, other: Any) -> None:
    """A null is not a zero, and the last digit counts."""
    table = pa.table({"v": pa.array([one, other], kind)})
    first, second = digests(table)
    assert first != second


def test_what_is_equal_has_one_hash() -> None:
    """Both zeros, every NaN, and integers of any width."""
    floats = pa.table({"v": pa.array([0.0, -0.0])})
    assert len(set(digests(floats))) == 1
    assert digests(pa.table({"v": pa.array([7], pa.int8())})) == digests(
        pa.table({"v": pa.array([7], pa.int64())})
    )


def test_names_and_kinds_are_part_of_the_hash() -> None:
    """The same bytes under another name or type are another row."""
    variants = [
        pa.table({"v": pa.array([1], pa.int64())}),
        pa.table({"w": pa.array([1], pa.int64())}),
        pa.table({"v": pa.array([1], pa.timestamp("us"))}),
        pa.table({"v": pa.array([1], pa.timestamp("us", tz="UTC"))}),
        pa.table({"v": pa.array([1], pa.date32())}),
        pa.table({"v": pa.array([True])}),
    ]
    assert len({digests(table)[0] for table in variants}) == len(variants)


@pytest.mark.parametrize(
    "column",
    [pa.array([2**64 - 1], pa.uint64()), pa.array([1], pa.timestamp("ns"))],
    ids=["unsigned", "nanoseconds"],
)
def test_a_value_that_fits_no_cell_is_refused(column: pa.Array) -> None:
    """Nothing is rounded: two rows that differ must not hash alike."""
    with pytest.raises(InvalidInput, match="no row hash"):
        row_hashes(pa.table({"v": column}))


def test_no_rows_and_no_columns() -> None:
    """The edges have a shape."""
    assert row_hashes(SCHEMA.empty_table()).shape == (0, 32)
    assert kind_of(pa.map_(pa.string(), pa.int64())) == "json"


def test_the_golden_hashes_stay() -> None:
    """Hashes are in journals: they never change."""
    golden = json.loads(GOLDEN.read_text())
    from tests.golden.generate_row_hash_v1 import content

    assert content() == golden
