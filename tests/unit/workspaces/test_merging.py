"""Workspaces merged: conflicts, resolutions, several datasets, rules and approvals."""

from __future__ import annotations

import threading

import pytest
from tests.unit.workspaces.conftest import seats

from lakecore.app import Lake
from lakecore.base import Conflict, InvalidInput, LakecoreError, NotFound, Refused
from lakecore.workspaces import WorkspaceConflicts

RULES = """
name = "fleet"

[[rule]]
id = "no-giants"
task_class = "*"
when = { cel = "dataset == 'planes' && after.seats > 900" }
action = "deny"
message = "no plane has more than 900 seats"

[[rule]]
id = "merges-are-looked-at"
task_class = "merge"
when = { cel = "dataset == 'planes' && after.seats > 500" }
action = "require_approval"
message = "large planes are looked at"
"""


def test_a_merge_is_one_mutation_a_dataset(lake: Lake) -> None:
    """In the merger's name, with the workspace in its context; main's history has it."""
    workspace = lake.workspace("fix")
    workspace.update("planes", where="tailnum = 'N1'", set={"seats": 100})
    workspace.update("planes", where="tailnum = 'N2'", set={"seats": 200})
    workspace.insert("planes", [{"tailnum": "A", "seats": 1}])
    workspace.delete("planes", keys="N3")
    workspace.insert("log", [{"line": "second"}])
    workspace.insert("ops.crews", [{"id": 1}])
    result = workspace.merge(actor="cleo", reason="agreed")
    assert (result.state, result.late) == ("merged", ())
    told = {
        one.dataset: (one.version, one.inserted, one.updated, one.deleted)
        for one in result.datasets
    }
    assert told == {"log": (1, 1, 0, 0), "ops.crews": (0, 1, 0, 0), "planes": (1, 1, 2, 1)}
    assert seats(lake) == seats(workspace)
    last = lake.history("planes", "N1")[-1]
    assert (last.actor, last.workspace_id, last.new_value) == ("cleo", "", "100")
    assert '"workspace":"fix"' in last.context
    made = lake.sql("select dataset from system.mutations where actor = 'cleo'").to_pylist()
    assert {row["dataset"] for row in made} >= {"log", "ops.crews", "planes"}
    assert lake.verify(full=True).status == "green"


def test_a_merge_onto_what_main_changed(lake: Lake) -> None:
    """Other rows and other fields of main stay as main has them."""
    workspace = lake.workspace("fix")
    workspace.update("planes", where="tailnum = 'N1'", set={"seats": 100})
    lake.update("planes", where="tailnum = 'N1'", set={"engine": "prop"})
    lake.delete("planes", keys="N5")
    workspace.merge()
    rows = lake.sql("select * from planes where tailnum = 'N1'").to_pylist()
    assert rows == [{"tailnum": "N1", "seats": 100, "engine": "prop"}]
    assert "N5" not in seats(lake)


def test_a_conflict_names_row_field_values_and_who(lake: Lake) -> None:
    """Nothing is merged of any dataset, and the workspace stays open for more."""
    workspace = lake.workspace("fix")
    workspace.update("planes", where="tailnum in ('N1', 'N2')", set={"seats": 100})
    workspace.insert("log", [{"line": "second"}])
    lake.update("planes", where="tailnum = 'N1'", set={"seats": 55}, actor="bob")
    with pytest.raises(WorkspaceConflicts) as caught:
        workspace.merge()
    (one,) = caught.value.conflicts
    assert (one.dataset, one.entity_id, one.field) == ("planes", "N1", "seats")
    assert (one.base, one.ours, one.theirs) == ("1", "100", "55")
    assert one.by is not None
    assert (one.by.actor, one.by.version) == ("bob", 1)
    assert "by bob" in str(caught.value)
    assert lake.describe("log")["rows"] == 1
    assert workspace.info.state == "open"
    workspace.merge(resolve={("planes", "N1", "seats"): "theirs"})
    assert (seats(lake)["N1"], seats(lake)["N2"]) == (55, 100)


@pytest.mark.parametrize(("side", "wanted"), [("ours", 100), ("theirs", 55)])
def test_all_conflicts_at_once(lake: Lake, side: str, wanted: int) -> None:
    """One side for whatever was not resolved by itself."""
    workspace = lake.workspace("fix")
    workspace.update("planes", where="tailnum = 'N1'", set={"seats": 100})
    lake.update("planes", where="tailnum = 'N1'", set={"seats": 55})
    workspace.merge(on_conflict=side)
    assert seats(lake)["N1"] == wanted


@pytest.mark.parametrize("resolve", [{("planes", "N1"): "ours"}, [["planes", "N1", "seats", "no"]]])
def test_bad_resolutions_are_refused(lake: Lake, resolve: object) -> None:
    """Before anything is merged."""
    workspace = lake.workspace("fix")
    workspace.update("planes", where="tailnum = 'N1'", set={"seats": 100})
    with pytest.raises(InvalidInput):
        workspace.merge(resolve=resolve)  # type: ignore[arg-type]  # that is the point
    assert workspace.info.state == "open"


def test_a_merge_again_is_the_same(lake: Lake) -> None:
    """It says what came of it, and changes nothing."""
    workspace = lake.workspace("fix")
    workspace.update("planes", where="tailnum = 'N1'", set={"seats": 100})
    first = workspace.merge()
    lake.update("planes", where="tailnum = 'N1'", set={"seats": 7})
    again = workspace.merge()
    assert [(one.dataset, one.version) for one in again.datasets] == [("planes", 1)]
    assert again.state == first.state == "merged"
    assert seats(lake)["N1"] == 7
    with pytest.raises(Refused, match="was merged"):
        workspace.drop()


def test_an_untouched_workspace_merges_nothing(lake: Lake) -> None:
    """It is over then, all the same."""
    workspace = lake.workspace("fix")
    assert workspace.merge().datasets == ()
    assert workspace.info.state == "merged"
    assert lake.describe("planes")["version"] == 0


def test_a_renamed_dataset_is_followed_a_dropped_one_named(lake: Lake) -> None:
    """By its id: the merge goes where the dataset is; where it is gone, nothing is merged."""
    workspace = lake.workspace("fix")
    workspace.update("planes", where="tailnum = 'N1'", set={"seats": 100})
    workspace.insert("log", [{"line": "second"}])
    lake.rename("planes", "aircraft")
    lake.drop("log")
    with pytest.raises(NotFound, match="gone from main"):
        workspace.merge()
    assert workspace.info.state == "open"
    lake.undrop("log")
    result = workspace.merge()
    assert sorted(one.dataset for one in result.datasets) == ["aircraft", "log"]
    assert lake.sql("select seats from aircraft where tailnum = 'N1'").to_pylist() == [
        {"seats": 100}
    ]


def test_rules_of_main_decide_about_the_merge(lake: Lake) -> None:
    """Refused: the workspace is open again; held: the same call completes it after approval."""
    workspace = lake.workspace("fix")
    workspace.update("planes", where="tailnum = 'N1'", set={"seats": 950})
    workspace.insert("log", [{"line": "second"}])
    lake.truth.apply(RULES)
    with pytest.raises(Refused, match="900 seats"):
        workspace.merge()
    assert (workspace.info.state, lake.describe("log")["rows"]) == ("open", 1)
    with pytest.raises(Refused, match="900 seats"):
        workspace.update("planes", where="tailnum = 'N2'", set={"seats": 950})
    workspace.update("planes", where="tailnum = 'N1'", set={"seats": 600})
    held = workspace.merge()
    assert (held.held, held.state) == (True, "merging")
    (waits,) = [one for one in held.datasets if one.held]
    with pytest.raises(Conflict, match="is being merged"):
        workspace.insert("log", [{"line": "third"}])
    assert lake.pending()[0].op == "merge"
    assert lake.approve(waits.mutation_id, actor="chief").committed
    done = workspace.merge()
    assert (done.state, done.held) == ("merged", False)
    assert seats(lake)["N1"] == 600
    assert lake.describe("log")["rows"] == 2
    assert lake.verify(full=True).status == "green"


def test_two_merge_at_once(lake: Lake) -> None:
    """However they meet, each dataset has the merge once."""
    workspace = lake.workspace("fix")
    workspace.update("planes", all=True, set={"engine": "prop"})
    workspace.insert("log", [{"line": "second"}])
    outcomes: list[object] = []

    def merge() -> None:
        try:
            outcomes.append(lake.workspace("fix").merge().state)
        except LakecoreError as error:
            outcomes.append(error)

    threads = [threading.Thread(target=merge) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert "merged" in outcomes
    assert workspace.merge().state == "merged"
    assert lake.describe("planes")["version"] == 1
    assert lake.describe("log")["rows"] == 2
    assert lake.verify(full=True).status == "green"


def test_a_change_behind_the_merge_is_told(lake: Lake, monkeypatch: pytest.MonkeyPatch) -> None:
    """Somebody who looked before the merge began and committed after it is told of."""
    workspace = lake.workspace("fix")
    workspace.update("planes", where="tailnum = 'N1'", set={"seats": 100})
    workspaces = lake._parts.workspaces
    info = workspace.info
    branch = info.branch(info.base["planes"])
    real = workspaces.touched

    def touched(found: object) -> dict[str, int]:
        versions = real(info)
        if lake.describe("planes")["version"] == 1 and versions["planes"] == 1:
            lake._parts.tables.delete(branch, keys="N2", author=lake._author(None, "api", ""))
            versions = real(info)
        return versions

    monkeypatch.setattr(workspaces, "touched", touched)
    assert workspace.merge().late == ("planes",)
    assert "N2" in seats(lake)
