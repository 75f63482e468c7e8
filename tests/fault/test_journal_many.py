"""Four processes on two machines use one journal for a while; some of them are killed.

A machine is a state directory: its own hot log, its own caches. Clocks jump by up to an
hour. At the end every acknowledged event is there exactly once, in the order in which its
writer recorded it, `seq` has no gap, and everybody sees one root.
"""

from __future__ import annotations

import os
import random
import re
import subprocess
import sys
import threading
import time
from collections import Counter, defaultdict
from pathlib import Path

from tests.fakes.compaction import small_ranges
from tests.fakes.journals import MANUAL, open_journal, seal_until_done, sealed_ids
from tests.fault.journal_worker import ATTEMPT

from lakecore.journal import Journal
from lakecore.storage import Store, open_store

ROUNDS = int(os.environ.get("LAKECORE_SOAK_ROUNDS", "0"))
SECONDS = min(6.0 + ROUNDS * 0.15, 300.0)
"""Of work: minutes in a long run."""
PATIENCE_S = 60.0
ENOUGH = 80
"""Batches of three events: some ranges of 64 are full then."""


class Process:
    """A running worker and what it has acknowledged so far."""

    def __init__(
        self,
        lake: Path,
        state: Path,
        name: str,
        seed: int,
        seconds: float,
        tail: Path,
        stop: Path,
    ) -> None:
        self.acknowledged: list[str] = []
        self.popen = subprocess.Popen(
            [
                *(sys.executable, "-m", "tests.fault.journal_worker"),
                *(str(lake), str(state), name, str(seed), str(seconds), str(tail), str(stop)),
            ],
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        self._reader = threading.Thread(target=self._read)
        self._reader.start()

    def _read(self) -> None:
        assert self.popen.stdout is not None
        for line in self.popen.stdout:
            # A line that was cut is no acknowledgement, and neither is an attempt.
            if line.endswith("\n") and not line.startswith(ATTEMPT):
                self.acknowledged.append(line.strip())

    def finish(self, *, was_killed: bool) -> None:
        assert self.popen.stderr is not None
        with self.popen.stderr as errors:
            said = errors.read()
        self.popen.wait()
        self._reader.join()
        if not was_killed:
            assert self.popen.returncode == 0, said


def test_four_processes_on_two_machines(tmp_path: Path) -> None:
    """Nothing acknowledged is lost or doubled, and all agree on one history."""
    seed = int(os.environ.get("LAKECORE_SEED", time.time_ns() % 1_000_000))
    print(f"seed {seed}")
    rng = random.Random(seed)
    lake = tmp_path / "lake"
    states = [tmp_path / "machine-a", tmp_path / "machine-b"]
    deadline = time.monotonic() + SECONDS
    last = deadline + PATIENCE_S
    stop = tmp_path / "stop"
    running: list[Process] = []
    done: list[Process] = []

    def start(place: int) -> Process:
        rest = max(1.0, last - time.monotonic())
        name = f"w{len(done) + place}x{len(done)}"
        tail = tmp_path / f"tail-{place}"
        return Process(lake, states[place % 2], name, rng.randrange(10**9), rest, tail, stop)

    running = [start(place) for place in range(4)]

    def is_enough() -> bool:
        """On a busy machine little is done in a time that is enough elsewhere."""
        return sum(len(process.acknowledged) for process in [*done, *running]) >= ENOUGH

    while time.monotonic() < (deadline if is_enough() else last) - 2.0:
        time.sleep(rng.uniform(1.0, 3.0))
        place = rng.randrange(4)
        victim = running[place]
        victim.popen.kill()
        victim.finish(was_killed=True)
        done.append(victim)
        running[place] = start(place)
    stop.touch()
    for process in running:
        process.finish(was_killed=False)
    done += running

    with small_ranges(64, 6, 8):
        _judge(lake, states, tmp_path, done, seed)


def _judge(lake: Path, states: list[Path], tmp_path: Path, done: list[Process], seed: int) -> None:
    store = open_store(str(lake))
    machines = [open_journal(store, state) for state in states]
    for machine in machines:
        seal_until_done(machine)
    _check(store, open_journal(store, tmp_path / "machine-c"), done, seed)
    roots = set()
    for machine in machines:
        seal_until_done(machine)
        roots.add((machine.stats()["tree_size"], machine.stats()["root"]))
        machine.close()
    assert len(roots) == 1
    for number in range(4):
        _check_tail(store, tmp_path, number, seed)


def _check_tail(store: Store, folder: Path, number: int, seed: int) -> None:
    """Whoever went on from the last cursor, over all kills, has seen each event once, in order.

    One that was killed before it had seen anything begins at the beginning.
    """
    kept = folder / f"tail-{number}"
    cursor, *seen = kept.read_text().splitlines() if kept.exists() else [None]
    origin = "" if number % 2 else "example.com/many"
    with Journal.open(store, folder / "machine-c", settings=MANUAL, origin=origin) as journal:
        seen += [event.event_id for batch in journal.tail(cursor=cursor) for event in batch]
        assert seen == sealed_ids(journal), f"seed {seed}, tail {number}"


def _check(store: Store, journal: Journal, done: list[Process], seed: int) -> None:
    acknowledged = [prefix for process in done for prefix in process.acknowledged]
    assert len(acknowledged) > 4, f"seed {seed}"
    found = sealed_ids(journal)
    assert not [i for i, count in Counter(found).items() if count > 1], f"seed {seed}"
    expected = {f"{prefix}:{n}" for prefix in acknowledged for n in range(3)}
    assert expected <= set(found), f"seed {seed}"
    _check_order(found, seed)
    assert len(found) == len(set(found)), f"seed {seed}"
    report = journal.verify(full=True)
    assert (report.status, report.problems) == ("green", []), f"seed {seed}"
    assert (report.derived, journal.stats()["duplicate_ids"]) == ([], 0), f"seed {seed}"
    files = [info.path for info in store.list_objects("journal/")]
    runs = sum(path.startswith("journal/merged/") for path in files)
    signed = sum(path.startswith("journal/checkpoints/") for path in files)
    assert runs, f"seed {seed}"
    assert signed, f"seed {seed}"
    print(f"{len(found)} events, {len(acknowledged)} acknowledged, {len(done)} processes, ", end="")
    print(f"{runs} runs, {signed} checkpoints")
    commits = [(o.path, store.get(o.path)) for o in store.list_objects("tables/")]
    complete = journal.completeness(commits)
    assert complete.ok, f"seed {seed}: {complete}"
    journal.close()


def _check_order(ids: list[str], seed: int) -> None:
    """The direct events of one writer are in the order in which they were recorded."""
    turns: dict[str, list[tuple[int, int]]] = defaultdict(list)
    for event_id in ids:
        if match := re.fullmatch(r"(.+)-[ds](\d+):(\d)", event_id):
            turns[match[1]].append((int(match[2]), int(match[3])))
    for writer, order in turns.items():
        assert order == sorted(order), f"seed {seed}, writer {writer}"
