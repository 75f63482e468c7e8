"""Objects of a bucket as files: one to read from anywhere, one to write from start to end."""

from __future__ import annotations

import io
import os
from collections.abc import Callable
from contextlib import suppress
from typing import TYPE_CHECKING, BinaryIO, Final, Protocol, cast

from lakecore.base import LakecoreError

if TYPE_CHECKING:
    from typing_extensions import Buffer

PART_BYTES: Final = 8 << 20
"""What fits is one create-only request; what is larger goes up in parts of this size."""

READ_AHEAD_BYTES: Final = 1 << 20
"""Takes about as long on its way as the wait for its first byte."""


class PartWriter(Protocol):
    """A large upload under way."""

    def write(self, data: bytes, /) -> object: ...

    def complete(self) -> None:
        """Make the object visible, whole."""

    def abort(self) -> None:
        """Take back what was sent."""


class RangeReader(io.RawIOBase):
    """A seekable file over ranged requests; `read` takes a position and a length."""

    def __init__(self, read: Callable[[int, int], bytes], size_bytes: int) -> None:
        super().__init__()
        self._read = read
        self._size_bytes = size_bytes
        self._position = 0

    def readable(self) -> bool:
        return True

    def seekable(self) -> bool:
        return True

    def tell(self) -> int:
        return self._position

    def seek(self, offset: int, whence: int = os.SEEK_SET, /) -> int:
        origin = {os.SEEK_SET: 0, os.SEEK_CUR: self._position, os.SEEK_END: self._size_bytes}
        position = origin[whence] + offset
        if position < 0:
            raise ValueError(f"negative seek position {position}")
        self._position = position
        return position

    def readinto(self, buffer: Buffer, /) -> int:
        view = memoryview(buffer).cast("B")
        wanted = min(len(view), self._size_bytes - self._position)
        if wanted <= 0:
            return 0
        data = self._read(self._position, wanted)
        view[: len(data)] = data
        self._position += len(data)
        return len(data)

    def readall(self) -> bytes:
        # The inherited one asks for 8 KiB at a time.
        data = self._read(self._position, max(0, self._size_bytes - self._position))
        self._position += len(data)
        return data


def open_ranges(read: Callable[[int, int], bytes], size_bytes: int) -> BinaryIO:
    """A buffered, seekable file over ranged requests."""
    return cast(BinaryIO, io.BufferedReader(RangeReader(read, size_bytes), READ_AHEAD_BYTES))


class UploadParts(io.RawIOBase):
    """The unfinished object: in memory while it is small, else sent part by part.

    `fault` keeps the first error, because the libraries between us and the caller
    wrap exceptions in their own.
    """

    def __init__(self, create: Callable[[bytes], None], start: Callable[[], PartWriter]) -> None:
        super().__init__()
        self._create = create
        self._start = start
        self._buffer = bytearray()
        self._parts: PartWriter | None = None
        self._position = 0
        self.fault: LakecoreError | None = None

    def writable(self) -> bool:
        return True

    def tell(self) -> int:
        return self._position

    def write(self, data: Buffer, /) -> int:
        if self.closed:
            raise ValueError("write to a closed file")
        view = memoryview(data).cast("B")
        self._buffer += view
        self._position += len(view)
        if len(self._buffer) > PART_BYTES:
            self._send()
        return len(view)

    def finish(self) -> None:
        """Make the object visible; raise the first fault, even if it was swallowed."""
        if self.fault is not None:
            raise self.fault
        if self._parts is None:
            self._create(bytes(self._buffer))
            return
        self._send()
        self._parts.complete()
        self._parts = None

    def abort(self) -> None:
        """Leave nothing, as far as the store can be reached."""
        self._buffer.clear()
        parts, self._parts = self._parts, None
        if parts is not None:
            with suppress(LakecoreError):
                parts.abort()

    def _send(self) -> None:
        try:
            if self._parts is None:
                self._parts = self._start()
            self._parts.write(bytes(self._buffer))
        except LakecoreError as error:
            self.fault = self.fault or error
            raise
        self._buffer.clear()
