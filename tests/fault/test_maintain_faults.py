"""Upkeep under faults: every write fails, is torn, or is the last of its process."""

from __future__ import annotations

import multiprocessing
import shutil
import signal
from contextlib import suppress
from pathlib import Path

import pytest
from tests.fakes.faulty_store import Fault, FaultyStore
from tests.fakes.killing_store import KillingStore
from tests.unit.maintain.conftest import ADA, Lake

from lakecore.base import LakecoreError, OutOfSpace, Unavailable
from lakecore.storage import Store, open_store

HOURS = 50.0
ROWS = 7


def _begin(folder: Path) -> None:
    """A table with something to put together, to vacuum, and a dropped one to give up."""
    store = open_store(str(folder / "lake"))
    lake = Lake(store, folder / "state")
    lake.make()
    lake.make("gone")
    lake.append("gone", 1)
    lake.catalog.drop("gone", author=ADA, grace_days=1)
    for number in range(ROWS - 1):
        lake.append("planes", number)
    lake.tables.upsert(lake.catalog.get("planes"), _row(5), author=ADA)
    lake.append("planes", ROWS - 1)
    lake.journal.seal()
    lake.close()
    store.close()


def _row(number: int) -> object:
    import pyarrow as pa

    return pa.table({"id": [number], "v": ["changed"]})


def _run(store: Store, folder: Path) -> None:
    """All of it, twice, as one process would; a failed step is in the report."""
    lake = Lake(store, folder / "state")
    lake.later(HOURS)
    for _ in range(2):
        lake.run()
        lake.later(HOURS)
    lake.close()


def _check(folder: Path) -> None:
    """No row is lost, the record is whole, and upkeep comes to its end."""
    store = open_store(str(folder / "lake"))
    lake = Lake(store, folder / "state")
    lake.later(3 * HOURS)
    rows = [{"id": n, "v": "changed" if n == 5 else f"row {n}"} for n in range(ROWS)]
    assert lake.rows() == rows
    lake.check()
    for _ in range(2):
        assert lake.run("planes", "gone").ok
        lake.later(HOURS)
    assert lake.run("planes").ok
    assert lake.rows() == rows
    assert (lake.live(), len(lake.files())) == (1, 1)
    left = [i.path for i in store.list_objects("tables/main/gone/") if i.path.endswith("parquet")]
    assert left == []
    lake.check()
    lake.close()
    store.close()


def _writes(folder: Path) -> int:
    store = FaultyStore(open_store(str(folder / "lake")))
    _run(store, folder)
    _check(folder)
    return store.writes


@pytest.mark.parametrize(
    ("stays_down", "faults"), [(False, (Fault.AFTER, Fault.TEAR)), (True, (Fault.BEFORE,))]
)
def test_every_write_may_fail(stays_down: bool, faults: tuple[Fault, ...], tmp_path: Path) -> None:
    """Each write failed but stored, or torn, in passing; failed for good."""
    _fail(tmp_path, faults, Unavailable, stays_down)


def test_every_write_may_find_the_disk_full(tmp_path: Path) -> None:
    """The same where trying again does not help."""
    _fail(tmp_path, (Fault.BEFORE,), OutOfSpace, False)


def _fail(
    tmp_path: Path, faults: tuple[Fault, ...], error: type[LakecoreError], stays_down: bool
) -> None:
    origin = tmp_path / "origin"
    _begin(origin)
    shutil.copytree(origin, tmp_path / "clean")
    writes = _writes(tmp_path / "clean")
    assert writes > 10
    for write in range(1, writes + 1):
        for fault in faults:
            folder = tmp_path / f"{write}-{fault.value}"
            shutil.copytree(origin, folder)
            store = FaultyStore(
                open_store(str(folder / "lake")),
                {write: fault},
                error=error,
                stays_down=stays_down,
            )
            with suppress(LakecoreError):
                _run(store, folder)
            _check(folder)
            shutil.rmtree(folder)


def _killed(folder: str, write: int) -> None:
    place = Path(folder)
    _run(KillingStore(open_store(str(place / "lake")), {write: Fault.AFTER}), place)


def test_killed_at_every_write(tmp_path: Path) -> None:
    """SIGKILL behind every write: what was begun is finished, or never happened."""
    origin = tmp_path / "origin"
    _begin(origin)
    shutil.copytree(origin, tmp_path / "clean")
    writes = _writes(tmp_path / "clean")
    context = multiprocessing.get_context("spawn")
    for write in range(1, writes + 1):
        folder = tmp_path / f"{write}"
        shutil.copytree(origin, folder)
        process = context.Process(target=_killed, args=(str(folder), write))
        process.start()
        process.join(60)
        assert process.exitcode == -signal.SIGKILL
        _check(folder)
        shutil.rmtree(folder)
