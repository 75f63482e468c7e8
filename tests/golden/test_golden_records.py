"""A spool of format 1 is read as it was written, and written as it was read."""

from __future__ import annotations

import shutil
import sqlite3
import zlib
from pathlib import Path
from typing import Any

import pytest
from tests.golden import generate_records_v1 as golden
from tests.unit.records.conftest import NOTES, STEPS

from lakecore.base import ManualClock
from lakecore.records._rows import decode, encode, to_batch
from lakecore.records._seen import hash_ids
from lakecore.records._spool import FILE, Entry, Spool


@pytest.fixture
def spool(tmp_path: Path) -> Spool:
    """The stored file, opened."""
    shutil.copy(golden.SPOOL, tmp_path / FILE)
    return Spool(tmp_path, ManualClock(golden.LAST - 1))


def _entry(dataset: str, ids: list[str]) -> Entry:
    return Entry(dataset, len(ids), b"x", hashes=hash_ids(dataset, ids), limit_bytes=1 << 30)


def test_what_waits(spool: Spool) -> None:
    """Name, batches and what was put aside."""
    assert spool.spool_id() == golden.SPOOL_ID
    assert spool.datasets() == ["system.notes", "system.steps"]
    for number, (dataset, rows, refused) in golden.BATCHES.items():
        found = [batch for batch in spool.read(dataset, 0, 1 << 62, 10) if batch.number == number]
        if refused is not None:
            assert not found
            continue
        (batch,) = found
        columns = decode(batch.data).to_pydict().values()
        cells = [(at.microsecond, run, n) for at, run, n in zip(*columns, strict=True)]
        assert (batch.rows, batch.damage, cells) == (len(rows), "", rows)
    assert [one["rows"] for one in spool.stats() if one["is_refused"]] == [1]
    assert spool.retry_refused() == 1
    assert spool.read("system.steps", golden.LAST, 1 << 62, 10)[0].number == golden.LAST + 1
    spool.close()


def test_what_is_known(spool: Spool) -> None:
    """Ids that were appended are known again; numbers go on behind the last."""
    again = _entry("system.steps", ["two", "three"])
    spool.append(again)
    assert again.repeated == [0]
    spool.append(_entry("system.notes", ["two"]))
    assert spool.read("system.notes", golden.LAST, 1 << 62, 10)[0].number == golden.LAST + 1
    spool.close()


def test_what_is_written(tmp_path: Path) -> None:
    """The same rows appended today are rows of the same form."""
    spool = Spool(tmp_path, ManualClock(golden.LAST - 2))
    kinds = {kind.dataset: kind for kind in (STEPS, NOTES)}
    for dataset, rows, _ in golden.BATCHES.values():
        kind = kinds[dataset]
        mappings = [dict(zip(golden.SCHEMA.names, row, strict=True)) for row in rows]
        batch = to_batch(kind, mappings, now_us=0).select(golden.SCHEMA.names)
        data = encode(batch)
        ids = hash_ids(dataset, ["one", "two"]) if len(rows) == 2 else b""
        spool.append(Entry(dataset, len(rows), data, hashes=ids, limit_bytes=1 << 30))
    spool.close()
    written, stored = _content(tmp_path / FILE), _content(golden.SPOOL)
    assert written == stored


def _content(path: Path) -> dict[str, Any]:
    database = sqlite3.connect(path)
    tables = [row[0] for row in database.execute("select sql from sqlite_master order by name")]
    batches = database.execute("select number, dataset, rows, crc, data from batch").fetchall()
    found = {
        "tables": [" ".join(text.split()) for text in tables],
        "meta": database.execute("select format, last from meta").fetchall(),
        "seen": database.execute("select * from seen").fetchall(),
        "batches": [row[:3] for row in batches],
        "tables in them": [decode(row[4]).to_pydict() for row in batches],
        "sums": [zlib.crc32(row[4]) == row[3] for row in batches],
    }
    database.close()
    return found
