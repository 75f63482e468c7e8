"""Parquet footers: which bytes of a file are which column of which row group (pure).

The pages of a column chunk hold no positions in the file. So a chunk can be copied into
another file as it is, with its description in the footer moved along.

Names are those of `parquet.thrift` (Apache Parquet format 2.12); numbers are its fields'.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any, Final

from lakecore.base import CorruptData
from lakecore.tables._thrift import I64, LIST, STRUCT, Struct, read_struct, write_struct

MAGIC: Final = b"PAR1"
TAIL_BYTES: Final = 8
"""The length of the footer, and `MAGIC`: the end of a file."""

# FileMetaData
_NUM_ROWS: Final = 3
_ROW_GROUPS: Final = 4
# RowGroup
_COLUMNS: Final = 1
_TOTAL_BYTE_SIZE: Final = 2
_GROUP_ROWS: Final = 3
_GROUP_OFFSET: Final = 5
_GROUP_COMPRESSED_SIZE: Final = 6
_KNOWN_OF_GROUP: Final = {
    _COLUMNS,
    _TOTAL_BYTE_SIZE,
    _GROUP_ROWS,
    _GROUP_OFFSET,
    _GROUP_COMPRESSED_SIZE,
}
# ColumnChunk
_CHUNK_OFFSET: Final = 2
_META_DATA: Final = 3
# ColumnMetaData
_PATH: Final = 3
_UNCOMPRESSED_SIZE: Final = 6
_COMPRESSED_SIZE: Final = 7
_DATA_PAGE: Final = 9
_INDEX_PAGE: Final = 10
_DICTIONARY_PAGE: Final = 11
_BLOOM_FILTER: Final = 14
_PAGES: Final = (_DATA_PAGE, _INDEX_PAGE, _DICTIONARY_PAGE)


@dataclass(frozen=True, slots=True)
class Chunk:
    """One column of one row group: `size_bytes` from `start`, named by the `path` in the schema."""

    path: tuple[bytes, ...]
    start: int
    size_bytes: int
    fields: Struct

    def moved(self, start: int) -> Struct:
        """The description of the same chunk where it begins at `start`."""
        meta = dict(self.fields[_META_DATA][1])
        for number in _PAGES:
            if number in meta:
                meta[number] = (I64, meta[number][1] - self.start + start)
        return {_CHUNK_OFFSET: (I64, 0), _META_DATA: (STRUCT, meta)}

    @property
    def uncompressed_bytes(self) -> int:
        return int(self.fields[_META_DATA][1][_UNCOMPRESSED_SIZE][1])


@dataclass(frozen=True, slots=True)
class Group:
    """A row group."""

    rows: int
    chunks: tuple[Chunk, ...]


@dataclass(frozen=True, slots=True)
class Footer:
    """A file's footer: `common` is all that does not depend on the rows, schema and writer."""

    common: Struct
    groups: tuple[Group, ...]

    @classmethod
    def parse(cls, data: bytes) -> Footer:
        """From a footer's bytes.

        Raises:
            CorruptData: it is none, or has what cannot be moved: encrypted columns, columns in
                another file, bloom filters, page indexes, a sort order.
        """
        fields = read_struct(data)
        try:
            groups = tuple(_group(group) for group in fields[_ROW_GROUPS][1][1])
            common = {
                number: value
                for number, value in fields.items()
                if number not in (_NUM_ROWS, _ROW_GROUPS)
            }
        except (LookupError, TypeError, ValueError, AttributeError) as error:
            raise CorruptData("not the footer of a Parquet file", found=error) from error
        return cls(common, groups)

    def with_groups(self, groups: Iterable[tuple[int, Sequence[tuple[Chunk, int]]]]) -> bytes:
        """The bytes of a footer for other row groups: of each its rows, and its chunks with
        where they begin."""
        found: list[Struct] = []
        rows = 0
        for count, chunks in groups:
            rows += count
            found.append(
                {
                    _COLUMNS: (LIST, (STRUCT, [chunk.moved(start) for chunk, start in chunks])),
                    _TOTAL_BYTE_SIZE: (I64, sum(c.uncompressed_bytes for c, _ in chunks)),
                    _GROUP_ROWS: (I64, count),
                    _GROUP_OFFSET: (I64, chunks[0][1]),
                    _GROUP_COMPRESSED_SIZE: (I64, sum(c.size_bytes for c, _ in chunks)),
                }
            )
        fields: Struct = {**self.common, _NUM_ROWS: (I64, rows)}
        fields[_ROW_GROUPS] = (LIST, (STRUCT, found))
        return write_struct(fields)


def footer_bytes(tail: bytes) -> bytes | None:
    """The footer in the last bytes of a file; None when it is longer than these.

    Raises:
        CorruptData: the bytes are not the end of a Parquet file.
    """
    if len(tail) < TAIL_BYTES or not tail.endswith(MAGIC):
        raise CorruptData("not the end of a Parquet file")
    size = int.from_bytes(tail[-TAIL_BYTES:-4], "little")
    if size + TAIL_BYTES > len(tail):
        return None
    return tail[-TAIL_BYTES - size : -TAIL_BYTES]


def footer_size(tail: bytes) -> int:
    """How many of the last bytes of a file are its footer, with the tail itself."""
    return int.from_bytes(tail[-TAIL_BYTES:-4], "little") + TAIL_BYTES


def enclosed(footer: bytes) -> bytes:
    """The footer as the end of a file: with its length and the magic."""
    return footer + len(footer).to_bytes(4, "little") + MAGIC


def _group(fields: Struct) -> Group:
    if not set(fields) <= _KNOWN_OF_GROUP:
        raise ValueError("a row group with more than columns")
    return Group(
        rows=int(fields[_GROUP_ROWS][1]),
        chunks=tuple(_chunk(chunk) for chunk in fields[_COLUMNS][1][1]),
    )


def _chunk(fields: Struct) -> Chunk:
    if not set(fields) <= {_CHUNK_OFFSET, _META_DATA}:
        raise ValueError("a column chunk with more than its pages")
    meta: dict[int, tuple[int, Any]] = fields[_META_DATA][1]
    if _BLOOM_FILTER in meta:
        raise ValueError("a column chunk with a bloom filter")
    starts = [int(meta[number][1]) for number in _PAGES if number in meta]
    return Chunk(
        path=tuple(meta[_PATH][1][1]),
        start=min(starts),
        size_bytes=int(meta[_COMPRESSED_SIZE][1]),
        fields=fields,
    )
