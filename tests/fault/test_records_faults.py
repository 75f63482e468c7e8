"""Records, whatever fails and wherever a process is killed: what was acknowledged is in, once."""

from __future__ import annotations

import multiprocessing
import os
import random
import signal
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from tests.fakes.faulty_store import Fault, FaultyStore
from tests.fakes.killing_store import KillingStore
from tests.unit.records.conftest import NOTES, STEPS, some

from lakecore.base import LakecoreError, OutOfSpace, Unavailable
from lakecore.catalog import Catalog
from lakecore.documents import Documents
from lakecore.journal import Journal, JournalSettings
from lakecore.records import Recorder, RecordSettings
from lakecore.records._spool import Spool
from lakecore.storage import Store, open_store
from lakecore.tables import Tables, TableSettings

ROUNDS = int(os.environ.get("LAKECORE_SOAK_ROUNDS", "0"))
CHILDREN = multiprocessing.get_context("forkserver")
"""What reads tables runs threads of its own, which a plain fork does not survive."""
CHILDREN.set_forkserver_preload(["tests.fault.test_records_faults"])
KINDS = [STEPS, NOTES]
STEPS_OF_A_COMMIT = ("planned", "staged", "committing", "committed", "acknowledged")


class Lake:
    """A recorder with what it stands on, as one process has them."""

    def __init__(self, folder: Path, store: Store | None = None, **settings: Any) -> None:
        self.store = store or open_store(str(folder / "lake"))
        self.journal = Journal.open(
            self.store, folder / "state", settings=JournalSettings(background=False)
        )
        self.catalog = Catalog(Documents(self.store, self.journal))
        self.tables = Tables(
            self.store, self.journal, settings=TableSettings(retry_wait_s=0.0, **settings)
        )
        self.recorder = Recorder(
            folder / "state",
            self.catalog,
            self.tables,
            kinds=KINDS,
            settings=RecordSettings(interval_s=3_600),
        )

    def numbers(self, name: str) -> list[int]:
        dataset = self.catalog.find(f"system.{name}")
        view = self.tables.open(dataset) if dataset is not None else None
        return [] if view is None else sorted(view.delta.to_pyarrow_table()["n"].to_pylist())


def check(folder: Path, expected: list[int]) -> None:
    """The next process has everything in the lake once, and its commits match their events."""
    lake = Lake(folder)
    lake.recorder.flush()
    assert lake.numbers("steps") == expected
    assert lake.numbers("notes") == expected
    assert lake.recorder.stats()["waiting_rows"] == 0
    lake.journal.seal()
    for name in ("steps", "notes"):
        log = f"{lake.catalog.get(f'system.{name}').location}/_delta_log/"
        entries = [e.path for e in lake.store.list_objects(log) if e.path.endswith(".json")]
        report = lake.journal.completeness([(path, lake.store.get(path)) for path in entries])
        assert report.matched == len(entries)
    assert lake.journal.verify().ok
    lake.recorder.close()
    lake.journal.close()


def _first(folder: Path, first: bool) -> list[int]:
    """What is in before: nothing, or one flush."""
    if first:
        lake = Lake(folder)
        for name in ("steps", "notes"):
            lake.recorder.append(name, some(0))
        lake.recorder.close()
        lake.journal.close()
    return [0] if first else []


def _append_and_flush(lake: Lake) -> None:
    for name in ("steps", "notes"):
        lake.recorder.append(name, some(1, 2))
        lake.recorder.append(name, some(3))
    lake.recorder.flush()


def _writes(folder: Path, first: bool) -> int:
    """How many writes that takes."""
    _first(folder, first)
    store = FaultyStore(open_store(str(folder / "lake")))
    lake = Lake(folder, store)
    _append_and_flush(lake)
    return store.writes


@pytest.mark.parametrize(("first", "error"), [(False, Unavailable), (True, OutOfSpace)])
def test_every_write_may_fail(tmp_path: Path, first: bool, error: type[LakecoreError]) -> None:
    """Each write × {failed, failed but stored, torn}, in passing and for good: once, or later."""
    count = _writes(tmp_path / "count", first)
    assert count >= 6
    for at in range(1, count + 1):
        for fault in (Fault.BEFORE, Fault.AFTER, *([Fault.TEAR] if ROUNDS else [])):
            for stays_down in (False, True) if ROUNDS else (bool(at % 2),):
                folder = tmp_path / f"{at}-{fault.value}-{stays_down}"
                before = _first(folder, first)
                store = FaultyStore(
                    open_store(str(folder / "lake")),
                    {at: fault},
                    error=error,
                    stays_down=stays_down,
                )
                try:
                    lake = Lake(folder, store)
                    _append_and_flush(lake)
                except LakecoreError:
                    pass
                check(folder, [*before, 1, 2, 3])


def _in_child(work: Callable[..., object], *arguments: object) -> None:
    """Run it in a process that is killed while it works."""
    child = CHILDREN.Process(target=work, args=arguments)
    child.start()
    child.join(60)
    assert child.exitcode == -signal.SIGKILL


def _killed_at_write(folder: Path, at: int, fault: Fault) -> None:
    _append_and_flush(Lake(folder, KillingStore(open_store(str(folder / "lake")), {at: fault})))


@pytest.mark.parametrize("fault", [Fault.BEFORE, Fault.AFTER])
def test_killed_at_every_write(tmp_path: Path, fault: Fault) -> None:
    """SIGKILL before and after each write: all that was acknowledged gets in, once."""
    count = _writes(tmp_path / "count", True)
    for at in range(1 if fault is Fault.AFTER else 2, count + 1, 1 if ROUNDS else 2):
        folder = tmp_path / str(at)
        _first(folder, True)
        _in_child(_killed_at_write, folder, at, fault)
        check(folder, [0, 1, 2, 3])


def _kill() -> None:
    os.kill(os.getpid(), signal.SIGKILL)


class _KilledSpool(Spool):
    """Kills its process where it would forget what was committed."""

    def forget(self, dataset: str, up_to: int) -> None:
        if self.is_waiting(dataset) and any(
            b.number <= up_to for b in self.read(dataset, 0, 1 << 62, 1)
        ):
            _kill()
        super().forget(dataset, up_to)


def _killed_at_step(folder: Path, where: str) -> None:
    lake = Lake(folder, on_step=lambda step: _kill() if step == where else None)
    if where == "forget":
        lake.recorder._spool.__class__ = _KilledSpool
    _append_and_flush(lake)


@pytest.mark.parametrize("where", [*STEPS_OF_A_COMMIT, "forget"])
def test_killed_at_every_step(tmp_path: Path, where: str) -> None:
    """SIGKILL at each step of the commit, and between the commit and the spool's deletion."""
    _first(tmp_path, True)
    _in_child(_killed_at_step, tmp_path, where)
    check(tmp_path, [0, 1, 2, 3])


class LateStore(FaultyStore):
    """Creations below a log are answered with a time-out; they arrive when `deliver` is called."""

    late: list[tuple[str, bytes]]

    def create(self, path: str, data: bytes) -> None:
        late = self.__dict__.setdefault("late", [])
        if "/_delta_log/" in path and "steps" in path:
            late[:] = [(path, data)]
            raise Unavailable("no answer", where=path)
        super().create(path, data)

    def deliver(self) -> None:
        for path, data in self.late:
            self.inner.create(path, data)


@pytest.mark.parametrize("when", ["before the next flush", "while it commits"])
def test_a_commit_that_arrives_late(tmp_path: Path, when: str) -> None:
    """A put that timed out lands before, or while, the same records are sent again: once."""
    _first(tmp_path, True)
    store = LateStore(open_store(str(tmp_path / "lake")))
    first = Lake(tmp_path, store)
    for name in ("steps", "notes"):
        first.recorder.append(name, some(1))
    with pytest.raises(Unavailable):
        first.recorder.flush()
    delivered: list[str] = []

    def deliver(step: str) -> None:
        if step == "committing" and not delivered:
            delivered.append(step)
            store.deliver()

    second = Lake(tmp_path, on_step=deliver)
    for name in ("steps", "notes"):
        second.recorder.append(name, some(2, 3))
    if when == "before the next flush":
        deliver("committing")
    second.recorder.flush("steps")
    assert delivered == ["committing"]
    check(tmp_path, [0, 1, 2, 3])


def _lives(folder: Path, said: Path, process: int, lives_s: float) -> None:
    lake = Lake(folder)
    signal.signal(signal.SIGALRM, lambda *_: _kill())
    signal.setitimer(signal.ITIMER_REAL, lives_s)
    with open(said, "ab", buffering=0) as file:
        for number in range(10_000):
            one = process * 10_000 + number
            lake.recorder.append("steps", some(one), ids=[str(one)])
            file.write(f"{one}\n".encode())
            if number % 7 == 6:
                lake.recorder.flush()


def test_processes_that_are_killed(tmp_path: Path) -> None:
    """Several processes append and flush, and are killed at random: each record once."""
    seed = random.randrange(1 << 30)
    print("seed", seed)
    chance = random.Random(seed)
    _first(tmp_path, True)
    said = tmp_path / "said"
    turns = max(2, ROUNDS)
    for turn in range(turns):
        children = [
            CHILDREN.Process(
                target=_lives, args=(tmp_path, said, turn * 3 + at + 1, chance.uniform(0.1, 0.6))
            )
            for at in range(3)
        ]
        for child in children:
            child.start()
        for child in children:
            child.join(60)
            assert child.exitcode == -signal.SIGKILL
    lake = Lake(tmp_path)
    lake.recorder.flush()
    found = lake.numbers("steps")
    acknowledged = {int(line) for line in said.read_text().split()}
    assert len(found) == len(set(found))
    assert acknowledged <= set(found)
    # One that was durable, and its process was killed before it could say so, may be more.
    assert len(set(found) - acknowledged - {0}) <= 3 * turns
    lake.recorder.close()
    lake.journal.close()
