"""The bytes of the index's files: line blocks, postings, and the trailer that ends both.

::

    magic
    line blocks     `.lines` only: zstd of (u16 length of each line, then the lines)
    buckets         the postings: keys and where their events are
    block table     `.lines` only: for each block (u64 offset, u32 size, u32 raw size, u32 CRC)
    bucket table    u64 offsets of the buckets, one more than there are buckets
    trailer         see `Trailer`; its CRC last

Everything is little-endian. A *key* is the first 40 bits of SHA-256(entity_id): enough that
a wrong hit is rare among 2^24 entities, and it costs one look at a line, because whoever
reads compares the id. A *bucket* has the keys that agree in their first `bucket_bits` bits:

    u32 n | n × u32 low bits of the key | n × start of its positions | positions | u32 CRC

Starts and positions (`seq - first`) are u16 in `.lines` files and u32 in `.postings`. A key
with more than `HEAVY_ROWS` events in a `.postings` file has no positions there: the reader
descends to the `.lines` files of the range, and no bucket gets large.

Each block and each bucket carries a CRC that starts from its number, so an offset that
points to another one is found as well.
"""

from __future__ import annotations

import hashlib
import struct
import zlib
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from typing import Any, Final

from lakecore.base import CorruptData, UnsupportedFormat

FORMAT: Final = 1
MAGIC: Final = b"LakeIdx\n"
LINES: Final = 1
POSTINGS: Final = 2
BLOCK_ROWS: Final = 64
MAX_BLOCK_ROWS: Final = 4096
HEAVY_ROWS: Final = 256
KEY_BITS: Final = 40
SEQ_BITS: Final = 24
"""A posting is one number, ``key << 24 | position``, so that sorting sorts both."""
MIN_BUCKET_BITS: Final = 8
"""The low 32 bits of a key are stored; the bucket's number has to give the others."""
BUCKET_KEYS: Final = 128
MAX_LINE_BYTES: Final = 65_535

_ZSTD_LEVEL: Final = 1
"""Measured on lines of 410 and 450 bytes: more costs time and gains nothing."""
_TRAILER: Final = struct.Struct("<8sHHIQQQQII32sI")
_BLOCK: Final = struct.Struct("<QIII")
_OFFSETS: Final = struct.Struct("<QQ")
_COUNT: Final = struct.Struct("<I")
TRAILER_BYTES: Final = _TRAILER.size
_MAX_RAW_BYTES: Final = MAX_BLOCK_ROWS * (MAX_LINE_BYTES + 2)


@dataclass(frozen=True, slots=True)
class Trailer:
    """What an index file says of itself: events [first, end), where its tables are.

    `root` is the root of the journal's tree of `end` events: a file that was made for
    other events than the journal has, before a backup came back, say, is none of its.
    """

    kind: int
    first: int
    end: int
    block_table: int
    bucket_table: int
    bucket_bits: int
    root: bytes
    block_rows: int = BLOCK_ROWS

    @property
    def width(self) -> int:
        """Bytes of a position."""
        return 2 if self.kind == LINES else 4

    @property
    def block_count(self) -> int:
        return -(-(self.end - self.first) // self.block_rows) if self.kind == LINES else 0

    @property
    def size_bytes(self) -> int:
        """How long a file with this trailer is."""
        return self.bucket_table + 8 * ((1 << self.bucket_bits) + 1) + TRAILER_BYTES

    def encode(self) -> bytes:
        body = _TRAILER.pack(
            MAGIC,
            FORMAT,
            self.kind,
            self.block_rows,
            self.first,
            self.end,
            self.block_table,
            self.bucket_table,
            self.bucket_bits,
            0,
            self.root,
            0,
        )[:-4]
        return body + _COUNT.pack(zlib.crc32(body))

    @classmethod
    def decode(cls, data: bytes, where: str) -> Trailer:
        """Raises: `UnsupportedFormat` for a newer one, `CorruptData` for damage."""
        if len(data) != TRAILER_BYTES or data[: len(MAGIC)] != MAGIC:
            raise CorruptData("an index file has no trailer", where=where)
        _, version, kind, rows, first, end, blocks, buckets, bits, _, root, crc = _TRAILER.unpack(
            data
        )
        if crc != zlib.crc32(data[:-4]):
            raise CorruptData("the trailer of an index file is damaged", where=where)
        if version != FORMAT or kind not in (LINES, POSTINGS):
            raise UnsupportedFormat(
                "an index file is of another format",
                expected=FORMAT,
                found=f"{version}, kind {kind}",
                where=where,
                hint="It is derived: delete journal/index, and it is built again.",
            )
        if not 0 < rows <= MAX_BLOCK_ROWS or not MIN_BUCKET_BITS <= bits <= KEY_BITS:
            raise CorruptData("the trailer of an index file is out of range", where=where)
        return cls(kind, first, end, blocks, buckets, bits, root, rows)


@cache
def codec() -> Any:
    import pyarrow as pa

    return pa.Codec("zstd", compression_level=_ZSTD_LEVEL)


# Keys


def key_of(entity_id: str) -> int:
    return int.from_bytes(hashlib.sha256(entity_id.encode()).digest()[: KEY_BITS // 8], "big")


# Line blocks


def block_entry(number: int, offset: int, data: bytes, raw_size: int) -> bytes:
    return _BLOCK.pack(offset, len(data), raw_size, zlib.crc32(data, number ^ raw_size))


def block_place(entry: bytes, where: str) -> tuple[int, int, int, int]:
    """(offset, size, raw size, CRC) of a block by its entry in the table."""
    if len(entry) != _BLOCK.size:
        raise CorruptData("an index file ends early", where=where)
    offset, size, raw_size, crc = _BLOCK.unpack(entry)
    if raw_size > _MAX_RAW_BYTES or size > raw_size + 1024:
        raise CorruptData("a line block is larger than any", found=raw_size, where=where)
    return offset, size, raw_size, crc


BLOCK_ENTRY_BYTES: Final = _BLOCK.size


# Buckets


def bucket_bits(key_count: int) -> int:
    """How many bits name a bucket, where there are so many keys."""
    return max(MIN_BUCKET_BITS, (max(1, key_count) // BUCKET_KEYS).bit_length())


def bucket_place(entry: bytes, trailer: Trailer, where: str) -> tuple[int, int]:
    """(offset, size) of a bucket by two neighbours of the table."""
    if len(entry) != _OFFSETS.size:
        raise CorruptData("an index file ends early", where=where)
    start, end = _OFFSETS.unpack(entry)
    if not len(MAGIC) <= start <= end - 8 < trailer.bucket_table:
        raise CorruptData("a bucket lies outside", found=(start, end), where=where)
    return start, end - start


def check_bucket(data: bytes, number: int, where: str) -> None:
    if len(data) < 8 or zlib.crc32(data[:-4], number) != _COUNT.unpack_from(data, len(data) - 4)[0]:
        raise CorruptData(f"bucket {number} of an index file is damaged", where=where)


def find_in_bucket(data: bytes, key: int, width: int) -> Sequence[int] | None:
    """The positions of a key in a checked bucket, ascending; None when it is too heavy for it."""
    (count,) = _COUNT.unpack_from(data)
    wanted = _COUNT.pack(key & 0xFFFF_FFFF)
    end = 4 + 4 * count
    at = data.find(wanted, 4, end)
    while at >= 0 and at % 4:
        at = data.find(wanted, at + 1, end)
    if at < 0:
        return ()
    row = (at - 4) // 4
    letter = "H" if width == 2 else "I"
    base = end + width * count
    start = struct.unpack_from("<" + letter, data, end + width * row)[0]
    if row + 1 < count:
        stop = struct.unpack_from("<" + letter, data, end + width * (row + 1))[0]
    else:
        stop = (len(data) - 4 - base) // width
    if start == stop:
        return None
    return struct.unpack_from(f"<{stop - start}{letter}", data, base + width * start)
