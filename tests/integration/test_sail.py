"""Sail, over Spark Connect, writes our tables: every change of its is found, and journaled exactly.

What the journal has to say is computed here from the statements: a dictionary of rows before
and after each of them.
"""

from __future__ import annotations

import datetime as dt
import json
import sys
from collections.abc import Iterator, Mapping
from decimal import Decimal
from itertools import pairwise
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest

import lakecore
from lakecore.journal import Event, MultisetHash, encode_value, foreign_commit_id, multiset_hash
from lakecore.reconcile import ReconciledVersion

pytestmark = pytest.mark.filterwarnings(
    # The client's, about the release of pandas.
    "ignore::FutureWarning"
)

Rows = dict[int, dict[str, Any]]

_SCHEMA = pa.schema(
    [
        ("id", pa.int64()),
        ("name", pa.string()),
        ("fare", pa.decimal128(10, 2)),
        ("seen", pa.timestamp("us", tz="UTC")),
        ("day", pa.date32()),
        ("tags", pa.list_(pa.string())),
        ("at", pa.struct([("x", pa.float64()), ("y", pa.int32())])),
    ]
)
_NOON = dt.datetime(2026, 1, 31, 12, 0, 0, 250_000, tzinfo=dt.UTC)
_DAY = dt.date(2026, 1, 31)


def _row(key: int, name: str | None, fare: str, **others: Any) -> dict[str, Any]:
    row: dict[str, Any] = {"id": key, "name": name, "fare": Decimal(fare), "seen": _NOON}
    row |= {"day": _DAY, "tags": ["a", "b"], "at": {"x": 0.5, "y": key}}
    return row | others


_FIRST: Rows = {
    1: _row(1, "ada", "10.00"),
    2: _row(2, 'bób "x"', "20.50", tags=[], at=None),
    3: _row(3, None, "0.10", day=None, seen=None),
}


class Foreign:
    """A lake and a Spark session that knows its tables as ``planes`` and ``notes``."""

    def __init__(self, place: Path, spark: Any) -> None:
        self.lake = lakecore.open(place, actor="ada")
        self.spark = spark
        for name, key in (("planes", ["id"]), ("notes", [])):
            self.lake.create(name, key=key)
            rows = pa.Table.from_pylist(list(_FIRST.values()), schema=_SCHEMA)
            self.lake.insert(name, rows)
            location = place / self.lake.dataset(name).location
            spark.sql(f"DROP TABLE IF EXISTS {name}")
            spark.sql(f"CREATE TABLE {name} USING delta LOCATION '{location}'")
            setattr(self, name, str(location))
        self.lake.journal.seal()

    def sql(self, statement: str) -> None:
        self.spark.sql(statement).collect()

    def rows(self, dataset: str = "planes") -> list[dict[str, Any]]:
        return self.lake.sql(f"select * from {dataset} order by id").to_pylist()

    def reconciled(self) -> list[ReconciledVersion]:
        """`verify` names each foreign version, `reconcile` journals it, and all is green."""
        report = self.lake.verify()
        named = [p for p in report.completeness.problems if "another program" in p]
        assert named == report.completeness.problems != []
        assert report.completeness.status == report.status == "broken"
        found = self.lake.reconcile()
        assert found.problems == []
        paths = [
            f"{self.lake.dataset(v.dataset).location}/_delta_log/{v.version:020d}.json"
            for v in found.versions
        ]
        assert sorted(problem.partition(":")[0] for problem in named) == sorted(paths)
        self.lake.journal.seal()
        assert self.lake.verify().status == "green" == self.lake.verify(full=True).status
        assert self.lake.reconcile().versions == []
        return found.versions

    def events(self, dataset: str, version: int) -> list[Event]:
        dataset_id = self.lake.dataset(dataset).dataset_id
        found = self.lake.journal.query(dataset_id=dataset_id, version=version, limit=1_000).items
        return sorted(found, key=lambda event: int(event.event_id.rpartition(":")[2]))


@pytest.fixture(scope="module")
def spark(spark_endpoint: str) -> Iterator[Any]:
    """A session of the server; one for all, because making one takes longest."""
    from pyspark.sql import SparkSession

    # pyspark takes a main module without a file, as a worker of pytest-xdist has, for a doctest.
    main = sys.modules["__main__"]
    if not hasattr(main, "__file__"):
        main.__file__ = __file__
    session = SparkSession.builder.remote(spark_endpoint).getOrCreate()
    session.conf.set("spark.sql.session.timeZone", "UTC")
    yield session
    session.stop()


@pytest.fixture
def foreign(spark: Any, tmp_path: Path) -> Iterator[Foreign]:
    """A lake whose tables Sail knows."""
    made = Foreign(tmp_path / "lake", spark)
    yield made
    made.lake.close()


def _expected(before: Rows, after: Rows) -> set[tuple[Any, ...]]:
    """What the journal says of that change: action, entity, field, old, new."""
    found: set[tuple[Any, ...]] = set()
    for key in before.keys() | after.keys():
        old, new = before.get(key), after.get(key)
        if old is None or new is None:
            action = "insert" if old is None else "delete"
            sides = (None if side is None else encode_value(side) for side in (old, new))
            found.add((action, str(key), "*", *sides))
            continue
        for name in new:
            if old[name] != new[name]:
                texts = (encode_value(side[name]) for side in (old, new))
                found.add(("update", str(key), name, *texts))
    return found


def test_every_change_is_journaled_field_by_field(foreign: Foreign) -> None:
    """INSERT, append, UPDATE, DELETE, MERGE and overwrite by Sail, between changes of ours."""
    states: list[Rows] = [_FIRST]

    def then(statement: str, change: Mapping[int, dict[str, Any] | None]) -> None:
        foreign.sql(statement)
        rows = {**states[-1], **change}
        states.append({key: row for key, row in rows.items() if row is not None})

    four = _row(4, "di", "4.40", tags=None)
    then(
        "INSERT INTO planes VALUES (4, 'di', 4.40, timestamp'2026-01-31 12:00:00.25', "
        "date'2026-01-31', NULL, named_struct('x', 0.5D, 'y', 4))",
        {4: four},
    )
    (
        foreign.spark.table("planes")
        .where("id = 1")
        .selectExpr("5L AS id", "upper(name) AS name", "fare", "seen", "day", "tags", "at")
        .write.format("delta")
        .mode("append")
        .save(foreign.planes)
    )
    five = {**_FIRST[1], "id": 5, "name": "ADA"}
    states.append({**states[-1], 5: five})
    then(
        "UPDATE planes SET fare = fare + 1.05, name = 'eve' WHERE id IN (1, 3)",
        {
            1: {**_FIRST[1], "fare": Decimal("11.05"), "name": "eve"},
            3: {**_FIRST[3], "fare": Decimal("1.15"), "name": "eve"},
        },
    )
    then("DELETE FROM planes WHERE id = 2", {2: None})
    then(
        "MERGE INTO planes t USING (SELECT * FROM planes WHERE id = 4 UNION ALL "
        "SELECT 6L, 'flo', 6.00, NULL, NULL, array('z'), NULL) s ON t.id = s.id "
        "WHEN MATCHED THEN UPDATE SET day = NULL, tags = array('c', NULL) "
        "WHEN NOT MATCHED THEN INSERT *",
        {
            4: {**four, "day": None, "tags": ["c", None]},
            6: _row(6, "flo", "6.00", seen=None, day=None, tags=["z"], at=None),
        },
    )
    versions = foreign.reconciled()
    assert [version.operation for version in versions] == [
        "WRITE",
        "WRITE",
        "UPDATE",
        "DELETE",
        "MERGE",
    ]
    dataset_id = foreign.lake.dataset("planes").dataset_id
    for number, (before, after) in enumerate(pairwise(states), start=1):
        *changes, closing = foreign.events("planes", number)
        found = [(e.action, e.entity_id, e.field, e.old_value, e.new_value) for e in changes]
        assert len(found) == len(set(found))
        assert set(found) == _expected(before, after)
        assert {e.actor.partition(":")[0] for e in (*changes, closing)} == {"external"}
        assert {e.actor.partition(":")[2] for e in changes} == {versions[number - 1].engine}
        assert {e.mutation_id for e in changes} == {foreign_commit_id(dataset_id, number)}
        assert json.loads(closing.context)["commit"]["foreign"] is True
    assert versions[0].engine.startswith("sail")
    assert foreign.rows() == [states[-1][key] for key in sorted(states[-1])]
    # The one goes on where the other stopped.
    assert foreign.lake.update("planes", set={"name": "ours"}, where="id = 5").version == 6
    assert foreign.spark.sql("SELECT name FROM planes WHERE id = 5").collect()[0][0] == "ours"
    foreign.sql("UPDATE planes SET name = 'theirs' WHERE id = 5")
    foreign.reconciled()
    history = [(e.source, e.new_value) for e in foreign.lake.history("planes", 5, field="name")]
    assert history == [
        ("external", encode_value(five)),
        ("api", '"ours"'),
        ("external", '"theirs"'),
    ]


def test_rows_of_an_unkeyed_dataset(foreign: Foreign) -> None:
    """How many rows went and came, and the hash of exactly these."""
    foreign.sql("DELETE FROM notes WHERE id = 2")
    foreign.sql("UPDATE notes SET name = 'x' WHERE id = 3")
    versions = foreign.reconciled()
    assert [(v.inserted, v.deleted) for v in versions] == [(0, 1), (1, 1)]
    contexts = [json.loads(foreign.events("notes", n)[-1].context) for n in (1, 2)]
    assert contexts[0]["removed"] == _hash(_FIRST[2]).hex()
    assert contexts[1]["removed"] == _hash(_FIRST[3]).hex()
    assert contexts[1]["added"] == _hash({**_FIRST[3], "name": "x"}).hex()


def test_a_column_more(foreign: Foreign) -> None:
    """A wider append changes the schema: one event, beside that of the row."""
    (
        foreign.spark.table("planes")
        .where("id = 1")
        .selectExpr("7L AS id", "name", "fare", "seen", "day", "tags", "at", "true AS new")
        .write.format("delta")
        .mode("append")
        .option("mergeSchema", "true")
        .save(foreign.planes)
    )
    foreign.reconciled()
    *changes, _ = foreign.events("planes", 1)
    assert [(e.action, e.entity_id, e.field, e.new_value) for e in changes[:1]] == [
        ("add_column", "planes", "new", '"boolean"')
    ]
    row = {**_FIRST[1], "id": 7, "new": True}
    assert [(e.action, e.new_value) for e in changes[1:]] == [("insert", encode_value(row))]


def _hash(row: dict[str, Any]) -> MultisetHash:
    return multiset_hash(pa.Table.from_pylist([row], schema=_SCHEMA))
