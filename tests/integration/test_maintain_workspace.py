"""Upkeep beside a workspace: what it builds on stays until it is over."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

import lakecore
from lakecore.base import NotFound
from lakecore.config import LakeSettings, Settings


def test_a_workspace_keeps_its_base(tmp_path: Path) -> None:
    """Main goes on and is vacuumed; the workspace is read, compared and merged all the same."""
    settings = Settings(
        lake=LakeSettings(
            uri=str(tmp_path / "lake"),
            retention_days=0,
            retention_versions=1,
            vacuum_grace_hours=0,
        )
    )
    with lakecore.open(config=settings, actor="ada") as lake:
        lake.create("planes", key="id")
        for number in range(6):
            lake.insert("planes", {"id": number, "v": "main"})
        work = lake.workspace("trial")
        work.update("planes", where="id = 2", set={"v": "trial"})
        for number in range(6, 12):
            lake.insert("planes", {"id": number, "v": "main"})
        lake.update("planes", where="id = 5", set={"v": "later"})
        steps = lake.maintain("planes").steps
        assert [(step.action, step.outcome) for step in steps] == [
            ("compact", "done"),
            ("vacuum", "done"),
        ]
        with pytest.raises(NotFound, match="no longer kept"):
            lake.as_of("planes", version=7)
        assert len(lake.as_of("planes", version=5).to_pylist()) == 6
        assert work.sql("select count(*) as n from planes").to_pylist() == [{"n": 6}]
        work.merge()
        rows = lake.sql("select id, v from planes order by id").to_pylist()
        assert [row["v"] for row in rows if row["id"] in (2, 5)] == ["trial", "later"]
        assert len(rows) == 12
        assert lake.maintain().ok
        assert lake.maintain("planes").ok
        assert list((tmp_path / "lake" / "workspaces").glob("**/*.parquet")) == []
        lake.journal.seal()
        report = lake.verify(full=True)
        assert (report.status, report.completeness.problems) == ("green", [])


def test_only_a_workspace_that_is_over_may_be_gone(tmp_path: Path) -> None:
    """The folder of an open one is missed; a closed one's may be half removed."""
    with lakecore.open(str(tmp_path / "lake"), actor="ada") as lake:
        lake.create("planes", key="id")
        lake.insert("planes", [{"id": 1, "v": "main"}])
        for name in ("kept", "ended"):
            lake.workspace(name).update("planes", where="id = 1", set={"v": name}, all=True)
        lake.workspace("ended").drop()
        lake.journal.seal()
        assert lake.verify().status == "green"
        (log,) = (tmp_path / "lake" / "workspaces" / "ended").glob("**/_delta_log")
        (log / f"{0:020}.json").unlink()
        assert lake.verify(full=True).status == "green"
        shutil.rmtree(tmp_path / "lake" / "workspaces" / "ended")
        assert lake.verify().status == "green"
        shutil.rmtree(tmp_path / "lake" / "workspaces" / "kept")
        report = lake.verify()
        assert report.status == "broken"
        assert all("workspaces/kept/" in problem for problem in report.completeness.problems)
