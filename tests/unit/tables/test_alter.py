"""Columns added, renamed, dropped and widened: one version, events of columns, plain files."""

from __future__ import annotations

import json
from datetime import UTC, date, datetime
from decimal import Decimal

import polars as pl
import pyarrow as pa
import pytest
from tests.unit.tables.conftest import ADA, Lake, Ref

from lakecore.base import InvalidInput
from lakecore.tables import (
    AddColumn,
    ColumnChange,
    DropColumn,
    MutationResult,
    RenameColumn,
    WidenColumn,
    column_changes,
    renamed_key,
)


def alter(lake: Lake, *changes: ColumnChange, dry_run: bool = False) -> MutationResult:
    """These changes as one version."""
    return lake.tables.alter_columns(lake.dataset, changes, author=ADA, dry_run=dry_run)


def test_adding_writes_the_log_alone(lake: Lake) -> None:
    """Null in every row; nested types by their JSON."""
    lake.append({"id": ["a"], "n": [1]})
    files = lake.files()
    nested = '{"type":"array","elementType":"long","containsNull":true}'
    result = alter(lake, AddColumn("l", nested), AddColumn("d", "decimal(10,2)"))
    assert (result.version, result.events, lake.files()) == (1, 2, files)
    assert lake.rows() == [{"id": "a", "n": 1, "l": None, "d": None}]
    lake.upsert({"id": ["a"], "l": [[1, None]], "d": [Decimal("1.50")]})
    assert lake.rows()[0]["l"] == [1, None]


def test_one_version_of_all_four(lake: Lake) -> None:
    """The events say what became of each column; no row is told."""
    lake.append({"id": ["a"], "n": pa.array([1], pa.int8()), "t": ["x"]})
    result = alter(
        lake,
        *column_changes(
            add={"day": "date"}, rename={"n": "number"}, drop=["t"], widen={"number": "short"}
        ),
    )
    assert (result.version, result.updated, result.events) == (1, 0, 4)
    told = [(e.action, e.field, e.old_value, e.new_value) for e in lake.events()[-4:]]
    assert told == [
        ("drop_column", "t", '"string"', None),
        ("rename_column", "n", '"n"', '"number"'),
        ("widen_column", "number", '"byte"', '"short"'),
        ("add_column", "day", None, '"date"'),
    ]
    assert {event.entity_type for event in lake.events()[-4:]} == {"schema"}
    expected = {"id": "a", "number": 1, "day": None}
    assert lake.rows() == [expected]
    uri = lake.store.table_uri(lake.dataset.location)
    assert pl.read_delta(uri).to_dicts() == [expected]
    assert not any("protocol" in action for action in lake.log(1))


def test_a_dropped_column_does_not_come_back(lake: Lake) -> None:
    """A later column of the same name, or a restored version, shows no old values."""
    lake.append({"id": ["a"], "n": [1]})
    alter(lake, DropColumn("n"))
    alter(lake, AddColumn("n", "long"))
    assert lake.rows() == [{"id": "a", "n": None}]
    lake.tables.restore(lake.dataset, version=1, author=ADA)
    assert lake.rows() == [{"id": "a"}]
    alter(lake, AddColumn("n", "string"))
    assert lake.rows() == [{"id": "a", "n": None}]


@pytest.mark.parametrize(
    ("values", "kind", "wider", "expected"),
    [
        (pa.array([-128, None], pa.int8()), "short", pa.int16(), [-128, None]),
        (pa.array([1, None], pa.int16()), "int32", pa.int32(), [1, None]),
        (pa.array([2**31 - 1, None], pa.int32()), "bigint", pa.int64(), [2**31 - 1, None]),
        (pa.array([1.5, None], pa.float32()), "double", pa.float64(), [1.5, None]),
        (
            pa.array([Decimal("1.50"), None], pa.decimal128(5, 2)),
            "decimal(9,3)",
            pa.decimal128(9, 3),
            [Decimal("1.500"), None],
        ),
        (
            pa.array([date(2026, 1, 31), None]),
            "timestamp",
            pa.timestamp("us", tz="UTC"),
            [datetime(2026, 1, 31, tzinfo=UTC), None],
        ),
        (
            pa.array([date(1969, 12, 31), None]),
            "timestamp_ntz",
            pa.timestamp("us"),
            [datetime(1969, 12, 31), None],
        ),
    ],
    ids=str,
)
def test_widening_keeps_every_value(
    lake: Lake, values: pa.Array, kind: str, wider: pa.DataType, expected: list[object]
) -> None:
    """Each pair of types; the difference of the two versions is the column alone."""
    lake.append({"id": ["a", "b"], "v": values})
    alter(lake, WidenColumn("v", kind))
    assert lake.arrow().schema.field("v").type == wider
    assert lake.arrow().sort_by("id")["v"].to_pylist() == expected
    assert lake.update(where="v is null", set={"v": None}).version is None
    found = pa.concat_tables(lake.tables.diff(lake.dataset, 0, 1)).to_pylist()
    assert [row["action"] for row in found] == ["change_column"]
    back = lake.tables.restore(lake.dataset, version=0, author=ADA)
    assert (back.updated, lake.arrow().schema.field("v").type) == (0, values.type)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ([DropColumn("id")], "key column cannot be dropped"),
        ([DropColumn("nn")], "did you mean 'n'"),
        ([RenameColumn("n", "ID")], "differ at most by case"),
        ([RenameColumn("n", "")], "not a column name"),
        ([AddColumn("n", "long")], "differ at most by case"),
        ([AddColumn("x", "intervall")], "not a type of a column"),
        ([WidenColumn("n", "int")], "does not hold every value"),
        ([WidenColumn("n", "double")], "does not hold every value"),
        ([WidenColumn("d", "decimal(5,3)")], "does not hold every value"),
        ([WidenColumn("d", "decimal(4,2)")], "does not hold every value"),
        ([DropColumn("n"), RenameColumn("n", "m")], "no such column"),
        ([], "no columns to change"),
    ],
    ids=str,
)
def test_what_cannot_be(lake: Lake, changes: list[ColumnChange], message: str) -> None:
    """Refused, with what would be right; the table stays as it was."""
    lake.append({"id": ["a"], "n": [1], "d": pa.array([Decimal("1.5")], pa.decimal128(4, 1))})
    files = lake.files()
    with pytest.raises(InvalidInput) as caught:
        alter(lake, *changes)
    assert message in f"{caught.value} {caught.value.hint}"
    assert (lake.files(), lake.arrow().num_columns) == (files, 3)


def test_a_dry_run_writes_nothing(lake: Lake) -> None:
    """Events are counted; a change of nothing is none."""
    lake.append({"id": ["a"], "n": [1]})
    files = lake.files()
    assert alter(lake, DropColumn("n"), dry_run=True).events == 1
    assert lake.files() == files
    assert alter(lake, RenameColumn("n", "n"), WidenColumn("n", "long")).version is None


def test_a_renamed_key_is_a_key(lake: Lake) -> None:
    """With the new name the dataset is changed as before; statistics follow."""
    lake.append({"id": pa.array([1, 2], pa.int32()), "n": [1, 2]})
    changes = [RenameColumn("id", "number"), WidenColumn("number", "long")]
    alter(lake, *changes)
    renamed = Ref(key=renamed_key(("id",), changes), dataset_id=lake.dataset.dataset_id)
    assert renamed.key == ("number",)
    assert lake.tables.update(renamed, keys=[2, 3], set={"n": 9}, author=ADA).missing == 1
    added = next(action["add"] for action in lake.log(1) if "add" in action)
    assert json.loads(added["stats"])["maxValues"]["number"] == 2


def test_a_key_whose_text_would_change_is_not_widened(lake: Lake) -> None:
    """Its text names the rows in the journal."""
    lake.append({"id": pa.array([date(2026, 1, 31)]), "n": [1]})
    with pytest.raises(InvalidInput, match="text in the journal"):
        alter(lake, WidenColumn("id", "timestamp"))


def test_without_data_there_are_no_columns(lake: Lake) -> None:
    """They come with the first rows."""
    with pytest.raises(InvalidInput, match="no data yet"):
        alter(lake, AddColumn("n", "long"))


def test_a_column_that_goes_and_comes_in_one_change_is_empty(lake: Lake) -> None:
    """Of the same name and type, at the same place: it is another column all the same."""
    lake.append({"id": ["a"], "n": [1], "m": [2]})
    changes = [DropColumn("n"), RenameColumn("m", "n"), AddColumn("m", "long")]
    assert alter(lake, *changes).version == 1
    assert lake.rows() == [{"id": "a", "n": 2, "m": None}]
    assert alter(lake, DropColumn("m"), AddColumn("m", "long")).version == 2
    assert alter(lake, RenameColumn("m", "x"), RenameColumn("x", "m")).version is None
    assert lake.rows() == [{"id": "a", "n": 2, "m": None}]
