"""What an update reads and writes of a table's files: no more than it changes."""

from __future__ import annotations

import io
import json
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from deltalake import DeltaTable
from tests.unit.tables.conftest import Lake

from lakecore.base import CorruptData
from lakecore.storage import open_store
from lakecore.tables import Sql, TableSettings
from lakecore.tables._patched import layout_of
from lakecore.tables._read import FileReader

SETTINGS = TableSettings(row_group_rows=10)
COUNT = 30


@pytest.fixture
def lake(tmp_path: Path) -> Lake:
    """Thirty rows in one file of three row groups."""
    lake = Lake(open_store(str(tmp_path / "lake")), settings=SETTINGS)
    lake.append(rows())
    return lake


def rows() -> dict[str, list[Any]]:
    """Columns of every kind that matters here."""
    numbers = range(COUNT)
    return {
        "id": list(numbers),
        "name": [f"n{n}" for n in numbers],
        "seats": [n % 5 for n in numbers],
        "ratio": [n / 4 for n in numbers],
    }


def chunks(lake: Lake, version: int) -> dict[tuple[int, str], bytes]:
    """The bytes of each column of each row group of the only file that a version adds."""
    (added,) = [action["add"]["path"] for action in lake.log(version) if "add" in action]
    path = f"{lake.dataset.location}/{added}"
    view = lake.tables.open(lake.dataset, version=version)
    assert view is not None
    layout = layout_of(lake.store, path, view.schema, SETTINGS)
    assert layout is not None
    data = lake.store.get(path)
    return {
        (number, chunk.path[0].decode()): data[chunk.start : chunk.start + chunk.size_bytes]
        for number, group in enumerate(layout.groups)
        for chunk in group.chunks
    }


def differing(lake: Lake, old: int, new: int) -> list[tuple[int, str]]:
    """What of a file is not a copy."""
    before, after = chunks(lake, old), chunks(lake, new)
    assert before.keys() == after.keys()
    return sorted(key for key in before if before[key] != after[key])


def test_an_update_writes_what_it_changes(lake: Lake) -> None:
    """The columns that change in the row groups in which they do."""
    lake.update(where="id = 3 or id = 15", set={"seats": Sql("seats + 10"), "name": "x"})
    assert differing(lake, 0, 1) == [(0, "name"), (0, "seats"), (1, "name"), (1, "seats")]
    lake.update(where="id >= 10", set={"seats": Sql("case when id = 25 then 99 else seats end")})
    assert differing(lake, 1, 2) == [(2, "seats")]
    lake.upsert({"id": [7], "name": ["n7"], "seats": [70], "ratio": [1.75]})
    assert differing(lake, 2, 3) == [(0, "seats")]
    expected = rows()
    for row, seats in ((3, 13), (15, 10), (25, 99), (7, 70)):
        expected["seats"][row] = seats
    for row in (3, 15):
        expected["name"][row] = "x"
    assert lake.arrow().sort_by("id").to_pydict() == expected
    assert pa.table(DeltaTable(lake.store.table_uri(lake.dataset.location)).to_pyarrow_table())


def test_a_key_that_changes(lake: Lake) -> None:
    """The row is journaled whole; of the file only the key is new."""
    lake.update(where="id = 12", set={"id": 100})
    assert differing(lake, 0, 1) == [(1, "id")]
    assert [(e.action, e.entity_id, e.old_value, e.new_value) for e in lake.events()[-2:]] == [
        ("delete", "12", '{"id":12,"name":"n12","ratio":3.0,"seats":2}', None),
        ("insert", "100", None, '{"id":100,"name":"n12","ratio":3.0,"seats":2}'),
    ]


def test_an_update_reads_what_it_needs(lake: Lake, monkeypatch: pytest.MonkeyPatch) -> None:
    """Of row groups that are hit the columns that matter; of others the condition's."""
    read: list[tuple[int, tuple[str, ...] | None]] = []
    chunk = FileReader.chunk

    def seen(reader: FileReader, index: int, columns: Any = None) -> pa.Table:
        read.append((index, None if columns is None else tuple(columns)))
        return chunk(reader, index, columns)

    monkeypatch.setattr(FileReader, "chunk", seen)
    lake.update(where="name = 'n12'", set={"seats": Sql("id * 2")})
    assert read == [(0, ("name",)), (1, ("name",)), (2, ("name",)), (1, ("id", "seats"))]


def test_deletes_and_others_files_are_written_whole(lake: Lake) -> None:
    """Rows that go change every column; another writer's file becomes one of ours."""
    lake.delete(where="id = 3")
    table = DeltaTable(lake.store.table_uri(lake.dataset.location))
    table.update(updates={"seats": "0"}, predicate="id = 4")
    assert lake.update(where="id = 5", set={"seats": 9}).updated == 1
    (added,) = [action["add"]["path"] for action in lake.log(3) if "add" in action]
    data = lake.store.get(f"{lake.dataset.location}/{added}")
    assert pq.read_metadata(io.BytesIO(data)).created_by.startswith("parquet-cpp-arrow")
    assert lake.arrow().num_rows == COUNT - 1


@pytest.mark.parametrize("first", [float("nan"), 0.5])
def test_bounds_of_floats(tmp_path: Path, first: float) -> None:
    """A column that is copied has bounds where it had them: none, where it may hold a NaN."""
    lake = Lake(open_store(str(tmp_path / "lake")), settings=SETTINGS)
    lake.append({"id": [1, 2], "ratio": [first, 1.5], "seats": [1, 2]})
    lake.update(where="id = 2", set={"seats": 7})
    (stats,) = [json.loads(a["add"]["stats"]) for a in lake.log(1) if "add" in a]
    known = first == first
    assert ("ratio" in stats["minValues"]) is known is ("ratio" in stats["maxValues"])
    assert (stats["minValues"]["seats"], stats["maxValues"]["seats"]) == (1, 7)
    assert lake.update(where="ratio > 900", set={"seats": 8}).updated == (0 if known else 1)


def test_a_damaged_source_changes_nothing(lake: Lake) -> None:
    """A file that is cut off is an error that names it; the table and the folder stay."""
    (name,) = lake.files()
    path = lake.store.local_path(f"{lake.dataset.location}/{name}")
    assert path is not None
    path.chmod(0o644)
    data = path.read_bytes()
    # The footer says that the last column has more bytes than there are.
    path.write_bytes(data[:-200] + data[-100:])
    with pytest.raises(CorruptData, match=name):
        lake.update(where="id = 3", set={"seats": 9})
    assert lake.files() == {name}
