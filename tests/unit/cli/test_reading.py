"""``history --as-of`` and ``journal tail``: what they ask for, and how they show it."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from click.testing import CliRunner
from tests.fakes.fake_lake import FakeLake, event
from tests.unit.cli.conftest import Run

import lakecore
from lakecore.cli import root
from lakecore.journal import TailBatch


@pytest.mark.parametrize(
    ("text", "asked"),
    [
        ("v3", {"version": 3}),
        ("#7", {"seq": 7}),
        ("2026-01-31", {"time": datetime(2026, 1, 31, tzinfo=UTC)}),
        ("2026-01-31T12:00:00Z", {"time": datetime(2026, 1, 31, 12, tzinfo=UTC)}),
    ],
)
def test_a_row_as_of(run: Run, lake: FakeLake, text: str, asked: dict[str, Any]) -> None:
    """A version, a seq or a time; the row then is printed."""
    lake.answers["entity"] = {"tailnum": "N1", "seats": 55}
    result = run("history", "planes", "N1", "--as-of", text)
    assert lake.last == ("entity", ("planes", "N1"), asked)
    assert result.stdout == 'tailnum  "N1"\nseats    55\n'
    result = run("--json", "history", "planes", "N1", "--as-of", text, "--field", "seats")
    assert json.loads(result.stdout) == {"seats": 55}


def test_no_row_then(run: Run, lake: FakeLake) -> None:
    """A note, or null."""
    lake.answers["entity"] = None
    assert "no such row then" in run("history", "planes", "N1", "--as-of", "v0").stderr
    assert run("--json", "history", "planes", "N1", "--as-of", "v0").stdout == "null\n"


@pytest.mark.parametrize("text", ["", "v", "v-1", "#x", "3", "soon"])
def test_what_is_no_moment(run: Run, text: str) -> None:
    """It says what would be one."""
    result = run("history", "planes", "N1", "--as-of", text)
    assert result.exit_code == 2
    assert "v3" in result.stderr


def tail_of(*batches: TailBatch) -> Any:
    """A tail that gives these batches and then is interrupted."""
    found = SimpleNamespace(cursor=batches[-1].cursor, close=lambda: None)

    def give() -> Any:
        yield from batches
        raise KeyboardInterrupt

    return _Tail(give(), found)


class _Tail:
    def __init__(self, batches: Any, rest: Any) -> None:
        self.batches, self.cursor, self.close = batches, rest.cursor, rest.close

    def __iter__(self) -> Any:
        return self.batches


def test_tail_ends_with_its_cursor(run: Run, lake: FakeLake) -> None:
    """One line an event; Ctrl-C is an end like others, and the cursor is on stderr."""
    batches = [
        TailBatch([event(seq=1), event(seq=2, new_value='"a\x1b[2J\\nb"')], "one"),
        TailBatch([event(seq=3)], "two"),
    ]
    lake.journal.answers["tail"] = tail_of(*batches)
    result = run("journal", "tail", "--cursor", "c", "--follow", "--limit", "9")
    assert result.exit_code == 0
    asked = {"from_seq": 0, "follow": True, "limit": 9}
    assert lake.journal.last == ("tail", ("c",), asked)
    lines = result.stdout.splitlines()
    assert [line.split()[0] for line in lines] == ["1", "2", "3"]
    assert "\x1b" not in result.stdout
    assert result.stderr == "cursor: two\n"


def test_tail_as_json_lines(run: Run, lake: FakeLake) -> None:
    """The last line of each batch says where to go on."""
    batches = [TailBatch([event(seq=1), event(seq=2)], "one"), TailBatch([event(seq=3)], "two")]
    lake.journal.answers["tail"] = tail_of(*batches)
    lines = [json.loads(line) for line in run("--json", "journal", "tail").stdout.splitlines()]
    assert [line["seq"] for line in lines] == [1, 2, 3]
    assert [line.get("cursor") for line in lines] == [None, "one", "two"]


def test_pages_of_a_real_lake(tmp_path: Path) -> None:
    """Cursor by cursor through a journal, without gap or double."""
    with lakecore.open(tmp_path / "lake", actor="ada") as lake:
        lake.create("planes", key="tailnum")
        lake.insert("planes", [{"tailnum": f"N{number}"} for number in range(6)])
    seen: list[int] = []
    extra: list[str] = []
    for _ in range(9):
        arguments = ["--lake", str(tmp_path / "lake"), "--json", "journal", "tail", "--limit", "2"]
        result = CliRunner().invoke(root, [*arguments, *extra])
        lines = [json.loads(line) for line in result.stdout.splitlines()]
        if not lines:
            break
        seen += [line["seq"] for line in lines]
        extra = ["--cursor", lines[-1]["cursor"]]
        assert f"cursor: {lines[-1]['cursor']}\n" in result.stderr
    assert seen == list(range(len(seen)))
    assert len(seen) >= 7
