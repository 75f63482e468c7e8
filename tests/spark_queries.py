"""A lake of untidy rows, and the queries that both engines must answer alike."""

from __future__ import annotations

import datetime as dt
import random
from decimal import Decimal
from typing import Any, Final

import pyarrow as pa

from lakecore.app import Lake

SEED: Final = 7
_START: Final = dt.datetime(2026, 1, 1, tzinfo=dt.UTC)
_NOTES: Final = ["", "é x", "a'b", 'q"q', "back\\slash", "tab\tx", None, "%_", "Ünïcode ☃"]
_SCHEMA: Final = pa.schema(
    [
        ("id", pa.int64()),
        ("carrier", pa.string()),
        ("tailnum", pa.string()),
        ("seats", pa.int32()),
        ("small", pa.int16()),
        ("delay", pa.float64()),
        ("fare", pa.decimal128(10, 2)),
        ("day", pa.date32()),
        ("seen", pa.timestamp("us", tz="UTC")),
        ("local", pa.timestamp("us")),
        ("ok", pa.bool_()),
        ("note", pa.string()),
        ("tags", pa.list_(pa.string())),
        ("at", pa.struct([("x", pa.float64()), ("y", pa.int32())])),
    ]
)


def _row(number: int, chance: random.Random) -> dict[str, Any]:
    row = {
        "id": number,
        "carrier": chance.choice(["AA", "UA", "B6", None]),
        "tailnum": f"N{chance.randrange(40):03d}",
        "seats": chance.choice([None, 0, 2, 20, 55, 182, 301]),
        "small": chance.choice([None, 1, 2, 3]),
        "delay": chance.choice([None, -12.5, 0.0, 3.25, 17.0, 1e6, -0.75]),
        "fare": Decimal(chance.randrange(-5_000, 500_000)) / 100,
        "day": dt.date(2026, 1, 1) + dt.timedelta(days=chance.randrange(400)),
        "seen": _START + dt.timedelta(microseconds=chance.randrange(40_000_000_000_000)),
        "local": dt.datetime(2026, 3, 1) + dt.timedelta(minutes=chance.randrange(100_000)),
        "ok": chance.choice([True, False, None]),
        "note": chance.choice(_NOTES),
        "tags": chance.choice([None, [], ["a"], ["a", None, "c"]]),
        "at": chance.choice([None, {"x": 0.5, "y": 3}, {"x": None, "y": 4}]),
    }
    for name in ("tailnum", "fare", "day", "seen", "local"):
        if chance.random() < 0.1:
            row[name] = None
    return row


def fill(lake: Lake) -> None:
    """Datasets with a history: `flights`, `planes` (versions 0 to 3), `loose` without a key."""
    chance = random.Random(SEED)
    lake.create("flights", key=["id"])
    rows = [_row(number, chance) for number in range(400)]
    lake.insert("flights", pa.Table.from_pylist(rows, schema=_SCHEMA))
    makers = ["BOEING", "AIRBUS", "EMBRAER"]
    planes = [{"tailnum": f"N{n:03d}", "maker": makers[n % 3], "year": 1990 + n} for n in range(30)]
    lake.create("planes", key=["tailnum"])
    lake.insert("planes", pa.Table.from_pylist(planes))
    lake.update("planes", set={"maker": "BOEING CO"}, where="maker = 'BOEING'", reason="names")
    lake.delete("planes", where="year > 2015")
    lake.create("loose")
    lake.insert("loose", pa.table({"x": [1, 1, 2, None], "y": ["a", "a", "b", None]}))
    lake.journal.seal()
    lake.update("planes", set={"year": 1}, where="tailnum = 'N001'")  # not sealed yet


QUERIES: Final = [
    "select fare / 3 from flights",
    "select fare*fare from flights",
    "select cast('NaN' as double) > 1, cast('infinity' as double)",
    "select * from (select cast('NaN' as double) as a union all select 1.0) order by a",
    "select seats::int * 2000000000 from flights",
    "select sum(seats), carrier from flights where id<0 group by carrier",
    "select sum(seats), count(*) from flights where id<0",
    "select id from flights where ok",
    "select id, not ok, carrier is null from flights",
    "select 'a' < 'B', 'é' > 'z'",
    "select note from flights order by note limit 20",
    "select cast(2.5 as bigint), cast(-2.5 as int), cast(3.7::decimal(10,2) as int)",
    "select cast(delay as int) from flights",
    "select date '2026-01-31' + interval '1 month', date '2026-03-01' - date '2026-01-01'",
    "select seen - seen from flights",
    ("select lpad(note,2), trim('  a '), ltrim(' a'), rtrim('a '), btrim('xax','x') from flights"),
    "select greatest(1,null,3), least(null,2)",
    "select round(2.5), round(-2.5), round(0.125,2), round(25,-1)",
    "select count(distinct carrier), count(distinct ok) from flights",
    "select date_trunc('day', day) from flights",
    "select a.id from flights a join flights b on a.id = b.id + 1 and a.seats > b.seats",
    "select 7 / 2, -7 / 2, 7 % -2, -7 % 2",
    "select avg(seats), avg(small) from flights",
    "select sum(small), sum(delay) from flights",
    (
        "select first_value(id) over (order by id desc), last_value(id) over (partition by "
        "carrier order by id), nth_value(id, 2) over (order by id) from flights"
    ),
    (
        "select cast(seats as varchar), cast(id as varchar), cast(ok as varchar), cast(day as "
        "varchar), cast(fare as varchar) from flights"
    ),
    "select sum(seats)/count(*) from flights",
    ("select a/b from (select seats as a, small as b from flights where small is not null) t"),
    ("with t as (select seats as a, delay as b from flights where delay<>0) select a/b from t"),
    "select * from flights",
    "select id, carrier, seats from flights where seats > 50 and carrier = 'AA'",
    "select count(*), count(seats), count(distinct carrier) from flights",
    (
        "select carrier, count(*) n, sum(seats) s, avg(seats) a, min(delay), max(delay), "
        "avg(fare), sum(fare) from flights group by carrier"
    ),
    (
        "select carrier, ok, count(*) filter (where delay > 0) from flights group by 1, 2 "
        "having count(*) > 3"
    ),
    "select f.id, p.maker from flights f join planes p on f.tailnum = p.tailnum",
    "select f.id, p.maker from flights f left join planes p using (tailnum)",
    (
        "select p.tailnum, f.id from flights f right join planes p on f.tailnum = p.tailnum "
        "and f.seats > 100"
    ),
    (
        "select coalesce(f.tailnum,p.tailnum) t, f.id from flights f full join planes p on "
        "f.tailnum = p.tailnum"
    ),
    "select count(*) from flights f cross join planes p",
    ("select id from flights where tailnum in (select tailnum from planes where maker = 'AIRBUS')"),
    (
        "select id from flights where tailnum not in (select tailnum from planes where maker "
        "= 'AIRBUS')"
    ),
    (
        "select p.tailnum from planes p where exists (select 1 from flights f where f.tailnum "
        "= p.tailnum and f.delay > 10)"
    ),
    (
        "select p.tailnum from planes p where not exists (select 1 from flights f where "
        "f.tailnum = p.tailnum)"
    ),
    "select id, seats / 3 q, seats % 7 m, -seats n, seats * 2 + 1 from flights",
    "select id, delay / 3 d, fare * 2, fare + 1, delay * 1.5 from flights",
    "select id, seats / small from flights where small is not null",
    (
        "select id, case when delay > 0 then 'late' when delay is null then null else 'fine' "
        "end from flights"
    ),
    (
        "select id, coalesce(carrier, '?'), nullif(seats, 0), greatest(seats, small), "
        "least(seats, small) from flights"
    ),
    (
        "select id, carrier || '-' || tailnum, concat(carrier, '-', tailnum), upper(note), "
        "lower(note), length(note) from flights"
    ),
    (
        "select id, substr(note, 2, 3), left(note, 2), right(note, 2), trim(note), "
        "replace(note, 'a', 'b'), strpos(note, 'x'), reverse(note) from flights"
    ),
    (
        "select id, lpad(tailnum, 6, '0'), rpad(tailnum, 6, '*'), starts_with(note, 'a') from "
        "flights"
    ),
    "select id from flights where note like '%x%' or note ilike 'TAB%'",
    "select id from flights where note = 'back\\slash'",
    "select id from flights where note = 'a''b'",
    "select id from flights where note like '\\%\\_'",
    (
        "select id, extract(year from seen), extract(month from seen), extract(day from day), "
        "extract(hour from seen), extract(minute from seen), extract(quarter from day), "
        "extract(doy from day) from flights"
    ),
    (
        "select id, date_trunc('month', seen), date_trunc('week', seen), date_trunc('hour', "
        "seen), date_trunc('year', local) from flights"
    ),
    "select date_trunc('month', day) m, count(*) from flights group by 1",
    "select id, date_part('year', day) from flights",
    (
        "select id from flights where seen >= timestamp '2026-03-01 00:00:00' and day < date "
        "'2026-06-01'"
    ),
    "select id from flights where seen >= '2026-03-01T00:00:00Z' and day < '2026-06-01'",
    (
        "select id, seen + interval '1 day', local - interval '2 hours', day + interval '1 "
        "month' from flights"
    ),
    ("select id, cast(day as timestamp), cast(seen as date), cast(ok as varchar) from flights"),
    "select id, cast('12' as int), try_cast(note as int) from flights",
    (
        "select id, round(delay), round(delay, 1), floor(delay), ceil(delay), abs(delay), "
        "signum(delay), round(fare, 1) from flights"
    ),
    (
        "select id, sqrt(abs(delay)), power(seats, 2), exp(small), ln(seats) from flights "
        "where seats > 0"
    ),
    (
        "select stddev(delay), var_samp(delay), stddev_pop(delay), var_pop(delay), "
        "corr(delay, seats) from flights"
    ),
    "select bool_and(ok), bool_or(ok), carrier from flights group by carrier",
    (
        "select id, row_number() over (partition by carrier order by id) r, rank() over "
        "(order by seats) k, dense_rank() over (order by seats desc) d from flights"
    ),
    (
        "select id, lag(id) over (order by id), lead(id, 2) over (order by id), "
        "first_value(id) over (partition by carrier order by id), sum(seats) over (order by "
        "id rows between 2 preceding and current row), ntile(4) over (order by id) from "
        "flights"
    ),
    (
        "select id, sum(seats) over (partition by carrier), avg(delay) over (partition by "
        "carrier order by id) from flights where delay < 100"
    ),
    "select carrier from flights union select maker from planes",
    "select tailnum from flights union all select tailnum from planes",
    "select tailnum from flights intersect select tailnum from planes",
    "select tailnum from planes except select tailnum from flights where id < 200",
    (
        "with late as (select * from flights where delay > 0), c as (select carrier, count(*) "
        "n from late group by 1) select l.id, c.n from late l join c on l.carrier = c.carrier"
    ),
    "select carrier, ok, count(*) from flights group by rollup(carrier, ok)",
    "select carrier, ok, count(*) from flights group by cube(carrier, ok)",
    ("select carrier, ok, count(*) from flights group by grouping sets ((carrier), (ok), ())"),
    "select distinct carrier, ok from flights",
    "select id, seats from flights order by seats desc nulls last, id limit 7 offset 2",
    "select id, carrier from flights order by carrier, id limit 120",
    "select id, carrier from flights order by carrier desc, id limit 120",
    "select tags, at from flights",
    "select id, tags[1], at['x'], at['y'] + 1 from flights",
    (
        "select id, ok is true, ok is not true, seats is distinct from small, seats between 2 "
        "and 60, carrier not in ('AA') from flights"
    ),
    "select x, y, count(*) from loose group by x, y",
    "select * from as_of('planes', 1)",
    'select * from "planes@1" where year > 2000',
    (
        "select a.tailnum, a.year, b.year from as_of('planes', 1) a left join planes b on "
        "a.tailnum = b.tailnum"
    ),
    (
        "select seq, event_id, action, entity_id, field, old_value, new_value, actor, "
        "timestamp, context from system.journal where dataset is not null"
    ),
    "select action, count(*) from system.journal group by 1",
    "select entity_id, action from history('planes', 'N001')",
    "select * from changes('planes', 1, 3)",
    "select name, rows, version from system.datasets",
    "select 1, 1.5, 'x', null, true, date '2026-01-01'",
    "select sum(id * 100000000) from flights",
    "select max(seen), min(day), max(local), max(note), min(ok) from flights",
    "select * from (values (1, 'a'), (2, 'b')) as v(x, y)",
    "select (select max(id) from flights) as m, count(*) from planes",
    (
        "select p.maker, sum(f.fare * (1 - 0.1)) from flights f, planes p where f.tailnum = "
        "p.tailnum group by p.maker"
    ),
    "select id, f.at.y from flights f",
    "with planes as (select 1 as x) select * from planes",
    "select id, date_trunc('quarter', seen) q, date_trunc('minute', seen) m from flights",
    "select id, date_trunc('second', local) from flights",
    "select current_date >= date '2020-01-01' d, now() > timestamp '2020-01-01 00:00:00' n",
]

WITH_VALUES: Final[list[tuple[str, Any]]] = [
    (
        "select id from flights where seats > $least and carrier = $carrier",
        {"least": 20, "carrier": "UA"},
    ),
    (
        "select id from flights where day >= $1 and seen < $2 and fare > $3 and delay < $4",
        [
            dt.date(2026, 2, 1),
            dt.datetime(2026, 12, 1, tzinfo=dt.UTC),
            Decimal("10.50"),
            100.5,
        ],
    ),
    ("select count(*) from flights where note = $1 or ok = $2", ["back\\slash' or '1' = '1", True]),
    ("select * from as_of('planes', $1) where maker <> $2", [1, "AIRBUS"]),
]

REFUSED: Final = {
    "select string_agg(carrier, ',') from flights": "the function STRING_AGG",
    "select median(seats) from flights": "the function",
    "select extract(dow from day) from flights": "extract of dow",
    "select extract(second from seen) from flights": "extract of second",
    "select cast(delay as varchar) from flights": "the text of such a value",
    "select cast(seen as varchar) from flights": "the text of such a value",
    "select substr(note, -2) from flights": "substring with a position",
    "select cast(seats as float) from flights": "the type REAL",
    "select cast(fare as decimal) from flights": "the type DECIMAL",
    "select tags[seats] from flights": "an index that is no literal",
    "select arrow_typeof(seats) from flights": "the function arrow_typeof",
    "explain select 1": "only queries run on Spark",
    "show tables": "a statement that is no query",
    "with planes as (select * from planes) select * from planes": "name of another table",
}
"""Statements that DataFusion answers, and what is said of them on Spark."""
