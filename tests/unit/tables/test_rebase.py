"""After a lost race: a plan that still holds is committed as it is, any other is made again."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest
from deltalake import DeltaTable, write_deltalake
from tests.unit.tables.conftest import Lake, Ref

from lakecore.base import ManualClock
from lakecore.storage import Store, open_store
from lakecore.tables import Tables, TableSettings, actions_sha256

DATASET = Ref(dataset_id="6f1c5a52-4f0e-4a58-9d0e-1d8f0f0c0b11")
SMALL = TableSettings(file_rows=4, row_group_rows=2, retry_wait_s=0.0)


class _Contest:
    """A lake in which somebody else commits each time before us, some times."""

    def __init__(self, store: Store, intrude: Callable[[Lake, int], Any], times: int = 1) -> None:
        self.other = Lake(store, dataset=DATASET, settings=SMALL, clock=ManualClock())
        self.steps: list[str] = []
        self.left = times

        def on_step(step: str) -> None:
            self.steps.append(step)
            if step == "committing" and self.left:
                self.left -= 1
                intrude(self.other, self.left)

        settings = TableSettings(file_rows=4, row_group_rows=2, retry_wait_s=0.0, on_step=on_step)
        self.lake = Lake(store, dataset=DATASET, settings=settings, clock=self.other.clock)
        self.other.append({"id": list(range(8)), "v": [0] * 8})

    def count(self, step: str) -> int:
        return self.steps.count(step)


def _add(lake: Lake, number: int) -> None:
    lake.append({"id": [100 + number], "v": [1]})


CHANGES: dict[str, Callable[[Lake], Any]] = {
    "upsert": lambda lake: lake.upsert({"id": [1, 50], "v": [5, 5]}),
    "append": lambda lake: lake.append({"id": [50, 51], "v": [5, 5]}),
    "update": lambda lake: lake.update(where="id < 3", set={"v": 5}),
    "delete": lambda lake: lake.delete(where="id < 3"),
}


@pytest.mark.parametrize("name", CHANGES)
def test_rows_that_others_add_do_not_disturb(name: str, tmp_path: Path) -> None:
    """Planned once, whoever appends in between; the events are the new version's."""
    contest = _Contest(open_store(str(tmp_path)), _add, times=3)
    result = CHANGES[name](contest.lake)
    assert result.version == 4
    assert (contest.count("planned"), contest.count("rebased")) == (1, 3)
    events = contest.lake.events()  # checks the count and the digest of every version
    own = [event for event in events if event.mutation_id == result.mutation_id]
    assert len(own) == result.events
    assert {event.version for event in own} == {4}
    assert {event.event_id for event in own} == {
        f"{result.mutation_id}:{n}" for n in range(len(own))
    }
    times = [event.timestamp for event in events if event.timestamp]
    assert times == sorted(times)
    # The last event still says what the commit does.
    data = contest.lake.store.get(f"{DATASET.location}/_delta_log/{4:020d}.json")
    assert json.loads(own[-1].context)["commit"] == {"actions_sha256": actions_sha256(data)}
    _clean(contest.lake, versions=5)


@pytest.mark.parametrize("name", CHANGES)
def test_a_sealer_was_faster(name: str, tmp_path: Path) -> None:
    """What was staged for a version that is another's is dropped by whoever seals: plan again."""

    def intrude(lake: Lake, number: int) -> None:
        staged = max(info.path for info in lake.store.list_objects("journal/staged/"))
        _add(lake, number)
        lake.store.delete(staged)

    contest = _Contest(open_store(str(tmp_path)), intrude, times=2)
    result = CHANGES[name](contest.lake)
    assert result.version == 3
    assert (contest.count("planned"), contest.count("rebased")) == (3, 0)
    own = [e for e in contest.lake.events() if e.mutation_id == result.mutation_id]
    assert len(own) == result.events
    assert {event.version for event in own} == {3}
    _clean(contest.lake, versions=4)


def _clean(lake: Lake, *, versions: int) -> None:
    """Nothing is stored that no version refers to, and nothing is staged twice."""
    actions = [action for version in range(versions) for action in lake.log(version)]
    assert lake.files() == {action["add"]["path"] for action in actions if "add" in action}
    records = [action["commitInfo"]["lakecore"] for action in actions if "commitInfo" in action]
    assert lake.journal.staged_ids() == {record["commit_id"] for record in records}


@pytest.mark.parametrize(
    ("name", "intrude"),
    [
        ("upsert", lambda lake, _: lake.append({"id": [50], "v": [1]})),
        ("upsert", lambda lake, _: lake.update(where="id = 2", set={"v": 9})),
        ("upsert", lambda lake, _: lake.append({"id": [90], "v": [1], "w": ["new"]})),
        ("update", lambda lake, _: lake.append({"id": [-1], "v": [1]})),
        ("delete", lambda lake, _: lake.delete(where="id = 1")),
    ],
    ids=["key", "file", "schema", "condition", "row"],
)
def test_what_concerns_the_change_is_planned_again(
    name: str, intrude: Callable[[Lake, int], Any], tmp_path: Path
) -> None:
    """A key of ours, a file of ours, another schema, a row that meets our condition."""
    contest = _Contest(open_store(str(tmp_path)), intrude)
    CHANGES[name](contest.lake)
    assert (contest.count("planned"), contest.count("rebased")) == (2, 0)
    expected = Lake(open_store("memory://"), settings=SMALL)
    expected.append({"id": list(range(8)), "v": [0] * 8})
    intrude(expected, 0)
    CHANGES[name](expected)
    assert contest.lake.rows() == expected.rows()
    _clean(contest.lake, versions=3)


def test_a_key_in_the_range_but_not_in_the_file(tmp_path: Path) -> None:
    """Where the ranges of keys meet, the keys themselves are looked at."""
    contest = _Contest(
        open_store(str(tmp_path)), lambda lake, _: lake.append({"id": [40, 60], "v": [1, 1]})
    )
    CHANGES["upsert"](contest.lake)
    assert (contest.count("planned"), contest.count("rebased")) == (1, 1)
    assert contest.lake.arrow().num_rows == 11


def test_a_file_elsewhere_that_others_rewrite(tmp_path: Path) -> None:
    """Two writers in different files of one table do not make each other plan again."""
    contest = _Contest(
        open_store(str(tmp_path)), lambda lake, n: lake.upsert({"id": [6], "v": [n + 1]}), times=4
    )
    assert contest.lake.upsert({"id": [1], "v": [7]}).version == 5
    assert (contest.count("planned"), contest.count("rebased")) == (1, 4)
    assert {row["id"]: row["v"] for row in contest.lake.rows()} == dict.fromkeys(range(8), 0) | {
        1: 7,
        6: 1,
    }


def test_another_engine_that_compacts_our_files(tmp_path: Path) -> None:
    """A file of ours that another engine merged into another is not lost, nor doubled."""

    def compact(lake: Lake, _: int) -> None:
        DeltaTable(lake.store.table_uri(DATASET.location)).optimize.compact()

    contest = _Contest(open_store(str(tmp_path)), compact)
    assert contest.lake.upsert({"id": [1], "v": [7]}).updated == 1
    assert contest.count("planned") == 2
    assert [row["v"] for row in contest.lake.rows()] == [0, 7, 0, 0, 0, 0, 0, 0]


def test_another_engine_that_appends(tmp_path: Path) -> None:
    """Rows that deltalake appends are looked at like anybody's."""

    def append(lake: Lake, number: int) -> None:
        rows = pa.table({"id": [200 + number], "v": [1]})
        write_deltalake(lake.store.table_uri(DATASET.location), rows, mode="append")

    contest = _Contest(open_store(str(tmp_path)), append, times=5)
    assert contest.lake.update(where="id < 100", set={"v": 3}).updated == 8
    assert (contest.count("planned"), contest.count("rebased")) == (1, 5)
    assert sorted(row["v"] for row in contest.lake.rows()) == [1] * 5 + [3] * 8


def test_a_plan_that_never_gets_through_leaves_nothing(tmp_path: Path) -> None:
    """Retries are bounded with rebasing, too."""
    from lakecore.base import Conflict

    contest = _Contest(open_store(str(tmp_path)), _add, times=99)
    settings = TableSettings(
        file_rows=4, retry_wait_s=0.0, max_retries=3, on_step=contest.lake.tables._settings.on_step
    )
    contest.lake.tables = Tables(
        contest.lake.store, contest.lake.journal, contest.lake.clock, settings
    )
    with pytest.raises(Conflict):
        contest.lake.upsert({"id": [1], "v": [5]})
    assert contest.count("planned") == 1
    _clean(contest.lake, versions=4)
