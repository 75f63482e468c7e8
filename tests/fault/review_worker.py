"""A run of the review loop that is to be killed; see the test beside it.

``review_worker.py PROJECT LAKE RUN SEED PAUSE``: it prints a line for every question before it is
answered, and ``done`` when the run is at its end.
"""

from __future__ import annotations

import sys
import time
from pathlib import Path

import lakecore
from lakecore.app._review import _Rows
from lakecore.base import SystemClock
from lakecore.code import Repository
from lakecore.review import Bar, Call, GitFiles, Loop, RunSettings, Selection

sys.path.insert(0, str(Path(__file__).parents[2]))
from tests.fakes.oracle_models import OracleModels

BAR = Bar("look at it")


def main(project: Path, lake: str, run_id: str, seed: int, pause_s: float) -> None:
    """Review what is at HEAD."""

    def told(call: Call) -> None:
        print("asked", call.id, flush=True)
        time.sleep(pause_s)

    clean = {
        line.strip() for path in project.rglob("*.py") for line in path.read_text().splitlines()
    }
    models = OracleModels(clean=clean, seed=seed, recall=0.8, false=0.2, on_ask=told)
    with lakecore.open(lake, actor="ada") as opened, Repository.open(project) as repository:
        loop = Loop(
            "rules",
            GitFiles(repository, "HEAD", Selection(("**/*.py",))),
            models,
            _Rows(opened),
            BAR,
            clock=SystemClock(),
            settings=RunSettings(again=6, floor_pairs=6, workers=3, everything=True),
        )
        loop.run(run_id)
    print("done", flush=True)


if __name__ == "__main__":
    main(Path(sys.argv[1]), sys.argv[2], sys.argv[3], int(sys.argv[4]), float(sys.argv[5]))
