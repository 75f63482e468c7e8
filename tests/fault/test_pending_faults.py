"""Holding and approving with every write failing once, or from then on: exactly once, or not.

A store that stays down is what a killed process leaves: nothing is cleaned up behind it.
"""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest
from tests.fakes.faulty_store import Fault, FaultyStore

from lakecore.app import Lake
from lakecore.app._components import Components
from lakecore.base import Conflict, LakecoreError
from lakecore.config import Settings
from lakecore.storage import Store, open_store

MAX_WRITES = 60
RULES = """
[[tier]]
dataset = "log"
task_class = "insert"
auto = { rows = 2 }
dry_run = {}
"""
THREE = [{"line": "b"}, {"line": "c"}, {"line": "d"}]
CHILD = """
import sys
from lakecore.app import Lake
from lakecore.app._components import Components
from lakecore.config import Settings
from lakecore.storage import open_store
from tests.fakes.faulty_store import Fault
from tests.fakes.killing_store import KillingStore

path, change, at, when = sys.argv[1:]
store = KillingStore(open_store(path), {int(at): Fault(when)})
with Lake(Components(store, Settings(), create=False), actor="bo") as lake:
    lake.approve(change)
"""


def opened(store: Store, actor: str, *, create: bool = False) -> Lake:
    """A lake on this store."""
    return Lake(Components(store, Settings(), create=create), actor=actor)


@pytest.fixture
def made(tmp_path: Path) -> Path:
    """A lake with a log of one line: no key keeps lines from coming twice."""
    path = tmp_path / "made"
    with opened(open_store(str(path)), "ada", create=True) as lake:
        lake.create("log")
        lake.insert("log", [{"line": "a"}])
        lake.truth.apply(RULES)
    return path


def lines(lake: Lake) -> list[str]:
    """The log, sorted."""
    return sorted(row["line"] for row in lake.sql("select line from log").to_pylist())


def every_fault(
    made: Path, step: Callable[[Lake], object], check: Callable[[Lake, bool], None]
) -> int:
    """Do `step` on copies of a lake with each write failing; how many writes it has."""
    for number in range(1, MAX_WRITES):
        reached = False
        for fault in (Fault.BEFORE, Fault.AFTER):
            for stays_down in (False, True):
                path = made.with_name(f"copy-{number}-{fault.value}-{stays_down}")
                shutil.copytree(made, path)
                faulty = FaultyStore(open_store(str(path)), {number: fault}, stays_down=stays_down)
                failed = False
                lake = opened(faulty, "bo")
                try:
                    step(lake)
                except LakecoreError:
                    failed = True
                writes = faulty.writes
                try:
                    lake.close()
                except LakecoreError:
                    failed = True
                reached = reached or writes >= number
                with opened(open_store(str(path)), "cy") as after:
                    check(after, failed)
                    assert after.verify().status == "green"
                shutil.rmtree(path)
        if not reached:
            return number - 1
    pytest.fail("more writes than expected")


def test_holding_with_faults(made: Path) -> None:
    """What failed is not in the table, waits at most once, and can be asked for again."""

    def hold(lake: Lake) -> None:
        lake.insert("log", THREE, mutation_id="m1")

    def check(lake: Lake, failed: bool) -> None:
        assert lines(lake) == ["a"]
        assert len(lake.pending()) in ((0, 1) if failed else (1,))
        assert lake.insert("log", THREE, mutation_id="m1").held
        (pending,) = lake.pending()
        assert lake.pending_diff(pending.id).num_rows == 3
        assert lake.approve("m1", actor="di").inserted == 3
        assert lines(lake) == ["a", "b", "c", "d"]
        assert len(list(lake._parts.store.list_objects("pending/"))) <= 2

    assert every_fault(made, hold, check) >= 3


def test_approving_with_faults(made: Path) -> None:
    """However it fails, the next look knows, and the next approval makes it exactly once."""
    with opened(open_store(str(made)), "ada") as lake:
        change = lake.insert("log", THREE).mutation_id

    def approve(lake: Lake) -> None:
        lake.approve(change)

    def check(lake: Lake, failed: bool) -> None:
        state = lake.pending_change(change).state
        assert lines(lake) == (["a", "b", "c", "d"] if state == "committed" else ["a"])
        if state == "committed":
            with pytest.raises(Conflict, match="committed already"):
                lake.approve(change)
        else:
            assert failed
            assert lake.approve(change).inserted == 3
        assert lines(lake) == ["a", "b", "c", "d"]
        versions = {event.version for event in lake.journal.query(mutation_id=change).items}
        assert versions - {None} == {1}

    assert every_fault(made, approve, check) >= 6


@pytest.mark.parametrize("when", [Fault.BEFORE, Fault.AFTER])
def test_an_approver_that_is_killed(made: Path, when: Fault) -> None:
    """At each of its writes: whoever looks next finds what was committed, or approves it."""
    with opened(open_store(str(made)), "ada") as lake:
        change = lake.insert("log", THREE).mutation_id
    rounds = range(1, MAX_WRITES) if os.environ.get("LAKECORE_SOAK_ROUNDS") else (1, 3, 4, 5)
    for at in rounds:
        path = made.with_name(f"killed-{at}")
        shutil.copytree(made, path)
        arguments = [str(path), change, str(at), when.value]
        done = subprocess.run(
            [sys.executable, "-c", CHILD, *arguments], check=False, capture_output=True, timeout=120
        )
        assert done.returncode in (0, -signal.SIGKILL), done.stderr.decode()[-2000:]
        with opened(open_store(str(path)), "cy") as lake:
            if lake.pending_change(change).state != "committed":
                assert lake.approve(change).committed
            assert lines(lake) == ["a", "b", "c", "d"]
            assert lake.verify().status == "green"
        if done.returncode == 0:
            return


def test_another_program_in_between(made: Path) -> None:
    """A commit of somebody else's between showing and approving: the lines are still these."""
    from deltalake import write_deltalake

    with opened(open_store(str(made)), "ada") as lake:
        change = lake.insert("log", THREE).mutation_id
        import pyarrow as pa

        place = lake._parts.store.local_path(lake.dataset("log").location)
        assert place is not None
        write_deltalake(place, pa.table({"line": ["x"]}), mode="append")
        assert lake.approve(change, actor="bo").version == 2
        assert lines(lake) == ["a", "b", "c", "d", "x"]


def test_leftovers_are_swept(made: Path) -> None:
    """Files that no document names go after a day, those of decided changes at once."""
    store = open_store(str(made))
    with opened(store, "ada") as lake:
        change = lake.insert("log", THREE).mutation_id
        store.put(f"pending/{change}/left-rows.arrow", b"")
        store.put("pending/nobody/left-rows.arrow", b"")
        assert lake._parts.changes.tidy() == 0
        lake.reject(change)
        assert lake._parts.changes.tidy() == 1
        left = [info.path for info in store.list_objects("pending/")]
        assert left == ["pending/nobody/left-rows.arrow"]
        day_us = 25 * 3600 * 1_000_000
        clock = lake._parts.clock
        changes = lake._parts.changes
        changes._parts = replace(changes._parts, clock=_Later(clock, day_us))
        assert lake._parts.changes.tidy() == 1


class _Later:
    """A clock that is ahead."""

    def __init__(self, clock: object, ahead_us: int) -> None:
        self._clock = clock
        self._ahead_us = ahead_us

    def now_us(self) -> int:
        now: int = self._clock.now_us()  # type: ignore[attr-defined]  # any clock has it
        return now + self._ahead_us
