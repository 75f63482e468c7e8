"""A lake that came back from an older copy: broken, until somebody says that it was meant."""

from __future__ import annotations

import shutil
from pathlib import Path

from tests.integration.test_cli import PLANES, answer, run


def test_verify_forget(tmp_path: Path) -> None:
    """The report names the command; the command tells who, why and how much."""
    lake = tmp_path / "lake"
    (tmp_path / "planes.csv").write_text(PLANES)
    run(tmp_path, "ingest", "planes.csv", "--dataset", "planes", "--key", "tailnum")
    run(tmp_path, "journal", "flush")
    older = tmp_path / "older"
    shutil.copytree(lake, older)
    run(tmp_path, "update", "planes", "--where", "tailnum = 'N1'", "--set", "seats=56")
    run(tmp_path, "verify")
    shutil.copytree(lake / ".local", tmp_path / "local")
    shutil.rmtree(lake)
    shutil.copytree(older, lake)
    # The machine's own state stays; only what it signed last would say that a fork was signed.
    shutil.rmtree(lake / ".local")
    shutil.copytree(tmp_path / "local", lake / ".local")
    said = run(tmp_path, "verify", exit_code=1).stdout
    assert "verified before" in said
    assert "lakecore verify --forget" in said
    assert "--forget" in run(tmp_path, "verify", "--reason", "x", exit_code=2).stderr
    run(tmp_path, "verify", "--forget", "--actor", "ada", "--reason", "a bad disk")
    assert answer(tmp_path, "verify")["integrity"]["status"] == "green"
    (event,) = answer(tmp_path, "journal", "query", "--action", "verify.forget")["items"]
    assert event["actor"] == "ada"
    assert "a bad disk" in str(event["context"])
