"""Run the benchmarks named as arguments, or all: ``python -m benchmarks [ingest query …]``."""

from __future__ import annotations

import importlib
import sys
import tempfile
from pathlib import Path

from benchmarks.data import flights_folder
from benchmarks.pairs import report

ALL = ("ingest", "query", "cli", "memory", "truth", "journal-append", "journal-read")


def main() -> None:
    """Run, print a row as each ends, write the report."""
    results = []
    with tempfile.TemporaryDirectory() as temp:
        folder = flights_folder(Path(temp))
        for name in sys.argv[1:] or ALL:
            results += importlib.import_module(f"benchmarks.bench_{name.replace('-', '_')}").run(
                folder
            )
    print(f"written to {report(results, Path(__file__).parent / 'results')}")


if __name__ == "__main__":
    main()
