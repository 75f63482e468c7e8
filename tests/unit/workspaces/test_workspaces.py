"""Workspaces made, read, changed and dropped."""

from __future__ import annotations

from pathlib import Path

import pyarrow as pa
import pytest
from tests.unit.workspaces.conftest import seats

from lakecore.app import Lake
from lakecore.base import AlreadyExists, InvalidInput, NotFound, Refused


def _bytes(lake: Lake) -> int:
    store = lake._parts.store
    return sum(
        info.size_bytes
        for folder in ("tables/", "workspaces/")
        for info in store.list_objects(folder)
    )


def _reads(lake: Lake) -> list[str]:
    return [dataset.name for dataset in lake.datasets()]


def test_a_new_workspace_copies_nothing(lake: Lake) -> None:
    """Not a byte of a table, whatever lies there; the first change writes only its own."""
    wide = pa.table({"tailnum": [f"X{n}" for n in range(50_000)], "seats": range(50_000)})
    lake.insert("planes", wide)
    before = _bytes(lake)
    workspace = lake.workspace("fix")
    assert seats(workspace) == seats(lake)
    assert _bytes(lake) == before
    workspace.update("planes", where="tailnum = 'N1'", set={"seats": 100})
    # One small file of the two, and the log of the branch.
    assert _bytes(lake) - before < 20_000


def test_reads_see_the_base_and_the_changes_alone(lake: Lake) -> None:
    """What main does later is not seen; untouched datasets are as they were, too."""
    workspace = lake.workspace("fix")
    workspace.update("planes", where="tailnum = 'N1'", set={"seats": 100})
    lake.update("planes", where="tailnum = 'N2'", set={"seats": 200})
    lake.insert("log", [{"line": "second"}])
    lake.create("later")
    assert (seats(workspace)["N1"], seats(workspace)["N2"]) == (100, 2)
    assert (seats(lake)["N1"], seats(lake)["N2"]) == (1, 200)
    assert workspace.sql("select count(*) as n from log").to_pylist() == [{"n": 1}]
    assert workspace.sql("select * from ops.crews").to_pylist() == []
    with pytest.raises(NotFound):
        workspace.sql("select * from later")
    names = [row["table_name"] for row in workspace.sql("show tables").to_pylist()]
    assert {"planes", "log", "crews", "workspaces"} <= set(names)


def test_all_changes_work_inside(lake: Lake) -> None:
    """Insert, upsert, update, delete, replace, restore, revert, a column; main stays."""
    before = seats(lake)
    workspace = lake.workspace("fix")
    workspace.insert("planes", [{"tailnum": "A1", "seats": 1}])
    workspace.upsert("planes", [{"tailnum": "A1", "seats": 2}, {"tailnum": "A2", "seats": 3}])
    workspace.delete("planes", keys=["N0", "N1"])
    change = workspace.update("planes", all=True, set={"engine": "prop"})
    workspace.revert(change.mutation_id)
    workspace.add_columns("planes", {"owner": "string"})
    rows = workspace.sql("select * from planes order by tailnum limit 1").to_pylist()
    assert rows == [{"tailnum": "A1", "seats": 2, "engine": None, "owner": None}]
    assert workspace.as_of("planes", version=1).to_arrow().num_rows == 7
    workspace.restore("planes", version=0)
    assert seats(workspace) == before
    workspace.replace("planes", [{"tailnum": "Z", "seats": 0}])
    workspace.insert("ops.crews", [{"id": 1, "name": "bo"}])
    assert seats(workspace) == {"Z": 0}
    assert workspace.describe("ops.crews")["rows"] == 1
    assert seats(lake) == before
    assert lake.describe("ops.crews")["version"] is None
    assert lake.verify(full=True).status == "green"


def test_changes_of_the_lake_take_a_workspace(lake: Lake) -> None:
    """`workspace=` names one that is there; a wrong name makes none."""
    lake.create_workspace("fix")
    lake.update("planes", where="tailnum = 'N1'", set={"seats": 9}, workspace="fix")
    assert (seats(lake)["N1"], seats(lake.workspace("fix"))["N1"]) == (1, 9)
    with pytest.raises(NotFound, match="no workspace of that name"):
        lake.update("planes", where="tailnum = 'N1'", set={"seats": 9}, workspace="fox")
    assert [one.name for one in lake.workspaces()] == ["fix"]


def test_histories_are_apart(lake: Lake) -> None:
    """Main's leaves the workspace's events out; the workspace's goes on from the base."""
    workspace = lake.workspace("fix")
    lake.update("planes", where="tailnum = 'N1'", set={"seats": 5}, actor="bob")
    workspace.update("planes", where="tailnum = 'N1'", set={"seats": 100}, reason="recount")
    assert [(e.new_value, e.workspace_id) for e in lake.history("planes", "N1", "seats")][1:] == [
        ("5", "")
    ]
    inside = workspace.history("planes", "N1", "seats")
    assert [(event.new_value, event.workspace_id) for event in inside[1:]] == [("100", "fix")]
    assert workspace.blame("planes", "N1")["seats"].new_value == "100"
    told = workspace.sql("select action from history('planes', 'N1')").to_pylist()
    assert [row["action"] for row in told] == ["insert", "update"]
    changes = workspace.sql("select field from changes('planes', 0)").to_pylist()
    assert changes == [{"field": "seats"}]


def test_a_diff_tells_rows_and_fields(lake: Lake) -> None:
    """By dataset, from the base; what was not changed is not in it."""
    workspace = lake.workspace("fix")
    workspace.update("planes", where="tailnum = 'N1'", set={"seats": 100})
    workspace.insert("ops.crews", [{"id": 1}])
    found = {name: reader.read_all().to_pylist() for name, reader in workspace.diff().items()}
    assert sorted(found) == ["ops.crews", "planes"]
    assert [(row["entity_id"], row["action"]) for row in found["ops.crews"]] == [("1", "insert")]
    (row,) = found["planes"]
    assert (row["field"], row["old_value"], row["new_value"]) == ("seats", "1", "100")
    assert list(workspace.diff("log")) == []


@pytest.mark.parametrize("name", ["", "Fix", "a b", "../x", "a.b", "-a", "x" * 101, "é"])
def test_bad_names_are_refused(lake: Lake, name: str) -> None:
    """Names stand in paths and in events."""
    with pytest.raises(InvalidInput):
        lake.workspace(name)


def test_a_name_is_used_once_at_a_time(lake: Lake) -> None:
    """Not twice while it is open; again after a drop, with another id and the newest base."""
    first = lake.create_workspace("fix")
    first.update("planes", where="tailnum = 'N1'", set={"seats": 100})
    with pytest.raises(AlreadyExists):
        lake.create_workspace("fix")
    assert lake.workspace("fix").workspace_id == first.workspace_id
    first.drop(reason="not needed")
    with pytest.raises(Refused, match="takes no changes"):
        first.update("planes", where="tailnum = 'N1'", set={"seats": 1})
    second = lake.workspace("fix")
    assert second.workspace_id != first.workspace_id
    assert seats(second)["N1"] == 1
    with pytest.raises(Refused, match="another has its name"):
        first.merge()
    folders = [one.path for one in lake._parts.workspaces.closed_folders()]
    assert folders == [f"workspaces/{first.workspace_id}/"]


def test_what_is_open_is_pinned(lake: Lake) -> None:
    """Every base version of an open workspace, none of one that is over."""
    lake.update("planes", where="tailnum = 'N1'", set={"seats": 9})
    workspace = lake.workspace("fix")
    assert lake._parts.workspaces.pins() == {"tables/main/planes": {1}, "tables/main/log": {0}}
    workspace.drop()
    assert lake._parts.workspaces.pins() == {}


def test_the_table_of_workspaces_tells_all(lake: Lake) -> None:
    """One row each, with what was touched and what came of it."""
    workspace = lake.workspace("fix", reason="a recount")
    workspace.update("planes", where="tailnum = 'N1'", set={"seats": 100})
    lake.workspace("other").drop()
    rows = lake.sql("select name, state, reason, touched from system.workspaces").to_pylist()
    assert sorted(rows, key=lambda row: str(row["name"])) == [
        {"name": "fix", "state": "open", "reason": "a recount", "touched": ["planes"]},
        {"name": "other", "state": "dropped", "reason": "", "touched": []},
    ]


def test_a_base_that_another_program_cleaned_is_named(lake: Lake, tmp_path: Path) -> None:
    """A query says what is gone and why, not that some file is missing."""
    workspace = lake.workspace("fix")
    workspace.update("planes", where="tailnum = 'N1'", set={"seats": 100})
    workspace.insert("planes", [{"tailnum": "A", "seats": 1}])
    lake.create("wide", key="id")
    for number in range(2):
        lake.insert("wide", [{"id": number}])
    second = lake.workspace("second")
    second.update("wide", where="id = 0", set={"id": 5})
    for file in (tmp_path / "lake" / "tables" / "main" / "wide").glob("*.parquet"):
        file.unlink()
    with pytest.raises(NotFound, match="base are gone"):
        second.sql("select sum(id) from wide").to_pylist()
    assert _reads(lake) == ["log", "ops.crews", "planes", "wide"]


def test_nothing_waits_inside(lake: Lake) -> None:
    """A preview shows; a dry run would wait for an approval, which only a merge does."""
    workspace = lake.workspace("fix")
    shown = workspace.update("planes", all=True, set={"seats": 0}, tier="preview")
    assert (shown.updated, shown.version) == (5, None)
    with pytest.raises(InvalidInput, match="nothing waits"):
        workspace.update("planes", all=True, set={"seats": 0}, tier="dry_run")
