"""The stories of docs/changes.md, told by the command line and by Python on one lake."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner, Result

import lakecore
from lakecore.base import Conflict, Refused
from lakecore.cli._main import root

RULES = """
name = "fleet"

[[rule]]
id = "seats-within-reason"
task_class = ["insert", "upsert", "update"]
when = { field_greater = { path = "after.seats", value = 853 } }
action = "deny"
message = "no plane has more than 853 seats"
actions = ["check the type certificate"]
[[rule.test]]
context = { after = { seats = 8530 } }
expect = "fired"

[[tier]]
principal = "agent:*"
auto = { rows = 1 }
dry_run = { rows = 100 }
"""
PLANES = "tailnum,seats\nN10156,55\nN102UW,182\nN103US,182\n"


class Shell:
    """The command line on one lake."""

    def __init__(self, folder: Path) -> None:
        self._runner = CliRunner()
        self.lake = str(folder / "lake")

    def __call__(self, *arguments: str, exit_code: int = 0) -> Result:
        result = self._runner.invoke(root, ["--lake", self.lake, *arguments])
        assert result.exit_code == exit_code, result.output
        return result

    def json(self, *arguments: str) -> Any:
        """The JSON that a command prints."""
        return json.loads(self("--json", *arguments).stdout)


@pytest.fixture
def shell(tmp_path: Path) -> Shell:
    """A lake with three planes, and rules about them."""
    shell = Shell(tmp_path)
    (tmp_path / "planes.csv").write_text(PLANES)
    (tmp_path / "rules.toml").write_text(RULES)
    shell("ingest", str(tmp_path / "planes.csv"), "--dataset", "planes", "--key", "tailnum")
    shell("truth", "apply", str(tmp_path / "rules.toml"))
    return shell


def test_an_agents_bad_change_is_blocked_with_its_reason(shell: Shell) -> None:
    """It is told which rule, which row, what was found and what to do; so is the record."""
    refused = shell(
        *("update", "planes", "--where", "tailnum = 'N10156'", "--set", "seats=5500"),
        *("--actor", "agent:tidy", "--reason", "a zero was missing"),
        exit_code=1,
    )
    for text in (
        "no plane has more than 853 seats [seats-within-reason]",
        "after.seats = 5500 in N10156",
        "not > 853",
        "check the type certificate",
    ):
        assert text in refused.stderr
    with lakecore.open(shell.lake) as lake:
        rows = lake.sql("select seats from planes where tailnum = 'N10156'").to_pylist()
        assert rows == [{"seats": 55}]
        (decision,) = lake.sql(
            "select outcome, actor, reason, rule_set, rule_set_version from system.decisions"
            " where outcome <> 'committed'"
        ).to_pylist()
        assert decision == {
            "outcome": "refused",
            "actor": "agent:tidy",
            "reason": "a zero was missing",
            "rule_set": "fleet",
            "rule_set_version": 0,
        }
        assert lake.verify().status == "green"


def test_a_dry_run_is_approved_by_a_second_person(shell: Shell) -> None:
    """What the agent may not do by itself waits with its diff; a person looks, and approves."""
    held = shell.json(
        *("update", "planes", "--where", "seats = 182", "--set", "seats=180"),
        *("--actor", "agent:tidy", "--reason", "as certified"),
    )
    change = held["mutation_id"]
    assert (held["held"], held["tier"], held["version"]) == (True, "dry_run", None)
    shell("approve", change, "--actor", "agent:tidy", exit_code=1)

    shown = shell("pending", change).stdout
    assert "auto allows rows up to 1: found 2" in shown
    assert "N102UW" in shown
    assert "182" in shown
    assert "as certified" in shown

    approved = shell("approve", change, "--actor", "bo").stdout
    assert "planes: 2 updated; version 1" in approved
    with lakecore.open(shell.lake) as lake:
        last = lake.history("planes", "N102UW", "seats")[-1]
        assert (last.actor, last.new_value, last.mutation_id) == ("agent:tidy", "180", change)
        assert json.loads(last.context)["approved_by"] == "bo"
        (mutation,) = lake.sql(
            "select * from system.mutations where mutation_id = $id", {"id": change}
        ).to_pylist()
        assert (mutation["version"], mutation["updates"], mutation["reason"]) == (
            *(1, 2),
            "as certified",
        )
        (decision,) = lake.sql(
            "select approved_by, version from system.decisions"
            " where mutation_id = $id and outcome = 'committed'",
            {"id": change},
        ).to_pylist()
        assert decision == {"approved_by": "bo", "version": 1}
        assert lake.verify().status == "green"
    assert shell.json("pending") == []
    (done,) = shell.json("pending", "--all")
    assert (done["state"], done["decided_by"]) == ("committed", "bo")


def test_what_changed_meanwhile_is_shown_again(shell: Shell) -> None:
    """An approval is for what was shown, and for nothing else."""
    change = shell.json(
        *("update", "planes", "--where", "seats = 182", "--set", "seats=180"),
        *("--tier", "dry_run", "--actor", "ada"),
    )["mutation_id"]
    with lakecore.open(shell.lake, actor="bo") as lake:
        lake.update("planes", set={"seats": 200}, where="tailnum = 'N102UW'")
        with pytest.raises(Conflict, match="waits again"):
            lake.approve(change)
        assert lake.approve(change).updated == 1


def test_a_files_rows_wait(shell: Shell, tmp_path: Path) -> None:
    """An ingest is a change like any other, also one that would make its dataset."""
    file = tmp_path / "more.csv"
    file.write_text("tailnum,seats\nN5,5\nN6,6\n")
    for dataset in ("planes", "gliders"):
        options = ("--dataset", dataset, *(("--key", "tailnum") if dataset == "gliders" else ()))
        (result,) = shell.json(
            *("ingest", str(file), *options, "--tier", "dry_run", "--actor", "loader")
        )
        assert (result["held"], result["version"], result["inserted"]) == (True, None, 2)
        with lakecore.open(shell.lake, actor="bo") as lake:
            assert len(lake.pending()) == 1
            names = [entry.name for entry in lake.datasets()]
            assert ("gliders" in names) is False
            assert lake.approve(result["mutation_id"]).inserted == 2
            found = lake.sql(f"select * from {dataset} where seats < 10 order by 1").to_pylist()
            assert [row["tailnum"] for row in found] == ["N5", "N6"]
            assert lake.verify().status == "green"
        (again,) = shell.json("ingest", str(file), "--dataset", dataset)
        assert again["duplicate_of"] is not None


def test_a_rejected_change(shell: Shell) -> None:
    """It is not made; who said so, and why, is kept."""
    change = shell.json("delete", "planes", "--where", "seats = 55", "--tier", "dry_run")
    said = shell("reject", change["mutation_id"], "--actor", "bo", "--reason", "still flying")
    assert "is rejected" in said.stdout
    shell("approve", change["mutation_id"], "--actor", "cy", exit_code=4)
    with lakecore.open(shell.lake) as lake:
        (row,) = lake.sql("select state, decided_by from system.pending").to_pylist()
        assert row == {"state": "rejected", "decided_by": "bo"}


def test_previews_and_everything(shell: Shell) -> None:
    """A preview shows and keeps nothing; a condition that matches every row has to say so."""
    preview = shell("delete", "planes", "--where", "seats = 55", "--tier", "preview")
    assert "1 deleted" in preview.stdout
    assert "nothing waits" in preview.stderr
    refused = shell("delete", "planes", "--where", "seats > 0", exit_code=1)
    assert "--all" in refused.stderr
    assert "3 deleted" in shell("delete", "planes", "--where", "seats > 0", "--all").stdout


def test_python_is_the_same_door(shell: Shell) -> None:
    """The rules are asked there, too."""
    with lakecore.open(shell.lake, actor="agent:x") as lake, pytest.raises(Refused):
        lake.upsert("planes", [{"tailnum": "N9", "seats": 9000}])
