"""Changes tried out: the checks of their dataset, and what becomes of the workspace."""

from __future__ import annotations

import pytest
from tests.unit.workspaces.conftest import seats

from lakecore.app import Lake
from lakecore.base import InvalidInput, Refused

EMPTY_PLANES = {"no-empty-planes": "select tailnum from planes where seats = 0 or seats is null"}


def _workspaces(lake: Lake) -> list[str]:
    return [one.name for one in lake.workspaces()]


def test_a_change_that_passes_waits_with_its_report(lake: Lake) -> None:
    """The workspace stays until somebody decides; main is as it was until then."""
    lake.delete("planes", keys="N0")
    lake.alter("planes", checks=EMPTY_PLANES)
    held = lake.update("planes", where="tailnum = 'N1'", set={"seats": 9}, tier="sim")
    assert (held.held, seats(lake)["N1"]) == (True, 1)
    simulation = lake.pending_change(held.mutation_id).body["simulation"]
    assert [(check["name"], check["passed"]) for check in simulation["checks"]] == [
        ("applied", True),
        ("no-empty-planes", True),
    ]
    assert seats(lake.workspace(simulation["workspace"]))["N1"] == 9
    assert lake.approve(held.mutation_id, actor="bob").committed
    assert seats(lake)["N1"] == 9
    assert _workspaces(lake) == []
    assert lake.verify(full=True).status == "green"


def test_a_check_that_finds_a_row_refuses(lake: Lake) -> None:
    """The reason names the check and the row; the workspace is gone."""
    lake.delete("planes", keys="N0")
    lake.alter("planes", checks=EMPTY_PLANES)
    with pytest.raises(Refused, match=r"no-empty-planes.*N2"):
        lake.update("planes", where="tailnum = 'N2'", set={"seats": 0}, tier="sim")
    assert (_workspaces(lake), lake.pending()) == ([], [])
    assert seats(lake)["N2"] == 2


def test_a_check_that_cannot_be_asked_refuses(lake: Lake) -> None:
    """A column that is not there is no pass."""
    lake.alter("planes", checks={"wrong": "select nothing from planes"})
    with pytest.raises(Refused, match="wrong: it cannot be asked"):
        lake.update("planes", where="tailnum = 'N2'", set={"seats": 3}, tier="sim")


def test_rows_that_are_inserted_are_tried(lake: Lake) -> None:
    """The input is read twice: for main, and in the workspace."""
    held = lake.insert("ops.crews", [{"id": 1}, {"id": 2}], tier="sim")
    simulation = lake.pending_change(held.mutation_id).body["simulation"]
    inside = lake.workspace(simulation["workspace"])
    assert inside.sql("select count(*) as n from ops.crews").to_pylist() == [{"n": 2}]
    lake.reject(held.mutation_id, "no")
    assert _workspaces(lake) == []


@pytest.mark.parametrize("checks", ["select 1", {"a": 1}, {"": "select 1"}, ["x"]])
def test_checks_are_names_and_sql(lake: Lake, checks: object) -> None:
    """Anything else is refused when it is given."""
    with pytest.raises(InvalidInput, match="checks"):
        lake.alter("planes", checks=checks)
