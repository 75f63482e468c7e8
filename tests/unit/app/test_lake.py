"""`Lake`: what can be done with one, from Python."""

from __future__ import annotations

import json
import os
import time
from collections.abc import Iterator
from datetime import UTC, date, datetime
from pathlib import Path
from typing import Any

import pandas as pd
import polars as pl
import pyarrow as pa
import pytest
from tests.fakes.compaction import small_ranges
from tests.fakes.journals import sample

import lakecore
from lakecore.app import Lake
from lakecore.base import AlreadyExists, InvalidInput, NotFound, Refused

PLANES = [{"tailnum": "N1", "seats": 55}, {"tailnum": "N2", "seats": 182}]


@pytest.fixture
def lake(tmp_path: Path) -> Iterator[Lake]:
    """A lake with two planes."""
    with lakecore.open(tmp_path / "lake", actor="ada") as lake:
        lake.create("planes", key="tailnum", entity_type="plane")
        lake.insert("planes", PLANES)
        yield lake


def rows(lake: Lake, dataset: str = "planes") -> list[dict[str, Any]]:
    """All rows, in the order of their first column."""
    return lake.sql(f"select * from {dataset} order by 1").to_pylist()


@pytest.mark.parametrize(
    "given",
    [
        {"tailnum": "N3", "seats": 7},
        [{"tailnum": "N3", "seats": 7}],
        iter([{"tailnum": "N3", "seats": 7}]),
        ({"tailnum": name, "seats": 7} for name in ["N3"]),
        pa.table({"tailnum": ["N3"], "seats": [7]}),
        pa.record_batch({"tailnum": ["N3"], "seats": [7]}),
        pa.table({"tailnum": ["N3"], "seats": [7]}).to_reader(),
        pd.DataFrame({"tailnum": ["N3"], "seats": [7]}),
        pl.DataFrame({"tailnum": ["N3"], "seats": [7]}),
        pl.DataFrame({"seats": [7], "tailnum": ["N3"]}),
    ],
    ids=lambda given: type(given).__name__,
)
def test_rows_of_any_kind(lake: Lake, given: object) -> None:
    """A mapping, mappings, an iterator of them, Arrow, pandas, Polars; columns in any order."""
    assert lake.insert("planes", given).inserted == 1
    assert rows(lake) == [*PLANES, {"tailnum": "N3", "seats": 7}]


@pytest.mark.parametrize(
    ("given", "says"),
    [
        ("N3", "these are no rows"),
        (7, "these are no rows"),
        ([7], "a row is no mapping"),
        ([{"tailnum": "N3"}, ["N4"]], "a row is no mapping at row 1"),
        ([{7: "N3"}], "a column's name is no text"),
        ([{"tailnum": "N3", "seats": 1}, {"tailnum": "N4", "seats": "x"}], "no common type"),
        ([{"tailnum": "N3", "seats": object()}], "no common type"),
    ],
)
def test_what_are_no_rows(lake: Lake, given: object, says: str) -> None:
    """It says which row, and nothing is written."""
    with pytest.raises(InvalidInput, match=says):
        lake.insert("planes", given)
    assert rows(lake) == PLANES


def test_columns_are_the_union_of_the_rows(lake: Lake) -> None:
    """A column that only a later row has is null in the others, and new to the dataset."""
    lake.insert("planes", [{"tailnum": "N3"}, {"tailnum": "N4", "engine": "jet"}])
    assert rows(lake)[2:] == [
        {"tailnum": "N3", "seats": None, "engine": None},
        {"tailnum": "N4", "seats": None, "engine": "jet"},
    ]


def test_a_column_that_comes_too_late(lake: Lake) -> None:
    """Past 65,536 rows the types are settled: the error says so, nothing is in."""
    many = ({"tailnum": f"M{number}"} for number in range(65_536))
    with pytest.raises(InvalidInput, match="too late"):
        lake.insert("planes", (row for part in (many, [{"tailnum": "X", "b": 1}]) for row in part))
    assert rows(lake) == PLANES


def test_a_value_that_does_not_fit_late(lake: Lake) -> None:
    """The rows among which it is are named."""
    many = [{"tailnum": f"M{number}", "seats": number} for number in range(65_536)]
    with pytest.raises(InvalidInput, match="does not fit the rows before it") as caught:
        lake.insert("planes", [*many, {"tailnum": "X", "seats": "many"}])
    assert caught.value.where == "rows 65536–65536"


def test_upsert_replace_update_delete(lake: Lake) -> None:
    """What each says that it did, and what is there after it."""
    result = lake.upsert("planes", [{"tailnum": "N2", "seats": 3}, {"tailnum": "N9", "seats": 4}])
    assert (result.inserted, result.updated, result.version) == (1, 1, 1)
    result = lake.update("planes", set={"seats": 60}, where="tailnum = 'N1'")
    assert (result.updated, result.events) == (1, 1)
    assert lake.delete("planes", where="seats = 4").deleted == 1
    assert rows(lake) == [{"tailnum": "N1", "seats": 60}, {"tailnum": "N2", "seats": 3}]
    result = lake.replace("planes", [{"tailnum": "N1", "seats": 60}])
    assert (result.deleted, result.unchanged) == (1, 1)
    assert lake.delete("planes", all=True).deleted == 1
    assert rows(lake) == []


def test_a_change_of_everything_is_asked_for(lake: Lake) -> None:
    """No condition and not `all` is refused."""
    with pytest.raises(InvalidInput, match="every row"):
        lake.delete("planes")
    with pytest.raises(InvalidInput, match="every row"):
        lake.update("planes", set={"seats": 1})
    assert rows(lake) == PLANES


def test_tiers(lake: Lake) -> None:
    """A preview shows and writes nothing, a dry run waits to be approved; no other words."""
    before = lake.journal.stats()["total_events_created"]
    for tier in ("preview", "dry_run"):
        planned = lake.update("planes", set={"seats": 1}, all=True, tier=tier)
        assert (planned.version, planned.updated) == (None, 2)
        assert planned.changes[0]["new_value"] == "1"
        assert rows(lake) == PLANES
        recorded = lake.journal.stats()["total_events_created"] - before
        assert (recorded, len(lake.pending())) == ((0, 0) if tier == "preview" else (2, 1))
    with pytest.raises(InvalidInput, match="unknown tier"):
        lake.delete("planes", all=True, tier="boldly")


@pytest.mark.parametrize("name", ["system.journal", "system.datasets", "system.quarantine"])
def test_system_datasets_are_not_changed(lake: Lake, tmp_path: Path, name: str) -> None:
    """Whether they are there or not."""
    with pytest.raises((InvalidInput, NotFound)):
        lake.insert(name, [{"a": 1}])
    with pytest.raises((InvalidInput, NotFound)):
        lake.delete(name, all=True)
    (tmp_path / "a.csv").write_text("tailnum,seats\nN3\n")
    lake.ingest(tmp_path / "a.csv", dataset="planes")
    with pytest.raises((InvalidInput, NotFound, Refused)):
        lake.delete(name, all=True)
    with pytest.raises((InvalidInput, AlreadyExists)):
        lake.create(name)
    assert lake.sql("select count(*) n from system.quarantine").to_pylist() == [{"n": 1}]


def test_the_quarantine_can_always_be_asked(lake: Lake) -> None:
    """It has its columns before it has its first row."""
    assert lake.sql("select file, line, reason from system.quarantine").to_pylist() == []


def test_as_of(lake: Lake) -> None:
    """By version, by a time as text or datetime; not by both or neither."""
    between = lake.history("planes", "N1")[0].timestamp
    assert between is not None
    lake.update("planes", set={"seats": 60}, where="tailnum = 'N1'")
    for moment in (
        {"version": 0},
        {"time": between},
        {"time": between.isoformat()},
    ):
        past = lake.as_of("planes", **moment).to_pylist()
        assert sorted(past, key=lambda row: row["tailnum"]) == PLANES
    now = lake.as_of("planes", version=1).to_pylist()
    assert {"tailnum": "N1", "seats": 60} in now
    with pytest.raises(InvalidInput, match="a version or a time"):
        lake.as_of("planes")
    with pytest.raises(InvalidInput, match="a version or a time"):
        lake.as_of("planes", version=0, time=between)
    with pytest.raises(InvalidInput, match="needs its zone"):
        lake.as_of("planes", time=between.replace(tzinfo=None))
    with pytest.raises(InvalidInput, match="no version and no time"):
        lake.as_of("planes", time="yesterday' or 'x")
    with pytest.raises(NotFound):
        lake.as_of("plains", version=0)


def test_history_and_blame(lake: Lake) -> None:
    """Oldest first, of one field, of a row that is gone; who set what last."""
    lake.update("planes", set={"seats": 60}, where="tailnum = 'N1'", actor="bo", reason="refit")
    lake.insert("planes", [{"tailnum": "N3", "seats": 1, "engine": "jet"}])
    lake.update("planes", set={"engine": "jet"}, where="tailnum = 'N1'", source="night")
    events = lake.history("planes", "N1")
    assert [(e.action, e.field, e.actor, e.source) for e in events] == [
        ("insert", "*", "ada", "api"),
        ("update", "seats", "bo", "api"),
        ("update", "engine", "ada", "night"),
    ]
    context = json.loads(events[1].context)
    assert context.pop("commit").keys() == {"actions_sha256"}
    assert context == {"reason": "refit"}
    assert [e.field for e in lake.history("planes", "N1", field="seats")] == ["*", "seats"]
    last = lake.blame("planes", "N1")
    assert {field: event.actor for field, event in last.items()} == {
        "*": "ada",
        "seats": "bo",
        "engine": "ada",
    }
    lake.delete("planes", where="tailnum = 'N1'", actor="cy")
    assert [event.actor for event in lake.blame("planes", "N1").values()] == ["cy"]
    assert lake.history("planes", "N77") == []
    assert lake.blame("planes", "N77") == {}


@pytest.mark.parametrize(
    "key",
    [
        ("EWR", datetime(2013, 1, 1, 6, tzinfo=UTC), 7),
        ["EWR", "2013-01-01T06:00:00Z", 7],
        ["EWR", "2013-01-01T07:00:00+01:00", "7"],
        {"number": 7, "hour": "2013-01-01 06:00:00Z", "origin": "EWR"},
        '["EWR", "2013-01-01T06:00:00Z", 7]',
        '["EWR","2013-01-01T06:00:00.000000Z",7]',
    ],
)
def test_a_composite_key(lake: Lake, key: object) -> None:
    """Values, texts of them, a mapping in any order, or the JSON that events show."""
    lake.create("weather", key=["origin", "hour", "number"])
    hour = datetime(2013, 1, 1, 6, tzinfo=UTC)
    lake.insert("weather", [{"origin": "EWR", "hour": hour, "number": 7, "temp": 1.5}])
    lake.update("weather", set={"temp": 2.5}, all=True)
    assert [event.field for event in lake.history("weather", key)] == ["*", "temp"]
    with pytest.raises(InvalidInput, match="not a key of this dataset"):
        lake.history("weather", "EWR")
    with pytest.raises(InvalidInput, match="not a key of this dataset"):
        lake.history("weather", ["EWR", hour])


@pytest.mark.parametrize(
    ("value", "key"),
    [(7, 7), (7, "7"), (date(2024, 1, 2), "2024-01-02"), (True, "true"), ('"q"', '"q"')],
)
def test_a_single_key_of_any_type(lake: Lake, value: object, key: object) -> None:
    """The value, or the text that the journal shows."""
    lake.create("things", key=["id"])
    lake.insert("things", [{"id": value, "n": 1}])
    assert len(lake.history("things", value)) == 1
    assert len(lake.history("things", key)) == 1


def test_rows_without_a_key_have_no_history_of_their_own(lake: Lake) -> None:
    """It says where their batches are."""
    lake.create("notes")
    lake.insert("notes", [{"text": "a"}, {"text": "a"}])
    with pytest.raises(NotFound, match="no key") as caught:
        lake.history("notes", "a")
    assert "system.journal" in str(caught.value.hint)


def test_who_and_from_where(tmp_path: Path) -> None:
    """Every method takes actor, source and reason; the lake's actor is the default."""
    with lakecore.open(tmp_path / "lake", actor="ada") as lake:
        assert lake.actor == "ada"
        lake.create("a", key=["id"], source="cli", reason="r")
        lake.alter("a", owner="x", source="cli", reason="r")
        lake.rename("a", "b", source="cli", reason="r")
        lake.drop("b", source="cli", reason="r")
        lake.undrop("b", source="cli", reason="r", actor="bo")
        events = lake.journal.query(limit=100).items
        assert {event.action for event in events} >= {"register", "drop", "undrop"}
        assert {event.source for event in events} == {"cli"}
        assert {event.actor for event in events} == {"ada", "bo"}
        assert {json.loads(event.context)["reason"] for event in events} == {"r"}


def test_the_user_of_the_system_is_the_last_resort(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Nobody is named: whoever runs this."""
    monkeypatch.delenv("LAKECORE_ACTOR", raising=False)
    monkeypatch.setenv("LOGNAME", "grace")
    with lakecore.open(tmp_path / "lake") as lake:
        assert lake.actor == "grace"


def test_describe_and_status(lake: Lake) -> None:
    """Figures of the table as it is; an empty dataset has none; JSON-ready, both."""
    lake.create("empty", key=["id"])
    described = lake.describe("planes")
    assert (described["version"], described["rows"], described["key"]) == (0, 2, ["tailnum"])
    assert [column["name"] for column in described["columns"]] == ["tailnum", "seats"]
    assert lake.describe("empty")["version"] is None
    status = lake.status()
    assert (status["datasets"], status["rows"]) == (2, 2)
    assert status["lake"]["lake_id"] == lake.lake_id
    assert json.loads(json.dumps([described, status])) == [described, status]
    with pytest.raises(NotFound) as caught:
        lake.describe("plains")
    assert "planes" in str(caught.value.hint)


def test_an_empty_dataset_is_a_table(lake: Lake) -> None:
    """Registered, without rows: its key columns can be asked for."""
    lake.create("empty", key=["id"])
    assert lake.sql("select id from empty").to_pylist() == []


def test_doctor(lake: Lake) -> None:
    """Each probe says what it looked at; all is well on this disk."""
    report = lake.doctor()
    assert report.ok
    assert len(report.findings) == 7
    assert report.to_dict()["findings"][0]["ok"] is True
    assert not any("probe" in path.name for path in Path(lake.url[7:]).iterdir())


def test_many_small_files_of_the_log_are_named(lake: Lake) -> None:
    """Short commands never compact by themselves: status and doctor say what does."""
    lake.journal._compaction._is_automatic = False
    with small_ranges():
        assert lake.status()["advice"] == []
        for number in range(90):
            lake.journal.record_batch(sample(f"e{number}", 1))
            lake.journal.seal()
        assert lake.status()["journal"]["small_files"] > 64
        (advice,) = lake.status()["advice"]
        assert advice.startswith("`lakecore journal compact` merges ")
        report = lake.doctor()
        assert report.ok
        assert advice in [finding.hint for finding in report.findings]
        lake.journal.compact(grace_s=0)
        assert (lake.status()["advice"], lake.status()["journal"]["small_files"]) == ([], 0)


def test_closing_twice(tmp_path: Path) -> None:
    """The second time nothing is left to do."""
    lake = lakecore.open(tmp_path / "lake")
    lake.close()
    lake.close()


def test_doctor_removes_what_dead_processes_left(tmp_path: Path) -> None:
    """A temporary file of two days ago goes, one of now and every object stays."""
    with lakecore.open(tmp_path, actor="ada") as lake:
        lake.create("planes", key=["tailnum"])
        old, new = tmp_path / "documents" / ".tmp-old", tmp_path / "documents" / ".tmp-new"
        for file in (old, new):
            file.write_bytes(b"half")
        two_days_ago = time.time() - 2 * 86_400
        os.utime(old, (two_days_ago, two_days_ago))
        (finding,) = [f for f in lake.doctor().findings if "unfinished" in f.name]
        assert (finding.ok, finding.text) == (True, "1 removed that were a day old or more")
        assert (old.exists(), new.exists()) == (False, True)
        assert lake.verify().status == "green"
