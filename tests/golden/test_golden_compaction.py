"""Runs and stubs of format 1 are read as they were written."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
from tests.fakes.compaction import small_ranges
from tests.fakes.journals import open_journal, sealed_ids
from tests.golden import generate_compaction_v1 as golden

from lakecore.journal._log.segment import Moved, checksum_of, read_footer, segment_path
from lakecore.storage import Store, open_store


def lake(*, is_stored: bool) -> Store:
    """A lake with the stored files, or with those that are written today."""
    store = golden.compacted()
    if is_stored:
        store.put(golden.RUN_PATH, golden.RUN.read_bytes())
        store.put(golden.STUB_PATH, golden.STUB.read_bytes())
    return store


@pytest.mark.parametrize("is_stored", [True, False], ids=["stored", "generated"])
def test_a_run_and_its_stub(tmp_path: Path, is_stored: bool) -> None:
    """Footers, checksums and rows of the stored files are those of today."""
    store = lake(is_stored=is_stored)
    for path in (golden.RUN_PATH, golden.STUB_PATH):
        stored, found = checksum_of(store.get(path))
        assert stored == found
    first, last = golden.footers()
    run = replace(read_footer(store, golden.RUN_PATH), checksum="")
    moved_part = replace(last.commits[0], row=6)
    assert run == replace(
        last,
        first_seq=0,
        count=16,
        commits=(*first.commits, moved_part),
        timestamp_us=(first.timestamp_us[0], last.timestamp_us[1]),
        pieces=golden.COUNTS,
    )
    stub = read_footer(store, golden.STUB_PATH)
    segment = read_footer(golden.lake(), segment_path(5))
    moved = Moved(golden.RUN_PATH, checksum=segment.checksum)
    assert replace(stub, checksum="") == replace(last, moved=moved)
    ids = [f"e{number}:{n}" for number, count in enumerate(golden.COUNTS) for n in range(count)]
    with small_ranges():
        clean = open_store("memory://")
        for info in store.list_objects("journal/"):
            data = store.get(info.path)
            clean.create(info.path, data)
        check_events(clean, tmp_path, ids)


def check_events(store: Store, state_dir: Path, ids: list[str]) -> None:
    """The rows are there, once; the footers' commits are made up, so verify is not asked."""

    with open_journal(store, state_dir) as journal:
        assert sealed_ids(journal) == ids
