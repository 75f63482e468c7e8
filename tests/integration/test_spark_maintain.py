"""Compaction whose rows Spark reads and sorts: the same rows, on record, or nothing."""

from __future__ import annotations

import datetime as dt
import json
from collections.abc import Iterator, Sequence
from decimal import Decimal
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest
from tests.integration.soundly import lakecore as command
from tests.servers import spark_server

import lakecore
from lakecore.app import Lake
from lakecore.base import Unavailable
from lakecore.journal import Author
from lakecore.tables import RowSorter

pytestmark = pytest.mark.filterwarnings(
    # The client's, about the release of pandas.
    "ignore::FutureWarning"
)

_SCHEMA = pa.schema(
    [
        ("k.1", pa.int64()),
        ("name", pa.string()),
        ("fare", pa.decimal128(10, 2)),
        ("seen", pa.timestamp("us", tz="UTC")),
        ("local", pa.timestamp("us")),
        ("x", pa.float64()),
        ("tags", pa.list_(pa.string())),
        ("at", pa.struct([("x", pa.float64()), ("y", pa.int32())])),
    ]
)


def _part(number: int) -> pa.Table:
    rows = [
        {
            "k.1": number + 12 * n,
            "name": None if n == 3 else f"n`{number} é",
            "fare": Decimal(number) / 100,
            "seen": dt.datetime(2026, 1, 31, 12, n, tzinfo=dt.UTC),
            "local": dt.datetime(2026, 1, 31, 12, n, 0, 5),
            "x": [0.1, float("nan"), -0.0, float("inf"), None][n],
            "tags": [None, [], ["a", None], ["b"], ["c"]][n],
            "at": None if n == 1 else {"x": 0.5, "y": None},
        }
        for n in range(5)
    ]
    return pa.Table.from_pylist(rows, schema=_SCHEMA)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A lake of twelve small files; the first ones lack a column that came later."""
    with lakecore.open(tmp_path / "lake", actor="ada") as lake:
        lake.create("planes", key=["k.1"])
        for number in range(12):
            part = _part(number)
            more = part.append_column("late", pa.array([number] * 5)) if number > 6 else part
            lake.insert("planes", more)
    return tmp_path


def _open(folder: Path, endpoint: str) -> Lake:
    config = folder / "lakecore.toml"
    config.write_text(f'[query]\nspark = "{endpoint}"\n')
    return lakecore.open(folder / "lake", actor="ada", config=config)


def _rows(lake: Lake) -> list[dict[str, Any]]:
    return lake.sql('select * from planes order by "k.1"').to_pylist()


def test_spark_sorts_and_the_lake_commits(folder: Path, spark_endpoint: str) -> None:
    """One file in key order, the same rows bit by bit, its digest and event as ever."""
    with _open(folder, spark_endpoint) as lake:
        before = _rows(lake)
        report = lake.maintain("planes", engine="spark", reason="tidy")
        [step] = [step for step in report.steps if step.action == "compact"]
        assert (step.outcome, step.files_before, step.files_after) == ("done", 12, 1)
        assert repr(_rows(lake)) == repr(before)
        [file] = lake.as_of("planes", version=step.version).to_arrow()["k.1"].chunks
        assert file.to_pylist() == list(range(60))
        events = lake.journal.query(entity_type="maintenance", action="compact").items
        told = json.loads(events[0].context)
        assert (told["reason"], told["maintenance"]["rows"]) == ("tidy", 60)
        lake.journal.seal()
        assert lake.verify(full=True).status == "green"
        assert lake.reconcile().versions == []


@pytest.mark.parametrize("lie", ["lost", "doubled", "altered", "other columns"])
def test_what_comes_back_is_not_trusted(folder: Path, lie: str) -> None:
    """Rows that are not those of the files are never committed."""
    with lakecore.open(folder / "lake", actor="ada") as lake:
        before, version = _rows(lake), lake._parts.tables.open(lake.dataset("planes")).version
        report = lake._parts.maintainer.run(
            ["planes"], author=Author(actor="ada"), sorter=_liar(lake, lie)
        )
        [step] = [step for step in report.steps if step.action == "compact"]
        assert step.outcome == "failed"
        assert repr(_rows(lake)) == repr(before)
        assert lake._parts.tables.open(lake.dataset("planes")).version == version
        assert lake.verify(full=True).status == "green"


def _liar(lake: Lake, lie: str) -> RowSorter:
    rows = lake.sql("select * from planes").to_arrow()
    if lie == "lost":
        rows = rows.slice(1)
    elif lie == "doubled":
        rows = pa.concat_tables([rows, rows.slice(0, 1)])
    elif lie == "altered":
        rows = rows.set_column(1, "name", pa.array(["other"] * rows.num_rows))
    else:
        rows = rows.drop_columns(["name"])

    def sort(
        paths: Sequence[str], schema: pa.Schema, order: Sequence[str]
    ) -> Iterator[pa.RecordBatch]:
        yield from rows.to_batches()

    return sort


def test_a_server_that_is_gone(folder: Path) -> None:
    """The step failed, says the report and the exit code; without Spark it is done."""
    with spark_server() as (endpoint, process):
        process.kill()
        process.wait()
        with _open(folder, endpoint) as lake:
            report = lake.maintain("planes", engine="spark")
            [step] = [step for step in report.steps if step.action == "compact"]
            assert step.outcome == "failed"
            assert "does not answer" in step.detail
            assert not report.ok
            assert lake.verify().status == "green"
            stray = list((folder / "lake/tables").rglob("*.parquet"))
            assert len(stray) == 12
            with pytest.raises(Unavailable):
                lake.sql("select 1", engine="spark").to_arrow()
    command(folder / "lake", "maintain", "planes", "--engine", "spark", exit_code=1)
    command(folder / "lake", "maintain", "planes")
