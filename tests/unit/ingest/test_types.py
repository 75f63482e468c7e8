"""Types of text columns: lossless or text."""

from __future__ import annotations

from datetime import UTC, date, datetime
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest
from tests.unit.ingest.reading import read_text

from lakecore.base import InvalidInput

COLUMNS: list[tuple[list[str], str, list[Any]]] = [
    (["1", "-2", "NA"], "int64", [1, -2, None]),
    (["1", "2.5", "NaN"], "double", [1.0, 2.5, None]),
    (["1e3", "2"], "double", [1000.0, 2.0]),
    (["00123", "45678"], "string", ["00123", "45678"]),
    (["+49301", "+4989"], "string", ["+49301", "+4989"]),
    (["-0", "1"], "double", [-0.0, 1.0]),
    (["0x1F", "1"], "string", ["0x1F", "1"]),
    (["1_000", "1"], "string", ["1_000", "1"]),
    (["9223372036854775807", "1"], "int64", [2**63 - 1, 1]),
    (["9223372036854775808", "1"], "string", ["9223372036854775808", "1"]),
    (["9007199254740993", "0.5"], "string", ["9007199254740993", "0.5"]),
    (["1e400", "1"], "string", ["1e400", "1"]),
    (["true", "FALSE", "NULL"], "bool", [True, False, None]),
    (["yes", "no"], "string", ["yes", "no"]),
    (["0", "1"], "int64", [0, 1]),
    (["2013-01-31", "N/A"], "date32[day]", [date(2013, 1, 31), None]),
    (["2013-1-1", "2013-01-02"], "string", ["2013-1-1", "2013-01-02"]),
    (["2013-02-30", "2013-01-02"], "string", ["2013-02-30", "2013-01-02"]),
    (["31/01/2013", "01/02/2013"], "string", ["31/01/2013", "01/02/2013"]),
    (
        ["2013-01-01 10:00:00", "2013-01-01 10:00:00.25"],
        "timestamp[us]",
        [datetime(2013, 1, 1, 10), datetime(2013, 1, 1, 10, 0, 0, 250_000)],
    ),
    (["2013-01-01T10:00"], "timestamp[us]", [datetime(2013, 1, 1, 10)]),
    (["2013-01-01T10:00:00Z"], "timestamp[us, tz=UTC]", [datetime(2013, 1, 1, 10, tzinfo=UTC)]),
    (["2013-01-01T10:00:00+02:00"], "timestamp[us, tz=UTC]", [datetime(2013, 1, 1, 8, tzinfo=UTC)]),
    (["2013-01-01 10:00:00.123456789"], "string", ["2013-01-01 10:00:00.123456789"]),
    (["NA", "x"], "string", ["NA", "x"]),
    (["NA", "NA"], "string", ["NA", "NA"]),
    ([" 1", "2 "], "int64", [1, 2]),
]


@pytest.mark.parametrize(("texts", "kind", "values"), COLUMNS)
def test_a_column_is_what_keeps_its_values(
    tmp_path: Path, texts: list[str], kind: str, values: list[Any]
) -> None:
    """Each list of texts has one type, and no value changes."""
    body = "".join(f"{index};{text}\n" for index, text in enumerate(texts))
    found = read_text(tmp_path, f"id;c\n{body}", delimiter=";", header=True)
    assert found.types["c"] == kind
    assert [row["c"] for row in found.rows] == values
    assert found.rejects == []


def test_null_markers_are_an_option(tmp_path: Path) -> None:
    """Other markers replace the usual ones, even those that look like numbers."""
    found = read_text(tmp_path, "a,b\n1,x\n-999,y\n", null_markers=("-999",))
    assert found.rows == [{"a": 1, "b": "x"}, {"a": None, "b": "y"}]


@pytest.fixture
def late(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A sample of 100 rows, so that what comes later is not in it."""
    monkeypatch.setattr("lakecore.ingest._delimited._SAMPLE_ROWS", 100)
    monkeypatch.setattr("lakecore.ingest._delimited._MAX_BATCH_ROWS", 100)
    return tmp_path


def test_rare_misfits_after_the_sample_are_rejected(late: Path) -> None:
    """A few values of another type are mistakes: rejected with line, column and text."""
    rows = [str(index) for index in range(5_000)]
    rows[4_000] = "oops"
    rows[4_001] = "007"
    body = "".join(f"{value},x\n" for value in rows)
    found = read_text(late, f"a,b\n{body}")
    assert found.types["a"] == "int64"
    assert found.table.num_rows == 4_998
    assert [(r.line, r.column, r.text) for r in found.rejects] == [
        (4_002, "a", "oops,x"),
        (4_003, "a", "007,x"),
    ]


def test_misfit_lines_count_everything_before_them(late: Path) -> None:
    """Line breaks in values, blank lines and rejected records shift the line of a misfit."""
    good = "".join(f"{index},x\n" for index in range(4_000))
    body = f'a,b\n1,"x\ny"\n\n2\n{good}bad,x\n5,"p\nq"\nworse,y\n'
    found = read_text(late, body)
    lines = body.split("\n")
    assert [(r.line, lines[r.line - 1]) for r in found.rejects] == [
        (5, "2"),
        (4_006, "bad,x"),
        (4_009, "worse,y"),
    ]


@pytest.mark.parametrize(("value", "kind"), [("2.5", "double"), ("x", "string")])
def test_common_misfits_widen_the_column(late: Path, value: str, kind: str) -> None:
    """When they are many it was the type that was wrong: int64, then double, then text."""
    body = "".join(f"{index}\n" for index in range(1_000)) + f"{value}\n" * 200
    found = read_text(late, f"a\n{body}")
    assert found.types == {"a": kind}
    assert found.table.num_rows == 1_200
    assert found.rejects == []
    assert any("after the sample" in note for note in found.notes)


def test_the_datasets_types_decide(tmp_path: Path) -> None:
    """Codes that look like numbers stay text in a text column; a rare misfit is rejected."""
    target = pa.schema([("zip", pa.string()), ("n", pa.int64())])
    found = read_text(tmp_path, "zip,n\n12345,1\n23456,x\n", target=target)
    assert found.rows == [{"zip": "12345", "n": 1}]
    assert [(r.line, r.column) for r in found.rejects] == [(3, "n")]


def test_a_column_of_another_type_than_the_datasets(tmp_path: Path) -> None:
    """Many misfits of a fixed type refuse the file."""
    target = pa.schema([("n", pa.int64())])
    with pytest.raises(InvalidInput, match="column n"):
        read_text(tmp_path, "n\n" + "x\n" * 20, target=target, header=True)
