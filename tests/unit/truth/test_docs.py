"""The examples of docs/truth.md run."""

from __future__ import annotations

import doctest
import re
from pathlib import Path

import pytest

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


def test_the_sessions_run() -> None:
    """The Python on the page answers what the page says."""
    assert len(TOML) == 3
    assert len(PYCON) == 3
    test = doctest.DocTestParser().get_doctest(
        "\n".join(PYCON), {"toml": TOML[0]}, "truth.md", "truth.md", 0
    )
    assert doctest.DocTestRunner().run(test).failed == 0
