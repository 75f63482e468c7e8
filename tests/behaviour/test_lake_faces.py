"""One scenario, two faces: `lakecore.open` and `lakecore.Client` do the same and say the same."""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable, Iterator
from decimal import Decimal
from typing import Any

import pyarrow as pa
import pytest
from tests.faces import Faces, planes, result, table, table_of, told
from tests.gateways import ALL, serving

import lakecore
from lakecore.base import (
    AlreadyExists,
    Conflict,
    InvalidInput,
    LakecoreError,
    NotFound,
    Refused,
)
from lakecore.journal import Event

RULES = """
name = "fleet"

[[rule]]
id = "seats-within-reason"
task_class = ["insert", "upsert", "update"]
when = { field_greater = { path = "after.seats", value = 853 } }
action = "deny"
message = "no plane has more than 853 seats"
"""
NOON = dt.datetime(2026, 1, 31, 12, 0, 0, 123456, tzinfo=dt.UTC)


def test_files_changes_and_looking_back(faces: Faces) -> None:
    """Every change of rows, the same results, rows, types, histories and earlier versions."""
    planes(faces)
    rows = [{"tailnum": "N4", "seats": 4, "built": dt.date(2020, 1, 1)}]
    steps: list[Callable[[Any], Any]] = [
        lambda face: face.insert("planes", rows, reason="new"),
        lambda face: face.upsert("planes", pa.table({"tailnum": ["N1", "N5"], "seats": [56, 5]})),
        lambda face: face.update("planes", set={"seats": 7}, where="seats is null"),
        lambda face: face.update("planes", set={"seats": 8}, keys=["N4", "N9"]),
        lambda face: face.update("planes", set={"built": "2021-01-01"}, keys="N4"),
        lambda face: face.update("planes", set={"seats": 9}, all=True, tier="preview"),
        lambda face: face.delete("planes", where="tailnum = 'N2'"),
        lambda face: face.delete("planes", keys=["N5"]),
        lambda face: face.restore("planes", version=0),
        lambda face: face.replace("planes", pa.table({"tailnum": ["N1"], "seats": [1]})),
        lambda face: face.upsert("planes", [{"tailnum": "N1", "seats": 1}]),
    ]
    for step in steps:
        faces.both(lambda face, step=step: result(step(face)))
        faces.both(table)
    faces.both(lambda face: [told(event) for event in face.history("planes", "N1")])
    faces.both(lambda face: [told(event) for event in face.history("planes", "N1", "seats")])
    faces.both(
        lambda face: {name: told(event) for name, event in face.blame("planes", "N1").items()}
    )
    faces.both(lambda face: table_of(face.as_of("planes", version=0)))
    faces.both(lambda face: table_of(face.as_of("planes", time=dt.datetime.now(dt.UTC))))
    faces.both(lambda face: face.describe("planes")["columns"])
    faces.both(lambda face: [(one.name, one.key, one.entity_type) for one in face.datasets()])
    faces.both(lambda face: face.dataset("planes").contract)
    last = faces.both(lambda face: told(face.history("planes", "N4")[0]))
    assert (last["actor"], last["source"], last["action"]) == ("ada", "api", "insert")


def test_values_of_all_types_come_as_they_are(faces: Faces) -> None:
    """What JSON has no word for goes and comes as Arrow."""
    rows = pa.table(
        {
            "id": pa.array([1, 2]),
            "big": pa.array([2**62, None]),
            "money": pa.array([Decimal("1.20"), None], pa.decimal128(20, 2)),
            "when": pa.array([NOON, None], pa.timestamp("us", "UTC")),
            "day": pa.array([NOON.date(), None]),
            "blob": pa.array([b"\x00\xff", None]),
            "ratio": pa.array([float("inf"), None]),
            "tags": pa.array([["a", "b"], None]),
            "text": pa.array(["ä\u2028\x00", ""]),
        }
    )
    (faces.folder / "rows.parquet").touch()
    pa.parquet.write_table(rows, faces.folder / "rows.parquet")
    faces.both(
        lambda face: face.ingest(faces.folder / "rows.parquet", dataset="kinds", key="id")[0].rows
    )
    faces.both(
        lambda face: result(face.upsert("kinds", rows.set_column(0, "id", pa.array([3, 4]))))
    )
    faces.both(lambda face: table(face, "select * from kinds order by id"))
    faces.both(lambda face: [told(event) for event in face.history("kinds", 3)])


def test_queries(faces: Faces) -> None:
    """Values by name and place, bounds, batches, every form of the rows."""
    planes(faces)
    asked = "select tailnum, seats from planes where seats > $least order by 1"
    faces.both(lambda face: face.sql(asked, {"least": 100}).to_pylist())
    faces.both(lambda face: face.sql("select $1 + 1 as n", [41]).to_pydict())
    faces.both(lambda face: face.sql("select tailnum from planes order by 1").to_pandas().to_dict())

    def some(face: Any) -> Any:
        with face.sql("select value from generate_series(1, 100)", max_rows=7) as found:
            sizes = sum(batch.num_rows for batch in found)
            return sizes, found.truncated, found.row_count, found.schema

    assert faces.both(some)[:2] == (7, True)
    exact = faces.both(lambda face: [len(face.sql("select * from planes", max_rows=3).to_pylist())])
    assert exact == [3]

    def left(face: Any) -> int:
        found = face.sql("select a.value from generate_series(1, 100000000) a")
        next(iter(found))
        found.close()
        return len(table(face))

    assert faces.both(left) == 3


@pytest.mark.parametrize(
    ("do", "kind"),
    [
        (lambda face: face.describe("nosuch"), NotFound),
        (lambda face: face.insert("nosuch", [{"a": 1}]), NotFound),
        (lambda face: face.insert("planes", [{"tailnum": "N1", "seats": 2}]), InvalidInput),
        (lambda face: face.insert("planes", [{"tailnum": "N7", "seats": "many"}]), InvalidInput),
        (lambda face: face.update("planes", set={"seats": 1}), InvalidInput),
        (lambda face: face.update("planes", set={"nosuch": 1}, all=True), InvalidInput),
        (lambda face: face.update("planes", set={"seats": 8530}, keys=["N1"]), Refused),
        (lambda face: face.delete("planes"), InvalidInput),
        (lambda face: face.restore("planes", version=99), NotFound),
        (lambda face: face.restore("planes"), InvalidInput),
        (lambda face: face.as_of("planes"), InvalidInput),
        (lambda face: face.history("nosuch", "N1"), NotFound),
        (lambda face: face.sql("selec 1").to_arrow(), InvalidInput),
        (lambda face: face.sql("select * from nosuch").to_arrow(), NotFound),
        (lambda face: face.sql("delete from planes").to_arrow(), Refused),
        (lambda face: face.sql("select cast('x' as int)").to_arrow(), InvalidInput),
        (lambda face: face.approve("nosuch"), NotFound),
        (lambda face: face.reject("nosuch"), NotFound),
        (lambda face: face.revert("nosuch"), NotFound),
        (lambda face: face.workspace("nosuch", create=False), NotFound),
        (lambda face: face.drop("nosuch"), NotFound),
        (lambda face: face.ingest("nosuch.csv", dataset="planes"), NotFound),
        (lambda face: face.insert("planes", 7), InvalidInput),
        (lambda face: face.insert("planes", [{"tailnum": "N8"}], tier="strange"), LakecoreError),
        (lambda face: face.journal.record({"strange": 1}), InvalidInput),
        (lambda face: face.journal.query(since="yesterday"), InvalidInput),
        (lambda face: face.journal.prove("nosuch"), NotFound),
    ],
)
def test_errors_are_of_the_same_class(
    lasting: Faces, do: Callable[[Any], Any], kind: type[LakecoreError]
) -> None:
    """And say the same was expected; nothing is changed by either."""
    for face in (lasting.opened, lasting.client):
        before = face.describe("planes")["version"]
        with pytest.raises(kind) as caught:
            do(face)
        assert caught.value.message
        assert face.describe("planes")["version"] == before


@pytest.fixture(scope="module")
def lasting(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Faces]:
    """Both with planes and rules, for what changes nothing."""
    folder = tmp_path_factory.mktemp("faces")
    (folder / "served").mkdir()
    with (
        lakecore.open(folder / "lake", actor="ada") as opened,
        serving(folder / "served") as served,
        lakecore.Client(served.url, served.key("ada", *ALL)) as client,
    ):
        served.lake.drop("planes")
        faces = Faces(opened, client, folder)
        planes(faces)
        opened.truth.apply(RULES)
        client.truth.apply(RULES)
        yield faces


def test_rules_say_the_same(lasting: Faces) -> None:
    """Which fired, and what they demand; what could apply."""

    def ask(face: Any) -> Any:
        decision = face.truth.evaluate("update", {"after": {"seats": 8530}})
        fired = [
            str(one["rule"]) if isinstance(one, dict) else one.rule_id for one in decision.fired
        ]
        return (
            str(decision.to_dict()["action"]),
            decision.allowed,
            fired,
            decision.to_dict()["outcomes"],
        )

    assert lasting.both(ask)[:3] == ("deny", False, ["seats-within-reason"])
    assert lasting.both(lambda face: face.truth.evaluate("update", {"after": {"seats": 1}}).allowed)

    def could(face: Any) -> list[str]:
        found = face.truth.check("update")
        return [one["rule_id"] if isinstance(one, dict) else one.rule_id for one in found]

    assert lasting.both(could) == ["seats-within-reason"]


def test_what_waits_is_approved_or_rejected(faces: Faces) -> None:
    """A dry run, its diff, its approval; another's rejection; and what was made is undone."""
    planes(faces)

    def propose(face: Any) -> Any:
        return face.update("planes", set={"seats": 60}, keys=["N1"], tier="dry_run", reason="why")

    changes = {id(face): propose(face).mutation_id for face in (faces.opened, faces.client)}

    def looked(face: Any) -> Any:
        (one,) = face.pending()
        found = face.pending_change(changes[id(face)])
        assert found.id == one.id == changes[id(face)]
        diff = face.pending_diff(one.id)
        told = (one.state, one.op, one.dataset, one.author.actor, one.author.reason)
        return told, diff.to_pylist(), diff.schema, one.body["counts"], type(one)

    assert faces.both(looked)[0] == ("waiting", "update", "planes", "ada", "why")
    approved = faces.both(lambda face: result(face.approve(changes[id(face)])))
    assert (approved["updated"], approved["committed"]) == (1, True)
    faces.both(lambda face: face.pending())
    with pytest.raises(Conflict):
        faces.opened.approve(changes[id(faces.opened)])
    with pytest.raises(Conflict):
        faces.client.approve(changes[id(faces.client)])

    def reject(face: Any) -> Any:
        found = face.reject(propose_other(face), "not now")
        return found.state, found.body["decided_by"]

    def propose_other(face: Any) -> str:
        made = face.delete("planes", keys=["N2"], tier="dry_run")
        mutation_id: str = made.mutation_id
        return mutation_id

    assert faces.both(reject) == ("rejected", "ada")
    faces.both(lambda face: result(face.revert(changes[id(face)])))
    faces.both(table)


def test_a_workspace(faces: Faces) -> None:
    """Made, changed, compared, merged; main follows."""
    planes(faces)

    def work(face: Any) -> Any:
        inside = face.workspace("recount")
        changed = inside.update("planes", set={"seats": 61}, keys=["N1"])
        with pytest.raises(AlreadyExists):
            face.create_workspace("recount")
        before = len(face.sql("select * from planes where seats = 61").to_pylist())
        rows = inside.diff()["planes"].read_all().to_pylist()
        listed = [(one.name, one.state) for one in face.workspaces()]
        merged = inside.merge(reason="counted")
        (one,) = merged.datasets
        return (
            *(result(changed)["updated"], before, rows, listed, merged.state, merged.held),
            *(one.dataset, one.updated, type(merged)),
        )

    assert faces.both(work)[4] == "merged"
    faces.both(table)


def test_the_journal(faces: Faces) -> None:
    """Recorded one by one, many, as a batch; asked, followed, sealed, proven."""
    event = {"entity_type": "gate", "entity_id": "A1", "action": "open", "actor": "ada"}

    def record(face: Any) -> Any:
        journal = face.journal
        one = journal.record({**event, "event_id": "one"})
        again = journal.record({**event, "event_id": "one"})
        named = journal.record_many([{**event, "event_id": f"n{n}"} for n in range(3)])
        made = journal.record_many([Event(**{**event, "field": "state", "new_value": '"shut"'})])
        batch = journal.record_batch(pa.Table.from_pylist([event, event]))
        assert journal.record_many([]) == []
        assert journal.flush() >= 7
        return one, again, named, len(made), batch

    assert faces.both(record)[:2] == ("one", "one")
    faces.both(lambda face: [told(one) for one in face.journal.entity_history("A1", "gate")])
    faces.both(lambda face: [told(one) for one in face.journal.recent(3)])

    def pages(face: Any) -> Any:
        found, cursor, count = [], None, 0
        while count == 0 or cursor is not None:
            page = face.journal.query(entity_type="gate", limit=3, cursor=cursor)
            found += [told(one) for one in page.items]
            cursor, count = page.next, count + 1
        return found, count

    assert len(faces.both(pages)[0]) == 7

    def tail(face: Any) -> Any:
        found = [one for batch in face.journal.tail() for one in batch if one.entity_type == "gate"]
        return [told(one) for one in found]

    assert len(faces.both(tail)) == 7
    faces.both(lambda face: len(next(iter(face.journal.tail(from_seq=-2))).events))
    stats = faces.both(lambda face: sorted(face.journal.stats()))
    assert "tree_size" in stats

    def prove(face: Any) -> Any:
        note = face.journal.checkpoint()
        proof = face.journal.prove("one")
        told_proof = proof if isinstance(proof, dict) else proof.to_dict()
        assert told_proof["size"] <= note.size
        return sorted(told_proof), type(note)

    faces.both(prove)


def test_a_tail_goes_on_from_its_cursor(faces: Faces) -> None:
    """Followed until it is quiet; a later one misses nothing and repeats nothing."""
    event = {"entity_type": "gate", "entity_id": "A1", "action": "open"}

    def follow(face: Any) -> Any:
        face.journal.record_many([{**event, "actor": "ada"}] * 3)
        face.journal.flush()
        tail = face.journal.tail(follow=True, timeout_s=1.5)
        first = sum(one.entity_type == "gate" for batch in tail for one in batch)
        face.journal.record_many([{**event, "actor": "ada"}] * 2)
        face.journal.flush()
        later = face.journal.tail(tail.cursor, follow=True, limit=1)
        rest = [one for batch in later for one in batch]
        later.close()
        return first, [told(one) for one in rest]

    assert faces.both(follow)[0] == 3


def test_soundness_and_keys(faces: Faces) -> None:
    """Verify, reconcile; keys are made, rotated and revoked."""
    planes(faces)

    def sound(face: Any) -> Any:
        face.journal.flush()
        report = face.verify(full=True)
        return report.status, sorted(report.to_dict()), report.integrity.status

    faces.both(sound)
    faces.both(lambda face: face.reconcile("planes").to_dict())

    def keys(face: Any) -> Any:
        made = face.keys.create("agent:tidy", scopes=["read"], datasets=["planes"], trust=0.5)
        new = face.keys.rotate(made.key.id, overlap=dt.timedelta(hours=1))
        ended = face.keys.revoke(new.key.id, reason="shown")
        principal = made.key.principal
        assert made.text.startswith(f"lc_{made.key.id}_")
        listed = [key for key in face.keys.list() if key.principal.name == "agent:tidy"]
        states = [one["state"] for one in face.keys.describe() if one["principal"] == "agent:tidy"]
        return (
            *(principal.name, principal.kind, principal.trust, principal.scopes.to_list()),
            *(ended.revoked_us is not None, len(listed), states, type(made)),
        )

    faces.both(keys)
