"""Several writers of one table: nothing is lost, and every version has its events."""

from __future__ import annotations

import multiprocessing
import threading
from dataclasses import replace
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest
from tests.unit.tables.conftest import Lake, Ref

from lakecore.base import Conflict, SystemClock
from lakecore.storage import Store, open_store
from lakecore.tables import Tables, TableSettings

CHANGES = 12
DATASET = Ref(dataset_id="6f1c5a52-4f0e-4a58-9d0e-1d8f0f0c0b11")


def _upsert_many(folder: str, writer: int) -> None:
    """One process: adds rows of its own, and counts up a row that both writers change."""
    lake = Lake(open_store(folder), dataset=DATASET, clock=SystemClock())
    for number in range(CHANGES):
        lake.upsert({"id": [f"{writer}-{number}"], "v": [number]})
        lake.update(where="id = 'shared'", set={"v": _plus_one()})


def _plus_one() -> object:
    from lakecore.tables import Sql

    return Sql("v + 1")


def test_two_processes_lose_nothing(tmp_path: Path) -> None:
    """Both writers' rows are there, and the row that both count up has every count."""
    lake = Lake(open_store(str(tmp_path)), dataset=DATASET, clock=SystemClock())
    lake.append({"id": ["shared"], "v": [0]})
    context = multiprocessing.get_context("spawn")
    writers = [
        context.Process(target=_upsert_many, args=(str(tmp_path), writer)) for writer in (0, 1)
    ]
    for process in writers:
        process.start()
    for process in writers:
        process.join(120)
        assert process.exitcode == 0
    rows = {row["id"]: row["v"] for row in lake.rows()}
    assert rows.pop("shared") == 2 * CHANGES
    assert rows == {f"{w}-{n}": n for w in (0, 1) for n in range(CHANGES)}
    events = lake.events()
    versions = [event.version for event in events]
    assert versions == sorted(versions, key=lambda v: v or 0)
    assert len(events) == 1 + 4 * CHANGES
    times = [event.timestamp for event in events if event.timestamp]
    assert times == sorted(times)
    # Whatever lost its race has left no staged file, and no data file that nothing refers to.
    assert lake.journal.staged_ids() == {
        lake.log(version)[0]["commitInfo"]["lakecore"]["commit_id"]
        for version in range(1 + 4 * CHANGES)
    }
    referred = {a["add"]["path"] for v in range(1 + 4 * CHANGES) for a in lake.log(v) if "add" in a}
    assert lake.files() == referred


def test_threads_queue(lake: Lake) -> None:
    """Threads of one process wait for each other instead of planning twice; some together."""
    attempts: list[str] = []
    settings = TableSettings(on_step=attempts.append)
    lake.tables = Tables(lake.store, lake.journal, lake.clock, settings)
    threads = [
        threading.Thread(target=lambda n=n: lake.upsert({"id": [n], "v": [n]})) for n in range(8)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert [row["id"] for row in lake.rows()] == list(range(8))
    assert attempts.count("planned") == attempts.count("committed") <= 8
    assert len(lake.events()) == 8


class _Intruder:
    """Lets another writer commit first, just before ours: as often as it is told."""

    def __init__(self, other: Lake, times: int) -> None:
        self.other = other
        self.times = times
        self.rows = 0

    def __call__(self, step: str) -> None:
        if step == "committing" and self.times:
            self.times -= 1
            self.rows += 1
            self.other.append({"id": [1_000 + self.rows], "v": [0]})


def _contested(store: Store, times: int, **limits: Any) -> tuple[Lake, _Intruder]:
    other = Lake(store, dataset=DATASET)
    intruder = _Intruder(other, times)
    settings = replace(TableSettings(on_step=intruder, retry_wait_s=0.0), **limits)
    return Lake(store, dataset=DATASET, settings=settings), intruder


def test_a_lost_race_is_planned_again(tmp_path: Path) -> None:
    """After another's commit the change is computed anew, with the next version's events."""
    lake, _ = _contested(open_store(str(tmp_path)), times=2)
    result = lake.append({"id": [1, 2], "v": [1, 2]})
    assert result.version == 2
    assert sorted(row["id"] for row in lake.rows()) == [1, 2, 1001, 1002]
    assert [e.version for e in lake.events()] == [0, 1, 2, 2]
    assert len(lake.journal.staged_ids()) == 3
    assert len(lake.files()) == 3


def test_a_lost_race_may_make_the_key_double(tmp_path: Path) -> None:
    """The check for present keys is made again after a lost race."""
    from lakecore.base import InvalidInput

    lake, _ = _contested(open_store(str(tmp_path)), times=1)
    with pytest.raises(InvalidInput, match="already in the dataset"):
        lake.append({"id": [1001], "v": [1]})
    assert len(lake.files()) == 1


def test_losing_every_race_is_a_conflict(tmp_path: Path) -> None:
    """Attempts are bounded; what they wrote is removed."""
    lake, intruder = _contested(open_store(str(tmp_path)), times=99, max_retries=3)
    with pytest.raises(Conflict):
        lake.append({"id": [1], "v": [1]})
    assert intruder.rows == 3
    assert len(lake.files()) == 3
    assert len(lake.journal.staged_ids()) == 3


def test_a_column_added_meanwhile_is_null_in_our_rows(tmp_path: Path) -> None:
    """Unkeyed rows that were written before another writer added a column keep their place."""
    store = open_store(str(tmp_path))
    dataset = Ref(key=())
    other = Lake(store, dataset=dataset)
    other.append({"v": [1]})
    done: list[str] = []

    def intrude(step: str) -> None:
        if step == "committing" and not done:
            done.append(step)
            other.append({"v": [2], "w": ["new"]})

    lake = Lake(store, dataset=dataset, settings=TableSettings(on_step=intrude, retry_wait_s=0.0))
    assert lake.append({"v": [3]}).version == 2
    assert lake.rows() == [{"v": 1, "w": None}, {"v": 2, "w": "new"}, {"v": 3, "w": None}]


def test_another_engines_commit_in_between_is_kept(tmp_path: Path) -> None:
    """Rows that deltalake itself appends while we plan are there afterwards, as are ours."""
    from deltalake import write_deltalake

    store = open_store(str(tmp_path))
    lake = Lake(store, dataset=DATASET)
    lake.append({"id": [1], "v": [1]})
    done: list[str] = []

    def intrude(step: str) -> None:
        if step == "committing" and not done:
            done.append(step)
            rows = pa.table({"id": [2], "v": [2]})
            write_deltalake(store.table_uri(DATASET.location), rows, mode="append")

    lake = Lake(store, dataset=DATASET, settings=TableSettings(on_step=intrude, retry_wait_s=0.0))
    assert lake.upsert({"id": [1, 2], "v": [10, 20]}).updated == 2
    assert lake.rows() == [{"id": 1, "v": 10}, {"id": 2, "v": 20}]
