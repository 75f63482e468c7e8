"""Ten queries in the manner of TPC-H: Lakecore against bare DataFusion; DuckDB and Sail beside it.

All read the same Parquet files, those of the lake's Delta tables: bare DataFusion through
deltalake's table provider in a new context for each query, DuckDB as a list of files, Sail
through `lake.sql(engine="spark")`, a session a query. Rows are compared before anything is
timed. `cpu` is the ratio of the processors' seconds of ours and of bare DataFusion, which says
more than wall time where the machine has other work.

`LAKECORE_BENCH_SCALE` (default 1), `LAKECORE_BENCH_RUNS` (default 3), `LAKECORE_BENCH_FOLDER`
(keeps data and lake).
"""

from __future__ import annotations

import os
import statistics
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from decimal import Decimal
from pathlib import Path
from typing import Any

import duckdb
import pyarrow as pa
from datafusion import SessionContext
from deltalake import DeltaTable
from tests.servers import spark_server

import lakecore
from benchmarks.pairs import Result, line
from benchmarks.tpch import QUERIES, generate
from lakecore.app import Lake

SCALE = float(os.environ.get("LAKECORE_BENCH_SCALE", "1"))
RUNS = int(os.environ.get("LAKECORE_BENCH_RUNS", "3"))
GOAL = 1.2

Engine = Callable[[str], pa.Table]


def _timed(engine: Engine, query: str) -> tuple[float, float]:
    wall, cpu = time.perf_counter(), time.process_time()
    engine(query)
    return time.perf_counter() - wall, time.process_time() - cpu


def _rows(table: pa.Table) -> list[tuple[Any, ...]]:
    def plain(value: Any) -> Any:
        if isinstance(value, Decimal | float):
            return float(f"{float(value):.9g}")
        return value

    return sorted((tuple(map(plain, row.values())) for row in table.to_pylist()), key=repr)


@contextmanager
def _lake(folder: Path, endpoint: str) -> Iterator[Lake]:
    """A lake of the tables, loaded once."""
    config = folder / "lakecore.toml"
    config.write_text(f'[query]\nspark = "{endpoint}"\nmemory_limit_bytes = {8 << 30}\n')
    files = generate(folder / f"data-{SCALE:g}", SCALE)
    with lakecore.open(folder / f"lake-{SCALE:g}", actor="bench", config=config) as lake:
        known = {dataset.name for dataset in lake.datasets()}
        for name, file in files.items():
            if name not in known:
                lake.ingest(file, dataset=name)
        yield lake


def run(folder: Path) -> list[Result]:
    """Every query on every engine, in turn."""
    kept = os.environ.get("LAKECORE_BENCH_FOLDER")
    place = Path(kept) if kept else folder / "tpch"
    place.mkdir(parents=True, exist_ok=True)
    with ExitStack() as stack:
        endpoint, _ = stack.enter_context(spark_server())
        lake = stack.enter_context(_lake(place, endpoint))
        root = place / f"lake-{SCALE:g}"
        places = {d.name: str(root / d.location) for d in lake.datasets()}
        duck = stack.enter_context(duckdb.connect())
        for name, where in places.items():
            uris = [uri.removeprefix("file://") for uri in DeltaTable(where).file_uris()]
            listed = ", ".join(f"'{uri}'" for uri in uris)
            duck.execute(f"create view {name} as select * from read_parquet([{listed}])")

        def bare(query: str) -> pa.Table:
            context = SessionContext()
            for name, where in places.items():
                if name in query:
                    context.register_table(name, DeltaTable(where))
            return context.sql(query).to_arrow_table()

        engines: dict[str, Engine] = {
            "ours": lambda query: lake.sql(query).to_arrow(),
            "bare": bare,
            "duckdb": lambda query: duck.execute(query).to_arrow_table(),
            "sail": lambda query: lake.sql(query, engine="spark").to_arrow(),
        }
        return [_one(name, query, engines) for name, query in QUERIES.items()]


def _one(name: str, query: str, engines: dict[str, Engine]) -> Result:
    rows = {engine: _rows(ask(query)) for engine, ask in engines.items()}
    for engine, found in rows.items():
        if found != rows["bare"]:
            raise SystemExit(f"{name}: {engine} has other rows: {found[:2]} {rows['bare'][:2]}")
    times: dict[str, list[tuple[float, float]]] = {engine: [] for engine in engines}
    for _ in range(RUNS):
        for engine, ask in engines.items():
            times[engine].append(_timed(ask, query))
    wall = {e: statistics.median(w for w, _ in found) for e, found in times.items()}
    cpu = {e: statistics.median(c for _, c in found) for e, found in times.items()}
    pairs = list(zip(times["ours"], times["bare"], strict=True))
    result = Result(
        name=f"TPC-H manner, scale {SCALE:g}: {name}",
        ours_s=wall["ours"],
        peer_s=wall["bare"],
        ratio=statistics.median(a[0] / b[0] for a, b in pairs),
        reach=GOAL,
        runs=RUNS,
        peer="bare DataFusion",
        note=f"cpu {cpu['ours'] / cpu['bare']:.2f}; DuckDB {wall['duckdb']:.3f} s, "
        f"Sail {wall['sail']:.3f} s; {len(rows['ours'])} rows",
        details={f"{e}_s": s for e, s in wall.items()} | {f"{e}_cpu_s": s for e, s in cpu.items()},
    )
    print(line(result), flush=True)
    return result
