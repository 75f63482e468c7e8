"""`system.pending`, `system.decisions`, `system.mutations`."""

from __future__ import annotations

from typing import Any

import pytest
from tests.unit.changes.conftest import STAFF

import lakecore
from lakecore.app import Lake
from lakecore.base import Refused


def found(lake: Lake, query: str) -> list[dict[str, Any]]:
    """The rows of a query."""
    return lake.sql(query).to_pylist()


def test_mutations(lake: Lake) -> None:
    """One row a mutation, with its events by kind; nothing of what is refused or waits."""
    lake.update("staff", set={"name": "x"}, where="id in ('e1', 'e2')", reason="typo")
    lake.delete("staff", where="id = 'e3'", actor="bo")
    lake.delete("staff", where="id = 'e4'", tier="dry_run")
    with pytest.raises(Refused):
        lake.update("staff", set={"salary": 5000}, where="id = 'e1'")
    rows = found(
        lake,
        "select dataset, version, actor, reason, inserts, updates, deletes"
        " from system.mutations where dataset = 'staff' order by timestamp",
    )
    names = ("dataset", "version", "actor", "reason", "inserts", "updates", "deletes")
    assert [tuple(row[name] for name in names) for row in rows] == [
        ("staff", 0, "ada", "", len(STAFF), 0, 0),
        ("staff", 1, "ada", "typo", 0, 2, 0),
        ("staff", 2, "bo", "", 0, 0, 1),
    ]


def test_decisions(lake: Lake) -> None:
    """Refused, held and committed ones in one table, each with its rule set."""
    with pytest.raises(Refused):
        lake.update("staff", set={"salary": 5000}, where="id = 'e1'", reason="bonus")
    change = lake.update("staff", set={"salary": 150}, where="id = 'e1'").mutation_id
    lake.approve(change, actor="bo")
    rows = found(
        lake,
        "select outcome, tier, op, version, approved_by, reason, rule_set_version"
        " from system.decisions order by timestamp",
    )
    assert [tuple(row.values()) for row in rows] == [
        ("committed", "auto", "insert", 0, None, "", None),
        ("refused", "block", "update", None, None, "bonus", 0),
        ("held", "dry_run", "update", None, None, "", 0),
        ("committed", "dry_run", "update", 1, "bo", "", 0),
    ]
    (row,) = found(lake, "select fired, detail from system.decisions where outcome = 'refused'")
    assert dict(row["fired"])["no-riches"] == 1
    assert "after.salary" in row["detail"]


def test_pending(lake: Lake) -> None:
    """What waits, and why."""
    change = lake.update("staff", set={"salary": 150}, where="id = 'e1'").mutation_id
    (row,) = found(lake, "select id, state, why, updated, shown from system.pending")
    assert row == {
        "id": change,
        "state": "waiting",
        "why": "a raise is looked at by somebody else",
        "updated": 1,
        "shown": 1,
    }


def test_a_new_lake_has_empty_tables() -> None:
    """With their columns."""
    with lakecore.open("memory://") as lake:
        for name in ("pending", "decisions", "mutations"):
            with lake.sql(f"select * from system.{name}") as result:
                assert len(result.schema.names) > 5
                assert result.to_pylist() == []
