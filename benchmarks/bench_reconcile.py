"""Tables held against the journal, and what another program committed journaled.

Completeness is asked for alone: `verify` reads and hashes the journal as well. `full` hashes
the data files, too. What another program rewrites is measured in CPU seconds of this process for
a million rows that its commit rewrote: a row that is read, copied and written again once.
"""

from __future__ import annotations

import statistics
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any, Final

import numpy as np
from deltalake import DeltaTable

import lakecore
from benchmarks.bench_changes import FILES, rows_of
from benchmarks.pairs import Prepare, Result, alone, line
from lakecore.reconcile import completeness

VERSIONS: Final = 1_000
ROWS: Final = 500_000
RUNS: Final = 3
CHANGED: Final = {
    "no value of them": ("id % 100 = 0", "amount"),
    "1% of them": ("id % 100 = 0", "amount + 1"),
    "20% of them": ("id % 5 = 0", "amount + 1"),
}
"""What the other program says, and what it sets `amount` to."""


def run(_: Path) -> list[Result]:
    """All of them; prints a line for each."""
    with tempfile.TemporaryDirectory() as temp:
        return [*_versions(Path(temp) / "versions"), *_rewritten(Path(temp) / "rewritten")]


def _versions(folder: Path) -> list[Result]:
    with lakecore.open(folder, actor="bench") as lake:
        lake.create("main.orders", key=["id"])
        for number in range(VERSIONS):
            lake.upsert("main.orders", [{"id": number % 100, "turn": number}])
        lake.journal.flush()
        lake.journal.seal()
        parts = lake._parts
        store, journal, state = parts.store, parts.journal, parts.state_dir

        def asked(*, full: bool) -> Prepare:
            def check() -> None:
                report = completeness(
                    store, journal, state, now_us=time.time_ns() // 1_000, full=full
                )
                assert not report.problems, report.problems
                assert report.matched >= VERSIONS, report

            return lambda: check

        return [
            alone(f"completeness of {VERSIONS:,} versions, full", asked(full=True), reach_s=3.0),
            alone("the same, after nothing changed", asked(full=False), reach_s=0.3),
        ]


def _rewritten(folder: Path) -> list[Result]:
    results = []
    with lakecore.open(folder, actor="bench") as lake:
        for name, key in (("keyed", ["id"]), ("unkeyed", [])):
            lake.create(name, key=key)
            for part in np.array_split(np.arange(ROWS), FILES):
                lake.insert(name, rows_of(part, 0))
            table = str(folder / lake.dataset(name).location)
            for what, (where, value) in CHANGED.items():
                times = [_reconciled(lake, name, table, where, value) for _ in range(RUNS + 1)]
                results.append(
                    Result(
                        name=f"reconcile 1M rows rewritten, {name}, {what} changed",
                        ours_s=statistics.median(times[1:]),
                        peer_s=None,
                        ratio=None,
                        reach=1.0,
                        runs=RUNS,
                        note="CPU seconds",
                    )
                )
                print(line(results[-1]), flush=True)
    return results


def _reconciled(lake: Any, name: str, table: str, where: str, value: str) -> float:
    DeltaTable(table).update(updates={"amount": value}, predicate=where)
    lake.journal.flush()
    lake.journal.seal()
    reconcile: Callable[[str], Any] = lake.reconcile
    start = time.process_time()
    report = reconcile(name)
    seconds = time.process_time() - start
    assert len(report.versions) == 1, report
    return seconds * 1_000_000 / ROWS
