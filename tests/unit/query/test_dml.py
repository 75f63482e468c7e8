"""What a statement would change, read off its plan; nothing is ever executed."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Any

import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lakecore.base import InvalidInput, LakecoreError, NotFound, Refused
from lakecore.query import QueryEngine, QueryResult, QuerySettings, SqlChange
from lakecore.query._dml import _bare

PLANES = pa.table(
    {
        "tailnum": ["N1", "N2", "it's", None],
        "seats": pa.array([1, 2, 3, None], pa.int64()),
        "Big Col": [1.5, -2.5, None, 0.0],
        "at": pa.array([0, 10**6, 2 * 10**15, None], pa.timestamp("us", tz="UTC")),
    }
)
STAFF = pa.table({"id": [1, 2], "name": ["ada", "bob"]})


class Tables:
    """Two tables that may not be written to by anybody."""

    def schemas(self) -> list[str]:
        return ["main", "hr"]

    def tables(self, schema: str) -> list[str]:
        return {"main": ["planes"], "hr": ["staff"]}.get(schema, [])

    def table(self, schema: str, name: str, **moment: Any) -> object | None:
        return {("main", "planes"): PLANES, ("hr", "staff"): STAFF}.get((schema, name))


@pytest.fixture(scope="module")
def engine() -> Iterator[QueryEngine]:
    """An engine over them."""
    with QueryEngine(Tables(), QuerySettings(timeout_s=30)) as engine:
        yield engine


def change(engine: QueryEngine, text: str, params: Any = None) -> SqlChange:
    """What a statement would change."""
    found = engine.statement(text, params)
    assert isinstance(found, SqlChange)
    return found


def test_a_query_is_a_query(engine: QueryEngine) -> None:
    """As by `sql`."""
    found = engine.statement("select count(*) n from planes", max_rows=5)
    assert isinstance(found, QueryResult)
    assert found.to_pylist() == [{"n": 4}]


@pytest.mark.parametrize(
    ("text", "op", "rows"),
    [
        ("insert into planes (tailnum, seats) values ('N9', 9)", "insert", [("N9", 9)]),
        ("insert into planes select * from planes where seats > 2", "insert", [("it's", 3)]),
        ("replace into planes (seats, tailnum) values (9, 'N9')", "upsert", [("N9", 9)]),
        ("insert or replace into planes (tailnum) values ('N9')", "upsert", [("N9", None)]),
        ("insert overwrite planes select * from planes where seats=1", "replace", [("N1", 1)]),
        ("insert into main.planes (tailnum) select name from hr.staff where id = 1", "insert",
         [("ada", None)]),
        ("insert into planes (seats, tailnum) with x as (select 4 s) select s, 'x' from x",
         "insert", [("x", 4)]),
    ],
)  # fmt: skip
def test_rows_that_are_put_in(
    engine: QueryEngine, text: str, op: str, rows: list[tuple[Any, Any]]
) -> None:
    """All columns of the table, those that were not named as null."""
    found = change(engine, text)
    assert found.rows is not None
    table = found.rows.to_arrow()
    assert (found.op, found.dataset) == (op, "planes")
    assert table.schema.names == PLANES.schema.names
    assert list(zip(*(table[name].to_pylist() for name in ("tailnum", "seats")), strict=True)) == (
        rows
    )


@pytest.mark.parametrize(
    ("text", "dataset", "where", "assigned"),
    [
        ("delete from planes", "planes", None, {}),
        ("truncate table planes", "planes", None, {}),
        ("delete from hr.staff where id = 1", "hr.staff", '("id" = 1)', {}),
        ("delete from planes p where tailnum = $1", "planes", "(\"tailnum\" = 'a''b')", {}),
        ("update planes set seats = seats + 1", "planes", None, {"seats": '("seats" + 1)'}),
        ("update planes as p set seats = 2 * p.seats, \"Big Col\" = null where p.seats is not null",
         "planes", '"seats" IS NOT NULL', {"seats": '(2 * "seats")',
                                           "Big Col": "CAST(NULL AS DOUBLE PRECISION)"}),
        ("update planes set seats = \"Big Col\"", "planes", None, {"seats": '"Big Col"'}),
        ("update planes set seats = seats", "planes", None, {"tailnum": '"tailnum"'}),
    ],
)  # fmt: skip
def test_rows_that_are_changed_or_go(
    engine: QueryEngine, text: str, dataset: str, where: str | None, assigned: dict[str, str]
) -> None:
    """The condition and the values, over the row's own columns."""
    found = change(engine, text, ["a'b"] if "$1" in text else None)
    assert (found.dataset, found.where, found.set) == (dataset, where, assigned)
    assert found.op == ("update" if assigned else "delete")
    assert found.rows is None


@pytest.mark.parametrize(
    "text",
    [
        "delete from planes where seats > 1 limit 1",
        "update planes set seats = s.id from hr.staff s where s.name = tailnum",
        "merge into planes p using hr.staff s on p.tailnum = s.name "
        "when matched then update set seats = s.id",
        "delete from planes where exists (select 1 from hr.staff where name = tailnum)",
        "insert into planes (seats) select p.seats from planes p, hr.staff s where p.seats < s.id",
        "explain delete from planes",
        "explain analyze insert into planes (tailnum) values ('x')",
        "explain analyze delete from planes",
        "create table t as select 1",
        "drop table planes",
        "copy planes to '/tmp/planes.csv'",
        "set datafusion.execution.batch_size = 1",
        "begin",
        "with x as (delete from planes) select 1",
        "delete from planes; delete from planes",
        "insert into planes (tailnum) values ('x') returning *",
        "insert into planes (seats) values (1.5)",
        "insert into planes (seats) select sum(seats) from nowhere",
        "delete from nowhere",
        "delete from information_schema.tables where x",
        "update planes set nothing = 1",
        "delete from planes where seats",
    ],
)
def test_what_is_no_change_of_rows(engine: QueryEngine, text: str) -> None:
    """Refused or wrong, in words; the tables are as they were."""
    before = PLANES.num_rows
    with pytest.raises((Refused, InvalidInput, NotFound)) as caught:
        change(engine, text).close()
    assert str(caught.value)
    assert before == PLANES.num_rows


def test_a_change_takes_no_limit_of_rows(engine: QueryEngine) -> None:
    """It would look as if only so many were changed."""
    with pytest.raises(InvalidInput, match="no limit of rows"):
        engine.statement("delete from planes", max_rows=1)


def test_the_rows_of_a_change_are_bounded(engine: QueryEngine) -> None:
    """Too long a text, too long a time."""
    values = ", ".join(["('N', 1)"] * 20_000)
    with pytest.raises(Refused, match="too long"):
        engine.statement(f"insert into planes (tailnum, seats) values {values}")
    text = (
        "insert into planes (seats) select a.value from generate_series(1, 100000000) a "
        "order by a.value desc"
    )
    found = engine.statement(text, timeout_s=0.2)
    assert isinstance(found, SqlChange)
    assert found.rows is not None
    with pytest.raises(LakecoreError, match="time limit"):
        found.rows.to_arrow()


def test_a_change_that_is_cancelled(engine: QueryEngine) -> None:
    """Its rows end."""
    found = change(engine, "insert into planes (tailnum) values ('x')")
    found.cancel()
    assert found.rows is not None
    with pytest.raises(LakecoreError, match="cancelled"):
        found.rows.to_arrow()
    found.close()


NAMES = st.sampled_from(['"seats"', '"Big Col"', "seats", "tailnum", '"at"', "planes.seats"])
VALUES = st.one_of(
    st.integers(-5, 5).map(str),
    st.floats(-3, 3, allow_nan=False).map(str),
    st.sampled_from(["'N1'", "'it''s'", "null", '\'"planes"."seats"\'', "timestamp '1970-01-01'"]),
)
TESTS = st.one_of(
    st.tuples(NAMES, st.sampled_from(["=", "<", ">=", "<>", "is distinct from"]), VALUES).map(
        " ".join
    ),
    NAMES.map(lambda name: f"{name} is null"),
    st.tuples(NAMES, VALUES, VALUES).map(lambda t: f"{t[0]} between {t[1]} and {t[2]}"),
    st.tuples(NAMES, VALUES, VALUES).map(lambda t: f"{t[0]} in ({t[1]}, {t[2]})"),
    st.just("tailnum like 'N%'"),
    st.just("not (tailnum ilike '%s')"),
)
CONDITIONS = st.recursive(
    TESTS,
    lambda inner: st.tuples(inner, st.sampled_from(["and", "or"]), inner).map(
        lambda t: f"({t[0]} {t[1]} not ({t[2]}))"
    ),
    max_leaves=5,
)


@settings(deadline=None)
@given(condition=CONDITIONS)
def test_the_condition_means_the_same_rows(engine: QueryEngine, condition: str) -> None:
    """Those that a query with it finds; or the statement is refused."""
    query = "select tailnum from planes where {} order by 1"
    try:
        wanted = engine.sql(query.format(condition)).to_pylist()
        found = change(engine, f"delete from planes where {condition}")
    except (InvalidInput, Refused):
        return
    assert engine.sql(query.format(found.where or "true")).to_pylist() == wanted


def test_names_within_text_are_left_alone() -> None:
    """Only names lose their table."""
    assert _bare('"p"."a" = \'"p"."a"\'', {"p"}) == '"a" = \'"p"."a"\''
    with pytest.raises(Refused):
        _bare('"q"."a"', {"p"})


def test_parameters_keep_their_types(engine: QueryEngine) -> None:
    """A time is a time in the condition's text."""
    found = change(
        engine, 'delete from planes where "at" < $t', {"t": datetime(2000, 1, 1, tzinfo=UTC)}
    )
    assert found.where is not None
    count = engine.sql(f"select count(*) n from planes where {found.where}").to_pylist()
    assert count == [{"n": 2}]
