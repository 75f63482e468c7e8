"""A lake with staff in it, and rules about them."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

import lakecore
from lakecore.app import Lake

STAFF = [
    {"id": "e1", "name": "ada", "salary": 100, "status": "open"},
    {"id": "e2", "name": "bo", "salary": 200, "status": "open"},
    {"id": "e3", "name": "cy", "salary": 300, "status": "open"},
    {"id": "e4", "name": "di", "salary": 400, "status": "closed"},
]

RULES = """
name = "staff"

[[rule]]
id = "no-riches"
task_class = "*"
when = { field_greater = { path = "after.salary", value = 1000 } }
action = "deny"
message = "nobody earns more than 1000"
actions = ["ask the board"]
[[rule.test]]
context = { after = { salary = 2000 } }
expect = "fired"

[[rule]]
id = "raises-are-looked-at"
task_class = "update"
when = { cel = "after.salary > before.salary && before.status == 'open'" }
action = "require_approval"
message = "a raise is looked at by somebody else"
[[rule.test]]
context = { before = { salary = 1, status = "open" }, after = { salary = 2 } }
expect = "fired"

[[tier]]
principal = "agent:*"
auto = { rows = 1 }
dry_run = { rows = 2 }
"""


@pytest.fixture
def lake(tmp_path: Path) -> Iterator[Lake]:
    """A lake with four people, by rules."""
    with lakecore.open(tmp_path / "lake", actor="ada") as lake:
        lake.create("staff", key="id", entity_type="person")
        lake.insert("staff", STAFF)
        lake.truth.apply(RULES)
        yield lake


def salaries(lake: Lake) -> dict[str, Any]:
    """Everybody's salary."""
    return {row["id"]: row["salary"] for row in lake.sql("select * from staff").to_pylist()}


def decisions(lake: Lake) -> list[tuple[str, str]]:
    """The outcome and actor of every decision in the journal, the oldest first."""
    events = lake.journal.query(entity_type="decision", limit=1000).items
    return [(event.action, event.actor) for event in reversed(events)]


def join(lake: Lake, **parts: Any) -> None:
    """Make changes and approve them with other parts."""
    for user in (lake._parts.changes, lake._parts.approvals):
        user._parts = replace(user._parts, **parts)
