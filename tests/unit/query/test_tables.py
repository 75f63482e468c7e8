"""Names become tables: schemas, versions, times, everything a source may return."""

from __future__ import annotations

import threading
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.dataset as ds
import pyarrow.parquet as pq
import pytest
from tests.fakes.delta_lake import DeltaLake

from lakecore.base import Bug, CorruptData, InvalidInput, NotFound
from lakecore.query import ParquetFiles, QueryEngine
from lakecore.query._names import Moment, parse_moment, split_moment, split_schema
from lakecore.query._wire import pack, unpack


def test_names_without_a_schema_are_in_main(engine: QueryEngine) -> None:
    """`planes`, `main.planes` and `lake.main.planes` are one table."""
    for name in ("planes", "main.planes", "lake.main.planes", '"planes"', "PLANES"):
        assert engine.sql(f"select count(*) n from {name}").to_pylist() == [{"n": 4}]


def test_other_schemas_are_named(engine: QueryEngine) -> None:
    """`system.journal` is not `main.journal`."""
    assert engine.sql("select max(seq) m from system.journal").to_pylist() == [{"m": 1}]
    with pytest.raises(NotFound):
        engine.sql("select * from journal")


def test_tables_are_opened_when_a_query_names_them(engine: QueryEngine, lake: DeltaLake) -> None:
    """Tables that are not named cost nothing; one that is named twice is opened once."""
    engine.sql("select 1").to_arrow()
    assert lake.opened == []
    engine.sql("select * from planes a join planes b using (tailnum)").to_arrow()
    assert lake.opened == [("main", "planes", None, None)]


@pytest.mark.parametrize(
    ("reference", "count"),
    [
        ('"planes@0"', 2),
        ('"planes@1"', 4),
        ('main."planes@0"', 2),
        ("as_of('planes', 0)", 2),
        ("as_of('planes', '1')", 4),
        ("as_of('main.planes', 0)", 2),
        ("as_of($name, $version)", 2),
        ("as_of('planes', '2100-01-31T12:00:00Z')", 4),
        ("as_of('planes', '2100-01-31')", 4),
        ("as_of('planes', timestamp '2100-01-31 12:00:00')", 4),
        ("as_of('planes', date '2100-01-31')", 4),
        ('"planes@2100-01-31T12:00:00+01:00"', 4),
    ],
)
def test_time_travel(engine: QueryEngine, reference: str, count: int) -> None:
    """A version or time names an earlier state of a table."""
    found = engine.sql(f"select count(*) n from {reference} t", {"name": "planes", "version": 0})
    assert found.to_pylist() == [{"n": count}]


def test_times_reach_the_source_with_their_zone(engine: QueryEngine, lake: DeltaLake) -> None:
    """A time without a zone is UTC."""
    engine.sql("select * from as_of('planes', '2100-01-31 12:00:00') a").to_arrow()
    assert lake.opened[-1][3] == datetime(2100, 1, 31, 12, tzinfo=UTC)
    engine.sql("select * from as_of('planes', '2100-01-31T12:00:00+02:00') a").to_arrow()
    assert lake.opened[-1][3] == datetime(2100, 1, 31, 10, tzinfo=UTC)


def test_two_versions_in_one_query(engine: QueryEngine) -> None:
    """A table can be compared with itself."""
    query = "select tailnum from planes except select tailnum from as_of('planes', 0)"
    assert {row["tailnum"] for row in engine.sql(query).to_pylist()} == {"N103US", "N104UW"}


def test_an_unknown_version_says_which_exist(engine: QueryEngine) -> None:
    """The source's error arrives whole, from both spellings."""
    for reference in ("as_of('planes', 9)", '"planes@9"'):
        with pytest.raises(NotFound, match="expected 0 to 1, found 9"):
            engine.sql(f"select * from {reference}")


def test_a_time_before_the_table_says_when_it_began(engine: QueryEngine) -> None:
    """There is no state before the first commit."""
    long_ago = datetime.now(UTC) - timedelta(days=3_650)
    with pytest.raises(NotFound, match="or later"):
        engine.sql(f"select * from as_of('planes', '{long_ago.isoformat()}')")


@pytest.mark.parametrize(
    "arguments",
    ["", "'planes'", "'planes', 'soon'", "'planes', -1", "'planes', 1.5", "3, 'planes'"],
)
def test_arguments_of_as_of_are_checked(engine: QueryEngine, arguments: str) -> None:
    """What is no version and no time is refused with an example."""
    with pytest.raises(InvalidInput, match="2026-01-31T12:00:00Z"):
        engine.sql(f"select * from as_of({arguments})")


def test_as_of_an_unknown_table(engine: QueryEngine) -> None:
    """The table is missed as in FROM, with the nearest name."""
    with pytest.raises(NotFound) as caught:
        engine.sql("select * from as_of('plane', 0)")
    assert caught.value.expected == "planes"


def test_names_and_moments() -> None:
    """The pure parts of names."""
    assert split_schema("system.a.b") == ("system", "a.b")
    assert split_moment("a@b@3") == ("a@b", Moment(version=3))
    with pytest.raises(InvalidInput):
        parse_moment(True)


def _numbers(count: int = 5) -> pa.Table:
    return pa.table({"n": pa.array(range(count), pa.int64()), "t": [str(i) for i in range(count)]})


def _parquet(folder: Path) -> ParquetFiles:
    paths = []
    for start in (0, 3):
        paths.append(folder / f"{start}.parquet")
        pq.write_table(_numbers().slice(start, 3), paths[-1])
    return ParquetFiles(paths=paths, sort_by=["n"])


def _union(folder: Path) -> ds.Dataset:
    place = folder / "sealed.parquet"
    pq.write_table(_numbers(3), place)
    return ds.dataset([ds.dataset([str(place)]), ds.dataset(_numbers().slice(3))])


PROVIDERS: dict[str, Any] = {
    "table": lambda folder: _numbers(),
    "batch": lambda folder: _numbers().to_batches()[0],
    "reader": lambda folder: _numbers().to_reader(),
    "factory": lambda folder: lambda: _numbers().to_reader(),
    "dataset": lambda folder: ds.dataset(_numbers()),
    "union": _union,
    "files": _parquet,
}


@pytest.mark.parametrize("kind", PROVIDERS)
def test_what_a_source_may_return(
    engine: QueryEngine, lake: DeltaLake, tmp_path: Path, kind: str
) -> None:
    """Every kind of provider gives the same rows, twice in one query, and with a filter."""
    lake.others["main", "t"] = PROVIDERS[kind](tmp_path)
    query = "select a.n, b.t from t a join t b using (n) where a.n > 1 order by a.n desc limit 2"
    assert engine.sql(query).to_pylist() == [{"n": 4, "t": "4"}, {"n": 3, "t": "3"}]


@pytest.mark.parametrize("kind", PROVIDERS)
def test_what_a_source_may_return_can_be_sent(tmp_path: Path, kind: str) -> None:
    """Every kind of provider survives the way to another process."""
    found = unpack(pack(PROVIDERS[kind](tmp_path), tmp_path))
    assert isinstance(found, ds.Dataset | ParquetFiles)


def test_large_readers_are_spooled(
    engine: QueryEngine, lake: DeltaLake, spill: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A reader that is larger than the buffer goes through a file, which goes with the result."""
    monkeypatch.setattr("lakecore.query._providers.MAX_BUFFERED_BYTES", 1_000)
    batches = _numbers(10_000).to_batches(max_chunksize=100)
    lake.others["main", "t"] = lambda: pa.RecordBatchReader.from_batches(batches[0].schema, batches)
    result = engine.sql("select count(*) n, sum(n) s, count(distinct t) d from t")
    assert list(spill.rglob("*.arrow"))
    assert result.to_pylist() == [{"n": 10_000, "s": 49_995_000, "d": 10_000}]
    assert not list(spill.iterdir())


def test_empty_tables(engine: QueryEngine, lake: DeltaLake) -> None:
    """A table without rows keeps its columns; one without columns keeps its rows' number."""
    lake.others["main", "empty"] = pa.table({"a": pa.array([], pa.string())})
    assert engine.sql("select * from empty").to_arrow().schema.names == ["a"]
    assert engine.sql("select count(*) n from empty").to_pylist() == [{"n": 0}]


def test_files_in_known_order_are_not_sorted_again(
    engine: QueryEngine, lake: DeltaLake, tmp_path: Path
) -> None:
    """ORDER BY the known order plans no sort."""
    lake.others["main", "t"] = _parquet(tmp_path)
    plan = engine.sql("explain select n from t order by n").to_pydict()["plan"][1]
    assert "SortExec" not in plan


def test_a_source_that_fails_is_a_bug(engine: QueryEngine, lake: DeltaLake) -> None:
    """An error that is none of ours names itself; one of ours arrives as it is."""
    lake.others["main", "broken"] = KeyError("boo")
    with pytest.raises(Bug, match="KeyError: 'boo'"):
        engine.sql("select * from broken")
    lake.others["main", "broken"] = CorruptData("torn", hint="repair it")
    with pytest.raises(CorruptData) as caught:
        engine.sql("select * from broken")
    assert caught.value.hint == "repair it"
    lake.others["main", "broken"] = object()
    with pytest.raises(Bug, match="no table"):
        engine.sql("select * from broken")


def test_show_tables_shows_all(engine: QueryEngine, lake: DeltaLake) -> None:
    """SHOW TABLES lists main and system, also a table that cannot be opened."""
    lake.others["system", "broken"] = CorruptData("torn")
    shown = engine.sql("show tables").to_pylist()
    names = {(row["table_schema"], row["table_name"]) for row in shown}
    assert {("main", "planes"), ("system", "journal"), ("system", "broken")} <= names


def test_columns_can_be_asked_for(engine: QueryEngine, lake: DeltaLake) -> None:
    """DESCRIBE, SHOW COLUMNS and information_schema agree, broken tables or not."""
    lake.others["system", "broken"] = CorruptData("torn")
    described = engine.sql("describe planes").to_pydict()["column_name"]
    shown = engine.sql("show columns from planes").to_pydict()["column_name"]
    queried = engine.sql(
        "select column_name from information_schema.columns where table_name = 'planes'"
    ).to_pydict()["column_name"]
    assert described == shown == queried == ["tailnum", "seats", "maker"]


def test_explain_shows_the_plan(engine: QueryEngine) -> None:
    """EXPLAIN and EXPLAIN ANALYZE work, with and without a row limit."""
    for statement in ("explain select * from planes", "explain analyze select * from planes"):
        for max_rows in (None, 100):
            plan = str(engine.sql(statement, max_rows=max_rows).to_pylist())
            assert "DeltaScan" in plan


def test_threads_share_an_engine(engine: QueryEngine) -> None:
    """Queries at the same time do not see each other."""
    found: dict[int, object] = {}

    def ask(number: int) -> None:
        for _ in range(5):
            rows = engine.sql("select count(*) + $x n from planes", {"x": number}).to_pylist()
            found[number] = rows[0]["n"]

    threads = [threading.Thread(target=ask, args=(number,)) for number in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert found == {number: number + 4 for number in range(8)}
