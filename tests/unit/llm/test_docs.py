"""The example of docs/models.md runs, and its tables are those of the code."""

from __future__ import annotations

import doctest
import re
import shlex
from pathlib import Path

import pytest
from click.testing import CliRunner
from tests.fakes.model_server import answering, oracle, planned

from lakecore.cli import root
from lakecore.llm import Outcome
from lakecore.llm._outcome import _TABLE
from lakecore.llm._tokens import Origin

PAGE = (Path(__file__).parents[3] / "docs" / "models.md").read_text(encoding="utf-8")
LOCAL = "http://127.0.0.1:8080/v1"


def test_the_example_runs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Settings, Python and commands as they stand on the page, with an oracle for the model."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("LAKECORE_LAKE", raising=False)
    (toml,) = re.findall(r"```toml\n(.*?)```", PAGE, re.DOTALL)
    (session,) = re.findall(r"```pycon\n(.*?)```", PAGE, re.DOTALL)
    with oracle(planned(answering('{"seats": "many"}'), answering('{"seats": 55}'))) as server:
        (tmp_path / "lakecore.toml").write_text(toml.replace(LOCAL, server.url))
        test = doctest.DocTestParser().get_doctest(session, {}, "models.md", "models.md", 0)
        assert len(test.examples) >= 9
        assert doctest.DocTestRunner().run(test).failed == 0
    commands = "\n".join(re.findall(r"```sh\n(.*?)```", PAGE, re.DOTALL))
    for line in filter(None, commands.splitlines()):
        arguments = ["--lake", "lake", *shlex.split(line)[1:]]
        result = CliRunner().invoke(root, arguments, catch_exceptions=False)
        assert result.exit_code == 0, (line, result.stderr)


def test_the_outcomes_are_those_of_the_code() -> None:
    """Each with what follows it."""
    rows = [line.strip("|").split("|") for line in PAGE.splitlines() if line.startswith("| `")]
    told = {
        row[0].strip(" `"): tuple(cell.strip() == "yes" for cell in row[2:])
        for row in rows
        if len(row) == 5
    }
    table = {str(outcome): (row.again, row.repair, row.leave) for outcome, row in _TABLE.items()}
    assert told == {name: row for name, row in table.items() if name in told}
    assert set(table) - set(told) == {"cancelled", "unknown"}
    assert set(told) < set(map(str, Outcome))


def test_the_origins_are_those_of_the_code() -> None:
    """Each way to count tokens is explained."""
    found = set(re.findall(r"^\| [^`\n]+ \| .+? \| `(\w+)` \|$", PAGE, re.MULTILINE))
    assert found - {"tokens_from"} == set(map(str, Origin))
