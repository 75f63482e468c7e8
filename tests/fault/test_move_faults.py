"""A move that is broken off at every step and every write: the dataset is where it was, readable.

The same move then goes on to its end, or is cancelled, and everything verifies.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path

import pytest
from tests.fakes.bucket_lakes import is_sound, open_folder, rows
from tests.fakes.faulty_store import Fault, FaultyStore

import lakecore
from lakecore.app._move import move_dataset
from lakecore.base import Conflict, LakecoreError, NotFound
from lakecore.journal import Author

ADA = Author(actor="ada")
EVERY = 1 if "LAKECORE_SOAK_ROUNDS" in os.environ else 5
"""Of the writes, which fail: without the variable every fifth, beginning with another one."""
STEPS = ("begun", "copied", "fenced", "settled")


class Killed(BaseException):
    """The process ends here."""


@pytest.fixture
def lake(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> lakecore.Lake:
    """A lake with a dataset of three versions."""
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "state"))
    lake = open_folder(tmp_path)
    lake.create("hot", key=["id"])
    lake.insert("hot", [{"id": 1, "v": 10}, {"id": 2, "v": 20}])
    lake.update("hot", set={"v": 11}, where="id = 1")
    return lake


def kill_at(step: str) -> Callable[[str], None]:
    """Ends the process behind that step."""

    def on_step(name: str) -> None:
        if name == step:
            raise Killed(step)

    return on_step


@pytest.mark.parametrize("step", STEPS)
def test_killed_at_a_step(lake: lakecore.Lake, tmp_path: Path, step: str) -> None:
    """It is readable at the old place, verifies, and another process ends the move."""
    with pytest.raises(Killed):
        move_dataset(lake._parts, "hot", "cold", author=ADA, on_step=kill_at(step))
    lake.close()
    with open_folder(tmp_path) as again:
        assert again.dataset("hot").location == "tables/main/hot"
        assert rows(again, "select v from hot") == [(11,), (20,)]
        assert is_sound(again)
        if step in ("begun", "copied"):
            again.insert("hot", [{"id": 3, "v": 30}])
        else:
            with pytest.raises(Conflict, match="being moved"):
                again.insert("hot", [{"id": 3, "v": 30}])
        before = rows(again, "select v from hot")
        assert again.move("hot", bucket="cold").bucket == "cold"
        assert rows(again, "select v from hot") == before
        again.update("hot", set={"v": 12}, where="id = 1")
        assert is_sound(again)


@pytest.mark.parametrize("step", STEPS)
def test_killed_and_cancelled(lake: lakecore.Lake, tmp_path: Path, step: str) -> None:
    """It stays, is changed again, nothing is left of the copy, and it can be moved later."""
    with lake:
        with pytest.raises(Killed):
            move_dataset(lake._parts, "hot", "cold", author=ADA, on_step=kill_at(step))
        lake.cancel_move("hot")
        lake.insert("hot", [{"id": 3, "v": 30}])
        assert not [path for path in (tmp_path / "cold/tables").rglob("*") if path.is_file()]
        assert is_sound(lake)
        with pytest.raises(NotFound, match="not being moved"):
            lake.cancel_move("hot")
        lake.move("hot", bucket="cold")
        assert rows(lake, "select v from hot") == [(11,), (20,), (30,)]
        assert is_sound(lake)


@pytest.mark.parametrize("fault", [Fault.BEFORE, Fault.AFTER])
def test_every_write_fails_once(lake: lakecore.Lake, fault: Fault) -> None:
    """Whatever was stored or not: one more call ends the move, and all versions verify."""
    with lake:
        parts = lake._parts
        own, cold = parts._mounted._lake, parts.buckets.writing("cold")
        place, number, ended = "cold", -3 if fault is Fault.BEFORE else -1, False
        while not ended:
            number += EVERY
            faulty = FaultyStore(own, {number: fault}), FaultyStore(cold, {number: fault})
            for store in faulty:
                parts._mounted._lake = faulty[0] if store is faulty[0] else own
                parts.buckets._stores["cold"] = faulty[1] if store is faulty[1] else cold
                try:
                    move_dataset(parts, "hot", place, author=ADA, grace_days=0)
                except LakecoreError:
                    parts._mounted._lake, parts.buckets._stores["cold"] = own, cold
                    assert rows(lake, "select v from hot") == [(11,), (20,)]
                    if lake.dataset("hot").bucket != place:
                        move_dataset(parts, "hot", place, author=ADA, grace_days=0)
                parts._mounted._lake, parts.buckets._stores["cold"] = own, cold
                assert lake.dataset("hot").bucket == place
                assert rows(lake, "select v from hot") == [(11,), (20,)]
                place = "" if place else "cold"
            ended = all(store.writes < number for store in faulty)
        assert is_sound(lake)
        assert number > 5, "the faults did not reach the writes"


def test_a_change_between_copy_and_fence_goes_along(lake: lakecore.Lake) -> None:
    """What is committed while the copy is made is at the new place."""

    def change(step: str) -> None:
        if step == "copied":
            lake.insert("hot", [{"id": 3, "v": 30}])

    with lake:
        move_dataset(lake._parts, "hot", "cold", author=ADA, on_step=change)
        assert rows(lake, "select v from hot") == [(11,), (20,), (30,)]
        assert is_sound(lake)


def test_a_writer_at_the_fence_is_told_to_try_again(lake: lakecore.Lake) -> None:
    """And nothing of its change is there; behind the move it goes through."""
    told: list[str] = []

    def change(step: str) -> None:
        if step == "fenced":
            with pytest.raises(Conflict) as error:
                lake.insert("hot", [{"id": 3, "v": 30}])
            told.append(str(error.value))

    with lake:
        move_dataset(lake._parts, "hot", "cold", author=ADA, on_step=change)
        assert "being moved to another bucket" in told[0]
        assert rows(lake, "select v from hot") == [(11,), (20,)]
        lake.insert("hot", [{"id": 3, "v": 30}])
        assert is_sound(lake)


def test_a_cancelled_move_does_not_end(lake: lakecore.Lake) -> None:
    """Who was slower than the one that cancelled is told so, and the dataset stays."""

    def cancel(step: str) -> None:
        if step == "settled":
            lake.cancel_move("hot")

    with lake:
        with pytest.raises(Conflict, match="cancelled"):
            move_dataset(lake._parts, "hot", "cold", author=ADA, on_step=cancel)
        lake.insert("hot", [{"id": 3, "v": 30}])
        assert lake.dataset("hot").bucket == ""
        assert is_sound(lake)
