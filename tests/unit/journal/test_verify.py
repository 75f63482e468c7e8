"""Verification: damage is found, named, and never raised; commits match both ways."""

from __future__ import annotations

import io
import json
import random
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from tests.fakes.journals import TIME_US, commit, delta_commit, open_journal, sample, stage, target

from lakecore.base import ManualClock
from lakecore.journal import Journal
from lakecore.journal._log.segment import FOOTER_KEY, _with_checksum, segment_path
from lakecore.storage import Store, open_store

Change = Callable[[pa.Table, dict[str, Any]], tuple[pa.Table, dict[str, Any]]]


@pytest.fixture
def store() -> Store:
    return open_store("memory://")


@pytest.fixture
def journal(store: Store, tmp_path: Path) -> Journal:
    """Three segments: a commit, hot events, a commit."""
    journal = open_journal(store, tmp_path / "state", clock=ManualClock(TIME_US + 5_000_000))
    commit(store, journal, target(0), sample("a", 40))
    journal.seal()
    journal.record_batch(sample("h", 30))
    journal.seal()
    commit(store, journal, target(1), sample("b", 20))
    journal.seal()
    return journal


def rewrite(store: Store, first_seq: int, change: Change) -> None:
    """Replace a segment as a forger would: a right Parquet file with a right checksum."""
    path = segment_path(first_seq)
    parquet = pq.ParquetFile(io.BytesIO(store.get(path)))
    footer = json.loads(parquet.metadata.metadata[FOOTER_KEY])
    table, footer = change(parquet.read(), footer)
    sink = io.BytesIO()
    with pq.ParquetWriter(sink, table.schema, store_schema=False) as writer:
        writer.write_table(table)
        text = json.dumps(footer | {"checksum": "0" * 64}, separators=(",", ":"))
        writer.add_key_value_metadata({FOOTER_KEY.decode(): text})
    store.put(path, _with_checksum(sink.getvalue()))


def set_cell(table: pa.Table, column: str, row: int, value: object) -> pa.Table:
    cells = table.column(column).to_pylist()
    cells[row] = value
    at = table.schema.get_field_index(column)
    return table.set_column(
        at, table.schema.field(at), pa.array(cells, table.schema.field(at).type)
    )


def test_an_untouched_journal_is_green(journal: Journal) -> None:
    """Events, segments and the root are counted; an empty journal is green as well."""
    report = journal.verify()
    assert (report.ok, report.status, report.events, report.segments) == (True, "green", 90, 3)
    assert report.root == journal.stats()["root"]
    empty = open_journal(open_store("memory://"), Path("/nonexistent")).verify()
    assert (empty.status, empty.events) == ("green", 0)


def test_a_changed_value_is_found_by_row(store: Store, journal: Journal) -> None:
    """A forger who leaves file and footer right is betrayed by the root; the row is named."""
    rewrite(store, 40, lambda t, f: (set_cell(t, "new_value", 7, '"forged"'), f))
    report = journal.verify()
    assert report.status == "broken"
    assert {problem.where for problem in report.problems} == {segment_path(40)}
    assert [problem.row for problem in report.problems if problem.row is not None] == [7]
    assert "root" in {problem.field for problem in report.problems}


def test_a_forged_root_is_found_by_its_leaves(store: Store, journal: Journal) -> None:
    """Whatever single part of a segment is forged, something else does not fit it."""
    changes: list[Change] = [
        lambda t, f: (t, f | {"root": "00" * 32}),
        lambda t, f: (set_cell(t, "seq", 3, 99), f),
        lambda t, f: (set_cell(t, "leaf_check", 3, 1), f),
        lambda t, f: (t, f | {"hot": {"other": 30}, "edge": f["edge"][::-1]}),
        lambda t, f: (t, f | {"hot": {}}),
        lambda t, f: (t.slice(1), f | {"count": 29, "tree_size": 69}),
    ]
    whole = store.get(segment_path(40))
    for change in changes:
        rewrite(store, 40, change)
        assert journal.verify().status == "broken"
        store.put(segment_path(40), whole)
    assert journal.verify().status == "green"
    forged = [{"commit_id": "x", "target": "", "digest": "00", "row": 0, "first_ordinal": 0,
               "count": 40, "total": 40}]  # fmt: skip
    rewrite(store, 0, lambda t, f: (t, f | {"commits": forged}))
    problem = journal.verify().problems[0]
    assert (problem.where, problem.field) == (segment_path(0), "commit x")


def test_every_flipped_bit_is_reported(store: Store, journal: Journal) -> None:
    """Any bit of any byte: broken, with the segment's name, and never a traceback."""
    seed = 11
    rng = random.Random(seed)
    for first_seq in (0, 40, 70):
        path = segment_path(first_seq)
        whole = store.get(path)
        for _ in range(40):
            damaged = bytearray(whole)
            at = rng.randrange(len(whole))
            damaged[at] ^= 1 << rng.randrange(8)
            store.put(path, bytes(damaged))
            report = journal.verify()
            assert not report.ok, f"seed {seed}, byte {at}"
            # A format number that was flipped may read as a newer one.
            if report.status == "broken":
                assert path in {problem.where for problem in report.problems}
        store.put(path, whole)


def test_a_lost_segment_is_named_once(store: Store, journal: Journal) -> None:
    """Behind a segment that is gone or unreadable the others are still checked."""
    whole = store.get(segment_path(40))
    store.put(segment_path(40), b"nothing")
    report = journal.verify()
    assert {problem.where for problem in report.problems} == {segment_path(40)}
    assert (report.events, report.segments) == (60, 3)
    store.delete(segment_path(40))
    assert journal.verify().problems[0].field == "first_seq"
    store.put(segment_path(40), whole)


def test_newer_segments_are_inconclusive(store: Store, journal: Journal) -> None:
    """What a newer release wrote is not broken: it cannot be judged."""
    rewrite(store, 40, lambda t, f: (t, f | {"format": 2}))
    assert journal.verify().status == "inconclusive"
    rewrite(store, 40, lambda t, f: (set_cell(t, "leaf", 0, 2), f | {"format": 1}))
    assert journal.verify().status == "inconclusive"


def objects(store: Store) -> list[tuple[str, bytes]]:
    return [(info.path, store.get(info.path)) for info in store.list_objects("tables/")]


def test_commits_and_events_match(store: Store, journal: Journal) -> None:
    """Matched, pending with age, undecided: all is well."""
    stage(journal, target(9), sample("u", 1))
    commit(store, journal, target(2), sample("p", 2))
    report = journal.completeness(objects(store))
    assert (report.ok, report.matched, report.undecided) == (True, 2, [target(9).path])
    assert report.pending == {target(2).path: pytest.approx(5, abs=0.1)}


def test_commits_without_events_are_missing(store: Store, journal: Journal) -> None:
    """Lost staged files, other digests, foreign and lost objects, damage: each has its place."""
    lost = commit(store, journal, target(2), sample("lost", 2))
    store.delete(f"journal/staged/{lost.commit_id}.arrow")
    store.create(target(3).path, delta_commit(None))
    store.create(target(4).path, b"torn")
    first = objects(store)[0]
    forged = first[1].replace(b'"digest": "', b'"digest": "00')
    listed = [(first[0], forged), *objects(store)[2:]]
    report = journal.completeness(listed)
    assert not report.ok
    assert [(p.where, p.field) for p in report.missing] == [
        (target(0).path, "digest"),
        (target(2).path, "event_count"),
    ]
    assert report.without_object == [target(1).path]
    assert report.foreign == [target(3).path]
    assert [problem.where for problem in report.unreadable] == [target(4).path]
