"""What went wrong, where in the text, and what was meant."""

from __future__ import annotations

import pytest

from lakecore.base import Bug, CorruptData, InvalidInput, NotFound, OutOfSpace, Refused, Unavailable
from lakecore.query import QueryEngine
from lakecore.query._errors import Statement, translate


def _statement(text: str = "select 1") -> Statement:
    return Statement(text, lambda: ["planes", "flights", "system.journal"])


@pytest.mark.parametrize(
    ("text", "where", "shown"),
    [
        ("selec 1", "line 1, column 1", "  selec 1\n  ^"),
        ("select *\nfrom planes\nwhere (seats = 1", "line 3, column 17", "(seats = 1\n" + " " * 18),
        ("select 1 from", "line 1, column 14", "  select 1 from\n" + " " * 15 + "^"),
        ("select 'open", "line 1, column 8", "  select 'open\n" + " " * 9 + "^"),
        ("select a b c", "line 1, column 12", "^"),
        ("select\t1\tfrom\tt where", "line 1, column 22", "  select 1 from t where"),
    ],
)
def test_syntax_errors_point(engine: QueryEngine, text: str, where: str, shown: str) -> None:
    """Line, column, and the line with a caret under it."""
    with pytest.raises(InvalidInput) as caught:
        engine.sql(text)
    assert caught.value.where == where
    assert shown in (caught.value.found or "")


@pytest.mark.parametrize(
    "text", ["\U000561c2", "selec 'it''s \\ \"x\" ü'", "\\u{zz}", "select \0 x"]
)
def test_syntax_errors_of_strange_characters(engine: QueryEngine, text: str) -> None:
    """What the parser escapes in its message comes back as it was written."""
    with pytest.raises(InvalidInput) as caught:
        engine.sql(text)
    assert caught.value.where is not None
    assert "\\u{" not in (caught.value.found or "") or "\\u{" in text


def test_long_lines_are_cut_around_the_caret() -> None:
    """The caret stays under its character."""
    text = "select " + "1, " * 200 + "? ? from t"
    _, shown = _statement(text).position(1, 608)
    line, caret = shown.split("\n")[1:]
    assert len(line) <= 102
    assert line[caret.index("^")] == text[607]


def test_unknown_tables_have_near_names(engine: QueryEngine) -> None:
    """A slip of the fingers, in main and elsewhere."""
    with pytest.raises(NotFound) as caught:
        engine.sql("select *\nfrom plains")
    assert (caught.value.found, caught.value.where) == ("plains", "line 2, column 6")
    assert caught.value.hint == "did you mean planes?"
    with pytest.raises(NotFound) as caught:
        engine.sql("select * from system.jurnal")
    assert caught.value.hint == "did you mean system.journal?"
    with pytest.raises(NotFound) as caught:
        engine.sql("select * from nowhere.zzz")
    assert "SHOW TABLES" in (caught.value.hint or "")


def test_unknown_columns_have_near_names(engine: QueryEngine) -> None:
    """In every clause, with and without a table's name; else the columns that there are."""
    for query in (
        "select tailnm from planes",
        "select p.tailnm from planes p",
        "select seats from planes order by tailnm",
        "select count(*) from planes group by tailnm",
        'select "Tailnum" from planes',
    ):
        with pytest.raises(InvalidInput) as caught:
            engine.sql(query)
        assert (caught.value.hint or "").endswith("tailnum?"), query
        assert caught.value.where
    with pytest.raises(InvalidInput) as caught:
        engine.sql("select qqqqqq from planes")
    assert caught.value.hint is None
    assert "planes.seats" in (caught.value.expected or "")


def test_unknown_functions(engine: QueryEngine) -> None:
    """Functions of values and of tables."""
    with pytest.raises(InvalidInput) as caught:
        engine.sql("select uppr(maker) from planes")
    assert (caught.value.found, caught.value.hint) == ("uppr", "did you mean upper?")
    with pytest.raises(NotFound) as caught:
        engine.sql("select * from read_csv('x.csv')")
    assert "ingest" in (caught.value.hint or "")


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "the statement is empty"),
        ("  -- nothing\n ;", "the statement is empty"),
        ("select 1; select 2", "more than one statement"),
        ("select " + "(" * 80 + "1" + ")" * 80, "nested too deeply"),
        ("select 1/0", "Divide by zero"),
        ("select cast('x' as int)", "Cannot cast string 'x'"),
        ("select sum(tailnum) from planes", "failed to match any signature"),
        ("select 1 a, 2 a", "unique expression names"),
        ("select tailnum from planes group by seats", "tailnum"),
    ],
)
def test_other_mistakes_are_invalid_input(engine: QueryEngine, text: str, message: str) -> None:
    """Whoever wrote the query can mend it: no mistake in SQL is a bug of ours."""
    with pytest.raises(InvalidInput, match=message) as caught:
        engine.sql(text).to_arrow()
    assert "DataFusion" not in str(caught.value)


def test_statements_are_bounded(engine: QueryEngine) -> None:
    """A text of a megabyte is no question."""
    with pytest.raises(InvalidInput, match="too long"):
        engine.sql("select 1 --" + "x" * (1 << 20))
    with pytest.raises(InvalidInput, match="a statement is text"):
        engine.sql(b"select 1")  # type: ignore[arg-type]  # that is the mistake


class PanicException(BaseException):
    """What pyo3 raises for a panic: no Exception."""


@pytest.mark.parametrize(
    ("error", "kind"),
    [
        (PanicException("index out of bounds"), Bug),
        (MemoryError(), Refused),
        (Exception("DataFusion error: Internal error: wrong plan"), Bug),
        (Exception("DataFusion error: Resources exhausted: Failed to allocate 9 B"), Refused),
        (Exception("External error: No space left on device (os error 28)"), OutOfSpace),
        (
            Exception("Object Store error: Object at location a.parquet not found: x"),
            CorruptData,
        ),
        (Exception("DataFusion error: Parquet error: EOF: footer"), CorruptData),
        (Exception("Object Store error: Generic S3 error: timeout"), Unavailable),
        (ValueError("Error during planning: whatever"), InvalidInput),
    ],
)
def test_what_the_caller_does_decides_the_class(error: BaseException, kind: type) -> None:
    """Each kind of failure of DataFusion has one class here."""
    assert type(translate(error, _statement())) is kind


def test_a_missing_data_file_is_corrupt_data(engine: QueryEngine, lake: object) -> None:
    """The table's log names a file that is gone."""
    root = lake.root  # type: ignore[attr-defined]  # a DeltaLake
    for path in (root / "main/planes").glob("*.parquet"):
        path.unlink()
    with pytest.raises(CorruptData, match=r"missing at .*\.parquet"):
        engine.sql("select * from planes").to_arrow()


def test_a_broken_data_file_is_corrupt_data(engine: QueryEngine, lake: object) -> None:
    """Bytes that are no Parquet."""
    root = lake.root  # type: ignore[attr-defined]  # a DeltaLake
    for path in (root / "main/planes").glob("*.parquet"):
        path.write_bytes(b"x" * path.stat().st_size)
    with pytest.raises(CorruptData):
        engine.sql("select * from planes").to_arrow()
