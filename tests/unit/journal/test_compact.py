"""Compaction: runs, stubs, and that readers see every event once, before and after."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from tests.fakes.compaction import check_whole, paths, seal_pieces, small_ranges
from tests.fakes.journals import open_journal, sample, sealed_ids

from lakecore.storage import Store, open_store


@pytest.fixture(autouse=True)
def _small() -> Iterator[None]:
    with small_ranges():
        yield


@pytest.fixture(params=["memory", "local"])
def store(request: pytest.FixtureRequest, tmp_path: Path) -> Store:
    where = "memory://" if request.param == "memory" else (tmp_path / "lake").as_uri()
    return open_store(where)


def test_small_segments_become_a_run_and_stubs(store: Store, tmp_path: Path) -> None:
    """A complete range is merged; the open one and full segments are left alone."""
    with open_journal(store, tmp_path / "a") as journal:
        ids = seal_pieces(journal, 5, 5, 6, 16, 3)
        assert paths(store) == ["log:0", "log:5", "log:10", "log:16", "log:32"]
        report = journal.compact(grace_s=0)
        assert report.runs == ["journal/merged/00000000000000000000-04.parquet"]
        assert (report.replaced, report.problems, report.waiting_s) == (3, [], None)
        assert report.bytes_before > 0
        assert report.bytes_after > 0
        assert paths(store) == ["-log:0", "-log:5", "-log:10", "log:16", "log:32", "merged:0/4"]
        assert sealed_ids(journal) == ids
        again = journal.compact(grace_s=0)
        assert (again.runs, again.replaced) == ([], 0)
        journal.record_batch(sample("late", 2))
        journal.seal()
        ids += ["late:0", "late:1"]
        assert sealed_ids(journal) == ids
    check_whole(store, tmp_path / "b", ids)


def test_runs_become_larger_runs(store: Store, tmp_path: Path) -> None:
    """Four pieces, be they runs or full segments, become a larger run; all are stubs then."""
    with open_journal(store, tmp_path / "a") as journal:
        ids = seal_pieces(journal, 5, 11, 16, 1, 15, 16, 7, 9, 4)
        report = journal.compact(grace_s=0)
        assert [path[-10:-8] for path in report.runs] == ["04", "04", "04", "06"]
        assert paths(store)[-4:] == ["-merged:0/4", "merged:0/6", "-merged:32/4", "merged:64/4"]
        assert sealed_ids(journal) == ids
        assert [p.count for p in journal._footers.places()] == [16, 16, 16, 16, 16, 4]
    check_whole(store, tmp_path / "b", ids)
