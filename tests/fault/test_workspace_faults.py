"""Whatever write of a workspace's life is the last one: the next process goes on, exactly once."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from tests.fakes.faulty_store import Fault, FaultyStore

from lakecore.app import Lake
from lakecore.app._components import Components
from lakecore.base import AlreadyExists, LakecoreError
from lakecore.config import load
from lakecore.storage import open_store

FIRST = [{"id": number, "v": number} for number in range(4)]


def _open(folder: Path, faults: dict[int, Fault] | None = None) -> tuple[Lake, FaultyStore]:
    """A lake over a store that is down from the first fault on, as after a kill."""
    store = FaultyStore(open_store(str(folder / "lake")), faults, stays_down=True)
    settings = load(lake=str(folder / "lake")).settings
    create = not (folder / "lake" / "lakecore.json").exists()
    return Lake(Components(store, settings, create=create), actor="ada"), store


def _base(lake: Lake) -> None:
    for name in ("a", "b"):
        lake.create(name, key="id")
        lake.insert(name, FIRST)


def _change(lake: Lake) -> None:
    workspace = lake.workspace("w")
    workspace.update("a", where="id = 1", set={"v": 10})


def _changed(lake: Lake) -> None:
    _base(lake)
    _change(lake)
    lake.workspace("w").insert("b", [{"id": 9, "v": 9}])
    lake.update("a", where="id = 2", set={"v": 20})


def _create(lake: Lake) -> None:
    try:
        lake.create_workspace("w")
    except AlreadyExists:
        lake.workspace("w")


def _merge(lake: Lake) -> None:
    assert lake.workspace("w").merge().state == "merged"


def _drop(lake: Lake) -> None:
    lake.workspace("w", create=False).drop()


def _state(lake: Lake) -> dict[str, Any]:
    found: dict[str, Any] = {
        "workspaces": [(one.name, one.state) for one in lake.workspaces(closed=True)]
    }
    for name in ("a", "b"):
        rows = lake.sql(f"select * from {name} order by id").to_pylist()
        found[name] = ([row["v"] for row in rows], lake.describe(name)["version"])
    for one in lake.workspaces():
        inside = lake.workspace(one.name)
        found["inside"] = [
            row["v"] for row in inside.sql("select * from a order by id").to_pylist()
        ]
    return found


Step = Callable[[Lake], None]
STEPS: dict[str, tuple[Step, Step]] = {
    "create": (_base, _create),
    "change": (_base, _change),
    "merge": (_changed, _merge),
    "drop": (_changed, _drop),
}


@pytest.mark.parametrize("name", STEPS)
def test_every_write_may_be_the_last(name: str, tmp_path: Path) -> None:
    """Each write, stored or not, and nothing after it; then the same call again."""
    before, step = STEPS[name]
    clean = tmp_path / "clean"
    lake, store = _open(clean)
    before(lake)
    lake.journal.seal()
    store.writes = 0
    step(lake)
    writes = store.writes
    wanted = _state(lake)
    lake.close()
    assert writes >= 2
    for write in range(1, writes + 1):
        for fault in (Fault.BEFORE, Fault.AFTER):
            folder = tmp_path / f"{write}-{fault.value}"
            lake, _ = _open(folder)
            before(lake)
            lake.close()
            _interrupted(folder, step, {write: fault})
            lake, _ = _open(folder)
            step(lake)
            assert _state(lake) == wanted
            report = lake.verify(full=True)
            assert report.status == "green", report
            lake.close()


def _interrupted(folder: Path, step: Step, faults: dict[int, Fault]) -> None:
    lake, store = _open(folder)
    store.faults, store.writes = dict(faults), 0
    try:
        step(lake)
    except (LakecoreError, AssertionError):
        return
    finally:
        try:
            lake.close()
        except LakecoreError:
            lake._parts.store.close()
