"""Files that no kept version needs go; everything else stays, whoever is at work."""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest
from deltalake import DeltaTable
from tests.fakes.faulty_store import FaultyStore
from tests.unit.maintain.conftest import ADA, SETTINGS, Lake

from lakecore.base import InvalidInput, NotFound
from lakecore.maintain import MaintainSettings, maintenance_table
from lakecore.storage import Store, open_store
from lakecore.tables import TableSettings


def _grown(lake: Lake, versions: int = 6) -> None:
    """Versions with a file each, put together, and a day and more gone by."""
    for number in range(versions):
        lake.append("planes", number)
    assert lake.done() == [("compact", "done")]
    lake.later(25)


def test_what_is_not_kept_goes(lake: Lake) -> None:
    """The newest version and the record stay; older versions say that they are not kept."""
    _grown(lake)
    before, files = lake.rows(), lake.files()
    (step,) = lake.run().steps
    assert (step.action, step.outcome, step.files_before, step.files_after) == (
        "vacuum",
        "done",
        7,
        1,
    )
    gone = files - lake.files()
    assert lake.rows() == before
    assert lake.rows(version=5 + 1) == before
    with pytest.raises(NotFound, match="version 3 is no longer kept") as caught:
        lake.rows(version=3)
    assert "retention" in str(caught.value.hint)
    _, begun, done = lake.events()
    assert (begun.action, begun.version, done.action) == ("vacuum", 7, "vacuum_done")
    told = json.loads(begun.context)["maintenance"]
    listed = b"".join(path.encode() + b"\n" for path in sorted(gone))
    assert (told["files"], told["sha256"]) == (6, hashlib.sha256(listed).hexdigest())
    assert begun.mutation_id == done.mutation_id
    row = maintenance_table(lake.journal).to_pylist()[-1]
    assert (row["action"], row["outcome"], row["files_before"], row["files_after"]) == (
        "vacuum",
        "done",
        7,
        1,
    )
    assert lake.run("planes").steps == []
    lake.check()


def test_what_the_retention_keeps(lake: Lake) -> None:
    """By days: every version of them, and the one that was there when they began. By number."""
    for number in range(6):
        lake.append("planes", number)
        lake.later(10)
    lake.tables.replace(
        lake.catalog.get("planes"), pa.table({"id": [0], "v": ["only"]}), author=ADA
    )
    lake.later(2)
    dataset = lake.catalog.get("planes")
    state = lake.upkeep.state(dataset)
    assert state is not None
    vacuum = lake.maintainer._vacuum
    # A day ago, version 3 was the newest: it is 32 hours old, version 4 is 22.
    assert vacuum.unneeded(dataset, state).kept_from == 3
    changed = lake.catalog.change("planes", author=ADA, retention_days=0)
    assert vacuum.unneeded(changed, state).kept_from == 6
    changed = lake.catalog.change("planes", author=ADA, retention_versions=5)
    assert vacuum.unneeded(changed, state).kept_from == 2
    changed = lake.catalog.change("planes", author=ADA, retention_days=2, retention_versions=None)
    assert vacuum.unneeded(changed, state).kept_from == 1
    with pytest.raises(InvalidInput, match="not a retention"):
        lake.catalog.change("planes", author=ADA, retention_versions=0)


def test_files_that_nobody_committed(lake: Lake) -> None:
    """What a writer that died left goes behind the grace; a young one may be being written."""
    lake.append("planes", 1)
    location = lake.catalog.get("planes").location
    lake.store.put(f"{location}/part-dead.parquet", b"half")
    assert lake.done("planes") == []
    lake.later(2)
    lake.store.put(f"{location}/part-young.parquet", b"half")
    place = Path(str(lake.store.local_path(f"{location}/part-young.parquet")))
    now_s = lake.clock.now_us() / 1e6
    os.utime(place, (now_s, now_s))
    assert lake.done("planes") == [("vacuum", "done")]
    assert {path.rpartition("/")[2][:10] for path in lake.files()} == {"part-young", *_names(lake)}
    assert lake.rows() == [{"id": 1, "v": "row 1"}]
    lake.check()


def _names(lake: Lake) -> set[str]:
    state = lake.upkeep.state(lake.catalog.get("planes"))
    assert state is not None
    return {file.path[:10] for file in state.files}


def test_only_below_the_table(lake: Lake, tmp_path: Path) -> None:
    """Another table in a folder below, hidden files and what is no Parquet are not touched."""
    lake.append("planes", 1)
    location = lake.catalog.get("planes").location
    kept = {
        f"{location}/inner/_delta_log/{0:020d}.json",
        f"{location}/inner/part-1.parquet",
        f"{location}/_staging/part-2.parquet",
        f"{location}/readme.txt",
        "tables/main/other.parquet",
    }
    for path in (*kept, f"{location}/day=1/part-3.parquet"):
        lake.store.put(path, b"x")
    outside = tmp_path / "outside.parquet"
    outside.write_bytes(b"x")
    os.symlink(outside, Path(str(lake.store.local_path(location))) / "link.parquet")
    lake.later(25)
    assert lake.done("planes") == [("vacuum", "done")]
    assert kept <= {info.path for info in lake.store.list_objects("tables/")}
    assert outside.exists()
    assert not lake.store.exists(f"{location}/day=1/part-3.parquet")


def test_other_programs_versions_wait_for_reconcile(lake: Lake) -> None:
    """What a foreign commit removed stays until the journal has what it did."""
    for number in range(3):
        lake.append("planes", number)
    table = DeltaTable(lake.store.table_uri(lake.catalog.get("planes").location))
    table.update(updates={"v": "'theirs'"}, predicate="id = 1")
    lake.later(48)
    files = lake.files()
    assert lake.done("planes") == []
    assert lake.files() == files
    report = lake.reconciler.reconcile()
    assert [version.updated for version in report.versions] == [1]
    assert lake.done("planes") == [("vacuum", "done")]
    assert lake.files() < files
    lake.check()


class _Pins:
    """A workspace that builds on version 2."""

    def __init__(self) -> None:
        self.versions = [2]
        self.folders: list[str] = []

    def pinned(self) -> Iterable[tuple[str, int]]:
        return [("tables/main/planes", version) for version in self.versions]

    def finished(self) -> Iterable[str]:
        return self.folders


def test_what_workspaces_build_on_stays(tmp_path: Path) -> None:
    """A pinned version keeps its files, and can be read, until nobody builds on it."""
    store = open_store(str(tmp_path / "lake"))
    pins = _Pins()
    lake = Lake(store, tmp_path / "state", workspaces=pins)
    lake.make()
    _grown(lake)
    assert lake.done() == [("vacuum", "done")]
    assert [row["id"] for row in lake.rows(version=2)] == [0, 1, 2]
    with pytest.raises(NotFound, match="no longer kept"):
        lake.rows(version=4)
    with pytest.raises(NotFound, match="no longer kept"):
        lake.tables.restore(lake.catalog.get("planes"), version=4, author=ADA)
    pins.versions = []
    lake.later(25)
    assert lake.done("planes") == [("vacuum", "done")]
    with pytest.raises(NotFound, match="no longer kept"):
        lake.rows(version=2)
    pins.folders = ["workspaces/w1/"]
    store.put("workspaces/w1/main/planes/part.parquet", b"x")
    store.put("workspaces/w2/main/planes/part.parquet", b"x")
    assert lake.done() == [("purge", "done")]
    assert [i.path for i in store.list_objects("workspaces/")] == [
        "workspaces/w2/main/planes/part.parquet"
    ]
    lake.check()
    lake.close()


class _Killed(BaseException):
    """The end of the process."""


def test_broken_off_and_gone_on_with(tmp_path: Path) -> None:
    """A vacuum that dies while it deletes is finished by the next run, under the same id."""
    inner = open_store(str(tmp_path / "lake"))
    first = Lake(inner, tmp_path / "state")
    first.make()
    _grown(first)
    first.journal.seal()
    first.close()
    store = FaultyStore(inner)
    lake = Lake(store, tmp_path / "state")
    lake.later(25)
    deleted: list[str] = []
    real = inner.delete

    def delete(path: str) -> None:
        if path.endswith(".parquet"):
            if len(deleted) >= 2:
                raise _Killed
            deleted.append(path)
        real(path)

    store.delete = delete  # type: ignore[method-assign]  # the process ends at the third file
    with pytest.raises(_Killed):
        lake.run()
    assert [event.action for event in lake.events()] == ["compact", "vacuum"]
    assert maintenance_table(lake.journal).to_pylist()[-1]["outcome"] == "begun"
    lake.journal.seal()
    lake.close()

    again = Lake(inner, tmp_path / "state")
    again.later(25)
    assert len(again.files()) < 7
    assert again.done() == [("vacuum", "done")]
    assert len(again.files()) == 1
    begun, done = again.events()[-2:]
    assert (done.action, done.mutation_id) == ("vacuum_done", begun.mutation_id)
    assert json.loads(done.context)["maintenance"]["resumed"] is True
    assert again.done("planes") == []
    assert len(again.rows()) == 6
    again.check()
    again.close()


def test_a_restore_meanwhile(tmp_path: Path) -> None:
    """A restore that planned on files about to go loses the race, and says why; none is lost."""
    store = open_store(str(tmp_path / "lake"))
    keeper = Lake(store, tmp_path / "state")
    keeper.make()
    _grown(keeper)
    turns: list[str] = []

    def intrude(step: str) -> None:
        if step == "committing" and not turns:
            turns.append(step)
            assert keeper.done() == [("vacuum", "done")]

    other = Lake(store, tmp_path / "two", tables=TableSettings(on_step=intrude, retry_wait_s=0))
    other.later(25)
    dataset = other.catalog.get("planes")
    with pytest.raises(NotFound, match="version 2 is no longer kept"):
        other.tables.restore(dataset, version=2, author=ADA)
    assert len(keeper.rows()) == 6
    keeper.check()
    other.close()
    keeper.close()


def test_a_restore_before(tmp_path: Path) -> None:
    """A restore that commits first is seen: the files that it took back are not removed."""
    store = open_store(str(tmp_path / "lake"))
    keeper = Lake(store, tmp_path / "one")
    keeper.make()
    _grown(keeper)
    turns: list[str] = []

    def intrude(step: str) -> None:
        if step == "committing" and not turns:
            turns.append(step)
            restored = keeper.tables.restore(keeper.catalog.get("planes"), version=2, author=ADA)
            assert restored.deleted == 3

    other = Lake(store, tmp_path / "two", tables=TableSettings(on_step=intrude, retry_wait_s=0))
    other.later(25)
    assert other.done("planes") == [("vacuum", "done")]
    assert turns
    assert [row["id"] for row in other.rows()] == [0, 1, 2]
    keeper.journal.seal()
    other.check()
    other.close()
    keeper.close()


def test_a_reader_and_a_writer_meanwhile(lake: Lake) -> None:
    """A query that began in time reads on; a change that is under way keeps its files."""
    for number in range(6):
        lake.append("planes", number)
    dataset = lake.catalog.get("planes")
    lake.later(25)
    view = lake.tables.open(dataset)  # what a query holds, before files are put together
    assert lake.done() == [("compact", "done")]
    # Those files are a day old and more, but the table gave them up just now.
    assert lake.done("planes") == []
    assert view is not None
    assert view.delta.to_pyarrow_table().num_rows == 6


def test_two_machines(tmp_path: Path) -> None:
    """Both may do all of it at once: nothing is lost, and every step is in the record."""
    from concurrent.futures import ThreadPoolExecutor

    store = open_store(str(tmp_path / "lake"))
    lakes = [Lake(store, tmp_path / name) for name in ("one", "two")]
    lakes[0].make()
    for number in range(30):
        lakes[number % 2].append("planes", number)
    for _ in range(3):
        with ThreadPoolExecutor(2) as pool:
            reports = list(pool.map(lambda lake: lake.run("planes"), lakes))
        assert all(report.ok for report in reports)
        for lake in lakes:
            lake.later(25)
            lake.journal.seal()
    assert len(lakes[0].rows()) == 30
    assert len(lakes[0].files()) == 1
    for lake in lakes:
        lake.check()
        lake.close()


def test_a_dry_run_removes_nothing(lake: Lake) -> None:
    """It says how many files and bytes would go."""
    _grown(lake)
    files = lake.files()
    (step,) = lake.run(dry_run=True).steps
    assert (step.outcome, step.files_before, step.files_after) == ("planned", 7, 1)
    assert lake.files() == files
    assert [event.action for event in lake.events()] == ["compact"]


def test_once_a_day(tmp_path: Path) -> None:
    """Without being named, a dataset is vacuumed once a day: each vacuum is a version."""
    store = open_store(str(tmp_path / "lake"))
    lake = Lake(store, tmp_path / "state", settings=MaintainSettings(grace_hours=1, min_files=100))
    lake.make()
    lake.append("planes", 1)
    location = lake.catalog.get("planes").location
    store.put(f"{location}/part-1.parquet", b"x")
    lake.later(2)
    assert lake.done() == [("vacuum", "done")]
    store.put(f"{location}/part-2.parquet", b"x")
    lake.later(2)
    assert lake.done() == []
    assert lake.done("planes") == [("vacuum", "done")]
    store.put(f"{location}/part-3.parquet", b"x")
    lake.later(25)
    assert lake.done() == [("vacuum", "done")]
    lake.close()


def test_a_log_that_does_not_read_stops_it(lake: Lake) -> None:
    """Where it is not known what is needed, nothing goes."""
    _grown(lake)
    location = lake.catalog.get("planes").location
    path = Path(str(lake.store.local_path(f"{location}/_delta_log/{4:020d}.json")))
    lake.journal.seal()
    whole = path.read_bytes()
    path.write_bytes(b"{")
    files = lake.files()
    lake.catalog.change("planes", author=ADA, retention_versions=5)
    assert ("vacuum", "failed") in lake.done()
    assert lake.files() == files
    path.write_bytes(whole)


class _Full:
    """A store without room: it deletes, but takes nothing new."""

    def __init__(self, inner: Store) -> None:
        self._inner = inner
        self.full = False

    def __getattr__(self, name: str) -> Any:
        if self.full and name in ("create", "put", "upload"):
            from lakecore.base import OutOfSpace

            def refuse(path: str, *_: object) -> Any:
                raise OutOfSpace("no room", where=path)

            return refuse
        return getattr(self._inner, name)


def test_a_full_disk(tmp_path: Path) -> None:
    """Nothing is removed that could not be announced, and nothing is left behind."""
    store = _Full(open_store(str(tmp_path / "lake")))
    lake = Lake(store, tmp_path / "state")  # type: ignore[arg-type]  # a proxy
    lake.make()
    _grown(lake)
    for number in range(10, 15):
        lake.append("planes", number)
    before = {info.path for info in lake.store.list_objects("")}
    store.full = True
    assert lake.done() == [("compact", "failed"), ("vacuum", "failed")]
    assert {info.path for info in lake.store.list_objects("")} == before
    store.full = False
    assert lake.done() == [("compact", "done"), ("vacuum", "done")]
    assert len(lake.rows()) == 11
    lake.check()
    lake.close()


def test_settings_are_checked_against_the_grace(lake: Lake) -> None:
    """A retention of nothing still leaves a version to those who read it, for the grace."""
    lake.catalog.change("planes", author=ADA, retention_days=0, retention_versions=1)
    for number in range(5):
        lake.append("planes", number)
    lake.run()
    lake.later(SETTINGS.grace_hours / 2)
    assert lake.done("planes") == []
    lake.later(SETTINGS.grace_hours)
    assert lake.done("planes") == [("vacuum", "done")]
