"""What Spark is told: nothing but the query's own views, whatever the text tries."""

from __future__ import annotations

import itertools
from collections.abc import Callable
from typing import Any

import pyarrow as pa
import pytest
import sqlglot
from sqlglot import exp

from lakecore.base import InvalidInput
from lakecore.query._spark_sql import Key, to_spark

TABLES: dict[Key, pa.Schema] = {
    ("main", "t", None, None): pa.schema(
        [("a", pa.int64()), ("b", pa.int32()), ("d", pa.float64())]
    ),
    ("main", "t", 3, None): pa.schema([("a", pa.int64())]),
    ("system", "journal", None, None): pa.schema([("seq", pa.int64())]),
    ("history", "main", "t", "'k'"): pa.schema([("seq", pa.int64())]),
    ("changes", "main", "t", 1, None): pa.schema([("version", pa.int64())]),
}


def names() -> Callable[[], str]:
    """v0, v1, …: a new name each time."""
    numbers = itertools.count()
    return lambda: f"v{next(numbers)}"


def said(text: str, **values: Any) -> str:
    """The words for Spark."""
    scalars = {name: pa.scalar(value) for name, value in values.items()}
    return to_spark(text, scalars, TABLES, names()).text


@pytest.mark.parametrize(
    "text",
    [
        "select * from t",
        "select t.a, main.t.b from main.t",
        "with s as (select a from t), u as (select a from s) select * from u join t on u.a = t.a",
        "select a from t where a in (select seq from system.journal) union select seq from "
        "history('t', 'k')",
        "select * from as_of('t', 3) x, \"t@3\" y, changes('t', 1) z",
        "select (select max(seq) from system.journal) from t -- */ from other; drop table x",
        "select /* */ a /* */ from t /* ; select * from parquet.`x` */",
        "select /*+ broadcast(other) */ a from t",
        "select '`; select * from other; --', 'a\\', \"a\" from t",
    ],
)
def test_only_views_are_named(text: str) -> None:
    """Every table is a view or a step of a name that was made for it; there are no comments."""
    spoken = to_spark(text, {}, TABLES, names())
    [tree] = sqlglot.parse(spoken.text, read="spark")
    assert tree is not None
    steps = {step.alias for step in tree.find_all(exp.CTE)}
    found = {table.name for table in tree.find_all(exp.Table)}
    assert found <= steps | set(spoken.views)
    assert all(not table.db and not table.catalog for table in tree.find_all(exp.Table))
    assert {name[0] for name in found | steps} == {"v"}
    assert "/*" not in spoken.text.replace("'`; select * from other; --'", "")


@pytest.mark.parametrize(
    "text",
    [
        "select * from other",
        "select * from other.t",
        "select * from lake.main.t",
        "select * from parquet.`/etc/passwd`",
        "select * from read_parquet('x')",
        "select reflect('java.lang.System', 'exit', '0') from t",
        "select * from t tablesample (10 percent)",
        "select * from t lateral view explode(a) x as y",
        "select a into other from t",
        "delete from t",
        "insert into t select 1",
        "create table x as select 1",
        "set a = b",
        "select 1; select 2",
        "",
        "select * from as_of('other', 3)",
        "select * from as_of(a, 3)",
        "select * from t for update",
        "select current_user",
        "select version()",
        "select a from t where a = any(select 1)",
    ],
)
def test_what_is_not_known_is_refused(text: str) -> None:
    """Whether or not the planner would have: here is the last look."""
    with pytest.raises(InvalidInput):
        said(text)


def test_words() -> None:
    """Divisions, literals, parameters, the order of nulls."""
    assert "DIV" in said("select a / b from t")
    assert "DIV" not in said("select a / d, d / 2 from t")
    assert said("select 1.5 from t").startswith("SELECT CAST(1.5 AS DOUBLE)")
    assert "NULLS LAST" in said("select a from t order by a")
    assert "'it''s' " not in said("select $x from t", x="it's")
    assert said("select a from t where a = $x", x=None).endswith("`a` = NULL")
    with pytest.raises(InvalidInput, match="division of integers"):
        said("select a / c from (select a, seats as c from t) x")


def test_a_deep_statement_is_refused() -> None:
    """It is an error of the caller's, not of the stack's."""
    with pytest.raises(InvalidInput):
        said("select " + "(" * 5_000 + "1" + ")" * 5_000)
    with pytest.raises(InvalidInput, match="too long"):
        said("select '" + "x" * 70_000 + "'")
