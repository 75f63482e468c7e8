"""restore, diff, revert and alter's columns: what they ask of the lake, and how they show it."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from typing import Any

import pyarrow as pa
import pytest
from tests.fakes.fake_lake import FakeLake
from tests.unit.cli.conftest import Run

from lakecore.tables import AddColumn, DropColumn, MutationResult, RenameColumn, WidenColumn

RESULT = MutationResult(
    mutation_id="m",
    commit_id="c",
    dataset="planes",
    version=3,
    updated=1,
    missing=2,
    conflicts=1,
    events=1,
)
LINE = {
    "entity_type": "plane",
    "entity_id": "N1",
    "field": "seats",
    "action": "update",
    "old_value": "55",
    "new_value": "60",
}


def test_restore(run: Run, lake: FakeLake) -> None:
    """A version or a time, one of them."""
    lake.answers["restore"] = RESULT
    shown = run("restore", "planes", "--version", "1", "--reason", "r").stdout
    assert shown == "planes: 1 updated, 2 not found, 1 in conflict; version 3, 1 event\n"
    options: dict[str, Any] = {"source": "cli", "reason": "r", "tier": "auto"}
    assert lake.last == ("restore", ("planes",), {"version": 1, "time": None, **options})
    run("restore", "planes", "--time", "2026-01-31", "--tier", "dry_run")
    assert lake.last[2]["time"] == datetime(2026, 1, 31, tzinfo=UTC)
    assert run("restore", "planes").exit_code == 2
    assert run("restore", "planes", "--version", "1", "--time", "2026-01-31").exit_code == 2
    assert run("restore", "planes", "--time", "noon").exit_code == 2


def test_revert(run: Run, lake: FakeLake) -> None:
    """The mutation's id, and whether conflicts are passed over."""
    lake.answers["revert"] = RESULT
    run("revert", "m1", "--skip-conflicts")
    assert lake.last[1:] == (
        ("m1",),
        {"skip_conflicts": True, "source": "cli", "reason": "", "tier": "auto"},
    )


def test_diff(run: Run, lake: FakeLake) -> None:
    """Some lines as a table, all as JSON; versions or times."""

    def answer(count: int) -> None:
        table = pa.Table.from_pylist(
            [LINE] * count, schema=pa.schema([(n, pa.string()) for n in LINE])
        )
        lake.answers["diff"] = table.to_reader()

    answer(3)
    result = run("diff", "planes", "0", "2026-01-31T12:00Z", "--limit", "2")
    assert lake.last[1] == ("planes", 0, datetime(2026, 1, 31, 12, tzinfo=UTC))
    assert len(result.stdout.splitlines()) == 4
    assert "1 more" in result.stderr
    for count in (0, 2):
        answer(count)
        assert json.loads(run("diff", "planes", "1", "0", "--json").stdout) == [LINE] * count
    answer(0)
    assert "no difference" in run("diff", "planes", "1", "1").stderr


def test_rows_by_key(run: Run, lake: FakeLake) -> None:
    """One key, several, and of several columns."""
    lake.answers |= {"update": RESULT, "delete": RESULT}
    run("update", "planes", "--key", "N1", "--key", '["EWR", 7]', "--set", "seats=1")
    assert lake.last[2]["keys"] == ["N1", ["EWR", 7]]
    run("delete", "planes", "--key", "N1")
    assert (lake.last[0], lake.last[2]["keys"]) == ("delete", ["N1"])


def test_alter_columns(run: Run, lake: FakeLake) -> None:
    """All four, in the order in which they are made."""
    lake.answers["alter_columns"] = RESULT
    given = ["--add", "d=date", "--rename", "n=m", "--widen", "m=long", "--drop", "x"]
    assert run("alter", "planes", *given).stdout == "planes: 4 columns altered; version 3\n"
    assert lake.last[1] == (
        "planes",
        [DropColumn("x"), RenameColumn("n", "m"), WidenColumn("m", "long"), AddColumn("d", "date")],
    )


@pytest.mark.parametrize(
    "given",
    [
        ["--add", "d"],
        ["--add", "d=date", "--add", "d=long"],
        ["--drop", "x", "--protect"],
        ["--protect", "--tier", "dry_run"],
    ],
    ids=" ".join,
)
def test_alter_refuses(run: Run, given: list[str]) -> None:
    """No type, a column twice, columns with properties, a dry run of properties."""
    assert run("alter", "planes", *given).exit_code == 2
