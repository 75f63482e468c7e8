"""Changes that wait: kept with their diff, approved by somebody else, rejected, shown again."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest
from tests.unit.changes.conftest import RULES, STAFF, decisions, join, salaries

import lakecore
from lakecore.app import Lake
from lakecore.base import Conflict, InvalidInput, NotFound, Refused, Unavailable
from lakecore.changes import ChangeSettings, Principals
from lakecore.config import Settings, TruthSettings
from lakecore.journal import Author
from lakecore.tables import Sql
from lakecore.truth import Principal


def files(lake: Lake) -> list[str]:
    """What is kept on the store for changes that wait."""
    return [info.path for info in lake._parts.store.list_objects("pending/")]


def raise_of(lake: Lake, **options: Any) -> str:
    """A raise that has to wait: its id."""
    result = lake.update("staff", set={"salary": 150}, where="id = 'e1'", **options)
    assert (result.held, result.version, result.tier) == (True, None, "dry_run")
    return result.mutation_id


def test_what_waits_is_not_done(lake: Lake) -> None:
    """It is listed with who, what and why; its exact diff is kept; the table is as it was."""
    change = raise_of(lake, reason="well done")
    (pending,) = lake.pending()
    assert (pending.id, pending.state, pending.op) == (change, "waiting", "update")
    assert pending.author == Author(actor="ada", reason="well done")
    assert pending.body["counts"]["updated"] == 1
    assert pending.decision["reasons"][0]["rule"] == "raises-are-looked-at"
    assert lake.pending_diff(change).to_pylist() == [
        {
            "entity_type": "person",
            "entity_id": "e1",
            "field": "salary",
            "action": "update",
            "old_value": "100",
            "new_value": "150",
        }
    ]
    assert salaries(lake)["e1"] == 100
    assert lake.history("staff", "e1")[-1].action == "insert"
    assert decisions(lake) == [("held", "ada")]
    assert lake.verify().status == "green"


def test_somebody_else_approves(lake: Lake) -> None:
    """The author cannot; then it is made in the author's name, once, and nothing is left."""
    change = raise_of(lake, reason="well done")
    with pytest.raises(Refused, match="somebody else has to approve"):
        lake.approve(change)
    result = lake.approve(change, actor="bo")
    assert (result.version, result.mutation_id, result.updated) == (1, change, 1)
    event = lake.history("staff", "e1")[-1]
    assert (event.actor, event.new_value, event.mutation_id) == ("ada", "150", change)
    assert '"approved_by":"bo"' in event.context
    assert lake.pending() == []
    done = lake.pending_change(change)
    assert (done.state, done.body["decided_by"], done.body["version"]) == ("committed", "bo", 1)
    assert files(lake) == []
    with pytest.raises(Conflict, match="committed already"):
        lake.approve(change, actor="cy")
    with pytest.raises(Conflict, match="committed already"):
        lake.reject(change, actor="cy")
    assert lake.verify().status == "green"


def test_rejecting(lake: Lake) -> None:
    """It is never made; who and why is on record."""
    change = raise_of(lake)
    rejected = lake.reject(change, "no money", actor="bo")
    assert (rejected.state, rejected.body["reason"]) == ("rejected", "no money")
    assert (lake.pending(), files(lake)) == ([], [])
    assert [one.state for one in lake.pending(decided=True)] == ["rejected"]
    with pytest.raises(Conflict, match="rejected already"):
        lake.approve(change, actor="cy")
    with pytest.raises(NotFound):
        lake.pending_diff(change)
    assert salaries(lake)["e1"] == 100


def test_unknown_changes(lake: Lake) -> None:
    """An id that nothing waits under."""
    for call in (lake.approve, lake.reject, lake.pending_change):
        with pytest.raises(NotFound, match="no such pending change"):
            call("nothing")


@pytest.mark.parametrize("op", ["insert", "upsert", "replace", "update", "delete", "alter"])
def test_every_change_can_be_a_dry_run(lake: Lake, op: str) -> None:
    """It waits although no rule wants it to, and its author may approve it."""
    rows = [*STAFF[1:], {"id": "e9", "name": "jo", "salary": 7, "status": "open"}]
    dry: dict[str, Any] = {"tier": "dry_run"}
    made = {
        "insert": lambda: lake.insert("staff", rows[-1:], **dry),
        "upsert": lambda: lake.upsert("staff", rows, **dry),
        "replace": lambda: lake.replace("staff", iter(rows), **dry),
        "update": lambda: lake.update(
            "staff", set={"salary": Sql("salary - 1")}, where="id = 'e2'", **dry
        ),
        "delete": lambda: lake.delete("staff", keys=["e2"], **dry),
        "alter": lambda: lake.alter_columns("staff", _added(), **dry),
    }[op]()
    assert (made.held, made.dry_run, made.version) == (True, True, None)
    before = lake.sql("select * from staff order by id").to_pylist()
    assert before == STAFF
    assert lake.approve(made.mutation_id).version == 1
    after = lake.sql("select * from staff order by id").to_pylist()
    assert {
        "insert": after == [*STAFF, rows[-1]],
        "upsert": after == [*STAFF, rows[-1]],
        "replace": after == rows,
        "update": after[1]["salary"] == 199,
        "delete": after == [STAFF[0], *STAFF[2:]],
        "alter": list(after[0]) == [*STAFF[0], "age"],
    }[op]
    assert lake.verify().status == "green"


def _added() -> list[Any]:
    from lakecore.tables import AddColumn

    return [AddColumn("age", "long")]


def test_a_dry_run_that_changes_nothing_waits_for_nothing(lake: Lake) -> None:
    """There is nothing to approve."""
    result = lake.update("staff", set={"name": "ada"}, where="id = 'e1'", tier="dry_run")
    assert (result.held, result.unchanged, lake.pending()) == (False, 1, [])


def test_a_preview_keeps_nothing(lake: Lake) -> None:
    """It says what would be changed and what the rules would say; nothing is stored."""
    before = lake.journal.stats()["total_events_created"]
    result = lake.update("staff", set={"salary": 150}, where="id = 'e1'", tier="preview")
    assert (result.dry_run, result.held, result.updated) == (True, False, 1)
    assert result.decision["tier"] == "dry_run"
    denied = lake.update("staff", set={"salary": 5000}, where="id = 'e1'", tier="preview")
    assert denied.tier == "block"
    assert denied.decision["reasons"][0]["rule"] == "no-riches"
    assert (lake.pending(), files(lake), decisions(lake)) == ([], [], [])
    assert lake.journal.stats()["total_events_created"] == before


def test_sim_without_workspaces_waits(lake: Lake) -> None:
    """It says that there is none, and is like a dry run."""
    join(lake, simulator=None)
    result = lake.delete("staff", where="id = 'e1'", tier="sim")
    assert (result.held, result.tier) == (True, "sim")
    assert "it waits like a dry run" in result.decision["reasons"][-1]["message"]
    assert lake.approve(result.mutation_id).deleted == 1


def test_sim_is_tried_in_a_workspace_and_waits(lake: Lake) -> None:
    """The change was made there, not here; what came of it is kept with what waits."""
    result = lake.delete("staff", where="id = 'e1'", tier="sim")
    assert (result.held, result.tier) == (True, "sim")
    simulation = lake.pending_change(result.mutation_id).body["simulation"]
    assert (simulation["passed"], simulation["checks"][0]["name"]) == (True, "applied")
    inside = lake.workspace(simulation["workspace"], create=False)
    assert inside.sql("select count(*) n from staff").to_pylist() == [{"n": 3}]
    assert lake.sql("select count(*) n from staff").to_pylist() == [{"n": 4}]


def test_going_back_can_wait(lake: Lake) -> None:
    """Restoring and reverting: what the journal says of the mutation is found out anew."""
    made = lake.update("staff", set={"name": "x"}, where="id = 'e1'")
    change = lake.revert(made.mutation_id, tier="dry_run").mutation_id
    (row,) = lake.pending_diff(change).to_pylist()
    assert (row["old_value"], row["new_value"]) == ('"x"', '"ada"')
    assert lake.approve(change).updated == 1
    change = lake.restore("staff", version=1, tier="dry_run").mutation_id
    assert lake.approve(change).version == 3
    (row,) = lake.sql("select name from staff where id = 'e1'").to_pylist()
    assert row == {"name": "x"}


def test_a_key_that_is_renamed_by_an_approval(lake: Lake) -> None:
    """The catalog follows behind the commit, as it does at once."""
    from lakecore.tables import RenameColumn

    changes = [RenameColumn("id", "number")]
    change = lake.alter_columns("staff", changes, tier="dry_run").mutation_id
    assert lake.dataset("staff").key == ("id",)
    lake.approve(change)
    assert lake.dataset("staff").key == ("number",)
    assert lake.update("staff", set={"name": "y"}, keys=["e1"]).updated == 1


# -- what changes meanwhile ---------------------------------------------------------------


def shown_again(lake: Lake, change: str, *, says: str) -> None:
    """Approving is refused once with what differs, and the change waits with its new diff."""
    before = lake.pending_change(change).body
    with pytest.raises(Conflict, match="not the change that was shown") as conflict:
        lake.approve(change, actor="bo")
    assert says in (conflict.value.found or "")
    after = lake.pending_change(change).body
    assert (after["state"], after["shown"]) == ("waiting", before["shown"] + 1)
    assert before["diff"] not in files(lake)
    assert after["diff"] in files(lake)


def test_a_touched_row_that_changed_is_shown_again(lake: Lake) -> None:
    """The old value is another one: the new diff has it, and can be approved."""
    change = raise_of(lake)
    lake.update("staff", set={"salary": 90}, where="id = 'e1'")
    shown_again(lake, change, says="e1.salary (100 to 150) -> (90 to 150)")
    assert lake.pending_diff(change).to_pylist()[0]["old_value"] == "90"
    assert lake.approve(change, actor="bo").version == 2
    assert salaries(lake)["e1"] == 150


def test_other_rows_do_not_matter(lake: Lake) -> None:
    """What the change does not touch and the rules do not look at may change."""
    change = raise_of(lake)
    lake.update("staff", set={"salary": 90, "name": "x"}, where="id = 'e2'")
    lake.update("staff", set={"name": "eve"}, where="id = 'e1'")
    lake.insert("staff", [{"id": "e7"}])
    assert lake.approve(change, actor="bo").updated == 1


def test_what_the_rules_look_at_matters(lake: Lake) -> None:
    """The change is the same, but not what it was judged by."""
    change = raise_of(lake)
    lake.update("staff", set={"status": "half"}, where="id = 'e1'")
    shown_again(lake, change, says="what the rules look at")


def test_rules_that_changed_matter(lake: Lake) -> None:
    """Approved was what the old rules said. New ones that deny refuse, and it still waits."""
    change = raise_of(lake)
    lake.truth.apply(RULES.replace("1000", "999"))
    shown_again(lake, change, says="the rules")
    lake.truth.apply(RULES.replace("1000", "120"))
    with pytest.raises(Refused, match="nobody earns more than 120"):
        lake.approve(change, actor="bo")
    assert lake.pending_change(change).state == "waiting"
    assert decisions(lake)[-1] == ("refused", "ada")
    lake.truth.apply(RULES.replace("1000", "999"))
    assert lake.approve(change, actor="bo").committed


def test_a_renamed_dataset_is_found(lake: Lake) -> None:
    """Its name is something that rules look at: shown again, then made there."""
    change = raise_of(lake)
    lake.rename("staff", "people")
    shown_again(lake, change, says="what the rules look at")
    assert lake.approve(change, actor="bo").dataset == "people"


def test_a_dropped_dataset(lake: Lake) -> None:
    """The change waits until it is back; another one of that name is not it."""
    change = raise_of(lake)
    lake.drop("staff")
    with pytest.raises(NotFound, match="dropped"):
        lake.approve(change, actor="bo")
    lake.undrop("staff")
    assert lake.approve(change, actor="bo").committed
    change = lake.delete("staff", where="id = 'e1'", tier="dry_run").mutation_id
    lake.drop("staff", grace_days=0)
    lake.create("staff", key="id")
    lake.insert("staff", STAFF)
    with pytest.raises(NotFound, match=r"gone|dropped"):
        lake.approve(change)
    assert len(salaries(lake)) == 4


def test_nothing_left_to_change(lake: Lake) -> None:
    """Somebody did it meanwhile: the change is over."""
    change = lake.delete("staff", where="id = 'e1'", tier="dry_run").mutation_id
    lake.delete("staff", where="id = 'e1'")
    with pytest.raises(Conflict, match="nothing is left to change"):
        lake.approve(change)
    assert (lake.pending_change(change).state, files(lake)) == ("lapsed", [])


def test_a_change_that_cannot_be_made_any_more_waits(lake: Lake) -> None:
    """Its error is the author's to solve; it can be rejected, or tried again."""
    change = lake.insert("staff", [{"id": "e9"}], tier="dry_run").mutation_id
    lake.insert("staff", [{"id": "e9"}])
    with pytest.raises(InvalidInput, match="e9"):
        lake.approve(change)
    assert lake.pending_change(change).state == "waiting"
    assert lake.reject(change).state == "rejected"


# -- who may, how long, how much ----------------------------------------------------------


class Roles:
    """`Principals` that knows who is a chief."""

    def __init__(self, chiefs: set[str]) -> None:
        self.chiefs = chiefs

    def principal(self, author: Author) -> Principal:
        return Principal(author.actor, roles=("chief",) if author.actor in self.chiefs else ())


def test_roles(lake: Lake) -> None:
    """Where the gradient wants one, only who has it may approve."""
    known: Principals = Roles({"eve", "ada"})
    lake.truth.apply(
        """
        [[tier]]
        dataset = "staff"
        auto = false
        dry_run = {}
        approval = { roles = ["chief"] }
        """
    )
    change = lake.delete("staff", where="id = 'e1'").mutation_id
    join(lake, principals=known)
    with pytest.raises(Refused, match="a role is needed"):
        lake.approve(change, actor="bo")
    with pytest.raises(Refused, match="somebody else"):
        lake.approve(change, actor="ada")
    join(lake, principals=lake._parts.principals)
    with pytest.raises(Refused, match="a role is needed"):
        lake.approve(change, actor="eve")
    join(lake, principals=known)
    assert lake.approve(change, actor="eve").deleted == 1


@pytest.fixture
def bounded(tmp_path: Path) -> Iterator[Lake]:
    """A lake in which two small changes may wait, and not for long."""
    settings = Settings(truth=TruthSettings(pending_days=0, pending_bytes=1 << 20, pending_max=2))
    with lakecore.open(tmp_path / "bounded", actor="ada", config=settings) as lake:
        lake.create("staff", key="id")
        lake.insert("staff", STAFF)
        yield lake


def test_waiting_ends(bounded: Lake) -> None:
    """After its days a change cannot be approved, and its files go."""
    change = bounded.delete("staff", where="id = 'e1'", tier="dry_run").mutation_id
    assert bounded.pending() == []
    with pytest.raises(Refused, match="waited too long"):
        bounded.approve(change)
    assert (bounded.pending_change(change).state, files(bounded)) == ("lapsed", [])
    other = bounded.delete("staff", where="id = 'e2'", tier="dry_run").mutation_id
    assert bounded._parts.changes.tidy() == 1
    assert bounded.pending_change(other).state == "lapsed"


def test_not_too_many_wait(lake: Lake) -> None:
    """The next one is told to try again."""
    join(lake, settings=ChangeSettings(pending_max=2))
    for name in ("e1", "e2"):
        lake.delete("staff", keys=[name], tier="dry_run")
    with pytest.raises(Unavailable, match="too many changes wait"):
        lake.delete("staff", keys=["e3"], tier="dry_run")


def test_what_is_too_large_to_wait_is_refused(bounded: Lake) -> None:
    """It says how much is allowed; a preview has no such bound, nor has a change that passes."""
    rows = pa.table({"id": [f"n{i:0100}" for i in range(20_000)]})
    with pytest.raises(Refused, match="too large to wait"):
        bounded.insert("staff", rows, tier="dry_run")
    assert files(bounded) == []
    assert bounded.insert("staff", rows, tier="preview").inserted == 20_000
    assert bounded.insert("staff", rows).inserted == 20_000


def test_the_same_change_again_is_the_same_that_waits(lake: Lake) -> None:
    """Under the caller's own id: kept once; another change of that id is refused."""
    for _ in range(2):
        lake.delete("staff", keys=["e1"], tier="dry_run", mutation_id="My change!")
    (pending,) = lake.pending()
    assert pending.mutation_id == "My change!"
    assert len(files(lake)) == 1
    with pytest.raises(lakecore.base.AlreadyExists):
        lake.delete("staff", keys=["e2"], tier="dry_run", mutation_id="My change!")
    assert lake.approve("My change!").deleted == 1


def test_two_approvers_at_once(lake: Lake) -> None:
    """Of an append without keys, which could be made twice: one commits, the other is told."""
    lake.truth.apply('name = "none"')
    lake.create("log")
    lake.insert("log", [{"line": "a"}])
    change = lake.insert("log", [{"line": "b"}], tier="dry_run").mutation_id
    start = threading.Barrier(4)
    results: list[Any] = []

    def approve(name: str) -> None:
        start.wait()
        try:
            results.append(lake.approve(change, actor=name))
        except Conflict as error:
            results.append(error)

    threads = [threading.Thread(target=approve, args=(f"p{number}",)) for number in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sum(isinstance(result, Conflict) for result in results) == 3
    assert sorted(row["line"] for row in lake.sql("select * from log").to_pylist()) == ["a", "b"]
    assert lake.pending_change(change).state == "committed"
    assert lake.verify().status == "green"
