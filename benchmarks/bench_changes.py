"""Changes of keyed rows: audited and durable, against bare deltalake and a trigger's audit.

Ours journals every changed field, hashes and stages the events and syncs all files; what is
timed ends when the call returns. deltalake does none of that. PostgreSQL has a row trigger
that writes one audit row for each changed field, in the same transaction.
"""

from __future__ import annotations

import json
import os
import statistics
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from itertools import count
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
from deltalake import DeltaTable, write_deltalake

import lakecore
from benchmarks import peers
from benchmarks.pairs import Prepare, Result, alone, compare, line
from lakecore import Sql

FILES = 8
THREADS = 64
EACH = int(os.environ.get("LAKECORE_BENCH_UPSERTS", "12"))
SINGLES = 24
BARE = "deltalake {}, unaudited"
_turns = count(1)


def rows_of(ids: np.ndarray[Any, Any], turn: int) -> pa.Table:
    """Rows with these keys; `turn` decides what is in `amount` and `status`."""
    return pa.table(
        {
            "id": pa.array(ids, pa.int64()),
            "name": pa.array([f"name-{i % 9973}" for i in ids.tolist()]),
            "amount": pa.array((ids * 37 % 100_000) / 100 + turn),
            "quantity": pa.array(ids % 97, pa.int64()),
            "status": pa.array([f"s{(i + turn) % 11}" for i in ids.tolist()]),
        }
    )


def sampled(rows: int, base: int, turn: int) -> pa.Table:
    """Nine of ten keys are there, with two fields that change; every tenth is new."""
    chance = np.random.default_rng(turn)
    new = rows // 10
    ids = np.sort(chance.choice(base, rows - new, replace=False))
    return rows_of(np.concatenate([ids, base + np.arange(new)]), turn)


class Ours:
    """A lake with one dataset of `rows` rows in eight files, put back between runs."""

    def __init__(self, folder: Path, rows: int) -> None:
        self.rows = rows
        self.lake = lakecore.open(folder, actor="bench")
        self.lake.create("main.orders", key=["id"], entity_type="order")
        for part in np.array_split(np.arange(rows), FILES):
            self.lake.insert("main.orders", rows_of(part, 0))
        self.quiet()

    def quiet(self) -> None:
        """Wait until nothing of ours works in the background any more."""
        self.lake.journal.flush()
        self.lake.journal.seal()

    def restored(self) -> None:
        """Without the rows that runs added: their files go with them."""
        self.lake.delete("main.orders", where=f"id >= {self.rows}")
        self.quiet()

    def upsert(self, rows: int) -> Prepare:
        def prepare() -> Callable[[], object]:
            self.restored()
            given = sampled(rows, self.rows, next(_turns))

            def run() -> None:
                result = self.lake.upsert("main.orders", given)
                assert result.updated + result.inserted == rows, result

            return run

        return prepare

    def update(self, where: str, expected: int, **options: Any) -> Prepare:
        def prepare() -> Callable[[], object]:
            self.restored()

            def run() -> None:
                result = self.lake.update(
                    "main.orders", set={"amount": Sql("amount + 1")}, where=where, **options
                )
                assert result.updated == expected, result

            return run

        return prepare


class Bare:
    """The same rows in a Delta table, changed by deltalake itself, put back between runs."""

    def __init__(self, folder: Path, rows: int) -> None:
        self.rows = rows
        self.path = str(folder)
        for part in np.array_split(np.arange(rows), FILES):
            write_deltalake(self.path, rows_of(part, 0), mode="append")
        self.first = DeltaTable(self.path).version()

    def table(self) -> DeltaTable:
        """Opened, with its eight files."""
        table = DeltaTable(self.path)
        if table.version() != self.first:
            table.restore(self.first)
            table = DeltaTable(self.path)
        return table

    def upsert(self, rows: int) -> Prepare:
        def prepare() -> Callable[[], object]:
            table = self.table()
            given = sampled(rows, self.rows, next(_turns))
            return lambda: merge(table, given)

        return prepare

    def update(self, where: str) -> Prepare:
        def prepare() -> Callable[[], object]:
            table = self.table()
            return lambda: table.update(updates={"amount": "amount + 1"}, predicate=where)

        return prepare


def merge(table: DeltaTable, rows: pa.Table) -> None:
    (
        table.merge(rows, predicate="s.id = t.id", source_alias="s", target_alias="t")
        .when_matched_update_all()
        .when_not_matched_insert_all()
        .execute()
    )


_AUDIT = """
create table orders (id bigint primary key, name text, amount double precision,
                     quantity bigint, status text);
create table audit (n bigserial, at timestamptz default clock_timestamp(), entity text,
                    field text, action text, old_value jsonb, new_value jsonb, actor text);
create function journal() returns trigger as $$
begin
  insert into audit (entity, field, action, old_value, new_value, actor)
  select new.id::text, o.key, 'update', o.value, n.value, current_user
  from jsonb_each(to_jsonb(old)) o join jsonb_each(to_jsonb(new)) n on o.key = n.key
  where o.value is distinct from n.value;
  return new;
end $$ language plpgsql;
create trigger orders_journal after update on orders for each row execute function journal();
"""


@contextmanager
def audited(rows: int) -> Iterator[Callable[[str], Prepare]]:
    """PostgreSQL with the same rows and a trigger; gives what prepares an update."""
    import psycopg

    with peers.postgres() as address, psycopg.connect(address, autocommit=True) as connection:
        connection.execute(_AUDIT)
        columns = rows_of(np.arange(rows), 0).to_pydict()
        with connection.cursor().copy("copy orders from stdin") as copy:
            for row in zip(*columns.values(), strict=True):
                copy.write_row(row)

        def prepared(where: str) -> Prepare:
            def prepare() -> Callable[[], object]:
                connection.execute("truncate audit")
                connection.execute("vacuum full analyze orders")
                sql = f"update orders set amount = amount + 1 where {where}"
                return lambda: connection.execute(sql)

            return prepare

        yield prepared


def single(ours: Ours, bare: Bare) -> list[Result]:
    """Threads that upsert single rows, against one after the other and against bare MERGE."""
    chance = np.random.default_rng(64)

    def one(turn: int) -> pa.Table:
        return rows_of(chance.integers(0, ours.rows, 1), turn)

    def ours_one() -> Callable[[], object]:
        ours.quiet()
        given = [one(next(_turns)) for _ in range(SINGLES)]
        return lambda: [ours.lake.upsert("main.orders", rows) for rows in given]

    def bare_one() -> Callable[[], object]:
        table, given = bare.table(), [one(next(_turns)) for _ in range(SINGLES // 4)]

        def run() -> None:
            for rows in given:
                merge(table, rows)

        return run

    def together() -> float:
        ours.quiet()
        first = next(_turns)
        keys = np.random.default_rng(first).choice(ours.rows, THREADS * EACH, replace=False)
        keys = keys.reshape(THREADS, EACH)
        given = [[rows_of(keys[t, n : n + 1], first) for n in range(EACH)] for t in range(THREADS)]
        failed: list[BaseException] = []
        gate = threading.Barrier(THREADS + 1)

        def work(number: int) -> None:
            gate.wait()
            try:
                for rows in given[number]:
                    assert ours.lake.upsert("main.orders", rows).updated == 1
            except BaseException as error:
                failed.append(error)

        threads = [threading.Thread(target=work, args=(n,)) for n in range(THREADS)]
        for thread in threads:
            thread.start()
        gate.wait()
        start = time.perf_counter()
        for thread in threads:
            thread.join()
        seconds = time.perf_counter() - start
        assert not failed, failed[0]
        wanted = ",".join(str(key) for key in keys.ravel())
        sql = f"select id, amount from main.orders where id in ({wanted})"
        found = {row["id"]: row["amount"] for row in ours.lake.sql(sql).to_pylist()}
        lost = [key for key in keys.ravel() if found[key] != (key * 37 % 100_000) / 100 + first]
        assert not lost, lost
        return seconds / (THREADS * EACH)

    alone_s: list[float] = []
    bare_s: list[float] = []
    group_s: list[float] = []
    for _ in range(4):
        for times, prepare, rows in (
            (alone_s, ours_one, SINGLES),
            (bare_s, bare_one, SINGLES // 4),
        ):
            run = prepare()
            start = time.perf_counter()
            run()
            times.append((time.perf_counter() - start) / rows)
        group_s.append(together())
    each = statistics.median(group_s[1:])
    results = []
    for peer, seconds, reach in (
        ("our own, one after the other", alone_s, 0.1),
        (BARE.format("MERGE"), bare_s, 0.025),
    ):
        results.append(
            Result(
                name=f"upsert of single rows, {THREADS} threads, each",
                ours_s=each,
                peer_s=statistics.median(seconds[1:]),
                ratio=statistics.median(
                    a / b for a, b in zip(group_s[1:], seconds[1:], strict=True)
                ),
                reach=reach,
                runs=3,
                peer=peer,
                note=f"{1 / each:.0f} a second; none lost",
            )
        )
        print(line(results[-1]), flush=True)
    return results


_LARGE = """
import json, resource, sys, time
import numpy as np, pyarrow as pa, lakecore
from lakecore import Sql
from lakecore.storage import open_store
from lakecore.tables import TableSettings
from lakecore.tables._delta_log import Commit, commit_path, metadata_for, protocol_for
from lakecore.tables._write import RollingWriter
step, uri, rows = sys.argv[1], sys.argv[2], int(sys.argv[3])
chance = np.random.default_rng(7)
schema = pa.schema([("id", pa.int64())] + [(f"n{i}", pa.int64()) for i in range(8)])
def parts():
    for first in range(0, rows, 1 << 16):
        ids = np.arange(first, min(rows, first + (1 << 16)))
        notes = chance.integers(0, 2**62, (8, len(ids)))
        yield pa.table([ids, *notes], schema=schema)
with lakecore.open(uri, actor="bench") as lake:
    start = time.perf_counter()
    if step == "fill":
        # Rows that nobody journaled: an event for each would be several times as many bytes.
        lake.create("main.large", key=["id"])
        dataset, store = lake.dataset("main.large"), open_store(uri)
        writer = RollingWriter(store, dataset.location, schema, TableSettings(), keys=["id"])
        for part in parts():
            writer.write(part)
        metadata = metadata_for(
            schema, table_id=dataset.dataset_id, created_us=0, configuration={}, name=None,
            description=None,
        )
        commit = Commit(operation="WRITE", timestamp_us=time.time_ns() // 1000,
                        protocol=protocol_for(schema), metadata=metadata, adds=writer.finish())
        store.create(commit_path(dataset.location, 0), commit.to_bytes())
        count = 0
    else:
        count = lake.update("main.large", set={"n0": Sql("n0 + 1")}, where="id % 100 = 0").updated
    seconds = time.perf_counter() - start
peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20
print(json.dumps({"peak_gib": peak, "seconds": seconds, "rows": count}))
"""


def memory(folder: Path) -> Result:
    """Peak memory of an update of 1% of a large table, a row in every hundred: all files."""
    size_gb = float(os.environ.get("LAKECORE_BENCH_GB", "1"))
    rows = int(size_gb * 1e9 / 72)

    def child(step: str) -> dict[str, Any]:
        command = [sys.executable, "-c", _LARGE, step, str(folder), str(rows)]
        done = subprocess.run(command, check=True, capture_output=True, text=True)
        return dict(json.loads(done.stdout.splitlines()[-1]))

    child("fill")
    figures = child("update")
    result = Result(
        name=f"peak GiB, update of 1% of {size_gb:g} GB",
        ours_s=figures["peak_gib"],
        peer_s=None,
        ratio=None,
        reach=2.0,
        runs=1,
        note=f"GiB, not seconds; {figures['rows']:,} rows in {figures['seconds']:.0f} s",
    )
    print(line(result), flush=True)
    return result


def _updates(ours: Ours, bare: Bare, rows: int) -> list[Result]:
    size, kind = f"{rows // 1000}k", BARE.format("UPDATE")
    return [
        compare(
            f"update 100,000 of {size}, {name}",
            ours.update(where, 100_000),
            bare.update(where),
            peer_name=kind,
            reach=1.2,
        )
        for name, where in (
            ("scattered", f"id % {rows // 100_000} = 0"),
            ("contiguous", "id < 100000"),
        )
    ]


def _against_trigger(ours: Ours) -> list[Result]:
    where = f"id % {ours.rows // 100_000} = 0"
    name = "audited update of 100,000 in 500,000"
    results = []
    try:
        with audited(ours.rows) as prepared:
            results.append(
                compare(
                    name,
                    ours.update(where, 100_000),
                    prepared(where),
                    peer_name="PostgreSQL, row trigger",
                    reach=0.15,
                )
            )
    except peers.Absent as absent:
        print(f"{name}: {absent}", flush=True)
    results.append(alone(f"{name}, seconds", ours.update(where, 100_000), reach_s=0.5))
    results.append(
        compare(
            "dry run of it",
            ours.update(where, 100_000, tier="dry_run"),
            ours.update(where, 100_000),
            peer_name="the change itself",
            reach=1.0,
        )
    )
    return results


def _size(folder: Path, rows: int) -> list[Result]:
    ours, bare = Ours(folder / f"ours-{rows}", rows), Bare(folder / f"bare-{rows}", rows)
    results = []
    wanted = os.environ.get("LAKECORE_BENCH_CHANGES", "trigger upsert update threads memory")
    try:
        if rows == 500_000 and "trigger" in wanted:
            results += _against_trigger(ours)
        for given in (1, 1_000, 100_000):
            if "upsert" not in wanted:
                break
            results.append(
                compare(
                    f"upsert {given:,} into {rows // 1000}k",
                    ours.upsert(given),
                    bare.upsert(given),
                    peer_name=BARE.format("MERGE"),
                    reach=1.0,
                )
            )
        if "update" in wanted:
            results += _updates(ours, bare, rows)
        if rows == 500_000 and "threads" in wanted:
            ours.restored()
            results += single(ours, bare)
    finally:
        ours.lake.close()
    if rows == 500_000 and "memory" in wanted:
        results.append(memory(folder / "large"))
    return results


def run(_: Path) -> list[Result]:
    with tempfile.TemporaryDirectory() as temp:
        sizes = (500_000, 1_000_000)
        wanted = os.environ.get("LAKECORE_BENCH_ROWS")
        return [
            result
            for rows in sizes
            if wanted is None or str(rows) in wanted.split(",")
            for result in _size(Path(temp), rows)
        ]
