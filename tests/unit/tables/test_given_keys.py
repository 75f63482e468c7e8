"""Rows by their keys, as people give them; JSON text of values back as values."""

from __future__ import annotations

from datetime import UTC, datetime
from decimal import Decimal
from typing import Any

import pyarrow as pa
import pytest
from tests.unit.tables.conftest import Lake, Ref

from lakecore.base import InvalidInput
from lakecore.journal import json_text, row_json
from lakecore.storage import open_store
from lakecore.tables import TableSettings, entity_ids
from lakecore.tables._decode import decode_column, decode_keys, decode_rows
from lakecore.tables._given_keys import key_table

MOMENT = datetime(2026, 1, 31, 12, 0, 0, 1, tzinfo=UTC)
SCHEMA = pa.schema([("k", pa.string()), ("t", pa.timestamp("us", tz="UTC")), ("n", pa.int64())])


@pytest.mark.parametrize(
    ("key", "keys", "expected"),
    [
        (["k"], "a", [("a",)]),
        (["k"], ["a", "b"], [("a",), ("b",)]),
        (["k"], [["a"], {"k": "b"}], [("a",), ("b",)]),
        (["n"], 7, [(7,)]),
        (["n"], ["7", 8], [(7,), (8,)]),
        (["n"], range(2), [(0,), (1,)]),
        (["t"], "2026-01-31T12:00:00.000001Z", [(MOMENT,)]),
        (["k", "n"], ("a", 1), [("a", 1)]),
        (["k", "n"], [("a", 1), {"n": 2, "k": "b"}], [("a", 1), ("b", 2)]),
        (["k", "n"], '["a",1]', [("a", 1)]),
        (["k", "n"], ['["a",1]', '["b",2]'], [("a", 1), ("b", 2)]),
        (["k"], pa.table({"x": [1], "k": ["a"]}), [("a",)]),
        (["n"], pa.record_batch({"n": pa.array([1], pa.int8())}), [(1,)]),
    ],
    ids=repr,
)
def test_ways_to_name_a_key(key: list[str], keys: Any, expected: list[tuple[Any, ...]]) -> None:
    """One, several, a table; of one column and of two."""
    found = key_table(keys, key, SCHEMA)
    assert [tuple(row.values()) for row in found.to_pylist()] == expected


@pytest.mark.parametrize(
    ("key", "keys"),
    [
        ([], "a"),
        (["x"], "a"),
        (["n"], "seven"),
        (["n"], 1.5),
        (["k", "n"], "a"),
        (["k", "n"], [("a", 1, 2)]),
        (["k"], []),
        (["k"], pa.table({"x": [1]})),
    ],
    ids=repr,
)
def test_what_is_no_key(key: list[str], keys: Any) -> None:
    """Refused, with what would be one."""
    with pytest.raises(InvalidInput):
        key_table(keys, key, SCHEMA)


def test_only_files_that_may_have_a_key_are_read() -> None:
    """Statistics pass over the others; a key twice is one, an unknown one is counted."""
    lake = Lake(open_store("memory://"), settings=TableSettings(file_rows=2))
    lake.append({"id": list("abcdef"), "n": [1] * 6})
    adds = [action["add"] for action in lake.log(0) if "add" in action]
    for added in adds[1:]:
        lake.store.delete(f"{lake.dataset.location}/{added['path']}")
    result = lake.update(keys=["b", "b", "zz"], set={"n": 2})
    assert (result.updated, result.unchanged, result.missing) == (1, 0, 1)


def test_keys_and_a_condition_both_have_to_hold(lake: Lake) -> None:
    """A key whose row does not meet the condition is there all the same."""
    lake.append({"id": ["a", "b"], "n": [1, 2]})
    result = lake.delete(keys=["a", "b", "c"], where="n > 1")
    assert (result.deleted, result.missing) == (1, 1)
    with pytest.raises(InvalidInput):
        lake.delete(keys=["a"], all_rows=True)
    with pytest.raises(InvalidInput, match="null"):
        lake.delete(keys=[None, "a"])


def test_without_a_key_there_is_none_to_give() -> None:
    """An unkeyed dataset says so."""
    lake = Lake(open_store("memory://"), dataset=Ref(key=()))
    lake.append({"a": [1]})
    with pytest.raises(InvalidInput, match="no key"):
        lake.delete(keys=[1])


COLUMNS: dict[str, pa.Array] = {
    "int": pa.array([1, -(2**63), 2**63 - 1, None], pa.int64()),
    "double": pa.array([0.1, float("inf"), 1e300, None]),
    "float": pa.array([0.1, float("-inf"), 1e-30, None], pa.float32()),
    "decimal": pa.array([Decimal("1.50"), Decimal("-99999.99"), None, None], pa.decimal128(7, 2)),
    "text": pa.array(["", "null", 'é"\\\n', None]),
    "binary": pa.array([b"", b"\x00\xff", None, None]),
    "bool": pa.array([True, False, None, None]),
    "date": pa.array([0, -719_529, 2_932_897, None], pa.date32()),
    "zoned": pa.array([1, -62_135_596_800_000_001, 253_402_300_800_000_000, None]).cast(
        pa.timestamp("us", tz="UTC")
    ),
    "zoneless": pa.array([datetime(2026, 1, 31), None, None, None], pa.timestamp("us")),
    "list": pa.array([[Decimal("1.5"), None], [], None, None], pa.list_(pa.decimal128(3, 1))),
    "struct": pa.array(
        [{"b": [b"x"], "a": 1}, {"b": None, "a": None}, None, None],
        pa.struct([("b", pa.list_(pa.binary())), ("a", pa.int8())]),
    ),
    "map": pa.array([[("x", 1), ("y", None)], [], None, None], pa.map_(pa.string(), pa.int64())),
}


@pytest.mark.parametrize("name", COLUMNS)
def test_text_of_a_column_and_back(name: str) -> None:
    """Each type of a table."""
    column = COLUMNS[name]
    assert decode_column(json_text(column).to_pylist(), column.type).equals(column)


def test_text_of_rows_and_back() -> None:
    """Whole rows, and the names that each had."""
    rows = pa.table(COLUMNS)
    found, names = decode_rows(row_json(rows).to_pylist(), rows.schema)
    assert found.equals(rows)
    assert names == [set(COLUMNS)] * 4


@pytest.mark.parametrize("name", ["int", "decimal", "text", "binary", "bool", "date", "zoned"])
def test_entity_ids_and_back(name: str) -> None:
    """One column, and two."""
    rows = pa.table({"k": COLUMNS[name], "t": COLUMNS["text"]}).slice(0, 2)
    for key in (["k"], ["k", "t"]):
        ids = entity_ids(rows, key).to_pylist()
        assert decode_keys(ids, key, rows.schema).equals(rows.select(key))


@pytest.mark.parametrize(
    ("text", "kind"), [('"x"', pa.int64()), ("1", pa.string()), ("{", pa.int8())]
)
def test_text_of_another_type(text: str, kind: pa.DataType) -> None:
    """Refused: the column has another type now."""
    with pytest.raises(InvalidInput):
        decode_column([text], kind)
