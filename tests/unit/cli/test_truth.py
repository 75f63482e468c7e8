"""``lakecore truth`` on a lake: asked, tested, put in force, refused."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner, Result

from lakecore.cli import root

Run = Callable[..., Result]

RULES = """\
name = "fleet"

[[rule]]
id = "seats"
task_class = ["insert", "update"]
when = { field_greater = { path = "after.seats", value = 853 } }
action = "deny"
message = "too many"

[[rule.test]]
context = { after = { seats = 900 } }
expect = "fired"

[[tier]]
kind = "agent"
auto = { rows = 10 }
dry_run = {}
approval = { roles = ["chief"] }
"""
CHANGE = {
    "dataset": "planes",
    "principal": {"name": "bot", "kind": "agent"},
    "size": {"rows": 11, "fields": 11, "bytes": 88, "fraction": 0.1},
    "after": {"seats": 4},
}


@pytest.fixture
def run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Run:
    """Run ``lakecore truth`` with arguments, in a folder with a lake and files of rules."""
    for name in ("LAKECORE_LAKE", "LAKECORE_ACTOR", "LAKECORE_TRACEBACK"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.chdir(tmp_path)
    Path("rules.toml").write_text(RULES)
    Path("failing.toml").write_text(RULES.replace("seats = 900", "seats = 1"))
    Path("closed.toml").write_text('default = "deny"\n')
    Path("change.json").write_text(json.dumps(CHANGE))
    CliRunner().invoke(root, ["init"], catch_exceptions=False)

    def invoke(*arguments: str, stdin: str | None = None) -> Result:
        return CliRunner().invoke(root, ["truth", *arguments], input=stdin, catch_exceptions=False)

    return invoke


def answered(result: Result) -> Any:
    """What was printed as JSON."""
    return json.loads(result.stdout)


def test_a_lake_without_rules(run: Run) -> None:
    """It says so, and allows everything."""
    result = run("list")
    assert (result.exit_code, result.stdout) == (0, "")
    assert "there are no rules" in result.stderr
    assert "no rules yet" in run("list", "--versions").stderr
    assert answered(run("list", "--json"))["version"] is None
    assert run("evaluate", "update").exit_code == 0
    assert "no rule concerns update" in run("check", "update").stderr


def test_rules_are_put_in_force(run: Run) -> None:
    """With what was tested and what differs; again, they are in force already."""
    result = run("apply", "rules.toml", "--actor", "ada", "--reason", "new fleet")
    assert result.exit_code == 0
    assert result.stdout.splitlines() == [
        "1 test, 0 failed",
        "rule seats is new",
        "the name of the rule set changes",
        "tiers change: 1 new, 0 gone",
        "in force as version 0",
    ]
    assert run("apply", "rules.toml").stdout.endswith("in force already, as version 0\n")
    listed = run("list").stdout
    assert "seats  insert, update  deny" in listed
    assert "agent  *        *      rows ≤ 10  any size  never  another (chief)" in listed
    assert run("list", "--toml").stdout == RULES
    (version,) = answered(run("list", "--versions", "--json"))
    assert (version["actor"], version["reason"], version["source"]) == ("ada", "new fleet", "cli")
    assert "new fleet" in run("list", "--versions").stdout
    assert answered(run("list", "--json", "--version", "0"))["rule"][0]["id"] == "seats"
    assert run("list", "--version", "1").exit_code == 2


def test_a_dry_run_puts_nothing_in_force(run: Run) -> None:
    """Everything is looked at all the same."""
    result = run("apply", "rules.toml", "--dry-run")
    assert (result.exit_code, "nothing was put in force" in result.stderr) == (0, True)
    assert "rule seats is new" in result.stdout
    assert run("apply", "failing.toml", "--dry-run", "--force").exit_code == 1
    assert run("apply", "closed.toml", "--dry-run").exit_code == 1
    assert run("apply", "closed.toml", "--dry-run", "--force").exit_code == 0
    assert answered(run("list", "--json"))["version"] is None


def test_rules_that_are_refused(run: Run) -> None:
    """The report on stdout, the error on stderr, exit code 1; force is for findings only."""
    result = run("apply", "failing.toml")
    assert result.exit_code == 1
    assert "failed: seats, test 1: expected fired, found not_fired" in result.stdout
    assert "error: the rules' own tests fail" in result.stderr
    assert run("apply", "failing.toml", "--force").exit_code == 1
    result = run("apply", "closed.toml", "--json")
    assert (result.exit_code, answered(result)["findings"][0]["kind"]) == (1, "denies_everything")
    assert json.loads(result.stderr)["error"]["type"] == "refused"
    assert run("apply", "closed.toml", "--force").exit_code == 0
    assert run("evaluate", "update").exit_code == 1
    assert run("apply", "rules.toml").exit_code == 0


def test_an_older_version_again(run: Run) -> None:
    """As a new version."""
    run("apply", "rules.toml")
    run("apply", "closed.toml", "--force")
    result = run("apply", "--version", "0")
    assert (result.exit_code, result.stdout.endswith("in force as version 2\n")) == (0, True)
    assert run("list", "--toml").stdout == RULES
    assert run("apply").exit_code == 2
    assert run("apply", "rules.toml", "--version", "0").exit_code == 2
    assert run("apply", "--version", "7").exit_code == 2


def test_what_could_apply(run: Run) -> None:
    """By task class, of the lake's rules or of a file's."""
    assert "too many" in run("check", "update", "--rules", "rules.toml").stdout
    run("apply", "rules.toml")
    (could,) = answered(run("check", "insert", "--json"))
    assert (could["rule_id"], could["action"]) == ("seats", "deny")
    assert run("check", "delete").stdout == ""


def test_a_context_is_evaluated(run: Run) -> None:
    """From a file, from standard input, from options; refused and held are exit code 1."""
    run("apply", "rules.toml")
    denied = run("evaluate", "update", "--set", "after.seats=900")
    assert (denied.exit_code, "update: denied by fleet, version 0" in denied.stdout) == (1, True)
    assert "after.seats = 900: is > 853" in denied.stdout
    allowed = run("evaluate", "update", "-", "--json", stdin='{"after": {"seats": 3}}')
    assert (allowed.exit_code, answered(allowed)["action"]) == (0, "allow")
    assert answered(allowed)["outcome"] is None
    unlike = run("evaluate", "update", "--set", "after.seats=many")
    assert "could not be evaluated: after.seats: text has no order" in unlike.stdout


def test_a_change_is_evaluated_with_its_tier(run: Run) -> None:
    """Where the context tells who, where and how much."""
    run("apply", "rules.toml")
    held = run("evaluate", "update", "change.json")
    assert held.exit_code == 1
    assert held.stdout.splitlines()[:3] == [
        "dry_run: held until somebody approves",
        "  dry_run by tier entry 1: auto allows rows up to 10: found 11",
        "  may be approved by another with a role of chief",
    ]
    small = run("evaluate", "update", "change.json", "--set", "size.rows=10", "--json")
    assert (small.exit_code, answered(small)["outcome"]["tier"]) == (0, "auto")
    wanted = run("evaluate", "update", "change.json", "--set", "size.rows=10", "--tier", "sim")
    assert (wanted.exit_code, "sim was asked for; without that: auto" in wanted.stdout) == (1, True)


@pytest.mark.parametrize(
    ("arguments", "stdin", "says"),
    [
        (["-"], "[1]", "the context is not an object"),
        (["-"], "{", "the context is not JSON"),
        (["-"], "[" * 100_000, "the context is not JSON"),
        (["nothing.json"], None, "no such file"),
        (["--set", "after"], None, "--set needs a name and a value"),
        (["--set", "a..b=1"], None, "the path has an empty member"),
        (["--set", "a=1", "--set", "a.b=1"], None, "goes into what is no object"),
        (["-", "--rules", "-"], "", "standard input is either"),
        (["--rules", "rules.tom"], None, "no such file"),
    ],
)
def test_contexts_that_are_none(
    run: Run, arguments: list[str], stdin: str | None, says: str
) -> None:
    """Bad input is exit code 2, with what is wrong."""
    result = run("evaluate", "update", *arguments, stdin=stdin)
    assert (result.exit_code, says in result.stderr) == (2, True), result.stderr


def test_tests_of_rules(run: Run) -> None:
    """Of a file without a lake, or of the rules in force; failures and errors are exit code 1."""
    assert run("test", "rules.toml", "--lake", "nowhere").stdout == "1 test, 0 failed\n"
    failed = run("test", "failing.toml", "--json")
    assert (failed.exit_code, answered(failed)["tests"][0]["passed"]) == (1, False)
    closed = run("test", "closed.toml")
    assert (closed.exit_code, "critical: the default is deny" in closed.stdout) == (1, True)
    assert run("test", "-", stdin=RULES).exit_code == 0
    assert run("test", "-", stdin="[[rule]]").exit_code == 2
    Path("latin.toml").write_bytes(b'name = "\xe9"')
    assert "the file is not UTF-8" in run("test", "latin.toml").stderr
    run("apply", "rules.toml")
    assert run("test").exit_code == 0
