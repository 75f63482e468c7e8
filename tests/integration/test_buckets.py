"""Datasets in named buckets: every path that finds a table by its place finds it there."""

from __future__ import annotations

import os
from pathlib import Path

import pyarrow as pa
import pytest
from deltalake import DeltaTable, write_deltalake
from tests.fakes.bucket_lakes import folder_settings, is_sound, open_folder, rows, wait_until

import lakecore
from lakecore.app import backups_at, create_backup, restore_backup, verify_backups
from lakecore.base import AlreadyExists, Conflict, InvalidInput, ReadOnly, Refused, Unavailable
from lakecore.config import BucketSettings, Settings, StorageSettings
from lakecore.tables import Upkeep

FILE = "id,name\n1,one\n2,two\n"


@pytest.fixture
def lake(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> lakecore.Lake:
    """A lake with `hot` in its own store and `old` in the bucket cold."""
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "state"))
    lake = open_folder(tmp_path)
    lake.create("hot", key=["id"])
    lake.insert("hot", [{"id": 1, "v": 10}, {"id": 2, "v": 20}])
    file = tmp_path / "old.csv"
    file.write_text(FILE)
    lake.ingest(file, dataset="old", key=["id"], bucket="cold")
    return lake


def test_a_dataset_in_a_bucket_is_like_any_other(lake: lakecore.Lake, tmp_path: Path) -> None:
    """Joins, time travel, changes, history, restore, revert, verify: by its place alone."""
    with lake:
        assert lake.dataset("old").location == "buckets/cold/tables/main/old"
        assert (tmp_path / "cold/tables/main/old/_delta_log").is_dir()
        assert not (tmp_path / "lake/buckets").exists()
        made = lake.update("old", set={"name": "uno"}, where="id = 1", reason="spanish")
        assert rows(lake, "select v, name from hot join old using (id)") == [
            (10, "uno"),
            (20, "two"),
        ]
        assert rows(lake, 'select name from "old@0"') == [("one",), ("two",)]
        assert rows(lake, "select name from as_of('old', 0) where id = 1") == [("one",)]
        changed = rows(lake, "select field, new_value from changes('old', 0, 1)")
        assert changed == [("name", '"uno"')]
        assert [event.action for event in lake.history("old", 1)] == ["insert", "update"]
        assert lake.diff("old", 0, 1).read_all().num_rows == 1
        lake.revert(made.mutation_id)
        lake.delete("old", where="id = 2")
        lake.restore("old", version=0)
        assert rows(lake, "select name from old") == [("one",), ("two",)]
        lake.alter("old", add={"note": "string"})
        lake.insert("old", [{"id": 3, "name": "three", "note": "late"}], bucket="cold")
        lake.rename("old", "older")
        lake.drop("older")
        lake.undrop("older")
        assert lake.describe("older")["rows"] == 3
        assert is_sound(lake)


def test_what_others_commit_in_a_bucket_is_reconciled(lake: lakecore.Lake, tmp_path: Path) -> None:
    """As anywhere: found by verify, journaled by reconcile."""
    with lake:
        place = str(tmp_path / "cold/tables/main/old")
        schema = pa.schema(DeltaTable(place).schema().to_arrow())
        more = pa.table({"id": [9], "name": ["nine"]}).cast(schema)
        write_deltalake(place, more, mode="append")
        assert lake.verify().status == "broken"
        (found,) = lake.reconcile().versions
        assert (found.dataset, found.inserted) == ("old", 1)
        assert [event.actor.split(":")[0] for event in lake.history("old", 9)] == ["external"]
        assert is_sound(lake)


def test_upkeep_finds_it(lake: lakecore.Lake, tmp_path: Path) -> None:
    """Small files are put together, and old ones go, in the bucket."""
    with lake:
        lake.alter("old", retention_days=0, retention_versions=1)
        for number in range(10, 20):
            lake.insert("old", [{"id": number, "name": str(number)}])
        settings = lake._parts.maintainer._settings
        object.__setattr__(settings, "grace_hours", 0)
        done = {(step.action, step.outcome) for step in lake.maintain("old").steps}
        assert ("compact", "done") in done
        lake.maintain("old")
        parquet = list((tmp_path / "cold/tables/main/old").glob("*.parquet"))
        assert len(parquet) == lake.describe("old")["files"]
        version = lake.describe("old")["version"]
        assert Upkeep(lake._parts.tables).checkpoint(lake.dataset("old"), version)
        log = tmp_path / "cold/tables/main/old/_delta_log"
        assert list(log.glob(f"{version:020d}.checkpoint*"))
        lake.drop("old", grace_days=0)
        assert [step.action for step in lake.maintain().steps] == ["purge"]
        assert not list((tmp_path / "cold/tables/main/old").glob("*.parquet"))
        assert lake.verify(full=True).status == "green"


def test_a_workspace_over_buckets(lake: lakecore.Lake) -> None:
    """Its branch is in the lake's own store and reads its base in the bucket."""
    with lake:
        inside = lake.workspace("try")
        inside.update("old", set={"name": "changed"}, where="id = 1")
        inside.insert("hot", [{"id": 3, "v": 30}])
        both = "select v, name from hot left join old using (id)"
        found = sorted(
            (row["v"], row["name"]) for row in inside.sql(both).to_pylist() if row["name"]
        )
        assert found == [(10, "changed"), (20, "two")]
        assert rows(lake, "select name from old where id = 1") == [("one",)]
        inside.merge()
        assert rows(lake, "select name from old where id = 1") == [("changed",)]
        assert is_sound(lake)


def test_backups_have_what_is_in_buckets(
    lake: lakecore.Lake, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """And a restored lake has it inside, whether or not its settings name the bucket."""
    with lake:
        lake.workspace("open").update("old", set={"name": "x"}, where="id = 1")
        lake.move("hot", bucket="cold")
        lake.insert("hot", [{"id": 3, "v": 30}])
        create_backup(lake, tmp_path / "backups")
        assert verify_backups(tmp_path / "backups").status == "green"
        assert backups_at(tmp_path / "backups")
    restore_backup(tmp_path / "backups", tmp_path / "again")
    for settings in (Settings(), folder_settings(tmp_path)):
        with lakecore.open(tmp_path / "again", config=settings, actor="ada") as again:
            assert rows(again, "select v from hot") == [(10,), (20,), (30,)]
            assert rows(again, "select name from old") == [("one",), ("two",)]
            assert is_sound(again)


def test_a_move_there_and_back(lake: lakecore.Lake, tmp_path: Path) -> None:
    """Rows, versions, history and proofs go along; the old files go after the grace."""
    with lake:
        lake.update("hot", set={"v": 11}, where="id = 1")
        moved = lake.move("hot", bucket="cold", grace_days=0)
        assert (moved.bucket, moved.version) == ("cold", 2)
        lake.update("hot", set={"v": 12}, where="id = 1")
        assert rows(lake, "select v from hot") == [(12,), (20,)]
        assert rows(lake, 'select v from "hot@0"') == [(10,), (20,)]
        assert [event.new_value for event in lake.history("hot", 1)][1:] == ["11", "12"]
        assert lake.reconcile().versions == []
        assert is_sound(lake)
        back = lake.move("hot", bucket="primary", grace_days=0)
        assert back.bucket == ""
        lake.insert("hot", [{"id": 3, "v": 30}])
        assert is_sound(lake)
        steps = [step for step in lake.maintain().steps if step.action == "purge"]
        assert [step.outcome for step in steps] == ["done", "done"]
        assert not any((tmp_path / "lake/tables/main/hot").rglob("*.parquet"))
        left = (tmp_path / "cold/tables/main").glob("hot*/**/*")
        assert not any(path.is_file() for path in left)
        assert rows(lake, 'select v from "hot@1"') == [(11,), (20,)]
        assert is_sound(lake)
        assert lake.maintain().steps == []
        moves = lake.journal.query(entity_type="maintenance", action="move").items
        assert len(moves) == 2
        actions = {e.action for e in lake.journal.query(entity_type="datasets", limit=500).items}
        assert {"move_begin", "move", "purge_place"} <= actions


def test_a_move_waits_for_workspaces(lake: lakecore.Lake, tmp_path: Path) -> None:
    """The old files stay for as long as a workspace builds on them."""
    with lake:
        inside = lake.workspace("try")
        inside.update("hot", set={"v": 99}, where="id = 2")
        lake.move("hot", bucket="cold", grace_days=0)
        assert lake.maintain().steps == []
        found = inside.sql("select v from hot where id = 1").to_pylist()
        assert found == [{"v": 10}]
        inside.merge()
        assert rows(lake, "select v from hot") == [(10,), (99,)]
        assert "purge" in [step.action for step in lake.maintain().steps]
        assert is_sound(lake)


def test_a_table_of_a_bucket_is_adopted(lake: lakecore.Lake, tmp_path: Path) -> None:
    """By its place on the machine or in the bucket; where the bucket is read-only, read."""
    place = tmp_path / "house/sales"
    write_deltalake(str(place), pa.table({"k": [1, 2], "z": ["a", "b"]}))
    write_deltalake(str(tmp_path / "outside"), pa.table({"k": [1]}))
    lake.close()
    settings = folder_settings(tmp_path)
    house = BucketSettings(name="house", uri=str(tmp_path / "house"), read_only=True)
    more = StorageSettings(bucket=(*settings.storage.bucket, house))
    with lakecore.open(config=Settings(lake=settings.lake, storage=more), actor="ada") as again:
        for name, uri in (("a", str(place)), ("b", "buckets/house/sales")):
            if name == "b":
                with pytest.raises(AlreadyExists):
                    again.adopt(uri, dataset=name, key=["k"])
                continue
            adopted = again.adopt(uri, dataset=name, key=["k"])
            assert adopted.location == "buckets/house/sales"
        write_deltalake(str(place), pa.table({"k": [3], "z": ["c"]}), mode="append")
        assert again.reconcile().versions[0].inserted == 1
        assert rows(again, "select z, name from a join old on k = id") == [
            ("a", "one"),
            ("b", "two"),
        ]
        with pytest.raises(ReadOnly, match="read-only by its settings"):
            again.insert("a", [{"k": 9, "z": "x"}])
        with pytest.raises(InvalidInput, match="stays where its owner put it"):
            again.move("a", bucket="cold")
        with pytest.raises(InvalidInput, match="outside of this lake's store and of its buckets"):
            again.adopt(str(tmp_path / "outside"), dataset="c")
        assert is_sound(again)
        create_backup(again, tmp_path / "backups")
        assert verify_backups(tmp_path / "backups").status == "green"
        states = {state.name: state for state in again.buckets(check=True)}
        assert (states["house"].state, states["house"].is_create_only) == ("read-only", None)
        assert states["cold"].is_create_only
        assert states["cold"].datasets == ("old",)
        assert [one.name for one in again.doctor().findings if not one.ok] == [
            "the bucket dr (replica) can be used"  # nothing was replicated yet
        ]
    assert not (tmp_path / "house/lakecore-bucket.json").exists()


def test_a_bucket_that_is_gone(lake: lakecore.Lake, tmp_path: Path) -> None:
    """It is not taken for an empty one; what is elsewhere works, and it comes back by itself."""
    with lake:
        os.rename(tmp_path / "cold", tmp_path / "unmounted")
        for ask in (
            lambda: rows(lake, "select * from old"),
            lambda: lake.insert("old", [{"id": 5, "name": "five"}]),
            lambda: lake.create("new", key=["id"], bucket="cold"),
        ):
            with pytest.raises(Unavailable):
                ask()
        assert not (tmp_path / "cold").exists()
        lake.insert("hot", [{"id": 3, "v": 30}])
        assert rows(lake, "select v from hot") == [(10,), (20,), (30,)]
        assert lake.verify().status == "inconclusive"
        states = {state.name: state.state for state in lake.buckets()}
        assert (states["primary"], states["cold"]) == ("ok", "away")
        assert not lake.doctor().ok
        os.rename(tmp_path / "unmounted", tmp_path / "cold")
        wait_until(lambda: lake._parts.buckets.breaker("cold").error is None)
        assert rows(lake, "select name from old") == [("one",), ("two",)]
        assert is_sound(lake)


def test_without_its_settings_a_bucket_is_not_configured(
    lake: lakecore.Lake, tmp_path: Path
) -> None:
    """Whoever opens the lake without them gets an error for that dataset, never no rows."""
    lake.close()
    with lakecore.open(tmp_path / "lake", config=Settings(), actor="ada") as bare:
        assert rows(bare, "select v from hot") == [(10,), (20,)]
        with pytest.raises(Unavailable, match="not configured: found cold"):
            rows(bare, "select * from old")
        with pytest.raises(Unavailable, match="not configured: found cold"):
            bare.insert("old", [{"id": 7, "name": "x"}])
        assert [one.state for one in bare.buckets()] == ["ok", "away"]
        assert bare.verify().status == "inconclusive"


def test_another_lakes_bucket_is_refused(lake: lakecore.Lake, tmp_path: Path) -> None:
    """A slip in the settings neither shows nor writes somebody else's tables."""
    lake.close()
    settings = folder_settings(tmp_path)
    with lakecore.open(tmp_path / "other", config=settings, actor="eve") as other:
        with pytest.raises(Refused, match="another lake's"):
            other.create("mine", key=["id"], bucket="cold")
        with pytest.raises(InvalidInput, match="no bucket for new tables"):
            other.create("mine", key=["id"], bucket="warm")
        with pytest.raises(InvalidInput, match="no bucket for new tables"):
            other.create("mine", key=["id"], bucket="dr")


def test_moves_that_cannot_be(lake: lakecore.Lake) -> None:
    """Each says why."""
    with lake:
        lake.create("empty", key=["id"])
        with pytest.raises(InvalidInput, match="no data yet"):
            lake.move("empty", bucket="cold")
        with pytest.raises(InvalidInput, match="there already"):
            lake.move("old", bucket="cold")
        with pytest.raises(InvalidInput, match="no bucket for new tables"):
            lake.move("hot", bucket="nowhere")
        with pytest.raises(InvalidInput, match="in another bucket"):
            lake.insert("hot", [{"id": 4, "v": 1}], bucket="cold")
        stale = lake.dataset("hot")
        lake.move("hot", bucket="cold")
        with pytest.raises(Conflict, match="being moved"):
            lake._parts.tables.delete(stale, all_rows=True, author=lake._author(None, "api", ""))
        assert rows(lake, "select v from hot") == [(10,), (20,)]
