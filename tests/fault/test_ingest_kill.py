"""An ingest that is killed at any of its writes: all of it with its events, or nothing of it."""

from __future__ import annotations

import csv
import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest
from tests.fakes.faulty_store import Fault

import lakecore
from lakecore.app import Lake

ROWS = 500
BAD = 3
CHILD = """
import sys
from lakecore.app import Lake
from lakecore.app._components import Components
from lakecore.config import Settings
from lakecore.storage import open_store
from tests.fakes.faulty_store import Fault
from tests.fakes.killing_store import KillingStore

path, file, key, mode, at, when = sys.argv[1:]
store = KillingStore(open_store(path), {int(at): Fault(when)})
with Lake(Components(store, Settings(), create=True), actor="ada") as lake:
    lake.ingest(file, dataset="things", key=[key] if key else [], mode=mode)
"""
ROUNDS = int(os.environ.get("LAKECORE_SOAK_ROUNDS", "0"))
MAX_WRITES = 60


@pytest.fixture
def file(tmp_path: Path) -> Path:
    """500 good rows and three that are none."""
    path = tmp_path / "things.csv"
    with path.open("w", newline="") as out:
        rows = csv.writer(out)
        rows.writerow(["id", "amount", "note"])
        for number in range(ROWS):
            rows.writerow([f"k{number:04d}", number, f"note {number % 7}"])
        for _ in range(BAD):
            rows.writerow(["too", "few"])
    return path


def run_child(lake: Path, file: Path, key: str, mode: str, at: int, when: Fault) -> int:
    """The exit code of an ingest that is killed at its `at`-th write; 0: it has fewer."""
    arguments = [str(lake), str(file), key, mode, str(at), when.value]
    done = subprocess.run(
        [sys.executable, "-c", CHILD, *arguments], check=False, capture_output=True, timeout=120
    )
    assert done.returncode in (0, -signal.SIGKILL), done.stderr.decode()[-2000:]
    return done.returncode


def check_whole(lake: Lake, key: str) -> int:
    """Everything or nothing of the ingest is there; how many rows."""
    lake.journal.flush()
    report = lake.verify()
    assert report.status == "green", report.to_dict()
    assert not report.completeness.detail["pending"]
    names = [dataset.name for dataset in lake.datasets()]
    rows = 0
    if "things" in names:
        rows = lake.sql("select count(*) as n from things").to_pylist()[0]["n"]
    assert rows in (0, ROWS)
    counts = {
        (row["dataset"], row["action"]): row["n"]
        for row in lake.sql(
            "select dataset, action, count(*) as n from system.journal group by 1, 2"
        ).to_pylist()
    }
    assert counts.get(("things", "insert"), 0) == (rows if key else 0)
    assert counts.get(("things", "ingest"), 0) == (1 if rows else 0)
    if rows:
        quarantined = "select count(*) as n from system.quarantine"
        assert lake.sql(quarantined).to_pylist()[0]["n"] == BAD
    return rows


@pytest.mark.parametrize("when", [Fault.BEFORE, Fault.AFTER], ids=lambda fault: fault.value)
@pytest.mark.parametrize("key", ["id", ""], ids=["keyed", "unkeyed"])
def test_killed_at_every_write(tmp_path: Path, file: Path, key: str, when: Fault) -> None:
    """Verify is green after each kill, the file can be ingested again, and is there once."""
    outcomes = []
    # The lake's own birth is the first write; each later one is an ingest's or a seal's.
    step = 1 if ROUNDS else 2
    for at in range(2 if when is Fault.BEFORE else 1, MAX_WRITES, step):
        path = tmp_path / f"lake-{at}"
        code = run_child(path, file, key, "append", at, when)
        with lakecore.open(path, actor="ada") as lake:
            outcomes.append(check_whole(lake, key))
            (again,) = lake.ingest(file, dataset="things", key=[key] if key else [])
            assert (again.inserted, again.duplicate_of) == (
                (0, again.duplicate_of) if outcomes[-1] else (ROWS, None)
            )
            assert check_whole(lake, key) == ROWS
        if code == 0:
            break
    else:
        pytest.fail(f"more than {MAX_WRITES} writes")
    # Both sides of the commit were seen, and what was committed stayed committed.
    assert outcomes[0] == 0
    assert outcomes[-1] == ROWS
    assert outcomes == sorted(outcomes)
