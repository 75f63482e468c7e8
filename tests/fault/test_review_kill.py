"""A review run that is killed with SIGKILL and run again leaves the ledger of one that was not.

`LAKECORE_SOAK_ROUNDS` is the number of rounds, 30 at most; in each the second of two iterations is
killed at seeded moments, some while questions are asked and some while rows are written.
"""

from __future__ import annotations

import os
import random
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest
from tests.unit.review.repositories import Project, faulty, mended

import lakecore

ROUNDS = min(int(os.environ.get("LAKECORE_SOAK_ROUNDS", "1")), 30)
WORKER = Path(__file__).with_name("review_worker.py")
FILES = 8
KILLS = 1 if ROUNDS == 1 else 3
TIMEOUT_S = 120
PAUSE_S = 0.01
NOT_COMPARED = ("time",)
"""When a row was made differs, and nothing else: ids, batches and attempts are compared."""


def make(folder: Path) -> Project:
    """Eight files with a fault each."""
    folder.mkdir()
    project = Project(folder)
    for number in range(FILES):
        project.write(f"src/rules_{number}.py", faulty(number))
    project.commit()
    return project


def mend(project: Project) -> None:
    """Two are mended, one is renamed, one goes, one gets a neighbour."""
    for number in (1, 4):
        path = f"src/rules_{number}.py"
        project.write(path, mended(project.read(path)))
    project.git("mv", "src/rules_2.py", "src/renamed.py")
    project.git("rm", "-q", "src/rules_6.py")
    project.write("src/rules_5.py", project.read("src/rules_5.py") + "\n\nLATER = 1\n")
    project.commit()


def start(project: Project, lake: Path, run_id: str, seed: int) -> subprocess.Popen[str]:
    arguments = [str(project.root), str(lake), run_id, str(seed), str(PAUSE_S)]
    return subprocess.Popen(
        [sys.executable, str(WORKER), *arguments],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def finish(project: Project, lake: Path, run_id: str, seed: int) -> int:
    """Run to the end; how many questions were asked."""
    out, error = start(project, lake, run_id, seed).communicate(timeout=TIMEOUT_S)
    assert out.endswith("done\n"), error[-2_000:]
    return out.count("asked")


def kill(project: Project, lake: Path, run_id: str, seed: int, after: int, late_s: float) -> bool:
    """Kill it a moment after so many questions; False: it ended before."""
    worker = start(project, lake, run_id, seed)
    assert worker.stdout is not None
    asked = 0
    for line in worker.stdout:
        asked += line.startswith("asked")
        if asked >= after:
            time.sleep(late_s)
            break
    worker.kill()
    _, error = worker.communicate(timeout=TIMEOUT_S)
    assert worker.returncode in (0, -signal.SIGKILL), error[-2_000:]
    return worker.returncode != 0


def ledger(lake: Path) -> list[str]:
    """Every row, without what may differ."""
    found: list[str] = []
    with lakecore.open(lake, actor="ada") as opened:
        for kind in ("reviews", "findings"):
            with opened.sql(f"select * from system.{kind}") as result:
                found += [kind + repr(told(row)) for row in result.to_pylist()]
        assert opened.verify().status == "green"
    return sorted(found)


def told(row: dict[str, Any]) -> list[tuple[str, Any]]:
    return sorted((name, value) for name, value in row.items() if name not in NOT_COMPARED)


@pytest.mark.parametrize("round_", range(ROUNDS))
def test_the_ledger_is_that_of_a_run_that_was_not_killed(tmp_path: Path, round_: int) -> None:
    """Row for row: reviews, A/A pairs, blind looks, findings and their states."""
    seed = 2026 + round_
    chance = random.Random(seed)
    project = make(tmp_path / "project")
    whole, killed = tmp_path / "whole", tmp_path / "killed"
    finish(project, whole, "first", seed)
    shutil.copytree(whole, killed)
    mend(project)
    questions = finish(project, whole, "second", seed)
    kills = 0
    for _ in range(KILLS):
        after = chance.randint(1, max(2, questions * 2 // 3))
        kills += kill(project, killed, "second", seed, after, chance.random() * 0.15)
    finish(project, killed, "second", seed)
    print(f"seed {seed}: {questions} questions, killed {kills} times")
    assert ledger(killed) == ledger(whole)
    assert kills
