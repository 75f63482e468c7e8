"""Small files put together: the same rows, the same history, or nothing."""

from __future__ import annotations

import json
from decimal import Decimal
from pathlib import Path
from typing import Any

import polars as pl
import pyarrow as pa
import pytest
from deltalake import DeltaTable
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.unit.maintain.conftest import ADA, Lake

from lakecore.base import Bug, NotFound
from lakecore.journal import multiset_hash
from lakecore.maintain import MaintainSettings
from lakecore.maintain._bins import choose_bins
from lakecore.storage import open_store
from lakecore.tables import ChangeFacts, DataFile, Judge, TableSettings


def test_many_become_one(lake: Lake) -> None:
    """Rows, versions and the record stay; the commit says dataChange=false and is measured."""
    for number in (5, 3, 9, 1, 7):
        lake.append("planes", number)
    before = [lake.rows(version=version) for version in range(5)]
    report = lake.run()
    (step,) = report.steps
    assert (step.action, step.outcome, step.files_before, step.files_after) == (
        "compact",
        "done",
        5,
        1,
    )
    assert (step.version, lake.live()) == (5, 1)
    assert lake.rows() == before[-1]
    assert [lake.rows(version=version) for version in range(5)] == before
    dataset = lake.catalog.get("planes")
    changes = lake.journal.changes(dataset.dataset_id, -1, 5).read_all()
    assert sorted(changes.column("version").to_pylist()) == [0, 1, 2, 3, 4]
    log = lake.store.get(f"{dataset.location}/_delta_log/{5:020d}.json").splitlines()
    actions = [json.loads(line) for line in log]
    assert actions[0]["commitInfo"]["operation"] == "OPTIMIZE"
    files = [action.get("add") or action.get("remove") for action in actions[1:]]
    assert len(files) == 6
    assert not any(file["dataChange"] for file in files)
    (event,) = lake.events()
    assert (event.entity_id, event.action, event.version, event.actor) == (
        "planes",
        "compact",
        5,
        "keeper",
    )
    told = json.loads(event.context)["maintenance"]
    view = lake.tables.open(lake.catalog.get("planes"))
    assert view is not None
    assert told["rows"] == 5
    assert told["rows_sum"] == multiset_hash(view.delta.to_pyarrow_table()).hex()
    lake.check()
    assert lake.done() == []


def test_rows_are_in_the_order_of_the_key(lake: Lake) -> None:
    """Whoever reads by key skips more of a file whose rows are in its order."""
    for number in (5, 3, 9, 1):
        lake.append("planes", number)
    lake.run()
    (path,) = _live(lake)
    assert pl.read_parquet(Path(str(lake.store.local_path(path))))["id"].to_list() == [1, 3, 5, 9]


def _live(lake: Lake) -> set[str]:
    dataset = lake.catalog.get("planes")
    state = lake.upkeep.state(dataset)
    assert state is not None
    return {f"{dataset.location}/{file.path}" for file in state.files}


def test_nested_types_without_a_key(lake: Lake) -> None:
    """Lists, structs, maps, decimals, times and nulls come out as they went in; also twice."""
    lake.make("notes", key=())
    kind = pa.struct([("a", pa.int64()), ("b", pa.list_(pa.string()))])
    for number in range(6):
        columns: dict[str, Any] = {
            "s": pa.array([{"a": number, "b": ["x", None]}, None], kind),
            "l": pa.array([[[1.5, None]], []], pa.list_(pa.list_(pa.float64()))),
            "m": pa.array([[("k", number)], None], pa.map_(pa.string(), pa.int64())),
            "d": pa.array([Decimal("1.10"), None], pa.decimal128(9, 2)),
            "t": pa.array([number, None], pa.timestamp("us", tz="UTC")),
            "f": pa.array([float("nan"), -0.0], pa.float64()),
        }
        lake.append("notes", number, number, **columns)
    before = sorted(map(repr, lake.rows("notes")))
    assert lake.done("notes") == [("compact", "done")]
    assert sorted(map(repr, lake.rows("notes"))) == before
    assert lake.live("notes") == 1
    lake.check()


def test_columns_that_came_later(lake: Lake) -> None:
    """Files with fewer columns than the table are put together with those that have all."""
    for number in range(3):
        lake.append("planes", number)
    for number in range(3, 6):
        lake.append("planes", number, seats=[number])
    before = lake.rows()
    assert lake.done() == [("compact", "done")]
    assert lake.rows() == before
    assert before[0]["seats"] is None
    lake.check()


def test_history_after_it(lake: Lake) -> None:
    """Changes, restore and diff over a compaction are exact: it is no change of a row."""
    for number in range(5):
        lake.append("planes", number)
    lake.run()
    dataset = lake.catalog.get("planes")
    assert [table.num_rows for table in lake.tables.diff(dataset, 4, 5)] in ([], [0])
    assert lake.tables.restore(dataset, version=4, author=ADA).version is None
    result = lake.tables.update(dataset, where="id = 3", set={"v": "new"}, author=ADA)
    assert (result.updated, result.version) == (1, 6)
    restored = lake.tables.restore(dataset, version=2, author=ADA)
    assert (restored.deleted, restored.updated) == (2, 0)
    assert [row["id"] for row in lake.rows()] == [0, 1, 2]
    lake.check()


def test_other_engines_read_on(lake: Lake) -> None:
    """deltalake, pyarrow and Polars see the same rows, and delta-rs can go on writing."""
    for number in range(5):
        lake.append("planes", number)
    lake.run()
    uri = lake.store.table_uri(lake.catalog.get("planes").location)
    table = DeltaTable(uri)
    assert table.to_pyarrow_table().num_rows == 5
    assert pl.read_delta(uri)["id"].sort().to_list() == [0, 1, 2, 3, 4]
    table.delete("id = 2")
    lake.reconciler.reconcile()
    assert [row["id"] for row in lake.rows()] == [0, 1, 3, 4]
    lake.check()


class _Denying:
    """A gate that lets nothing pass."""

    def judge(self, facts: ChangeFacts) -> Judge | None:
        raise Bug("upkeep was judged", where=facts.op)


def test_no_rule_is_asked(tmp_path: Path) -> None:
    """No row changes, so a rule set that denies everything does not stop upkeep."""
    store = open_store(str(tmp_path / "lake"))
    lake = Lake(store, tmp_path / "state")
    lake.make()
    for number in range(5):
        lake.append("planes", number)
    lake.journal.seal()
    strict = Lake(store, tmp_path / "other", gate=_Denying())  # type: ignore[arg-type]  # judges nothing
    with pytest.raises(Bug, match="upkeep was judged"):
        strict.append("planes", 9)
    assert strict.done() == [("compact", "done")]
    strict.close()
    lake.close()
    store.close()


def test_a_damaged_file_is_not_carried_on(lake: Lake) -> None:
    """A data file with other bytes than were committed stays where it is, and is named."""
    for number in range(5):
        lake.append("planes", number)
    path = sorted(lake.files())[2]
    place = Path(str(lake.store.local_path(path)))
    other = Path(str(lake.store.local_path(sorted(lake.files())[3])))
    place.write_bytes(other.read_bytes())  # a whole file, with another row
    files = lake.files()
    (step,) = lake.run().steps
    assert (step.action, step.outcome) == ("compact", "failed")
    assert "not those that were committed" in step.detail
    assert lake.files() == files
    assert lake.events() == []


def test_other_rows_cannot_be_committed(lake: Lake, monkeypatch: pytest.MonkeyPatch) -> None:
    """Were a row lost or changed on the way, the new file would be dropped, not committed."""
    from lakecore.tables import _compact

    for number in range(5):
        lake.append("planes", number)
    files, newest = lake.files(), lake.rows()

    def other(rows: pa.Table, key: Any) -> Any:
        yield rows.set_column(1, "v", pa.array(["forged"] * rows.num_rows))

    monkeypatch.setattr(_compact, "_sorted", other)
    (step,) = lake.run().steps
    assert step.outcome == "failed"
    assert "do not hold the rows" in step.detail
    assert (lake.files(), lake.rows()) == (files, newest)
    lake.check()


def test_losing_a_race(tmp_path: Path) -> None:
    """Files that others add do not matter; files that others take away make it stand back."""
    store = open_store(str(tmp_path / "lake"))
    other = Lake(store, tmp_path / "state")
    other.make()
    for number in range(8):
        other.append("planes", number)
    turns: list[str] = []

    def intrude(step: str) -> None:
        if step != "committing" or len(turns) > 1:
            return
        turns.append(step)
        if len(turns) == 1:
            other.append("planes", 100)
        else:
            other.tables.delete(other.catalog.get("planes"), where="id = 3", author=ADA)

    lake = Lake(store, tmp_path / "two", tables=TableSettings(on_step=intrude, retry_wait_s=0))
    assert lake.done() == [("compact", "skipped")]
    assert len(lake.rows()) == 8
    turns.append("no more")
    assert lake.done() == [("compact", "done")]
    assert len(lake.rows()) == 8
    assert lake.live() == 1
    other.check()
    lake.close()
    other.close()


def test_an_append_meanwhile(tmp_path: Path) -> None:
    """What is appended while files are put together is kept, and so is the work."""
    store = open_store(str(tmp_path / "lake"))
    other = Lake(store, tmp_path / "state")
    other.make()
    for number in range(6):
        other.append("planes", number)
    turns: list[str] = []

    def intrude(step: str) -> None:
        if step == "committing" and not turns:
            turns.append(step)
            other.append("planes", 100)

    lake = Lake(store, tmp_path / "two", tables=TableSettings(on_step=intrude, retry_wait_s=0))
    (step,) = lake.run().steps
    assert (step.outcome, step.version, lake.live()) == ("done", 7, 2)
    assert len(lake.rows()) == 7
    lake.journal.seal()
    other.check()
    lake.close()
    other.close()


def test_dry_run_and_names(lake: Lake) -> None:
    """A dry run says what would be done and does nothing; unknown names are told."""
    for number in range(5):
        lake.append("planes", number)
    (step,) = lake.run(dry_run=True).steps
    assert (step.outcome, step.files_before, step.files_after) == ("planned", 5, 1)
    assert lake.live() == 5
    with pytest.raises(NotFound, match="no dataset"):
        lake.run("plans")


def test_tables_of_other_engines_are_left_alone(lake: Lake, tmp_path: Path) -> None:
    """A partitioned table is skipped, and said so when it is named."""
    from deltalake import write_deltalake

    from lakecore.reconcile import adopt_table

    uri = lake.store.table_uri("tables/main/theirs")
    for number in range(6):
        rows = pa.table({"id": [number], "day": [f"{number % 2}"]})
        write_deltalake(uri, rows, mode="append", partition_by=["day"])
    adopt_table(
        lake.store, lake.catalog, "tables/main/theirs", dataset="theirs", key=(), author=ADA
    )
    lake.reconciler.reconcile("theirs")
    assert lake.done() == []
    assert lake.done("theirs") == [("all", "skipped")]


def test_checkpoints(tmp_path: Path) -> None:
    """A log that has grown gets a checkpoint, once."""
    store = open_store(str(tmp_path / "lake"))
    few = MaintainSettings(min_files=100, checkpoint_versions=4)
    lake = Lake(store, tmp_path / "state", settings=few)
    lake.make()
    for number in range(6):
        lake.append("planes", number)
    assert lake.done() == [("checkpoint", "done")]
    assert lake.done() == []
    assert [event.action for event in lake.events()] == ["checkpoint"]
    lake.check()
    lake.close()


@settings(max_examples=200)
@given(
    sizes=st.lists(st.integers(1, 1_200), max_size=60),
    target=st.integers(100, 2_000),
    minimum=st.integers(1, 9),
)
def test_bins(sizes: list[int], target: int, minimum: int) -> None:
    """Every bin is of small files, within bounds, of at least so many; no file is in two."""
    files = [DataFile(str(number), size, 1) for number, size in enumerate(sizes)]
    bins = choose_bins(files, target_bytes=target, min_files=minimum, step_bytes=10**9)
    taken = [file.path for some in bins for file in some]
    assert len(taken) == len(set(taken))
    for some in bins:
        size_bytes = sum(file.size_bytes for file in some)
        assert len(some) >= (2 if size_bytes * 2 >= target else max(2, minimum))
        assert size_bytes <= target
        assert all(file.size_bytes * 4 < target for file in some)
        largest = max(file.size_bytes for file in some)
        assert largest * 2 <= sum(file.size_bytes for file in some)


def test_rows_are_rewritten_seldom() -> None:
    """Of 2,000 commits of one row each, a row is written again some ten times at most."""
    files: list[DataFile] = []
    written = 0
    for number in range(2_000):
        files.append(DataFile(str(number), 1_000, 1))
        for some in choose_bins(files, target_bytes=1 << 27, min_files=8, step_bytes=1 << 33):
            gone = {file.path for file in some}
            merged = sum(file.size_bytes for file in some)
            written += merged
            files = [file for file in files if file.path not in gone]
            files.append(DataFile(f"{number} merged", merged, len(some)))
    assert written < 12 * 2_000 * 1_000
    assert len(files) < 40
