"""Branches by reference, and three ways of merging held against a model of rows."""

from __future__ import annotations

import uuid
from dataclasses import replace
from typing import Any

import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.unit.tables.conftest import ADA, Lake, Ref

from lakecore.base import Conflict, CorruptData, NotFound
from lakecore.storage import open_store
from lakecore.tables import AddColumn, DropColumn, MergeConflicts, TableSettings, file_path
from lakecore.tables._places import is_outside

BRANCH = Ref(location="workspaces/w/main/planes")
UNKEYED_BRANCH = Ref(key=(), location="workspaces/w/main/planes")
SMALL = TableSettings(file_rows=3, row_group_rows=2)
FIRST = [{"id": number, "a": number, "b": number} for number in range(6)]


def _branched(lake: Lake, branch: Ref = BRANCH) -> Lake:
    """The same lake with the branch as its dataset."""
    version = lake.tables.newest_version(lake.dataset)
    assert lake.tables.branch(branch, lake.dataset, version=version, author=ADA)
    other = Lake(lake.store, dataset=branch)
    other.tables = lake.tables
    return other


def _merge(lake: Lake, branch: Lake, base_version: int = 0, **options: Any) -> Any:
    return lake.tables.merge(
        lake.dataset,
        branch_id=branch.dataset.dataset_id,
        branch_location=branch.dataset.location,
        branch_version=lake.tables.newest_version(branch.dataset),
        base_version=base_version,
        author=ADA,
        **options,
    )


def _content(lake: Lake) -> list[dict[str, Any]]:
    """The rows, by our own diff from nothing: it resolves references like every reader."""
    from lakecore.tables._read import FileReader

    view = lake.tables.open(lake.dataset)
    assert view is not None
    rows = []
    for path in pa.table(view.delta.get_add_actions()).column("path").to_pylist():
        place = file_path(lake.dataset.location, path)
        with FileReader(lake.store, place, view.schema, TableSettings()) as reader:
            rows += [row for chunk in reader.chunks() for row in chunk.to_pylist()]
    return sorted(rows, key=repr)


@pytest.mark.parametrize(
    ("location", "path", "wanted"),
    [
        ("tables/main/p", "a.parquet", "tables/main/p/a.parquet"),
        ("tables/main/p", "a%20b.parquet", "tables/main/p/a b.parquet"),
        ("workspaces/w/main/p", "../../../../tables/main/p/a.parquet", "tables/main/p/a.parquet"),
        ("workspaces/w/main/p", "%2E%2E/q/a.parquet", "workspaces/w/main/q/a.parquet"),
        ("tables/main/p", "../q/a.parquet", None),
        ("workspaces/w/main/p", "../../../../../a.parquet", None),
        ("tables/main/p", "s3://bucket/a.parquet", None),
        ("tables/main/p", "/a.parquet", None),
    ],
)
def test_files_are_found_where_the_log_says(location: str, path: str, wanted: str | None) -> None:
    """References are resolved below workspaces/ alone, and never leave the lake."""
    if wanted is None:
        assert is_outside(location, path)
        with pytest.raises(CorruptData):
            file_path(location, path)
    else:
        assert file_path(location, path) == wanted


def test_a_branch_has_the_rows_and_none_of_the_bytes(lake: Lake) -> None:
    """Its first version refers to the base's files; a change writes only what it touches."""
    lake.append(FIRST)
    branch = _branched(lake)
    assert _content(branch) == _content(lake)
    assert branch.files() == set()
    before = lake.files()
    branch.update(where="id = 3", set={"a": 33})
    branch.delete(where="id = 5")
    assert lake.files() == before
    assert [row["a"] for row in _content(branch)] == [0, 1, 2, 33, 4]
    assert [row["a"] for row in _content(lake)] == [0, 1, 2, 3, 4, 5]
    assert not lake.tables.branch(BRANCH, lake.dataset, version=0, author=ADA)


def test_a_branch_reads_after_a_checkpoint(lake: Lake) -> None:
    """References survive checkpoints, and restoring the first version brings them back."""
    lake.append(FIRST)
    branch = _branched(lake)
    branch.update(where="id = 3", set={"a": 33})
    view = lake.tables.open(branch.dataset)
    assert view is not None
    view.delta.create_checkpoint()
    fresh = Lake(lake.store, dataset=branch.dataset)
    assert [row["a"] for row in _content(fresh)] == [0, 1, 2, 33, 4, 5]
    lake.tables.restore(branch.dataset, version=0, author=ADA)
    assert _content(branch) == _content(lake)


def test_datafusion_reads_a_branch(lake: Lake) -> None:
    """The table provider resolves the references: SQL reads a branch like any table."""
    from datafusion import SessionContext

    lake.append(FIRST)
    branch = _branched(lake)
    branch.update(where="id = 3", set={"a": 33})
    view = lake.tables.open(branch.dataset)
    context = SessionContext()
    context.register_table("planes", view.delta)  # type: ignore[union-attr, arg-type]  # is there
    assert context.sql("select sum(a) as s from planes").to_pydict() == {"s": [45]}


def test_a_base_that_others_cleaned_is_named(lake: Lake) -> None:
    """Neither branching, comparing nor merging goes on without the base's files."""
    lake.append(FIRST)
    branch = _branched(lake)
    branch.update(where="id = 3", set={"a": 33})
    for name in lake.files():
        lake.store.delete(f"{lake.dataset.location}/{name}")
    for call in (
        lambda: list(lake.tables.branch_diff(branch.dataset)),
        lambda: _merge(lake, branch),
        lambda: lake.tables.branch(
            replace(BRANCH, location="workspaces/x/main/planes"),
            lake.dataset,
            version=0,
            author=ADA,
        ),
    ):
        with pytest.raises(NotFound, match="are gone"):
            call()


def test_conflicts_are_named_and_resolved_one_by_one(lake: Lake) -> None:
    """One cell each way, a row that one side deleted, and a key that both inserted."""
    lake.append(FIRST)
    branch = _branched(lake)
    branch.upsert([{"id": 1, "a": 10}, {"id": 2, "a": 20}])
    branch.delete(where="id in (3)")
    branch.update(where="id = 4", set={"b": 40})
    branch.append([{"id": 9, "a": 9, "b": 9}])
    lake.upsert([{"id": 1, "a": 11}, {"id": 2, "a": 21}])
    lake.update(where="id = 3", set={"b": 31})
    lake.delete(where="id = 4")
    lake.append([{"id": 9, "a": 9, "b": 8}])
    before = _content(lake)
    with pytest.raises(MergeConflicts) as caught:
        _merge(lake, branch)
    assert [
        (one.entity_id, one.field, one.base, one.ours, one.theirs) for one in caught.value.conflicts
    ] == [
        ("1", "a", "1", "10", "11"),
        ("2", "a", "2", "20", "21"),
        ("4", "*", '{"a":4,"b":4,"id":4}', '{"a":4,"b":40,"id":4}', None),
        ("3", "*", '{"a":3,"b":3,"id":3}', None, '{"a":3,"b":31,"id":3}'),
        ("9", "b", None, "9", "8"),
    ]
    assert _content(lake) == before
    chosen = [["1", "a", "ours"], ["2", "*", "theirs"], ["4", "*", "ours"]]
    result = _merge(lake, branch, resolutions=chosen, on_conflict="theirs")
    assert (result.inserted, result.updated, result.deleted) == (1, 1, 0)
    assert {row["id"]: (row["a"], row["b"]) for row in _content(lake)} == {
        0: (0, 0),
        1: (10, 1),
        2: (21, 2),
        3: (3, 31),
        4: (4, 40),
        5: (5, 5),
        9: (9, 8),
    }


def test_a_merge_happens_once(lake: Lake) -> None:
    """The same mutation again finds the version that has it, and changes nothing."""
    lake.append(FIRST)
    branch = _branched(lake)
    branch.update(where="id = 3", set={"a": 33})
    first = _merge(lake, branch, mutation_id="m")
    lake.update(where="id = 3", set={"a": 34})
    again = _merge(lake, branch, mutation_id="m")
    assert (first.version, again.version, again.committed) == (1, 1, False)
    assert lake.tables.newest_version(lake.dataset) == 2


def test_added_columns_are_merged_others_refused(lake: Lake) -> None:
    """A column of the branch comes along; one that it dropped is a conflict, before any row."""
    lake.append(FIRST)
    branch = _branched(lake)
    branch.append([{"id": 7, "a": 7, "b": 7, "c": "x"}])
    lake.append([{"id": 8, "a": 8, "b": 8, "d": 1.5}])
    _merge(lake, branch)
    assert {row["id"]: (row["c"], row["d"]) for row in _content(lake)}[7] == ("x", None)
    lake.tables.alter_columns(branch.dataset, [DropColumn("b")], author=ADA)
    with pytest.raises(Conflict, match="dropped or renamed here"):
        _merge(lake, branch)


def test_a_column_added_by_both_has_one_type(lake: Lake) -> None:
    """Two types are a conflict that names the column."""
    lake.append(FIRST)
    branch = _branched(lake)
    lake.tables.alter_columns(branch.dataset, [AddColumn("c", "string")], author=ADA)
    lake.tables.alter_columns(lake.dataset, [AddColumn("c", "long")], author=ADA)
    with pytest.raises(Conflict, match="two types"):
        _merge(lake, branch)


def test_unkeyed_rows_are_merged_by_content(unkeyed: Lake) -> None:
    """Rows are added, and removed as often as the branch removed them."""
    lake = unkeyed
    lake.append({"a": [1, 1, 1, 2, 3]})
    branch = _branched(lake, UNKEYED_BRANCH)
    branch.replace({"a": [1, 2, 3, 9]})
    lake.append({"a": [5]})
    result = _merge(lake, branch)
    assert (result.inserted, result.deleted) == (1, 2)
    assert [row["a"] for row in _content(lake)] == [1, 2, 3, 5, 9]
    last = lake.events()[-1]
    assert (last.action, last.dataset_id) == ("merge", lake.dataset.dataset_id)


@pytest.mark.parametrize(("side", "wanted"), [("ours", [1, 9]), ("theirs", [1, 8])])
def test_an_unkeyed_row_that_both_removed_is_a_conflict(
    unkeyed: Lake, side: str, wanted: list[int]
) -> None:
    """What became of it cannot be told: somebody has to say which side counts."""
    lake = unkeyed
    lake.append({"a": [1, 2]})
    branch = _branched(lake, UNKEYED_BRANCH)
    branch.replace({"a": [1, 9]})
    lake.replace({"a": [1, 8]})
    with pytest.raises(MergeConflicts):
        _merge(lake, branch)
    if side == "ours":
        wanted = [1, 8, 9]
    _merge(lake, branch, on_conflict=side)
    assert [row["a"] for row in _content(lake)] == wanted


# -- a model ------------------------------------------------------------------------------

_VALUE = st.one_of(st.none(), st.integers(0, 2))
_ROWS = st.dictionaries(st.integers(0, 5), st.tuples(_VALUE, _VALUE), max_size=6)


def _table(rows: dict[int, tuple[Any, Any]]) -> pa.Table:
    schema = pa.schema([("id", pa.int64()), ("a", pa.int64()), ("b", pa.int64())])
    return pa.Table.from_pylist(
        [{"id": key, "a": a, "b": b} for key, (a, b) in rows.items()], schema=schema
    )


def _modelled(base: Any, ours: Any, theirs: Any, side: str | None) -> tuple[Any, int]:
    """What main should be, and how many conflicts there are."""
    found: dict[int, tuple[Any, Any]] = {}
    conflicts = 0
    for key in base.keys() | ours.keys() | theirs.keys():
        was, mine, other = base.get(key), ours.get(key), theirs.get(key)
        if mine in (was, other):
            new = other
        elif other == was:
            new = mine
        elif mine is None or other is None:
            conflicts += 1
            new = mine if side == "ours" else other
        else:
            cells = []
            for position in range(2):
                start = was[position] if was is not None else ...
                here, there = mine[position], other[position]
                if here in (start, there) and (here == there or was is not None):
                    cells.append(there)
                elif there == start:
                    cells.append(here)
                else:
                    conflicts += 1
                    cells.append(here if side == "ours" else there)
            new = (cells[0], cells[1])
        if new is not None:
            found[key] = new
    return found, conflicts


@settings(max_examples=60, deadline=None)
@given(base=_ROWS, ours=_ROWS, theirs=_ROWS, side=st.sampled_from([None, "ours", "theirs"]))
def test_merges_are_as_the_model_says(base: Any, ours: Any, theirs: Any, side: str | None) -> None:
    """Any three states: the rows after it, or how many conflicts it names."""
    store = open_store("memory://")
    ref = Ref(dataset_id=str(uuid.uuid4()))
    lake = Lake(store, dataset=ref, settings=SMALL)
    lake.append(_table(base))
    branch = _branched(lake)
    branch.replace(_table(ours))
    lake.replace(_table(theirs))
    wanted, conflicts = _modelled(base, ours, theirs, side)
    if side is None and conflicts:
        with pytest.raises(MergeConflicts) as caught:
            _merge(lake, branch)
        assert caught.value.count == conflicts
    else:
        _merge(lake, branch, on_conflict=side)
        assert {row["id"]: (row["a"], row["b"]) for row in _content(lake)} == wanted
    store.close()
