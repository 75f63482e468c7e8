"""``lakecore keys`` on a real lake: what is printed where, once."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from lakecore.app import open_lake
from lakecore.auth._text import parse_key
from lakecore.base import Unauthenticated
from lakecore.cli import root

Run = Callable[..., Result]


@pytest.fixture
def run(tmp_path: Path) -> Run:
    folder = tmp_path / "lake"
    open_lake(str(folder)).close()

    def invoke(*arguments: str) -> Result:
        given = ["--lake", str(folder), "keys", *arguments]
        return CliRunner().invoke(root, given, catch_exceptions=False)

    return invoke


def made(result: Result) -> str:
    """The one line on standard output: a key's text."""
    assert result.exit_code == 0, result.stderr
    (text,) = result.stdout.splitlines()
    assert text not in result.stderr
    return text


def test_the_first_key(run: Run, tmp_path: Path) -> None:
    """Whoever owns the lake's files makes it; it opens everything, and is shown once."""
    created = run("create", "ada", "--admin", "--expires", "90d", "--reason", "the first")
    text = made(created)
    assert "not shown again" in created.stderr
    listed = run("list")
    assert "ada" in listed.stdout
    assert text[16:] not in listed.stdout
    with open_lake(str(tmp_path / "lake"), create=False) as lake:
        principal = lake._parts.keys.authenticate(text)
        assert all(principal.scopes.covers(action, None) for action in ("read", "admin"))
        assert lake.keys.list()[0].expires_us is not None


def test_rotated_and_revoked(run: Run, tmp_path: Path) -> None:
    """The successor is printed, the old key lives on for the overlap; a revoked one is hidden."""
    first = made(run("create", "agent:tidy", "--scope", "read", "--dataset", "hr.*"))
    old_id = parse_key(first).key_id
    rotated = run("rotate", old_id, "--overlap", "30m")
    second = made(rotated)
    assert "lives until" in rotated.stderr
    revoked = run("revoke", old_id, "--reason", "leaked")
    assert f"revoked {old_id}" in revoked.stdout
    assert "lives on" in revoked.stderr
    (row,) = json.loads(run("list", "--json").stdout)
    assert (row["id"], row["scopes"]) == (parse_key(second).key_id, ["read:hr.*"])
    states = {row["id"]: row["state"] for row in json.loads(run("list", "--all", "--json").stdout)}
    assert states == {old_id: "revoked", parse_key(second).key_id: "live"}
    with open_lake(str(tmp_path / "lake"), create=False) as lake:
        lake._parts.keys.authenticate(second)
        with pytest.raises(Unauthenticated):
            lake._parts.keys.authenticate(first)


def test_as_json(run: Run) -> None:
    """One object with the key's text, and of the rest what may be shown."""
    answer = run("create", "bob", "--scope", "write:planes", "--role", "chief", "--json")
    document = json.loads(answer.stdout)
    assert parse_key(document["key"]).key_id == document["id"]
    assert (document["principal"], document["roles"]) == ("bob", ["chief"])
    assert not any("sha" in name for name in document)
    revoked = json.loads(run("revoke", document["id"], "--json").stdout)
    assert revoked["revoked_us"]
    assert not any("sha" in name for name in revoked)


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (("create", "ada"), "scopes"),
        (("create", "ada", "--scope", "read"), "datasets"),
        (("create", "ada", "--scope", "fly:*"), "approve"),
        (("create", "ada", "--admin", "--scope", "read:*"), "leave --scope out"),
        (("create", "ada", "--admin", "--expires", "soon"), "not a time"),
        (("create", "ada", "--admin", "--expires", "999999999d"), "end"),
        (("create", "ada", "--admin", "--expires", "2001-01-01"), "end"),
        (("create", "ada", "--admin", "--trust", "7"), "0 to 1"),
        (("create", "agent:x", "--admin", "--kind", "person"), "differ"),
        (("rotate", "nothing"), "no key"),
        (("revoke", "0123456789ab"), "0123456789ab"),
    ],
)
def test_bad_usage(run: Run, arguments: tuple[str, ...], says: str) -> None:
    """Told in a line, with an exit code, and nothing is made."""
    answer = run(*arguments)
    assert answer.exit_code == 2
    assert says in answer.stderr
    assert json.loads(run("list", "--all", "--json").stdout) == []


def test_bad_overlap(run: Run) -> None:
    """An overlap is a duration."""
    text = made(run("create", "ada", "--admin"))
    answer = run("rotate", parse_key(text).key_id, "--overlap", "tomorrow")
    assert (answer.exit_code, "duration" in answer.stderr) == (2, True)
