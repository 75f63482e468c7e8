"""Each command: what it asks of the lake, and how it shows the answer."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import BinaryIO

import pytest
from tests.fakes.fake_lake import FakeLake, event
from tests.unit.cli.conftest import Run

from lakecore.base import InvalidInput
from lakecore.catalog import Dataset
from lakecore.cli._update import parse_assignments
from lakecore.tables import MutationResult, Sql

PLANES = Dataset(
    name="planes", dataset_id="d", location="tables/main/planes", key=("tailnum",), version=2
)
DESCRIBED = {
    "name": "planes",
    "dataset_id": "d",
    "key": ["tailnum"],
    "entity_type": "plane",
    "contract": "evolve",
    "protected": False,
    "owner": "",
    "description": "",
    "location": "tables/main/planes",
    "version": 3,
    "rows": 3322,
    "files": 1,
    "size_bytes": 40_000,
    "columns": [{"name": "tailnum", "type": "string", "nullable": True}],
}
RESULT = MutationResult(
    mutation_id="m", commit_id="c", dataset="planes", version=3, updated=1, events=1
)


def columns_of(line: str) -> list[str]:
    """The cells of a table's line."""
    return [cell.strip() for cell in line.split("  ") if cell.strip()]


def test_init_makes_the_lake(run: Run, lake: FakeLake) -> None:
    """Only here and in ingest is a lake made that is not there."""
    assert "memory://" in run("init").stdout
    assert lake.opened["create"] is True
    assert json.loads(run("init", "--json").stdout) == {
        "lake": "memory://",
        "lake_id": lake.lake_id,
    }


def test_datasets_lists_them(run: Run, lake: FakeLake) -> None:
    """One line each, counts with separators."""
    lake.answers |= {"datasets": [PLANES], "describe": DESCRIBED}
    lines = run("datasets").stdout.splitlines()
    assert columns_of(lines[0]) == ["dataset", "rows", "columns", "size", "version", "key"]
    assert columns_of(lines[2]) == ["planes", "3,322", "1", "39.1 KiB", "3", "tailnum"]
    assert json.loads(run("datasets", "--json").stdout) == [{**DESCRIBED, "state": "active"}]


def test_no_datasets_is_no_error(run: Run, lake: FakeLake) -> None:
    """An empty answer on stdout, a hint on stderr; `[]` as JSON."""
    lake.answers["datasets"] = []
    result = run("datasets")
    assert (result.exit_code, result.stdout) == (0, "")
    assert "lakecore ingest" in result.stderr
    assert json.loads(run("datasets", "--json").stdout) == []


def test_datasets_describes_one(run: Run, lake: FakeLake) -> None:
    """Properties, then columns."""
    lake.answers |= {"dataset": PLANES, "describe": DESCRIBED}
    text = run("datasets", "planes").stdout
    assert "39.1 KiB in 1 file" in text
    assert columns_of(text.splitlines()[-1]) == ["tailnum", "string", "yes"]
    one = json.loads(run("datasets", "planes", "--json").stdout)
    assert one == {**DESCRIBED, "state": "active"}


def test_drop_needs_a_yes(run: Run, lake: FakeLake) -> None:
    """Without a terminal to ask at, --yes has to be given; nothing is dropped before."""
    result = run("drop", "planes")
    assert result.exit_code == 2
    assert "--yes" in result.stderr
    assert lake.calls == []


def test_drop_passes_on_who_and_why(run: Run, lake: FakeLake) -> None:
    """The actor opens the lake, the reason goes with the change."""
    lake.answers["drop"] = PLANES
    result = run("drop", "planes", "--yes", "--actor", "grace", "--reason", "twice")
    assert result.exit_code == 0
    assert lake.opened["actor"] == "grace"
    assert lake.last == ("drop", ("planes",), {"source": "cli", "reason": "twice"})
    assert "lakecore undrop planes" in result.stdout
    gone = replace(PLANES, state="dropped", purge_after_us=1_795_972_277_284_503)
    lake.answers["drop"] = gone
    assert json.loads(run("drop", "planes", "--yes", "--json").stdout) == {
        "name": "planes",
        "dataset_id": "d",
        "key": ["tailnum"],
        "entity_type": PLANES.entity_type,
        "state": "dropped",
        "until": "2026-11-29T17:11:17.284503Z",
    }


def test_rename_undrop_alter(run: Run, lake: FakeLake) -> None:
    """Each prints the entry that it left behind."""
    lake.answers |= {"rename": PLANES, "undrop": PLANES, "alter": PLANES, "describe": DESCRIBED}
    assert run("rename", "old", "planes").stdout == "old is planes now\n"
    assert lake.last == ("rename", ("old", "planes"), {"source": "cli", "reason": ""})
    assert run("undrop", "planes").stdout == "planes is back\n"
    assert run("alter", "planes", "--protect", "--owner", "ada").exit_code == 0
    assert lake.last[2] == {"source": "cli", "reason": "", "protected": True, "owner": "ada"}
    run("alter", "planes", "--unprotect")
    assert lake.last[2]["protected"] is False
    for command in (["alter", "planes", "--protect"], ["undrop", "planes"], ["rename", "a", "b"]):
        assert json.loads(run(*command, "--json").stdout) == {**DESCRIBED, "state": "active"}


def test_alter_without_a_property_is_bad_usage(run: Run, lake: FakeLake) -> None:
    """Nothing to change is a mistake, not a success."""
    assert run("alter", "planes").exit_code == 2
    assert run("alter", "planes", "--contract", "loose").exit_code == 2
    assert lake.calls == []


def test_update(run: Run, lake: FakeLake) -> None:
    """Condition, assignments, author and dry run reach the lake."""
    lake.answers["update"] = RESULT
    result = run(
        "update", "planes", "--where", "seats > 1", "--set", "seats=60", "--reason", "refit"
    )
    assert result.stdout == "planes: 1 updated; version 3, 1 event\n"
    assert lake.last == (
        "update",
        ("planes",),
        {
            "set": {"seats": "60"},
            "where": "seats > 1",
            "keys": None,
            "all": False,
            "source": "cli",
            "reason": "refit",
            "tier": "auto",
        },
    )
    assert json.loads(run("update", "planes", "--all", "--set", "a=1", "--json").stdout) == {
        "mutation_id": "m",
        "commit_id": "c",
        "dataset": "planes",
        "version": 3,
        "inserted": 0,
        "updated": 1,
        "deleted": 0,
        "unchanged": 0,
        "missing": 0,
        "conflicts": 0,
        "events": 1,
        "dry_run": False,
        "changes": [],
        "tier": "auto",
        "held": False,
        "digest": None,
    }
    assert lake.last[2]["all"] is True


def test_a_preview_shows_the_changes(run: Run, lake: FakeLake) -> None:
    """What would change is the result; that nothing did is said beside it."""
    change = {
        "action": "update",
        "entity_id": "N1",
        "field": "seats",
        "old_value": "55",
        "new_value": None,
    }
    lake.answers["delete"] = MutationResult(
        mutation_id="m",
        commit_id=None,
        dataset="planes",
        version=None,
        deleted=1,
        dry_run=True,
        changes=(change,),
    )
    result = run("delete", "planes", "--where", "true", "--tier", "preview")
    assert lake.last[2]["tier"] == "preview"
    lines = result.stdout.splitlines()
    assert lines[0] == "planes: 1 deleted"
    assert columns_of(lines[-1]) == ["update", "N1", "seats", "55"]
    assert result.stderr == "only shown: nothing was changed, nothing waits\n"


def test_a_change_of_nothing_says_so(run: Run, lake: FakeLake) -> None:
    """No version, no events: not an error."""
    lake.answers["delete"] = MutationResult(
        mutation_id="m", commit_id=None, dataset="planes", version=None
    )
    result = run("delete", "planes", "--where", "false")
    assert (result.exit_code, result.stdout) == (0, "planes: nothing to change\n")


def test_assignments() -> None:
    """Values as they stand, SQL text without its quotes, expressions after ':='."""
    assert parse_assignments(["a=1", "b=x=y", "c='O''Hare'", "d:=d + 1", "e:=NULL", "f="]) == {
        "a": "1",
        "b": "x=y",
        "c": "O'Hare",
        "d": Sql("d + 1"),
        "e": Sql("NULL"),
        "f": "",
    }
    with pytest.raises(InvalidInput, match="a column is set twice"):
        parse_assignments(["a=1", "a:=2"])
    with pytest.raises(InvalidInput, match="NAME=VALUE"):
        parse_assignments(["a"])


def test_history(run: Run, lake: FakeLake) -> None:
    """Time, version, actor, action, field, old → new, reason."""
    lake.answers["history"] = [event(), event(field="*", action="delete", new_value=None)]
    lines = run("history", "planes", "N10156", "--field", "seats").stdout.splitlines()
    assert lake.last == ("history", ("planes", "N10156"), {"field": "seats"})
    assert columns_of(lines[2]) == [
        "2026-11-22 09:30:01.250 UTC",
        "3",
        "ada",
        "update",
        "seats",
        "55 → 60",
        "refitted",
    ]
    assert "55 → gone" in lines[3]
    shown = json.loads(run("history", "planes", "N10156", "--json").stdout)
    assert shown[0]["timestamp"] == "2026-11-22T09:30:01.250000Z"
    assert (shown[0]["old_value"], shown[0]["new_value"]) == ("55", "60")


def test_history_of_a_composite_key(run: Run, lake: FakeLake) -> None:
    """A JSON array is a key of several columns; nothing found is no error."""
    lake.answers["history"] = []
    result = run("history", "weather", '["EWR", 7]')
    assert lake.last[1] == ("weather", ["EWR", 7])
    assert (result.exit_code, result.stdout) == (0, "")
    assert "no events" in result.stderr


def test_blame(run: Run, lake: FakeLake) -> None:
    """The last event of each field."""
    lake.answers["blame"] = {"seats": event()}
    lines = run("blame", "planes", "N10156").stdout.splitlines()
    assert columns_of(lines[2])[:3] == ["seats", "60", "ada"]
    assert json.loads(run("blame", "planes", "N10156", "--json").stdout)["seats"]["seq"] == 7


def test_journal_recent(run: Run, lake: FakeLake) -> None:
    """Sealed events by number, others as pending; control characters cannot steer."""
    lake.journal.answers["recent"] = [event(seq=None), event(seq=1234, actor="a\x1b[2J")]
    result = run("journal", "recent", "--limit", "2")
    assert lake.journal.last == ("recent", (2,), {})
    assert "pending" in result.stdout
    assert "1,234" in result.stdout
    assert "a\\x1b[2J" in result.stdout
    assert "\x1b" not in result.stdout
    assert len(json.loads(run("journal", "recent", "--json").stdout)) == 2


def test_journal_query(run: Run, lake: FakeLake) -> None:
    """Filters by name, times with a zone, a page at a time."""
    lake.journal.answers["query"] = SimpleNamespace(items=[event()], next="c2")
    result = run("journal", "query", "--actor", "ada", "--since", "2026-01-31", "--cursor", "c1")
    name, _, filters = lake.journal.last
    assert (name, filters["actor"], filters["cursor"], filters["limit"]) == (
        "query",
        "ada",
        "c1",
        100,
    )
    assert filters["since"].isoformat() == "2026-01-31T00:00:00+00:00"
    assert "until" not in filters
    assert "--cursor c2" in result.stderr
    assert json.loads(run("journal", "query", "--json").stdout)["next"] == "c2"
    assert run("journal", "query", "--since", "yesterday").exit_code == 2


def test_journal_stats_and_flush(run: Run, lake: FakeLake) -> None:
    """Numbers with separators; how many were sealed."""
    lake.journal.answers |= {"stats": {"tree_size": 336776, "root": "ab"}, "flush": 2}
    assert "336,776" in run("journal", "stats").stdout
    assert run("journal", "flush").stdout == "2 events sealed\n"
    assert json.loads(run("journal", "flush", "--json").stdout) == {"sealed": 2}


def test_journal_record(run: Run, lake: FakeLake) -> None:
    """Lines become events with defaults for actor and source, 1,000 at a time."""
    line = '{"entity_type": "job", "entity_id": "7", "action": "start", "source": "cron"}\n'
    result = run("journal", "record", "--actor", "ada", stdin=line + "\n" + line * 1000)
    assert result.stdout == "1,001 events recorded\n"
    batches = [call[1][0] for call in lake.journal.calls]
    assert [len(batch) for batch in batches] == [1000, 1]
    assert batches[0][0] == {
        "actor": "ada",
        "source": "cron",
        "entity_type": "job",
        "entity_id": "7",
        "action": "start",
    }
    assert json.loads(run("journal", "record", "--json", stdin=line).stdout) == {"recorded": 1}


@pytest.mark.parametrize("line", ["{", "[]", "7", "\\xff"])
def test_journal_record_refuses_what_is_no_object(run: Run, lake: FakeLake, line: str) -> None:
    """The line is named, and how many events are recorded."""
    result = run("journal", "record", stdin='{"entity_type": "t"}\n' + line)
    assert result.exit_code == 2
    assert "where:    line 2" in result.stderr
    assert "0 events recorded before this" in result.stderr


class Rows:
    """A result that writes its format's name."""

    row_count = 5

    def __init__(self, error: Exception | None = None, *, truncated: bool = False) -> None:
        self.error = error
        self.truncated = truncated

    def write(self, format_name: str, stream: BinaryIO, *, shown_rows: int) -> None:
        """The name, then the error if there is one."""
        stream.write(format_name.encode())
        if self.error is not None:
            raise self.error


@pytest.mark.parametrize(
    ("arguments", "format_name"),
    [
        ([], "table"),
        (["--json"], "json"),
        (["--format", "csv"], "csv"),
        (["--json", "--format", "ndjson"], "ndjson"),
        (["--format", "parquet"], "parquet"),
    ],
)
def test_sql_formats(run: Run, lake: FakeLake, arguments: list[str], format_name: str) -> None:
    """A table for people, JSON with --json, else what was asked for."""
    lake.answers["sql"] = Rows()
    assert run("sql", "select 1", *arguments).stdout == format_name
    assert lake.last == ("sql", ("select 1", None), {})


def test_sql_parameters_and_limits(run: Run, lake: FakeLake) -> None:
    """Typed parameters; limits only when given; '-' reads the statement from stdin."""
    lake.answers["sql"] = Rows()
    arguments = ["--param", "n=7", "--param", "code=007", "--max-rows", "5", "--timeout", "1.5"]
    assert run("sql", "-", *arguments, stdin="select $n").exit_code == 0
    assert lake.last == (
        "sql",
        ("select $n", {"n": 7, "code": "007"}),
        {"max_rows": 5, "timeout_s": 1.5},
    )


def test_sql_says_that_rows_are_missing(run: Run, lake: FakeLake) -> None:
    """A result that was cut off does not look whole."""
    lake.answers["sql"] = Rows(truncated=True)
    assert "cut off after 5 rows" in run("sql", "select 1", "--max-rows", "5").stderr


def test_sql_into_a_file(run: Run, lake: FakeLake, tmp_path: Path) -> None:
    """The ending names the format; a query that fails leaves the old file."""
    path = tmp_path / "out.csv"
    lake.answers["sql"] = Rows()
    assert run("sql", "select 1", "-o", str(path)).stdout == ""
    assert path.read_bytes() == b"csv"
    lake.answers["sql"] = Rows(InvalidInput("no such column"))
    assert run("sql", "select 2", "-o", str(path), "--format", "json").exit_code == 2
    assert path.read_bytes() == b"csv"
    assert list(tmp_path.iterdir()) == [path]


def test_the_mark_of_an_error_stands_below_the_query(run: Run, lake: FakeLake) -> None:
    """Text of several lines keeps them, each without its control characters."""
    lake.answers["sql"] = InvalidInput(
        "syntax error", found="the end\n  select\x1b 1 +\n          ^"
    )
    lines = run("sql", "select 1 +").stderr.splitlines()
    assert lines[1:] == [
        "  found:    the end",
        "              select\\x1b 1 +",
        "                      ^",
    ]


def test_sql_into_a_folder_that_is_not_there(run: Run, lake: FakeLake, tmp_path: Path) -> None:
    """The path is named; not a bug of ours."""
    lake.answers["sql"] = Rows()
    result = run("sql", "select 1", "-o", str(tmp_path / "gone" / "out.csv"))
    assert result.exit_code == 2
    assert "cannot be written there" in result.stderr
    assert f"{tmp_path / 'gone' / 'out.csv'}\n" in result.stderr
