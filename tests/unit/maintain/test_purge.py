"""Dropped datasets behind their grace, and upkeep in the background."""

from __future__ import annotations

import threading
import time
from pathlib import Path

import pytest
from tests.unit.maintain.conftest import ADA, Lake

import lakecore
from lakecore.base import NotFound, Refused
from lakecore.config import LakeSettings, Settings
from lakecore.maintain import Background, maintenance_table


def test_files_go_behind_the_grace(lake: Lake) -> None:
    """Not before it; then the data files go, the log stays, and verify finds all in order."""
    lake.append("planes", 1, 2)
    lake.make("other")
    lake.append("other", 1)
    location = lake.catalog.get("planes").location
    lake.catalog.drop("planes", author=ADA, grace_days=7)
    lake.later(7 * 24 - 1)
    assert lake.done() == []
    lake.later(2)
    (step,) = lake.run(dry_run=True).steps
    assert (step.action, step.outcome, step.files_before) == ("purge", "planned", 1)
    (step,) = lake.run("planes").steps
    assert (step.outcome, step.files_before, step.files_after) == ("done", 1, 0)
    left = [info.path for info in lake.store.list_objects(f"{location}/")]
    assert left == [f"{location}/_delta_log/{0:020d}.json"]
    assert lake.done() == []
    with pytest.raises(Refused, match="grace of this drop is over"):
        lake.catalog.undrop("planes", author=ADA)
    assert lake.catalog.list_datasets(dropped=True)[0].name == "other"
    assert [event.action for event in lake.events()] == ["purge", "purge_done"]
    row = maintenance_table(lake.journal).to_pylist()[-1]
    assert (row["action"], row["outcome"], row["bytes_after"]) == ("purge", "done", 0)
    lake.check()


def test_a_name_that_is_used_again(lake: Lake) -> None:
    """The dropped one's files go, the living one's stay; undropped ones are left alone."""
    lake.append("planes", 1)
    first = lake.catalog.get("planes").location
    lake.catalog.drop("planes", author=ADA, grace_days=1)
    lake.make("planes")
    lake.append("planes", 5, 6)
    lake.make("back")
    lake.append("back", 9)
    lake.catalog.drop("back", author=ADA, grace_days=1)
    lake.catalog.undrop("back", author=ADA)
    lake.later(25)
    assert lake.done() == [("purge", "done")]
    assert not [i for i in lake.store.list_objects(f"{first}/") if i.path.endswith(".parquet")]
    assert [row["id"] for row in lake.rows()] == [5, 6]
    assert len(lake.rows("back")) == 1
    assert lake.done() == []
    lake.check()


def test_brought_back_at_the_last_moment(lake: Lake, tmp_path: Path) -> None:
    """An undrop by a machine whose clock is behind wins or loses as a whole."""
    lake.append("planes", 1)
    lake.catalog.drop("planes", author=ADA, grace_days=1)
    other = Lake(lake.store, tmp_path / "other")
    other.clock.set(lake.clock.now_us())
    lake.later(25)
    gone = lake.catalog.past_grace()
    other.catalog.undrop("planes", author=ADA)
    assert lake.catalog.past_grace() == []
    step = lake.maintainer._purge
    from lakecore.base import Conflict
    from lakecore.maintain._types import Run

    run = Run(author=ADA, dry_run=False, is_asked=True, stop=lambda: None)
    with pytest.raises(Conflict, match="brought back"):
        step.step(gone[0], run)
    assert len(lake.rows()) == 1
    other.close()


class _Killed(BaseException):
    """The end of the process."""


def test_broken_off(lake: Lake, monkeypatch: pytest.MonkeyPatch) -> None:
    """A purge that dies half way is done by the next run, and cannot be undropped meanwhile."""
    from lakecore.maintain import _purge

    lake.append("planes", 1)
    lake.catalog.drop("planes", author=ADA, grace_days=1)
    lake.later(25)

    def die(*_: object) -> None:
        raise _Killed

    with monkeypatch.context() as patch:
        patch.setattr(_purge, "remove_files", die)
        with pytest.raises(_Killed):
            lake.run()
    lake.clock.advance(-2 * 24 * 3600 * 1_000_000)
    with pytest.raises(Refused, match="grace"):
        lake.catalog.undrop("planes", author=ADA)
    lake.later(50)
    assert lake.done() == [("purge", "done")]
    lake.check()


def test_in_the_background(tmp_path: Path) -> None:
    """A process that lives long keeps its tables by itself; a short one never begins."""
    settings = Settings(lake=LakeSettings(uri=str(tmp_path / "lake"), maintain_interval_s=1))
    with lakecore.open(config=settings, actor="ada") as lake:
        lake.create("planes", key="id")
        for number in range(10):
            lake.insert("planes", {"id": number})
        deadline = time.monotonic() + 30
        while not lake.sql("select * from system.maintenance").to_pylist():
            assert time.monotonic() < deadline
            time.sleep(0.1)
        (row,) = lake.sql("select * from system.maintenance").to_pylist()
        assert (row["action"], row["actor"], row["files_before"]) == ("compact", "lakecore", 10)
    slow = Settings(lake=LakeSettings(uri=str(tmp_path / "two"), maintain=False))
    with lakecore.open(config=slow, actor="ada") as lake:
        lake.create("planes", key="id")
        for number in range(10):
            lake.insert("planes", {"id": number})
        assert not [t for t in threading.enumerate() if t.name == "lakecore-maintain"]
        (advice,) = lake.status()["advice"]
        assert "lakecore maintain" in advice
        assert "10 small data files of 1 dataset" in advice
        assert lake.maintain().ok
        assert lake.status()["advice"] == []


def test_closing_breaks_it_off() -> None:
    """Closing waits for the part that runs, not for the rest, and errors do not end it."""
    begun = threading.Event()
    parts: list[int] = []

    def run(stop: object) -> None:
        assert callable(stop)
        for part in range(1_000):
            parts.append(part)
            begun.set()
            time.sleep(0.01)
            stop()

    background = Background(run, interval_s=0.01)
    background.notify()
    assert begun.wait(10)
    background.close()
    assert 0 < len(parts) < 1_000

    def fail(stop: object) -> None:
        raise NotFound("nothing here")

    failing = Background(fail, interval_s=0.01)
    for _ in range(2):
        before = failing.runs
        failing.notify()
        deadline = time.monotonic() + 10
        while failing.runs == before:
            assert time.monotonic() < deadline
            time.sleep(0.01)
    assert isinstance(failing.last_error, NotFound)
    failing.close()
    failing.notify()
