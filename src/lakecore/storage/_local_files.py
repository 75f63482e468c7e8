"""Single steps on files and folders of a local disk."""

from __future__ import annotations

import io
import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import BinaryIO, Final, cast

from lakecore.base import LakecoreError

_WRITE_BUFFER_BYTES: Final = 1 << 20
_READ_BUFFER_BYTES: Final = 1 << 16


class UploadFile(io.FileIO):
    """The unfinished file of an upload: written from start to end, never repositioned.

    A disk could seek, an object store cannot: what works here has to work there.
    `fault` keeps the first error of a write, translated, because the libraries
    between us and the caller wrap exceptions in their own.
    """

    def __init__(self, fd: int, translate: Callable[[OSError], LakecoreError]) -> None:
        super().__init__(fd, "wb")
        self._translate = translate
        self.fault: LakecoreError | None = None

    def write(self, data: object) -> int:
        try:
            return super().write(data)  # type: ignore[arg-type]  # any buffer
        except OSError as error:
            self.fault = self.fault or self._translate(error)
            raise self.fault from error

    def finish(self, file: io.BufferedIOBase) -> None:
        """Write what `file` still holds; raise the first fault, even if it was swallowed."""
        try:
            file.close()
        except OSError as error:
            self.fault = self.fault or self._translate(error)
        if self.fault is not None:
            raise self.fault

    def seekable(self) -> bool:
        return False


@contextmanager
def fed(sink: UploadFile) -> Iterator[BinaryIO]:
    """Give `sink` to the caller, buffered; flush and close it, whatever happens."""
    file = io.BufferedWriter(sink, _WRITE_BUFFER_BYTES)
    try:
        yield cast(BinaryIO, file)
        sink.finish(file)
    except Exception as error:
        if sink.fault is not None and error is not sink.fault:
            raise sink.fault from error
        raise
    finally:
        # After an error the raw file closes first: what is buffered is not wanted any more.
        sink.close()


def write_all(fd: int, data: bytes) -> None:
    """Write all of `data`: one call may take only a part of it."""
    view = memoryview(data)
    while view:
        view = view[os.write(fd, view) :]


def read_at(fd: int, start: int, length: int) -> bytes:
    """`length` bytes from `start`, or from the end if it is negative; fewer at the end."""
    size = os.fstat(fd).st_size
    position = start if start >= 0 else max(0, size + start)
    parts = []
    wanted = min(length, max(0, size - position))
    while wanted:
        part = os.pread(fd, wanted, position)
        if not part:
            break
        parts.append(part)
        position += len(part)
        wanted -= len(part)
    return parts[0] if len(parts) == 1 else b"".join(parts)


def open_regular(file: str, *, buffer_bytes: int = _READ_BUFFER_BYTES) -> BinaryIO:
    """Open a file to read; a folder or a symbolic link is not one."""
    return open(file, "rb", buffering=buffer_bytes, opener=_no_links)


def sync_folder(folder: str) -> None:
    """Make the names in `folder` durable."""
    fd = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        os.fsync(fd)
    finally:
        os.close(fd)


def make_root(root: str) -> None:
    """Make the root and what is missing above it, durably."""
    if os.path.isdir(root):
        return
    above = os.path.dirname(root)
    make_root(above)
    try:
        os.mkdir(root)
    except FileExistsError:
        if not os.path.isdir(root):
            raise
    sync_folder(above)


def _no_links(file: str, flags: int) -> int:
    return os.open(file, flags | os.O_NOFOLLOW | os.O_CLOEXEC)
