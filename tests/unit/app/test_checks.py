"""`Lake.verify` finds what was done to a lake behind its back, and names it."""

from __future__ import annotations

import json
import shutil
from collections.abc import Iterator
from pathlib import Path

import pyarrow as pa
import pytest
from deltalake import write_deltalake

import lakecore
from lakecore.app import VerifyReport


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A sealed lake with a dataset of three versions."""
    place = tmp_path_factory.mktemp("made") / "lake"
    with lakecore.open(place, actor="ada") as lake:
        lake.create("planes", key=["tailnum"])
        lake.insert("planes", [{"tailnum": "N1", "seats": 55}, {"tailnum": "N2", "seats": 182}])
        lake.update("planes", set={"seats": 60}, where="tailnum = 'N1'")
        lake.delete("planes", where="tailnum = 'N2'")
        lake.create("notes")
        lake.insert("notes", [{"text": "a"}])
        assert lake.verify().status == "green"
    return place


@pytest.fixture
def place(made: Path, tmp_path: Path) -> Iterator[Path]:
    """A copy of it, writable, which the test may damage."""
    place = tmp_path / "lake"
    shutil.copytree(made, place)
    for path in place.rglob("*"):
        path.chmod(0o755 if path.is_dir() else 0o644)
    return place


def verified(place: Path) -> VerifyReport:
    """What verifying says, in a lake opened for it."""
    with lakecore.open(place, create=False) as lake:
        report = lake.verify()
        assert json.loads(json.dumps(report.to_dict()))["status"] == report.status
        return report


def log_entry(place: Path, version: int, dataset: str = "planes") -> Path:
    """A commit of a table."""
    return place / "tables" / "main" / dataset / "_delta_log" / f"{version:020}.json"


def test_a_sound_lake(place: Path) -> None:
    """Integrity and completeness hold, and what was sealed is signed."""
    report = verified(place)
    assert (report.integrity.status, report.completeness.status) == ("green", "green")
    assert report.anchored.status == "green"
    assert report.completeness.detail["matched"] == 6
    assert report.status == "green"


def test_a_deleted_commit(place: Path) -> None:
    """Its events are sealed, the version is gone."""
    log_entry(place, 2).unlink()
    report = verified(place)
    assert report.status == report.completeness.status == "broken"
    (problem,) = report.completeness.problems
    assert problem.startswith("tables/main/planes/_delta_log/00000000000000000002.json")
    assert "the version itself is gone" in problem
    assert report.integrity.status == "green"


def test_a_deleted_document(place: Path) -> None:
    """The catalog is held against the journal like the tables."""
    (document,) = (place / "documents" / "datasets" / "notes").iterdir()
    document.unlink()
    problems = verified(place).completeness.problems
    assert any("documents/datasets/notes" in text and "gone" in text for text in problems)


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("event_count", 7),
        ("digest", "0" * 64),
        ("commit_id", "01a20442-0000-7000-8000-000000000000"),
    ],
)
def test_a_forged_commit_record(place: Path, field: str, value: object) -> None:
    """A version that names other events than the journal has."""
    entry = log_entry(place, 1)
    first, *others = entry.read_text().splitlines(keepends=True)
    info = json.loads(first)
    assert field in info["commitInfo"]["lakecore"]
    info["commitInfo"]["lakecore"][field] = value
    entry.write_text(json.dumps(info) + "\n" + "".join(others))
    report = verified(place)
    assert report.completeness.status == "broken"
    assert any(entry.name in text for text in report.completeness.problems)


def test_a_commit_by_another_program(place: Path) -> None:
    """deltalake writes a version of its own: named, and the exit is not green."""
    rows = pa.table({"tailnum": ["N9"], "seats": pa.array([9], pa.int64())})
    write_deltalake(str(place / "tables" / "main" / "planes"), rows, mode="append")
    report = verified(place)
    assert report.completeness.problems == [
        "tables/main/planes/_delta_log/00000000000000000003.json: "
        "committed by another program, not in the journal"
    ]
    assert report.status == "broken"


def test_a_table_that_the_catalog_never_named(place: Path) -> None:
    """Somebody put it there."""
    write_deltalake(str(place / "tables" / "main" / "smuggled"), pa.table({"a": [1]}))
    problems = verified(place).completeness.problems
    assert "tables/main/smuggled: a table that the catalog never named" in problems


@pytest.mark.parametrize("at", [0.2, 0.5, 0.9])
def test_a_flipped_byte_in_a_segment(place: Path, at: float) -> None:
    """Wherever it is, the segment is named."""
    segment = max((place / "journal" / "log").glob("*.parquet"), key=lambda path: path.name)
    data = bytearray(segment.read_bytes())
    data[int(len(data) * at)] ^= 0x10
    segment.write_bytes(data)
    report = verified(place)
    assert report.integrity.status == "broken"
    assert any(segment.name in text for text in report.integrity.problems)
    assert report.status == "broken"


def test_a_missing_segment(place: Path) -> None:
    """The gap is named, and the versions whose events are missing."""
    shutil.rmtree(place / ".local")
    first = min((place / "journal" / "log").glob("*.parquet"), key=lambda path: path.name)
    first.unlink()
    assert verified(place).status == "broken"


@pytest.mark.parametrize("damage", [b"", b"{", b"not json\n"])
def test_an_unreadable_commit(place: Path, damage: bytes) -> None:
    """It is told with its place, and the rest is checked all the same."""
    log_entry(place, 1).write_bytes(damage)
    report = verified(place)
    assert report.completeness.status == "broken"
    assert any(log_entry(place, 1).name in text for text in report.completeness.problems)
    assert report.completeness.detail["matched"] >= 4


def test_an_unreadable_document(place: Path) -> None:
    """It is told, and its table is not taken for a smuggled one without a word of why."""
    (document,) = (place / "documents" / "datasets" / "notes").iterdir()
    document.write_bytes(b"\xff\x00")
    problems = verified(place).completeness.problems
    assert any("documents/datasets/notes" in text for text in problems)


@pytest.mark.parametrize("forgery", ["taken out", "of no events", "of another commit"])
def test_a_commit_record_that_is_not_ours(place: Path, forgery: str) -> None:
    """A version that the journal knows is told when it does not say who made it any more."""
    entry = log_entry(place, 1)
    first, *others = entry.read_text().splitlines(keepends=True)
    info = json.loads(first)
    record = info["commitInfo"]["lakecore"]
    if forgery == "taken out":
        del info["commitInfo"]["lakecore"]
    elif forgery == "of no events":
        record |= {"commit_id": "forged", "event_count": 0}
    else:
        other = json.loads(log_entry(place, 0).read_text().splitlines()[0])
        info["commitInfo"]["lakecore"] = other["commitInfo"]["lakecore"]
    entry.write_text(json.dumps(info) + "\n" + "".join(others))
    problems = verified(place).completeness.problems
    assert any(entry.name in text for text in problems)


def test_a_version_that_hides_behind_a_record_of_no_events(place: Path) -> None:
    """A commit made by hand, with a record that claims nothing, is told."""
    entry = log_entry(place, 1)
    last = max(entry.parent.glob("*.json"))
    info = json.loads(entry.read_text().splitlines()[0])
    info["commitInfo"]["lakecore"] |= {"commit_id": "forged", "event_count": 0}
    forged = last.with_name(f"{int(last.stem) + 1:020d}.json")
    forged.write_text(json.dumps(info) + "\n")
    problems = verified(place).completeness.problems
    assert any(forged.name in text and "at least 1" in text for text in problems)
