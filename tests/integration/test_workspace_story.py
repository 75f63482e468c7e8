"""The story of docs/workspaces.md: a workspace merged with one conflict, as it is printed there."""

from __future__ import annotations

import re
import shlex
from pathlib import Path

import pytest
from click.testing import CliRunner

import lakecore
from lakecore.cli._main import root

PAGE = Path(__file__).parents[2] / "docs" / "workspaces.md"
PLANES = [{"tailnum": "N10156", "seats": 55}, {"tailnum": "N102UW", "seats": 182}]
_RULE = re.compile(r"─+")
_TIME = re.compile(r"bob, (?:…|[-0-9: .]+UTC)")


def _story() -> list[tuple[str, list[str]]]:
    """The commands of the story, each with the lines that it prints."""
    text = PAGE.read_text(encoding="utf-8")
    section = text.split("## A workspace merged with one conflict")[1].split("\n## ")[0]
    found: list[tuple[str, list[str]]] = []
    for line in section.splitlines():
        if line.startswith("    $ "):
            found.append((line.removeprefix("    $ "), []))
        elif line.startswith("    ") and found:
            found[-1][1].append(line.strip())
    return found


def _plain(lines: list[str]) -> list[str]:
    """Without what depends on the time: the moment, and so the width of its column."""
    return [_TIME.sub("bob, …", _RULE.sub("─", line.strip())) for line in lines]


@pytest.fixture
def lake(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Two planes, and ada at the command line."""
    with lakecore.open(tmp_path / "lake", actor="ada") as lake:
        lake.create("planes", key="tailnum", entity_type="plane")
        lake.insert("planes", PLANES)
    monkeypatch.setenv("LAKECORE_LAKE", str(tmp_path / "lake"))
    monkeypatch.setenv("LAKECORE_ACTOR", "ada")
    return tmp_path / "lake"


def test_the_story_runs_as_it_is_told(lake: Path) -> None:
    """Each command prints what the page says; the conflict exits with 1, and nothing is lost."""
    story = _story()
    assert len(story) == 7
    codes = []
    for command, wanted in story:
        program, *arguments = shlex.split(command)
        assert program == "lakecore"
        result = CliRunner().invoke(root, arguments)
        codes.append(result.exit_code)
        if wanted:
            assert _plain(result.stdout.splitlines()) == _plain(wanted), command
    assert codes == [0, 0, 0, 0, 1, 0, 0]
    with lakecore.open(lake) as opened:
        events = opened.history("planes", "N10156", "seats")[1:]
        assert [(event.actor, event.old_value, event.new_value) for event in events] == [
            ("bob", "55", "58"),
            ("ada", "58", "60"),
        ]
        assert '"reason":"counted twice"' in events[-1].context
        assert opened.verify(full=True).status == "green"
