"""The same SQL on both engines: the same rows, of the same types, from a cluster of Sail's.

Rows are compared without an order; floating numbers to 12 digits, because sums of them depend
on the order in which they were added.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from typing import Any

import pyarrow as pa
import pytest
import sqlglot
from sqlglot import exp
from tests.spark_queries import QUERIES, REFUSED, SEED, WITH_VALUES, fill

import lakecore
from lakecore.app import Lake
from lakecore.base import InvalidInput, LakecoreError
from lakecore.query._spark_words import FIELDS, FUNCTIONS, TRUNCATIONS

pytestmark = pytest.mark.filterwarnings(
    # The client's, about the release of pandas.
    "ignore::FutureWarning"
)


@pytest.fixture(scope="module")
def lake(spark_cluster: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Lake]:
    """A lake, and a cluster that reads it."""
    print(f"seed {SEED}")
    folder = tmp_path_factory.mktemp("rows")
    config = folder / "lakecore.toml"
    config.write_text(f'[query]\nspark = "{spark_cluster}"\n')
    with lakecore.open(folder / "lake", actor="ada", config=config) as made:
        fill(made)
        yield made


@pytest.mark.parametrize("query", QUERIES)
def test_same_rows(lake: Lake, query: str) -> None:
    """Row by row, type by type."""
    _compare(lake, query)


@pytest.mark.parametrize(("query", "values"), WITH_VALUES)
def test_same_rows_with_values(lake: Lake, query: str, values: Any) -> None:
    """Parameters are values, whatever they hold."""
    _compare(lake, query, values)


def test_every_word_is_compared() -> None:
    """No function or part of a time is said to Spark that no query above has."""
    trees = [sqlglot.parse_one(query, read="postgres") for query in QUERIES]
    nodes = [node for tree in trees for node in tree.walk()]
    assert FUNCTIONS - {type(node).__name__ for node in nodes} == set()
    assert FIELDS - {n.name.lower() for n in nodes if isinstance(n, exp.Extract)} == set()
    units = {n.args["unit"].name.lower() for n in nodes if isinstance(n, exp.TimestampTrunc)}
    assert TRUNCATIONS - units == set()


@pytest.mark.parametrize("query", REFUSED)
def test_what_is_not_known_to_be_the_same_is_refused(lake: Lake, query: str) -> None:
    """By its name, before Spark hears of it; DataFusion answers it."""
    lake.sql(query).to_arrow()
    with pytest.raises(LakecoreError) as caught:
        lake.sql(query, engine="spark")
    assert REFUSED[query] in str(caught.value)


def test_rows_are_cut_and_streamed(lake: Lake) -> None:
    """`max_rows` ends the query; a result is read batch by batch, and may be left."""
    result = lake.sql("select id from flights order by id", engine="spark", max_rows=5)
    assert [row["id"] for row in result.to_pylist()] == [0, 1, 2, 3, 4]
    assert result.truncated
    many = "select a.id from flights a cross join flights b cross join planes c"
    with lake.sql(many, engine="spark") as left:
        assert next(iter(left)).num_rows > 0


def test_a_value_that_does_not_fit_is_an_error(lake: Lake) -> None:
    """By zero divides one engine and not the other: said, never null."""
    assert math.isinf(lake.sql("select 1.0 / 0.0 as x").to_pylist()[0]["x"])
    with pytest.raises(InvalidInput, match="zero"):
        lake.sql("select delay / 0.0 from flights", engine="spark").to_arrow()


def test_versions_are_pinned(lake: Lake) -> None:
    """A query reads the version that it was planned at, whatever is committed meanwhile."""
    lake.create("moving", key=["k"])
    lake.insert("moving", pa.table({"k": [1, 2, 3]}))
    result = lake.sql("select count(*) as n from moving", engine="spark")
    lake.insert("moving", pa.table({"k": [4]}))
    assert result.to_pylist() == [{"n": 3}]
    counts = [
        lake.sql(f"select count(*) as n from as_of('moving', {v})", engine="spark").to_pylist()
        for v in (0, 1)
    ]
    assert counts == [[{"n": 3}], [{"n": 4}]]


def _compare(lake: Lake, query: str, values: Any = None) -> None:
    ours = lake.sql(query, values).to_arrow()
    theirs = lake.sql(query, values, engine="spark").to_arrow()
    assert theirs.schema.names == ours.schema.names
    assert theirs.schema.types == ours.schema.types
    assert _rows(theirs) == _rows(ours)


def _rows(table: pa.Table) -> list[tuple[Any, ...]]:
    rows = [tuple(_plain(value) for value in row.values()) for row in table.to_pylist()]
    return sorted(rows, key=repr)


def _plain(value: Any) -> Any:
    if isinstance(value, float):
        return "NaN" if math.isnan(value) else float(f"{value:.12g}") + 0.0
    if isinstance(value, dict):
        return tuple((name, _plain(one)) for name, one in value.items())
    return tuple(map(_plain, value)) if isinstance(value, list) else value
