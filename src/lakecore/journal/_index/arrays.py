"""Postings and line blocks as arrays: what building and merging compute with.

A posting is one number, ``key << 24 | position``, so that sorting sorts both.
"""

from __future__ import annotations

import struct
import zlib
from collections.abc import Iterable, Iterator
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from lakecore.journal._index.blocks import unpack
from lakecore.journal._index.layout import (
    BLOCK_ROWS,
    KEY_BITS,
    LINES,
    MAGIC,
    MIN_BUCKET_BITS,
    SEQ_BITS,
    Trailer,
    block_entry,
    bucket_bits,
    codec,
)
from lakecore.journal._index.names import Name
from lakecore.tlog import sha256_rows

if TYPE_CHECKING:
    from lakecore.journal._index.files import IndexFile

Integers = npt.NDArray[np.uint64]

_UNPACK_BLOCKS = 64
_PREFIX = b"\x00"
_COUNT = struct.Struct("<I")
_LOW = np.uint64((1 << 32) - 1)
_POSITION = np.uint64((1 << SEQ_BITS) - 1)


def postings_of(entity_ids: pa.Array | pa.ChunkedArray) -> Integers:
    """Sorted postings of a column of ids; the position of a row is its number."""
    encoded = pc.dictionary_encode(entity_ids)
    if isinstance(encoded, pa.ChunkedArray):
        encoded = encoded.combine_chunks()
    distinct = encoded.dictionary.cast(pa.large_binary())
    hashes = sha256_rows(distinct)
    wide = np.zeros((len(distinct), 8), dtype=np.uint8)
    wide[:, 8 - KEY_BITS // 8 :] = hashes[:, : KEY_BITS // 8]
    keys = wide.view(">u8").ravel().astype(np.uint64)
    found: Integers = keys[encoded.indices.to_numpy()] << np.uint64(SEQ_BITS)
    found |= np.arange(len(found), dtype=np.uint64)
    found.sort()
    return found


def encode_blocks(lines: Iterable[pa.LargeBinaryArray]) -> Iterator[tuple[bytes, int]]:
    """(compressed, raw size) of each block of lines; the arrays may end anywhere in a block.

    All lines of an array may have the leaf prefix before them: no line has that byte.
    """
    compress = codec().compress
    lengths: list[Any] = []
    texts: list[Any] = []
    room = BLOCK_ROWS
    for array in lines:
        count = len(array)
        offsets = np.frombuffer(array.buffers()[1], dtype=np.int64)[array.offset :][: count + 1]
        data = memoryview(array.buffers()[2] or b"")
        places = offsets.tolist()
        prefix = data[places[0] : places[0] + 1] if count else b""
        is_prefixed = prefix == _PREFIX
        sizes = memoryview((np.diff(offsets) - is_prefixed).astype("<u2").tobytes())
        start = 0
        while start < count:
            end = min(start + room, count)
            lengths.append(sizes[2 * start : 2 * end])
            text = data[places[start] : places[end]]
            texts.append(bytes(text).replace(_PREFIX, b"") if is_prefixed else text)
            room -= end - start
            start = end
            if not room:
                raw = b"".join(lengths + texts)
                yield compress(raw, asbytes=True), len(raw)
                lengths, texts, room = [], [], BLOCK_ROWS
    if lengths:
        raw = b"".join(lengths + texts)
        yield compress(raw, asbytes=True), len(raw)


def lines_of(file: IndexFile) -> Iterator[pa.LargeBinaryArray]:
    """The lines of a `.lines` file, in order, many blocks at a time.

    Raises:
        CorruptData: one of them is damaged.
    """
    count = file.trailer.block_count
    for start in range(0, count, _UNPACK_BLOCKS):
        numbers = range(start, min(start + _UNPACK_BLOCKS, count))
        blocks = unpack(file.packed_run(numbers))
        lengths = np.concatenate([np.array(block.lengths, dtype=np.int64) for block in blocks])
        offsets = np.concatenate([np.zeros(1, dtype=np.int64), np.cumsum(lengths)])
        text = b"".join([block.text() for block in blocks])
        buffers = [None, pa.py_buffer(offsets), pa.py_buffer(text)]
        yield pa.Array.from_buffers(pa.large_binary(), len(lengths), buffers)


def encode_buckets(
    postings: Integers, heavy: Integers, bits: int, width: int, buckets: range
) -> Iterator[bytes]:
    """The bytes of some buckets, in order.

    Args:
        postings: sorted; all of these buckets, and of no others.
        heavy: sorted keys whose positions are left out; none of them in `postings`.
    """
    keys = postings >> np.uint64(SEQ_BITS)
    found, starts = np.unique(keys, return_index=True)
    if len(heavy):
        # A key without positions starts where the next one does.
        places = np.append(starts, len(keys))[np.searchsorted(found, heavy)]
        merged = np.concatenate([found, heavy])
        order = np.argsort(merged, kind="stable")
        found, starts = merged[order], np.concatenate([starts, places])[order]
    numbers = np.arange(buckets.start, buckets.stop + 1, dtype=np.uint64)
    edges = np.searchsorted(found >> np.uint64(KEY_BITS - bits), numbers)
    rows = np.append(starts, len(keys))[edges]
    kind = f"<u{width}"
    low_bits = (found & _LOW).astype("<u4")
    positions = (postings & _POSITION).astype(kind)
    for place, number in enumerate(buckets):
        low, high = int(edges[place]), int(edges[place + 1])
        first, end = int(rows[place]), int(rows[place + 1])
        body = b"".join(
            (
                _COUNT.pack(high - low),
                low_bits[low:high].tobytes(),
                (starts[low:high] - first).astype(kind).tobytes(),
                positions[first:end].tobytes(),
            )
        )
        yield body + _COUNT.pack(zlib.crc32(body, number))


def decode_bucket(data: bytes, number: int, bits: int, width: int) -> tuple[Integers, Integers]:
    """(postings, heavy keys) of a checked bucket, both sorted."""
    (count,) = _COUNT.unpack_from(data)
    kind = f"<u{width}"
    body = memoryview(data)[4:-4]
    low = np.frombuffer(body[: 4 * count], dtype="<u4").astype(np.uint64)
    starts = np.frombuffer(body[4 * count : (4 + width) * count], dtype=kind).astype(np.int64)
    positions = np.frombuffer(body[(4 + width) * count :], dtype=kind).astype(np.uint64)
    high = np.uint64(number >> (bits - MIN_BUCKET_BITS) << 32)
    keys = low | high
    counts = np.diff(np.append(starts, len(positions)))
    postings = np.repeat(keys << np.uint64(SEQ_BITS), counts) | positions
    return postings, keys[counts == 0]


def encode_lines(
    name: Name, lines: Iterable[pa.ChunkedArray], postings: Integers, root: bytes
) -> bytes:
    """The bytes of a `.lines` file."""
    parts = [MAGIC]
    at = len(MAGIC)
    entries: list[bytes] = []
    for data, raw_size in encode_blocks(chunk for column in lines for chunk in column.chunks):
        entries.append(block_entry(len(entries), at, data, raw_size))
        parts.append(data)
        at += len(data)
    keys = np.count_nonzero(np.diff(postings >> np.uint64(SEQ_BITS))) + 1
    bits = bucket_bits(int(keys))
    none = np.empty(0, dtype=np.uint64)
    offsets = [at]
    for data in encode_buckets(postings, none, bits, 2, range(1 << bits)):
        parts.append(data)
        at += len(data)
        offsets.append(at)
    block_table = at
    parts += entries
    at += sum(map(len, entries))
    parts.append(np.array(offsets, dtype="<u8").tobytes())
    parts.append(Trailer(LINES, name.first, name.end, block_table, at, bits, root).encode())
    return b"".join(parts)
