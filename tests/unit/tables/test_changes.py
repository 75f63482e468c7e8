"""What each change does to rows, events and the log."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest
from tests.unit.tables.conftest import ADA, Lake, Ref, context_of

from lakecore.base import InvalidInput, ManualClock, Refused
from lakecore.storage import open_store
from lakecore.tables import IngestNote, Sql, TableSettings


def brief(lake: Lake) -> list[tuple[Any, ...]]:
    """Events as (version, action, id, field, old, new)."""
    return [
        (e.version, e.action, e.entity_id, e.field, e.old_value, e.new_value) for e in lake.events()
    ]


def test_first_append_creates_the_table(lake: Lake) -> None:
    """Version 0 carries protocol, metadata and rows, and one event a row."""
    result = lake.append({"id": [1, 2], "seats": [55, None]})
    assert (result.version, result.inserted, result.events) == (0, 2, 2)
    assert lake.rows() == [{"id": 1, "seats": 55}, {"id": 2, "seats": None}]
    assert brief(lake) == [
        (0, "insert", "1", "*", None, '{"id":1,"seats":55}'),
        (0, "insert", "2", "*", None, '{"id":2,"seats":null}'),
    ]
    names = [next(iter(action)) for action in lake.log(0)]
    assert names == ["commitInfo", "protocol", "metaData", "add"]
    assert lake.log(0)[1]["protocol"] == {"minReaderVersion": 1, "minWriterVersion": 2}
    assert lake.log(0)[2]["metaData"]["id"] == lake.dataset.dataset_id


def test_events_say_who_when_and_why(lake: Lake) -> None:
    """Every event has the author, the commit time and an id of the mutation and its place."""
    result = lake.append({"id": [7]}, mutation_id="m-1")
    (event,) = lake.events()
    assert result.mutation_id == event.mutation_id == "m-1"
    assert event.event_id == "m-1:0"
    assert (event.actor, event.source, event.entity_type) == ("ada", "api", "plane")
    assert (event.dataset, event.dataset_id) == ("planes", lake.dataset.dataset_id)
    assert context_of(event) == {"reason": "test"}
    record = lake.log(0)[0]["commitInfo"]["lakecore"]
    assert event.timestamp is not None
    assert record["mutations"][0]["timestamp_us"] == event.timestamp.timestamp() * 1_000_000
    assert record["commit_id"] == result.commit_id


def test_commit_times_increase_when_the_clock_does_not(lake: Lake) -> None:
    """A clock that stands still or goes back still gives every version a later time."""
    clock = lake.clock
    assert isinstance(clock, ManualClock)
    lake.append({"id": [1]})
    clock.set(1_000)
    lake.append({"id": [2]})
    times = [lake.tables.commit_time_us(lake.dataset, version) for version in (0, 1)]
    assert times[1] == times[0] + 1


def test_append_refuses_keys_that_are_there(lake: Lake) -> None:
    """A present key, a repeated key and a null key are refused, by name, and leave nothing."""
    lake.append({"id": ["a", "b"], "v": [1, 2]})
    before = lake.files(), lake.journal.staged_ids()
    with pytest.raises(InvalidInput, match=r"already in the dataset.*found b"):
        lake.append({"id": ["b", "c"], "v": [3, 4]})
    with pytest.raises(InvalidInput, match=r"more than once.*found c"):
        lake.append({"id": ["c", "d", "c"], "v": [3, 4, 5]})
    with pytest.raises(InvalidInput, match="row 2"):
        lake.append({"id": ["c", None], "v": [3, 4]})
    assert (lake.files(), lake.journal.staged_ids()) == before


def test_composite_keys_have_json_array_ids(tmp_path: Path) -> None:
    """A key of two columns is a JSON array in the journal, and identifies by both."""
    lake = Lake(open_store(str(tmp_path)), dataset=Ref(key=("a", "b")))
    lake.append({"a": ["x", "x"], "b": [1, 2], "v": [0, 0]})
    lake.upsert({"a": ["x"], "b": [2], "v": [9]})
    assert [e.entity_id for e in lake.events()] == ['["x",1]', '["x",2]', '["x",2]']
    assert lake.rows() == [{"a": "x", "b": 1, "v": 0}, {"a": "x", "b": 2, "v": 9}]


def test_upsert_journals_changed_fields_only(lake: Lake) -> None:
    """Changed fields, old and new; rows that are already so are counted and left alone."""
    lake.append({"id": [1, 2, 3], "a": ["x", "y", "z"], "b": [1.0, float("nan"), None]})
    result = lake.upsert({"id": [2, 3, 4], "a": ["y", "Z", "n"], "b": [float("nan"), None, 4.0]})
    assert (result.inserted, result.updated, result.unchanged) == (1, 1, 1)
    assert brief(lake)[3:] == [
        (1, "update", "3", "a", '"z"', '"Z"'),
        (1, "insert", "4", "*", None, '{"a":"n","b":4.0,"id":4}'),
    ]


def test_upsert_of_the_same_rows_commits_nothing(lake: Lake) -> None:
    """Nothing to change: no version, no events, no files, and the result says so."""
    lake.append({"id": [1, 2], "v": [0.0, 1.0]})
    files = lake.files()
    result = lake.upsert({"id": [2, 1], "v": [1.0, -0.0]})
    assert (result.commit_id, result.version, result.unchanged) == (None, None, 2)
    assert not result.committed
    assert lake.files() == files


def test_upsert_keeps_columns_that_the_input_lacks(lake: Lake) -> None:
    """A column that is not given keeps its value, and is null in new rows."""
    lake.append({"id": [1], "a": [1], "b": ["keep"]})
    lake.upsert({"id": [1, 2], "a": [5, 6]})
    assert lake.rows() == [{"id": 1, "a": 5, "b": "keep"}, {"id": 2, "a": 6, "b": None}]


def test_upsert_into_an_empty_dataset_creates_it(lake: Lake) -> None:
    """The first rows may come by upsert."""
    assert lake.upsert({"id": [1]}).version == 0


def test_upsert_refuses_repeated_keys_and_no_key(lake: Lake, tmp_path: Path) -> None:
    """Which of two rows with one key would win is not guessed; without a key there is no upsert."""
    with pytest.raises(InvalidInput, match="more than once"):
        lake.upsert({"id": [1, 1], "v": [1, 2]})
    other = Lake(open_store(str(tmp_path / "other")), dataset=Ref(key=()))
    with pytest.raises(InvalidInput, match="needs a key"):
        other.upsert({"v": [1]})


def test_input_larger_than_the_bound_is_refused(tmp_path: Path) -> None:
    """Upsert holds its input in memory, so it has a bound; append does not."""
    settings = TableSettings(input_bytes=1_000)
    lake = Lake(open_store(str(tmp_path)), settings=settings)
    rows = {"id": list(range(1_000))}
    with pytest.raises(InvalidInput, match="too many rows"):
        lake.upsert(rows)
    assert lake.append(rows).inserted == 1_000


def test_replace_of_a_keyed_dataset_is_a_diff(lake: Lake) -> None:
    """Changed, new and missing rows become updates, inserts and deletes."""
    lake.append({"id": [1, 2, 3], "v": ["a", "b", "c"], "w": [1, 2, 3]})
    result = lake.replace({"id": [2, 3, 4], "v": ["b", "C", "d"], "w": [2, 3, 4]})
    counts = (result.inserted, result.updated, result.deleted, result.unchanged)
    assert counts == (1, 1, 1, 1)
    assert brief(lake)[3:] == [
        (1, "update", "3", "v", '"c"', '"C"'),
        (1, "delete", "1", "*", '{"id":1,"v":"a","w":1}', None),
        (1, "insert", "4", "*", None, '{"id":4,"v":"d","w":4}'),
    ]
    result = lake.replace({"id": [2, 3, 4], "v": ["b", "C", "d"], "w": [2, 3, 4]})
    assert not result.committed


def test_replace_makes_missing_columns_null(lake: Lake) -> None:
    """The input is the whole content: what it lacks is not there any more."""
    lake.append({"id": [1], "v": ["a"]})
    lake.replace({"id": [1]})
    assert lake.rows() == [{"id": 1, "v": None}]


def test_unkeyed_changes_are_batch_events(unkeyed: Lake) -> None:
    """One event a mutation: counts and multiset hashes, the same for the same rows."""
    unkeyed.append({"v": [1, 2, 2]})
    unkeyed.replace({"v": [1, 3]})
    unkeyed.update(where="v = 3", set={"v": 1})
    unkeyed.delete(where="v = 1")
    contexts = [json.loads(event.context) for event in unkeyed.events()]
    assert [(c["rows_added"], c["rows_removed"]) for c in contexts] == [
        (3, 0),
        (2, 3),
        (1, 1),
        (0, 2),
    ]
    assert contexts[1]["removed"] == contexts[0]["added"]
    assert [e.entity_id for e in unkeyed.events()] == ["batch:3", "batch:5", "batch:1", "batch:2"]
    assert unkeyed.rows() == []


def test_unkeyed_replace_by_the_same_rows_commits_nothing(unkeyed: Lake) -> None:
    """The same multiset of rows, in any order, is no change, and its files are removed again."""
    unkeyed.append({"v": [1, 2, 3]})
    files = unkeyed.files()
    result = unkeyed.replace({"v": [3, 1, 2]})
    assert (result.commit_id, result.unchanged) == (None, 3)
    assert unkeyed.files() == files


def test_update_by_condition_and_expression(lake: Lake) -> None:
    """WHERE picks rows, `Sql` is evaluated over them as they were, other values are literal."""
    lake.append({"id": [1, 2, 3], "v": [10, 20, None], "t": ["a", "b", "c"]})
    result = lake.update(where="v >= 10", set={"v": Sql("v + id"), "t": "v"})
    assert (result.updated, result.events) == (2, 4)
    assert [(r["v"], r["t"]) for r in lake.rows()] == [(11, "v"), (22, "v"), (None, "c")]


def test_update_without_a_condition_has_to_be_asked_for(lake: Lake) -> None:
    """Every row is changed only on request."""
    lake.append({"id": [1, 2], "v": [1, 2]})
    with pytest.raises(InvalidInput, match="no condition") as caught:
        lake.update(set={"v": 0})
    assert "--all" in (caught.value.hint or "")
    with pytest.raises(InvalidInput, match="no condition"):
        lake.delete()
    assert lake.update(set={"v": 2}, all_rows=True).updated == 1
    assert lake.delete(all_rows=True).deleted == 2
    assert lake.rows() == []


def test_changing_a_key_is_delete_and_insert(lake: Lake) -> None:
    """The new entity's event names the former one; other rows of the update stay updates."""
    lake.append({"id": [1, 2], "v": ["a", "b"]})
    result = lake.update(all_rows=True, set={"id": Sql("case when id = 1 then 9 else id end")})
    assert (result.updated, result.unchanged) == (1, 1)
    assert brief(lake)[2:] == [
        (1, "delete", "1", "*", '{"id":1,"v":"a"}', None),
        (1, "insert", "9", "*", None, '{"id":9,"v":"a"}'),
    ]
    assert context_of(lake.events()[-1]) == {"rekeyed_from": "1", "reason": "test"}


def test_changing_keys_may_permute_but_not_collide(lake: Lake) -> None:
    """Keys may change places in one mutation; a key of a row that stays is refused."""
    lake.append({"id": [1, 2, 3], "v": ["a", "b", "c"]})
    with pytest.raises(InvalidInput, match="belongs to another row"):
        lake.update(where="id = 1", set={"id": 2})
    with pytest.raises(InvalidInput, match="more than once"):
        lake.update(where="id < 3", set={"id": 7})
    with pytest.raises(InvalidInput, match="no value"):
        lake.update(where="id = 1", set={"id": None})
    lake.update(where="id < 3", set={"id": Sql("3 - id")})
    assert [(r["id"], r["v"]) for r in lake.rows()] == [(1, "b"), (2, "a"), (3, "c")]


def test_new_columns_evolve_the_schema(lake: Lake) -> None:
    """A new column is added, null in old rows, and journaled as one event on the schema."""
    lake.append({"id": [1]})
    lake.append(pa.table({"id": [2], "at": pa.array([0], pa.timestamp("us"))}))
    event = lake.events()[1]
    assert (event.entity_type, event.entity_id, event.field) == ("schema", "planes", "at")
    assert (event.action, event.new_value) == ("add_column", '"timestamp_ntz"')
    assert lake.log(1)[1]["protocol"]["writerFeatures"] == [
        "timestampNtz",
        "appendOnly",
        "invariants",
    ]
    assert [row["at"] is None for row in lake.rows()] == [True, False]


def test_frozen_schemas_refuse_new_columns(tmp_path: Path) -> None:
    """By the dataset's contract, or as asked for this change."""
    lake = Lake(open_store(str(tmp_path)), dataset=Ref(contract="freeze"))
    lake.append({"id": [1]})
    with pytest.raises(InvalidInput, match="'extra'"):
        lake.append({"id": [2], "extra": [1]})
    assert lake.append({"id": [2], "extra": [1]}, schema_change="evolve").version == 1


def test_values_are_cast_without_loss_or_refused(lake: Lake) -> None:
    """Whole floats fit an integer column; others are refused with column and row."""
    lake.append({"id": [1], "v": [1]})
    lake.append({"id": [2], "v": [2.0]})
    with pytest.raises(InvalidInput) as caught:
        lake.append({"id": [3, 4], "v": ["7", "7x"]})
    error = caught.value
    assert (error.where, error.expected, error.found) == ("column 'v', row 2", "int64", "'7x'")
    assert [row["v"] for row in lake.rows()] == [1, 2]


def test_dry_run_writes_nothing(lake: Lake) -> None:
    """Counts and a sample as they would be, and not an object more."""
    lake.append({"id": [1, 2], "v": [1, 2]})
    stored = {found.path for found in lake.store.list_objects("")}
    for result in (
        lake.append({"id": [3], "v": [3]}, dry_run=True),
        lake.upsert({"id": [1, 3], "v": [9, 9]}, dry_run=True),
        lake.replace({"id": [1], "v": [9]}, dry_run=True),
        lake.update(where="id = 1", set={"v": 5}, dry_run=True),
        lake.delete(where="id = 1", dry_run=True),
    ):
        assert result.dry_run
        assert result.commit_id is None
        assert result.changes
    assert result.changes[0]["old_value"] == '{"id":1,"v":1}'
    with pytest.raises(InvalidInput, match="already"):
        lake.append({"id": [1], "v": [3]}, dry_run=True)
    assert {found.path for found in lake.store.list_objects("")} == stored


def test_results_show_at_most_twenty_changes(lake: Lake) -> None:
    """The sample is bounded, the counts are exact."""
    result = lake.append({"id": list(range(100))})
    assert (len(result.changes), result.inserted, result.events) == (20, 100, 100)


@pytest.mark.parametrize("key", [("id",), ()])
def test_ingest_is_noted_and_remembered(tmp_path: Path, key: tuple[str, ...]) -> None:
    """One event names the file and the number of rows; the hash is found again."""
    lake = Lake(open_store(str(tmp_path)), dataset=Ref(key=key))
    sha256 = hashlib.sha256(b"x").hexdigest()
    note = IngestNote(file_name="planes.csv", sha256=sha256, size_bytes=9)
    assert lake.tables.ingested_version(lake.dataset, sha256) is None
    lake.append({"id": [1, 2]}, ingest=note)
    event = lake.events()[-1]
    assert (event.action, event.entity_id) == ("ingest", "batch:2")
    assert event.new_value == '"2 rows from planes.csv"'
    assert json.loads(event.context)["file_sha256"] == sha256
    assert lake.tables.ingested_version(lake.dataset, sha256) == 0
    later = replace(note, sha256="1" * 64)
    lake.append({"id": [3]}, ingest=later)
    assert lake.tables.ingested_version(lake.dataset, later.sha256) == 1
    assert lake.tables.ingested_version(lake.dataset, sha256) == 0
    assert lake.tables.ingested_version(lake.dataset, "0" * 64) is None


def test_before_commit_runs_once_and_can_stop(lake: Lake) -> None:
    """It is called when everything is staged; if it raises, nothing is left."""

    def refuse() -> None:
        raise Refused("not now")

    with pytest.raises(Refused):
        lake.append({"id": [1]}, before_commit=refuse)
    assert not list(lake.store.list_objects(""))
    calls: list[int] = []
    lake.append({"id": [1]}, before_commit=lambda: calls.append(1))
    assert calls == [1]


def test_an_empty_append_creates_an_empty_table(lake: Lake) -> None:
    """A file with a header and no rows is a dataset with columns and no rows."""
    empty = pa.table({"id": pa.array([], pa.int64()), "v": pa.array([], pa.string())})
    assert lake.append(empty).version == 0
    assert lake.arrow().schema.names == ["id", "v"]
    assert lake.append(empty).version is None


def test_streams_are_written_in_bounded_files(tmp_path: Path) -> None:
    """Files, row groups and chunks have the sizes that the settings say."""
    settings = TableSettings(file_rows=1_000, row_group_rows=300, chunk_bytes=2_000)
    lake = Lake(open_store(str(tmp_path)), settings=settings)

    def batches() -> Iterator[pa.RecordBatch]:
        for start in range(0, 2_500, 125):
            yield pa.record_batch({"id": list(range(start, start + 125))})

    schema = pa.schema([("id", pa.int64())])
    reader = pa.RecordBatchReader.from_batches(schema, batches())
    assert lake.append(reader).inserted == 2_500
    adds = [action["add"] for action in lake.log(0) if "add" in action]
    assert [json.loads(add["stats"])["numRecords"] for add in adds] == [1_000, 1_000, 500]
    assert [row["id"] for row in sorted(lake.arrow().to_pylist(), key=lambda r: r["id"])] == list(
        range(2_500)
    )


def test_a_reader_that_fails_leaves_nothing(tmp_path: Path) -> None:
    """Data files that were complete when the input broke are removed again."""
    lake = Lake(open_store(str(tmp_path)), settings=TableSettings(file_rows=10, row_group_rows=10))

    def batches() -> Iterator[pa.RecordBatch]:
        for start in range(0, 100, 10):
            yield pa.record_batch({"id": list(range(start, start + 10))})
        raise InvalidInput("line 101 is broken")

    reader = pa.RecordBatchReader.from_batches(pa.schema([("id", pa.int64())]), batches())
    with pytest.raises(Exception, match="line 101"):
        lake.append(reader)
    assert not list(lake.store.list_objects(""))


def test_author_context_is_in_every_event(lake: Lake) -> None:
    """What a run or a request says about itself is kept with each change."""
    from dataclasses import replace

    author = replace(ADA, context={"run": 7})
    lake.tables.append(lake.dataset, pa.table({"id": [1]}), author=author)
    assert context_of(lake.events()[0]) == {"reason": "test", "run": 7}
