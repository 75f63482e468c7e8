"""Every write of a backup and of a restore: failed, failed but stored, torn, the end of it all."""

from __future__ import annotations

import os
import signal
from pathlib import Path

import pytest
from tests.fakes.faulty_store import Fault, FaultyStore
from tests.fakes.journals import commit, open_journal, sample, target
from tests.fakes.killing_store import KillingStore

from lakecore.backup import MARKER, Identity, create, list_backups, restore, verify
from lakecore.base import LakecoreError, OutOfSpace, ReadOnly
from lakecore.journal import Journal
from lakecore.storage import Store, open_store

IDENTITY = Identity("new", "lakecore/new")
FAULTS = [Fault.BEFORE, Fault.AFTER, Fault.TEAR]


@pytest.fixture(params=[False, True], ids=["goes on", "stays down"])
def stays_down(request: pytest.FixtureRequest) -> bool:
    """Whether the fault is the end of the process, as far as its store is concerned."""
    return bool(request.param)


@pytest.fixture
def lake(tmp_path: Path) -> tuple[Store, Journal]:
    """A lake with a table of two versions, one of them sealed, and large and small objects."""
    store = open_store("memory://")
    store.create("lakecore.json", b'{"format": 1, "lake_id": "old", "origin": "lakecore/old"}')
    journal = open_journal(store, tmp_path / "state")
    store.create("tables/main/planes/part-0.parquet", b"rows" * 10)
    commit(store, journal, target(0), sample("a", 3, version=0, dataset_id="id-planes"))
    journal.seal()
    store.create("tables/main/planes/part-1.parquet", b"rows" * (9 << 18))
    commit(store, journal, target(1), sample("b", 3, version=1, dataset_id="id-planes"))
    return store, journal


@pytest.mark.parametrize("fault", FAULTS)
def test_every_write_of_a_backup(
    lake: tuple[Store, Journal], fault: Fault, stays_down: bool
) -> None:
    """Whatever fails: what is finished is whole, and the next backup goes on."""
    store, journal = lake
    for number in range(1, 100):
        away = open_store("memory://")
        faulty = FaultyStore(away, {number: fault}, stays_down=stays_down)
        try:
            create(store, journal, faulty)
        except LakecoreError:
            # Only a manifest whose answer was lost is there all the same, and whole.
            assert all(verify(away, at=b.number).status == "green" for b in list_backups(away))
        else:
            assert faulty.writes < number
            break
        made = create(store, journal, away)
        report = verify(away)
        assert report.status == "green", report.problems
        assert report.backups[-1] == made.number
    assert number > 8
    assert restore(away, open_store("memory://"), IDENTITY).restored_from["tree_size"] == 6


def test_every_write_of_a_restore(
    lake: tuple[Store, Journal], stays_down: bool, tmp_path: Path
) -> None:
    """No lake before the end; the same restore again goes on, and its event is there once."""
    store, journal = lake
    away, again = open_store("memory://"), open_store("memory://")
    create(store, journal, away)
    for number in range(1, 30):
        for fault in FAULTS:
            faulty = FaultyStore(again, {number: fault}, stays_down=stays_down)
            try:
                restore(away, faulty, IDENTITY)
            except LakecoreError:
                if again.exists("lakecore.json"):
                    break
                assert again.exists(MARKER) or not list(again.list_objects(""))
            else:
                break
        if again.exists("lakecore.json"):
            break
    with open_journal(again, tmp_path / "again") as restored:
        assert restored.verify().status == "green"
        assert [event.action for event in restored.recent(10)].count("restore") == 1
        assert restored.recent(1)[0].seq == 6
    assert again.get("tables/main/planes/part-1.parquet") == b"rows" * (9 << 18)


@pytest.mark.parametrize("number", [1, 2, 4, 7, 9])
def test_killed_while_backing_up(tmp_path: Path, number: int) -> None:
    """SIGKILL at a write: nothing that looks finished, and the next one ends."""
    lake, away = open_store(tmp_path / "lake"), open_store(tmp_path / "away")
    lake.create("lakecore.json", b'{"format": 1, "lake_id": "old", "origin": "lakecore/old"}')
    with open_journal(lake, tmp_path / "state") as journal:
        lake.create("tables/main/planes/part-0.parquet", b"rows" * (9 << 18))
        commit(lake, journal, target(0), sample("a", 3, version=0, dataset_id="id-planes"))
    child = os.fork()
    if child == 0:
        killing = KillingStore(away, {number: Fault.AFTER})
        with open_journal(lake, tmp_path / "other state") as journal:
            create(lake, journal, killing)
        os._exit(0)
    _, status = os.waitpid(child, 0)
    is_killed = os.WIFSIGNALED(status) and os.WTERMSIG(status) == signal.SIGKILL
    for backup in list_backups(away):
        assert verify(away, at=backup.number).status == "green"
    assert is_killed or list(list_backups(away))
    with open_journal(lake, tmp_path / "state") as journal:
        create(lake, journal, away)
    assert verify(away).status == "green"


@pytest.mark.parametrize("error", [ReadOnly, OutOfSpace])
def test_a_place_that_cannot_be_written(
    lake: tuple[Store, Journal], error: type[LakecoreError]
) -> None:
    """The store's own error comes through, and there is no backup."""
    store, journal = lake
    away = open_store("memory://")
    with pytest.raises(error, match=r"lakecore-backup\.json"):
        create(store, journal, FaultyStore(away, {1: Fault.BEFORE}, error=error))
    with pytest.raises(error, match="objects/"):
        create(store, journal, FaultyStore(away, {2: Fault.BEFORE}, error=error))
    assert not list(list_backups(away))
