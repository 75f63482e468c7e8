"""Line blocks: many are decompressed at once, and damage of one is that one's alone."""

from __future__ import annotations

import struct
import zlib
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.fakes.journals import open_journal, sample

from lakecore.base import CorruptData
from lakecore.journal._index.blocks import Packed, unpack
from lakecore.journal._index.layout import (
    BLOCK_ENTRY_BYTES,
    TRAILER_BYTES,
    Trailer,
    block_entry,
    block_place,
    codec,
)
from lakecore.storage import open_store

Lines = list[bytes]
BLOCKS = st.lists(st.lists(st.binary(max_size=300), min_size=1, max_size=64), min_size=1)


def packed(number: int, lines: Lines, raw: bytes | None = None) -> Packed:
    """A block as a file has it; `raw` instead of what the lines give."""
    if raw is None:
        raw = struct.pack(f"<{len(lines)}H", *map(len, lines)) + b"".join(lines)
    data = codec().compress(raw, asbytes=True)
    crc = zlib.crc32(data, number ^ len(raw))
    return Packed(number, len(lines), data, len(raw), crc, "x.lines").check()


@given(BLOCKS)
def test_many_are_as_one_by_one(blocks: list[Lines]) -> None:
    """Whatever their lines are, in their order."""
    stored = [packed(number, lines) for number, lines in enumerate(blocks)]
    assert [block.lines() for block in unpack(stored)] == blocks
    assert [unpack([block])[0].lines() for block in stored] == blocks
    for block, lines in zip(unpack(stored), blocks, strict=True):
        assert block.count == len(lines)
        assert [block.line(row) for row in range(len(lines))] == lines


@pytest.mark.parametrize("number", [0, 1, 2])
def test_a_wrong_sum_is_told(number: int) -> None:
    """Of the block's number, its size and its bytes."""
    block = packed(1, [b"one", b"two"])
    other = block._replace(number=3), block._replace(raw_size=9), block._replace(data=b"x")
    with pytest.raises(CorruptData, match="damaged"):
        other[number].check()


@pytest.mark.parametrize(
    ("bad", "message"),
    [
        (packed(1, [b"a", b"b"], b"\xff\xff\x00\x00ab"), "has other lines"),
        (packed(1, [b"a"] * 64, b"short"), "has other lines"),
        (packed(1, [b"a"])._replace(data=b"no frame"), "does not decode"),
        (packed(1, [b"a"])._replace(raw_size=2), "line block 1"),
        (packed(1, [b"a"])._replace(raw_size=4), "line block 1"),
    ],
)
def test_a_block_that_is_none(bad: Packed, message: str) -> None:
    """Alone, and in the middle of others: nothing of them is given instead."""
    good = [packed(0, [b"x" * 50, b"y"]), packed(2, [b"z" * 9])]
    with pytest.raises(CorruptData, match=message):
        unpack([bad])
    with pytest.raises(CorruptData):
        unpack([good[0], bad, good[1]])


def test_sizes_that_only_add_up_are_told() -> None:
    """A line more in one block, a line less in the next: the whole is as long as it should be."""
    first, second = packed(0, [b"a", b"b"]), packed(1, [b"c", b"d"])
    moved = [first._replace(raw_size=7), second._replace(raw_size=5)]
    with pytest.raises(CorruptData, match="other lines"):
        unpack(moved)


def test_lines_beside_a_block_that_does_not_decode(tmp_path: Path) -> None:
    """Its sum is right, it is read with others at once: theirs are given, its own are not."""
    store = open_store("memory://")
    with open_journal(store, tmp_path) as journal:
        journal.record_batch(sample("e", 160))
        journal.seal()
        right = journal.entity_history("N3")
        expected = journal._index.lines(range(160))
        (info,) = store.list_objects("journal/index/")
        content = bytearray(store.get(info.path))
        trailer = Trailer.decode(bytes(content[-TRAILER_BYTES:]), info.path)
        at = trailer.block_table + BLOCK_ENTRY_BYTES
        offset, size, raw_size, _ = block_place(bytes(content[at:][:BLOCK_ENTRY_BYTES]), "")
        garbage = bytes(size)
        content[offset : offset + size] = garbage
        content[at : at + BLOCK_ENTRY_BYTES] = block_entry(1, offset, garbage, raw_size)
        store.put(info.path, bytes(content))
        journal._index.repaired(journal._index.names())
        journal._index.refresh(160)
        found = journal._index.try_lines(range(160))
        assert found == [*expected[:64], *[None] * 64, *expected[128:]]
        assert list(journal._index.damaged()) != []
        assert journal.entity_history("N3") == right
    store.close()
