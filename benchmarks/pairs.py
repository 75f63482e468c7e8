"""Interleaved measurements of two ways of doing one thing, and their report."""

from __future__ import annotations

import json
import os
import platform
import statistics
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass, field
from pathlib import Path

Prepare = Callable[[], Callable[[], object]]
"""Sets one run up, untimed, and gives what is to be timed."""


@dataclass
class Result:
    """One comparison. `ratio` is ours / peer, the median over the pairs; `reach` is the goal."""

    name: str
    ours_s: float
    peer_s: float | None
    ratio: float | None
    reach: float | None
    runs: int
    peer: str = ""
    note: str = ""
    details: dict[str, float] = field(default_factory=dict)

    @property
    def reached(self) -> bool | None:
        measured = self.ratio if self.ratio is not None else self.ours_s
        return None if self.reach is None else measured <= self.reach


def timed(prepare: Prepare) -> float:
    """Seconds that one prepared run takes."""
    run = prepare()
    start = time.perf_counter()
    run()
    return time.perf_counter() - start


def compare(
    name: str,
    ours: Prepare,
    peer: Prepare,
    *,
    peer_name: str,
    reach: float | None = None,
    runs: int = 5,
    note: str = "",
) -> Result:
    """Run both in turn, after one warm-up of each; the ratio is the median of the pairs' ratios."""
    timed(ours), timed(peer)
    pairs = [(timed(ours), timed(peer)) for _ in range(runs)]
    result = Result(
        name=name,
        ours_s=statistics.median(a for a, _ in pairs),
        peer_s=statistics.median(b for _, b in pairs),
        ratio=statistics.median(a / b for a, b in pairs),
        reach=reach,
        runs=runs,
        peer=peer_name,
        note=note,
        details={
            "ratio_min": min(a / b for a, b in pairs),
            "ratio_max": max(a / b for a, b in pairs),
        },
    )
    print(line(result), flush=True)
    return result


def alone(
    name: str, ours: Prepare, *, reach_s: float | None = None, runs: int = 5, note: str = ""
) -> Result:
    """Run ours only: median seconds."""
    timed(ours)
    seconds = [timed(ours) for _ in range(runs)]
    result = Result(name, statistics.median(seconds), None, None, reach_s, runs, note=note)
    print(line(result), flush=True)
    return result


def line(result: Result) -> str:
    """One row of the report, as Markdown."""
    mark = {True: "reached", False: "**not reached**", None: ""}[result.reached]
    peer = f"{result.peer_s:.3f}" if result.peer_s is not None else ""
    ratio = f"{result.ratio:.2f}" if result.ratio is not None else ""
    reach = "" if result.reach is None else f"≤ {result.reach:g}{'' if result.ratio else ' s'}"
    cells = [result.name, f"{result.ours_s:.3f}", result.peer, peer, ratio, reach, mark]
    return "| " + " | ".join([*cells, result.note]) + " |"


def machine() -> dict[str, object]:
    """What ran it: figures mean nothing without."""
    with Path("/proc/meminfo").open() as file:
        memory_kib = int(file.readline().split()[1])
    model = next(
        (
            text.split(":", 1)[1].strip()
            for text in Path("/proc/cpuinfo").read_text().splitlines()
            if text.startswith("model name")
        ),
        platform.machine(),
    )
    from importlib.metadata import version

    libraries = ("datafusion", "deltalake", "duckdb", "polars", "pyarrow")
    return {
        "cpu": model,
        "cores": os.cpu_count(),
        "memory_gib": round(memory_kib / 2**20, 1),
        "python": platform.python_version(),
        "system": f"{platform.system()} {platform.release()}",
        **{name: version(name) for name in libraries},
    }


def report(results: list[Result], folder: Path, name: str) -> Path:
    """Write the results of one benchmark as JSON and Markdown; the Markdown's path."""
    folder.mkdir(parents=True, exist_ok=True)
    about = machine()
    stem = folder / f"{time.strftime('%Y-%m-%d')}-{name}"
    stem.with_suffix(".json").write_text(
        json.dumps({"machine": about, "results": [asdict(r) for r in results]}, indent=1) + "\n"
    )
    head = ["what", "ours s", "peer", "peer s", "ours/peer", "goal", "", "note"]
    rows = ["| " + " | ".join(head) + " |", "|" + "---|" * len(head), *map(line, results)]
    text = "\n".join([f"# Benchmark: {name}", "", f"Machine: {about}", "", *rows, ""])
    path = stem.with_suffix(".md")
    path.write_text(text)
    return path
