"""Run the benchmarks named as arguments, or all: ``python -m benchmarks [ingest query …]``."""

from __future__ import annotations

import importlib
import sys
import tempfile
from pathlib import Path

from benchmarks.data import flights_folder
from benchmarks.pairs import report

ALL = (
    "ingest",
    "changes",
    "reconcile",
    "workspaces",
    "query",
    "search",
    "cli",
    "memory",
    "truth",
    "journal-append",
    "journal-read",
    "gateway",
    "models",
    "observer",
    "text",
    "embed",
)


def main() -> None:
    """Run, print a row as each ends, write a report of each."""
    with tempfile.TemporaryDirectory() as temp:
        folder = flights_folder(Path(temp))
        for name in sys.argv[1:] or ALL:
            bench = importlib.import_module(f"benchmarks.bench_{name.replace('-', '_')}")
            written = report(bench.run(folder), Path(__file__).parent / "results", name)
            print(f"written to {written}", flush=True)


if __name__ == "__main__":
    main()
