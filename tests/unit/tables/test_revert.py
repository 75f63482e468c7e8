"""One mutation undone: its own rows, nothing that came later."""

from __future__ import annotations

from typing import Any

import pyarrow as pa
import pytest
from tests.unit.tables.conftest import ADA, Lake
from tests.unit.tables.history import events_table

from lakecore.base import Conflict, InvalidInput, NotFound
from lakecore.storage import open_store
from lakecore.tables import IngestNote, MutationResult, Sql, TableSettings

NOTE = IngestNote(file_name="a.csv", sha256="0" * 64, size_bytes=10)


def revert(lake: Lake, done: MutationResult, **options: Any) -> MutationResult:
    """Undo what a call did."""
    assert done.version is not None
    mine = [event for event in lake.events() if event.mutation_id == done.mutation_id]
    return lake.tables.revert(
        lake.dataset,
        done.mutation_id,
        version=done.version,
        events=[events_table(mine[:1]), events_table(mine[1:])],
        author=ADA,
        **options,
    )


def test_only_the_mutation_is_undone(lake: Lake) -> None:
    """Insert, update and delete in one mutation; what others changed stays."""
    lake.append({"id": ["a", "b", "c"], "n": [1, 2, 3], "t": ["x", "y", "z"]})
    done = lake.replace({"id": ["a", "b", "d"], "n": [1, 9, 4], "t": ["x", "y", "w"]})
    lake.update(where="id = 'b'", set={"t": "later"})
    result = revert(lake, done)
    assert (result.inserted, result.updated, result.deleted) == (1, 1, 1)
    assert lake.rows() == [
        {"id": "a", "n": 1, "t": "x"},
        {"id": "b", "n": 2, "t": "later"},
        {"id": "c", "n": 3, "t": "z"},
    ]
    assert f'"reverts":"{done.mutation_id}"' in lake.events()[-1].context


def test_a_conflict_names_row_field_and_who(lake: Lake) -> None:
    """Nothing is undone; the later mutation is named where it is known."""
    lake.append({"id": ["a", "b"], "n": [1, 2]})
    done = lake.update(all_rows=True, set={"n": 5})
    later = lake.update(where="id = 'a'", set={"n": 7})
    with pytest.raises(Conflict) as caught:
        revert(lake, done, later=lambda cells: [later.mutation_id for _ in cells])
    assert caught.value.found == f"a n: 5 is 7 now, by mutation {later.mutation_id}"
    assert lake.rows() == [{"id": "a", "n": 7}, {"id": "b", "n": 5}]


def test_conflicts_can_be_skipped(lake: Lake) -> None:
    """The rest is undone, and what was passed over is counted."""
    lake.append({"id": ["a", "b"], "n": [1, 2]})
    done = lake.update(all_rows=True, set={"n": 5})
    lake.update(where="id = 'a'", set={"n": 7})
    result = revert(lake, done, skip_conflicts=True)
    assert (result.updated, result.conflicts) == (1, 1)
    assert lake.rows() == [{"id": "a", "n": 7}, {"id": "b", "n": 2}]


def test_an_inserted_row_goes_only_if_it_is_as_it_was(lake: Lake) -> None:
    """Changed, or gone, since: a conflict."""
    lake.append({"id": ["z"], "n": [0]})
    done = lake.append({"id": ["a", "b", "c"], "n": [1, 2, 3]})
    lake.update(keys="a", set={"n": 9})
    lake.delete(keys="b")
    with pytest.raises(Conflict, match="b \\*: the row is absent now"):
        revert(lake, done)
    assert revert(lake, done, skip_conflicts=True).deleted == 1
    assert [row["id"] for row in lake.rows()] == ["a", "z"]


def test_a_deleted_row_needs_its_key(lake: Lake) -> None:
    """Somebody else has the key now: a conflict."""
    lake.append({"id": ["a", "b"], "n": [1, 2]})
    done = lake.delete(all_rows=True)
    lake.append({"id": ["a"], "n": [1]})
    with pytest.raises(Conflict, match="another row with this key"):
        revert(lake, done)
    assert revert(lake, done, skip_conflicts=True).inserted == 1
    assert lake.rows() == [{"id": "a", "n": 1}, {"id": "b", "n": 2}]


def test_swapped_keys_are_swapped_back(lake: Lake) -> None:
    """Deletes are told before inserts, and both keys get their rows again."""
    lake.append({"id": ["a", "b"], "n": [1, 2]})
    swapped = Sql("case when id = 'a' then 'b' else 'a' end")
    done = lake.update(all_rows=True, set={"id": swapped})
    assert [event.action for event in lake.events()[-4:]] == ["delete"] * 2 + ["insert"] * 2
    revert(lake, done)
    assert lake.rows() == [{"id": "a", "n": 1}, {"id": "b", "n": 2}]


def test_a_reverted_ingest_works(lake: Lake) -> None:
    """The first file of a dataset, and one that brought a column, which stays."""
    first = lake.append({"id": ["a"], "n": [1]}, ingest=NOTE)
    second = lake.upsert({"id": ["a", "b"], "n": [2, 2], "x": [5, 5]}, ingest=NOTE)
    revert(lake, second)
    assert lake.rows() == [{"id": "a", "n": 1, "x": None}]
    revert(lake, first)
    assert lake.rows() == []


@pytest.mark.parametrize("input_bytes", [1, 1 << 29])
def test_more_events_than_memory_go_by_files(input_bytes: int) -> None:
    """Where every file of the commit is untouched; the journal is told the same."""
    lake = Lake(open_store("memory://"), settings=TableSettings())
    lake.append({"id": ["a", "b"], "n": [1, 2]})
    done = lake.upsert({"id": ["b", "c"], "n": [3, 3]})
    small = Lake(lake.store, dataset=lake.dataset, settings=TableSettings(input_bytes=input_bytes))
    result = revert(small, done)
    assert (result.updated, result.deleted) == (1, 1)
    assert lake.rows() == [{"id": "a", "n": 1}, {"id": "b", "n": 2}]
    told = sorted((event.action, event.entity_id) for event in lake.events()[-2:])
    assert told == [("delete", "c"), ("update", "b")]


def test_by_files_a_key_has_to_be_free() -> None:
    """Rows that come back do not double one that is there."""
    lake = Lake(open_store("memory://"))
    lake.append({"id": ["a"], "n": [1]})
    lake.append({"id": ["b"], "n": [1]})
    done = lake.delete(keys="a")
    lake.append({"id": ["a"], "n": [5]})
    small = Lake(lake.store, dataset=lake.dataset, settings=TableSettings(input_bytes=1))
    with pytest.raises(InvalidInput, match="already in the dataset"):
        revert(small, done)
    assert len(lake.rows()) == 2


def test_without_a_key_files_go_and_come(unkeyed: Lake) -> None:
    """An append, and a delete before another append."""
    unkeyed.append({"a": [1, 1, 2]})
    done = unkeyed.delete(where="a = 2")
    appended = unkeyed.append({"a": [2, 3]})
    assert revert(unkeyed, done).inserted == 1
    assert revert(unkeyed, appended).deleted == 2
    assert [row["a"] for row in unkeyed.rows()] == [1, 1, 2]


def test_without_a_key_touched_files_are_refused(unkeyed: Lake) -> None:
    """Rows cannot be told apart, so a later change of the file stands in the way."""
    done = unkeyed.append({"a": [1, 2]})
    unkeyed.update(where="a = 2", set={"a": 3})
    with pytest.raises(Conflict, match="changed or moved"):
        revert(unkeyed, done)
    assert len(unkeyed.rows()) == 2


def test_without_a_key_vacuumed_files_are_refused(unkeyed: Lake) -> None:
    """What the commit removed is gone for good."""
    unkeyed.append({"a": [1, 2]})
    (gone,) = unkeyed.files()
    done = unkeyed.update(where="a = 2", set={"a": 3})
    unkeyed.store.delete(f"{unkeyed.dataset.location}/{gone}")
    with pytest.raises(NotFound, match="removed for good"):
        revert(unkeyed, done)


def test_columns_are_not_undone_by_a_revert(lake: Lake) -> None:
    """A mutation that dropped a column says what to do instead."""
    lake.append({"id": ["a"], "n": [1], "x": [1]})
    lake.update(all_rows=True, set={"x": 2})
    back = lake.tables.restore(lake.dataset, version=0, author=ADA)
    revert(lake, back)
    other = Lake(open_store("memory://"))
    other.append({"id": ["a"], "n": [1]})
    other.upsert({"id": ["a"], "x": [1]})
    dropped = other.tables.restore(other.dataset, version=0, author=ADA)
    with pytest.raises(InvalidInput, match="change of columns"):
        revert(other, dropped)


def test_a_column_of_another_type_is_a_conflict(lake: Lake) -> None:
    """The old text is no value of the column that has the name now."""
    lake.append({"id": ["a"], "n": ["text"], "z": [1]})
    done = lake.update(all_rows=True, set={"n": "other"})
    lake.tables.restore(lake.dataset, version=0, author=ADA)
    from lakecore.tables import AddColumn, DropColumn

    changes = [DropColumn("n"), AddColumn("n", "long")]
    lake.tables.alter_columns(lake.dataset, changes, author=ADA)
    with pytest.raises(Conflict, match="another type"):
        revert(lake, done)


def test_events_of_something_else_are_refused(lake: Lake) -> None:
    """No rows to undo, and columns that are no events."""
    done = lake.append({"id": ["a"], "n": [1]})
    for events in ([], [pa.table({"a": [1]})]):
        with pytest.raises(InvalidInput):
            lake.tables.revert(lake.dataset, done.mutation_id, version=0, events=events, author=ADA)
