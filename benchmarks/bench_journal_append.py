"""Appending to the journal, durable and sealed, against other durable stores in the same run.

Every peer takes the same 15 columns, a row for each event, one commit a batch, fsynced.
Ours is acknowledged when it is fsynced; where a row says "sealed", its events are also in
segments, the Merkle tree and the index when the clock stops.
"""

from __future__ import annotations

import asyncio
import os
import sqlite3
import statistics
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from itertools import count
from pathlib import Path
from typing import Any

import duckdb
import pyarrow as pa

from benchmarks import peers
from benchmarks.pairs import Prepare, Result, alone, compare
from lakecore.journal import Journal, JournalSettings
from lakecore.storage import open_store

BATCH = 1_000
BATCHES = int(os.environ.get("LAKECORE_BENCH_BATCHES", "200"))
ARROW_BATCH = 10_000
ARROW_BATCHES = 20
SINGLES = 300
COLUMNS = (
    "event_id",
    "timestamp",
    "entity_type",
    "entity_id",
    "field",
    "action",
    "old_value",
    "new_value",
    "actor",
    "source",
    "workspace_id",
    "dataset",
    "dataset_id",
    "mutation_id",
    "context",
)
_GIVEN = COLUMNS[2:]
_numbers = count()


def objects(rows: int, *, first: int = 0) -> list[dict[str, str]]:
    """Changes of a field of 50,000 entities, as an application would record them."""
    return [
        {
            "entity_type": "order",
            "entity_id": f"order-{number * 7919 % 50_000:08d}",
            "field": "status",
            "action": "update",
            "old_value": '"open"',
            "new_value": f'"paid {number}"',
            "actor": f"user-{number % 97}",
            "source": "api",
            "workspace_id": "",
            "dataset": "main.orders",
            "dataset_id": "0190f0c4-8a3c-7cc1-9a5e-0d6a3f2b1c00",
            "mutation_id": f"m-{number // 10}",
            "context": f'{{"request":"r-{number // 100}"}}',
        }
        for number in range(first, first + rows)
    ]


BATCHES_OF_OBJECTS = [objects(BATCH, first=number * BATCH) for number in range(BATCHES)]


def tuples(batch: list[dict[str, str]]) -> Iterator[tuple[Any, ...]]:
    """The rows of a peer: with an id and a time, which the journal gives itself."""
    prefix, now = next(_numbers), time.time_ns() // 1_000
    for number, event in enumerate(batch):
        yield (f"{prefix}:{number}", now, *map(event.__getitem__, _GIVEN))


@contextmanager
def journal(*, background: bool = False) -> Iterator[Journal]:
    """A new journal on the disk that temporary files are on."""
    with tempfile.TemporaryDirectory() as folder:
        opened = Journal.open(
            open_store(f"{folder}/lake"),
            Path(folder) / "state",
            settings=JournalSettings(background=background),
        )
        with opened:
            for event in objects(10):
                opened.record(event)
            opened.seal()
            yield opened


def ours_of_objects(stack: ExitStack, *, sealed: bool) -> Prepare:
    def prepare() -> Callable[[], object]:
        # As it is by default: sealing runs beside, from 65,536 waiting events on.
        opened = stack.enter_context(journal(background=sealed))

        def run() -> None:
            for batch in BATCHES_OF_OBJECTS:
                opened.record_many(batch)
            if sealed:
                opened.seal()

        return run

    return prepare


def sqlite(stack: ExitStack, *, index: bool) -> Prepare:
    """A row for each event, WAL, ``synchronous=FULL``, a transaction a batch."""

    def prepare() -> Callable[[], object]:
        folder = stack.enter_context(tempfile.TemporaryDirectory())
        connection = sqlite3.connect(f"{folder}/events.sqlite", isolation_level=None)
        stack.callback(connection.close)
        connection.execute("PRAGMA journal_mode = WAL")
        connection.execute("PRAGMA synchronous = FULL")
        columns = ", ".join(f"{name} TEXT" for name in COLUMNS)
        connection.execute(f"CREATE TABLE event (seq INTEGER PRIMARY KEY, {columns})")
        if index:
            connection.execute("CREATE INDEX by_entity ON event (entity_id)")
        places = ", ".join("?" * len(COLUMNS))
        insert = f"INSERT INTO event ({', '.join(COLUMNS)}) VALUES ({places})"

        def run() -> None:
            for batch in BATCHES_OF_OBJECTS:
                connection.execute("BEGIN")
                connection.executemany(insert, tuples(batch))
                connection.execute("COMMIT")

        return run

    return prepare


def postgres_table(connection: Any, *, index: bool = True) -> None:
    columns = ", ".join(f"{name} text" for name in COLUMNS if name != "timestamp")
    connection.execute("DROP TABLE IF EXISTS event")
    connection.execute(
        f"CREATE TABLE event (seq bigserial PRIMARY KEY, timestamp bigint, {columns})"
    )
    if index:
        connection.execute("CREATE INDEX by_entity ON event (entity_id)")
    connection.commit()


def postgres(connection: Any, *, copy: bool) -> Prepare:
    """With the index on the entity; a transaction a batch."""
    names = ", ".join(COLUMNS)

    def prepare() -> Callable[[], object]:
        postgres_table(connection)

        def run() -> None:
            for batch in BATCHES_OF_OBJECTS:
                with connection.cursor() as cursor:
                    if copy:
                        with cursor.copy(f"COPY event ({names}) FROM STDIN") as stream:
                            for row in tuples(batch):
                                stream.write_row(row)
                    else:
                        places = ", ".join(["%s"] * len(COLUMNS))
                        insert = f"INSERT INTO event ({names}) VALUES ({places})"
                        cursor.executemany(insert, tuples(batch))
                connection.commit()

        return run

    return prepare


def redis_stream(client: Any) -> Prepare:
    def prepare() -> Callable[[], object]:
        client.flushall()

        def run() -> None:
            for batch in BATCHES_OF_OBJECTS:
                pipeline = client.pipeline(transaction=True)
                for row in tuples(batch):
                    pipeline.xadd("events", dict(zip(COLUMNS, row, strict=True)))
                pipeline.execute()

        return run

    return prepare


def duck(stack: ExitStack, batches: list[pa.Table]) -> Prepare:
    """Inserts of Arrow tables, each its own commit: DuckDB's own fast way."""

    def prepare() -> Callable[[], object]:
        folder = stack.enter_context(tempfile.TemporaryDirectory())
        connection = stack.enter_context(duckdb.connect(f"{folder}/events.duckdb"))
        columns = ", ".join(f"{name} VARCHAR" for name in _GIVEN)
        connection.execute(f"CREATE TABLE event ({columns})")
        connection.execute("CREATE INDEX by_entity ON event (entity_id)")

        def run() -> None:
            for batch in batches:
                connection.register("batch", batch)
                connection.execute("INSERT INTO event FROM batch")
                connection.unregister("batch")

        return run

    return prepare


def ours_of_arrow(stack: ExitStack, batches: list[pa.Table], *, sealed: bool) -> Prepare:
    def prepare() -> Callable[[], object]:
        opened = stack.enter_context(journal())

        def run() -> None:
            for batch in batches:
                opened.record_batch(batch)
            if sealed:
                opened.seal()

        return run

    return prepare


def batch_rows(stack: ExitStack) -> list[Result]:
    """Objects, 1,000 a batch."""
    events = BATCH * BATCHES
    rows: list[tuple[str, Prepare | peers.Absent, float | None]] = [
        ("SQLite, indexed", sqlite(stack, index=True), 1 / 1.3),
        ("SQLite, no index", sqlite(stack, index=False), None),
    ]
    try:
        import psycopg

        connection = stack.enter_context(psycopg.connect(stack.enter_context(peers.postgres())))
        rows.append(("PostgreSQL COPY, indexed", postgres(connection, copy=True), 1 / 2))
        rows.append(("PostgreSQL executemany, indexed", postgres(connection, copy=False), None))
    except (peers.Absent, ImportError) as error:
        rows.append(("PostgreSQL", peers.Absent(str(error)), None))
    try:
        client = stack.enter_context(peers.redis())
        rows.append(("Redis XADD, fsync always", redis_stream(client), None))
    except peers.Absent as error:
        rows.append(("Redis", error, None))
    results = []
    for sealed in (True, False):
        state = "sealed" if sealed else "acknowledged"
        for peer, prepare, reach in rows:
            name = f"append {events:,} objects, 1,000 a batch, {state}"
            ours = ours_of_objects(stack, sealed=sealed)
            results.append(against(name, ours, prepare, peer, reach if sealed else None))
    return results


def against(
    name: str, ours: Prepare, peer: Prepare | peers.Absent, peer_name: str, reach: float | None
) -> Result:
    """A comparison; with a peer that is absent, ours alone, and it is said."""
    if isinstance(peer, peers.Absent):
        return alone(name, ours, runs=3, note=f"{peer_name} is absent: {peer}")
    return compare(name, ours, peer, peer_name=peer_name, reach=reach, runs=3)


def arrow_rows(stack: ExitStack) -> list[Result]:
    """Arrow tables of 10,000 events."""
    batches = [
        pa.Table.from_pylist(objects(ARROW_BATCH, first=number * ARROW_BATCH))
        for number in range(ARROW_BATCHES)
    ]
    events = ARROW_BATCH * ARROW_BATCHES
    return [
        compare(
            f"append {events:,} events, Arrow, 10,000 a batch, {state}",
            ours_of_arrow(stack, batches, sealed=state == "sealed"),
            duck(stack, batches),
            peer_name="DuckDB insert of Arrow, indexed",
            runs=3,
            note=f"goal {goal:,} ev/s: {events / goal:.3f} s",
        )
        for state, goal in (("acknowledged", 1_500_000), ("sealed", 400_000))
    ]


def latencies(append: Callable[[], object]) -> tuple[float, float]:
    """(p50, p99) in seconds of single appends."""
    found = []
    for _ in range(SINGLES):
        start = time.perf_counter()
        append()
        found.append(time.perf_counter() - start)
    found.sort()
    return statistics.median(found), found[int(len(found) * 0.99)]


def single_rows(stack: ExitStack) -> list[Result]:
    """One event a commit: latencies, all ways in turn."""
    event = objects(1)[0]
    row = next(tuples([event]))
    opened = stack.enter_context(journal())
    folder = stack.enter_context(tempfile.TemporaryDirectory())
    file = os.open(f"{folder}/bare", os.O_WRONLY | os.O_CREAT | os.O_APPEND)
    stack.callback(os.close, file)
    line = b"x" * 400

    def bare() -> None:
        os.write(file, line)
        os.fdatasync(file)

    connection = sqlite3.connect(f"{folder}/one.sqlite", isolation_level=None)
    stack.callback(connection.close)
    connection.execute("PRAGMA journal_mode = WAL")
    connection.execute("PRAGMA synchronous = FULL")
    connection.execute(f"CREATE TABLE event ({', '.join(COLUMNS)})")
    insert = f"INSERT INTO event VALUES ({', '.join('?' * len(COLUMNS))})"
    ways: dict[str, Callable[[], object]] = {
        "bare append + fdatasync": bare,
        "SQLite insert": lambda: connection.execute(insert, row),
    }
    try:
        import psycopg

        server = stack.enter_context(peers.postgres())
        session = stack.enter_context(psycopg.connect(server, autocommit=True))
        postgres_table(session)
        places = ", ".join(["%s"] * len(COLUMNS))
        statement = f"INSERT INTO event ({', '.join(COLUMNS)}) VALUES ({places})"
        ways["PostgreSQL insert, commit"] = lambda: session.execute(statement, row)
    except (peers.Absent, ImportError) as error:
        print(f"PostgreSQL is absent: {error}")
    try:
        client = stack.enter_context(peers.redis())
        fields = dict(zip(COLUMNS, row, strict=True))
        ways["Redis XADD"] = lambda: client.xadd("one", fields)
    except peers.Absent as error:
        print(f"Redis is absent: {error}")
    results = []
    for name, way in ways.items():
        latencies(way)
        rounds = [(latencies(lambda: opened.record(event)), latencies(way)) for _ in range(5)]
        ratios = [ours[0] / theirs[0] for ours, theirs in rounds]
        result = Result(
            name="one durable append, p50",
            ours_s=statistics.median(ours[0] for ours, _ in rounds),
            peer_s=statistics.median(theirs[0] for _, theirs in rounds),
            ratio=statistics.median(ratios),
            reach=1.2 if name.startswith("bare") else None,
            runs=5,
            peer=name,
            details={
                "p99_s": statistics.median(ours[1] for ours, _ in rounds),
                "peer_p99_s": statistics.median(theirs[1] for _, theirs in rounds),
            },
        )
        result.note = " / ".join(
            f"{label} {value * 1e6:,.0f} µs"
            for label, value in (
                ("p50", result.ours_s),
                ("p99", result.details["p99_s"]),
                ("peer p50", result.peer_s or 0.0),
                ("peer p99", result.details["peer_p99_s"]),
            )
        )
        print(result.name, "|", name, "|", f"{result.ratio:.2f}", "|", result.note, flush=True)
        results.append(result)
    return results


def in_threads(opened: Journal, threads: int, each: int) -> Callable[[], object]:
    event = objects(1)[0]

    def work() -> None:
        for _ in range(each):
            opened.record(event)

    def run() -> None:
        workers = [threading.Thread(target=work) for _ in range(threads)]
        for worker in workers:
            worker.start()
        for worker in workers:
            worker.join()

    return run


def in_tasks(opened: Journal, tasks: int, each: int) -> Callable[[], object]:
    event = objects(1)[0]

    async def task() -> None:
        for _ in range(each):
            await opened.record_async(event)

    async def all_tasks() -> None:
        await asyncio.gather(*(task() for _ in range(tasks)))

    return lambda: asyncio.run(all_tasks())


def concurrent_rows(stack: ExitStack) -> list[Result]:
    """Single events by many at a time, against as many by one thread."""
    opened = stack.enter_context(journal())
    total = 6_400
    one = in_threads(opened, 1, total // 8)
    ways = [
        ("8 threads", in_threads(opened, 8, total // 8), None),
        ("64 threads", in_threads(opened, 64, total // 64), 1 / 8),
        ("64 asyncio tasks", in_tasks(opened, 64, total // 64), 1 / 20),
    ]
    results = []
    for name, run, reach in ways:
        result = compare(
            f"{total:,} durable appends, {name}",
            lambda run=run: run,  # type: ignore[misc]  # bound now
            lambda: one,
            peer_name=f"one thread, {total // 8:,} appends",
            reach=None if reach is None else reach * 8,
            note="the peer does an eighth of the work",
        )
        result.note += f"; {total / result.ours_s:,.0f} ev/s"
        results.append(result)
    return results


def run(folder: Path) -> list[Result]:
    results = []
    for part in (batch_rows, arrow_rows, single_rows, concurrent_rows):
        with ExitStack() as stack:
            results += part(stack)
    return results
