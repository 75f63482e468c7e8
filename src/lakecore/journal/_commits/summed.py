"""A file that sums up, as CRC32, all bytes that pass through it."""

from __future__ import annotations

import zlib
from typing import Any, BinaryIO, Final

from lakecore.base.limits import GIB

_MAX_READ: Final = 4 * GIB
"""More than any message of a stream has."""


class Summed:
    """The part of a file that Arrow needs for a stream; it is not closed with the stream."""

    def __init__(self, file: BinaryIO | Any) -> None:
        self._file = file
        self.closed = False
        self._crc = 0

    @property
    def sum(self) -> bytes:
        """Of everything so far, as text."""
        return b"%08x" % self._crc

    def read(self, size: int = -1) -> bytes:
        """`ValueError` for what only a damaged length asks for."""
        if size > _MAX_READ:
            raise ValueError(f"a message of {size} bytes")
        data: bytes = self._file.read(size)
        self._crc = zlib.crc32(data, self._crc)
        return data

    def write(self, data: Any) -> int:
        self._crc = zlib.crc32(data, self._crc)
        self._file.write(data)
        return len(data)

    def flush(self) -> None:
        """Nothing is kept back here."""

    def close(self) -> None:
        self.closed = True
