"""Small changes that wait for one table share a commit, and nothing else."""

from __future__ import annotations

import json
import threading
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.unit.tables.conftest import ADA, Lake, Ref
from tests.unit.tables.grouping import together, upsert

from lakecore.base import InvalidInput, LakecoreError, Refused, Unavailable
from lakecore.journal import Event
from lakecore.storage import open_store
from lakecore.tables import ChangeFacts, Plan, Ruling, Tables, TableSettings


def _mutations(lake: Lake, version: int) -> list[dict[str, Any]]:
    info = lake.log(version)[0]["commitInfo"]
    return list(info["lakecore"]["mutations"])


def _by_mutation(events: list[Event]) -> dict[str, list[Event]]:
    found: dict[str, list[Event]] = {}
    for event in events:
        found.setdefault(str(event.mutation_id), []).append(event)
    return found


def test_those_that_wait_share_a_commit(lake: Lake) -> None:
    """One version; each keeps its id, its author, its reason, its events and its counts."""
    lake.append({"id": list(range(8)), "v": [0] * 8, "w": ["a"] * 8})
    changes = [
        upsert(
            lake,
            {"id": [n, 100 + n], "v": [n + 1, 5], "w": ["b", "c"]},
            f"user-{n}",
            mutation_id=f"m-{n}",
        )
        for n in range(5)
    ]
    results, steps = together(lake, changes)
    assert steps.count("committed") == 1
    assert {result.version for result in results} == {1}
    assert len({result.commit_id for result in results}) == 1
    mutations = _mutations(lake, 1)
    assert [m["mutation_id"] for m in mutations] == [f"m-{n}" for n in range(5)]
    events = _by_mutation(lake.events())
    for n, (result, mutation) in enumerate(zip(results, mutations, strict=True)):
        assert (result.inserted, result.updated, result.unchanged) == (1, 1, 0)
        assert result.events == 3
        assert (mutation["actor"], mutation["reason"]) == (f"user-{n}", f"because user-{n}")
        assert mutation["context"] == {"by": f"user-{n}"}
        own = events[f"m-{n}"]
        assert {event.event_id for event in own} == {f"m-{n}:{i}" for i in range(3)}
        assert {event.actor for event in own} == {f"user-{n}"}
        assert {event.entity_id for event in own} == {str(n), str(100 + n)}
        contexts = [json.loads(event.context) for event in own]
        assert [context["by"] for context in contexts] == [f"user-{n}"] * 3
        assert {change["entity_id"] for change in result.changes} == {str(n), str(100 + n)}
    assert lake.arrow().num_rows == 13


def test_who_changes_nothing_has_no_part_in_the_commit(lake: Lake) -> None:
    """A member whose rows are already so gets what it would get alone."""
    lake.append({"id": [1, 2], "v": [1, 2]})
    same = upsert(lake, {"id": [1], "v": [1]}, "bob", mutation_id="same")
    other = upsert(lake, {"id": [2], "v": [3]}, "eve", mutation_id="other")
    (unchanged, changed), _ = together(lake, [same, other])
    assert (unchanged.commit_id, unchanged.version, unchanged.unchanged) == (None, None, 1)
    assert (changed.version, changed.updated, changed.unchanged) == (1, 1, 0)
    assert [m["mutation_id"] for m in _mutations(lake, 1)] == ["other"]


def test_nobody_changes_anything(lake: Lake) -> None:
    """A group without a change makes no version."""
    lake.append({"id": [1, 2], "v": [1, 2]})
    results, steps = together(lake, [upsert(lake, {"id": [n], "v": [n]}) for n in (1, 2)])
    assert [result.unchanged for result in results] == [1, 1]
    assert "staged" not in steps


def test_a_repeated_key_begins_another_group(lake: Lake) -> None:
    """The later change of a row sees the earlier one's."""
    lake.append({"id": [1, 2, 3], "v": [0, 0, 0]})
    given = [(1, 10), (2, 20), (1, 11), (3, 30), (1, 12)]
    changes = [upsert(lake, {"id": [key], "v": [value]}) for key, value in given]
    results, steps = together(lake, changes)
    assert steps.count("committed") == 3
    assert [result.version for result in results] == [1, 1, 2, 2, 3]
    assert [r.changes[0]["old_value"] for r in results] == ["0", "0", "10", "0", "11"]
    assert lake.rows() == [{"id": 1, "v": 12}, {"id": 2, "v": 20}, {"id": 3, "v": 30}]


def test_other_columns_begin_another_group(lake: Lake) -> None:
    """Columns that an input lacks keep their values: inputs with others do not mix."""
    lake.append({"id": [1, 2, 3], "v": [0, 0, 0], "w": ["a", "b", "c"]})
    changes = [
        upsert(lake, {"id": [1], "v": [1]}),
        upsert(lake, {"id": [2], "v": [2]}),
        upsert(lake, {"id": [3], "w": ["z"]}),
    ]
    results, _ = together(lake, changes)
    assert [result.version for result in results] == [1, 1, 2]
    assert [row["w"] for row in lake.rows()] == ["a", "b", "z"]


def test_new_columns_are_added_by_the_first(lake: Lake) -> None:
    """An input that makes the table wider goes alone; the others follow."""
    lake.append({"id": [1, 2, 3]})
    changes = [upsert(lake, {"id": [n], "new": [n]}) for n in (1, 2, 3)]
    results, _ = together(lake, changes)
    assert [result.version for result in results] == [1, 2, 2]
    assert lake.rows() == [{"id": n, "new": n} for n in (1, 2, 3)]


def test_the_first_rows_of_a_dataset_come_together(lake: Lake) -> None:
    """A dataset without data may get its first version from a group."""
    changes = [upsert(lake, {"id": [n], "v": [n]}) for n in (1, 2, 3)]
    results, _ = together(lake, changes)
    assert [(result.version, result.inserted) for result in results] == [(0, 1)] * 3
    assert lake.arrow().num_rows == 3


def test_what_has_to_be_alone_keeps_its_place(lake: Lake) -> None:
    """A conditional update between upserts sees those before it and not those after it."""
    lake.append({"id": [1, 2, 3], "v": [0, 0, 0]})
    changes: list[Callable[[], Any]] = [
        upsert(lake, {"id": [1], "v": [7]}),
        lambda: lake.update(where="v = 7", set={"v": 8}),
        upsert(lake, {"id": [2], "v": [7]}),
    ]
    results, _ = together(lake, changes)
    assert [result.version for result in results] == [1, 2, 3]
    assert [row["v"] for row in lake.rows()] == [8, 7, 0]


@pytest.mark.parametrize(
    "bad",
    [
        {"id": [None], "v": [1]},
        {"id": [7, 7], "v": [1, 2]},
        {"id": [7], "v": [1 << 40]},
    ],
    ids=["no key", "a key twice", "a value that does not fit"],
)
def test_one_bad_member_is_alone_in_failing(lake: Lake, bad: Mapping[str, Any]) -> None:
    """Its error is its own; the others are committed."""
    lake.append({"id": pa.array([1, 2, 3]), "v": pa.array([0, 0, 0], pa.int32())})
    types = pa.schema([("id", pa.int64()), ("v", pa.int64())])
    rows = [pa.table({"id": [n], "v": [n]}, schema=types) for n in (1, 2, 3)]
    rows.insert(1, pa.table(dict(bad), schema=types))
    results, _ = together(lake, [upsert(lake, each) for each in rows])
    assert isinstance(results[1], InvalidInput)
    assert [r.updated for r in results if not isinstance(r, Exception)] == [1, 1, 1]
    assert [row["v"] for row in lake.rows()] == [1, 2, 3]


def test_keys_that_become_one_by_casting(lake: Lake) -> None:
    """Texts that are the same number are one key: whose fault it is not, is not told so."""
    lake.append({"id": [1, 2], "v": [0, 0]})
    changes = [upsert(lake, {"id": [text], "v": [n]}) for n, text in enumerate(["1", "01", "2"], 5)]
    results, _ = together(lake, changes)
    assert [result.updated for result in results] == [1, 1, 1]
    assert [row["v"] for row in lake.rows()] == [6, 7]


class _Judge:
    """Refuses or holds what its gate says, at one of the places where it may."""

    columns = None
    wants_changed = True
    wants_digest = True

    def __init__(self, gate: _Gate, facts: ChangeFacts) -> None:
        self.gate = gate
        self.actor = facts.author.actor
        self.seen: list[tuple[Any, Any, Any]] = []

    def rows(self, before: Any, after: Any, changed: Any) -> None:
        self.seen.append((before, after, changed))
        if self.gate.what.get(self.actor) == "rows":
            raise Refused("these rows", found=self.actor)

    def decide(self, plan: Plan) -> Ruling:
        self.gate.plans[self.actor] = plan
        self.gate.judges[self.actor] = self
        if self.gate.what.get(self.actor) == "decide":
            raise Refused("this change", found=self.actor)
        return Ruling.HOLD if self.gate.what.get(self.actor) == "hold" else Ruling.COMMIT

    def context(self) -> Mapping[str, object]:
        return {"tier": "auto", "for": self.actor}


class _Gate:
    """What becomes of the changes of each actor."""

    def __init__(self, what: Mapping[str, str]) -> None:
        self.what = what
        self.plans: dict[str, Plan] = {}
        self.judges: dict[str, _Judge] = {}

    def judge(self, facts: ChangeFacts) -> _Judge | None:
        if self.what.get(facts.author.actor) == "judge":
            raise Refused("this actor", found=facts.author.actor)
        return _Judge(self, facts)


@pytest.mark.parametrize("where", ["judge", "rows", "decide"])
def test_a_refused_member_is_taken_out(where: str, lake: Lake) -> None:
    """Wherever the judge says no, the others go on without it."""
    lake.append({"id": [1, 2, 3], "v": [0, 0, 0]})
    changes = [upsert(lake, {"id": [n], "v": [n]}, f"u{n}", mutation_id=f"m{n}") for n in (1, 2, 3)]
    results, _ = together(lake, changes, gate=_Gate({"u2": where}))
    assert isinstance(results[1], Refused)
    assert results[1].found == "u2"
    assert [results[n].version for n in (0, 2)] == [1, 1]
    assert [row["v"] for row in lake.rows()] == [1, 0, 3]
    assert [m["mutation_id"] for m in _mutations(lake, 1)] == ["m1", "m3"]
    assert _mutations(lake, 1)[1]["context"]["decision"] == {"tier": "auto", "for": "u3"}
    assert "m2" not in _by_mutation(lake.events())


class _Sink:
    """The exact change as rows of text."""

    def __init__(self) -> None:
        self.rows: list[tuple[str, str]] = []

    def write(self, rows: pa.Table) -> None:
        self.rows += [(row["entity_id"], row["new_value"]) for row in rows.to_pylist()]

    def restart(self) -> None:
        self.rows.clear()


def test_a_held_member_is_taken_out(lake: Lake) -> None:
    """It is told what it would have done, and nothing of it is committed."""
    lake.append({"id": [1, 2, 3], "v": [0, 0, 0]})
    sinks = [_Sink() for _ in range(3)]
    changes = [
        upsert(lake, {"id": [n], "v": [n]}, f"u{n}", diff=sink, grant=object())
        for n, sink in enumerate(sinks, start=1)
    ]
    results, _ = together(lake, changes, gate=_Gate({"u1": "hold"}))
    assert (results[0].held, results[0].updated, results[0].commit_id) == (True, 1, None)
    assert [result.version for result in results[1:]] == [1, 1]
    # Each sink has its own change, once, although the others were planned again.
    assert [sink.rows for sink in sinks] == [[("1", "1")], [("2", "2")], [("3", "3")]]
    assert [row["v"] for row in lake.rows()] == [0, 2, 3]


def test_each_judge_sees_its_own_rows(lake: Lake) -> None:
    """Rows, plan and digest of a member are those of the same change alone."""
    given = [{"id": [n, 50 + n], "v": [n, n]} for n in (1, 2, 3)]
    seen = []
    for grouped in (True, False):
        store = open_store("memory://")
        own = Lake(store)
        own.append({"id": [1, 2, 3, 4], "v": [0, 0, 0, 0]})
        gate = _Gate({})
        changes = [upsert(own, rows, f"u{n}") for n, rows in enumerate(given)]
        if grouped:
            together(own, changes, gate=gate)
        else:
            own.tables = Tables(store, own.journal, own.clock, gate=gate)
            for change in changes:
                change()
        seen.append(
            {
                actor: (
                    plan.inserted,
                    plan.updated,
                    plan.fields,
                    plan.bytes,
                    plan.digest(),
                    sorted(
                        str([side and side.to_pylist() for side in sides])
                        for sides in gate.judges[actor].seen
                    ),
                )
                for actor, plan in gate.plans.items()
                if actor.startswith("u")
            }
        )
    assert seen[0] == seen[1]
    assert len(seen[0]) == 3


def test_a_failing_store_fails_everybody(tmp_path: Path) -> None:
    """Nobody waits for ever, and nobody is told that it worked."""
    lake = Lake(open_store(str(tmp_path)))
    lake.append({"id": [1, 2], "v": [0, 0]})

    def fail(*_: object) -> None:
        raise Unavailable("the store is away")

    changes = [upsert(lake, {"id": [n], "v": [n]}) for n in (1, 2)]
    lake.journal.stage = fail  # type: ignore[assignment,method-assign] # a fault
    results, _ = together(lake, changes)
    assert [type(result) for result in results] == [Unavailable, Unavailable]
    assert [row["v"] for row in lake.rows()] == [0, 0]


def test_an_interrupted_leader_leaves_nobody_waiting(lake: Lake) -> None:
    """Who was in its group is told that it is not known; who comes later is served."""
    lake.append({"id": [1, 2, 3], "v": [0, 0, 0]})
    interrupted: list[str] = []

    def first() -> None:
        try:
            upsert(lake, {"id": [1], "v": [1]})()
        except KeyboardInterrupt:
            interrupted.append("first")

    create = lake.store.create

    def interrupt(path: str, data: bytes) -> None:
        if "_delta_log" in path and not interrupted:
            raise KeyboardInterrupt
        create(path, data)

    lake.store.create = interrupt  # type: ignore[method-assign] # a fault
    results, _ = together(lake, [first, upsert(lake, {"id": [2], "v": [2]})])
    assert interrupted == ["first"]
    assert isinstance(results[1], Unavailable)
    assert "look whether" in str(results[1].hint)
    assert lake.upsert({"id": [3], "v": [3]}).updated == 1


COLUMNS = pa.schema([("id", pa.string()), ("n", pa.int64()), ("t", pa.string())])
ROW = st.fixed_dictionaries(
    {
        "id": st.sampled_from("abcdefgh"),
        "n": st.none() | st.integers(-2, 2),
        "t": st.none() | st.sampled_from(["", "x", "é"]),
    }
)
ROWS = st.lists(ROW, max_size=4, unique_by=lambda row: row["id"])


@settings(max_examples=25, deadline=None)
@given(first=ROWS, changes=st.lists(ROWS, min_size=2, max_size=6), narrow=st.booleans())
def test_groups_do_what_one_after_the_other_does(
    first: list[dict[str, Any]], changes: list[list[dict[str, Any]]], narrow: bool
) -> None:
    """The same rows, results and events, whether changes share commits or not."""
    found = []
    for grouped in (True, False):
        store = open_store("memory://")
        lake = Lake(store, settings=TableSettings(file_rows=3, row_group_rows=2))
        lake.append(pa.Table.from_pylist(first, schema=COLUMNS))
        calls = []
        for number, rows in enumerate(changes):
            table = pa.Table.from_pylist(rows, schema=COLUMNS)
            if narrow and number % 3 == 2:
                table = table.select(["id", "n"])
            calls.append(upsert(lake, table, f"u{number}", mutation_id=f"m{number}"))
        results = together(lake, calls)[0] if grouped else [call() for call in calls]
        events = {
            owner: sorted(
                (e.entity_id, e.field, e.action, str(e.old_value), str(e.new_value), str(e.actor))
                for e in own
            )
            for owner, own in _by_mutation(lake.events()).items()
        }
        counts = [
            (r.inserted, r.updated, r.deleted, r.unchanged, r.events, r.commit_id is None)
            for r in results
        ]
        events = {owner: own for owner, own in events.items() if owner.startswith("m")}
        found.append((lake.rows(), counts, events))
    assert found[0] == found[1]


def test_many_threads_lose_nothing(tmp_path: Path) -> None:
    """64 threads, each changing and inserting rows of its own and one that all change."""
    lake = Lake(open_store(str(tmp_path)), dataset=Ref())
    steps: list[str] = []
    settings = TableSettings(on_step=steps.append, file_rows=16)
    lake.tables = Tables(lake.store, lake.journal, lake.clock, settings)
    threads, each = 64, 3
    lake.append({"id": list(range(threads + 1)), "v": [0] * (threads + 1)})
    failed: list[LakecoreError] = []

    def work(own: int) -> None:
        try:
            for number in range(1, each + 1):
                rows = {"id": [own, 1000 * number + own], "v": [number, number]}
                assert lake.tables.upsert(lake.dataset, pa.table(rows), author=ADA).events == 2
                lake.upsert({"id": [0], "v": [own * 10 + number]})
        except LakecoreError as error:
            failed.append(error)

    workers = [threading.Thread(target=work, args=(n,)) for n in range(1, threads + 1)]
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join()
    assert not failed
    rows = {row["id"]: row["v"] for row in lake.rows()}
    last = rows.pop(0)
    expected = dict.fromkeys(range(1, threads + 1), each)
    expected |= {1000 * k + n: k for n in range(1, threads + 1) for k in range(1, each + 1)}
    assert rows == expected
    events = lake.events()
    shared = [event for event in events if event.entity_id == "0" and event.action == "update"]
    assert len(shared) == threads * each
    assert shared[-1].new_value == str(last)
    # Every change of the shared row begins where the one before it ended.
    assert [e.old_value for e in shared[1:]] == [e.new_value for e in shared[:-1]]
    assert len({event.event_id for event in events}) == len(events)
    assert steps.count("committed") < 2 * threads * each
