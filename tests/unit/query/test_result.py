"""Rows as Arrow, pandas and Python; names and types as people expect them."""

from __future__ import annotations

from datetime import UTC, date, datetime
from decimal import Decimal
from pathlib import Path

import pyarrow as pa
import pytest
from tests.fakes.delta_lake import DeltaLake

import lakecore.query
from lakecore.base import InvalidInput, Stop
from lakecore.query import QueryEngine, QuerySettings, check_versions
from lakecore.query._plain import plain_batch, plain_schema, unique_names

TYPES = (
    "select 9007199254740993 i, 1.5 f, cast(1.5 as decimal(10, 3)) d, x'00ff' b, true t, "
    "date '2026-01-31' day, timestamp '2026-01-31 12:00:00' zoneless, "
    "to_timestamp_micros('2026-01-31T12:00:00Z') at time zone 'UTC' zoned, 'text' s, "
    "[1, null] l, {'a': 1, 'b': ['x']} o, null n"
)


@pytest.mark.parametrize("isolation", ["never", "always"])
def test_values_of_all_types(lake: DeltaLake, isolation: str) -> None:
    """Python values for every SQL type; here and from another process."""
    settings = QuerySettings(isolation=isolation)  # type: ignore[arg-type]  # a literal
    with QueryEngine(lake, settings) as engine:
        (row,) = engine.sql(TYPES).to_pylist()
    assert row == {
        "i": 9_007_199_254_740_993,
        "f": 1.5,
        "d": Decimal("1.500"),
        "b": b"\x00\xff",
        "t": True,
        "day": date(2026, 1, 31),
        "zoneless": datetime(2026, 1, 31, 12),
        "zoned": datetime(2026, 1, 31, 12, tzinfo=UTC),
        "s": "text",
        "l": [1, None],
        "o": {"a": 1, "b": ["x"]},
        "n": None,
    }


@pytest.mark.parametrize("isolation", ["never", "always"])
def test_types_are_plain(lake: DeltaLake, isolation: str) -> None:
    """No views, no dictionaries, at no depth: every reader of Arrow knows these types."""
    settings = QuerySettings(isolation=isolation)  # type: ignore[arg-type]  # a literal
    query = (
        "select tailnum, [tailnum] l, {'k': tailnum} o, arrow_cast(maker, 'BinaryView') b, "
        "arrow_cast(maker, 'Dictionary(Int32, Utf8)') d, now() at from planes order by 1"
    )
    with QueryEngine(lake, settings) as engine:
        found = engine.sql(query).to_arrow()
    text = pa.string()
    assert found.schema.types[:5] == [
        text,
        pa.list_(found.schema.field("l").type.value_field.with_type(text)),
        pa.struct([found.schema.field("o").type.field("k").with_type(text)]),
        pa.binary(),
        text,
    ]
    assert str(found.schema.field("at").type) == "timestamp[ns, tz=UTC]"
    assert found["d"].to_pylist() == ["EMBRAER", "AIRBUS", "AIRBUS", None]


def test_names_are_unique(engine: QueryEngine) -> None:
    """Both sides of a join keep their columns."""
    result = engine.sql("select * from planes a join planes b on a.tailnum = b.tailnum limit 1")
    assert result.schema.names == ["tailnum", "seats", "maker", "tailnum_1", "seats_1", "maker_1"]
    assert set(result.to_pylist()[0]) == set(result.schema.names)
    assert unique_names(["a", "a_1", "a", "a"]) == ["a", "a_1", "a_2", "a_3"]


def test_batches_of_other_encodings_become_plain() -> None:
    """Run-end encoding, which SQL can hardly make; lists of views."""
    runs = pa.RunEndEncodedArray.from_arrays([2, 3], ["x", "y"])
    views = pa.array([["a"], None, []], pa.large_list(pa.string_view()))
    batch = pa.RecordBatch.from_arrays([runs, views], ["r", "v"])
    schema = plain_schema(batch.schema)
    plain = plain_batch(batch, schema)
    assert plain.to_pydict() == {"r": ["x", "x", "y"], "v": [["a"], None, []]}
    assert schema.field("r").type == pa.string()


def test_pandas(engine: QueryEngine) -> None:
    """A DataFrame with the same names and rows."""
    frame = engine.sql("select tailnum, seats from planes order by 1").to_pandas()
    assert list(frame.columns) == ["tailnum", "seats"]
    assert frame["tailnum"].tolist() == ["N10156", "N102UW", "N103US", "N104UW"]


def test_other_libraries_take_the_result(engine: QueryEngine) -> None:
    """Through Arrow's stream interface, without a copy of their own."""
    import polars as pl

    assert pl.DataFrame(engine.sql("select n from numbers")).height == 20_000
    assert pa.table(engine.sql("select n from numbers")).num_rows == 20_000
    assert engine.sql("select n from numbers").reader().schema.names == ["n"]


def test_batches_come_while_they_are_computed(engine: QueryEngine) -> None:
    """The first rows of a result without end."""
    with engine.sql("select value from generate_series(1, 1000000000000)") as result:
        first = next(iter(result))
    assert first["value"][0].as_py() == 1


def test_a_result_is_read_once(engine: QueryEngine) -> None:
    """A second reading is a mistake, not an empty result; after close nothing comes."""
    result = engine.sql("select 1 as x")
    assert result.to_pylist() == [{"x": 1}]
    with pytest.raises(InvalidInput, match="read already"):
        result.to_pylist()
    closed = engine.sql("select 1 as x")
    closed.close()
    assert closed.to_pylist() == []


def test_nanoseconds_are_cut_for_python_only(engine: QueryEngine) -> None:
    """Arrow keeps them."""
    one = "arrow_cast(1, 'Timestamp(Nanosecond, None)')"
    query = f"select {one} t, [{one}] l"
    assert engine.sql(query).to_arrow()["t"].cast(pa.int64()).to_pylist() == [1]
    epoch = datetime(1970, 1, 1)
    assert engine.sql(query).to_pylist() == [{"t": epoch, "l": [epoch]}]


def test_the_versions_fit() -> None:
    """deltalake's tables can be read by datafusion."""
    assert set(check_versions()) == {"datafusion", "deltalake"}


def test_versions_that_do_not_fit_are_told(monkeypatch: pytest.MonkeyPatch) -> None:
    """A failure and a wrong answer both stop."""
    monkeypatch.setattr("lakecore.query._versions._sum_of_three", lambda: 7)
    with pytest.raises(Stop, match=r"expected 6 .* found 7"):
        check_versions()


def test_the_face_is_lazy(tmp_path: Path) -> None:
    """Importing the package imports neither Arrow nor DataFusion."""
    import subprocess
    import sys

    code = (
        "import sys, lakecore.query; "
        "print(sorted({'pyarrow', 'datafusion', 'polars', 'deltalake'} & set(sys.modules)))"
    )
    found = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert found.stdout.strip() == "[]"
    assert set(dir(lakecore.query)) == set(lakecore.query.__all__)
    with pytest.raises(AttributeError):
        _ = lakecore.query.nothing
