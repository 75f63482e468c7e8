"""Compaction: runs, stubs, and that readers see every event once, before and after."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from tests.fakes.compaction import check_whole, paths, seal_pieces, small_ranges
from tests.fakes.faulty_store import FaultyStore
from tests.fakes.journals import commit, open_journal, sample, sealed_ids, target

from lakecore.base import CorruptData
from lakecore.journal import JournalSettings
from lakecore.journal._log.runs import Run
from lakecore.journal._log.segment import (
    encode_table,
    open_segment,
    raw_footer,
    read_footer,
    segment_path,
)
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


def test_rows_of_a_bad_run_are_told_and_nothing_is_swapped(store: Store, tmp_path: Path) -> None:
    """A run that is there and has another event, or other lists: named by file and row."""
    with open_journal(store, tmp_path / "a") as journal:
        ids = seal_pieces(journal, 5, 11, 2)
    before = paths(store)
    run = Run(0, 4)
    rows = _rows(store, [segment_path(0), segment_path(5)])
    good = _footer(store)
    values = rows.column("new_value").to_pylist()
    values[7] = "7000000"
    at_value = rows.schema.get_field_index("new_value")
    changed = rows.set_column(at_value, rows.schema.field("new_value"), [values])
    swapped = rows.take([0, 2, 1, *range(3, 16)])
    cases = [
        (changed, good, "row 7"),
        (swapped, good, "row 1"),
        (rows.slice(0, 15), good, "rows"),
        (rows, good | {"commits": [], "hot": {}}, "hot"),
        (rows, good | {"root": "00" * 32}, "root"),
    ]
    for table, footer, told in cases:
        store.put(run.path, encode_table(table, footer))
        with (
            open_journal(store, tmp_path / "b") as journal,
            pytest.raises(CorruptData, match=told) as caught,
        ):
            journal.compact(grace_s=0)
        assert run.path in (caught.value.where or "")
        assert [path for path in paths_of(store) if path.startswith("journal/log")] == [
            segment_path(0),
            segment_path(5),
            segment_path(16),
        ]
        assert all(not read_footer(store, segment_path(at)).moved for at in (0, 5, 16))
    store.put(run.path, encode_table(rows, good)[:-9])
    with open_journal(store, tmp_path / "c") as journal:
        assert sealed_ids(journal) == ids  # a run that does not decode is left aside
        with pytest.raises(CorruptData, match="decode"):
            journal.compact(grace_s=0)
    store.delete(run.path)
    assert paths(store) == before
    with open_journal(store, tmp_path / "d") as journal:
        assert journal.compact(grace_s=0).replaced == 2
    assert store.get(run.path) == encode_table(rows, good)
    check_whole(store, tmp_path / "e", ids)


def test_a_damaged_segment_is_never_merged(store: Store, tmp_path: Path) -> None:
    """Its row is told, no run is made; the next range is compacted all the same."""
    with open_journal(store, tmp_path / "a") as journal:
        seal_pieces(journal, 5, 11, 8, 8, 2)
        path = segment_path(5)
        rows = _rows(store, [path])
        footer = {"checksum": "", **read_footer(store, path).to_json()}
        column = rows.schema.get_field_index("actor")
        actors = ["ada"] * 3 + ["eve"] + ["ada"] * 7
        rows = rows.set_column(column, rows.schema.field("actor"), [actors])
        store.put(path, encode_table(rows, footer))
        with pytest.raises(CorruptData, match=f"{path} row 3"):
            journal.compact(grace_s=0)
        assert paths(store)[-1] == "merged:16/4"
        assert "log:5" in paths(store)


def test_columns_and_members_of_a_later_release_stay(store: Store, tmp_path: Path) -> None:
    """A column that one segment has is in the run; a footer's unknown member is in the stub."""
    with open_journal(store, tmp_path / "a") as journal:
        ids = seal_pieces(journal, 5, 11, 2)
        path = segment_path(5)
        rows = _rows(store, [path]).append_column("mood", [["calm"] * 11])
        store.put(path, encode_table(rows, read_footer(store, path).to_json() | {"later": [1]}))
        assert journal.compact(grace_s=0).replaced == 2
    run = _rows(store, [Run(0, 4).path])
    assert run.column("mood").to_pylist() == [None] * 5 + ["calm"] * 11
    with open_segment(store, path) as parquet:
        assert raw_footer(parquet)["later"] == [1]
        assert "mood" in parquet.schema_arrow.names
    check_whole(store, tmp_path / "b", ids)


def test_a_run_that_nobody_verified_is_used_only_if_it_fits(store: Store, tmp_path: Path) -> None:
    """Its footer says what the segments' say, and its bytes have their checksum."""
    with open_journal(store, tmp_path / "a") as journal:
        ids = seal_pieces(journal, 5, 11, 2)
    run = Run(0, 4)
    rows = _rows(store, [segment_path(0), segment_path(5)])
    good = _footer(store)
    values = rows.column("new_value").to_pylist()
    at_value = rows.schema.get_field_index("new_value")
    changed = rows.set_column(at_value, rows.schema.field("new_value"), [["7"] * len(values)])
    flipped = bytearray(encode_table(rows, good))
    flipped[len(flipped) // 3] ^= 1
    right = encode_table(rows, good)
    bad = [
        bytes(flipped),
        encode_table(changed, good | {"root": "00" * 32}),
        encode_table(changed, good | {"edge": ["00" * 32]}),
        encode_table(changed, good | {"hot": {}}),
        encode_table(changed, good | {"pieces": [16]}),
        encode_table(changed, good | {"pieces": []}),
    ]
    for number, data in enumerate([*bad, right]):
        store.put(run.path, data)
        for state in ("a", f"fresh-{number}"):
            with open_journal(store, tmp_path / state) as journal:
                assert sealed_ids(journal) == ids
                table = journal.scan(["new_value"]).read_all()
                assert table.column("new_value").to_pylist()[:16] == values
                used = {place.path for place in journal._footers.places()}
                assert (run.path in used) == (data is right), number


def test_a_fresh_machine_reads_runs_instead_of_stubs(tmp_path: Path) -> None:
    """Opening reads a run and a stub for every merged range; a snapshot asks for one name."""
    store = open_store("memory://")
    with open_journal(store, tmp_path / "a") as journal:
        ids = seal_pieces(journal, *[2] * 41)
        for number in range(3):
            commit(store, journal, target(number), sample(f"c{number}", 9))
            journal.seal()
            ids += [f"c{number}:{n}" for n in range(9)]
        journal.compact(grace_s=0)
    counting = FaultyStore(store)
    with open_journal(counting, tmp_path / "b") as fresh:
        assert fresh._footers.next_seq == 0
        fresh._footers.refresh()
        opened = [path for name, path in counting.log if name == "open"]
        stubs = [path for path in opened if read_footer(store, path).moved and "log" in path]
        assert len(stubs) == len(set(stubs)) <= 6 + 1  # the last one of each run vouches for it
        assert len(opened) <= 2 * (4 + 2) + 4
        counting.log.clear()
        fresh._footers.refresh()
        assert [name for name, _ in counting.log] == ["exists"]
        commits = [(o.path, store.get(o.path)) for o in store.list_objects("tables/")]
        assert fresh.completeness(commits).matched == 3
        assert sealed_ids(fresh) == ids


def test_the_background_compacts_and_reports_errors(store: Store, tmp_path: Path) -> None:
    """A completed range starts it, beside sealing; damage shows in the stats."""
    eager = JournalSettings(seal_events=1, seal_interval_s=0.01, compact_grace_s=0.0)
    with open_journal(store, tmp_path / "a", settings=eager) as journal:
        ids = []
        for number in range(6):
            journal.record_batch(sample(f"e{number}", 3))
            ids += [f"e{number}:{n}" for n in range(3)]
            wait_for(lambda n=number: journal.stats()["tree_size"] == 3 * (n + 1))
        wait_for(lambda: "-log:0" in paths(store))
        wait_for(lambda: "merged:0/4" in paths(store))
        assert journal.stats()["compact_errors"] == 0
        assert sealed_ids(journal) == ids
    check_whole(store, tmp_path / "b", ids)


def test_the_background_waits_for_the_grace(tmp_path: Path) -> None:
    """The swap comes by itself when its time has come, and closing does not wait for it."""
    store = open_store((tmp_path / "lake").as_uri())
    eager = JournalSettings(seal_events=1, seal_interval_s=0.01, compact_grace_s=1.0)
    with open_journal(store, tmp_path / "a", settings=eager) as journal:
        for number in range(6):
            journal.record_batch(sample(f"e{number}", 3))
            wait_for(lambda n=number: journal.stats()["tree_size"] == 3 * (n + 1))
        wait_for(lambda: "merged:0/4" in paths(store))
        assert "log:0" in paths(store)
        wait_for(lambda: "-log:0" in paths(store))
    slow = JournalSettings(seal_events=1, seal_interval_s=0.01, compact_grace_s=3600.0)
    with open_journal(store, tmp_path / "b", settings=slow) as journal:
        started = time.monotonic()
        journal.record_batch(sample("more", 16))
        journal.seal()
    assert time.monotonic() - started < 10


def wait_for(condition: Callable[[], bool]) -> None:
    deadline = time.monotonic() + 20
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.02)


def paths_of(store: Store) -> list[str]:
    return [info.path for info in store.list_objects("journal/log/")]


def _rows(store: Store, files: list[str]) -> pa.Table:
    tables = [pq.read_table(pa.BufferReader(store.get(path))) for path in files]
    return pa.concat_tables(tables).combine_chunks()


def _footer(store: Store) -> dict[str, Any]:
    """What the footer of the run over segments of 5 and 11 events says."""
    first, last = (read_footer(store, segment_path(at)) for at in (0, 5))
    commits = first.commits + tuple(replace(part, row=part.row + 5) for part in last.commits)
    low = min(first.timestamp_us[0], last.timestamp_us[0])
    high = max(first.timestamp_us[1], last.timestamp_us[1])
    run = replace(
        last,
        first_seq=0,
        count=16,
        commits=commits,
        timestamp_us=(low, high),
        pieces=(5, 11),
        marked=((0, 5, first.sealed_at_us), (5, 11, last.sealed_at_us)),
        supplied=None,
    )
    return run.to_json()
