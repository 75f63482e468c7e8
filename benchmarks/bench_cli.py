"""Start-up of the command line, as whole processes."""

from __future__ import annotations

import subprocess
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path
from urllib.request import urlopen

import lakecore
from benchmarks.pairs import Result, alone

COMMAND = str(Path(sys.executable).parent / "lakecore")


def process(*arguments: str) -> Callable[[], object]:
    return lambda: subprocess.run([COMMAND, *arguments], check=True, capture_output=True)


def up_until_ready(lake: str) -> Callable[[], object]:
    """From the start of the process to the first 200 of /ready."""

    def once() -> object:
        with subprocess.Popen(
            [COMMAND, "--lake", lake, "up", "--port", "0"], stderr=subprocess.PIPE, text=True
        ) as served:
            try:
                assert served.stderr is not None
                url = served.stderr.readline().split()[-1]
                return urlopen(f"{url}/ready", timeout=60).status
            finally:
                served.kill()

    return once


def run(folder: Path) -> list[Result]:
    with tempfile.TemporaryDirectory() as temp:
        with lakecore.open(temp, actor="bench") as lake:
            for name in ("planes", "airports", "airlines", "weather", "flights"):
                lake.ingest(folder / f"{name}.csv", dataset=name)
        return [
            alone("lakecore --version", lambda: process("--version"), reach_s=0.3, runs=9),
            alone(
                "lakecore sql 'select 1'",
                lambda: process("--lake", temp, "sql", "select 1"),
                reach_s=1.5,
                runs=9,
            ),
            alone(
                "lakecore up, until /ready answers 200",
                lambda: up_until_ready(temp),
                reach_s=2.0,
                runs=5,
            ),
            alone(
                "lakecore sql, join of two tables",
                lambda: process(
                    "--lake",
                    temp,
                    "sql",
                    "select count(*) from flights join planes using (tailnum)",
                ),
                runs=5,
            ),
        ]
