"""Untidy files, each with the exact outcome."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import pytest
from tests.unit.ingest.reading import read, read_text

from lakecore.base import InvalidInput, NotFound
from lakecore.ingest import open_source

TABLE: list[tuple[str, bytes, list[dict[str, Any]], list[tuple[int, str, str]]]] = [
    (
        "ragged rows",
        b"a,b\n1,2\n3\n4,5,6\n7,8\n",
        [{"a": 1, "b": 2}, {"a": 7, "b": 8}],
        [(3, "3", "too few fields"), (4, "4,5,6", "too many fields")],
    ),
    (
        "mostly ragged rows: one column of everything is no reading",
        b"id,a,b\n1,x,y\n2,x\n3,x,y,z,w\n4,p\n5,q,r\n",
        [{"id": 1, "a": "x", "b": "y"}, {"id": 5, "a": "q", "b": "r"}],
        [
            (3, "2,x", "too few fields"),
            (4, "3,x,y,z,w", "too many fields"),
            (5, "4,p", "too few fields"),
        ],
    ),
    (
        "wrong quotes",
        b'a,b\n1,x\n2,"y"z\n3,w\n',
        [{"a": 1, "b": "x"}, {"a": 3, "b": "w"}],
        [(3, '2,"y"z', "broken quotes")],
    ),
    (
        "a quote that never ends",
        b'a,b\n1,x\n2,"y\n3,z\n',
        [{"a": 1, "b": "x"}],
        [(3, '2,"y\n3,z', "broken quotes")],
    ),
    (
        "mixed encodings",
        "a,b\n1,é\n".encode() + b"2,\xe9\n3,x\n",
        [{"a": 1, "b": "é"}, {"a": 3, "b": "x"}],
        [(3, "2,\\xe9", "invalid UTF-8")],
    ),
    (
        "embedded newlines before a bad row",
        b'a,b\n1,"x\ny"\n2\n3,z\n',
        [{"a": 1, "b": "x\ny"}, {"a": 3, "b": "z"}],
        [(4, "2", "too few fields")],
    ),
    (
        "blank lines before a bad row",
        b"a,b\n1,2\n\n\n3\n4,5\n",
        [{"a": 1, "b": 2}, {"a": 4, "b": 5}],
        [(5, "3", "too few fields")],
    ),
    ("a byte-order mark", b"\xef\xbb\xbfa,b\n1,2\n", [{"a": 1, "b": 2}], []),
    ("UTF-16", "a,b\n1,é\n".encode("utf-16"), [{"a": 1, "b": "é"}], []),
    ("Windows-1252", b"a,b\n1,caf\xe9\n2,\x80\n", [{"a": 1, "b": "café"}, {"a": 2, "b": "€"}], []),
    (
        "no header",
        b"1,x\n2,y\n",
        [{"column_1": 1, "column_2": "x"}, {"column_1": 2, "column_2": "y"}],
        [],
    ),
    (
        "duplicate and empty names",
        b"a,a,,b\n1,2,3,4\n",
        [{"a": 1, "a_2": 2, "column_3": 3, "b": 4}],
        [],
    ),
    ("a header only", b"a,b\n", [], []),
    ("a header without a line end", b"a,b", [], []),
    ("one column", b"name\nann\nbob\n", [{"name": "ann"}, {"name": "bob"}], []),
    (
        "semicolons and decimal commas",
        b"a;b\n1,5;2,5\n2,5;3,5\n",
        [{"a": "1,5", "b": "2,5"}, {"a": "2,5", "b": "3,5"}],
        [],
    ),
    ("pipes", b"a|b\n1|2\n", [{"a": 1, "b": 2}], []),
    ("tabs", b"a\tb\n1\t2\n", [{"a": 1, "b": 2}], []),
    (
        "carriage returns and line feeds",
        b"a,b\r\n1,x\r\n2,y\r\n",
        [{"a": 1, "b": "x"}, {"a": 2, "b": "y"}],
        [],
    ),
    (
        "mixed line ends",
        b"a,b\n1,x\r\n2,y\n3,z\r4,w\n",
        [{"a": i, "b": b} for i, b in [(1, "x"), (2, "y"), (3, "z"), (4, "w")]],
        [],
    ),
    (
        "a preamble",
        b"Report of 2020\n\na,b,c\n1,2,3\n4,5,6\n",
        [{"a": 1, "b": 2, "c": 3}, {"a": 4, "b": 5, "c": 6}],
        [],
    ),
    ("trailing delimiters", b"a,b,\n1,2,\n", [{"a": 1, "b": 2, "column_3": None}], []),
    (
        "quoted and unquoted empty texts",
        b'a,b\n"",x\n,y\n',
        [{"a": "", "b": "x"}, {"a": None, "b": "y"}],
        [],
    ),
]


@pytest.mark.parametrize(
    ("data", "rows", "rejects"), [row[1:] for row in TABLE], ids=[row[0] for row in TABLE]
)
def test_untidy_text(
    tmp_path: Path,
    data: bytes,
    rows: list[dict[str, Any]],
    rejects: list[tuple[int, str, str]],
) -> None:
    """Good rows are read, each bad one is rejected with its line, text and reason."""
    found = read_text(tmp_path, data)
    assert found.rows == rows
    assert [(r.line, r.text, r.reason.partition(":")[0]) for r in found.rejects] == rejects


def test_ten_thousand_columns(tmp_path: Path) -> None:
    """A very wide file is read like any other."""
    names = ",".join(f"c{i}" for i in range(10_000))
    row = ",".join(str(i) for i in range(10_000))
    found = read_text(tmp_path, f"{names}\n{row}\n{row}\n1,2\n")
    assert found.table.num_columns == 10_000
    assert found.table["c9999"].to_pylist() == [9999, 9999]
    assert [reject.line for reject in found.rejects] == [4]


@pytest.mark.parametrize("name", ["x.csv", "x.json", "x.parquet", "x.arrow", "x.xlsx", "x"])
def test_an_empty_file(tmp_path: Path, name: str) -> None:
    """Nothing in a file is an error that says so, whatever it is called."""
    (tmp_path / name).touch()
    with pytest.raises(InvalidInput, match="empty"):
        read(tmp_path / name)


def test_a_directory(tmp_path: Path) -> None:
    """A directory is refused with a hint."""
    with pytest.raises(InvalidInput, match="directory") as caught:
        open_source(tmp_path)
    assert caught.value.hint


def test_a_missing_file(tmp_path: Path) -> None:
    """A file that is not there is named, with the one that was probably meant."""
    (tmp_path / "planes.csv").write_text("a\n1\n")
    with pytest.raises(NotFound, match="no such file") as caught:
        open_source(tmp_path / "plane.csv")
    assert "planes.csv" in (caught.value.hint or "")


def test_a_special_file(tmp_path: Path) -> None:
    """A pipe is refused: files are read more than once."""
    os.mkfifo(tmp_path / "pipe.csv")
    with pytest.raises(InvalidInput, match="not a regular file"):
        open_source(tmp_path / "pipe.csv")


@pytest.mark.parametrize("data", [b"\0" * 1000, b"a,b\n1,\x00\x01\x02\n", os.urandom(4096) + b"\0"])
def test_binary_data(tmp_path: Path, data: bytes) -> None:
    """Bytes that are no text are refused, not read as one strange column."""
    with pytest.raises(InvalidInput, match="binary"):
        read_text(tmp_path, data)


def test_too_many_rejects(tmp_path: Path) -> None:
    """Past the limit the file is refused as probably not what it seems."""
    bad = "1,2\n" + "3\n" * 20
    with pytest.raises(InvalidInput, match="too many rows"):
        read_text(tmp_path, "a,b\n" + bad, max_rejects=10, delimiter=",")


def test_strict_refuses_the_first_reject(tmp_path: Path) -> None:
    """With `strict` one bad row is an error that names its line."""
    with pytest.raises(InvalidInput, match="line 3"):
        read_text(tmp_path, "a,b\n1,2\n3\n", strict=True)


def test_a_quoted_header_with_a_line_break(tmp_path: Path) -> None:
    """A header over two lines shifts the lines of rejects."""
    found = read_text(tmp_path, 'a,"b\nc"\n1,2\n3\n')
    assert found.rows == [{"a": 1, "b c": 2}]
    assert [reject.line for reject in found.rejects] == [4]
