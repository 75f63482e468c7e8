"""The demo runs from nothing to a verified lake, and moves away what is in its place."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

REPOSITORY = Path(__file__).parents[2]


def test_the_demo(tmp_path: Path) -> None:
    """Real files in, a change, two refusals, a history, everything verified."""
    foreign = tmp_path / "demo-lake"
    foreign.mkdir()
    (foreign / "thesis.txt").write_text("not a lake")
    answer = subprocess.run(
        [sys.executable, str(REPOSITORY / "examples" / "demo.py")],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        timeout=120,
    )
    assert answer.returncode == 0, answer.stderr
    for text in (
        "336,776 rows",
        "55 → 60",
        '"Turbo-fan" → "Turbo-jet"',
        "expected int64, found 'many'",
        "did you mean 'seats'?",
        "integrity: green",
        "completeness: green",
    ):
        assert text in answer.stdout
    assert (foreign / "lakecore.json").is_file()
    (moved,) = tmp_path.glob("demo-lake.*/thesis.txt")
    assert moved.read_text() == "not a lake"
