"""Bad requests, SQL, events and places at the command line: what it says, nothing half done.

After each of them the lake verifies, takes the next good file, and verifies again.
"""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest
from tests.integration.soundly import assert_sound, lakecore

REQUESTS: list[tuple[str, int, tuple[str, ...]]] = [
    ("datasets nosuch", 2, ("no dataset of that name", "nosuch", "hint:")),
    ("datasets evolv", 2, ("no dataset of that name", "evolve")),
    ("history nosuch 1", 2, ("no dataset of that name", "nosuch")),
    ("blame nosuch 1", 2, ("no dataset of that name", "nosuch")),
    ("drop nosuch --yes", 2, ("no dataset of that name", "nosuch")),
    ("drop evolve", 2, ("--yes",)),
    ("undrop evolve", 2, ("no dropped dataset",)),
    ("rename evolve freeze", 2, ("freeze",)),
    ("alter evolve", 2, ("nothing to change", "hint:")),
    ("alter evolve --contract loose", 2, ("'loose' is not one of", "hint:")),
    ("update nosuch --all --set a=1", 2, ("no dataset of that name",)),
    ("update evolve --set a=1", 2, ("this would change every row", "--all")),
    ("update evolve --all --set b=1", 2, ("no such column", "b", "columns are id, a")),
    ("update evolve --all --set id=7", 2, ("the same key occurs more than once", "7")),
    ("update evolve --all --set id=x", 2, ("does not fit the column", "int64", "'x'")),
    ("update evolve --where idd=1 --set a=1", 2, ("no such column", "idd", "did you mean 'id'")),
    ("delete evolve", 2, ("this would change every row", "--all")),
    ("update system.journal --all --set actor=x", 2, ("system.journal",)),
    ("journal query --since yesterday", 2, ("not a time", "yesterday", "--since")),
    ("journal query --cursor x", 2, ("not a cursor",)),
    ("config show --config gone.toml", 2, ("gone.toml",)),
    ("nosuch", 2, ("there is no command 'nosuch'", "hint:")),
    ("verifi", 2, ("did you mean 'verify'?",)),
    ("--nosuch", 2, ("no such option", "hint:")),
    ("ingest", 2, ("missing argument", "hint:")),
    ("sql", 2, ("missing argument", "hint:")),
]

QUERIES: list[tuple[str, int, tuple[str, ...]]] = [
    ("", 2, ("the statement is empty",)),
    ("selec 1", 2, ("syntax error", "line 1, column 1")),
    ("select * from evolve where", 2, ("syntax error", "the end of the text", "column 27")),
    ("select 1; select 2", 2, ("more than one statement", "hint:")),
    ("select * from evolv", 2, ("no such table", "evolv", "evolve")),
    ("select b from evolve", 2, ("no such column", "evolve.id", "line 1, column 8")),
    ("select nosuch(1)", 2, ("nosuch",)),
    ("select * from evolve where id = $x", 2, ("a parameter has no value", "$x", "--param")),
    ("select * from as_of('evolve', 9)", 2, ("no such version", "0 to 0", "9")),
    ("select * from as_of('evolve', 'once')", 2, ("no version and no time", "once")),
    ("select cast('x' as int)", 2, ("'x'",)),
    ("drop table evolve", 1, ("read-only", "hint:")),
    ("copy evolve to 'out.csv'", 1, ("read-only",)),
    ("select * from read_csv('/etc/passwd')", 2, ("read_csv",)),
]


@pytest.mark.parametrize(("command", "exit_code", "says"), REQUESTS)
def test_bad_request(lake: Path, command: str, exit_code: int, says: tuple[str, ...]) -> None:
    """What was asked for, what there is instead, and nothing has changed."""
    before = lakecore(lake, "status").stdout
    result = lakecore(lake, *command.split(), exit_code=exit_code)
    for text in says:
        assert text in result.stderr
    assert result.stdout == ""
    assert lakecore(lake, "status").stdout == before


@pytest.mark.parametrize(("query", "exit_code", "says"), QUERIES)
def test_bad_sql(made: Path, query: str, exit_code: int, says: tuple[str, ...]) -> None:
    """Where in the statement, and what would be right."""
    result = lakecore(made, "sql", query, exit_code=exit_code)
    for text in says:
        assert text in result.stderr
    assert result.stdout == ""


def test_after_bad_requests(made: Path, tmp_path: Path) -> None:
    """The lake that took all the bad SQL is as it was."""
    assert_sound(Path(shutil.copytree(made, tmp_path / "lake")))


@pytest.mark.parametrize(
    ("line", "says"),
    [
        ("no json", ("a line is not JSON", "line 2")),
        ("[1]", ("not a JSON object", "line 2")),
        ('{"entity_type": "a"}', ("an event needs this field", "entity_id")),
        ('{"entity_type": "a", "entity_id": "1", "action": "x", "b": 1}', ("no such field", "'b'")),
    ],
)
def test_bad_events(lake: Path, line: str, says: tuple[str, ...]) -> None:
    """Which line, and how many before it are recorded."""
    good = '{"entity_type": "job", "entity_id": "7", "action": "start"}'
    result = lakecore(lake, "journal", "record", stdin=f"{good}\n{line}\n", exit_code=2)
    for text in ("0 events recorded", *says):
        assert text in result.stderr
    assert_sound(lake)


@pytest.mark.parametrize(
    ("content", "exit_code", "says"),
    [
        (b"", 1, ("identity is not readable", "0 bytes", "lakecore.json", "backup")),
        (b'{"format": 1, "lake', 1, ("identity is not readable", "no JSON", "backup")),
        (b"[]", 1, ("identity is not readable", "without a format")),
        (b'{"format": 1, "lake_id": 7}', 1, ("identity is not readable", "lake_id")),
        (b'{"format": 2}', 2, ("format is unknown", "expected: 1", "found:    2", "newer")),
    ],
)
def test_a_damaged_or_newer_identity(
    lake: Path, tmp_path: Path, content: bytes, exit_code: int, says: tuple[str, ...]
) -> None:
    """No command goes on; with the file back, all is as it was."""
    identity, file = lake / "lakecore.json", tmp_path / "file.csv"
    was = identity.read_bytes()
    identity.chmod(0o644)
    identity.write_bytes(content)
    file.write_bytes(b"id,a\n7,x\n")
    for command in ("datasets", "verify", "init", f"ingest {file} --dataset evolve"):
        result = lakecore(lake, *command.split(), exit_code=exit_code)
        for text in says:
            assert text in result.stderr
    assert identity.read_bytes() == content
    identity.write_bytes(was)
    assert_sound(lake)


@pytest.mark.parametrize(
    ("place", "says"),
    [
        ("gone", ("there is no lake here", "gone", "lakecore init")),
        ("file", ("a file is in the way", "a file", "hint:")),
        ("file/below", ("a file is in the way", "hint:")),
        ("", ("no place for the store", "expected:")),
        ("ftp://host/lake", ("no store of this kind", "expected:", "ftp://")),
        ("s3://", ("no bucket in the URL", "s3://bucket/prefix")),
    ],
)
def test_a_wrong_place(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, place: str, says: tuple[str, ...]
) -> None:
    """What is there instead, and what would do."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "file").write_text("not a lake")
    for command in ("datasets", "verify", "sql select"):
        result = lakecore(place, *command.split(), exit_code=2)
        for text in says:
            assert text in result.stderr
    assert [path.name for path in tmp_path.iterdir()] == ["file"]
