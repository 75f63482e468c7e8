"""Reading a journal: one entity's history, recent events, filters, and what it takes on disk.

Journals of `LAKECORE_BENCH_EVENTS` events (default 1,000,000; a list is allowed), 20 to an
entity, spread over the whole time. They are kept in `LAKECORE_BENCH_JOURNALS`, if that
names a folder, because building the large ones takes minutes. Peers hold the same
events: DuckDB over the same Parquet files, SQLite and PostgreSQL in a table with indexes on
(entity_id, seq) and (timestamp). Everything is warm and local.

Loading the peers takes most of the time, so only journals of up to `PEER_EVENTS` have the
two of them. Of several sizes, it is told how much longer each question takes in the larger.
"""

from __future__ import annotations

import json
import os
import random
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from contextlib import suppress
from functools import partial
from itertools import pairwise
from pathlib import Path
from typing import Any

import duckdb

import lakecore
from benchmarks.journal_events import (
    ROWS_PER_ENTITY,
    START_US,
    STEP_US,
    batches,
    in_postgresql,
    in_sqlite,
    rows_of,
)
from benchmarks.pairs import Result, alone, compare, line
from benchmarks.peers import Absent, postgres
from lakecore.journal import Journal, JournalSettings
from lakecore.storage import open_store

QUESTIONS = 200
PEER_EVENTS = int(os.environ.get("LAKECORE_BENCH_PEER_EVENTS", "1000000"))


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
        sizes_asked = sorted(map(int, counts.split(",")))
        for events in sizes_asked:
            place = Path(kept or temp) / f"journal-{events}"
            results += _measure(place, events)
    for small, large in pairwise(sizes_asked):
        results += _growth(results, _title(small), _title(large))
    return results


def _title(events: int) -> str:
    return f"{events / 1e6:g}M events"


def _growth(results: list[Result], small: str, large: str) -> list[Result]:
    """How many times as long the same question takes in the larger journal."""
    known = {result.name: result.ours_s for result in results if not result.peer}
    found = []
    for name, before in known.items():
        after = known.get(name.replace(small, large))
        if name.startswith(small) and after is not None and name in _timed(small):
            title = f"{name.removeprefix(f'{small}: ')}: {large} / {small}"
            found.append(Result(title, after, before, after / before, None, 1, peer=small))
            print(line(found[-1]), flush=True)
    return found


def _timed(title: str) -> set[str]:
    names = [
        "open, first history",
        "history",
        "recent 100",
        "page of an entity",
        "page of an actor's minute",
        "proof by seq",
        "SQL, actor and minute",
        "SQL, group by actor",
    ]
    return {f"{title}: {name}" for name in names}


def _measure(place: Path, events: int) -> list[Result]:
    title = _title(events)
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
            asked(f"{title}: page of an actor's minute", _minute(journal, events), ids, 10.0),
            asked(f"{title}: level-0 tile", _tile(journal, events), ids, 0.4),
            asked(f"{title}: proof by seq", _proof(journal, events), ids, 5.0),
            _proof_bytes(place, lake, title, events),
        ]
        results += _system_table(lake, title, events)
        results += _peers(lake, place, title, events, ids)
    results.append(_verify(place, title, events))
    return results


def _system_table(lake: lakecore.Lake, title: str, events: int) -> list[Result]:
    """`system.journal` in SQL, against the goals in milliseconds."""
    low = START_US + STEP_US * (events // 2)
    span = f"to_timestamp_micros({low}) AND to_timestamp_micros({low + 60_000_000})"
    queries = {
        "SQL, actor and minute": (f"WHERE actor = 'ada' AND timestamp BETWEEN {span}", "*", 10),
        "SQL, group by actor": ("GROUP BY actor", "actor, count(*)", 100),
        "SQL, last 100": ("ORDER BY seq DESC LIMIT 100", "*", None),
        "SQL, count": ("", "count(*)", None),
    }
    found = []
    for name, (rest, columns, goal_ms) in queries.items():
        text = f"SELECT {columns} FROM system.journal {rest}"
        found.append(
            alone(
                f"{title}: {name}",
                partial(_in_arrow, lake, text),
                reach_s=None if goal_ms is None else goal_ms / 1000,
                runs=15,
            )
        )
    return found


def _in_arrow(lake: lakecore.Lake, text: str) -> Callable[[], object]:
    return lambda: lake.sql(text).to_arrow()


def _proof(journal: Journal, events: int) -> Callable[[str], object]:
    journal.checkpoint()
    chance = random.Random(2)
    return lambda _: journal.prove(chance.randrange(events))


class _Counted:
    """A store that says it is elsewhere, and adds up what is read of it."""

    def __init__(self, store: Any) -> None:
        self._store = store
        self.read_bytes = self.requests = 0

    def __getattr__(self, name: str) -> Any:
        return getattr(self._store, name)

    def local_path(self, path: str) -> None:
        return None

    def get(self, path: str) -> bytes:
        return self._counted(self._store.get(path))

    def get_range(self, path: str, start: int, length: int) -> bytes:
        return self._counted(self._store.get_range(path, start, length))

    def _counted(self, data: bytes) -> bytes:
        self.requests += 1
        self.read_bytes += len(data)
        return data


def _proof_bytes(place: Path, lake: lakecore.Lake, title: str, events: int) -> Result:
    """What a proof reads of a bucket; of the first ones, every file is a new one."""
    state_dir, origin = lake.journal._state_dir, lake.journal._origin
    store: Any = _Counted(open_store(str(place)))
    settings = JournalSettings(background=False)
    chance = random.Random(3)
    read: list[int] = []
    with Journal.open(store, state_dir, origin=origin, settings=settings) as journal:
        for _ in range(50):
            before = store.read_bytes
            journal.prove(chance.randrange(events))
            read.append(store.read_bytes - before)
    read_kb = statistics.median(read) / 1e3
    result = Result(
        f"{title}: kB read for a proof",
        read_kb,
        None,
        None,
        60,
        len(read),
        note=f"kB, not seconds; the first {read[0] / 1e3:.0f}, at most {max(read[1:]) / 1e3:.0f}",
        details={"first_kb": read[0] / 1e3, "max_kb": max(read[1:]) / 1e3},
    )
    print(line(result), flush=True)
    return result


_VERIFY = """
import json, sys, time
import lakecore
def peak_mib():  # of this process: what getrusage says includes the parent's at the fork
    with open("/proc/self/status") as file:
        return next(int(text.split()[1]) / 1024 for text in file if text.startswith("VmHWM"))
with lakecore.open(sys.argv[1], actor="bench") as lake:
    lake.journal.recent(1)
    before = peak_mib()
    start = time.perf_counter()
    report = lake.journal.verify(full=True)
    seconds = time.perf_counter() - start
print(json.dumps({"seconds": seconds, "peak_mib": peak_mib(), "before_mib": before,
                  "ok": report.ok}))
"""


def _verify(place: Path, title: str, events: int) -> Result:
    """Recompute every leaf and the tree, in a process of its own: its peak memory counts."""
    done = subprocess.run(
        [sys.executable, "-c", _VERIFY, str(place)], check=True, capture_output=True, text=True
    )
    figures = json.loads(done.stdout.splitlines()[-1])
    result = Result(
        f"{title}: verify everything",
        figures["seconds"],
        None,
        None,
        None,
        1,
        note=f"{events / figures['seconds'] / 1e3:.0f}k events/s, peak "
        f"{figures['peak_mib']:.0f} MiB ({figures['before_mib']:.0f} before)"
        + ("" if figures["ok"] else "; FOUND DAMAGE"),
        details={name: float(value) for name, value in figures.items()},
    )
    print(line(result), flush=True)
    return result


def _minute(journal: Journal, events: int) -> Callable[[str], object]:
    low = START_US + STEP_US * (events // 2)
    return lambda _: journal.query(actor="ada", since=low, until=low + 60_000_000)


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


Ask = Callable[[str], object]
"""A statement, as a peer runs it: all of its rows."""


def _peers(
    lake: lakecore.Lake, place: Path, title: str, events: int, ids: list[str]
) -> list[Result]:
    found: list[Result] = []
    paths = [str(place / path) for path in lake.journal.parts()[0]]
    duck = duckdb.connect()
    duck.execute("SET TimeZone = 'UTC'")
    duck.execute(f"CREATE VIEW event AS FROM read_parquet({paths})")
    minute = "make_timestamptz({low}) AND make_timestamptz({high})"
    found += _beside(
        lake,
        title,
        events,
        ids,
        peer=("DuckDB, same Parquet", lambda query: duck.sql(query).to_arrow_table(), minute),
        reach=(0.1, 1.0, 1.5),
        count=3,
    )
    duck.close()
    if events > PEER_EVENTS:
        return found
    with tempfile.TemporaryDirectory() as temp:
        sqlite = in_sqlite(Path(temp) / "events.sqlite", events)
        found += _beside(
            lake,
            title,
            events,
            ids,
            peer=("SQLite, indexes", lambda query: rows_of(sqlite, query), "{low} AND {high}"),
            reach=(5.0, 1.0, 0.5),
            note="both give objects",
        )
        sqlite.close()
    with suppress(Absent), postgres() as address:
        postgresql = in_postgresql(address, events)
        minute = "to_timestamp({low} / 1e6) AND to_timestamp({high} / 1e6)"
        found += _beside(
            lake,
            title,
            events,
            ids,
            peer=("PostgreSQL, indexes", lambda q: postgresql.execute(q).fetchall(), minute),
            reach=(3.0, 1.0, 0.5),
            note="theirs through a socket",
        )
        postgresql.close()
    return found


def _beside(
    lake: lakecore.Lake,
    title: str,
    events: int,
    ids: list[str],
    *,
    peer: tuple[str, Ask, str],
    reach: tuple[float, float, float],
    count: int = 20,
    note: str = "",
) -> list[Result]:
    """History, an actor in a minute, and groups by actor: ours and a peer's in turn.

    Args:
        peer: its name, how it is asked, and how it writes a span of time.
        count: histories in a row: one is too short to be timed beside another's.
    """
    peer_name, ask, span = peer
    next_id = iter(ids * 100)
    low = START_US + STEP_US * (events // 2)
    bounds = {"low": low, "high": low + 60_000_000}
    in_minute = "SELECT * FROM {table} WHERE actor = 'ada' AND timestamp BETWEEN {span}"
    by_actor = "SELECT actor, count(*) FROM {table} GROUP BY actor"
    our_span = "to_timestamp_micros({low}) AND to_timestamp_micros({high})"

    def each(question: Callable[[str], object]) -> Callable[[], object]:
        wanted = [next(next_id) for _ in range(count)]
        return lambda: [question(entity_id) for entity_id in wanted]

    def ours(query: str) -> Callable[[], object]:
        text = query.format(table="system.journal", span=our_span.format(**bounds))
        # Peers that give Python objects are compared with Python objects.
        if note:
            return lambda: lake.sql(text).to_pylist()
        return _in_arrow(lake, text)

    def theirs(query: str) -> Callable[[], object]:
        text = query.format(table="event", span=span.format(**bounds))
        return lambda: ask(text)

    history = "SELECT * FROM event WHERE entity_id = '{}' ORDER BY seq"
    return [
        compare(
            f"{title}: {count} histories",
            lambda: each(lake.journal.entity_history),
            lambda: each(lambda entity_id: ask(history.format(entity_id))),
            peer_name=peer_name,
            reach=reach[0],
            note=note,
        ),
        *(
            compare(
                f"{title}: {name}",
                partial(ours, query),
                partial(theirs, query),
                peer_name=peer_name,
                reach=goal,
                note=note,
            )
            for name, query, goal in (
                ("actor and minute", in_minute, reach[1]),
                ("group by actor", by_actor, reach[2]),
            )
        ),
    ]
