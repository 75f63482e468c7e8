"""Versions and times, caches, checkpoints, and tables that are not ours to write."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pyarrow as pa
import pytest
from deltalake import DeltaTable, write_deltalake
from tests.unit.tables.conftest import Lake, Ref

from lakecore.base import CorruptData, InvalidInput, ManualClock, NotFound, UnsupportedFormat
from lakecore.storage import open_store
from lakecore.tables import TableSettings, entity_id


def test_versions_and_times(lake: Lake) -> None:
    """A version is found by number and by any moment until the next one."""
    clock = lake.clock
    assert isinstance(clock, ManualClock)
    moments = []
    for number in range(4):
        lake.append({"id": [number]})
        moments.append(datetime.fromtimestamp(clock.now_us() / 1e6, UTC))
        clock.advance(60_000_000)
    for number, moment in enumerate(moments):
        assert len(lake.rows(version=number)) == number + 1
        for later in (timedelta(0), timedelta(seconds=59)):
            view = lake.tables.open(lake.dataset, time=moment + later)
            assert view is not None
            assert view.version == number
    with pytest.raises(NotFound):
        lake.tables.open(lake.dataset, time=moments[0] - timedelta(microseconds=1))
    with pytest.raises(NotFound, match="0 to 3"):
        lake.tables.open(lake.dataset, version=4)
    with pytest.raises(InvalidInput):
        lake.tables.open(lake.dataset, time=datetime(2026, 1, 1))


def test_an_empty_dataset_has_no_view(lake: Lake) -> None:
    """Registered and without data: readable as nothing, changeable by condition not at all."""
    assert lake.tables.open(lake.dataset) is None
    with pytest.raises(NotFound):
        lake.tables.open(lake.dataset, version=0)
    with pytest.raises(InvalidInput, match="no data yet"):
        lake.delete(where="id = 1")


def test_views_stay_at_their_version(lake: Lake) -> None:
    """A view that was opened before a change still reads what it was opened for."""
    lake.append({"id": [1]})
    before = lake.tables.open(lake.dataset)
    lake.append({"id": [2]})
    assert before is not None
    assert before.delta.to_pyarrow_table().num_rows == before.row_count == 1
    after = lake.tables.open(lake.dataset)
    assert after is not None
    assert (after.version, after.row_count, after.file_count) == (1, 2, 2)
    assert after.size_bytes > before.size_bytes


def test_checkpoints_are_written_and_keep_the_log(tmp_path: Path) -> None:
    """Every so many versions; old versions, their times and records stay readable."""
    lake = Lake(open_store(str(tmp_path)), settings=TableSettings(checkpoint_versions=5))
    for number in range(12):
        lake.upsert({"id": [0], "v": [number]})
    folder = tmp_path / lake.dataset.location / "_delta_log"
    assert len(list(folder.glob("*.checkpoint.parquet"))) == 2
    assert len(list(folder.glob("*.json"))) == 12
    fresh = Lake(open_store(str(tmp_path)), dataset=lake.dataset)
    assert fresh.rows() == [{"id": 0, "v": 11}]
    assert fresh.rows(version=3) == [{"id": 0, "v": 3}]
    assert len(fresh.events()) == 12
    assert fresh.upsert({"id": [0], "v": [11]}).unchanged == 1


def test_a_failing_checkpoint_fails_nothing(
    lake: Lake, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """Checkpoints are derived: a change that is committed is acknowledged without one."""

    def broken(self: DeltaTable) -> None:
        raise OSError("disk")

    monkeypatch.setattr(DeltaTable, "create_checkpoint", broken)
    settings = TableSettings(checkpoint_versions=1)
    other = Lake(lake.store, settings=settings)
    other.append({"id": [1]})
    assert other.append({"id": [2]}).version == 1
    assert "no checkpoint" in caplog.text


@pytest.mark.parametrize(
    "configuration",
    [
        {"delta.enableChangeDataFeed": "true"},
        {"delta.enableDeletionVectors": "true"},
        {"delta.columnMapping.mode": "name"},
        {"delta.constraints.positive": "id > 0"},
    ],
)
def test_features_that_are_not_kept_are_refused(lake: Lake, configuration: dict[str, str]) -> None:
    """A table whose features a change of ours would break is not changed."""
    lake.append({"id": [1]})
    path = lake.store.local_path(f"{lake.dataset.location}/_delta_log/{0:020d}.json")
    assert path is not None
    actions = [json.loads(line) for line in path.read_text().splitlines()]
    actions[2]["metaData"]["configuration"] |= configuration
    path.write_text("".join(json.dumps(action) + "\n" for action in actions))
    other = Lake(lake.store, dataset=lake.dataset)
    with pytest.raises(UnsupportedFormat, match=next(iter(configuration))):
        other.append({"id": [2]})


def test_append_only_tables_take_rows_only(lake: Lake) -> None:
    """`delta.appendOnly` allows appends and refuses everything that removes."""
    lake.append({"id": [1]})
    path = lake.store.local_path(f"{lake.dataset.location}/_delta_log/{0:020d}.json")
    assert path is not None
    path.write_text(
        path.read_text().replace('"configuration":{', '"configuration":{"delta.appendOnly":"true",')
    )
    other = Lake(lake.store, dataset=lake.dataset)
    assert other.append({"id": [2]}).version == 1
    with pytest.raises(UnsupportedFormat, match="appendOnly"):
        other.delete(where="id = 1")


def test_partitioned_tables_are_refused(tmp_path: Path) -> None:
    """Data files of partitioned tables lack columns: those are another writer's to change."""
    store = open_store(str(tmp_path))
    rows = pa.table({"id": [1], "day": ["x"]})
    uri = store.table_uri("tables/main/planes")
    write_deltalake(uri, rows, partition_by=["day"])
    dataset = Ref(dataset_id=str(DeltaTable(uri).metadata().id))
    with pytest.raises(UnsupportedFormat, match="partition"):
        Lake(store, dataset=dataset).append({"id": [2], "day": ["x"]})


def test_another_table_in_the_place_is_reported(lake: Lake) -> None:
    """A log with another table's id is never written to."""
    lake.append({"id": [1]})
    with pytest.raises(CorruptData, match="another table"):
        Lake(lake.store, dataset=Ref()).append({"id": [2]})


def test_files_of_other_engines_are_rewritten_by_their_raw_path(lake: Lake) -> None:
    """A file name with characters that URLs escape is found, read and removed."""
    import pyarrow.parquet as pq

    lake.append({"id": [1], "v": [1]})
    name = "a b%c.parquet"
    folder = lake.store.local_path(lake.dataset.location)
    assert folder is not None
    pq.write_table(pa.table({"id": [2], "v": [2]}), folder / name)
    add = {
        "path": "a%20b%25c.parquet",
        "partitionValues": {},
        "size": (folder / name).stat().st_size,
        "modificationTime": 0,
        "dataChange": True,
    }
    log = folder / "_delta_log" / f"{1:020d}.json"
    log.write_text(json.dumps({"commitInfo": {"timestamp": 5}}) + "\n" + json.dumps({"add": add}))
    assert lake.rows() == [{"id": 1, "v": 1}, {"id": 2, "v": 2}]
    assert lake.upsert({"id": [2], "v": [3]}).updated == 1
    assert lake.rows() == [{"id": 1, "v": 1}, {"id": 2, "v": 3}]


def test_entity_ids_from_python_values() -> None:
    """The id that the journal has for a key given as a value, a sequence or a mapping."""
    assert entity_id(("k",), "N1") == "N1"
    assert entity_id(("k",), 7) == entity_id(("k",), {"k": 7}) == "7"
    assert entity_id(("a", "b"), {"b": 1, "a": "x"}) == '["x",1]'
    assert entity_id(("a", "b"), '["x", 1]') == '["x",1]'
    with pytest.raises(InvalidInput):
        entity_id(("a", "b"), "x")
