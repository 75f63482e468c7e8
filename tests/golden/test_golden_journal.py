"""Staged files and segments of all formats are read as they were written."""

from __future__ import annotations

import io
from dataclasses import replace

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from tests.golden import generate_journal_v1 as golden

from lakecore.journal import StagedReader, event_schema
from lakecore.journal._commits.staged import staged_path
from lakecore.journal._events.event import with_seq
from lakecore.journal._events.hashing import hash_events
from lakecore.journal._log.segment import LEAF_CHECK, checksum_of, read_footer, segment_path
from lakecore.storage import Store, open_store


@pytest.fixture
def store() -> Store:
    """A lake with the stored files, and beside it the generated ones."""
    return open_store("memory://")


@pytest.mark.parametrize("which", ["v1", "v2", "generated"])
def test_the_staged_file(store: Store, which: str) -> None:
    """Header, events, count and digest of the stored file are those that are written today."""
    stored = {"v1": golden.STAGED_V1, "v2": golden.STAGED}
    data = stored[which].read_bytes() if which in stored else golden.staged_bytes()
    store.create(staged_path(golden.COMMIT_ID), data)
    reader = StagedReader(store, staged_path(golden.COMMIT_ID))
    assert reader.header().target == golden.TARGET
    assert reader.header().commit_id == golden.COMMIT_ID
    assert reader.header().format == (1 if which == "v1" else 2)
    assert pa.Table.from_batches(reader.batches()).equals(golden.table())
    assert reader.check()[0] == golden.table().num_rows


@pytest.mark.parametrize("is_stored", [True, False], ids=["stored", "generated"])
def test_the_segment(store: Store, is_stored: bool) -> None:
    """Rows, leaf checks, footer and checksum of the stored file are those of today."""
    data = golden.SEGMENT.read_bytes() if is_stored else golden.segment_bytes()
    path = segment_path(golden.FIRST_SEQ)
    store.create(path, data)
    stored, found = checksum_of(data)
    assert stored == found
    assert replace(read_footer(store, path), checksum="") == golden.footer()
    table = pq.read_table(io.BytesIO(data))
    assert table.select(event_schema().names).equals(with_seq(golden.table(), golden.FIRST_SEQ))
    checks = b"".join(row[:4].tobytes() for row in hash_events(golden.table()))
    assert table.column(LEAF_CHECK).to_numpy().astype("<i4").tobytes() == checks
