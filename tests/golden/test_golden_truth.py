"""A lake's rules are stored as ever, read back whole, and refused when they are not."""

from __future__ import annotations

import json
from typing import Any

import pytest
from tests.golden.generate_truth_rules_v1 import FILE, TOML, body

from lakecore.base import CorruptData, UnsupportedFormat
from lakecore.truth import RuleSet, rules_from_body, rules_hash

WHERE = "documents/truth/rules/7.json"


def stored(**changed: Any) -> dict[str, Any]:
    """The golden body, members changed."""
    found: dict[str, Any] = json.loads(FILE.read_text(encoding="utf-8"))
    return {**found, **changed}


def test_the_golden_rules() -> None:
    """The same body, and the same rules from it, under the hash that decisions name."""
    assert body() == stored()
    rules = rules_from_body(stored(), version=7, where=WHERE)
    assert rules == RuleSet.from_toml(TOML)
    assert (rules.version, len(rules.tiers)) == (7, 2)
    assert rules_hash(stored()["canonical"]) == rules.hash
    assert rules.hash == "c66d3ad31b21151f841863d18605c9f3365ec42e8cb9fc1369a5b315e0ab75f0"


def test_unknown_members_are_left_alone() -> None:
    """A later Lakecore may say more."""
    assert rules_from_body(stored(more=1), version=0, where=WHERE).name == "fleet"


@pytest.mark.parametrize(
    ("changed", "says"),
    [
        ({"toml": TOML.replace("853 }", "8530 }")}, "text and canonical form differ"),
        ({"canonical": {}}, "text and canonical form differ"),
        ({"canonical": None}, "text and canonical form differ"),
        ({"canonical": {"rules": []}}, "do not read"),
        ({"canonical": [1]}, "do not read"),
        ({"toml": "[[rule]"}, "do not read"),
        ({"toml": None}, "have no text"),
    ],
)
def test_what_is_damaged_is_told(changed: dict[str, Any], says: str) -> None:
    """One form without the other, or neither: with the place."""
    with pytest.raises(CorruptData, match=says) as raised:
        rules_from_body(stored(**changed), version=7, where=WHERE)
    assert raised.value.where == WHERE


@pytest.mark.parametrize("version", [2, None, "1"])
def test_another_format_is_refused(version: Any) -> None:
    """With what to do about it."""
    with pytest.raises(UnsupportedFormat, match="format"):
        rules_from_body(stored(format=version), version=7, where=WHERE)
