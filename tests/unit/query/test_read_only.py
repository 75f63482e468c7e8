"""Nothing that SQL can say changes or reads anything but the source's tables."""

from __future__ import annotations

from pathlib import Path

import pyarrow as pa
import pyarrow.csv
import pyarrow.parquet as pq
import pytest
from tests.fakes.delta_lake import DeltaLake

from lakecore.base import FixRequest, InvalidInput, LakecoreError, NotFound, Refused
from lakecore.query import QueryEngine, QuerySettings

CHANGES = [
    "insert into planes values ('N1', 1, 'X')",
    "insert into planes select * from planes",
    "INSERT INTO planes SELECT * FROM planes",
    "/* select */ insert into planes select * from planes",
    "-- select\ndelete from planes",
    "update planes set seats = 1",
    "delete from planes",
    "delete from planes where seats = 1",
    "truncate table planes",
    "merge into planes p using planes q on p.tailnum = q.tailnum when matched then delete",
    "explain delete from planes",
    "explain analyze insert into planes select * from planes",
    "explain analyze verbose delete from planes",
    "drop table planes",
    "drop table if exists nothing",
    "drop schema main",
    "drop view planes",
    "create table copied as select * from planes",
    "create table copied (a int)",
    "create or replace table planes as select 1 as a",
    "create view seen as select * from planes",
    "create schema other",
    "create database other",
    "create external table x stored as csv location '{folder}/secret.csv'",
    "create unbounded external table x (a int) stored as csv location '{folder}/secret.csv'",
    "create function f(bigint) returns bigint return $1 + 1",
    "copy planes to '{folder}/out.csv'",
    "copy (select * from planes) to '{folder}/out.parquet' stored as parquet",
    "set datafusion.catalog.information_schema = false",
    "set datafusion.execution.batch_size = 1",
    "reset datafusion.execution.batch_size",
    "prepare p as select 1",
    "execute p",
    "deallocate p",
    "begin",
    "start transaction",
    "commit",
    "rollback",
]

OTHERS = [
    "with gone as (delete from planes returning *) select * from gone",
    "with made as (insert into planes select * from planes) select * from made",
    "select * from (delete from planes)",
    "select 1; delete from planes",
    "delete from planes; select 1",
    "vacuum",
    "analyze table planes",
    "call stop()",
    "grant select on planes to you",
    "use system",
    "load data inpath '{folder}/secret.csv' into table planes",
    "attach '{folder}/secret.csv' as x",
    "install httpfs",
    "pragma version",
    "unload (select 1) to '{folder}/out.csv'",
    "select * into copied from planes",
]

FILES = [
    "select * from '{folder}/secret.csv'",
    'select * from "{folder}/secret.csv"',
    "select * from '{folder}/secret.parquet'",
    "select * from 'file://{folder}/secret.csv'",
    "select * from '../secret.csv'",
    "select * from read_csv('{folder}/secret.csv')",
    "select * from read_parquet('{folder}/secret.parquet')",
    "select * from read_json('{folder}/secret.csv')",
    "select * from parquet_scan('{folder}/secret.parquet')",
    "select * from parquet_metadata('{folder}/secret.parquet')",
    "select * from csv('{folder}/secret.csv')",
    "select * from glob('{folder}/*')",
    "select * from as_of('{folder}/secret.csv', 0)",
    'select * from "{folder}/secret.csv@0"',
    "select read_file('{folder}/secret.csv')",
    "select load_file('{folder}/secret.csv')",
    "select pg_read_file('{folder}/secret.csv')",
]


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A folder with files that no query may see."""
    folder = tmp_path / "private"
    folder.mkdir()
    secret = pa.table({"secret": ["swordfish"]})
    pyarrow.csv.write_csv(secret, folder / "secret.csv")
    pq.write_table(secret, folder / "secret.parquet")
    return folder


def _state(engine: QueryEngine, lake: DeltaLake, folder: Path) -> object:
    rows = engine.sql("select * from planes order by tailnum").to_pylist()
    log = sorted(path.name for path in (lake.root / "main/planes/_delta_log").iterdir())
    return rows, log, lake.tables("main"), sorted(path.name for path in folder.iterdir())


@pytest.mark.parametrize("statement", CHANGES)
def test_statements_that_change_something_are_refused(
    engine: QueryEngine, lake: DeltaLake, folder: Path, statement: str
) -> None:
    """Every kind of change is refused when it is planned, and nothing has changed after it."""
    before = _state(engine, lake, folder)
    with pytest.raises(FixRequest) as caught:
        engine.sql(statement.format(folder=folder), max_rows=10).to_arrow()
    assert isinstance(caught.value, Refused | InvalidInput)
    assert _state(engine, lake, folder) == before


@pytest.mark.parametrize("statement", OTHERS)
def test_statements_that_are_no_queries_are_refused(
    engine: QueryEngine, lake: DeltaLake, folder: Path, statement: str
) -> None:
    """Dressed-up changes and other engines' statements go nowhere, either."""
    before = _state(engine, lake, folder)
    with pytest.raises(FixRequest):
        engine.sql(statement.format(folder=folder)).to_arrow()
    assert _state(engine, lake, folder) == before


@pytest.mark.parametrize("statement", FILES)
def test_no_file_can_be_read(engine: QueryEngine, folder: Path, statement: str) -> None:
    """A path is the name of no table, in no spelling; nothing of the file is in the error."""
    with pytest.raises((NotFound, InvalidInput)) as caught:
        engine.sql(statement.format(folder=folder)).to_arrow()
    assert "swordfish" not in str(caught.value.to_dict())


def test_isolated_statements_are_no_freer(lake: DeltaLake, folder: Path, spill: Path) -> None:
    """What is refused here is refused in a process of its own, with the same error."""
    local = QueryEngine(lake, QuerySettings(isolation="never", spill_directory=spill))
    isolated = QueryEngine(lake, QuerySettings(isolation="always", spill_directory=spill))
    with local, isolated:
        before = _state(local, lake, folder)
        for statement in (*CHANGES, *OTHERS, *FILES):
            errors = []
            for engine in (local, isolated):
                with pytest.raises(FixRequest) as caught:
                    engine.sql(statement.format(folder=folder)).to_arrow()
                # Of suggestions that are equally near DataFusion gives any.
                errors.append((type(caught.value), str(caught.value)))
            assert errors[0] == errors[1]
        assert _state(local, lake, folder) == before


@pytest.mark.parametrize(
    ("statement", "hint"),
    [
        ("update planes set seats = 1", "lakecore update"),
        ("delete from planes", "`delete`"),
        ("insert into planes select * from planes", "`insert`"),
        ("copy planes to 'x.csv'", "lakecore sql -o"),
        ("drop table planes", "lakecore drop"),
        ("set a.b = 1", "with the call"),
    ],
)
def test_a_refusal_names_the_way(engine: QueryEngine, statement: str, hint: str) -> None:
    """Who wants to change something is told how it is done."""
    with pytest.raises(Refused) as caught:
        engine.sql(statement)
    assert hint in (caught.value.hint or "")
    assert caught.value.found


def test_the_only_table_functions_are_harmless(engine: QueryEngine) -> None:
    """A new version of the engine must not bring functions that read files."""
    shown = engine.sql("show functions").to_pylist()
    tables = {row["function_name"] for row in shown if row["function_type"] == "TABLE"}
    assert tables <= {"as_of", "changes", "history", "search", "generate_series", "range"}


def test_read_only_is_not_about_words(engine: QueryEngine) -> None:
    """Words of change in names and texts are no change."""
    query = "select 'delete from planes; drop table planes' as \"insert\" from planes limit 1"
    assert engine.sql(query).to_pylist() == [{"insert": "delete from planes; drop table planes"}]


def test_errors_are_of_one_family(engine: QueryEngine) -> None:
    """Whatever is wrong, it is a LakecoreError."""
    for statement in (*CHANGES, *OTHERS, *FILES):
        with pytest.raises(LakecoreError):
            engine.sql(statement.format(folder="x"))
