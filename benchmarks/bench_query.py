"""SQL through Lakecore against bare DataFusion on the same Delta tables."""

from __future__ import annotations

import tempfile
from collections.abc import Callable
from pathlib import Path

from datafusion import SessionContext
from deltalake import DeltaTable

import lakecore
from benchmarks.pairs import Result, compare

QUERIES = {
    "join and group": (
        "select p.manufacturer, count(*) n, avg(f.arr_delay) late from flights f "
        "join planes p on f.tailnum = p.tailnum group by 1 order by n desc"
    ),
    "count": "select count(*) n from flights",
    "filter": "select carrier, dep_delay from flights where dep_delay > 600 order by dep_delay",
    "all rows": "select * from flights",
}


def run(folder: Path) -> list[Result]:
    with tempfile.TemporaryDirectory() as temp, lakecore.open(temp, actor="bench") as lake:
        lake.ingest(folder / "flights.csv", dataset="flights")
        lake.ingest(folder / "planes.csv", dataset="planes", key=["tailnum"])
        places = {name: Path(temp) / lake.dataset(name).location for name in ("flights", "planes")}

        def ours(query: str) -> Callable[[], object]:
            return lambda: lake.sql(query).to_arrow()

        def bare(query: str) -> Callable[[], object]:
            def execute() -> object:
                context = SessionContext()
                for name, place in places.items():
                    if name in query:
                        context.register_table(name, DeltaTable(place))
                return context.sql(query).to_arrow_table()

            return execute

        return [
            compare(
                f"SQL: {name}",
                lambda query=query: ours(query),  # type: ignore[misc]  # bound now
                lambda query=query: bare(query),  # type: ignore[misc]  # bound now
                peer_name="bare DataFusion",
                reach=1.2,
                runs=15,
            )
            for name, query in QUERIES.items()
        ]
