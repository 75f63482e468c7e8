"""What is done to tables behind the record: each found, and named in its own words."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from deltalake import DeltaTable, write_deltalake

import lakecore
from lakecore.app import Check

PLANES = "tables/main/planes"


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A sealed lake: a table of five versions, the fourth one made by another program."""
    place = tmp_path_factory.mktemp("made") / "lake"
    with lakecore.open(place, actor="ada") as lake:
        lake.create("planes", key=["id"])
        lake.insert("planes", [{"id": n, "seats": n} for n in range(10)])
        lake.update("planes", set={"seats": 60}, where="id = 1")
        lake.delete("planes", where="id = 2")
        DeltaTable(str(place / PLANES)).update(updates={"seats": "61"}, predicate="id = 1")
        lake.reconcile()
        lake.update("planes", set={"seats": 62}, where="id = 1")
        DeltaTable(str(place / PLANES)).create_checkpoint()
        lake.journal.seal()
        assert lake.verify(full=True).status == "green"
    shutil.rmtree(place / ".local")
    return place


@pytest.fixture
def place(made: Path, tmp_path: Path) -> Iterator[Path]:
    """A copy of it, writable, which the test may damage."""
    place = tmp_path / "lake"
    shutil.copytree(made, place)
    for path in place.rglob("*"):
        path.chmod(0o755 if path.is_dir() else 0o644)
    yield place
    shutil.rmtree(place)


def checked(place: Path, *, full: bool = False) -> Check:
    """What completeness says."""
    with lakecore.open(place, create=False) as lake:
        return lake.verify(full=full).completeness


def entry(place: Path, version: int) -> Path:
    """One entry of the table's log."""
    return place / PLANES / "_delta_log" / f"{version:020d}.json"


def problem_of(check: Check) -> str:
    """The only problem."""
    assert check.status == "broken"
    (problem,) = check.problems
    return problem


def live_file(place: Path) -> Path:
    """A data file of the newest version."""
    (uri,) = DeltaTable(str(place / PLANES)).file_uris()
    return Path(uri)


def rewrite(path: Path, change: Any) -> None:
    """Change the actions of a log entry, given as a list."""
    actions = [json.loads(line) for line in path.read_text().splitlines()]
    change(actions)
    path.write_text("".join(json.dumps(action) + "\n" for action in actions))


@pytest.mark.parametrize("full", [False, True])
def test_a_sound_lake(place: Path, full: bool) -> None:
    """Everything is counted for what it is."""
    check = checked(place, full=full)
    assert (check.status, check.problems) == ("green", [])
    assert (check.detail["matched"], check.detail["reconciled"]) == (5, 1)
    assert check.detail["without_digest"] == 0
    assert check.detail["files"] == (4 if full else 0)


def test_a_forged_record(place: Path) -> None:
    """It names events that are not those of the journal."""

    def forge(actions: list[Any]) -> None:
        actions[0]["commitInfo"]["lakecore"]["digest"] = "0" * 64

    rewrite(entry(place, 1), forge)
    assert "its commit record is forged" in problem_of(checked(place))


def test_a_record_taken_out(place: Path) -> None:
    """A version of ours does not become a foreign one by that."""
    rewrite(entry(place, 1), lambda actions: actions[0]["commitInfo"].pop("lakecore"))
    assert "its commit record was taken out" in problem_of(checked(place))


@pytest.mark.parametrize("version", [1, 3])
@pytest.mark.parametrize("part", ["statistics", "file", "operation", "order"])
def test_actions_rewritten(place: Path, version: int, part: str) -> None:
    """What a version does is under the seal: ours, and one that was reconciled."""

    def change(actions: list[Any]) -> None:
        added = next(action["add"] for action in actions if "add" in action)
        if part == "statistics":
            added["stats"] = added["stats"].replace('"numRecords":', '"numRecords":1')
        elif part == "file":
            added["modificationTime"] += 1
        elif part == "operation":
            info = next(action for action in actions if "commitInfo" in action)
            info["commitInfo"]["operation"] = "NOTHING"
        else:
            actions[1], actions[2] = actions[2], actions[1]

    path = entry(place, version)
    rewrite(path, lambda actions: None)
    lines = path.read_text()
    rewrite(path, change)
    assert path.read_text() != lines
    assert any(
        f"{path.name}: rewritten after it was committed" in text for text in checked(place).problems
    )


def test_the_newest_version_gone(place: Path) -> None:
    """An older copy of the table, or a log cut off: the events say that there was more."""
    entry(place, 3).unlink()
    entry(place, 4).unlink()
    problem = problem_of(checked(place))
    assert "replaced by an older copy" in problem
    assert "its log ends at version 2" in problem


def test_a_version_gone_from_the_middle(place: Path) -> None:
    """Readers of a checkpoint do not see it; the journal does."""
    entry(place, 2).unlink()
    texts = checked(place).problems
    assert any("from the middle of the log" in text and "2.json" in text for text in texts)


def test_the_table_gone(place: Path) -> None:
    """All of it."""
    shutil.rmtree(place / PLANES)
    assert "no version is left" in problem_of(checked(place))


def test_an_older_copy_that_went_on(place: Path) -> None:
    """A version put in the place of one that is sealed: both are known, one is there."""
    older = entry(place, 3).read_text()
    other = entry(place, 4)
    rewrite(other, lambda actions: actions.clear())
    other.write_text(entry(place, 2).read_text())
    assert older
    assert any("another version was put in its place" in t for t in checked(place).problems)


def test_another_table_at_the_place(place: Path) -> None:
    """Its id is not that of the dataset."""
    shutil.rmtree(place / PLANES)
    rows = pa.table({"id": [1], "seats": pa.array([1], pa.int64())})
    for _ in range(5):
        write_deltalake(str(place / PLANES), rows, mode="append")
    texts = checked(place).problems
    assert any("another table lies at this place" in text for text in texts)
    with lakecore.open(place, create=False) as lake:
        report = lake.reconcile()
        assert report.versions == []


def test_a_foreign_version(place: Path) -> None:
    """Named until it is reconciled."""
    DeltaTable(str(place / PLANES)).delete("id = 5")
    check = checked(place)
    assert problem_of(check).endswith("committed by another program, not in the journal")
    assert "`lakecore reconcile`" in check.summary
    with lakecore.open(place, create=False) as lake:
        lake.reconcile()
        assert lake.verify().completeness.status == "green"
        assert list(lake.verify().completeness.detail["pending"]) in (
            [],
            [f"{PLANES}/_delta_log/{5:020d}.json"],
        )
    assert checked(place).detail["reconciled"] == 2


def test_a_missing_data_file(place: Path) -> None:
    """Of the newest version: vacuum may have taken those of older ones."""
    live = live_file(place)
    live.unlink()
    assert f"{live.name}: a data file of version 4, the newest, is missing" in problem_of(
        checked(place)
    )


def test_files_of_older_versions_may_go(place: Path) -> None:
    """They are what vacuum removes."""
    live = live_file(place)
    others = [path for path in (place / PLANES).glob("*.parquet") if path != live]
    assert len(others) == 4
    for path in others:
        path.unlink()
    assert checked(place, full=True).status == "green"


def test_files_of_a_dropped_dataset_may_go(place: Path) -> None:
    """Once its grace is over; until then they are missed. The log is held all the same."""
    live = live_file(place)
    with lakecore.open(place, create=False, actor="ada") as lake:
        lake.drop("planes", grace_days=1)
    live.unlink()
    assert "is missing" in problem_of(checked(place))
    with lakecore.open(place, create=False, actor="ada") as lake:
        lake.undrop("planes")
        lake.drop("planes", grace_days=0)
    assert checked(place).status == "green"
    rewrite(entry(place, 1), lambda actions: actions[-1]["add"].update({"size": 1}))
    assert "rewritten" in problem_of(checked(place))


def test_an_altered_data_file(place: Path) -> None:
    """Other values in a file of the same size: `full` hashes it."""
    live = live_file(place)
    size = live.stat().st_size
    data = bytearray(live.read_bytes())
    data[8] ^= 1
    live.write_bytes(data)
    assert live.stat().st_size == size
    assert checked(place).status == "green"
    assert "the bytes of a data file are not those that were written" in problem_of(
        checked(place, full=True)
    )


def test_a_data_file_of_another_size(place: Path) -> None:
    """A listing shows it."""
    live = live_file(place)
    live.write_bytes(live.read_bytes() + b"x")
    assert any("a data file has" in text for text in checked(place).problems)


def forge_checkpoint(place: Path, change: Any) -> None:
    """Write another checkpoint in the place of the table's."""
    (path,) = (place / PLANES / "_delta_log").glob("*.checkpoint.parquet")
    table = pq.read_table(path)
    rows = change(table.to_pylist())
    pq.write_table(pa.Table.from_pylist(rows, schema=table.schema), path)


def test_a_checkpoint_that_hides_a_file(place: Path) -> None:
    """Readers begin at the checkpoint: they would not see the file's rows."""
    forge_checkpoint(place, lambda rows: [row for row in rows if row["add"] is None])
    problem = problem_of(checked(place))
    assert "the checkpoint does not agree with the log: it leaves out" in problem


def test_a_checkpoint_that_brings_a_file(place: Path) -> None:
    """A file that a version removed comes back in what readers see."""
    smuggled = "part-smuggled.parquet"

    def add(rows: list[Any]) -> list[Any]:
        there = next(row for row in rows if row["add"] is not None)
        return [*rows, {**there, "add": {**there["add"], "path": smuggled}}]

    forge_checkpoint(place, add)
    assert f"it has {smuggled}, which the log does not have" in problem_of(checked(place))


def test_a_checkpoint_with_other_statistics(place: Path) -> None:
    """Readers skip files by them."""

    def change(rows: list[Any]) -> list[Any]:
        for row in rows:
            if row["add"] is not None:
                row["add"]["stats"] = row["add"]["stats"].replace('"id":0', '"id":5')
        return rows

    forge_checkpoint(place, change)
    assert "says otherwise of" in problem_of(checked(place))


def test_a_checkpoint_that_does_not_read(place: Path) -> None:
    """Readers would fail."""
    (path,) = (place / PLANES / "_delta_log").glob("*.checkpoint.parquet")
    path.write_bytes(b"PAR1")
    assert "cannot be read" in problem_of(checked(place))


def test_a_document_rewritten(place: Path) -> None:
    """Its body is under the seal like a table's actions."""
    (path,) = (place / "documents" / "datasets" / "planes").glob("*.json")
    content = json.loads(path.read_text())
    content["body"]["owner"] = "mallory"
    path.write_text(json.dumps(content))
    assert "rewritten after it was committed" in problem_of(checked(place))


def test_a_version_that_does_not_read(place: Path) -> None:
    """The rest is checked all the same."""
    entry(place, 1).write_bytes(b"{")
    texts = checked(place).problems
    assert any(f"{entry(place, 1).name}: cannot be read" in text for text in texts)


# -- what was verified before -------------------------------------------------------------


def test_the_second_time_nothing_is_read(place: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """What is listed and sealed as before is not read again, and counted all the same."""
    with lakecore.open(place, create=False) as lake:
        first = lake.verify().completeness
        store = lake._parts.store
        read: list[str] = []
        get = store.get

        def spy(path: str) -> bytes:
            read.append(path)
            return get(path)

        monkeypatch.setattr(store, "get", spy)
        second = lake.verify().completeness
        assert second.detail | {"verified_before": 0} == first.detail
        assert second.detail["verified_before"] == 6
        assert [path for path in read if "_delta_log" in path or "documents" in path] == []


@pytest.mark.parametrize("version", [0, 2, 4])
def test_what_changes_after_it_was_verified(place: Path, version: int) -> None:
    """An entry with another time or size is read again, and all of its table."""
    assert checked(place).status == "green"
    path = entry(place, version)
    rewrite(path, lambda actions: actions[0]["commitInfo"].update({"operation": "X"}))
    assert "rewritten after it was committed" in problem_of(checked(place))
    assert "rewritten after it was committed" in problem_of(checked(place))


def test_a_checkpoint_forged_after_it_was_verified(place: Path) -> None:
    """A checkpoint is looked at whenever it is another one than before."""
    assert checked(place).status == "green"
    forge_checkpoint(place, lambda rows: [row for row in rows if row["add"] is None])
    assert "leaves out" in problem_of(checked(place))


def test_damage_to_the_memory_only_makes_it_forget(place: Path) -> None:
    """It is derived: whatever happens to it, the answer is the same."""
    assert checked(place).status == "green"
    (memory,) = (place / ".local").glob("verified-tables-*.sqlite")
    memory.write_bytes(b"nothing" * 1000)
    assert checked(place).status == "green"
    entry(place, 2).unlink()
    assert checked(place).status == "broken"


def test_new_versions_are_added(place: Path) -> None:
    """Only they are read; the figures are those of a whole look."""
    assert checked(place).status == "green"
    with lakecore.open(place, create=False, actor="ada") as lake:
        lake.update("planes", set={"seats": 63}, where="id = 1")
    check = checked(place)
    assert (check.status, check.detail["matched"], check.detail["verified_before"]) == (
        "green",
        6,
        6,
    )
    full = checked(place, full=True)
    assert full.detail["matched"] == 6


def test_what_is_committed_while_one_looks_is_not_damage(
    place: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A version, and a dataset, that come after a part was read that should tell of them."""
    from lakecore.reconcile import _complete

    moments = {"run": 0, "_locations": 0}
    with lakecore.open(place, create=False, actor="ada") as lake:

        def before(name: str, act: Callable[[], object]) -> None:
            real = getattr(_complete._Run, name)

            def late(run: Any) -> Any:
                moments[name] += 1
                if moments[name] == 1:
                    act()
                return real(run)

            monkeypatch.setattr(_complete._Run, name, late)

        def add() -> None:
            lake.create("later", key=["id"])
            lake.insert("later", [{"id": 1}])

        before("run", lambda: lake.update("planes", set={"seats": 63}, where="id = 1"))
        before("_locations", add)
        check = lake.verify().completeness
        assert (check.status, check.problems) == ("green", [])
        assert moments == {"run": 2, "_locations": 2}
        assert check.detail["matched"] + len(check.detail["pending"]) == 8
