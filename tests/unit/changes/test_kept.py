"""What is kept of a change that waits: arguments, rows and diffs, in their forms on the store."""

from __future__ import annotations

from datetime import UTC, date, datetime
from decimal import Decimal
from typing import Any

import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lakecore.base import CorruptData, InvalidInput, UnsupportedFormat
from lakecore.changes._arguments import (
    decode_arguments,
    decode_value,
    encode_arguments,
    encode_value,
)
from lakecore.changes._kept import (
    DIFF_SCHEMA,
    PAGE_ROWS,
    read_page,
    store_rows,
    stored_reader,
    teed,
)
from lakecore.changes._spool import Spool
from lakecore.storage import Store, open_store
from lakecore.tables import AddColumn, RenameColumn, Sql

PATH = "pending/x/t-diff-1.arrow"


@pytest.mark.parametrize(
    "value",
    [
        None,
        True,
        -7,
        2**63 - 1,
        "text",
        1.5,
        float("inf"),
        Decimal("1.20"),
        b"\x00\xff",
        date(2026, 1, 31),
        datetime(2026, 1, 31, 12, tzinfo=UTC),
        datetime(2026, 1, 31, 12),
        Sql("seats + 1"),
        ["EWR", 7, ("a", None)],
        {"a": {"b": [1.5, "x"]}, "c": Sql("d")},
        [AddColumn("age", "long"), RenameColumn("a", "b")],
    ],
    ids=repr,
)
def test_values_come_back(value: object) -> None:
    """As they were given, whatever JSON has no word for."""
    import json

    assert decode_value(json.loads(json.dumps(encode_value(value)))) == value


def test_a_table_comes_back() -> None:
    """Keys may be given as rows."""
    table = pa.table({"origin": ["EWR", "JFK"], "day": [1, 2]})
    decoded = decode_arguments(encode_arguments({"keys": table, "all_rows": False}))
    assert decoded["keys"].equals(table)
    assert decoded["all_rows"] is False


def test_what_cannot_be_kept() -> None:
    """It says which value; damaged ones say so."""
    with pytest.raises(InvalidInput, match="cannot be kept"):
        encode_value(object())
    for damaged in ({"arrow": "?"}, {"what": 1}, {}, {"value": 1, "sql": "x"}, {"column": {}}):
        with pytest.raises(CorruptData):
            decode_value(damaged)


def diff(rows: int) -> pa.Table:
    """So many changes."""
    ids = [str(number) for number in range(rows)]
    columns = dict.fromkeys(DIFF_SCHEMA.names, ids)
    return pa.table(columns, schema=DIFF_SCHEMA)


@pytest.fixture
def store() -> Store:
    """A store in memory."""
    return open_store("memory://")


@settings(max_examples=25, deadline=None)
@given(
    parts=st.lists(st.integers(0, 2 * PAGE_ROWS), max_size=4),
    offset=st.integers(0, 3 * PAGE_ROWS),
    limit=st.integers(0, 2 * PAGE_ROWS),
)
def test_pages(parts: list[int], offset: int, limit: int) -> None:
    """However the diff was written, a page is the same slice of it."""
    store = open_store("memory://")
    whole = diff(sum(parts))
    tables, start = [], 0
    for count in parts:
        tables.append(whole.slice(start, count))
        start += count
    store_rows(store, PATH, DIFF_SCHEMA, tables, name="x", what="diff")
    assert read_page(store, PATH, offset=offset, limit=limit).equals(whole.slice(offset, limit))
    assert stored_reader(store, PATH, what="diff").read_all().equals(whole)


def test_damage_is_told(store: Store) -> None:
    """Of another kind, of a newer format, cut, or none of it."""
    store_rows(store, PATH, DIFF_SCHEMA, [diff(3)], name="x", what="rows")
    with pytest.raises(CorruptData, match="of another kind"):
        read_page(store, PATH)
    data = store.get(PATH)
    for number, damaged in enumerate((data[:-20], b"", b"junk" * 100)):
        store.create(f"pending/y/{number}", damaged)
        with pytest.raises(CorruptData, match="damaged") as error:
            read_page(store, f"pending/y/{number}")
        assert error.value.where == f"pending/y/{number}"
    store.create("pending/z", data.replace(b'"format": 1', b'"format": 2'))
    with pytest.raises(UnsupportedFormat):
        read_page(store, "pending/z")


@pytest.mark.parametrize("memory_bytes", [0, 1 << 20])
def test_a_spool_gives_back_what_it_got(memory_bytes: int) -> None:
    """From memory or from its file, as often as asked; then it may begin again."""
    spool = Spool(memory_bytes=memory_bytes)
    rows = pa.table({"n": list(range(1000))})
    read = teed(rows.to_reader(max_chunksize=64), spool).read_all()
    assert read.equals(rows)
    for _ in range(2):
        assert pa.concat_tables(spool.tables()).equals(rows)
    assert spool.rows == 1000
    spool.clear()
    spool.write(pa.table({"other": ["x"]}))
    assert pa.concat_tables(spool.tables()).to_pylist() == [{"other": "x"}]
    spool.close()


def test_a_spool_has_a_bound() -> None:
    """Beyond it nothing is kept, and the rows go on."""
    spool = Spool(max_bytes=1000, memory_bytes=100)
    rows = pa.table({"n": list(range(1000))})
    assert teed(rows.to_reader(max_chunksize=10), spool).read_all().num_rows == 1000
    assert spool.overflowed


def test_arguments_are_versioned_with_their_document() -> None:
    """Their form is part of the document's format 1: see the golden file."""
    encoded: dict[str, Any] = encode_arguments({"where": "a = 1", "set": {"n": Sql("n + 1")}})
    assert encoded == {
        "where": {"value": "a = 1"},
        "set": {"values": {"n": {"sql": "n + 1"}}},
    }
