"""A machine that lacks memory or open files for a moment has no damaged journal."""

from __future__ import annotations

import errno
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest
from tests.fakes.journals import open_journal, sample

from lakecore.base import CorruptData, Unavailable
from lakecore.journal._hot import batch
from lakecore.journal._index import blocks
from lakecore.journal._log import segment
from lakecore.storage import open_store

SHORT = [
    pa.lib.ArrowMemoryError("malloc of size 64 failed"),
    OSError("ZSTD decompression failed: Allocation error : not enough memory"),
    OSError(errno.EMFILE, "Too many open files"),
]


class Codec:
    """One that fails like this."""

    def __init__(self, error: Exception) -> None:
        self._error = error

    def decompress(self, *args: Any, **named: Any) -> bytes:
        raise self._error


@pytest.mark.parametrize("error", SHORT, ids=lambda error: str(error)[:20])
def test_a_shortage_is_not_called_damage(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, error: Exception
) -> None:
    """`verify` cannot tell then, readers do without the index, and nothing is built anew."""
    with open_journal(open_store(str(tmp_path / "lake")), tmp_path / "state") as journal:
        journal.record_batch(sample("a", 100))
        journal.seal()
        monkeypatch.setattr(blocks, "codec", lambda: Codec(error))
        with pytest.raises(Unavailable):
            journal.verify(full=True)
        assert len(journal.recent(200)) == 100
        assert journal._index.damaged() == {}
        monkeypatch.undo()
        assert journal.verify(full=True).derived == []


@pytest.mark.parametrize("error", SHORT, ids=lambda error: str(error)[:20])
def test_a_segment_that_cannot_be_opened_now_is_whole(error: Exception) -> None:
    """What the decoder trips over otherwise is damage."""
    with pytest.raises(Unavailable), segment.decoding("x"):
        raise error
    with pytest.raises(CorruptData), segment.decoding("x"):
        raise OSError("Couldn't deserialize thrift")
    with pytest.raises(CorruptData), segment.decoding("x"):
        raise pa.lib.ArrowMemoryError("malloc of size 36028797018964096 failed")


@pytest.mark.parametrize("error", SHORT, ids=lambda error: str(error)[:20])
def test_a_hot_batch_that_does_not_fit_now_is_whole(
    monkeypatch: pytest.MonkeyPatch, error: Exception
) -> None:
    """Its events are asked for again."""

    def fails(*args: object) -> None:
        raise error

    encoding, data = batch.encode_table(sample("a", 3))
    monkeypatch.setattr(batch, "_table_of_rows", fails)
    with pytest.raises(Unavailable):
        batch.decode_batches([(encoding, data)], where="x")
