"""The review loop over a repository of many files, three iterations, with an oracle for models.

What is told is our own time: the processor's, of the whole process, less what the oracle took.
The repository is a real one in git, the rows go into a real lake. Between iterations a part of
the files is mended, another is edited beside the fault, and the rest stays.

The oracle knows what is planted: it says nothing of how well any model reviews.
"""

from __future__ import annotations

import os
import tempfile
import threading
import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from tests.fakes.oracle_models import OracleModels
from tests.unit.review.repositories import Project, faulty, mended

import lakecore
from benchmarks.pairs import Result, line
from lakecore.review import Call, GitFiles, Loop, Reply, RunSettings, Selection

FILES = int(os.environ.get("LAKECORE_BENCH_FILES", "1000"))
ITERATIONS = 3
GOAL_S = 60.0
GROWTH_GOAL_MIB = 64.0
FUNCTIONS = 12


@dataclass
class TimedModels:
    """A ladder whose own processor time is counted apart."""

    inner: OracleModels
    seconds: float = 0.0
    questions: int = 0
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def ask(self, call: Call) -> Reply:
        began = time.thread_time()
        try:
            return self.inner.ask(call)
        finally:
            took = time.thread_time() - began
            with self._lock:
                self.seconds += took
                self.questions += 1


def run(folder: Path) -> list[Result]:
    """Three iterations; one row for the time, one for the growth of memory."""
    with tempfile.TemporaryDirectory(dir=folder) as temp:
        project = Project(_made(Path(temp) / "project"))
        for number in range(FILES):
            project.write(_path(number), faulty(number, FUNCTIONS))
        models = TimedModels(OracleModels(clean=set(), recall=0.9))
        walls: list[float] = []
        resident: list[float] = []
        began = time.process_time()
        with lakecore.open(Path(temp) / "lake", actor="bench") as lake:
            for iteration in range(ITERATIONS):
                spent = time.process_time()
                _edit(project, iteration)
                project.commit(f"iteration {iteration + 1}")
                _teach(project, models.inner)
                began += time.process_time() - spent  # the edits are not the loop's
                started = time.perf_counter()
                result = _iterate(lake, project, models, f"run-{iteration + 1}")
                walls.append(time.perf_counter() - started)
                resident.append(_resident_mib())
                assert not result.missing
        own_s = time.process_time() - began - models.seconds
    told = ", ".join(f"{wall:.1f}" for wall in walls)
    memory = ", ".join(f"{one:.0f}" for one in resident)
    results = [
        Result(
            name=f"{FILES:,} files × {ITERATIONS} iterations, own processor time",
            ours_s=own_s,
            peer_s=None,
            ratio=None,
            reach=GOAL_S,
            runs=1,
            note=f"{models.questions:,} questions, the oracle took {models.seconds:.1f} s more; "
            f"iterations took {told} s by the clock",
        ),
        Result(
            name="growth of resident memory from the first iteration to the last, MiB",
            ours_s=resident[-1] - resident[0],
            peer_s=None,
            ratio=None,
            reach=GROWTH_GOAL_MIB,
            runs=1,
            note=f"MiB, not seconds; resident after each: {memory} MiB",
        ),
    ]
    for result in results:
        print(line(result), flush=True)
    return results


def _iterate(lake: lakecore.Lake, project: Project, models: TimedModels, name: str) -> Any:
    from lakecore.app._review import _Rows
    from lakecore.base import SystemClock
    from lakecore.code import Repository

    with Repository.open(project.root) as repository:
        loop = Loop(
            "bench",
            GitFiles(repository, "HEAD", Selection(("**/*.py",))),
            models,
            _Rows(lake),
            lake.reviews.bar(),
            clock=SystemClock(),
            settings=RunSettings(again=20, floor_pairs=20),
        )
        return loop.run(name)


def _edit(project: Project, iteration: int) -> None:
    """All files are another text; a fifth of them is mended in each iteration."""
    if not iteration:
        return
    for number in range(FILES):
        text = project.read(_path(number))
        if number % 5 == iteration:
            text = mended(text)
        project.write(_path(number), f"{text}\n\ndef later_{iteration}(rule):\n    return rule\n")


def _teach(project: Project, oracle: OracleModels) -> None:
    for number in range(FILES):
        oracle.clean |= {text.strip() for text in project.read(_path(number)).splitlines()}


def _path(number: int) -> str:
    return f"src/part_{number // 50}/rules_{number}.py"


def _made(folder: Path) -> Path:
    folder.mkdir(parents=True)
    return folder


def _resident_mib() -> float:
    pages = int(Path("/proc/self/statm").read_text().split()[1])
    return pages * os.sysconf("SC_PAGE_SIZE") / (1 << 20)
