"""Compaction under failing writes and killed processes: at every write of it.

After every fault the lake is opened by a machine that knows nothing: every event is there
once, in order, and everything is green; then compaction goes on and comes to its end.
"""

from __future__ import annotations

import contextlib
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from tests.fakes.compaction import check_whole, paths, seal_pieces, small_ranges
from tests.fakes.faulty_store import Fault, FaultyStore
from tests.fakes.journals import open_journal

from lakecore.base import LakecoreError
from lakecore.storage import Store, open_store

PIECES = (5, 11, 16, 1, 15, 8, 8, 3, 13, 4)
DONE = ["-merged:0/4", "merged:0/6", "-merged:32/4", "-merged:48/4", "merged:64/4"]


@pytest.fixture(autouse=True)
def _small() -> Iterator[None]:
    with small_ranges():
        yield


@pytest.fixture(params=["memory", "local"])
def store(request: pytest.FixtureRequest, tmp_path: Path) -> Store:
    return open_store("memory://" if request.param == "memory" else (tmp_path / "lake").as_uri())


def prepared(store: Store, tmp_path: Path) -> list[str]:
    """A lake with events in many segments; their ids."""
    with open_journal(store, tmp_path / "writer") as journal:
        return seal_pieces(journal, *PIECES)


def count_writes(tmp_path: Path) -> int:
    store = FaultyStore(open_store("memory://"))
    prepared(store.inner, tmp_path / "count")
    with open_journal(store, tmp_path / "count") as journal:
        journal.compact(grace_s=0)
        return store.writes


@pytest.mark.parametrize("fault", list(Fault))
@pytest.mark.parametrize("stays_down", [False, True], ids=["once", "down"])
def test_a_fault_at_every_write(tmp_path: Path, fault: Fault, stays_down: bool) -> None:
    """A write that fails, is stored but fails, is torn, or slow: nothing is lost or doubled."""
    number = count_writes(tmp_path)
    assert number > len(PIECES)
    for at in range(1, number + 1):
        home = tmp_path / str(at)
        store = open_store("memory://")
        ids = prepared(store, home)
        faulty = FaultyStore(store, {at: fault}, stays_down=stays_down, slow_s=0.001)
        with (
            open_journal(faulty, home / "compactor") as journal,
            contextlib.suppress(LakecoreError),
        ):
            journal.compact(grace_s=0)
        check_whole(store, home / "between", ids)
        with open_journal(store, home / "next") as journal:
            journal.compact(grace_s=0)
        assert paths(store)[-5:] == DONE
        check_whole(store, home / "end", ids)


_KILLED = """
import sys
from pathlib import Path
from tests.fakes.compaction import use_small_ranges
from tests.fakes.faulty_store import Fault
from tests.fakes.journals import open_journal
from tests.fakes.killing_store import KillingStore
from lakecore.storage import open_store

use_small_ranges()
where, state, number, fault = sys.argv[1:]
store = KillingStore(open_store(where), {int(number): Fault(fault)})
with open_journal(store, Path(state)) as journal:
    journal.compact(grace_s=0)
"""


@pytest.mark.parametrize("fault", [Fault.BEFORE, Fault.AFTER, Fault.TEAR])
@pytest.mark.parametrize("at", [1, 2, 5, 6, 9])
def test_a_killed_compactor(tmp_path: Path, fault: Fault, at: int) -> None:
    """A process that is gone in the middle; the same state directory is used by the next one."""
    where = (tmp_path / "lake").as_uri()
    store = open_store(where)
    ids = prepared(store, tmp_path)
    state = tmp_path / "writer"
    command = [sys.executable, "-c", _KILLED, where, str(state), str(at), fault.value]
    done = subprocess.run(command, check=False, capture_output=True, text=True, timeout=60)
    assert done.returncode == -signal.SIGKILL, done.stderr
    check_whole(store, tmp_path / "between", ids)
    with open_journal(store, state) as journal:
        journal.compact(grace_s=0)
    assert paths(store)[-5:] == DONE
    check_whole(store, tmp_path / "end", ids)


_COMPACTS = """
import sys
from pathlib import Path
from tests.fakes.compaction import use_small_ranges
from tests.fakes.journals import open_journal
from lakecore.storage import open_store

use_small_ranges()
with open_journal(open_store(sys.argv[1]), Path(sys.argv[2])) as journal:
    journal.compact(grace_s=0)
"""


def test_processes_compact_at_once(tmp_path: Path) -> None:
    """Three processes, two of them on one machine: one run for each range, all stubs."""
    where = (tmp_path / "lake").as_uri()
    store = open_store(where)
    ids = prepared(store, tmp_path)
    states = [tmp_path / "writer", tmp_path / "writer", tmp_path / "other"]
    running = [
        subprocess.Popen(
            [sys.executable, "-c", _COMPACTS, where, str(state)], stderr=subprocess.PIPE, text=True
        )
        for state in states
    ]
    for process in running:
        _, stderr = process.communicate(timeout=60)
        assert process.returncode == 0, stderr
    assert paths(store)[-5:] == DONE
    check_whole(store, tmp_path / "end", ids)
