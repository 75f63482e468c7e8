"""Ingest and upsert, audited and durable, against DuckDB + deltalake with no journal."""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Callable
from itertools import count
from pathlib import Path
from typing import Any

import duckdb
import pyarrow as pa
from deltalake import DeltaTable, write_deltalake

import lakecore
from benchmarks.data import keyed_flights
from benchmarks.pairs import Result, compare

_numbers = count()


def fresh(folder: Path) -> str:
    """A new path below `folder`; older ones are removed to keep the disk free."""
    for old in folder.glob("run-*"):
        shutil.rmtree(old, ignore_errors=True)
    return str(folder / f"run-{next(_numbers)}")


def bare_ingest(csv: Path, scratch: Path) -> Callable[[], object]:
    target = fresh(scratch)

    def run() -> None:
        with duckdb.connect() as connection:
            rows = connection.sql(f"from read_csv('{csv}', nullstr=['', 'NA'])").arrow()
            write_deltalake(target, rows)

    return run


class OurIngest:
    """Ingests of a file into a new lake each; timed until acknowledged, or until sealed too."""

    def __init__(self, csv: Path, scratch: Path, *, sealed: bool, **options: Any) -> None:
        self._csv = csv
        self._scratch = scratch
        self._sealed = sealed
        self._options = options
        self._lake: lakecore.Lake | None = None

    def __call__(self) -> Callable[[], object]:
        self.close()
        lake = self._lake = lakecore.open(fresh(self._scratch), actor="bench")

        def run() -> None:
            lake.ingest(self._csv, dataset="flights", **self._options)
            if self._sealed:
                lake.close()  # the events are in the Merkle log when the clock stops

        return run

    def close(self) -> None:
        if self._lake is not None:
            self._lake.close()


def changed_planes(folder: Path) -> pa.Table:
    """All 3,322 planes, every tenth with another number of seats."""
    planes = duckdb.sql(
        f"from read_csv('{folder / 'planes.csv'}', nullstr=['', 'NA'])"
    ).to_arrow_table()
    seats = planes.column("seats").to_pylist()
    changed = [seat + 1 if row % 10 == 0 else seat for row, seat in enumerate(seats)]
    column = pa.array(changed, planes.schema.field("seats").type)
    return planes.set_column(planes.schema.get_field_index("seats"), "seats", column)


def bare_upsert(folder: Path, rows: pa.Table, scratch: Path) -> Callable[[], object]:
    target = fresh(scratch)
    planes = duckdb.sql(
        f"from read_csv('{folder / 'planes.csv'}', nullstr=['', 'NA'])"
    ).to_arrow_table()
    write_deltalake(target, planes)
    table = DeltaTable(target)

    def run() -> None:
        merger = table.merge(
            rows, predicate="s.tailnum = t.tailnum", source_alias="s", target_alias="t"
        )
        merger.when_matched_update_all().when_not_matched_insert_all().execute()

    return run


def our_upsert(folder: Path, rows: pa.Table, scratch: Path) -> Callable[[], object]:
    lake = lakecore.open(fresh(scratch), actor="bench")
    lake.ingest(folder / "planes.csv", dataset="planes", key=["tailnum"])
    lake.journal.flush()

    def run() -> None:
        result = lake.upsert("planes", rows)
        assert (result.updated, result.unchanged) == (333, 2989), result

    return run


def keyed_rows(ours: OurIngest, csv: Path, scratch: Path, peer: str, until: str) -> Result:
    def bare() -> Callable[[], object]:
        ours.close()  # or our sealing would take the peer's processors
        return bare_ingest(csv, scratch)

    try:
        return compare(
            f"ingest flights, generated key, {until}",
            ours,
            bare,
            peer_name=peer,
            reach=3.0,
            note="336,776 insert events",
        )
    finally:
        ours.close()


def run(folder: Path) -> list[Result]:
    keyed = keyed_flights(folder)
    rows = changed_planes(folder)
    with tempfile.TemporaryDirectory() as temp:
        a, b = Path(temp) / "ours", Path(temp) / "peer"
        a.mkdir()
        b.mkdir()
        peer = "DuckDB read + deltalake write, unaudited"
        return [
            compare(
                "ingest flights, unkeyed",
                OurIngest(folder / "flights.csv", a, sealed=True),
                lambda: bare_ingest(folder / "flights.csv", b),
                peer_name=peer,
                reach=1.3,
                note="336,776 rows; durable, journaled, sealed",
            ),
            keyed_rows(OurIngest(keyed, a, sealed=False, key=["id"]), keyed, b, peer, "durable"),
            keyed_rows(
                OurIngest(keyed, a, sealed=True, key=["id"]), keyed, b, peer, "durable and sealed"
            ),
            compare(
                "upsert 3,322 planes, 10% changed",
                lambda: our_upsert(folder, rows, a),
                lambda: bare_upsert(folder, rows, b),
                peer_name="deltalake MERGE, unaudited",
                reach=2.0,
                note="333 update events, durable; sealing in the background",
            ),
        ]
