"""What delta-rs commits behind our back, journaled: exactly what changed, nothing else."""

from __future__ import annotations

import json
from concurrent.futures import ThreadPoolExecutor

import pyarrow as pa
import pytest
from deltalake import DeltaTable, Transaction, write_deltalake
from tests.unit.reconcile.conftest import ROWS, Lake, rows_of

import lakecore
from lakecore.journal import foreign_commit_id


def test_an_update(lake: Lake) -> None:
    """One event for each field that changed; actor, source, id and digest of the commit."""
    lake.table().update(updates={"seats": "seats + 1"}, predicate="id = 1")
    (found,) = lake.lake.reconcile().versions
    assert (found.version, found.kind, found.updated, found.events) == (1, "changes", 1, 2)
    assert lake.changes(1) == [("update", "1", "seats", "10", "11")]
    event, context = lake.closing(1)
    dataset = lake.lake.dataset("planes")
    assert event.mutation_id == foreign_commit_id(dataset.dataset_id, 1)
    assert (event.actor[:9], event.source) == ("external:", "external")
    assert context["operation"] == "UPDATE"
    assert context["commit"]["foreign"] is True
    assert len(context["commit"]["actions_sha256"]) == 64
    assert lake.green()


def test_append_delete_and_merge(lake: Lake) -> None:
    """Rows that come, go and change; rows that were only copied produce nothing."""
    write_deltalake(str(lake.path()), rows_of({"id": 4, "name": "di", "seats": 4}), mode="append")
    lake.table().delete("id = 2")
    source = rows_of({"id": 1, "name": "ada", "seats": 99}, {"id": 5, "name": "eve", "seats": 5})
    lake.table().merge(
        source, "t.id = s.id", source_alias="s", target_alias="t"
    ).when_matched_update_all().when_not_matched_insert_all().execute()
    report = lake.lake.reconcile()
    assert [(v.inserted, v.updated, v.deleted) for v in report.versions] == [
        (1, 0, 0),
        (0, 0, 1),
        (1, 1, 0),
    ]
    assert lake.changes(1) == [("insert", "4", "*", None, '{"id":4,"name":"di","seats":4}')]
    assert lake.changes(2) == [("delete", "2", "*", '{"id":2,"name":"bob","seats":20}', None)]
    assert lake.changes(3) == [
        ("insert", "5", "*", None, '{"id":5,"name":"eve","seats":5}'),
        ("update", "1", "seats", "10", "99"),
    ]
    assert lake.green()
    assert lake.lake.reconcile().versions == []


def test_optimize_changes_nothing(lake: Lake) -> None:
    """Files are exchanged, no row is another one: one event, of the commit as a whole."""
    write_deltalake(str(lake.path()), rows_of({"id": 4, "name": "di", "seats": 4}), mode="append")
    lake.table().optimize.compact()
    kinds = [version.kind for version in lake.lake.reconcile().versions]
    assert kinds == ["changes", "unchanged"]
    assert lake.changes(2) == []
    assert lake.green()


def test_overwrite_and_restore(lake: Lake) -> None:
    """Both are what they are to the rows: changed fields, nothing of rows that stay."""
    changed = [{**ROWS[0], "seats": 11}, ROWS[1]]
    write_deltalake(str(lake.path()), rows_of(*changed), mode="overwrite")
    lake.table().restore(0)
    lake.lake.reconcile()
    assert lake.changes(1) == [
        ("delete", "3", "*", '{"id":3,"name":"cy","seats":null}', None),
        ("update", "1", "seats", "10", "11"),
    ]
    assert lake.changes(2) == [
        ("insert", "3", "*", None, '{"id":3,"name":"cy","seats":null}'),
        ("update", "1", "seats", "11", "10"),
    ]
    assert lake.green()


def test_schema_changes(lake: Lake) -> None:
    """A column more or less is one event, not a change of every row; a property, too."""
    wider = rows_of({"id": 9, "name": "z", "seats": 1}).append_column("w", pa.array([1.5]))
    write_deltalake(str(lake.path()), wider, mode="append", schema_mode="merge")
    narrow = rows_of(*ROWS).drop_columns(["seats"])
    write_deltalake(str(lake.path()), narrow, mode="overwrite", schema_mode="overwrite")
    lake.table().alter.set_table_properties({"delta.appendOnly": "true"})
    lake.lake.reconcile()
    assert lake.changes(1) == [
        ("add_column", "planes", "w", None, '"double"'),
        ("insert", "9", "*", None, '{"id":9,"name":"z","seats":1,"w":1.5}'),
    ]
    assert lake.changes(2) == [
        ("delete", "9", "*", '{"id":9,"name":"z","seats":1,"w":1.5}', None),
        ("drop_column", "planes", "seats", '"long"', None),
        ("drop_column", "planes", "w", '"double"', None),
    ]
    assert ("set_property", "planes", "delta.appendOnly", None, '"true"') in lake.changes(3)
    assert lake.green()


def test_a_commit_that_lies(lake: Lake) -> None:
    """`dataChange = false` over another value: journaled as the change it is, and reported."""
    table = lake.table()
    write_deltalake(
        str(lake.path()), rows_of({**ROWS[0], "seats": 77}, *ROWS[1:]), mode="overwrite"
    )
    entry = lake.entry(1)
    entry.chmod(0o644)
    entry.write_text(entry.read_text().replace('"dataChange":true', '"dataChange":false'))
    assert table.version() == 0
    (found,) = lake.lake.reconcile().versions
    assert found.contradiction
    assert lake.changes(1) == [("update", "1", "seats", "10", "77")]
    assert lake.closing(1)[1]["claims_no_change"] is True


def test_an_unkeyed_dataset(lake: Lake) -> None:
    """Counts and hashes of the rows that went and came; those that stayed cancel out."""
    lake.table("notes").update(updates={"seats": "21"}, predicate="id = 2")
    write_deltalake(str(lake.path("notes")), rows_of(ROWS[0], ROWS[0]), mode="append")
    lake.table("notes").optimize.compact()
    lake.table("notes").delete("id = 1")
    report = lake.lake.reconcile()
    assert [(v.kind, v.inserted, v.deleted) for v in report.versions] == [
        ("changes", 1, 1),
        ("changes", 2, 0),
        ("unchanged", 0, 0),
        ("changes", 0, 3),
    ]
    assert [lake.closing(n, "notes")[0].action for n in (1, 2, 3, 4)] == [
        "replace",
        "insert",
        "reconcile",
        "delete",
    ]
    update, append = (lake.closing(n, "notes")[1] for n in (1, 2))
    assert (update["rows_added"], update["rows_removed"], append["rows_added"]) == (1, 1, 2)
    from lakecore.journal import multiset_hash

    assert append["added"] == multiset_hash(rows_of(ROWS[0], ROWS[0])).hex()
    assert update["removed"] == multiset_hash(rows_of(ROWS[1])).hex()
    assert lake.green()


@pytest.mark.parametrize("key", [{"id": 1, "name": "x", "seats": 0}, {"name": "x", "seats": 0}])
def test_keys_that_fail(lake: Lake, key: dict[str, object]) -> None:
    """Double keys and rows without one cannot be told apart: row sets, and why."""
    write_deltalake(str(lake.path()), rows_of(*ROWS, key), mode="overwrite")
    (found,) = lake.lake.reconcile().versions
    assert (found.kind, found.inserted, found.deleted) == ("batch", 1, 0)
    assert "key" in found.why
    event, context = lake.closing(1)
    assert (event.action, context["why"], context["rows_added"]) == ("insert", found.why, 1)
    assert lake.green()


def test_the_key_column_is_dropped(lake: Lake) -> None:
    """Without the column, rows cannot be matched any more."""
    others = rows_of(*ROWS).drop_columns(["id"])
    write_deltalake(str(lake.path()), others, mode="overwrite", schema_mode="overwrite")
    (found,) = lake.lake.reconcile().versions
    assert (found.kind, found.why) == ("batch", "the key column 'id' is missing")
    assert lake.green()


def test_vacuumed_before_it_was_journaled(lake: Lake) -> None:
    """The rows before are gone: a gap that says so, and verifying comes to an end."""
    (before,) = lake.path().glob("*.parquet")
    lake.table().update(updates={"seats": "1"}, predicate="id = 1")
    before.unlink()
    (found,) = lake.lake.reconcile().versions
    assert (found.kind, found.why) == ("gap", f"{before.name} is gone")
    event, context = lake.closing(1)
    assert (event.action, context["commit"]["gap"]) == ("gap", found.why)
    assert lake.green()
    assert list(lake.lake.verify().completeness.detail["gaps"].values()) == [found.why]


def test_a_damaged_file_waits(lake: Lake) -> None:
    """What does not read may come back from a backup: told, not journaled as a gap."""
    (before,) = lake.path().glob("*.parquet")
    lake.table().update(updates={"seats": "1"}, predicate="id = 1")
    whole = before.read_bytes()
    before.chmod(0o644)
    before.write_bytes(b"PAR1 nothing PAR1")
    report = lake.lake.reconcile()
    assert report.versions == []
    assert before.name in report.problems[0]
    before.write_bytes(whole)
    assert lake.lake.reconcile().versions[0].updated == 1


def test_partitions(lake: Lake) -> None:
    """The values of partition columns are those of the actions, for rows that go, too."""
    place = lake.place / "tables" / "main" / "routes"
    rows = pa.table({"id": [1, 2, 3], "day": ["a b", "a b", "c/d"], "n": [1, 2, 3]})
    write_deltalake(str(place), rows, partition_by=["day"])
    lake.lake.adopt("tables/main/routes", dataset="routes", key=["id"])
    DeltaTable(str(place)).update(updates={"n": "n + 1"}, predicate="day = 'a b' and id = 1")
    DeltaTable(str(place)).delete("day = 'c/d'")
    lake.lake.reconcile()
    assert lake.changes(1, "routes") == [("update", "1", "n", "1", "2")]
    assert lake.changes(2, "routes") == [("delete", "3", "*", '{"day":"c/d","id":3,"n":3}', None)]
    assert lake.green()


def test_many_parts_tell_the_same(lake: Lake) -> None:
    """Rows that do not fit in memory are spilled; the events are the same."""
    from lakecore.reconcile._version import VersionJournal

    many = pa.table({"id": range(5_000), "name": ["n"] * 5_000, "seats": range(5_000)})
    write_deltalake(str(lake.path()), many, mode="append")
    lake.lake.reconcile()
    lake.table().update(updates={"seats": "-seats"}, predicate="id % 7 = 0 and id > 10")
    parts = lake.lake._parts
    small = VersionJournal(parts.store, parts.journal, memory_bytes=2_000)
    parts.reconciler.versions = small
    (found,) = lake.lake.reconcile().versions
    assert (found.updated, found.inserted, found.deleted) == (713, 0, 0)
    assert len(lake.changes(2)) == 713
    write_deltalake(str(lake.path("notes")), many, mode="append")
    assert lake.lake.reconcile().versions[0].inserted == 5_000
    assert lake.green()


def test_between_our_own_changes(lake: Lake) -> None:
    """Foreign versions are found between ours, and the history of a row has all of them."""
    lake.lake.update("planes", set={"seats": 11}, where="id = 1")
    lake.table().update(updates={"seats": "12"}, predicate="id = 1")
    lake.lake.update("planes", set={"seats": 13}, where="id = 1")
    assert lake.lake.verify().status == "broken"
    assert [version.version for version in lake.lake.reconcile().versions] == [2]
    history = [e.new_value for e in lake.lake.history("planes", 1)]
    assert history[1:] == ["11", "12", "13"]
    assert lake.green()


def test_two_machines_at_once(lake: Lake) -> None:
    """Both reconcile the same versions at the same time: each is journaled once."""
    for number in range(3):
        lake.table().update(updates={"seats": str(number)}, predicate="id = 1")
    with lakecore.open(lake.place, create=False) as other:
        lakes = (lake.lake, other)
        with ThreadPoolExecutor(2) as threads:
            reports = list(threads.map(lambda one: one.reconcile(), lakes))
        assert [report.problems for report in reports] == [[], []]
        for one in lakes:
            one.journal.seal()
    assert [len(lake.events(version)) for version in (1, 2, 3)] == [2, 2, 2]
    assert lake.green()


def test_a_transaction_without_rows(lake: Lake) -> None:
    """A version that says nothing has one event all the same: every version has its own."""
    table = lake.table()
    table.create_write_transaction(
        [], mode="append", schema=table.schema(), commit_properties=_application("job", 7)
    )
    (found,) = lake.lake.reconcile().versions
    assert (found.kind, found.events) == ("unchanged", 1)
    assert json.loads(lake.events(1)[0].context)["commit"]["foreign"] is True
    assert lake.green()


def _application(name: str, version: int) -> object:
    from deltalake import CommitProperties

    return CommitProperties(app_transactions=[Transaction(name, version)])
