"""Rows in the columns of their kind: what fits, what is refused, what is kept as extra."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from typing import Any

import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.unit.records.conftest import NOTES, SCHEMA, STEPS, TIME

from lakecore.base import CorruptData, InvalidInput
from lakecore.records import RecordKind
from lakecore.records._rows import decode, encode, join, to_batch

NOW_US = 1_700_000_000_000_000


def rows_of(kind: RecordKind, rows: Any) -> list[dict[str, Any]]:
    return list(to_batch(kind, rows, now_us=NOW_US).to_pylist())


def test_mappings_and_arrow_are_the_same() -> None:
    """Mappings, a batch and a table give the same rows; what is not given is null or now."""
    rows = [{"run": "a", "n": 1}, {"n": 2}]
    now = datetime.fromtimestamp(NOW_US / 1e6, UTC)
    expected = [{"time": now, "run": "a", "n": 1}, {"time": now, "run": None, "n": 2}]
    assert rows_of(STEPS, rows) == expected
    batch = pa.RecordBatch.from_pylist(rows, schema=pa.schema([("run", "string"), ("n", "int32")]))
    assert rows_of(STEPS, batch) == expected
    assert rows_of(STEPS, pa.table(batch)) == expected


@pytest.mark.parametrize("given", [datetime(2026, 1, 2, tzinfo=UTC), 1_767_312_000_000_000])
def test_times(given: object) -> None:
    """A time is an aware datetime, or microseconds."""
    assert rows_of(STEPS, [{"time": given, "n": 1}])[0]["time"] == datetime(2026, 1, 2, tzinfo=UTC)


@pytest.mark.parametrize(
    "row",
    [
        {"n": "seven"},
        {"n": 1 << 70},
        {"run": 3},
        {"run": "\ud800"},
        {"time": "yesterday"},
        {"time": datetime(2026, 1, 2)},
    ],
)
def test_what_does_not_fit_is_refused_by_row_and_column(row: dict[str, Any]) -> None:
    """The error names the row and the column."""
    with pytest.raises(InvalidInput, match="row 1, column"):
        rows_of(STEPS, [{"n": 1}, row])


def test_unknown_members_are_refused() -> None:
    """A kind without `extra` takes its columns alone, in mappings and in Arrow."""
    with pytest.raises(InvalidInput, match="'wing'"):
        rows_of(STEPS, [{"n": 1, "wing": 2}])
    with pytest.raises(InvalidInput, match="'wing'"):
        rows_of(STEPS, pa.table({"wing": [1]}))


def test_unknown_members_are_kept_as_extra() -> None:
    """A kind with `extra` keeps them there, as JSON."""
    found = rows_of(NOTES, [{"n": 1, "wing": {"left": "\ud800"}}, {"n": 2}])
    assert json.loads(found[0]["extra"]) == {"wing": {"left": "?"}}
    assert found[1]["extra"] is None
    with pytest.raises(InvalidInput, match="'wing'"):
        rows_of(NOTES, [{"n": 1, "wing": 2, "extra": "{}"}])


def test_too_much_at_a_time() -> None:
    """An append is bounded in bytes."""
    with pytest.raises(InvalidInput, match="too many"):
        rows_of(STEPS, [{"run": "x" * (1 << 20), "n": 1}] * 33)


@pytest.mark.parametrize(
    "arguments",
    [
        {"name": "Steps"},
        {"name": ""},
        {"retention_days": 0},
        {"time_column": "at"},
        {"schema": pa.schema([("time", pa.timestamp("ms", "UTC"))])},
        {"schema": pa.schema([("time", TIME), ("n", pa.int64()), ("n", pa.int64())])},
    ],
)
def test_kinds_are_checked(arguments: dict[str, Any]) -> None:
    """A name, a time and a retention that cannot be are refused where they are declared."""
    with pytest.raises(InvalidInput):
        RecordKind(**{"name": "steps", "schema": SCHEMA, "description": "", **arguments})


@settings(max_examples=30, deadline=None)
@given(
    st.lists(
        st.fixed_dictionaries(
            {
                "run": st.none() | st.text(st.characters(codec="utf-8")),
                "n": st.none() | st.integers(-(1 << 63), (1 << 63) - 1),
            }
        ),
        min_size=1,
        max_size=20,
    )
)
def test_bytes_there_and_back(rows: list[dict[str, Any]]) -> None:
    """A batch is what it was when it is read from its bytes."""
    batch = to_batch(STEPS, rows, now_us=NOW_US)
    table = decode(encode(batch))
    assert table.to_pylist() == batch.to_pylist()
    assert [{name: row[name] for name in ("run", "n")} for row in table.to_pylist()] == rows


@pytest.mark.parametrize("cut", [0, 10, 100, 250])
def test_damaged_bytes(cut: int) -> None:
    """What does not read is named as damage."""
    data = encode(to_batch(STEPS, [{"n": 1}], now_us=NOW_US))
    with pytest.raises(CorruptData):
        decode(data[:cut])


def test_batches_of_older_and_newer_columns() -> None:
    """Joined, what an older batch lacks is null; a column of two types is refused."""
    new = RecordKind("steps", SCHEMA.append(pa.field("more", pa.string())), description="")
    both = [to_batch(STEPS, [{"n": 1}], now_us=0), to_batch(new, [{"n": 2, "more": "x"}], now_us=0)]
    assert join([decode(encode(one)) for one in both])["more"].to_pylist() == [None, "x"]
    with pytest.raises(InvalidInput, match="two types"):
        join([pa.table({"n": [1]}), pa.table({"n": ["x"]})])
