"""The worked example of docs/observer.md, run as it stands."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

from tests.gateways import serving

from lakecore.observer._clean import MAX_OBJECT_CHARACTERS, MAX_VALUE_CHARACTERS
from lakecore.observer._event import MAX_AHEAD_US
from lakecore.observer._kinds import SHARE
from lakecore.observer._observer import MAX_EVENTS
from lakecore.records._seen import MAX_SEEN

PAGE = Path(__file__).parents[2] / "docs" / "observer.md"
URL = "http://127.0.0.1:3100"


def blocks(language: str) -> list[str]:
    return re.findall(rf"^```{language}\n(.*?)^```", PAGE.read_text(), re.MULTILINE | re.DOTALL)


def test_the_example(tmp_path: Path) -> None:
    """Every Python block, in order, by the keys of the page; what it prints is what it says."""
    with serving(tmp_path) as served:
        scopes = [re.findall(r"--scope (\S+)", line) for line in blocks("sh")[0].splitlines()]
        keys = {
            "SENDER": served.key("service:planner", *scopes[0]),
            "READER": served.key("ada", *scopes[1]),
        }
        program = "\n".join(f"{name} = {text!r}" for name, text in keys.items())
        program += "\n" + "\n".join(blocks("python")).replace(URL, served.url)
        done = subprocess.run(
            [sys.executable, "-W", "ignore", "-c", program],
            capture_output=True,
            text=True,
            timeout=120,
            check=False,
        )
        assert done.returncode == 0, done.stderr[-2000:]
        (looking,) = [block for block in blocks("python") if "print" in block]
        said = re.findall(r"# (.+)$", looking, re.MULTILINE)
        assert done.stdout.splitlines() == said
        (row,) = served.lake.sql(blocks("sql")[0] + " order by tokens desc").to_pylist()
        assert (row["model"], row["calls"], row["tokens"]) == ("gpt-x", 2, 27)


def test_the_figures_of_the_page() -> None:
    """Bounds that the page names are those of the code."""
    text = PAGE.read_text()
    assert f"at most {MAX_EVENTS:,}" in text
    assert f"newest {MAX_SEEN:,}" in text
    assert (MAX_VALUE_CHARACTERS, MAX_OBJECT_CHARACTERS) == (4 << 10, 64 << 10)
    assert (MAX_AHEAD_US, SHARE) == (5 * 60 * 1_000_000, 0.5)
