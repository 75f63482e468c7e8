"""Several machines ingest into, change, seal and query one lake in a bucket; some are killed.

Each process has a state directory of its own. All requests go through a proxy: 50 ms before the
answer to a put, 2% of all requests throttled (503 SlowDown), 3% of the puts stored without an
answer. At the end every row and event that was acknowledged is there exactly once, what was only
begun is there whole or not at all, and `verify --full` is green on every machine.

`LAKECORE_SOAK_ROUNDS` makes it longer: minutes in a long run.
"""

from __future__ import annotations

import json
import os
import random
import subprocess
import sys
import threading
import time
from collections import defaultdict
from pathlib import Path
from typing import Any

from tests.fakes.slow_proxy import SlowProxy
from tests.fault.lake_worker import ABOUT, DONE, EVENTS, ROWS, WRONG, open_machine
from tests.servers import BUCKET, s3_options

from lakecore.app import Lake
from lakecore.storage import open_store, probe_create_only

ROUNDS = int(os.environ.get("LAKECORE_SOAK_ROUNDS", "0"))
SECONDS = min(5.0 + ROUNDS * 0.3, 600.0)
PATIENCE_S = 90.0
ENOUGH = 12
"""Promises, beside one machine that was killed: a busy computer does little in a given time."""
MACHINES = 3 if ROUNDS else 2


class Machine:
    """A running worker and what it has said so far."""

    def __init__(self, about: dict[str, Any]) -> None:
        self.name: str = about["name"]
        self.lines: list[list[str]] = []
        Path(about["state"]).mkdir(parents=True, exist_ok=True)
        program = "import sys; from tests.fault.lake_worker import main; main(sys.argv[1])"
        self.popen = subprocess.Popen(
            [sys.executable, "-c", program, json.dumps(about)],
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            env=os.environ | {"PYTHONPATH": os.pathsep.join(sys.path)},
        )
        self._reader = threading.Thread(target=self._read)
        self._reader.start()

    def _read(self) -> None:
        assert self.popen.stdout is not None
        for line in self.popen.stdout:
            if line.endswith("\n"):  # one that was cut says nothing
                self.lines.append(line.split())

    def said(self, mark: str) -> list[list[str]]:
        """What it said with this mark."""
        return [line[1:] for line in self.lines if line[0] == mark]

    def kill(self) -> None:
        """End it as a power cut would."""
        self.popen.kill()
        self._finished()

    def finish(self) -> None:
        """Wait for its end, which has to be a good one."""
        said = self._finished()
        assert self.popen.returncode == 0, said

    def _finished(self) -> str:
        assert self.popen.stderr is not None
        with self.popen.stderr as errors:
            said = errors.read()
        self.popen.wait()
        self._reader.join()
        return said


def test_machines_on_one_bucket(s3_endpoint: str, tmp_path: Path) -> None:
    """Nothing acknowledged is lost or doubled; nothing is there by half; all agree."""
    seed = int(os.environ.get("LAKECORE_SEED", time.time_ns() % 1_000_000))
    print(f"seed {seed}")
    uri = f"s3://{BUCKET}/machines-{seed}-{time.time_ns()}"
    with SlowProxy(s3_endpoint, put_s=0.05, throttled=0.02, lost=0.03, seed=seed) as proxy:
        options = s3_options(proxy.url)
        probe = probe_create_only(open_store(uri, options=options))
        assert probe.is_create_only, probe
        with open_machine(uri, options, tmp_path / "first", create=True) as lake:
            lake.create("orders", key=["id"])
        machines = _work(uri, options, tmp_path, seed)
        print(f"requests {proxy.counts}")
    _judge(uri, s3_options(s3_endpoint), tmp_path, machines, seed)


def _work(uri: str, options: dict[str, str], folder: Path, seed: int) -> list[Machine]:
    chance = random.Random(seed)
    deadline = time.monotonic() + SECONDS
    last = deadline + PATIENCE_S
    stop = folder / "stop"
    done: list[Machine] = []

    def start(place: int) -> Machine:
        number = len(done) + place
        return Machine(
            {
                "uri": uri,
                "options": options,
                "state": str(folder / f"machine-{place}-{len(done)}"),
                "name": f"m{number}x{len(done)}",
                "seed": chance.randrange(10**9),
                "seconds": max(1.0, last - time.monotonic()),
                "stop": str(stop),
            }
        )

    running = [start(place) for place in range(MACHINES)]

    def is_enough() -> bool:
        promises = sum(len(machine.said(DONE)) for machine in [*done, *running])
        return bool(done) and promises >= ENOUGH

    while time.monotonic() < (deadline if is_enough() else last):
        time.sleep(chance.uniform(1.0, 3.0) if ROUNDS else 0.5)
        place = chance.randrange(MACHINES)
        if running[place].said(DONE) and len(done) < max(1, ROUNDS):
            running[place].kill()  # its state directory is not used again: the machine is gone
            done.append(running[place])
            running[place] = start(place)
    stop.touch()
    for machine in running:
        machine.finish()
    return done + running


def _judge(
    uri: str, options: dict[str, str], folder: Path, machines: list[Machine], seed: int
) -> None:
    assert not [line for machine in machines for line in machine.said(WRONG)], f"seed {seed}"
    with (
        open_machine(uri, options, folder / "judge") as one,
        open_machine(uri, options, folder / "other") as two,
    ):
        for lake in (one, two):
            while lake.journal.seal():
                pass
        rows = _groups(one, "select id as name from orders")
        events = _groups(
            one, "select event_id as name from system.journal where entity_type = 'note'"
        )
        inserted = _groups(
            one, "select entity_id as name from system.journal where action = 'insert'"
        )
        for machine in machines:
            _check(machine, "rows", rows, ROWS, seed)
            _check(machine, "events", events, EVENTS, seed)
        # No row without its event, no event without its row, none of them twice.
        assert sorted(map(sorted, inserted.values())) == sorted(map(sorted, rows.values()))
        values = one.sql("select id, n from orders where id like 'own:%'").to_pylist()
        _check_values(machines, {row["id"]: row["n"] for row in values}, seed)
        figures = "select count(*) n, count(distinct seq) d, max(seq) m from system.journal"
        [log] = one.sql(figures).to_pylist()
        assert (log["d"], log["m"]) == (log["n"], log["n"] - 1), f"seed {seed}"
        for lake in (one, two):
            report = lake.verify(full=True)
            assert report.status == "green", f"seed {seed}: {report.to_dict()}"
        assert one.journal.stats()["root"] == two.journal.stats()["root"]
        done = sum(len(machine.said(DONE)) for machine in machines)
        count = sum(map(len, rows.values()))
        print(f"{len(machines)} machines, {done} promises kept, {count} rows, {log['n']} events")


def _groups(lake: Lake, query: str) -> dict[str, list[str]]:
    """Names by their prefix."""
    found: dict[str, list[str]] = defaultdict(list)
    for row in lake.sql(query).to_pylist():
        prefix, _, _ = row["name"].rpartition(":")
        found[prefix].append(row["name"])
    return found


def _check(machine: Machine, kind: str, found: dict[str, list[str]], count: int, seed: int) -> None:
    whole = {about[1] for about in machine.said(DONE) if about[0] == kind}
    for about in machine.said(ABOUT):
        if about[0] != kind:
            continue
        names = found.get(about[1], [])
        assert len(names) == len(set(names)), f"seed {seed}: {about} twice"
        wanted = (count,) if about[1] in whole else (0, count)
        assert len(names) in wanted, f"seed {seed}: {about}: {len(names)}"


def _check_values(machines: list[Machine], values: dict[str, int], seed: int) -> None:
    for machine in machines:
        sure = [int(about[2]) for about in machine.said(DONE) if about[0] == "value"]
        begun = [int(about[2]) for about in machine.said(ABOUT) if about[0] == "value"]
        least = sure[-1] if sure else 0
        value = values.get(f"own:{machine.name}", 0)
        assert value >= least, f"seed {seed}"
        assert value in {0, *begun}, f"seed {seed}"
