"""The examples of docs/truth.md run."""

from __future__ import annotations

import doctest
import re
import shlex
from pathlib import Path

import pytest
from click.testing import CliRunner

from lakecore.app import open_lake
from lakecore.cli import root
from lakecore.truth import RuleSet

PAGE = (Path(__file__).parents[3] / "docs" / "truth.md").read_text(encoding="utf-8")
TOML = re.findall(r"```toml\n(.*?)```", PAGE, re.DOTALL)
PYCON = re.findall(r"```pycon\n(.*?)```", PAGE, re.DOTALL)


@pytest.mark.parametrize("toml", TOML)
def test_the_rule_sets_pass_their_tests(toml: str) -> None:
    """Each rule set on the page is read, carries tests, and they pass."""
    rules = RuleSet.from_toml(toml)
    results = rules.run_tests()
    assert results
    assert [result.to_dict() for result in results if not result.passed] == []


def test_the_sessions_run(tmp_path: Path) -> None:
    """The Python on the page answers what the page says."""
    assert len(TOML) == 4
    assert len(PYCON) == 7
    with open_lake(str(tmp_path / "lake"), actor="ada") as lake:
        names = {"toml": TOML[0], "tiers": TOML[-1], "lake": lake}
        test = doctest.DocTestParser().get_doctest(
            "\n".join(PYCON), names, "truth.md", "truth.md", 0
        )
        assert doctest.DocTestRunner().run(test).failed == 0


def test_the_commands_are_there(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Each command on the page runs as it stands there, one after the other."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("LAKECORE_LAKE", raising=False)
    (tmp_path / "rules.toml").write_text(TOML[0], encoding="utf-8")
    (tmp_path / "change.json").write_text('{"after": {"seats": 9}}', encoding="utf-8")
    CliRunner().invoke(root, ["init"], catch_exceptions=False)
    (shell,) = re.findall(r"```sh\n(.*?)```", PAGE, re.DOTALL)
    for line in shell.splitlines():
        arguments = shlex.split(line, comments=True)[1:]
        result = CliRunner().invoke(root, arguments, catch_exceptions=False)
        assert result.exit_code == 0, (line, result.stderr)
