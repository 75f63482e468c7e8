"""Any table that Python's csv writes is read back, and every record is accounted for."""

from __future__ import annotations

import csv
import io
import tempfile
from pathlib import Path

from hypothesis import given, settings
from hypothesis import strategies as st
from tests.unit.ingest.reading import read_text

# A NUL makes a file binary; a lone carriage return is a line end among others.
CELL = st.text(st.characters(exclude_characters="\0\r", exclude_categories=["Cs"]), max_size=8)


@st.composite
def tables(draw: st.DrawFn) -> tuple[list[list[str]], str, str]:
    """Rows of texts, a delimiter and a line end."""
    width = draw(st.integers(1, 4))
    rows = draw(st.lists(st.lists(CELL, min_size=width, max_size=width), min_size=1, max_size=8))
    return rows, draw(st.sampled_from(",;|\t")), draw(st.sampled_from(["\n", "\r\n"]))


@settings(max_examples=60, deadline=None)
@given(tables())
def test_written_by_csv_read_back_the_same(table: tuple[list[list[str]], str, str]) -> None:
    """With the dialect named and columns of text, each value comes back."""
    import pyarrow as pa

    rows, delimiter, line_end = table
    names = [f"c{index}" for index in range(len(rows[0]))]
    sink = io.StringIO(newline="")
    writer = csv.writer(sink, delimiter=delimiter, lineterminator=line_end, quoting=csv.QUOTE_ALL)
    writer.writerows([names, *rows])
    with tempfile.TemporaryDirectory() as folder:
        found = read_text(
            Path(folder),
            sink.getvalue().encode(),
            header=True,
            delimiter=delimiter,
            quote='"',
            skip_rows=0,
            target=pa.schema([(name, pa.string()) for name in names]),
        )
    assert [list(row.values()) for row in found.rows] == rows
    assert found.rejects == []


LINE = st.sampled_from(["1,x", '2,"y, z"', '3,"a\nb"', "4", "5,6,7", '6,"q"r', "7,\udcff", ""])


@settings(max_examples=60, deadline=None)
@given(st.lists(LINE, max_size=30))
def test_accepted_and_rejected_are_all_records(lines: list[str]) -> None:
    """Good and bad records in any order: each one is in exactly one of the two."""
    records = [line for line in lines if line]
    good = [line for line in records if line[0] in "123"]
    data = "\n".join(["id,text", "0,é", *lines]) + "\n"
    with tempfile.TemporaryDirectory() as folder:
        found = read_text(
            Path(folder), data.encode("utf-8", "surrogateescape"), header=True, delimiter=","
        )
    assert [row["id"] for row in found.rows] == [0, *(int(line[0]) for line in good)]
    assert len(found.rejects) == len(records) - len(good)
    physical = data.split("\n")
    for reject in found.rejects:
        assert (
            physical[reject.line - 1]
            .encode("utf-8", "surrogateescape")
            .decode("utf-8", "backslashreplace")
            == reject.text
        )
