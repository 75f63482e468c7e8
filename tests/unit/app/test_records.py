"""Records of a lake as SQL sees them: empty before the first, and never behind."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from tests.unit.records.conftest import NOTES, STEPS, some

import lakecore
from lakecore.app import Lake
from lakecore.base import InvalidInput


@pytest.fixture
def lake(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Lake]:
    """A lake that keeps steps and notes."""
    monkeypatch.setattr("lakecore.app._records.record_kinds", lambda parts: [STEPS, NOTES])
    with lakecore.open(tmp_path / "lake", actor="ada") as lake:
        yield lake


def numbers(lake: Lake) -> list[int]:
    rows = lake.sql("select n from system.steps order by n").to_pylist()
    return [row["n"] for row in rows]


def test_before_the_first(lake: Lake) -> None:
    """The table is there with its columns, and empty; it is no dataset yet."""
    assert lake.sql("select * from system.steps").to_arrow().schema.names == ["time", "run", "n"]
    assert numbers(lake) == []
    assert "steps" in {row["name"] for row in _tables(lake)}
    assert lake.datasets() == []


def test_what_was_acknowledged_is_seen(lake: Lake, tmp_path: Path) -> None:
    """A query flushes first, of this process and of others on the machine."""
    lake._parts.records.append("steps", some(1))
    assert numbers(lake) == [1]
    with lakecore.open(tmp_path / "lake", actor="bob") as other:
        other._parts.records.append("steps", some(2))
        assert numbers(lake) == [1, 2]
        lake._parts.records.append("steps", some(3))
        assert numbers(other) == [1, 2, 3]
    assert lake.sql("select count(*) as n from as_of('system.steps', 0)").to_pylist() == [{"n": 1}]


def test_closing_flushes(lake: Lake, tmp_path: Path) -> None:
    """What was appended is in the lake when it is closed; the whole verifies."""
    lake._parts.records.append("steps", some(1))
    lake.close()
    (tmp_path / "lake/.local/records.sqlite").unlink()
    with lakecore.open(tmp_path / "lake", actor="bob") as later:
        assert numbers(later) == [1]
        assert later.verify().status == "green"


def test_nobody_else_writes_them(lake: Lake) -> None:
    """Changes of such a dataset are refused, as of every system dataset."""
    lake._parts.records.append("steps", some(1))
    assert numbers(lake) == [1]
    with pytest.raises(InvalidInput, match="by Lakecore alone"):
        lake.insert("system.steps", some(2))


def test_maintain_removes_what_is_over(lake: Lake) -> None:
    """The lake's maintenance knows how long each kind is kept."""
    old_us = lake._parts.clock.now_us() - 30 * 86_400_000_000
    lake._parts.records.append("steps", [{"n": 1, "time": old_us}, {"n": 2}])
    lake._parts.records.flush()
    steps = [step for step in lake.maintain().steps if step.action == "expire"]
    assert [(step.dataset, step.outcome) for step in steps] == [("system.steps", "done")]
    assert numbers(lake) == [2]


def test_what_waits_is_told(lake: Lake) -> None:
    """`status` counts what waits; `doctor` names what was put aside."""
    records = lake._parts.records
    records.append("steps", some(1, 2))
    assert lake.status()["records"]["waiting_rows"] == 2
    probe = "records get into the lake"
    assert {finding.name: finding.ok for finding in lake.doctor().findings}[probe]
    (batch,) = records._spool.read("system.steps", 0, 1 << 62, 1)
    records._spool.refuse(batch.number, "not these")
    (finding,) = [finding for finding in lake.doctor().findings if finding.name == probe]
    assert (finding.ok, "2 are put aside" in finding.text) == (False, True)


def test_a_backup_has_what_was_acknowledged(lake: Lake, tmp_path: Path) -> None:
    """Records that wait are written before, and are in the lake that is made of it."""
    from lakecore.app import create_backup, restore_backup

    lake._parts.records.append("steps", some(1))
    create_backup(lake, tmp_path / "backup")
    restore_backup(tmp_path / "backup", tmp_path / "restored")
    with lakecore.open(tmp_path / "restored", actor="bob") as restored:
        assert numbers(restored) == [1]
        restored._parts.records.append("steps", some(2))
        assert numbers(restored) == [1, 2]


def _tables(lake: Lake) -> list[dict[str, str]]:
    query = "select table_name as name from information_schema.tables where table_schema = 'system'"
    return list(lake.sql(query).to_pylist())
