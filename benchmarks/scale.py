"""What a lake grows by: bytes, objects and requests of each of its parts, at three sizes.

    python -m benchmarks.scale [EVENTS ...]         # default: 10000 100000 1000000
    python -m benchmarks.scale segments [SEALS ...]  # what opening costs; default: 100 400 1600

Half of the events are recorded directly, 1,000 a batch; half are rows of a keyed dataset, which
come in inserts of 5,000 and, for each thousand events, an upsert of ten. Everything is sealed,
the journal compacted, the dataset maintained. The store is in memory and counts requests as if
it were remote; the figures are of `docs/scale.md`, with the prices that are assumed there.
"""

from __future__ import annotations

import sys
import tempfile
import time
from collections import defaultdict
from pathlib import Path
from typing import Final

import pyarrow as pa
from tests.fakes.slow_store import SlowStore

from lakecore.app import Lake
from lakecore.app._components import Components
from lakecore.config import JournalSettings, LakeSettings, Settings
from lakecore.journal import Journal
from lakecore.journal import JournalSettings as SealSettings
from lakecore.storage import open_store

PUT_USD: Final = 0.005 / 1_000
GET_USD: Final = 0.0004 / 1_000
GB_MONTH_USD: Final = 0.023
PARTS: Final = {
    "journal/log/": "segments",
    "journal/merged/": "merged runs",
    "journal/index/": "index",
    "journal/tiles/": "tiles",
    "journal/checkpoints/": "checkpoints",
    "journal/staged/": "staged",
    "documents/": "documents",
}


def _part(path: str) -> str:
    if path.startswith("tables/"):
        return "Delta logs" if "/_delta_log/" in path else "data files"
    return next((name for prefix, name in PARTS.items() if path.startswith(prefix)), "other")


def measure(events: int) -> dict[str, tuple[int, int]]:
    """{part: (objects, bytes)} of a lake of so many events; prints a table."""
    store = SlowStore(open_store("memory://"), write_s=0.0, read_s=0.0)
    settings = Settings(
        lake=LakeSettings(maintain=False), journal=JournalSettings(compact_grace_s=0.0)
    )
    started, cpu = time.perf_counter(), time.process_time()
    with tempfile.TemporaryDirectory() as folder:
        parts = Components(store, settings, create=True, state_dir=Path(folder))
        with Lake(parts, actor="scale") as lake:
            lake.create("orders", key=["id"])
            _fill(lake, events)
            lake.journal.seal()
            lake.journal.compact()
            lake.maintain("orders")
            lake.journal.seal()
            sealed = lake.journal.stats()["tree_size"]
            versions = lake.describe("orders")["version"]
            requests = store.writes, store.reads
            found = _sizes(store)
    _print(sealed, versions, found, requests, time.perf_counter() - started)
    print(f"processor {time.process_time() - cpu:.0f} s", flush=True)
    return found


def _fill(lake: Lake, events: int) -> None:
    rows = 0
    for first in range(0, events // 2, 1_000):
        lake.journal.record_batch(_direct(first))
    while rows < events // 2:
        count = min(5_000, events // 2 - rows)
        numbers = range(rows, rows + count)
        table = {
            "id": list(numbers),
            "status": ["open"] * count,
            "customer": [f"customer {n * 7919 % 50_000}" for n in numbers],
            "amount": [n % 10_000 / 100 for n in numbers],
        }
        lake.insert("orders", pa.table(table))
        for number in range(rows, rows + count, 500):
            changed = {
                "id": list(range(number, number + 10)),
                "status": ["paid"] * 10,
                "customer": [f"customer {n * 7919 % 50_000}" for n in range(number, number + 10)],
                "amount": [n % 10_000 / 100 for n in range(number, number + 10)],
            }
            lake.upsert("orders", pa.table(changed))
        rows += count


def _direct(first: int) -> pa.Table:
    numbers = range(first, first + 1_000)
    return pa.table(
        {
            "entity_type": ["order"] * 1_000,
            "entity_id": [f"order-{n * 7919 % 50_000:08d}" for n in numbers],
            "field": ["status"] * 1_000,
            "action": ["update"] * 1_000,
            "old_value": ['"open"'] * 1_000,
            "new_value": [f'"paid {n}"' for n in numbers],
            "actor": [f"user-{n % 97}" for n in numbers],
            "mutation_id": [f"m-{n // 10}" for n in numbers],
            "context": [f'{{"request":"r-{n // 100}"}}' for n in numbers],
        }
    )


def _sizes(store: SlowStore) -> dict[str, tuple[int, int]]:
    found: dict[str, list[int]] = defaultdict(lambda: [0, 0])
    for info in store.list_objects(""):
        part = found[_part(info.path)]
        part[0] += 1
        part[1] += info.size_bytes
    return {name: (count, size) for name, (count, size) in sorted(found.items())}


def _print(
    sealed: int,
    versions: int,
    found: dict[str, tuple[int, int]],
    requests: tuple[int, int],
    seconds: float,
) -> None:
    millions = sealed / 1e6
    print(f"\n{sealed:,} events, {versions:,} versions, {seconds:.0f} s")
    for name, (count, size) in found.items():
        print(f"| {name} | {count:,} | {size:,} | {size / sealed:.1f} |")
    size_bytes = sum(size for _, size in found.values())
    writes, reads = requests
    cost = (writes * PUT_USD + reads * GET_USD) / millions
    kept = size_bytes / 1e9 * GB_MONTH_USD / millions
    print(f"requests: {writes:,} writes, {reads:,} reads: {cost:.4f} USD a million events")
    print(f"kept: {size_bytes / sealed:.1f} bytes an event: {kept:.4f} USD a million a month")


def measure_segments(seals: int) -> None:
    """What a machine that sees a log for the first time asks for, by how often it was sealed."""
    store = SlowStore(open_store("memory://"), write_s=0.0, read_s=0.0)
    settings = SealSettings(background=False, compact_grace_s=0.0)
    with tempfile.TemporaryDirectory() as folder:
        with Journal.open(store, Path(folder, "writer"), settings=settings) as journal:
            for first in range(seals):
                journal.record_batch(_direct(first).slice(0, 4))
                journal.seal()
        for state in ("new", "new"):  # the second time it knows the footers
            before, cpu = store.reads, time.process_time()
            with Journal.open(store, Path(folder, state), settings=settings) as journal:
                size = journal.stats()["tree_size"]
            took = time.process_time() - cpu
            print(f"{seals:,} seals, {size:,} events: {store.reads - before:,} reads, {took:.2f} s")


if __name__ == "__main__":
    if sys.argv[1:2] == ["segments"]:
        for given in sys.argv[2:] or ("100", "400", "1600"):
            measure_segments(int(given))
        raise SystemExit
    for given in sys.argv[1:] or ("10000", "100000", "1000000"):
        measure(int(given.replace("_", "")))
