"""Processes that use a journal in every way are killed, round after round.

A round forks two workers (`journal_worker`) from a server that has all imports, so a round
costs what the journal costs, and thousands can be run. Each is killed with SIGKILL: at a
moment of the clock, at a write of the store (before it, after it, in the middle of an
upload), or at a commit of the hot log (before it, or when it is durable and nobody knows).
Then everything is opened, sealed and judged:

- every acknowledged event is there, exactly once, and none is there twice;
- what was recorded as one batch is there whole or not at all;
- a batch whose acknowledgement nobody heard is recorded again by the next worker, and once;
- the events of each writer are in the order in which it recorded them;
- `seq` has no gap, all machines have one root, and it is the recomputed one;
- commits and events match, both ways, and nothing is left waiting.

`LAKECORE_SOAK_ROUNDS` is the number of rounds. Every few of them share a lake, whose seed is
printed: ``LAKECORE_SEED=<seed> LAKECORE_SOAK_ROUNDS=8`` plans the same rounds again.
"""

from __future__ import annotations

import multiprocessing
import os
import random
import re
import shutil
import signal
import time
from collections import Counter
from contextlib import ExitStack, nullcontext
from multiprocessing.context import ForkServerContext
from pathlib import Path
from typing import Final

from tests.fakes.compaction import small_ranges
from tests.fakes.faulty_store import Fault
from tests.fakes.journals import MANUAL, open_journal, seal_until_done, sealed_ids
from tests.fault.journal_kills import RANGES, Plan, work
from tests.fault.journal_worker import ATTEMPT

from lakecore.journal import IntegrityReport, Journal
from lakecore.storage import open_store

ROUNDS: Final = int(os.environ.get("LAKECORE_SOAK_ROUNDS", "8"))
ROUNDS_OF_A_LAKE: Final = 8
"""More would make each judgement dearer than the round itself."""
_LAST_MOMENT_S: Final = 3.0
"""When a worker is killed that did not come as far as its plan said."""
_LOOK_S: Final = 0.002


def test_killed_processes(tmp_path: Path) -> None:
    """See the module."""
    seed = int(os.environ.get("LAKECORE_SEED", time.time_ns() % 1_000_000))
    server = multiprocessing.get_context("forkserver")
    server.set_forkserver_preload([work.__module__])
    totals: Counter[str] = Counter()
    for first in range(0, ROUNDS, ROUNDS_OF_A_LAKE):
        rounds = min(ROUNDS_OF_A_LAKE, ROUNDS - first)
        lake = _Lake(tmp_path / "lake", seed + first // ROUNDS_OF_A_LAKE, server)
        print(f"seed {lake.seed}:", end=" ", flush=True)
        lake.run(rounds)
        totals += lake.counts
        print(", ".join(f"{count} {what}" for what, count in sorted(totals.items())), flush=True)
        shutil.rmtree(lake.folder)
    assert totals["kills"] == 2 * ROUNDS


class _Running:
    """A worker at work: killed by itself, or by `is_running` when its moment has come."""

    def __init__(
        self, plan: Plan, moment: tuple[int, float] | None, server: ForkServerContext
    ) -> None:
        self.plan = plan
        self._moment = moment
        self._due = time.monotonic() + _LAST_MOMENT_S
        self._process = server.Process(target=work, args=(plan,))
        self._process.start()

    def is_running(self) -> bool:
        if self._moment is not None and len(said_by(self.plan)) >= self._moment[0]:
            self._due = min(self._due, time.monotonic() + self._moment[1])
            self._moment = None
        if time.monotonic() >= self._due:
            self._process.kill()
        return self._process.exitcode is None

    def end(self) -> int | None:
        """Let go of it; how it ended."""
        exitcode = self._process.exitcode
        self._process.close()
        return exitcode


def said_by(plan: Plan) -> list[str]:
    """The whole lines that a worker has said."""
    said = Path(plan.said)
    return said.read_text().split("\n")[:-1] if said.exists() else []


class _Lake:
    """One lake, the machines that use it, and what was acknowledged to their workers."""

    def __init__(self, folder: Path, seed: int, server: ForkServerContext) -> None:
        self.folder = folder
        self.seed = seed
        self.server = server
        self.rng = random.Random(seed)
        self.counts: Counter[str] = Counter()
        self.is_small = self.rng.random() < 0.5
        machines = [folder / "machine-a", folder / "machine-b"]
        self.machines = [self.rng.choice(machines[:1] * 2 + machines[1:]) for _ in range(2)]
        self.store = open_store(str(folder / "lake"))
        self.acknowledged: list[str] = []
        self.unheard: dict[Path, list[str]] = {machine: [] for machine in machines}

    def run(self, rounds: int) -> None:
        folder = self.folder
        folder.mkdir()
        ranges = small_ranges(*RANGES) if self.is_small else nullcontext()
        with ranges:
            for number in range(rounds):
                self._round(number)
                self._judge(f"seed {self.seed}, round {number}")
            self._judge_whole(f"seed {self.seed}")

    def _round(self, number: int) -> None:
        """Two workers at work until both are killed."""
        version = sum(1 for _ in self.store.list_objects("tables/"))
        running = [
            _Running(*self._plan(f"r{number}w{place}", place, machine, version), self.server)
            for place, machine in enumerate(self.machines)
        ]
        while sum(worker.is_running() for worker in running):  # each of them is looked at
            time.sleep(_LOOK_S)
        for worker in running:
            where = f"seed {self.seed}, round {number}, {worker.plan}"
            assert worker.end() == -signal.SIGKILL, where
            self.counts["kills"] += 1
            self._hear(worker.plan)

    def _plan(
        self, name: str, place: int, machine: Path, version: int
    ) -> tuple[Plan, tuple[int, float] | None]:
        """What a worker does, and after how many lines, and seconds more, it is killed."""
        rng = self.rng
        again, self.unheard[machine] = tuple(self.unheard[machine]), []
        kind = rng.choice(["clock", "clock", "write", "write", "append"])
        self.counts[f"by {kind}"] += 1
        plan = Plan(
            lake=str(self.folder / "lake"),
            state=str(machine),
            name=name,
            seed=rng.randrange(10**9),
            tail=str(self.folder / f"tail-{place}"),
            said=str(self.folder / name),
            version=version,
            again=again,
            is_small=self.is_small,
            write=(rng.randint(1, 24), rng.choice([Fault.BEFORE, Fault.AFTER, Fault.TEAR]))
            if kind == "write"
            else None,
            append=(rng.randint(1, 10), rng.random() < 0.5) if kind == "append" else None,
        )
        return plan, (rng.randint(0, 8), rng.uniform(0, 0.05)) if kind == "clock" else None

    def _hear(self, plan: Plan) -> None:
        """What a killed worker had said."""
        lines = said_by(plan)
        acknowledged = [line for line in lines if not line.startswith(ATTEMPT)]
        attempts = [line.removeprefix(ATTEMPT) for line in lines if line.startswith(ATTEMPT)]
        attempts += plan.again
        heard = set(acknowledged)
        unheard = [prefix for prefix in attempts if prefix not in heard]
        self.unheard[Path(plan.state)] += unheard
        self.acknowledged += acknowledged
        self.counts["acknowledged"] += len(acknowledged)
        self.counts["recorded again"] += len(heard.intersection(plan.again))

    def _judge(self, where: str) -> None:
        """What holds after every round."""
        with ExitStack() as stack:
            opened = [
                stack.enter_context(open_journal(self.store, machine))
                for machine in sorted(set(self.machines))
            ]
            for journal in opened:
                seal_until_done(journal)
            self._judge_events(sealed_ids(opened[0]), where)
            report = opened[0].verify()
            assert (report.status, report.problems) == ("green", []), where
            for journal in opened:
                stats = journal.stats()
                assert (stats["tree_size"], stats["root"]) == (report.events, report.root), where
                assert (stats["buffer_events"], stats["duplicate_ids"]) == (0, 0), where
            objects = self.store.list_objects("tables/")
            complete = opened[0].completeness((o.path, self.store.get(o.path)) for o in objects)
            assert complete.ok, f"{where}: {complete}"
            assert not complete.pending, where

    def _judge_events(self, found: list[str], where: str) -> None:
        twice = [name for name, count in Counter(found).items() if count > 1]
        assert not twice, where
        expected = {f"{prefix}:{n}" for prefix in self.acknowledged for n in range(3)}
        assert expected <= set(found), f"{where}: {sorted(expected - set(found))}"
        batches: dict[str, list[int]] = {}
        order: dict[str, list[tuple[int, int]]] = {}
        for event_id in found:
            match = re.fullmatch(r"(.+)-([a-z])(\d+):(\d)", event_id)
            assert match is not None, event_id
            writer, kind, turn, row = match.groups()
            if kind in "dc":
                batches.setdefault(f"{writer}-{kind}{turn}", []).append(int(row))
            if kind in "ds":
                order.setdefault(writer, []).append((int(turn), int(row)))
        assert all(rows == [0, 1, 2] for rows in batches.values()), where
        assert all(turns == sorted(turns) for turns in order.values()), where

    def _judge_whole(self, where: str) -> None:
        """What a machine says that sees the lake for the first time, and who went on reading."""
        with open_journal(self.store, self.folder / "fresh") as fresh:
            report = fresh.verify(full=True)
            ids = sealed_ids(fresh)
        self._judge_report(report, where)
        self.counts["sealed"] += len(ids)
        for place, machine in enumerate(self.machines):
            self._judge_tail(place, machine, ids, where)

    def _judge_report(self, report: IntegrityReport, where: str) -> None:
        assert (report.status, report.problems, report.derived) == ("green", [], []), where
        files = [info.path for info in self.store.list_objects("journal/")]
        self.counts["runs"] += sum(path.startswith("journal/merged/") for path in files)
        signed = [path for path in files if re.fullmatch(r"journal/checkpoints/\d+", path)]
        self.counts["checkpoints"] += len(signed)
        if signed:
            with open_journal(self.store, self.folder / "machine-a") as signer:
                anchors = signer.verify(full=True).anchors
            assert anchors is not None, where
            assert anchors.status == "green", f"{where}: {anchors}"

    def _judge_tail(self, place: int, machine: Path, ids: list[str], where: str) -> None:
        """Over all kills, it has seen each event once, in order."""
        kept = self.folder / f"tail-{place}"
        cursor, *seen = kept.read_text().splitlines() if kept.exists() else [None]
        origin = "example.com/many" if machine.name.endswith("a") else ""
        with Journal.open(
            self.store, self.folder / "fresh", settings=MANUAL, origin=origin
        ) as journal:
            seen += [event.event_id for batch in journal.tail(cursor=cursor) for event in batch]
        assert seen == ids, f"{where}, tail {place}"
