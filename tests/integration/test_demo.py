"""The demo runs from nothing to a verified lake; on it, the README says what is true."""

from __future__ import annotations

import re
import shlex
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

REPOSITORY = Path(__file__).parents[2]
README = (REPOSITORY / "README.md").read_text(encoding="utf-8")
LAKECORE = [sys.executable, "-c", "from lakecore.cli import main; main()"]


@pytest.fixture(scope="module")
def demo(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, str]:
    """The demo, run where something else is in its place: its folder, what it printed."""
    folder = tmp_path_factory.mktemp("demo")
    (folder / "demo-lake").mkdir()
    (folder / "demo-lake" / "thesis.txt").write_text("not a lake")
    answer = subprocess.run(
        [sys.executable, str(REPOSITORY / "examples" / "demo.py")],
        cwd=folder,
        capture_output=True,
        text=True,
        timeout=120,
    )
    assert answer.returncode == 0, answer.stderr
    return folder, answer.stdout


def test_the_demo_shows_what_it_should(demo: tuple[Path, str]) -> None:
    """Real files in, a change, two refusals, a history, everything verified."""
    _, printed = demo
    for text in (
        "336,776 rows",
        "55 → 60",
        '"Turbo-fan" → "Turbo-jet"',
        "expected int64, found 'many'",
        "did you mean 'seats'?",
        "integrity: green",
        "completeness: green",
    ):
        assert text in printed


def test_the_demo_moves_away_what_is_no_lake(demo: tuple[Path, str]) -> None:
    """Nothing of somebody else's is lost."""
    folder, _ = demo
    assert (folder / "demo-lake" / "lakecore.json").is_file()
    (moved,) = folder.glob("demo-lake.*/thesis.txt")
    assert moved.read_text() == "not a lake"


def test_the_readme_quotes_the_demo(demo: tuple[Path, str]) -> None:
    """Its first block is the beginning of what the demo prints, but for the durations."""
    (block,) = re.findall(r"```text\n(files into.*?)```", README, re.DOTALL)
    assert comparable(block) in comparable(demo[1])


def test_the_readme_commands_print_what_it_says(demo: tuple[Path, str]) -> None:
    """Every command of the tour, in its order, on the demo's lake."""
    folder, _ = demo
    sessions = list(console_sessions())
    assert len(sessions) >= 6
    for command, expected in sessions:
        arguments = shlex.split(command)
        assert arguments[0] == "lakecore"
        answer = subprocess.run(
            [*LAKECORE, *arguments[1:]],
            cwd=folder,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            timeout=60,
        )
        assert comparable(answer.stdout) == comparable(expected), command


def test_the_readme_python_runs(tmp_path: Path) -> None:
    """The block of Python, as it stands, beside a planes.csv."""
    (block,) = re.findall(r"```python\n(.*?)```", README, re.DOTALL)
    (tmp_path / "planes.csv").write_text("tailnum,seats\nN10156,55\n")
    answer = subprocess.run(
        [sys.executable, "-c", block], cwd=tmp_path, capture_output=True, text=True, timeout=60
    )
    assert answer.returncode == 0, answer.stderr
    assert "data-team seats 55 60" in answer.stdout


def console_sessions() -> Iterator[tuple[str, str]]:
    """Every command of the README with the output that it shows."""
    for block in re.findall(r"```console\n(.*?)```", README, re.DOTALL):
        for session in re.split(r"^\$ ", block, flags=re.MULTILINE)[1:]:
            command, _, expected = session.partition("\n")
            yield command, expected


def comparable(text: str) -> str:
    """Output without times, durations and how many pieces the journal happens to have."""
    text = re.sub(r"\d{4}-\d\d-\d\d \d\d:\d\d:\d\d\.\d{3} UTC", "<time>", text)
    text = re.sub(r"\(\d+\.\d\d s\)", "(<duration>)", text)
    text = re.sub(r"in \d+ segments", "in <n> segments", text)
    return "\n".join(line.rstrip() for line in text.strip().splitlines())
