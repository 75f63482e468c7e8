"""Replication that is broken off at every write: the replica is a lake at any time.

Whatever was stored or not, it opens, its rows are those of one state, and `verify` finds nothing
wrong: what is ahead of its events is pending. The next run ends, and copies nothing twice.
"""

from __future__ import annotations

import json
import os
import shutil
from pathlib import Path
from typing import Any

import pytest
from tests.fakes.bucket_lakes import is_sound, open_folder, rows
from tests.fakes.compaction import small_ranges
from tests.fakes.faulty_store import Fault, FaultyStore

import lakecore
from lakecore.app import _replicas
from lakecore.app._replicas import replicate_to
from lakecore.backup import REPLICA, read_replica
from lakecore.base import Conflict, LakecoreError, ReadOnly, Refused, Stop
from lakecore.config import Settings
from lakecore.storage import Store, open_store

QUERY = "select v from hot"
EVERY = 1 if "LAKECORE_SOAK_ROUNDS" in os.environ else 3
"""Of the writes, which fail: without the variable every third, beginning with another one."""


@pytest.fixture
def lake(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> lakecore.Lake:
    """A lake with tables in two buckets, replicated once, and then changed in many ways."""
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "state"))
    lake = open_folder(tmp_path)
    lake.create("hot", key=["id"])
    lake.insert("hot", [{"id": 1, "v": 10}])
    lake.create("old", key=["id"], bucket="cold")
    lake.insert("old", [{"id": 1, "w": "a"}])
    return lake


def change_much(lake: lakecore.Lake) -> None:
    """A commit of each kind: rows, columns, names, a place, a workspace."""
    lake.insert("hot", [{"id": 2, "v": 20}])
    lake.update("old", set={"w": "b"}, where="id = 1")
    lake.rename("old", "older")
    lake.create("new", key=["id"])
    lake.insert("new", [{"id": 1, "x": 1}])
    lake.move("hot", bucket="cold")
    lake.workspace("try").update("new", set={"x": 2}, where="id = 1")


def opened(place: Path) -> lakecore.Lake:
    return lakecore.open(place, config=Settings(), actor="eve", create=False)


def break_off(
    lake: lakecore.Lake, monkeypatch: pytest.MonkeyPatch, number: int, fault: Fault
) -> FaultyStore:
    """Replicate until the n-th write of the replica, and nothing behind it."""
    stores: list[FaultyStore] = []

    def faulty(bucket: Any, *given: Any, **options: Any) -> Store:
        stores.append(FaultyStore(open_store(bucket.uri), {number: fault}, stays_down=True))
        return stores[-1]  # type: ignore[return-value]  # it has what a store has

    with monkeypatch.context() as patch:
        patch.setattr(_replicas, "open_bucket", faulty)
        try:
            replicate_to(lake._parts, "dr")
        except LakecoreError:
            pass
        else:
            stores[-1].log.append(("ended", ""))
    return stores[-1]


@pytest.mark.parametrize("fault", [Fault.BEFORE, Fault.AFTER])
def test_broken_off_at_every_write(
    lake: lakecore.Lake, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, fault: Fault
) -> None:
    """The replica is readable and sound behind each of them."""
    with lake:
        lake.replicate("dr")
        change_much(lake)
        shutil.copytree(tmp_path / "dr", tmp_path / "before")
        number, seen = 1 if fault is Fault.BEFORE else 2, set()
        while True:
            number += EVERY
            shutil.rmtree(tmp_path / "dr")
            shutil.copytree(tmp_path / "before", tmp_path / "dr")
            store = break_off(lake, monkeypatch, number, fault)
            if ("ended", "") in store.log and store.writes < number:
                break
            with opened(tmp_path / "dr") as replica:
                found = rows(replica, QUERY)
                assert found in ([(10,)], [(10,), (20,)]), number
                seen.add(len(found))
                report = replica.verify()
                assert report.status == "green", (number, store.log[-3:], report.to_dict())
        assert seen == {1, 2}
        assert number > 15, "the faults did not reach the writes"
        with opened(tmp_path / "dr") as replica:
            assert is_sound(replica)


def test_the_next_run_goes_on(
    lake: lakecore.Lake, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What was copied is not copied again, and the end is the same."""
    with lake:
        lake.replicate("dr")
        change_much(lake)
        store = break_off(lake, monkeypatch, 12, Fault.AFTER)
        written = {path for name, path in store.log if name in ("create", "upload")}
        state = read_replica(open_store(tmp_path / "dr"))
        assert state is not None
        assert state.copying is not None
        again = lake.replicate("dr")
        assert again.is_complete
        assert again.copied_objects > 0
        state = read_replica(open_store(tmp_path / "dr"))
        assert state is not None
        assert (state.copying, dict(state.ahead)) == (None, {})
        assert written
        once_more = lake.replicate("dr")
        assert (once_more.copied_objects, once_more.lag_events) == (0, 0)
        with opened(tmp_path / "dr") as replica:
            assert rows(replica, QUERY) == [(10,), (20,)]
            assert rows(replica, "select w from older") == [("b",)]
            assert replica.lake_id == lake.lake_id
            assert is_sound(replica)


def test_the_first_state_is_whole_or_not_there(
    lake: lakecore.Lake, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Until it is there, the place is no lake, and none is made of it by mistake."""
    with lake:
        number = 0
        while True:
            number += EVERY
            shutil.rmtree(tmp_path / "dr", ignore_errors=True)
            store = break_off(lake, monkeypatch, number, Fault.BEFORE)
            if ("ended", "") in store.log and store.writes < number:
                break
            if (tmp_path / "dr/lakecore.json").exists():
                continue  # the marker alone was left to say that it is complete
            if (tmp_path / "dr" / REPLICA).exists():
                with pytest.raises(Stop, match="no whole state"):
                    lakecore.open(tmp_path / "dr", config=Settings())
        assert number > 8


def test_bounds_of_a_run(lake: lakecore.Lake, tmp_path: Path) -> None:
    """`max_bytes` ends it before anything is visible; runs go on until all is there."""
    with lake:
        change_much(lake)
        runs = 0
        while not lake.replicate("dr", max_bytes=1).is_complete:
            runs += 1
            assert not (tmp_path / "dr/lakecore.json").exists()
        assert runs > 2
        with opened(tmp_path / "dr") as replica:
            assert is_sound(replica)


def test_a_replica_is_never_changed(lake: lakecore.Lake, tmp_path: Path) -> None:
    """By nothing but replication: no call of a lake writes there, nor leaves a file."""
    with lake:
        lake.replicate("dr")
    before = {path for path in (tmp_path / "dr").rglob("*") if path.is_file()}
    with opened(tmp_path / "dr") as replica:
        writes = (
            lambda: replica.insert("hot", [{"id": 9, "v": 1}]),
            lambda: replica.create("more", key=["id"]),
            lambda: replica.drop("hot"),
            lambda: replica.journal.record({"entity_type": "a", "entity_id": "1", "action": "b"}),
            lambda: replica.workspace("w"),
        )
        for write in writes:
            with pytest.raises(ReadOnly, match="replica"):
                write()
        replica.maintain()
        replica.reconcile()
        assert replica.doctor().ok
        assert is_sound(replica)
    assert {path for path in (tmp_path / "dr").rglob("*") if path.is_file()} == before


def test_a_lake_that_lost_events_is_not_copied(lake: lakecore.Lake, tmp_path: Path) -> None:
    """Whatever emptied or put back the lake does not reach the replica."""
    with lake:
        lake.journal.seal()
    shutil.copytree(tmp_path / "lake", tmp_path / "earlier")
    with open_folder(tmp_path) as later:
        later.insert("hot", [{"id": 2, "v": 20}])
        later.replicate("dr")
    shutil.rmtree(tmp_path / "lake")
    shutil.copytree(tmp_path / "earlier", tmp_path / "lake")
    with open_folder(tmp_path) as back:
        with pytest.raises(Stop, match="does not go on"):
            back.replicate("dr")
        for number in range(3, 9):
            back.insert("hot", [{"id": number, "v": number}])
        with pytest.raises(Stop, match="does not go on"):
            back.replicate("dr")
    with opened(tmp_path / "dr") as replica:
        assert rows(replica, QUERY) == [(10,), (20,)]
        assert is_sound(replica)


def test_a_compacted_log(lake: lakecore.Lake, tmp_path: Path) -> None:
    """Stubs take the place of segments that are merged, once the runs are there."""
    with lake, small_ranges():
        for number in range(40):
            lake.journal.record({"entity_type": "a", "entity_id": str(number), "action": "b"})
            lake.journal.seal()
        first = lake.replicate("dr")
        lake.journal.compact(grace_s=0)
        for number in range(5):
            lake.journal.record({"entity_type": "c", "entity_id": str(number), "action": "d"})
        second = lake.replicate("dr")
        assert second.lag_events == 5
        assert second.tree_size == first.tree_size + 5
        assert list((tmp_path / "dr/journal/merged").iterdir())
        with opened(tmp_path / "dr") as replica:
            assert is_sound(replica)
            assert len(replica.journal.query(entity_type="a", limit=100).items) == 40
        assert lake.replicate("dr").copied_objects == 0


def test_what_is_pruned(lake: lakecore.Lake, tmp_path: Path) -> None:
    """Only when asked to, and only data files that the lake has no more."""
    with lake:
        lake.replicate("dr")
        lake.move("hot", bucket="cold", grace_days=0)
        lake.maintain()
        left = tmp_path / "dr/tables/main/hot"
        assert lake.replicate("dr").removed_objects == 0
        assert list(left.glob("*.parquet"))
        assert lake.replicate("dr", prune=True).removed_objects == 1
        assert not list(left.glob("*.parquet"))
        with opened(tmp_path / "dr") as replica:
            assert rows(replica, QUERY) == [(10,)]
            assert is_sound(replica)


def test_places_that_are_no_replica(lake: lakecore.Lake, tmp_path: Path) -> None:
    """Nothing is written where something else is."""
    with lake:
        (tmp_path / "dr").mkdir()
        (tmp_path / "dr/letter.txt").write_text("mine")
        with pytest.raises(Refused, match="not empty"):
            lake.replicate("dr")
        (tmp_path / "dr/letter.txt").unlink()
        lake.replicate("dr")
        marker = json.loads((tmp_path / "dr" / REPLICA).read_text())
        (tmp_path / "dr" / REPLICA).write_text(json.dumps({**marker, "lake_id": "another"}))
        with pytest.raises(Refused, match="another lake's replica"):
            lake.replicate("dr")
        copying = {"tree_size": 9, "root": "", "at_us": 1}
        since_us = lake._parts.clock.now_us()
        busy = {**marker, "copying": copying, "node": "other", "since_us": since_us, "run": "r"}
        (tmp_path / "dr" / REPLICA).write_text(json.dumps(busy))
        with pytest.raises(Conflict, match="another machine"):
            lake.replicate("dr")
        (tmp_path / "dr" / REPLICA).write_text(json.dumps({**busy, "since_us": 1}))
        assert lake.replicate("dr").is_complete
