"""Reading a journal: one entity's history, recent events, filters, and what it takes on disk.

Journals of `LAKECORE_BENCH_EVENTS` events (default 1,000,000; a list is allowed), 20 to an
entity, spread over the whole time. They are kept in `LAKECORE_BENCH_JOURNALS`, if that
names a folder, because building the large ones takes minutes. Peers hold the same
events: DuckDB over the same Parquet segments, SQLite and PostgreSQL in a table with an
index on (entity_id, seq). Everything is warm and local.
"""

from __future__ import annotations

import os
import random
import sqlite3
import statistics
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

import duckdb
import numpy as np
import pyarrow as pa
import pyarrow.csv as csv

import lakecore
from benchmarks.pairs import Result, compare, line
from benchmarks.peers import Absent, postgres
from lakecore.journal import Journal, staged_schema

ROWS_PER_ENTITY = 20
BATCH = 4 << 16
QUESTIONS = 200
START_US = 1_700_000_000_000_000
STEP_US = 1_000
NAMES = [name for name in staged_schema().names if name != "event_id"]
_ACTORS = ["ada", "bob", "eve", "agent-7", "pipeline"]
_FIELDS = ["seats", "status", "engine", "owner", "note"]


def batch(first: int, count: int, entities: int) -> pa.Table:
    """Events `first` to `first + count` of the journal; the same ones every time."""
    chance = np.random.default_rng(first)
    group = pa.array(np.arange(first, first + count) // 1000)
    texts = {
        "entity_id": _join("N", pa.array(chance.integers(0, entities, count))),
        "old_value": pa.array(chance.integers(0, 10_000, count)).cast(pa.string()),
        "new_value": pa.array(chance.integers(0, 10_000, count)).cast(pa.string()),
        "mutation_id": _join("0190f0c4-8a3c-7cc1-9a5e-", group),
        "actor": pa.array(_ACTORS).take(pa.array(chance.integers(0, len(_ACTORS), count))),
        "field": pa.array(_FIELDS).take(pa.array(chance.integers(0, len(_FIELDS), count))),
    }
    constant = {
        "entity_type": "plane",
        "action": "update",
        "source": "api",
        "workspace_id": "",
        "dataset": "main.planes",
        "dataset_id": "0190f0c4-8a3c-7cc1-9a5e-0d6a3f2b1c00",
        "context": '{"reason":"nightly sync"}',
    }
    columns = texts | {name: pa.array([text] * count) for name, text in constant.items()}
    times = START_US + STEP_US * np.arange(first, first + count)
    columns["timestamp"] = pa.array(times, pa.timestamp("us", "UTC"))
    columns["version"] = group
    # Without ids: the journal gives them, as it does to everybody who brings none.
    return pa.table({name: columns[name] for name in NAMES})


def batches(events: int) -> Iterator[pa.Table]:
    for first in range(0, events, BATCH):
        yield batch(first, min(BATCH, events - first), max(1, events // ROWS_PER_ENTITY))


def build(place: Path, events: int) -> float:
    """A lake whose journal has the events; seconds of recording and sealing, 0 if it is there."""
    if (place / "built").exists():
        return 0.0
    seconds = 0.0
    with lakecore.open(place, actor="bench") as lake:
        for table in batches(events):
            start = time.perf_counter()
            lake.journal.record_batch(table)
            lake.journal.seal()
            seconds += time.perf_counter() - start
    (place / "built").touch()
    return seconds


def sizes(place: Path, events: int) -> dict[str, float]:
    """Bytes an event, of each folder of the journal."""
    found: dict[str, float] = {}
    for file in (place / "journal").rglob("*"):
        if file.is_file():
            folder = file.relative_to(place / "journal").parts[0]
            found[f"{folder}_bytes_per_event"] = (
                found.get(f"{folder}_bytes_per_event", 0) + file.stat().st_size / events
            )
    return found


def asked(name: str, question: Callable[[str], object], ids: list[str], reach_ms: float) -> Result:
    """Median and tail of a question, once for each id, after a warm-up of as many."""
    for entity_id in ids:
        question(entity_id)
    seconds = []
    for entity_id in ids:
        start = time.perf_counter()
        question(entity_id)
        seconds.append(time.perf_counter() - start)
    seconds.sort()
    middle = statistics.median(seconds)
    result = Result(
        name,
        middle,
        None,
        None,
        reach_ms / 1000,
        len(ids),
        note=f"p50 {middle * 1e3:.3f} ms, p99 {seconds[int(len(ids) * 0.99)] * 1e3:.3f} ms",
        details={"p50_ms": middle * 1e3, "p99_ms": seconds[int(len(ids) * 0.99)] * 1e3},
    )
    print(line(result), flush=True)
    return result


def run(folder: Path) -> list[Result]:
    results: list[Result] = []
    kept = os.environ.get("LAKECORE_BENCH_JOURNALS")
    counts = os.environ.get("LAKECORE_BENCH_EVENTS", "1000000")
    with tempfile.TemporaryDirectory() as temp:
        for events in map(int, counts.split(",")):
            place = Path(kept or temp) / f"journal-{events}"
            results += _measure(place, events)
    return results


def _measure(place: Path, events: int) -> list[Result]:
    title = f"{events / 1e6:g}M events"
    seconds = build(place, events)
    results = []
    if seconds:
        built = Result(
            f"{title}: record and seal",
            seconds,
            None,
            None,
            None,
            1,
            note=f"{seconds / events * 1e6:.2f} µs an event",
        )
        results.append(built)
        print(line(built), flush=True)
    disk = sizes(place, events)
    total = sum(disk.values())
    note = ", ".join(f"{name.split('_')[0]} {size:.1f}" for name, size in sorted(disk.items()))
    results.append(
        Result(f"{title}: bytes an event", total, None, None, 80, 1, note=note, details=disk)
    )
    print(line(results[-1]), flush=True)
    chance = random.Random(events)
    entities = max(1, events // ROWS_PER_ENTITY)
    ids = [f"N{chance.randrange(entities)}" for _ in range(QUESTIONS)]
    with lakecore.open(place, actor="bench") as lake:
        journal = lake.journal
        results += [
            _first_answer(place, title, ids[0]),
            asked(f"{title}: history", journal.entity_history, ids, 1.0),
            asked(f"{title}: recent 100", lambda _: journal.recent(100), ids, 0.5),
            asked(f"{title}: page of an entity", lambda e: journal.query(entity_id=e), ids, 1.0),
            asked(f"{title}: level-0 tile", _tile(journal, events), ids, 0.4),
        ]
        results += _peers(lake, place, title, events, ids)
    return results


def _tile(journal: Journal, events: int) -> Callable[[str], object]:
    journal.recent(1)
    chance = random.Random(1)

    def tile(_: str) -> object:
        first = 256 * chance.randrange(max(1, events // 256))
        return journal._index.leaves(first, min(first + 256, events))

    return tile


def _first_answer(place: Path, title: str, entity_id: str) -> Result:
    """Opening, and the first history, in a process that has imported everything."""
    seconds = []
    for _ in range(5):
        start = time.perf_counter()
        with lakecore.open(place, actor="bench") as lake:
            lake.journal.entity_history(entity_id)
            seconds.append(time.perf_counter() - start)
    result = Result(
        f"{title}: open, first history", statistics.median(seconds), None, None, None, 5
    )
    print(line(result), flush=True)
    return result


def _peers(
    lake: lakecore.Lake, place: Path, title: str, events: int, ids: list[str]
) -> list[Result]:
    duck = duckdb.connect()
    duck.execute("SET TimeZone = 'UTC'")
    parquet = f"read_parquet('{place}/journal/log/*.parquet')"
    low = START_US + STEP_US * (events // 2)
    span = f"make_timestamptz({low}) AND make_timestamptz({low + 60_000_000})"
    minute = f"to_timestamp_micros({low}) AND to_timestamp_micros({low + 60_000_000})"
    journal = lake.journal
    next_id = iter(ids * 100)

    def each(question: Callable[[str], object], count: int = 20) -> Callable[[], object]:
        """As many questions in a row: one is too short to be timed beside another's."""
        wanted = [next(next_id) for _ in range(count)]
        return lambda: [question(entity_id) for entity_id in wanted]

    def in_duck(query: str) -> object:
        return duck.sql(query).to_arrow_table()

    found = [
        compare(
            f"{title}: history",
            lambda: each(journal.entity_history, 3),
            lambda: each(
                lambda e: in_duck(f"FROM {parquet} WHERE entity_id = '{e}' ORDER BY seq"), 3
            ),
            peer_name="DuckDB, same Parquet",
            reach=0.1,
        ),
        compare(
            f"{title}: actor and minute",
            lambda: (
                lambda: lake.sql(
                    "SELECT * FROM system.journal WHERE actor = 'ada' AND "
                    f"timestamp BETWEEN {minute}"
                ).to_arrow()
            ),
            lambda: (
                lambda: in_duck(f"FROM {parquet} WHERE actor = 'ada' AND timestamp BETWEEN {span}")
            ),
            peer_name="DuckDB, same Parquet",
            reach=1.0,
        ),
        compare(
            f"{title}: group by actor",
            lambda: (
                lambda: lake.sql(
                    "SELECT actor, count(*) FROM system.journal GROUP BY actor"
                ).to_arrow()
            ),
            lambda: lambda: in_duck(f"SELECT actor, count(*) FROM {parquet} GROUP BY actor"),
            peer_name="DuckDB, same Parquet",
            reach=1.5,
        ),
    ]
    duck.close()
    with tempfile.TemporaryDirectory() as temp:
        sqlite = _sqlite(Path(temp) / "events.sqlite", events)
        found.append(
            compare(
                f"{title}: history",
                lambda: each(journal.entity_history),
                lambda: each(lambda e: _rows_of(sqlite, e)),
                peer_name="SQLite, index on entity",
                reach=5.0,
                note="both give objects",
            )
        )
        sqlite.close()
    with suppress(Absent), postgres() as address:
        postgresql = _postgresql(address, events)
        found.append(
            compare(
                f"{title}: history",
                lambda: each(journal.entity_history),
                lambda: each(lambda e: postgresql.execute(_HISTORY, (e,)).fetchall()),
                peer_name="PostgreSQL, index on entity",
                reach=3.0,
                note="theirs through a socket",
            )
        )
        postgresql.close()
    return found


_HISTORY = "SELECT * FROM event WHERE entity_id = %s ORDER BY seq"


def _postgresql(address: str, events: int) -> Any:
    """A connection to a table with the events, and an index on the entity."""
    import psycopg

    connection = psycopg.connect(address, autocommit=True)
    kinds = {"seq": "bigint PRIMARY KEY", "timestamp": "timestamptz", "version": "bigint"}
    columns = ", ".join(f'"{name}" {kinds.get(name, "text")}' for name in ["seq", *NAMES])
    connection.execute(f"CREATE TABLE event ({columns})")
    first = 0
    with connection.cursor() as cursor, cursor.copy("COPY event FROM STDIN (FORMAT csv)") as copy:
        for table in batches(events):
            seq = pa.array(range(first, first + table.num_rows))
            sink = pa.BufferOutputStream()
            options = csv.WriteOptions(include_header=False)
            csv.write_csv(table.add_column(0, "seq", seq), sink, options)
            copy.write(sink.getvalue().to_pybytes())
            first += table.num_rows
    connection.execute("CREATE INDEX by_entity ON event (entity_id, seq)")
    connection.execute("VACUUM ANALYZE event")
    return connection


def _sqlite(path: Path, events: int) -> sqlite3.Connection:
    """The events as a table with an index on the entity."""
    names = ["seq", *NAMES]
    connection = sqlite3.connect(path)
    connection.execute("PRAGMA synchronous = OFF")
    connection.execute(f"CREATE TABLE event ({', '.join(names)}, PRIMARY KEY (seq))")
    first = 0
    marks = ", ".join("?" * len(names))
    for table in batches(events):
        columns = [
            (column.cast(pa.int64()) if name == "timestamp" else column).to_pylist()
            for name, column in zip(table.schema.names, table.columns, strict=True)
        ]
        rows = zip(range(first, first + table.num_rows), *columns, strict=True)
        connection.executemany(f"INSERT INTO event VALUES ({marks})", rows)
        first += table.num_rows
    connection.execute("CREATE INDEX by_entity ON event (entity_id, seq)")
    connection.commit()
    return connection


def _rows_of(connection: sqlite3.Connection, entity_id: str) -> object:
    rows = connection.execute("SELECT * FROM event WHERE entity_id = ? ORDER BY seq", (entity_id,))
    names = [column[0] for column in rows.description]
    return [dict(zip(names, row, strict=True)) for row in rows]


def _join(prefix: str, numbers: pa.Array) -> pa.Array:
    import pyarrow.compute as pc

    return pc.binary_join_element_wise(prefix, numbers.cast(pa.string()), "")
