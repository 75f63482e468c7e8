"""Index files of format 1 are read as they were written, and written as they are read."""

from __future__ import annotations

import pytest
from tests.golden import generate_index_v1 as golden

from lakecore.journal._events.leaf import leaf_lines
from lakecore.journal._index import layout
from lakecore.storage import open_store


@pytest.mark.parametrize("is_stored", [True, False], ids=["stored", "generated"])
def test_the_lines(is_stored: bool) -> None:
    """Lines and postings of the stored file are those of today.

    The bytes of a block may differ with the release of the compressor, its lines may not.
    """
    store = open_store("memory://")
    data = golden.LINES.read_bytes() if is_stored else golden.lines_bytes()
    store.put(golden.lines_name().path, data)
    file = golden.opened(store).get(golden.lines_name())
    found = [line for n in range(file.trailer.block_count) for line in file.block(n).lines()]
    assert found == leaf_lines(golden.table()).to_pylist()
    for row, entity_id in enumerate(golden.table().column("entity_id").to_pylist()):
        assert row in (file.positions(layout.key_of(entity_id)) or ())


@pytest.mark.parametrize("is_stored", [True, False], ids=["stored", "generated"])
def test_the_postings(is_stored: bool) -> None:
    """The merged postings of the stored file are those of today, to the byte."""
    store = open_store("memory://")
    data = golden.POSTINGS.read_bytes() if is_stored else golden.postings_bytes()
    store.put(golden.postings_name().path, data)
    file = golden.opened(store).get(golden.postings_name())
    ids = golden.table().column("entity_id").to_pylist()
    for entity_id in set(ids):
        places = [row for row, other in enumerate(ids) if other == entity_id]
        assert list(file.positions(layout.key_of(entity_id)) or ()) == places
    assert golden.postings_bytes() == golden.POSTINGS.read_bytes()
