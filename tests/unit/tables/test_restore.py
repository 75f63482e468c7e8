"""Restore and diff: exact, by files, and refused where it cannot be."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest
from tests.unit.tables.conftest import ADA, Lake, Ref
from tests.unit.tables.history import lines

from lakecore.base import InvalidInput, ManualClock, NotFound
from lakecore.journal import MultisetHash, multiset_hash
from lakecore.storage import open_store
from lakecore.tables import MutationResult, RenameColumn, TableSettings
from lakecore.tables._logged import added_again


def restore(lake: Lake, version: int | None = None, **options: Any) -> MutationResult:
    """One version of the lake's dataset."""
    return lake.tables.restore(lake.dataset, version=version, author=ADA, **options)


def three_versions(lake: Lake) -> None:
    """Rows, then a changed field, then one row less and another more with a new column."""
    lake.append({"id": ["a", "b", "c"], "n": [1, 2, 3]})
    lake.update(where="id = 'a'", set={"n": 9})
    lake.replace({"id": ["a", "b", "d"], "n": [9, 2, 4], "x": [None, None, 1.5]})


def test_a_version_comes_back_with_its_files(lake: Lake) -> None:
    """No data file is written; rows, columns and exactly the differing fields are journaled."""
    three_versions(lake)
    files = lake.files()
    result = restore(lake, 0)
    assert (result.version, result.inserted, result.updated, result.deleted) == (3, 1, 1, 1)
    assert lake.rows() == lake.rows(version=0)
    assert lake.arrow().schema.names == ["id", "n"]
    assert lake.files() == files
    told = [(event.action, event.entity_id, event.field) for event in lake.events()[-4:]]
    assert sorted(told) == [
        ("delete", "d", "*"),
        ("drop_column", "planes", "x"),
        ("insert", "c", "*"),
        ("update", "a", "n"),
    ]
    assert '"restores":0' in lake.events()[-1].context


def test_the_log_keeps_what_it_said_of_a_file(lake: Lake) -> None:
    """Statistics and the hash of a file come back with it."""
    three_versions(lake)
    restore(lake, 0)
    first = next(action["add"] for action in lake.log(0) if "add" in action)
    again = next(action["add"] for action in lake.log(3) if "add" in action)
    assert {name: again.get(name) for name in ("path", "size", "stats", "tags")} == {
        name: first.get(name) for name in ("path", "size", "stats", "tags")
    }


def test_a_checkpoint_keeps_what_the_log_said_of_a_file(tmp_path: Path) -> None:
    """The same once the log's first entries are trimmed; without a checkpoint, by the footer."""
    store = open_store(str(tmp_path / "lake"))
    lake = Lake(store, settings=TableSettings(checkpoint_versions=2))
    lake.append({"id": ["a", "b"], "n": [1, 2]})
    first = next(action["add"] for action in lake.log(0) if "add" in action)
    lake.append({"id": ["c"], "n": [3]})
    lake.append({"id": ["d"], "n": [4]})
    lake.replace({"id": ["a"], "n": [9]})
    for version in range(2):
        store.delete(f"{lake.dataset.location}/_delta_log/{version:020d}.json")
    restore(lake, 2)
    again = [action["add"] for action in lake.log(4) if "add" in action]
    assert len(again) == 3
    (same,) = [add for add in again if add["path"] == first["path"]]
    assert (same["tags"], same["size"]) == (first["tags"], first["size"])
    assert json.loads(same["stats"]) == json.loads(first["stats"])
    assert all(add["tags"]["lakecore.sha256"] for add in again)
    state = lake.tables._states.current(lake.dataset)
    assert state is not None
    (described,) = added_again(
        store, lake.dataset.location, state.files[:1], version=-1, schema=state.schema
    )
    assert (described.sha256, described.rows) == (None, state.files[0].rows)
    store.close()


def test_a_restore_can_be_restored(lake: Lake) -> None:
    """Nothing is lost by going back."""
    three_versions(lake)
    restore(lake, 0)
    restore(lake, 2)
    assert lake.rows() == lake.rows(version=2)


def test_the_present_version_is_no_change(lake: Lake) -> None:
    """Nor is one with the same rows."""
    three_versions(lake)
    assert restore(lake, 2).version is None
    lake.update(where="id = 'a'", set={"n": 0})
    lake.update(where="id = 'a'", set={"n": 9})
    assert restore(lake, 2).version is None


def test_a_time_is_the_version_that_was_there(tmp_path: Path) -> None:
    """The last version at or before it."""
    clock = ManualClock()
    with_clock = Lake(open_store("memory://"), clock=clock)
    with_clock.append({"id": ["a"], "n": [1]})
    moment = datetime(1970, 1, 1, tzinfo=UTC) + timedelta(microseconds=clock.now_us())
    clock.advance(5_000_000)
    with_clock.update(where="true", set={"n": 2})
    result = restore(with_clock, time=moment)
    assert (result.updated, with_clock.rows()) == (1, [{"id": "a", "n": 1}])


def test_a_dry_run_shows_it(lake: Lake) -> None:
    """Counts and a sample, no version, no file."""
    three_versions(lake)
    files = lake.files()
    result = restore(lake, 0, dry_run=True)
    assert (result.version, result.inserted, result.updated, result.deleted) == (None, 1, 1, 1)
    assert len(result.changes) == 3
    assert lake.files() == files
    assert lake.rows() == lake.rows(version=2)


def test_files_that_are_gone_are_named(lake: Lake) -> None:
    """Vacuumed files: an error that says so, and nothing is changed."""
    three_versions(lake)
    gone = next(action["add"]["path"] for action in lake.log(0) if "add" in action)
    lake.store.delete(f"{lake.dataset.location}/{gone}")
    with pytest.raises(NotFound, match="removed for good"):
        restore(lake, 0)
    assert lake.rows() == lake.rows(version=2)


def test_versions_that_are_not_there(lake: Lake) -> None:
    """Unknown versions, both or neither of version and time, no data yet."""
    with pytest.raises(NotFound):
        restore(lake, 0)
    lake.append({"id": ["a"], "n": [1]})
    with pytest.raises(NotFound, match="no such version"):
        restore(lake, 7)
    with pytest.raises(InvalidInput):
        restore(lake)
    with pytest.raises(InvalidInput):
        restore(lake, 0, time=datetime(2026, 1, 1, tzinfo=UTC))


def test_a_key_that_had_another_name_is_refused(lake: Lake) -> None:
    """Rows of that version have no key under the present name."""
    lake.append({"id": ["a"], "n": [1]})
    lake.tables.alter_columns(lake.dataset, [RenameColumn("id", "number")], author=ADA)
    renamed = Ref(key=("number",), dataset_id=lake.dataset.dataset_id)
    with pytest.raises(InvalidInput, match="another name then"):
        lake.tables.restore(renamed, version=0, author=ADA)
    with pytest.raises(InvalidInput, match="another name then"):
        list(lake.tables.diff(renamed, 0, 1))


def test_common_files_are_not_read(lake: Lake) -> None:
    """A file that both versions have may even be gone."""
    lake.append({"id": ["a"], "n": [1]})
    (common,) = lake.files()
    lake.append({"id": ["b"], "n": [2]})
    lake.store.delete(f"{lake.dataset.location}/{common}")
    found = lines(lake.tables.diff(lake.dataset, 0, 1))
    assert [(line.action, line.entity_id) for line in found] == [("insert", "b")]
    assert restore(lake, 0).deleted == 1


@pytest.mark.parametrize("input_bytes", [1 << 10, 1 << 29])
def test_many_rows_meet_on_disk(input_bytes: int) -> None:
    """Spilled in parts or in memory, the difference is the same."""
    lake = Lake(open_store("memory://"), settings=TableSettings(input_bytes=input_bytes))
    rows = pa.table({"id": pa.array(range(3_000)), "n": pa.array(range(3_000))})
    lake.append(rows)
    lake.update(where="id % 100 = 7", set={"n": -1})
    lake.delete(where="id % 100 = 8")
    found = lines(lake.tables.diff(lake.dataset, 0, 2))
    counts = [sum(line.action == action for line in found) for action in ("update", "delete")]
    assert (len(found), counts) == (60, [30, 30])
    result = restore(lake, 0)
    assert (result.inserted, result.updated, result.deleted) == (30, 30, 0)
    assert lake.arrow().sort_by("id").equals(rows)


def batches(lake: Lake) -> MultisetHash:
    """The multiset hash that the events of all versions add up to."""
    import json

    total = MultisetHash()
    for event in lake.events():
        details = json.loads(event.context)
        for name, sign in (("added", 1), ("removed", -1)):
            if name in details:
                part = MultisetHash.from_json(
                    {"count": details[f"rows_{name}"], "sum": details[name]}
                )
                total = total + part if sign > 0 else total - part
    return total


def test_rows_without_a_key_come_back_as_often_as_they_were(unkeyed: Lake) -> None:
    """Duplicates count; rows on both sides cancel; the events add up to the table."""
    unkeyed.append({"a": [1, 1, 1, 2, None], "b": ["x", "x", "x", None, None]})
    unkeyed.delete(where="a = 1")
    unkeyed.append({"a": [1, 3, 2], "b": ["x", "y", None]})
    found = lines(unkeyed.tables.diff(unkeyed.dataset, 2, 0))
    told = sorted((line.action, line.old_value or line.new_value) for line in found)
    assert told == [
        ("delete", '{"a":2,"b":null}'),
        ("delete", '{"a":3,"b":"y"}'),
        ("insert", '{"a":1,"b":"x"}'),
        ("insert", '{"a":1,"b":"x"}'),
    ]
    result = restore(unkeyed, 0)
    assert (result.inserted, result.deleted) == (2, 2)
    assert unkeyed.rows() == unkeyed.rows(version=0)
    assert batches(unkeyed) == multiset_hash(unkeyed.arrow())


def test_a_new_column_without_a_key(unkeyed: Lake) -> None:
    """Rows that hold a value in it differ, rows that do not are the same."""
    unkeyed.append({"a": [1, 2]})
    unkeyed.replace({"a": [1, 2], "b": [None, 5]})
    found = lines(unkeyed.tables.diff(unkeyed.dataset, 0, 1))
    assert [(line.action, line.field) for line in found] == [
        ("add_column", "b"),
        ("delete", "*"),
        ("insert", "*"),
    ]
    assert restore(unkeyed, 0).version == 2
    assert unkeyed.rows() == [{"a": 1}, {"a": 2}]
