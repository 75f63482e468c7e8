"""Every format gives back the values that went in."""

from __future__ import annotations

import base64
import csv
import io
import json
import math
from collections.abc import Iterator
from datetime import UTC, date, datetime, time, timedelta
from decimal import Decimal
from itertools import count as count_from
from types import SimpleNamespace
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.fakes.delta_lake import bytes_of

from lakecore.base import InvalidInput
from lakecore.query import FORMATS, QueryEngine, QueryResult, _formats


class Held:
    """A stream over batches that are there already."""

    def __init__(self, table: pa.Table, rows: int = 3) -> None:
        self.schema = table.schema
        self._batches: Iterator[pa.RecordBatch] = iter(table.to_batches(max_chunksize=rows))

    def next(self) -> pa.RecordBatch | None:
        return next(self._batches, None)

    def cancel(self) -> None:
        pass

    def close(self) -> None:
        pass


def written(table: pa.Table, format_name: str, **options: int) -> bytes:
    stream = io.BytesIO()
    count = QueryResult(Held(table)).write(format_name, stream, **options)
    assert format_name == "table" or count == table.num_rows
    return stream.getvalue()


TEXT = st.text(st.characters(exclude_categories=["Cs"]), max_size=8)
DAYS = st.dates(date(1, 1, 1), date(9999, 12, 31))
MOMENTS = st.datetimes(datetime(1, 1, 2), datetime(9999, 12, 30))
COLUMNS: dict[str, tuple[pa.DataType, st.SearchStrategy[Any]]] = {
    "i": (pa.int64(), st.integers(-(2**63), 2**63 - 1)),
    "u": (pa.uint64(), st.integers(0, 2**64 - 1)),
    "f": (pa.float64(), st.floats()),
    "t": (pa.bool_(), st.booleans()),
    "s": (pa.string(), TEXT),
    "b": (pa.binary(), st.binary(max_size=8)),
    "d": (pa.decimal128(20, 4), st.decimals(-(10**15), 10**15, places=4)),
    "day": (pa.date32(), DAYS),
    "at": (pa.timestamp("us"), MOMENTS),
    "zoned": (pa.timestamp("us", tz="UTC"), MOMENTS.map(lambda m: m.replace(tzinfo=UTC))),
    "l": (pa.list_(pa.string()), st.lists(st.none() | TEXT, max_size=3)),
    'o"\n': (
        pa.struct([("k", pa.string()), ("v", pa.int32())]),
        st.fixed_dictionaries({"k": st.none() | TEXT, "v": st.none() | st.integers(-9, 9)}),
    ),
}
SCHEMA = pa.schema([(name, kind) for name, (kind, _) in COLUMNS.items()])
ROWS = st.lists(
    st.fixed_dictionaries({name: st.none() | values for name, (_, values) in COLUMNS.items()}),
    max_size=7,
)


def as_json(value: Any, kind: pa.DataType) -> Any:
    """What the documentation promises for a value, as JSON reads it."""
    match value:
        case float() if not math.isfinite(value):
            return "NaN" if math.isnan(value) else f"{'-' * (value < 0)}Infinity"
        case bytes():
            return base64.b64encode(value).decode()
        case Decimal():
            return f"{value:f}"
        case datetime():
            text = value.replace(tzinfo=None).isoformat(timespec="microseconds")
            return text + "Z" if kind.tz else text
        case date():
            return value.isoformat()
    return value


def as_csv(value: Any, kind: pa.DataType) -> str:
    """What the documentation promises for a value, as CSV has it."""
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, list | dict):
        return json.dumps(value, ensure_ascii=False, separators=(",", ":"), sort_keys=True)
    plain = as_json(value, kind)
    return "" if plain is None else str(plain)


@given(ROWS)
@settings(deadline=None)
def test_json_and_ndjson_give_the_values_back(rows: list[dict[str, Any]]) -> None:
    """The same objects from both, columns in order, every integer exact."""
    table = pa.Table.from_pylist(rows, SCHEMA)
    expected = [
        {name: as_json(row[name], kind) for name, (kind, _) in COLUMNS.items()} for row in rows
    ]
    found = json.loads(written(table, "json"))
    assert found == expected
    assert [list(row) for row in found] == [list(COLUMNS)] * len(rows)
    lines = written(table, "ndjson").decode().split("\n")
    assert lines.pop() == ""
    assert [json.loads(line) for line in lines] == expected


@given(ROWS)
@settings(deadline=None)
def test_csv_gives_the_values_back(rows: list[dict[str, Any]]) -> None:
    """RFC 4180: what Python's own reader reads is what was there."""
    table = pa.Table.from_pylist(rows, SCHEMA)
    text = written(table, "csv").decode()
    header, *lines = csv.reader(io.StringIO(text, newline=""), strict=True)
    assert header == list(COLUMNS)
    for row, line in zip(rows, lines, strict=True):
        for (name, (kind, _)), cell in zip(COLUMNS.items(), line, strict=True):
            if isinstance(row[name], float) and math.isfinite(row[name]):
                assert float(cell) == row[name]
            else:
                assert cell == as_csv(row[name], kind), name


@given(ROWS)
@settings(deadline=None)
def test_arrow_and_parquet_give_the_table_back(rows: list[dict[str, Any]]) -> None:
    """Types, values and nulls, bit for bit."""
    table = pa.Table.from_pylist(rows, SCHEMA)
    for found in (
        pa.ipc.open_stream(written(table, "arrow")).read_all(),
        pq.read_table(io.BytesIO(written(table, "parquet"))),
    ):
        assert found.schema.names == table.schema.names
        assert repr(found.to_pylist()) == repr(table.to_pylist())


@given(ROWS)
@settings(deadline=None, max_examples=30)
def test_tables_are_aligned_and_safe(rows: list[dict[str, Any]]) -> None:
    """One line a row, all as wide on a terminal, no control character but the line break."""
    from rich.cells import cell_len

    table = pa.Table.from_pylist(rows, SCHEMA).append_column("end", pa.array(["|"] * len(rows)))
    lines = written(table, "table").decode().split("\n")
    assert len(lines) == len(rows) + 4
    assert len({cell_len(line) for line in lines[2:-2]}) <= 1
    assert all(char >= " " and char != "\x7f" for line in lines for char in line)


RARE = pa.table(
    {
        "small": pa.array([0.1, None], pa.float32()),
        "half": pa.array([1.5, None], pa.float16()),
        "ns": pa.array([1, None], pa.timestamp("ns", tz="UTC")),
        "berlin": pa.array([0, None], pa.timestamp("s", tz="Europe/Berlin")),
        "clock": pa.array([time(1, 2, 3, 4), None]),
        "lasts": pa.array([timedelta(seconds=-1.5), None]),
        "interval": pa.array([(1, 2, 3), None], pa.month_day_nano_interval()),
        "pairs": pa.array([[("k", 1)], None], pa.map_(pa.string(), pa.int64())),
        "deep": pa.array([[{"f": float("nan"), "b": b"\x00"}], None]),
        "fixed": pa.array([[1, 2], None], pa.list_(pa.int64(), 2)),
        "large": pa.array(["x", None], pa.large_string()),
        "nothing": pa.nulls(2),
        "wide": pa.array([Decimal("1." + "0" * 40), None], pa.decimal256(60, 40)),
    }
)


def test_text_of_rare_types() -> None:
    """One row with a value of each, one with nulls."""
    first, second = json.loads(written(RARE, "json"))
    assert first == {
        "small": 0.1,
        "half": 1.5,
        "ns": "1970-01-01T00:00:00.000000001Z",
        "berlin": "1970-01-01T00:00:00.000000Z",
        "clock": "01:02:03.000004",
        "lasts": "-PT1.500000S",
        "interval": {"days": 2, "months": 1, "nanoseconds": 3},
        "pairs": [["k", 1]],
        "deep": [{"b": "AA==", "f": "NaN"}],
        "fixed": [1, 2],
        "large": "x",
        "nothing": None,
        "wide": "1." + "0" * 40,
    }
    assert set(second.values()) == {None}


@pytest.mark.parametrize("format_name", FORMATS)
def test_every_format_takes_rare_types(format_name: str) -> None:
    """No type stops a result half way."""
    assert written(RARE, format_name)


@pytest.mark.parametrize("format_name", FORMATS)
def test_results_without_rows(format_name: str) -> None:
    """The columns are there all the same."""
    empty = pa.table({"a": pa.array([], pa.int64()), "b": pa.array([], pa.string())})
    data = written(empty, format_name)
    expected = {
        "table": "a │ b\n──┼──\n(0 rows)\n".encode(),
        "json": b"[]\n",
        "ndjson": b"",
        "csv": b"a,b\r\n",
    }
    if format_name in expected:
        assert data == expected[format_name]
    elif format_name == "arrow":
        assert pa.ipc.open_stream(data).read_all().schema == empty.schema
    else:
        assert pq.read_table(io.BytesIO(data)).schema == empty.schema


def test_null_and_empty_text_differ_in_csv() -> None:
    """Nothing between the commas is null."""
    table = pa.table({"a": [None, "", " "], "b": ["x", "", None]})
    assert written(table, "csv") == b'a,b\r\n,x\r\n"",""\r\n ,\r\n'


def test_tables_say_how_many_rows_there_are(engine: QueryEngine) -> None:
    """All, the first ones, or cut off by a limit."""

    def last(query: str, **limits: int) -> str:
        text = bytes_of(engine.sql(query, **limits).chunks("table", shown_rows=2)).decode()  # type: ignore[arg-type]  # numbers
        return text.splitlines()[-1]

    assert last("select 1") == "(1 row)"
    assert last("select n from numbers limit 2") == "(2 rows)"
    assert last("select n from numbers") == "(first 2 rows; there are more)"
    assert last("select n from numbers", max_rows=2) == "(2 rows; cut off at the limit)"


def test_tables_cut_long_cells() -> None:
    """East Asian text is twice as wide; what hides or moves text is spelled out."""
    table = pa.table({"n": [1], "t": ["語" * 100], "x": ["\x1b[31m\u202e\tred\nline"]})
    lines = written(table, "table").decode().splitlines()
    assert lines[2] == "1 │ " + "語" * 29 + "…  │ \\x1b[31m\\u202e\\tred\\nline".replace(
        "  │", " │"
    )
    assert len(lines) == 4


def test_plans_are_shown_whole(engine: QueryEngine) -> None:
    """EXPLAIN keeps its lines, and their indentation."""
    text = bytes_of(engine.sql("explain select count(*) from planes").chunks("table")).decode()
    assert "\n               │   Aggregate" in text or "│   Aggregate" in text
    assert "…" not in text


def test_unknown_formats_are_refused(engine: QueryEngine) -> None:
    """The error names the formats that there are."""
    with pytest.raises(InvalidInput, match="expected table, json, ndjson, csv, arrow, parquet"):
        engine.sql("select 1").write("xml", io.BytesIO())


@pytest.mark.parametrize("format_name", ["json", "ndjson", "csv", "arrow", "parquet"])
def test_formats_are_written_while_they_are_computed(engine: QueryEngine, format_name: str) -> None:
    """The first piece of a result without end."""
    query = "select value from generate_series(1, 1000000000000)"
    with engine.sql(query) as result:
        chunks = result.chunks(format_name)
        assert sum(len(next(chunks)) for _ in range(2)) > 100


@pytest.mark.parametrize(("step_s", "count"), [(0.0, 6), (1.0, 41)])
def test_batches_that_come_together_share_a_chunk(
    monkeypatch: pytest.MonkeyPatch, step_s: float, count: int
) -> None:
    """The first goes out at once, those upon it half a MiB at a time, and what is slow alone."""
    batch = pa.record_batch({"n": pa.array(range(8_192), pa.int64())})
    now_s = count_from(0.0, step_s)
    monkeypatch.setattr(_formats, "time", SimpleNamespace(monotonic=lambda: next(now_s)))
    chunks = list(_formats._arrow(batch.schema, iter([batch] * 40)))
    assert len(chunks) == count
    assert max(map(len, chunks)) < _formats._CHUNK_BYTES + 2 * batch.nbytes
    assert len(chunks[0]) < 2 * batch.nbytes
    assert pa.ipc.open_stream(b"".join(chunks)).read_all().num_rows == 40 * 8_192


def test_many_batches_become_one_document(engine: QueryEngine) -> None:
    """20,000 rows in several batches, in every format."""
    query = "select n from numbers"
    rows = json.loads(bytes_of(engine.sql(query).chunks("json")))
    assert sorted(row["n"] for row in rows) == list(range(20_000))
    lines = bytes_of(engine.sql(query).chunks("csv")).decode().split("\r\n")
    assert len(lines) == 20_002
    parquet = pq.ParquetFile(io.BytesIO(bytes_of(engine.sql(query).chunks("parquet"))))
    assert (parquet.metadata.num_rows, parquet.metadata.num_row_groups) == (20_000, 1)


def test_rows_without_columns() -> None:
    """SQL can select nothing, often."""
    table = pa.table({"x": [1, 2]}).select([])
    assert written(table, "ndjson") == b"{}\n{}\n"
