"""A data file that was stored, and whose answer was lost: the adapter's second try meets it."""

from __future__ import annotations

import pyarrow as pa
import pytest
from tests.fakes.faulty_store import Fault, FaultyStore

from lakecore.base import AlreadyExists
from lakecore.storage import open_store
from lakecore.tables import TableSettings
from lakecore.tables._write import FileWriter

ROWS = pa.table({"id": [1, 2, 3]})


def _writer(store: FaultyStore) -> FileWriter:
    writer = FileWriter(store, "tables/t", ROWS.schema, TableSettings())
    writer.write(ROWS)
    return writer


def test_it_is_the_file() -> None:
    """Its name is its own, and its bytes are those that were written."""
    store = FaultyStore(open_store("memory://"), {1: Fault.AFTER}, error=AlreadyExists)
    added = _writer(store).finish()
    assert added is not None
    assert len(store.get(f"tables/t/{added.path}")) == added.size_bytes


def test_something_else_is_not() -> None:
    """Other bytes under its name are an error, as they are anywhere."""
    store = FaultyStore(open_store("memory://"))
    writer = _writer(store)
    writer._write_groups(everything=True)
    store.put(f"tables/t/{writer._name}", b"other")
    with pytest.raises(AlreadyExists):
        writer.finish()
