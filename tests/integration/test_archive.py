"""Archives from the command line: old events leave the lake's folder, and SQL still has them."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from tests.integration.soundly import lakecore as run

import lakecore
from lakecore.journal._log import runs


@pytest.fixture
def lake(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A lake with an archive in its settings, and 40 events in ranges of 16."""
    monkeypatch.setattr(runs, "LEVELS", (4, 6))
    monkeypatch.chdir(tmp_path)
    (tmp_path / "lakecore.toml").write_text(
        f'[journal]\nseal_events = 4\n[journal.archives]\ncold = "{tmp_path / "archive"}"\n'
    )
    folder = tmp_path / "lake"
    with lakecore.open(folder, actor="ada", config=tmp_path / "lakecore.toml") as opened:
        for number in range(10):
            opened.journal.record_many(
                {"entity_type": "t", "entity_id": str(number), "action": "a"} for _ in range(4)
            )
            opened.journal.seal()
        opened.journal.compact(grace_s=0)
    return folder


def test_from_the_command_line(lake: Path, tmp_path: Path) -> None:
    """Archive, ask, verify; then without the archive; then a backup of what is left."""
    count = "select count(*) as n from system.journal"
    before = json.loads(run(lake, "sql", count, "--format", "json").stdout)
    assert "which events?" in run(lake, "journal", "archive", "--to", "cold", exit_code=2).stderr
    command = ("journal", "archive", "--before-seq", "32", "--to")
    refused = run(lake, *command, "elsewhere", exit_code=2)
    assert "no such archive in the settings" in refused.stderr
    assert "2 files would move: 32 events" in run(lake, *command, "cold", "--dry-run").stdout
    moved = json.loads(run(lake, *command, str(tmp_path / "archive"), "--json").stdout)
    assert moved["events"] == 32
    assert (tmp_path / "archive" / moved["files"][0]).is_file()
    assert json.loads(run(lake, "sql", count, "--format", "json").stdout) == before
    assert len(run(lake, "journal", "export").stdout.splitlines()) == 40
    run(lake, "verify")

    (tmp_path / "archive").rename(tmp_path / "gone")
    assert "'cold' cannot be reached" in run(lake, "journal", "export", exit_code=4).stderr
    assert run(lake, "journal", "recent", "--limit", "8", "--json").stdout.count("event_id") == 8
    assert "cannot be told" in run(lake, "verify", exit_code=3).stdout
    run(lake, "backup", "create", str(tmp_path / "backups"))
    run(lake, "backup", "verify", str(tmp_path / "backups"), exit_code=3)
    (tmp_path / "gone").rename(tmp_path / "archive")
    run(lake, "backup", "restore", str(tmp_path / "backups"), str(tmp_path / "again"))
    run(tmp_path / "again", "verify")
    assert len(run(tmp_path / "again", "journal", "export").stdout.splitlines()) == 41
