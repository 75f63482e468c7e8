"""``lakecore maintain``, and the retention by ``lakecore alter``."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

import lakecore


def run(capsys: pytest.CaptureFixture[str], *arguments: str) -> tuple[int, str, str]:
    """The command line in this process: exit code, stdout, stderr."""
    from lakecore.cli._main import root

    with pytest.raises(SystemExit) as caught:
        root.main(list(arguments))
    output = capsys.readouterr()
    return int(caught.value.code or 0), output.out, output.err


def _json(text: str) -> Any:
    return json.loads(text)


def test_maintain(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """A dry run, a run, nothing left, a name that is none; as text and as JSON."""
    place = str(tmp_path / "lake")
    with lakecore.open(place, actor="ada") as lake:
        lake.create("planes", key="id")
        for number in range(10):
            lake.insert("planes", {"id": number})
    code, out, _ = run(capsys, "maintain", "--dry-run", "--lake", place)
    assert code == 0
    assert "planned" in out
    assert "10 → 1" in out
    code, out, _ = run(capsys, "maintain", "--lake", place, "--json", "--reason", "nightly")
    report = _json(out)
    assert (code, report["ok"], report["dry_run"]) == (0, True, False)
    (step,) = report["steps"]
    assert (step["action"], step["files_before"], step["files_after"]) == ("compact", 10, 1)
    code, out, _ = run(capsys, "maintain", "planes", "--lake", place)
    assert (code, out) == (0, "nothing is due\n")
    code, _, err = run(capsys, "maintain", "plans", "--lake", place)
    assert code == 2
    assert "did you mean planes" in err
    with lakecore.open(place) as lake:
        (event,) = lake.journal.query(entity_type="maintenance").items
        assert json.loads(event.context)["reason"] == "nightly"


def test_retention(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Set for one dataset, taken back by -1, and refused where it is none."""
    place = str(tmp_path / "lake")
    with lakecore.open(place, actor="ada") as lake:
        lake.create("planes", key="id")
    days = ("alter", "planes", "--lake", place, "--retention-days")
    assert run(capsys, *days, "3.5", "--retention-versions", "7")[0] == 0
    with lakecore.open(place) as lake:
        entry = lake.dataset("planes")
        assert (entry.retention_days, entry.retention_versions) == (3.5, 7)
    assert run(capsys, *days, "-1")[0] == 0
    with lakecore.open(place) as lake:
        entry = lake.dataset("planes")
        assert (entry.retention_days, entry.retention_versions) == (None, 7)
    code, _, err = run(capsys, *days, "-2")
    assert code == 2
    assert "not a retention" in err
