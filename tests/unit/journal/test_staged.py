"""Staged files: written in a stream, read back, damage reported."""

from __future__ import annotations

import json
import random
from collections.abc import Iterator
from contextlib import contextmanager
from typing import BinaryIO

import pyarrow as pa
import pytest
from tests.fakes.faulty_store import Fault, FaultyStore
from tests.fakes.journals import mutation, sample, target
from tests.golden import generate_journal_v1 as golden

from lakecore.base import (
    AlreadyExists,
    Bug,
    CorruptData,
    InvalidInput,
    Unavailable,
    UnsupportedFormat,
)
from lakecore.journal import StagedReader, Staging, staged_schema
from lakecore.journal._commits.staged import FOLDER
from lakecore.storage import Store, open_store


@pytest.fixture
def store() -> Store:
    return open_store("memory://")


def staged(store: Store, *tables: pa.Table) -> Staging:
    with Staging(store, target(4)) as staging:
        for table in tables:
            staging.write(table)
        staging.finish([mutation("m", 1)])
    return staging


def break_off(store: Store, *, finish: bool) -> None:
    """An attempt that raises, before or after its events are durable."""
    with Staging(store, target(1)) as staging:
        staging.write(sample("m", 10))
        if finish:
            staging.finish([])
        raise ZeroDivisionError


def listed(store: Store) -> list[str]:
    return [info.path for info in store.list_objects(FOLDER)]


def test_events_are_read_back_in_order(store: Store) -> None:
    """Header, events, count and digest come back; batches may be written in pieces."""
    table = sample("m", 1000)
    with Staging(store, target(4)) as staging:
        staging.write(table.slice(0, 400))
        staging.write(table.slice(400).combine_chunks().to_batches()[0])
        assert staging.event_count == 1000
        record = staging.finish([mutation("m", 1)])
    reader = StagedReader(store, staging.path)
    assert reader.header().target == target(4)
    assert reader.header().commit_id == staging.commit_id == record.commit_id
    assert pa.Table.from_batches(reader.batches()).equals(table)
    assert reader.check() == (record.event_count, record.digest) == (1000, record.digest)
    small = StagedReader(store, staging.path, size_bytes=store.head(staging.path).size_bytes)
    assert small.header() == reader.header()
    assert small.check() == reader.check()


def test_the_digest_does_not_depend_on_batches(store: Store) -> None:
    """The digest is over the events in order, however they were written."""
    table = sample("m", 700)
    whole, pieces = staged(store, table), staged(store, table.slice(0, 1), table.slice(1))
    digests = {StagedReader(store, item.path).check() for item in (whole, pieces)}
    assert len(digests) == 1


def test_leaves_are_gathered_in_bounded_numbers(
    store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    """However many wait to go into the tree, count and digest are those of the events."""
    monkeypatch.setattr("lakecore.journal._commits.staged._GATHERED_LEAVES", 1 << 20)
    pieces = [sample("m", 700).slice(start, 100) for start in range(0, 700, 100)]
    together = StagedReader(store, staged(store, *pieces).path).check()
    monkeypatch.setattr("lakecore.journal._commits.staged._GATHERED_LEAVES", 250)
    staging = Staging(store, target(4))
    for number, piece in enumerate(pieces):
        staging.write(piece)
        assert staging.event_count == 100 * (number + 1)
        assert len(staging._leaves) <= 2
    staging.finish([mutation("m", 1)])
    assert StagedReader(store, staging.path).check() == together


def test_without_finish_nothing_is_left(store: Store) -> None:
    """Leaving the block, by an error or not, removes the upload; so does discard."""
    with Staging(store, target(1)) as staging:
        staging.write(sample("m", 10))
    with pytest.raises(ZeroDivisionError):
        break_off(store, finish=False)
    staged(store, sample("m", 3)).discard()
    assert listed(store) == []


def test_after_finish_the_file_stays(store: Store) -> None:
    """After finish only the target knows whether the commit happened."""
    with pytest.raises(ZeroDivisionError):
        break_off(store, finish=True)
    staging = staged(store, sample("m", 2))
    assert len(listed(store)) == 2
    with pytest.raises(Bug):
        staging.write(sample("m", 1))


def test_a_commit_without_events_has_no_file(store: Store) -> None:
    """Maintenance commits carry a record, and nothing is staged for them."""
    with Staging(store, target(1)) as staging:
        record = staging.finish([])
    assert (record.event_count, listed(store)) == (0, [])


def test_events_that_break_a_rule_are_refused(store: Store) -> None:
    """The rules of events hold for staged ones: no timestamp, no staging."""
    with pytest.raises(InvalidInput), Staging(store, target(1)) as staging:
        staging.write(pa.table({"entity_type": ["a"], "entity_id": ["b"], "action": ["c"]}))
    assert listed(store) == []


@pytest.mark.parametrize("fault", [Fault.BEFORE, Fault.AFTER, Fault.TEAR])
def test_a_failed_upload_leaves_nothing(store: Store, fault: Fault) -> None:
    """Failed, torn, or stored with a lost answer: the attempt fails and leaves nothing."""
    faulty = FaultyStore(store, {1: fault})
    with pytest.raises(Unavailable, match="planned"):
        staged(faulty, sample("m", 10))
    assert listed(store) == []


class _Twice(FaultyStore):
    """An upload whose first try was stored, and whose retry finds the name taken."""

    @contextmanager
    def upload(self, path: str) -> Iterator[BinaryIO]:
        with self.inner.upload(path) as file:
            yield file
        raise AlreadyExists("the name is taken", where=path)


def test_a_retried_upload_recognises_its_own(store: Store) -> None:
    """AlreadyExists after our own first try is success when the content is ours."""
    with Staging(_Twice(store), target(1)) as staging:
        staging.write(sample("m", 10))
        record = staging.finish([])
    assert StagedReader(store, staging.path).check() == (10, record.digest)


def test_every_damage_is_corrupt_data_or_harmless(store: Store) -> None:
    """Flipped bits never crash the reader, and never change events unnoticed."""
    seed = 7
    rng = random.Random(seed)
    staging = staged(store, sample("m", 600), sample("n", 600))
    data = store.get(staging.path)
    right = StagedReader(store, staging.path).check()
    noticed = 0
    places: set[str | None] = set()
    for _ in range(150):
        damaged = bytearray(data)
        damaged[rng.randrange(len(data))] ^= 1 << rng.randrange(8)
        store.put(f"{FOLDER}x.arrow", bytes(damaged))
        reader = StagedReader(store, f"{FOLDER}x.arrow", size_bytes=len(data))
        try:
            reader.header()
            assert reader.check() == right, f"seed {seed}"
        except (CorruptData, UnsupportedFormat) as error:
            noticed += 1
            places.add(error.where)
    assert noticed > 75
    assert places <= {f"{FOLDER}x.arrow", None}


@pytest.mark.parametrize("kept", [0, 7, 100, 3000, -8, -400])
def test_a_cut_file_is_corrupt(store: Store, kept: int) -> None:
    """A file that ends early is reported, wherever it ends, as long as events are lost."""
    data = store.get(staged(store, sample("m", 600)).path)
    whole = data[:kept] if kept >= 0 else data[: len(data) + kept]
    store.put(f"{FOLDER}x.arrow", whole)
    if kept == -8:  # only the end of the stream is lost
        assert StagedReader(store, f"{FOLDER}x.arrow").check()[0] == 600
        return
    with pytest.raises(CorruptData, match=r"x\.arrow"):
        StagedReader(store, f"{FOLDER}x.arrow").check()


def _rewritten(store: Store, header: dict[str, object], schema: pa.Schema) -> StagedReader:
    metadata = {b"lakecore.staged": json.dumps(header)}
    sink = pa.BufferOutputStream()
    with pa.ipc.new_stream(sink, schema.with_metadata(metadata)):
        pass
    store.put(f"{FOLDER}x.arrow", sink.getvalue().to_pybytes())
    return StagedReader(store, f"{FOLDER}x.arrow")


def test_newer_formats_and_columns_are_refused(store: Store) -> None:
    """A file of a newer release is not misread: its digest could not be recomputed."""
    header = {"format": 1, "commit_id": "x", "target": target(1).to_json()}
    assert _rewritten(store, header, staged_schema()).header().commit_id == "x"
    with pytest.raises(UnsupportedFormat):
        _rewritten(store, header | {"format": 3}, staged_schema()).header()
    with pytest.raises(CorruptData):  # without its sum
        _rewritten(store, header | {"format": 2}, staged_schema()).header()
    more = staged_schema().append(pa.field("later", pa.string()))
    with pytest.raises(UnsupportedFormat):
        _rewritten(store, header, more).header()
    with pytest.raises(CorruptData):
        _rewritten(store, {"format": 1}, staged_schema()).header()


def test_large_headers_are_read(store: Store) -> None:
    """A header larger than the first range is fetched whole."""
    header = {"format": 1, "commit_id": "x", "target": target(1).to_json(), "pad": "p" * 40_000}
    assert _rewritten(store, header, staged_schema()).header().commit_id == "x"


def test_large_values_make_small_batches(store: Store) -> None:
    """Batches are bounded in bytes as well as in rows."""
    big = sample("m", 40).set_column(
        7, staged_schema().field("new_value"), pa.array(['"' + "x" * (1 << 20) + '"'] * 40)
    )
    batches = list(StagedReader(store, staged(store, big).path).batches())
    assert len(batches) == 2
    assert sum(batch.num_rows for batch in batches) == 40


@pytest.mark.parametrize("size_known", [True, False])
def test_no_flipped_bit_changes_what_is_read(store: Store, size_known: bool) -> None:
    """Header and events are those that were written, as far as they are given at all."""
    staging = staged(store, sample("a", 40), sample("b", 30))
    whole = pa.concat_tables([sample("a", 40), sample("b", 30)])
    data = store.get(staging.path)
    rng = random.Random(7)
    found = 0
    for _ in range(300):
        damaged = bytearray(data)
        damaged[rng.randrange(len(data))] ^= 1 << rng.randrange(8)
        store.put(staging.path, bytes(damaged))
        reader = StagedReader(store, staging.path, size_bytes=len(data) if size_known else None)
        read: list[pa.RecordBatch] = []
        try:
            header = reader.header()
            assert (header.commit_id, header.target) == (staging.commit_id, staging.target)
            read.extend(reader.batches())
        except (CorruptData, UnsupportedFormat):
            found += 1
        given = pa.Table.from_batches(read, staged_schema())
        assert given.equals(whole.slice(0, given.num_rows))
    assert found > 200


def test_events_of_the_first_format_are_checked_before_they_are_given(store: Store) -> None:
    """It has no sums: the digest of all its events is recomputed first."""
    path = f"{FOLDER}{golden.COMMIT_ID}.arrow"
    data = golden.STAGED_V1.read_bytes()
    expected = golden.table()
    rng = random.Random(7)
    for _ in range(300):
        damaged = bytearray(data)
        damaged[rng.randrange(len(data))] ^= 1 << rng.randrange(8)
        store.put(path, bytes(damaged))
        try:
            read = pa.Table.from_batches(StagedReader(store, path).batches(), staged_schema())
        except (CorruptData, UnsupportedFormat):
            continue
        assert read.equals(expected)
