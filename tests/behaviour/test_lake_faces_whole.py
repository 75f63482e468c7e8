"""Datasets as a whole, workspaces from inside, earlier versions, upkeep: on both faces the same."""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable
from dataclasses import fields
from typing import Any

from tests.faces import Faces, planes, result, table, table_of

from lakecore.base import Refused
from lakecore.tables import AddColumn, DropColumn


def test_inside_a_workspace(faces: Faces) -> None:
    """Every call of a lake's workspace, main as it was; given up, and made again by that name."""
    planes(faces)
    inside = {
        id(face): face.workspace("trial", reason="a look") for face in (faces.opened, faces.client)
    }

    def both(do: Callable[[Any], Any]) -> Any:
        return faces.both(lambda face: do(inside[id(face)]))

    both(lambda lake: result(lake.upsert("planes", [{"tailnum": "N1", "seats": 56}])))
    both(lambda lake: result(lake.add_columns("planes", {"note": "string"})))
    both(lambda lake: result(lake.update("planes", set={"note": "seen"}, keys=["N1"])))
    both(lambda lake: result(lake.delete("planes", keys=["N2"])))
    both(lambda lake: table(lake))
    both(lambda lake: table(lake, "select count(*) n from planes where seats > $1", [50]))
    both(lambda lake: table_of(lake.as_of("planes", version=0)))
    both(lambda lake: [event.action for event in lake.history("planes", "N1")])
    both(lambda lake: sorted(lake.blame("planes", "N1")))
    both(lambda lake: [one.name for one in lake.datasets()])
    both(lambda lake: {**lake.describe("planes"), "dataset_id": "", "location": "", **SIZES})
    both(lambda lake: lake.dataset("planes").key)
    both(lambda lake: lake.describe("nosuch"))
    both(lambda lake: lake.sql("select * from nosuch").to_arrow())
    both(lambda lake: lake.sql("delete from planes").to_arrow())
    both(lambda lake: lake.update("planes", set={"seats": 1}, all=True, tier="dry_run"))
    both(lambda lake: lake.revert("nosuch"))

    def undo(lake: Any) -> Any:
        made = lake.update("planes", set={"seats": 57}, keys=["N1"])
        return result(lake.revert(made.mutation_id, reason="no"))

    assert both(undo)["updated"] == 1
    both(lambda lake: result(lake.restore("planes", version=1)))
    found = both(lambda lake: lake.diff("planes")["planes"].read_all().to_pylist())
    assert [row["new_value"] for row in found] == ["56"]
    assert both(lambda lake: (lake.info.state, lake.info.name, lake.info.reason))[0] == "open"
    assert faces.both(lambda face: table(face)).num_rows == 3
    assert both(lambda lake: lake.drop(reason="enough").state) == "dropped"
    both(lambda lake: lake.insert("planes", [{"tailnum": "N9"}]))
    assert faces.both(lambda face: face.workspace("trial", create=False).info.state) == "dropped"
    faces.both(lambda face: face.workspace("trial").name)
    assert both(lambda lake: lake.info)[0] is Refused
    assert both(lambda lake: lake.drop())[0] is Refused


SIZES = {"files": 0, "size_bytes": 0}


def entry(found: Any) -> dict[str, Any]:
    """An entry of the catalog without what is another one in each lake."""
    own = ("dataset_id", "location", "version", "created_us", "dropped_us", "purge_after_us")
    return {
        member.name: getattr(found, member.name)
        for member in fields(found)
        if member.name not in own
    } | {"type": type(found), "is_timed": found.dropped_us is not None}


def test_datasets_as_a_whole(faces: Faces) -> None:
    """Registered, altered, renamed, dropped, brought back; what a row was, and what differs."""
    steps: list[Callable[[Any], Any]] = [
        lambda face: face.create("crew", key="id", entity_type="person", owner="hr", reason="new"),
        lambda face: face.create("crew", key="id"),
        lambda face: face.create("No name"),
        lambda face: face.alter("crew", contract="freeze", description="who flies"),
        lambda face: face.alter("crew", contract="strange"),
        lambda face: face.alter("crew", strange=1),
        lambda face: face.alter("crew", protected=True, retention_days=30, retention_versions=5),
        lambda face: face.alter("crew", checks={"ids": "select * from crew where id is null"}),
        lambda face: face.drop("crew"),
        lambda face: face.alter("crew", protected=False, retention_days=None, reason="over"),
        lambda face: face.rename("crew", "staff", reason="as hr has it"),
        lambda face: face.dataset("staff"),
        lambda face: face.rename("nosuch", "other"),
        lambda face: face.rename("staff", "No name"),
        lambda face: face.drop("staff", grace_days=2, reason="moved"),
        lambda face: face.drop("staff"),
        lambda face: face.dataset("staff"),
        lambda face: face.undrop("staff"),
        lambda face: face.undrop("staff"),
        lambda face: face.dataset("staff"),
    ]
    seen = [faces.both(lambda face, step=step: entry(step(face))) for step in steps]
    names = [one["name"] for one in seen if isinstance(one, dict)]
    assert names == ["crew"] * 5 + ["staff"] * 5
    faces.both(lambda face: face.drop("staff", grace_days=1).state)
    faces.both(lambda face: [one.name for one in face.datasets()])
    dropped = faces.both(
        lambda face: [entry(one) for one in face.datasets(dropped=True) if one.name == "staff"]
    )
    assert [one["state"] for one in dropped] == ["dropped"]


def test_columns_rows_of_then_and_differences(faces: Faces) -> None:
    """Columns are altered, and wait where that is wanted; rows and versions as they were."""
    planes(faces)
    steps: list[Callable[[Any], Any]] = [
        lambda face: entry(face.alter("planes", add={"note": "string"}, rename={"built": "made"})),
        lambda face: face.alter("planes", add={"note": "string"}),
        lambda face: face.alter("planes", add={"x": "nosuchtype"}),
        lambda face: face.alter("planes", drop=["tailnum"]),
        lambda face: face.alter("planes", add={"x": "long"}, owner="ada"),
        lambda face: result(face.alter_columns("planes", [DropColumn("note")], reason="unused")),
        lambda face: result(face.alter_columns("planes", [], reason="nothing")),
        lambda face: entry(face.alter("planes", rename={"tailnum": "tail"})),
        lambda face: face.describe("planes")["columns"],
        lambda face: result(face.update("planes", set={"seats": 56}, keys=["N1"])),
        lambda face: result(face.delete("planes", keys=["N2"])),
        lambda face: face.entity("planes", "N1"),
        lambda face: face.entity("planes", "N1", version=0),
        lambda face: face.entity("planes", ["N1"], version=3),
        lambda face: face.entity("planes", {"tail": "N1"}),
        lambda face: face.entity("planes", "N2"),
        lambda face: face.entity("planes", "N2", time=dt.datetime.now(dt.UTC)),
        lambda face: face.entity("planes", "N1", version=99),
        lambda face: face.entity("planes", "N1", seq=10**9),
        lambda face: face.entity("planes", "N1", version=0, seq=0),
        lambda face: face.entity("planes", "N1", time="yesterday"),
        lambda face: face.entity("nosuch", "N1"),
        lambda face: face.diff("planes", 3, 5).read_all(),
        lambda face: face.diff("planes", 5, 3).read_all(),
        lambda face: face.diff("planes", 3, dt.datetime.now(dt.UTC)).read_all(),
        lambda face: face.diff("planes", 5, 5).read_all(),
        lambda face: face.diff("planes", 0, 99).read_all(),
        lambda face: face.diff("planes", "yesterday", 1).read_all(),
        lambda face: face.diff("nosuch", 0, 1).read_all(),
    ]
    seen = [faces.both(step) for step in steps]
    assert seen[11] == {"tail": "N1", "seats": 56, "made": "2001-02-03"}
    assert seen[15] is None
    assert seen[22].num_rows > 1

    def wait(face: Any) -> Any:
        held = face.alter_columns("planes", [AddColumn("crew", "long")], tier="dry_run")
        return result(held), result(face.approve(held.mutation_id))

    assert faces.both(wait)[0]["held"]
    faces.both(lambda face: face.describe("planes")["columns"])


def test_upkeep_and_state(faces: Faces) -> None:
    """What is due, and what there is."""
    planes(faces)

    def maintain(face: Any) -> Any:
        planned = face.maintain("planes", dry_run=True)
        report = face.maintain(["planes"], reason="weekly")
        steps = [(step.dataset, step.action, step.outcome) for step in report.steps]
        return planned.dry_run, report.ok, type(report), steps

    assert faces.both(maintain)[:2] == (True, True)
    faces.both(lambda face: face.maintain("nosuch"))
    faces.both(lambda face: sorted(face.status()))
    assert faces.both(lambda face: face.status()["rows"]) == 3
