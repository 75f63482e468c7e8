"""gzip, zstd, and zips of one file, unpacked to a scratch directory in bounded memory.

Unpacking to disk rather than through a pipe: text can then be read in parallel and
again, and a truncated file is known before anything is planned.
"""

from __future__ import annotations

import zipfile
import zlib
from pathlib import Path
from typing import BinaryIO, Final

from lakecore.base import InvalidInput, OutOfSpace
from lakecore.ingest._files import head_of

_CHUNK_BYTES: Final = 1 << 20
_GZIP_WBITS: Final = 31


def compression_of(path: Path) -> str | None:
    """``gzip``, ``zstd``, ``zip`` (one that is no workbook), or None."""
    head = head_of(path, 4)
    if head.startswith(b"\x1f\x8b"):
        return "gzip"
    if head == b"\x28\xb5\x2f\xfd":
        return "zstd"
    if head == b"PK\x03\x04" and not _is_workbook(path):
        return "zip"
    return None


def _is_workbook(path: Path) -> bool:
    try:
        with zipfile.ZipFile(path) as archive:
            names = set(archive.namelist())
    except zipfile.BadZipFile:
        return path.suffix.lower() in {".xlsx", ".xlsm", ".xlsb", ".ods"}
    return "[Content_Types].xml" in names or "mimetype" in names


class _Bounded:
    """A file that takes so many bytes and no more."""

    def __init__(self, sink: BinaryIO, most_bytes: int | None, name: str) -> None:
        self._sink = sink
        self._most_bytes = most_bytes
        self._name = name
        self._bytes = 0

    def write(self, data: bytes) -> None:
        """Raises `InvalidInput` when it becomes too much."""
        self._bytes += len(data)
        if self._most_bytes is not None and self._bytes > self._most_bytes:
            raise too_long(self._most_bytes, self._name)
        self._sink.write(data)


def too_long(most_bytes: int, name: str) -> InvalidInput:
    """The error of a file that becomes too long when it is unpacked."""
    return InvalidInput(
        "the file becomes too long when it is unpacked",
        expected=f"at most {most_bytes:,} bytes",
        where=name,
        hint="Load it in parts.",
    )


def check_workbook(path: Path, most_bytes: int, name: str) -> None:
    """A workbook is a zip that its reader unpacks into memory: what it says of its size."""
    if not zipfile.is_zipfile(path):
        return
    try:
        with zipfile.ZipFile(path) as archive:
            size_bytes = sum(member.file_size for member in archive.infolist())
    except zipfile.BadZipFile:
        return  # its reader says what is wrong with it
    if size_bytes > most_bytes:
        raise too_long(most_bytes, name)


def unpack(path: Path, scratch: Path, name: str, most_bytes: int | None = None) -> tuple[Path, str]:
    """Unpack `path` into `scratch`; the new path, and the name of what was inside."""
    kind = compression_of(path)
    target = scratch / "unpacked"
    inner_name = name
    for suffix in (".gz", ".gzip", ".zst", ".zstd", ".zip"):
        if inner_name.lower().endswith(suffix):
            inner_name = inner_name[: -len(suffix)]
    try:
        with path.open("rb") as source, target.open("wb") as file:
            sink = _Bounded(file, most_bytes, name)
            if kind == "gzip":
                _gunzip(source, sink, name)
            elif kind == "zstd":
                _unzstd(source, sink, name)
            else:
                inner_name = _unzip(path, sink, name)
    except OSError as error:
        if error.errno == 28:
            raise OutOfSpace("no room to unpack the file", where=scratch) from None
        raise
    return target, inner_name


def _gunzip(source: BinaryIO, sink: _Bounded, name: str) -> None:
    decoder = zlib.decompressobj(_GZIP_WBITS)
    read_bytes, rest = 0, b""
    while True:
        chunk = rest or source.read(_CHUNK_BYTES)
        read_bytes += 0 if rest else len(chunk)
        rest = b""
        if not chunk:
            break
        if decoder.eof:
            # Another member, or the zero padding that some writers leave at the end.
            if not chunk.strip(b"\0"):
                continue
            decoder = zlib.decompressobj(_GZIP_WBITS)
        try:
            data = decoder.decompress(chunk, _CHUNK_BYTES)
            sink.write(data)
            while decoder.unconsumed_tail:
                sink.write(decoder.decompress(decoder.unconsumed_tail, _CHUNK_BYTES))
        except zlib.error as error:
            raise _broken("gzip", name, read_bytes - len(chunk), str(error)) from None
        rest = decoder.unused_data
    if not decoder.eof:
        raise _broken("gzip", name, read_bytes, "the file ends in the middle of a stream")


def _unzstd(source: BinaryIO, sink: _Bounded, name: str) -> None:
    import pyarrow as pa

    stream = pa.CompressedInputStream(pa.PythonFile(source, mode="r"), "zstd")
    try:
        while chunk := stream.read(_CHUNK_BYTES):
            sink.write(chunk)
    except OSError as error:
        if error.errno is not None:
            raise
        raise _broken("zstd", name, source.tell(), str(error)) from None


def _unzip(path: Path, sink: _Bounded, name: str) -> str:
    try:
        with zipfile.ZipFile(path) as archive:
            members = [
                info
                for info in archive.infolist()
                if not info.is_dir() and not info.filename.startswith("__MACOSX/")
            ]
            if len(members) != 1:
                raise InvalidInput(
                    "a zip must hold one file",
                    expected="1 file",
                    found=f"{len(members)} files",
                    where=name,
                    hint="Unpack it and name the files.",
                )
            with archive.open(members[0]) as source:
                while chunk := source.read(_CHUNK_BYTES):
                    sink.write(chunk)
            return members[0].filename
    except (zipfile.BadZipFile, zlib.error, EOFError) as error:
        raise _broken("zip", name, path.stat().st_size, str(error)) from None
    except (RuntimeError, NotImplementedError) as error:
        raise InvalidInput("the zip cannot be unpacked", where=name, found=error) from None


def _broken(kind: str, name: str, offset_bytes: int, found: str) -> InvalidInput:
    return InvalidInput(
        f"the {kind} file is truncated or damaged",
        found=found,
        where=f"{name}, byte {offset_bytes}",
        hint="Fetch it again.",
    )
