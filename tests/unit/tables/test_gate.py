"""No change without its judge: what it is shown, what it rules, and what is left of a no."""

from __future__ import annotations

import hashlib
import json
import threading
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest
from tests.fakes.judges import FakeGate, FakeSink
from tests.unit.tables.conftest import ADA, Lake, Ref

from lakecore.base import Bug, InvalidInput, Refused
from lakecore.storage import open_store
from lakecore.tables import IngestNote, MutationResult, Ruling, Sql, TableSettings
from lakecore.tables._commit import Request

FIRST = {"id": [1, 2, 3, 4], "v": ["a", "b", "c", "d"], "n": [10, 20, 30, 40]}
SMALL = TableSettings(file_rows=3, row_group_rows=2, chunk_rows=2, retry_wait_s=0.0)

Make = Callable[..., Lake]


@pytest.fixture
def make(tmp_path: Path) -> Iterator[Make]:
    """Lakes with a gate that is open until they have their first rows."""
    stores = []

    def build(gate: FakeGate, *, key: tuple[str, ...] = ("id",), rows: Any = FIRST) -> Lake:
        store = open_store(str(tmp_path / f"lake-{len(stores)}"))
        stores.append(store)
        dataset = Ref(key=key, dataset_id="6f1c5a52-4f0e-4a58-9d0e-1d8f0f0c0b11")
        lake = Lake(store, dataset=dataset, settings=SMALL, gate=gate)
        ruling, gate.ruling = gate.ruling, Ruling.COMMIT
        errors = gate.rows_raise, gate.decide_raises
        gate.rows_raise = gate.decide_raises = None
        lake.append(rows)
        gate.ruling, (gate.rows_raise, gate.decide_raises) = ruling, errors
        gate.judges.clear()
        return lake

    yield build
    for store in stores:
        store.close()


def _objects(lake: Lake) -> set[str]:
    return {found.path for found in lake.store.list_objects("")}


def _threads() -> list[str]:
    """Those of changes; the engine keeps threads of its own."""
    ours = ("lakecore-events", "lakecore-files")
    return [t.name for t in threading.enumerate() if t.name.startswith(ours)]


CHANGES: dict[str, Callable[..., MutationResult]] = {
    "insert": lambda lake, **o: lake.append({"id": [8], "v": ["x"], "n": [1]}, **o),
    "upsert": lambda lake, **o: lake.upsert({"id": [2, 8], "v": ["x", "y"]}, **o),
    "replace": lambda lake, **o: lake.replace({"id": [2, 8], "v": ["x", "y"], "n": [20, 1]}, **o),
    "update": lambda lake, **o: lake.update(where="id > 2", set={"n": Sql("n + id - 3")}, **o),
    "delete": lambda lake, **o: lake.delete(where="id > 2", **o),
}
UNKEYED = ("insert", "replace", "update", "delete")


@pytest.mark.parametrize("op", CHANGES)
def test_the_facts_before_a_plan(op: str, make: Make) -> None:
    """Operation, author, base and grant are known before a row is read."""
    gate = FakeGate()
    lake = make(gate)
    CHANGES[op](lake, grant="approved", mutation_id="m-1")
    facts = gate.last.facts
    assert (facts.op, facts.mutation_id, facts.grant, facts.dry_run) == (
        op,
        "m-1",
        "approved",
        False,
    )
    assert (facts.base_version, facts.base_rows, facts.author) == (0, 4, ADA)
    assert facts.schema.names == ["id", "v", "n"]
    assert facts.dataset is lake.dataset


def test_rows_of_a_file_are_an_ingest(make: Make) -> None:
    """The note of a file makes an append or an upsert an ingest; replacing stays replacing."""
    gate = FakeGate()
    lake = make(gate)
    note = IngestNote(file_name="a.csv", sha256="0" * 64, size_bytes=1)
    lake.append({"id": [8]}, ingest=note)
    lake.upsert({"id": [9]}, ingest=replace(note, sha256="1" * 64))
    lake.replace({"id": [9]}, ingest=replace(note, sha256="2" * 64))
    assert [judge.facts.op for judge in gate.judges] == ["ingest", "ingest", "replace"]


def test_a_new_dataset_is_judged(tmp_path: Path) -> None:
    """Before its first commit a dataset has version -1, no rows and no columns."""
    gate = FakeGate(ruling=Ruling.HOLD)
    store = open_store(str(tmp_path))
    lake = Lake(store, gate=gate)
    result = lake.append(FIRST)
    assert result.held
    assert not result.committed
    assert lake.tables.open(lake.dataset) is None
    store.close()
    facts = gate.last.facts
    assert (facts.base_version, facts.base_rows, facts.schema.names) == (-1, 0, [])


def test_updates_show_only_rows_that_change(make: Make) -> None:
    """Row i before and after, with the names of its changed columns; unchanged rows never."""
    gate = FakeGate()
    lake = make(gate)
    result = lake.upsert({"id": [1, 2, 3], "v": ["a", "x", "y"], "n": [10, 20, 33]})
    assert (result.updated, result.unchanged) == (2, 1)
    judge = gate.last
    told = zip(judge.before(), judge.after(), judge.changed(), strict=True)
    assert sorted(told, key=lambda row: row[0]["id"]) == [
        ({"id": 2, "v": "b", "n": 20}, {"id": 2, "v": "x", "n": 20}, ["v"]),
        ({"id": 3, "v": "c", "n": 30}, {"id": 3, "v": "y", "n": 33}, ["v", "n"]),
    ]
    assert all(b.num_rows == a.num_rows == len(c) for b, a, c in judge.seen)  # type: ignore[union-attr,arg-type] # all are updates


@pytest.mark.parametrize("key", [("id",), ()])
def test_inserts_and_deletes_have_one_side(key: tuple[str, ...], make: Make) -> None:
    """Inserted rows come without before, deleted ones without after, neither with names."""
    gate = FakeGate()
    lake = make(gate, key=key)
    lake.append({"id": [8, 9, 10], "v": ["x", "y", "z"], "n": [1, 2, 3]})
    assert sorted(row["id"] for row in gate.last.after()) == [8, 9, 10]
    assert not gate.last.before()
    lake.delete(where="id in (3, 9)")
    assert sorted(row["id"] for row in gate.last.before()) == [3, 9]
    assert not gate.last.after()
    assert all(changed is None for judge in gate.judges for _, _, changed in judge.seen)


def test_a_changed_key_shows_the_row_before_and_after(make: Make) -> None:
    """To the judge a rekeyed row is one row, whatever its events are."""
    gate = FakeGate()
    make(gate).update(where="id = 2", set={"id": 20, "n": 21})
    assert gate.last.before() == [{"id": 2, "v": "b", "n": 20}]
    assert gate.last.after() == [{"id": 20, "v": "b", "n": 21}]
    assert gate.last.changed() == [["id", "n"]]


@pytest.mark.parametrize("op", UNKEYED)
def test_unkeyed_rows_are_shown(op: str, make: Make) -> None:
    """What the judge of an unkeyed dataset saw makes the next version of the one before."""
    gate = FakeGate()
    lake = make(gate, key=())
    before = lake.rows()
    CHANGES[op](lake)
    judge = gate.last
    expected = [row for row in before if row not in judge.before()] + judge.after()
    assert lake.rows() == sorted(expected, key=repr)


def test_only_the_columns_that_are_asked_for(make: Make) -> None:
    """Others are not gathered; one that the table lacks is left out."""
    gate = FakeGate(columns=frozenset({"n", "none"}), wants_changed=False)
    lake = make(gate)
    CHANGES["update"](lake)
    CHANGES["insert"](lake)
    assert gate.judges[0].before() == [{"n": 40}]
    assert gate.judges[0].after() == [{"n": 41}]
    assert gate.judges[1].after() == [{"n": 1}]
    assert gate.judges[0].changed() == []


@pytest.mark.parametrize("op", CHANGES)
def test_a_judge_without_columns_sees_no_rows(op: str, make: Make) -> None:
    """It decides by the plan alone."""
    gate = FakeGate(columns=frozenset())
    CHANGES[op](make(gate))
    assert gate.last.seen == []
    assert gate.last.plan is not None


def test_rows_are_judged_beside_the_caller(make: Make) -> None:
    """By the threads that build the events."""
    gate = FakeGate()
    CHANGES["update"](make(gate))
    assert gate.last.threads
    assert all(name.startswith("lakecore-events") for name in gate.last.threads)


def test_the_plan_counts(make: Make) -> None:
    """Rows, events, bytes of values, columns that come: all before the commit."""
    gate = FakeGate()
    lake = make(gate)
    lake.upsert({"id": [2, 8], "v": ["x", "y"], "w": [True, None]})
    plan = gate.last.plan
    assert plan is not None
    assert (plan.inserted, plan.updated, plan.deleted, plan.base_rows) == (1, 1, 0, 4)
    assert plan.schema_changes == ("add_column w",)
    assert plan.schema.names == ["id", "v", "n", "w"]
    events = [event for event in lake.events() if event.version == 1]
    assert plan.fields == len(events) == 4
    texts = [text for event in events for text in (event.old_value, event.new_value) if text]
    assert plan.bytes == sum(len(text.encode()) for text in texts)


def test_the_plan_of_an_unkeyed_dataset_counts_rows_as_bytes(make: Make) -> None:
    """Its events have no values: the rows themselves are what changes."""
    gate = FakeGate()
    CHANGES["delete"](make(gate, key=()))
    assert gate.last.plan is not None
    assert gate.last.plan.bytes > 2 * 8


@pytest.mark.parametrize("op", CHANGES)
def test_a_change_on_hold_leaves_nothing(op: str, make: Make) -> None:
    """No version, no data file, no staged file, no thread; counts, sample and digest say what."""
    gate = FakeGate(ruling=Ruling.HOLD, wants_digest=True, context={"tier": "dry_run"})
    lake = make(gate)
    before = _objects(lake)
    result = CHANGES[op](lake)
    assert (result.held, result.committed, result.version, result.tier) == (
        True,
        False,
        None,
        "dry_run",
    )
    assert result.inserted + result.updated + result.deleted > 0
    assert result.digest == gate.last.digest
    assert result.changes
    assert _objects(lake) == before
    assert not _threads()
    gate.ruling = Ruling.COMMIT
    assert CHANGES[op](lake).digest == result.digest
    assert len(gate.judges) == 2


@pytest.mark.parametrize("where", ["rows", "decide"])
@pytest.mark.parametrize("key", [("id",), ()])
@pytest.mark.parametrize("op", CHANGES)
def test_a_refusal_leaves_nothing(op: str, key: tuple[str, ...], where: str, make: Make) -> None:
    """Wherever it is raised, it reaches the caller, and the lake is as it was."""
    if op not in UNKEYED and not key:
        return
    error = Refused("too expensive", found="n = 41")
    gate = FakeGate(**{"rows_raise" if where == "rows" else "decide_raises": error})  # type: ignore[arg-type] # one of the two
    lake = make(gate, key=key)
    before = _objects(lake)
    with pytest.raises(Refused, match="too expensive"):
        CHANGES[op](lake)
    assert _objects(lake) == before
    assert not _threads()
    assert (gate.last.plan is None) == (where == "rows")


def test_an_exempt_change_is_not_judged(make: Make) -> None:
    """A gate may have no judge for a dataset."""
    gate = FakeGate(exempt=lambda facts: facts.dataset.name == "planes", ruling=Ruling.HOLD)
    lake = make(gate)
    assert CHANGES["insert"](lake).committed
    assert not gate.judges


def test_the_commit_says_what_was_decided(make: Make) -> None:
    """The judge's context is the mutation's `decision`, beside the author's own context."""
    gate = FakeGate(context={"tier": "sim", "rules": {"version": 3}})
    lake = make(gate)
    author = replace(ADA, context={"run": 7})
    result = lake.tables.delete(lake.dataset, where="id = 1", author=author)
    assert result.tier == "sim"
    (mutation,) = lake.log(1)[0]["commitInfo"]["lakecore"]["mutations"]
    assert mutation["context"] == {"run": 7, "decision": gate.context}


def test_a_decision_that_is_no_json_is_not_committed(make: Make) -> None:
    """A commit that cannot be written is refused before anything of it is."""
    gate = FakeGate()
    lake = make(gate)
    gate.context = {"when": {1, 2}}
    before = _objects(lake)
    with pytest.raises(InvalidInput, match="not JSON"):
        CHANGES["delete"](lake)
    assert _objects(lake) == before


@pytest.mark.parametrize("name", ["commit", "decision"])
def test_an_author_cannot_say_what_was_decided(name: str, make: Make) -> None:
    """Members of the context that only the commit itself may say are refused."""
    lake = make(FakeGate())
    author = replace(ADA, context={name: {"tier": "auto"}})
    with pytest.raises(InvalidInput, match=name):
        lake.tables.delete(lake.dataset, where="id = 1", author=author)


@pytest.mark.parametrize("op", CHANGES)
def test_a_dry_run_is_judged_and_not_committed(op: str, make: Make) -> None:
    """The judge sees it like the change itself; the digest is that of the change itself."""
    gate = FakeGate(wants_digest=True)
    lake = make(gate)
    before = _objects(lake)
    planned = CHANGES[op](lake, dry_run=True)
    assert gate.last.facts.dry_run
    assert (planned.committed, planned.held) == (False, False)
    assert _objects(lake) == before
    assert planned.digest == gate.last.digest == CHANGES[op](lake).digest
    shown, again = gate.judges
    # The rows are those; in which order they come is nobody's promise.
    assert sorted(shown.before(), key=repr) == sorted(again.before(), key=repr)
    assert sorted(shown.after(), key=repr) == sorted(again.after(), key=repr)


def test_nothing_changed_is_not_decided(make: Make) -> None:
    """There is nothing to commit and nothing to hold."""
    gate = FakeGate(ruling=Ruling.HOLD)
    result = make(gate).upsert({"id": [1], "v": ["a"]})
    assert (result.held, result.unchanged, gate.last.plan) == (False, 1, None)


@pytest.mark.parametrize("key", [("id",), ()])
def test_after_a_lost_race_the_judge_is_a_new_one(key: tuple[str, ...], make: Make) -> None:
    """What is planned again is judged anew with all of its rows; a sink is told to forget."""
    gate = FakeGate()
    lake = make(gate, key=key)
    sink = FakeSink()

    def be_first() -> None:
        other = Lake(lake.store, dataset=lake.dataset)
        other.append({"id": [100], "w": [True]})

    result = lake.append(
        {"id": [8, 9], "v": ["x", "y"], "n": [1, 2]}, before_commit=be_first, diff=sink
    )
    assert result.version == 2
    assert [judge.facts.base_version for judge in gate.judges] == [0, 1]
    for judge in gate.judges:
        assert sorted(row["id"] for row in judge.after()) == [8, 9]
        assert judge.plan is not None
    assert sink.restarts == 1
    assert len(sink.rows()) == 2


def test_an_attempt_that_was_not_let_pass_cannot_be_staged(make: Make) -> None:
    """There are no bytes to commit without the judge's word, whoever asks for them."""
    gate = FakeGate(ruling=Ruling.HOLD)
    lake = make(gate)
    committer = lake.tables._committer
    request = Request(dataset=lake.dataset, author=ADA, op="schema", mutation_id="m")
    for rule in (False, True):
        attempt = committer._attempt(_Nothing(), [request])  # type: ignore[arg-type] # only `removes`
        if rule:
            assert attempt.review.decide(attempt.plan) is Ruling.HOLD
        with pytest.raises(Bug):
            attempt.stage("X", {})
        with pytest.raises(Bug):
            attempt.commit()
        attempt.discard()


class _Nothing:
    removes = True


def test_the_exact_change_is_what_the_events_say(make: Make) -> None:
    """A sink gets every event's subject and values, in order, whatever is held or committed."""
    gate = FakeGate()
    lake = make(gate)
    for dry_run in (True, False):
        sink = FakeSink()
        lake.upsert(
            {"id": [2, 3, 9], "v": ["x", "c", None], "w": [1, None, 3]}, diff=sink, dry_run=dry_run
        )
        assert sink.rows() == [
            ("schema", "planes", "w", "add_column", None, '"long"'),
            ("plane", "2", "v", "update", '"b"', '"x"'),
            ("plane", "2", "w", "update", "null", "1"),
            ("plane", "9", "*", "insert", None, '{"id":9,"n":null,"v":null,"w":3}'),
        ]
    events = [event for event in lake.events() if event.version == 1]
    assert sink.rows() == [
        (e.entity_type, e.entity_id, e.field, e.action, e.old_value, e.new_value) for e in events
    ]


def test_the_exact_change_of_an_unkeyed_dataset_has_its_rows(make: Make) -> None:
    """Without a key there is one event, but the change is of whole rows."""
    sink = FakeSink()
    lake = make(FakeGate(), key=())
    lake.update(where="id = 2", set={"v": "x"}, diff=sink)
    lake.delete(where="id = 1", diff=sink)
    lake.append({"id": [7]}, diff=sink)
    assert sink.rows() == [
        ("plane", "", "*", "update", '{"id":2,"n":20,"v":"b"}', '{"id":2,"n":20,"v":"x"}'),
        ("plane", "", "*", "delete", '{"id":1,"n":10,"v":"a"}', None),
        ("plane", "", "*", "insert", None, '{"id":7,"n":null,"v":null}'),
    ]


@pytest.mark.parametrize("key", [("id",), ()])
def test_the_digest_is_of_the_change_alone(key: tuple[str, ...], make: Make) -> None:
    """The same for other files, versions, times and ids; another one for another change."""
    digests = []
    for rows in (FIRST, {name: column[::-1] for name, column in FIRST.items()}):
        lake = make(FakeGate(wants_digest=True), key=key, rows=rows)
        if digests:
            lake.append({"id": [77], "v": ["other"]})
        change = lake.update(where="id > 1 and id < 5", set={"v": Sql("v || 'x'")}, dry_run=True)
        digests.append(change.digest)
        other = lake.update(where="id > 1 and id < 4", set={"v": Sql("v || 'x'")}, dry_run=True)
        assert other.digest != change.digest
    assert digests[0] == digests[1]
    assert digests[0] is not None
    assert len(bytes.fromhex(digests[0])) == 32


def test_without_anybody_who_asks_there_is_no_digest(make: Make) -> None:
    """It costs a hash of every event: not made unless it is needed."""
    gate = FakeGate()
    lake = make(gate)
    assert CHANGES["update"](lake, dry_run=True).digest is None
    assert CHANGES["update"](lake).digest is None
    assert gate.last.plan is not None
    with pytest.raises(Bug):
        gate.last.plan.digest()


def test_data_files_carry_their_digest(make: Make) -> None:
    """The tag of every file that a commit adds is the SHA-256 of its bytes."""
    lake = make(FakeGate())
    CHANGES["upsert"](lake)
    adds = [action["add"] for version in (0, 1) for action in lake.log(version) if "add" in action]
    assert len(adds) >= 3
    for add in adds:
        data = lake.store.get(f"{lake.dataset.location}/{add['path']}")
        assert add["tags"] == {"lakecore.sha256": hashlib.sha256(data).hexdigest()}
        assert add["size"] == len(data)


@pytest.mark.parametrize("key", [("id",), ()])
def test_the_last_event_says_what_the_commit_does(key: tuple[str, ...], make: Make) -> None:
    """It alone carries the digest of the commit's actions, beside the author's context."""
    lake = make(FakeGate(), key=key)
    for op in UNKEYED:
        CHANGES[op](lake)
    for version in range(5):
        path = f"{lake.dataset.location}/_delta_log/{version:020d}.json"
        first, *others = lake.store.get(path).split(b"\n")[:-1]
        info = json.loads(first)["commitInfo"]
        del info["lakecore"]
        text = json.dumps({"commitInfo": info}, sort_keys=True, separators=(",", ":"))
        sha256 = hashlib.sha256(b"".join(line + b"\n" for line in [text.encode(), *others]))
        contexts = [json.loads(e.context) for e in lake.events() if e.version == version]
        assert contexts[-1]["commit"] == {"actions_sha256": sha256.hexdigest()}
        assert all("commit" not in context for context in contexts[:-1])
        assert all(context["reason"] == "test" for context in contexts)


def test_many_events_are_all_there_but_the_last_is_another(make: Make) -> None:
    """Holding the last events back neither loses nor reorders one, over several batches."""
    lake = Lake(make(FakeGate()).store, dataset=Ref(location="tables/main/many"))
    count = 70_000
    lake.append(pa.table({"id": range(1_000, 1_000 + count)}), mutation_id="m")
    events = lake.events()
    assert [event.event_id for event in events] == [f"m:{n}" for n in range(count)]
    assert [event.entity_id for event in events] == [str(1_000 + n) for n in range(count)]
    assert ["commit" in event.context for event in events] == [False] * (count - 1) + [True]
