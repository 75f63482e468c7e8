"""The command line as it is used: processes, pipes, files, a lake on disk."""

from __future__ import annotations

import json
import os
import re
import shlex
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

LAKECORE = [sys.executable, "-c", "from lakecore.cli import main; main()"]
PLANES = "tailnum,seats,engine\nN1,55,Turbo-fan\nN2,182,Turbo-jet\nN3,NA,\n"


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A working directory with one file and a lake that has it; tests do not change these."""
    folder = tmp_path_factory.mktemp("cli")
    (folder / "planes.csv").write_text(PLANES)
    text = run(folder, "ingest", "planes.csv", "--dataset", "planes", "--key", "tailnum").stdout
    assert "planes.csv → planes: 3 inserted; version 0" in text
    return folder


def environment() -> dict[str, str]:
    """The environment without settings of ours."""
    return {name: text for name, text in os.environ.items() if not name.startswith("LAKECORE_")}


def run(
    folder: Path, *arguments: str, stdin: str | None = None, exit_code: int = 0
) -> subprocess.CompletedProcess[str]:
    """One command, in `folder`, with the lake ./lake there."""
    answer = subprocess.run(
        [*LAKECORE, *arguments],
        cwd=folder,
        env=environment(),
        input=stdin,
        capture_output=True,
        text=True,
        timeout=60,
    )
    assert answer.returncode == exit_code, answer.stderr
    assert "Traceback" not in answer.stderr
    return answer


def answer(folder: Path, *arguments: str) -> Any:
    """What a command prints with --json."""
    return json.loads(run(folder, *arguments, "--json").stdout)


def test_a_lake_is_not_made_by_looking(tmp_path: Path) -> None:
    """Reading commands say that there is no lake; they do not leave one behind."""
    for command in (["datasets"], ["sql", "select 1"], ["verify"], ["journal", "stats"]):
        assert "no lake here" in run(tmp_path, *command, exit_code=2).stderr
    assert list(tmp_path.iterdir()) == []


def test_init_can_be_repeated(tmp_path: Path) -> None:
    """The second time it says which lake is there."""
    first = answer(tmp_path, "init")
    assert answer(tmp_path, "init") == first
    assert answer(tmp_path, "datasets") == []


def test_the_same_file_again(folder: Path) -> None:
    """It is recognised by its content."""
    text = run(folder, "ingest", "planes.csv", "--dataset", "planes").stdout
    assert "left out" in text
    (result,) = answer(folder, "ingest", "planes.csv", "--dataset", "planes")
    assert result["duplicate_of"] is not None


def test_sql_formats(folder: Path) -> None:
    """A list of objects as JSON; NA was no number; CSV has a header."""
    query = "select tailnum, seats from planes order by tailnum"
    assert json.loads(run(folder, "sql", query, "--format", "json").stdout) == [
        {"tailnum": "N1", "seats": 55},
        {"tailnum": "N2", "seats": 182},
        {"tailnum": "N3", "seats": None},
    ]
    assert answer(folder, "sql", query)[0] == {"tailnum": "N1", "seats": 55}
    assert run(folder, "sql", query, "--format", "csv").stdout.splitlines()[0] == "tailnum,seats"
    assert "(3 rows)" in run(folder, "sql", "-", stdin=query).stdout


def test_sql_parameters_files_and_limits(folder: Path, tmp_path: Path) -> None:
    """Typed parameters, a Parquet file by its ending, a result cut off with a note."""
    path = tmp_path / "out.parquet"
    query = "select * from planes where seats > $n"
    run(folder, "sql", query, "--param", "n=100", "-o", str(path))
    assert path.read_bytes()[:4] == b"PAR1"
    cut = run(folder, "sql", "select * from planes", "--max-rows", "1", "--json")
    assert len(json.loads(cut.stdout)) == 1
    assert "cut off after 1 row" in cut.stderr


def test_sql_is_read_only(folder: Path) -> None:
    """A statement that writes is refused."""
    assert "read-only" in run(folder, "sql", "delete from planes", exit_code=1).stderr


def test_a_reader_that_leaves_early_is_no_error(folder: Path) -> None:
    """`lakecore sql … | head -1`: the end of the pipe ends the query quietly."""
    query = "select a.value, b.value from range(3000) a cross join range(1000) b"
    command = shlex.join([*LAKECORE, "sql", query, "--format", "csv"])
    answer = subprocess.run(
        ["bash", "-c", f"set -o pipefail; {command} | head -1"],
        cwd=folder,
        env=environment(),
        capture_output=True,
        text=True,
        timeout=60,
    )
    assert (answer.returncode, answer.stderr) == (0, "")
    assert len(answer.stdout.splitlines()) == 1


def test_a_row_from_its_first_day_to_its_last(tmp_path: Path) -> None:
    """Insert, upsert, update, delete; who, when, why; and the record holds."""
    (tmp_path / "planes.csv").write_text(PLANES)
    run(tmp_path, "ingest", "planes.csv", "--dataset", "planes", "--key", "tailnum")
    one = '{"tailnum": "N9", "seats": 10, "engine": null}\n'
    author = ["--actor", "ada", "--reason", "because"]
    run(tmp_path, "insert", "planes", "--file", "-", *author, stdin=one)
    again = run(tmp_path, "insert", "planes", "--file", "-", stdin=one, exit_code=2)
    assert "key" in again.stderr
    run(tmp_path, "upsert", "planes", "--file", "-", *author, stdin=one.replace("10", "11"))
    run(tmp_path, "update", "planes", "--where", "tailnum = 'N9'", "--set", "seats:=seats + 1")
    planned = answer(tmp_path, "delete", "planes", "--where", "tailnum = 'N9'", "--tier", "dry_run")
    assert (planned["deleted"], planned["dry_run"], planned["version"]) == (1, True, None)
    run(tmp_path, "delete", "planes", "--where", "tailnum = 'N9'", *author)
    events = answer(tmp_path, "history", "planes", "N9")
    assert [(e["action"], e["field"], e["new_value"]) for e in events] == [
        ("insert", "*", '{"engine":null,"seats":10,"tailnum":"N9"}'),
        ("update", "seats", "11"),
        ("update", "seats", "12"),
        ("delete", "*", None),
    ]
    assert (events[0]["actor"], json.loads(events[0]["context"])["reason"]) == ("ada", "because")
    assert answer(tmp_path, "blame", "planes", "N9")["*"]["action"] == "delete"
    run(tmp_path, "journal", "flush")
    report = answer(tmp_path, "verify")
    assert (report["status"], report["anchored"]["status"]) == ("green", "green")


def test_text_that_looks_like_a_number_stays_text(tmp_path: Path) -> None:
    """A file's values are read as the dataset's types."""
    (tmp_path / "a.csv").write_text("code,n\nA7,1\n")
    (tmp_path / "b.csv").write_text("code,n\n007,2\n")
    run(tmp_path, "ingest", "a.csv", "--dataset", "codes", "--key", "code")
    run(tmp_path, "insert", "codes", "--file", "b.csv")
    assert answer(tmp_path, "sql", "select code from codes where n = 2") == [{"code": "007"}]


def test_a_file_with_a_bad_line_is_no_change(tmp_path: Path) -> None:
    """A change has no quarantine: nothing of the file is taken."""
    (tmp_path / "a.csv").write_text("code,n\nA7,1\n")
    (tmp_path / "b.csv").write_text("code,n\nB1,2\nB2,3,4,5\n")
    run(tmp_path, "ingest", "a.csv", "--dataset", "codes", "--key", "code")
    run(tmp_path, "insert", "codes", "--file", "b.csv", exit_code=2)
    assert answer(tmp_path, "sql", "select count(*) n from codes") == [{"n": 1}]


def test_lines_that_cannot_be_read_are_kept(tmp_path: Path) -> None:
    """Ingest takes the rest, says how many, and has them in system.quarantine."""
    (tmp_path / "b.csv").write_text("code,n\nB1,2\nB2,3,4,5\nB3,4\n")
    run_again = run(tmp_path, "ingest", "b.csv", "--dataset", "codes", "--key", "code")
    assert "1 record did not get in" in run_again.stderr
    rows = answer(tmp_path, "sql", "select line, text from system.quarantine")
    assert rows == [{"line": 3, "text": "B2,3,4,5"}]


def test_drop_and_undrop(tmp_path: Path) -> None:
    """Protected is refused; dropped is gone from sight, not from disk."""
    (tmp_path / "planes.csv").write_text(PLANES)
    run(tmp_path, "ingest", "planes.csv", "--dataset", "planes", "--key", "tailnum")
    run(tmp_path, "alter", "planes", "--protect")
    assert "protected" in run(tmp_path, "drop", "planes", "--yes", exit_code=1).stderr
    run(tmp_path, "alter", "planes", "--unprotect")
    run(tmp_path, "drop", "planes", "--yes")
    assert "undrop" in run(tmp_path, "datasets", "planes", exit_code=2).stderr
    assert [d["state"] for d in answer(tmp_path, "datasets", "--dropped")] == ["dropped"]
    run(tmp_path, "undrop", "planes")
    run(tmp_path, "rename", "planes", "aircraft")
    assert answer(tmp_path, "sql", "select count(*) n from aircraft") == [{"n": 3}]
    assert len(answer(tmp_path, "history", "aircraft", "N1")) == 1


def test_a_changed_event_is_found(tmp_path: Path) -> None:
    """Exit code 1, and which segment it is."""
    line = '{"entity_type": "job", "entity_id": "7", "action": "start"}\n'
    run(tmp_path, "init")
    assert run(tmp_path, "journal", "record", stdin=line * 3).stdout == "3 events recorded\n"
    run(tmp_path, "journal", "flush")
    (segment,) = (tmp_path / "lake" / "journal" / "log").glob("*.parquet")
    data = bytearray(segment.read_bytes())
    data[len(data) // 3] ^= 1
    segment.chmod(0o644)
    segment.write_bytes(data)
    broken = run(tmp_path, "verify", exit_code=1)
    assert "integrity:    BROKEN" in broken.stdout
    assert segment.name in broken.stdout


def test_doctor_and_status(folder: Path) -> None:
    """Everything is well on a disk."""
    assert "WRONG" not in run(folder, "doctor").stdout
    assert answer(folder, "doctor")["ok"] is True
    assert answer(folder, "status")["rows"] == 3


def test_the_json_of_every_command_is_as_documented(tmp_path: Path) -> None:
    """docs/cli.md names what is printed, and nothing else is."""
    from lakecore.cli._reference import _OBJECTS

    documented = {
        name: set(re.findall(r"`(\w+)`", re.sub(r"(?<!^list of )\{[^}]*\}", "", text)))
        for names, text in _OBJECTS
        for name in names.split(", ")
    }
    (tmp_path / "planes.csv").write_text(PLANES)
    line = '{"tailnum": "N9", "seats": 10}\n'
    for name, command in (
        ("init", "init"),
        ("ingest", "ingest planes.csv --dataset planes --key tailnum"),
        ("status", "status"),
        ("doctor", "doctor"),
        ("config show", "config show"),
        ("config check", "config check"),
        ("datasets D", "datasets planes"),
        ("alter", "alter planes --owner ada"),
        ("rename", "rename planes aircraft"),
        ("drop", "drop aircraft --yes"),
        ("undrop", "undrop aircraft"),
        ("insert", "insert aircraft --file -"),
        ("upsert", "upsert aircraft --file -"),
        ("replace", "replace aircraft --file -"),
        ("update", "update aircraft --all --set seats=7"),
        ("delete", "delete aircraft --all"),
        ("journal query", "journal query"),
        ("journal stats", "journal stats"),
        ("journal flush", "journal flush"),
        ("journal compact", "journal compact"),
        ("verify", "verify"),
    ):
        printed = json.loads(run(tmp_path, *command.split(), "--json", stdin=line).stdout)
        one = printed[0] if isinstance(printed, list) else printed
        assert set(one) == documented[name], name


def test_the_actor_is_configured(tmp_path: Path) -> None:
    """lakecore.toml beside the lake, unless --actor says otherwise."""
    (tmp_path / "lakecore.toml").write_text('[lake]\nactor = "night-shift"\n')
    (tmp_path / "planes.csv").write_text(PLANES)
    run(tmp_path, "ingest", "planes.csv", "--dataset", "planes", "--key", "tailnum")
    run(tmp_path, "update", "planes", "--all", "--set", "seats=1", "--actor", "ada")
    actors = [event["actor"] for event in answer(tmp_path, "history", "planes", "N1")]
    assert actors == ["night-shift", "ada"]


def test_a_change_of_everything_has_to_be_asked_for(folder: Path) -> None:
    """No condition and no --all is refused, with both named."""
    text = run(folder, "delete", "planes", exit_code=2).stderr
    assert "--all" in text
