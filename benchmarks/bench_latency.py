"""Ingest and seal on a store that takes 50 ms a put: events a second, acknowledged and sealed.

What is simulated is a pause of 50 ms in every call that writes and of 20 ms in every call that
reads or lists (`tests.fakes.slow_store`), around a store in memory; nothing is lost or refused,
and bandwidth is the machine's. Beside it the same store without pauses: what the waiting costs.

The processor's seconds are told, too: where other programs want the processor as well, wall
time is theirs. `LAKECORE_BENCH_EVENTS` events, 1,000,000 by default.
"""

from __future__ import annotations

import os
import tempfile
import threading
import time
from pathlib import Path
from typing import Any

import pyarrow as pa
from tests.fakes.slow_store import SlowStore

from benchmarks.pairs import Result, line
from lakecore.journal import Journal, JournalSettings
from lakecore.storage import open_store

EVENTS = int(os.environ.get("LAKECORE_BENCH_EVENTS", "1000000").split(",")[0])
BATCH = 10_000
THREADS = 8
WRITE_S, READ_S = 0.05, 0.02
GOAL_PER_S = 100_000


def _batch(number: int) -> pa.Table:
    rows = range(number * BATCH, (number + 1) * BATCH)
    constant = {
        "entity_type": "order",
        "field": "status",
        "action": "update",
        "old_value": '"open"',
        "source": "api",
        "dataset": "main.orders",
    }
    columns: dict[str, Any] = {name: [text] * BATCH for name, text in constant.items()}
    columns |= {
        "entity_id": [f"order-{n * 7919 % 50_000:08d}" for n in rows],
        "new_value": [f'"paid {n}"' for n in rows],
        "actor": [f"user-{n % 97}" for n in rows],
        "mutation_id": [f"m-{n // 10}" for n in rows],
        "context": [f'{{"request":"r-{n // 100}"}}' for n in rows],
    }
    return pa.table(columns)


def _run(batches: list[pa.Table], *, is_slow: bool, background: bool) -> dict[str, float]:
    pauses = {"write_s": WRITE_S, "read_s": READ_S} if is_slow else {"write_s": 0.0, "read_s": 0.0}
    store = SlowStore(open_store("memory://"), **pauses)
    with (
        tempfile.TemporaryDirectory() as folder,
        Journal.open(
            store, Path(folder), settings=JournalSettings(background=background)
        ) as journal,
    ):
        waiting = iter(batches)
        lock = threading.Lock()

        def work() -> None:
            while True:
                with lock:
                    batch = next(waiting, None)
                if batch is None:
                    return
                journal.record_batch(batch)

        cpu, wall = time.process_time(), time.perf_counter()
        threads = [threading.Thread(target=work) for _ in range(THREADS)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        acknowledged = time.perf_counter() - wall
        journal.seal()
        figures = {
            "wall_s": time.perf_counter() - wall,
            "acknowledged_s": acknowledged,
            "cpu_s": time.process_time() - cpu,
            "writes": float(store.writes),
            "reads": float(store.reads),
        }
        if journal.stats()["tree_size"] != len(batches) * BATCH:
            raise SystemExit("not all events are sealed")
        return figures


def run(folder: Path) -> list[Result]:
    """Sealing after the work, and beside it."""
    del folder
    batches = [_batch(number) for number in range(EVENTS // BATCH)]
    results = []
    for background in (False, True):
        slow = _run(batches, is_slow=True, background=background)
        fast = _run(batches, is_slow=False, background=background)
        how = "beside the work" if background else "behind it"
        rate = EVENTS / slow["wall_s"]
        cpu_rate = EVENTS / slow["cpu_s"]
        results.append(
            Result(
                name=f"{EVENTS:,} events acknowledged and sealed {how}, 50 ms a put",
                ours_s=slow["wall_s"],
                peer_s=fast["wall_s"],
                ratio=None,
                reach=EVENTS / GOAL_PER_S,
                runs=1,
                peer="the same store without pauses",
                note=f"{rate:,.0f} ev/s; {cpu_rate:,.0f} ev per second of one "
                f"processor; acknowledged {EVENTS / slow['acknowledged_s']:,.0f} ev/s; "
                f"{slow['writes']:.0f} writes, {slow['reads']:.0f} reads",
                details=slow,
            )
        )
        print(line(results[-1]), flush=True)
    return results
