"""A group of changes in one commit, killed at each step: all of it happened, or nothing."""

from __future__ import annotations

import json
import multiprocessing
import os
import signal
import threading
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest
from tests.unit.tables.conftest import Lake, Ref
from tests.unit.tables.grouping import together, upsert

from lakecore.base import SystemClock
from lakecore.journal import Journal, JournalSettings
from lakecore.storage import Store, open_store
from lakecore.tables import Tables

DATASET = Ref(dataset_id="6f1c5a52-4f0e-4a58-9d0e-1d8f0f0c0b11")
ROWS = 12
MEMBERS = 5
STEPS = ("planned", "staged", "committing", "committed", "acknowledged")


def _journal(store: Store, folder: Path) -> Journal:
    return Journal.open(store, folder / "state", settings=JournalSettings(background=False))


def _lake(folder: Path) -> tuple[Lake, Journal]:
    store = open_store(str(folder / "lake"))
    lake = Lake(store, dataset=DATASET, clock=SystemClock())
    journal = _journal(store, folder)
    lake.journal = journal  # type: ignore[assignment] # the real one
    lake.tables = Tables(store, journal, SystemClock())
    return lake, journal


def _change(folder: str, step: str) -> None:
    """A process that makes a group of changes and is killed at a step of it."""
    lake, _ = _lake(Path(folder))
    changes = [
        upsert(lake, {"id": [n, 100 + n], "v": [n + 1, n]}, f"u{n}", mutation_id=f"m{n}")
        for n in range(MEMBERS)
    ]

    def kill(reached: str) -> None:
        if reached == step:
            os.kill(os.getpid(), signal.SIGKILL)

    together(lake, changes, on_step=kill)


def _complete(lake: Lake, journal: Journal, versions: int) -> list[Any]:
    """Every version has its events, sealed and true; gives them."""
    journal.seal()
    log = f"{DATASET.location}/_delta_log/"
    paths = [f"{log}{version:020d}.json" for version in range(versions)]
    report = journal.completeness([(path, lake.store.get(path)) for path in paths])
    assert report.matched == versions
    assert not report.pending
    assert report.ok or report.undecided
    assert journal.verify().ok
    return [event for event in journal.recent(1_000) if event.dataset_id == DATASET.dataset_id]


@pytest.mark.parametrize("step", STEPS)
def test_a_group_that_is_killed(step: str, tmp_path: Path) -> None:
    """Before the commit none of its members has happened, after it all have, each with events."""
    lake, journal = _lake(tmp_path)
    lake.append({"id": list(range(ROWS)), "v": [0] * ROWS})
    journal.close()
    process = multiprocessing.get_context("spawn").Process(
        target=_change, args=(str(tmp_path), step)
    )
    process.start()
    process.join(120)
    assert process.exitcode == -signal.SIGKILL
    lake, journal = _lake(tmp_path)
    done = step in ("committed", "acknowledged")
    rows = {row["id"]: row["v"] for row in lake.rows()}
    expected = dict.fromkeys(range(ROWS), 0)
    if done:
        expected |= {n: n + 1 for n in range(MEMBERS)} | {100 + n: n for n in range(MEMBERS)}
    assert rows == expected
    events = _complete(lake, journal, 2 if done else 1)
    mutations = {event.mutation_id for event in events if str(event.mutation_id).startswith("m")}
    assert mutations == ({f"m{n}" for n in range(MEMBERS)} if done else set())
    # The table goes on: what was undecided is dead then.
    assert lake.upsert(pa.table({"id": [0], "v": [99]})).updated == 1
    _complete(lake, journal, 3 if done else 2)
    journal.close()


def _upsert_many(folder: str, writer: int, rows: int) -> None:
    """A process of several threads, each with rows of its own and one that all change."""
    lake, journal = _lake(Path(folder))

    def work(thread: int) -> None:
        for number in range(rows):
            own = 1_000 * (writer + 1) + 100 * thread + number
            assert lake.upsert({"id": [own], "v": [number]}).inserted == 1
            lake.upsert({"id": [writer * 3 + thread], "v": [number + 1]})
            lake.upsert({"id": [ROWS - 1], "v": [own]})

    threads = [threading.Thread(target=work, args=(n,)) for n in range(3)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    journal.close()


def test_four_processes_lose_nothing(tmp_path: Path) -> None:
    """Groups of several processes race for versions: every change is there, with its events."""
    lake, journal = _lake(tmp_path)
    lake.append({"id": list(range(ROWS + 1)), "v": [0] * (ROWS + 1)})
    journal.close()
    context = multiprocessing.get_context("spawn")
    each = 4
    writers = [
        context.Process(target=_upsert_many, args=(str(tmp_path), writer, each))
        for writer in range(4)
    ]
    for process in writers:
        process.start()
    for process in writers:
        process.join(240)
        assert process.exitcode == 0
    lake, journal = _lake(tmp_path)
    rows = {row["id"]: row["v"] for row in lake.rows()}
    view = lake.tables.open(DATASET)
    assert view is not None
    events = list(reversed(_complete(lake, journal, view.version + 1)))
    journal.close()
    for writer in range(4):
        for thread in range(3):
            if writer * 3 + thread != ROWS - 1:
                assert rows[writer * 3 + thread] == each
            for number in range(each):
                assert rows[1_000 * (writer + 1) + 100 * thread + number] == number
    # The journal, replayed in order, is the table.
    state: dict[str, Any] = {}
    for event in sorted(events, key=lambda event: (event.version, event.seq)):
        if event.action in ("insert", "update"):
            state[event.entity_id] = event.new_value
    table = {
        entity: json.loads(str(value))["v"] if str(value).startswith("{") else int(str(value))
        for entity, value in state.items()
    }
    assert table == {str(key): value for key, value in rows.items()}
