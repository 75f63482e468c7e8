"""JSON, NDJSON, Parquet, Arrow, Excel, and files that are compressed or cut off."""

from __future__ import annotations

import gzip
import io
import json
import zipfile
from datetime import UTC, datetime
from decimal import Decimal
from pathlib import Path
from typing import Any

import openpyxl
import pyarrow as pa
import pyarrow.feather
import pyarrow.parquet as pq
import pytest
from tests.unit.ingest.reading import read, read_text

from lakecore.base import InvalidInput

CSV = b"a,b\n" + b"".join(b"%d,text %d\n" % (i, i) for i in range(5_000))


def arrow_file(table: pa.Table) -> bytes:
    sink = io.BytesIO()
    with pa.ipc.new_file(sink, table.schema) as writer:
        writer.write_table(table, max_chunksize=500)
    return sink.getvalue()


def arrow_stream(table: pa.Table) -> bytes:
    sink = io.BytesIO()
    with pa.ipc.new_stream(sink, table.schema) as writer:
        writer.write_table(table, max_chunksize=500)
    return sink.getvalue()


def parquet(table: pa.Table) -> bytes:
    sink = io.BytesIO()
    pq.write_table(table, sink)
    return sink.getvalue()


def feather(table: pa.Table) -> bytes:
    sink = io.BytesIO()
    pa.feather.write_feather(table, sink)
    return sink.getvalue()


NUMBERS = pa.table({"a": pa.array(range(2_000), pa.int64()), "b": ["x"] * 2_000})


@pytest.mark.parametrize("write", [parquet, arrow_file, arrow_stream, feather])
def test_columnar_files_are_known_by_their_content(tmp_path: Path, write: Any) -> None:
    """Parquet and the three kinds of Arrow, whatever the name says."""
    found = read_text(tmp_path, write(NUMBERS), name="data.bin")
    assert found.table.equals(NUMBERS)


@pytest.mark.parametrize("write", [parquet, arrow_file, arrow_stream])
@pytest.mark.parametrize("part", [0.3, 0.9])
def test_truncated_columnar_files(tmp_path: Path, write: Any, part: float) -> None:
    """A file that was cut off is refused, with the byte."""
    data = write(NUMBERS)
    with pytest.raises(InvalidInput, match=r"truncated or damaged.*byte \d+"):
        read_text(tmp_path, data[: int(len(data) * part)], name="data.bin")


def test_types_that_delta_lacks(tmp_path: Path) -> None:
    """Each becomes the nearest one that keeps the value."""
    table = pa.table(
        {
            "u": pa.array([2**63], pa.uint64()),
            "t": pa.array([61], pa.time32("s")),
            "d": pa.array([5], pa.duration("s")),
            "n": pa.array([1_000], pa.timestamp("ns")),
            "c": pa.array(["x"]).dictionary_encode(),
            "z": pa.array([0], pa.timestamp("ms", "Europe/Berlin")),
            "h": pa.array([1.5], pa.float16()),
            "w": pa.array(["x"], pa.string_view()),
            "o": pa.nulls(1),
        }
    )
    found = read_text(tmp_path, arrow_file(table))
    assert found.rows == [
        {
            "u": Decimal(2**63),
            "t": "00:01:01",
            "d": 5,
            "n": datetime(1970, 1, 1, 0, 0, 0, 1),
            "c": "x",
            "z": datetime(1970, 1, 1, tzinfo=UTC),
            "h": 1.5,
            "w": "x",
            "o": None,
        }
    ]
    assert len(found.notes) == 9


def test_nanoseconds_that_would_be_cut(tmp_path: Path) -> None:
    """A value that cannot be kept is refused, naming the column."""
    table = pa.table({"when": pa.array([1_001], pa.timestamp("ns"))})
    with pytest.raises(InvalidInput, match="column when"):
        read_text(tmp_path, arrow_file(table))


def test_a_type_that_cannot_be_stored(tmp_path: Path) -> None:
    """Intervals have no place in Delta: refused before anything is read."""
    table = pa.table({"i": pa.array([(1, 2, 3)], pa.month_day_nano_interval())})
    with pytest.raises(InvalidInput, match="column i"):
        read_text(tmp_path, arrow_file(table))


@pytest.mark.parametrize("kind", ["gzip", "two members", "zstd", "zip"])
def test_compressed_text(tmp_path: Path, kind: str) -> None:
    """Compressed text is unpacked, told by its first bytes."""
    found = read_text(tmp_path, compress(kind), name="data.csv.x")
    assert found.table.num_rows == 5_000
    assert found.format == "csv"


@pytest.mark.parametrize("kind", ["gzip", "zstd", "zip"])
@pytest.mark.parametrize("part", [0.2, 0.95])
def test_truncated_compressed_text(tmp_path: Path, kind: str, part: float) -> None:
    """A compressed file that was cut off is refused, with the byte."""
    data = compress(kind)
    with pytest.raises(InvalidInput, match=r"truncated or damaged.*byte \d+"):
        read_text(tmp_path, data[: int(len(data) * part)])


def compress(kind: str) -> bytes:
    if kind == "gzip":
        return gzip.compress(CSV)
    if kind == "two members":
        return gzip.compress(CSV[:1_000]) + gzip.compress(CSV[1_000:])
    if kind == "zstd":
        return bytes(pa.Codec("zstd").compress(CSV, asbytes=True))
    sink = io.BytesIO()
    with zipfile.ZipFile(sink, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("data.csv", CSV)
    return sink.getvalue()


def test_a_zip_of_two_files(tmp_path: Path) -> None:
    """Which one is meant cannot be told."""
    with zipfile.ZipFile(tmp_path / "x.zip", "w") as archive:
        archive.writestr("a.csv", "a\n1\n")
        archive.writestr("b.csv", "a\n1\n")
    with pytest.raises(InvalidInput, match="one file"):
        read(tmp_path / "x.zip")


def test_ndjson_with_bad_lines(tmp_path: Path) -> None:
    """Each bad line is rejected with its number; nested values keep their form."""
    found = read_text(
        tmp_path,
        b'{"a":1,"b":{"c":[1,2]}}\n\n{"a":}\n[1]\n{"a":1,"a":2}\n{"a":2,"s":"\xff"}\n{"d":true}\n'
        + b'{"a":'
        + b"[" * 2_000
        + b"]" * 2_000
        + b"}\n",
        name="x.ndjson",
    )
    assert found.rows == [
        {"a": 1, "b": {"c": [1, 2]}, "d": None},
        {"a": None, "b": None, "d": True},
    ]
    assert [(r.line, r.reason.partition(":")[0]) for r in found.rejects] == [
        (3, "no valid JSON"),
        (4, "not a JSON object"),
        (5, "the key 'a' is repeated"),
        (6, "no valid JSON"),
        (8, "nested too deeply"),
    ]


def test_json_values_of_different_kinds(tmp_path: Path) -> None:
    """They become the JSON text of each; integers and fractions become double."""
    found = read_text(tmp_path, '{"m":1,"n":1}\n{"m":"x","n":2.5}\n{"m":[1],"n":null}\n')
    assert found.format == "ndjson"
    assert found.types == {"m": "string", "n": "double"}
    assert [row["m"] for row in found.rows] == ["1", '"x"', "[1]"]


@pytest.mark.parametrize("indent", [None, 1])
def test_a_json_array(tmp_path: Path, indent: int | None) -> None:
    """Written on one line or on many."""
    rows = [{"a": index, "n": {"x": str(index)}} for index in range(3)]
    found = read_text(tmp_path, json.dumps(rows, indent=indent))
    assert (found.format, found.rows) == ("json", rows)


def test_json_objects_over_several_lines(tmp_path: Path) -> None:
    """One after the other, without an array around them."""
    found = read_text(tmp_path, '{\n "a": 1\n}\n{\n "a": 2\n}\n')
    assert found.rows == [{"a": 1}, {"a": 2}]


def test_a_broken_json_array(tmp_path: Path) -> None:
    """After a break nothing can be trusted: refused, with a hint."""
    with pytest.raises(InvalidInput, match="cannot be read") as caught:
        read_text(tmp_path, '[{"a": 1}, {"a" 2}]')
    assert "NDJSON" in (caught.value.hint or "")


def test_json_shapes_that_come_late(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Rare ones are rejected; when there are many the file is read again, losing nothing."""
    monkeypatch.setattr("lakecore.ingest._rows._SAMPLE_ROWS", 10)
    many = [{"a": index} for index in range(100)]
    rare = read_text(tmp_path, "\n".join(map(json.dumps, [*many, {"a": "x"}, {"b": 1}])))
    assert [(r.line, r.column) for r in rare.rejects] == [(101, "a"), (102, "b")]
    late = read_text(tmp_path, "\n".join(map(json.dumps, [*many, *[{"b": 1.5}] * 20])))
    assert late.types == {"a": "int64", "b": "double"}
    assert late.table.num_rows == 120
    assert late.rejects == []


def test_an_excel_sheet(tmp_path: Path) -> None:
    """Whole numbers are integers, dates dates, mixed columns text."""
    book = openpyxl.Workbook()
    sheet = book.active
    assert sheet is not None
    sheet.append(["id", "when", "mixed", "id"])
    sheet.append([1, datetime(2020, 1, 1, 12), 1, 0.5])
    sheet.append([2, datetime(2020, 1, 2, 12), "x", None])
    book.save(tmp_path / "x.xlsx")
    found = read(tmp_path / "x.xlsx")
    assert found.format == "excel"
    assert found.rows == [
        {"id": 1, "when": datetime(2020, 1, 1, 12), "mixed": "1", "id_2": 0.5},
        {"id": 2, "when": datetime(2020, 1, 2, 12), "mixed": "x", "id_2": None},
    ]
    with pytest.raises(InvalidInput, match="no such sheet"):
        read(tmp_path / "x.xlsx", sheet="Nope")


def test_excel_without_its_reader(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The error says what to install."""
    monkeypatch.setitem(__import__("sys").modules, "python_calamine", None)
    book = openpyxl.Workbook()
    book.save(tmp_path / "x.xlsx")
    with pytest.raises(InvalidInput) as caught:
        read(tmp_path / "x.xlsx")
    assert 'pip install "lakecore[excel]"' in (caught.value.hint or "")
