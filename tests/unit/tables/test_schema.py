"""Schemas as tables keep them, names, casts and what they refuse."""

from __future__ import annotations

import uuid
from datetime import UTC, date, datetime, time
from decimal import Decimal
from typing import Any

import pyarrow as pa
import pytest
from tests.unit.tables.conftest import Lake

from lakecore.base import InvalidInput
from lakecore.storage import open_store
from lakecore.tables._schema import (
    added_columns,
    cast_table,
    check_names,
    delta_schema_string,
    storable_schema,
    storable_type,
)

KEPT = [
    (pa.uint8(), pa.int16(), 200),
    (pa.uint32(), pa.int64(), 2**32 - 1),
    (pa.uint64(), pa.decimal128(20, 0), 2**64 - 1),
    (pa.float16(), pa.float32(), 1.5),
    (pa.large_string(), pa.string(), "x"),
    (pa.string_view(), pa.string(), "x"),
    (pa.dictionary(pa.int8(), pa.large_string()), pa.string(), "x"),
    (pa.null(), pa.string(), None),
    (pa.date64(), pa.date32(), date(2020, 1, 1)),
    (pa.time64("us"), pa.string(), time(1, 2, 3, 4)),
    (pa.timestamp("ns"), pa.timestamp("us"), datetime.fromisoformat("2020-01-01T01:00")),
    (pa.timestamp("s", "Etc/UTC"), pa.timestamp("us", "UTC"), datetime(2020, 1, 1, tzinfo=UTC)),
    (pa.decimal32(5, 2), pa.decimal128(5, 2), Decimal("1.25")),
    (pa.binary(2), pa.binary(), b"ab"),
    (pa.uuid(), pa.binary(), uuid.UUID(int=7)),
    (pa.large_list(pa.uint8()), pa.list_(pa.field("element", pa.int16())), [1, None]),
    (pa.struct([("a", pa.uint8())]), pa.struct([("a", pa.int16())]), {"a": 1}),
    (pa.map_(pa.string(), pa.uint8()), pa.map_(pa.string(), pa.int16()), [("a", 1)]),
]


@pytest.mark.parametrize(("given", "kept", "value"), KEPT, ids=[str(row[0]) for row in KEPT])
def test_types_and_values_survive(given: pa.DataType, kept: pa.DataType, value: Any) -> None:
    """Every type has the narrowest Delta type that holds it, and its values come back."""
    assert storable_type(given) == kept
    lake = Lake(open_store("memory://"))
    lake.append(pa.table({"id": [1], "v": pa.array([value], given)}))
    (row,) = lake.rows()
    found = row["v"]
    if isinstance(value, time):
        value = str(value)
    elif isinstance(value, uuid.UUID):
        value = value.bytes
    assert found == value
    lake.store.close()


@pytest.mark.parametrize(
    "kind", [pa.duration("s"), pa.month_day_nano_interval(), pa.decimal256(50, 2)], ids=str
)
def test_types_without_a_place_are_refused(kind: pa.DataType) -> None:
    """Named with the column that has it."""
    with pytest.raises(InvalidInput, match="column 'v'"):
        storable_schema(pa.schema([("v", kind)]))


@pytest.mark.parametrize("names", [[], [""], ["x" * 256], ["Id", "id"], ["a", "a"]])
def test_bad_names(names: list[str]) -> None:
    """No name, a long one, or two that differ by case only."""
    with pytest.raises(InvalidInput):
        check_names(names)


def test_names_may_be_anything_else(tmp_path: Any) -> None:
    """Dots, spaces, quotes and other scripts are read back as they were written."""
    lake = Lake(open_store(str(tmp_path)))
    names = ["id", "a.b", "a b", 'q"q', "größe", "drop table; --", "ключ"]
    lake.append(pa.table({name: [1] for name in names}))
    lake.upsert(pa.table({"id": [1, 2], "a.b": [2, 3]}))
    assert lake.arrow().schema.names == names
    assert [row["a.b"] for row in lake.rows()] == [2, 3]
    assert lake.update(where='"a.b" = 2', set={'q"q': 5}).updated == 1


def test_new_columns_are_those_the_table_lacks() -> None:
    """As it would keep them; a name that differs by case only is refused."""
    table = pa.schema([("id", pa.int64())])
    assert added_columns(table, pa.schema([("id", pa.string())])) == []
    (field,) = added_columns(table, pa.schema([("n", pa.uint8())]))
    assert field == pa.field("n", pa.int16())
    with pytest.raises(InvalidInput, match="case"):
        added_columns(table, pa.schema([("ID", pa.int64())]))


@pytest.mark.parametrize(
    ("values", "target", "row"),
    [
        (pa.array([1.0, 2.5]), pa.int64(), 2),
        (pa.array([1, 2**40]), pa.int32(), 2),
        (pa.array(["1", "", "x"]), pa.int64(), 2),
        (pa.array([1, 2**53 + 1]), pa.float64(), 2),
        (pa.array([0, 1], pa.timestamp("ns")), pa.timestamp("us"), 2),
        (pa.array([Decimal("1.25")]), pa.decimal128(5, 1), 1),
    ],
)
def test_lossy_casts_name_their_row(values: pa.Array, target: pa.DataType, row: int) -> None:
    """A value that would change is refused, with the row of the whole input."""
    rows = pa.table({"v": pa.concat_arrays([values])})
    with pytest.raises(InvalidInput) as caught:
        cast_table(rows, pa.schema([("v", target)]), first_row=100)
    assert caught.value.where == f"column 'v', row {100 + row}"


def test_zones_are_not_dropped() -> None:
    """Without a zone is taken as UTC where the column has one; the other way is refused."""
    plain, zoned = pa.timestamp("us"), pa.timestamp("us", "UTC")
    rows = pa.table({"v": pa.array([5], plain)})
    assert cast_table(rows, pa.schema([("v", zoned)])).column("v").cast(pa.int64())[0].as_py() == 5
    with pytest.raises(InvalidInput, match="zone"):
        cast_table(pa.table({"v": pa.array([5], zoned)}), pa.schema([("v", plain)]))


def test_schema_strings_are_deltas() -> None:
    """What other engines read from the log."""
    assert '"type":"timestamp_ntz"' in delta_schema_string(pa.schema([("v", pa.timestamp("us"))]))
