"""The file as it lies on disk: is it one, its hash, its encoding."""

from __future__ import annotations

import codecs
import errno
import hashlib
import os
import stat
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from lakecore.base import InvalidInput, NotFound

_CHUNK_BYTES: Final = 1 << 20


@dataclass(frozen=True, slots=True, kw_only=True)
class FileScan:
    """What one pass over the bytes tells.

    `encoding` is what the bytes are consistent with: ``utf-8`` (also where valid and
    invalid sequences are mixed: `invalid_utf8` is then True), ``utf-16``, or ``cp1252`` /
    ``latin-1`` where there are high bytes and none of them is part of valid UTF-8.
    """

    size_bytes: int
    sha256: str
    encoding: str
    invalid_utf8: bool
    has_quote: bool


def check_file(path: Path) -> Path:
    """`path` if it is a regular, readable file.

    Raises:
        NotFound: nothing there. InvalidInput: a directory, a special file, no permission.
    """
    try:
        mode = path.stat().st_mode
    except FileNotFoundError:
        hint = f"There is a {near} beside it." if (near := _near(path)) else None
        raise NotFound("no such file", where=path, hint=hint) from None
    except OSError as error:
        raise InvalidInput(
            "the file cannot be looked at", where=path, found=error.strerror
        ) from None
    if stat.S_ISDIR(mode):
        raise InvalidInput(
            "this is a directory",
            expected="a file",
            where=path,
            hint="Name the files in it, for example with a shell pattern.",
        )
    if not stat.S_ISREG(mode):
        raise InvalidInput(
            "this is not a regular file",
            expected="a file",
            where=path,
            hint="Write the stream to a file first: it is read more than once.",
        )
    try:
        with path.open("rb"):
            pass
    except OSError as error:
        hint = "Give this user the right to read it." if error.errno == errno.EACCES else None
        raise InvalidInput(
            "the file cannot be read", where=path, found=error.strerror, hint=hint
        ) from None
    return path


def _near(path: Path) -> str | None:
    import difflib

    try:
        names = [entry.name for entry in os.scandir(path.parent)][:10_000]
    except OSError:
        return None
    match = difflib.get_close_matches(path.name, names, n=1, cutoff=0.8)
    return match[0] if match else None


def head_of(path: Path, size_bytes: int) -> bytes:
    with path.open("rb") as file:
        return file.read(size_bytes)


def scan_file(path: Path, *, digest: bool = True) -> FileScan:
    """Hash `path` and find its encoding, in one pass and constant memory."""
    sha = hashlib.sha256()
    probe = _Utf8Probe()
    size_bytes, has_quote, utf16 = 0, False, False
    with path.open("rb", buffering=0) as file:
        while chunk := file.read(_CHUNK_BYTES):
            if size_bytes == 0:
                utf16 = chunk.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE))
            size_bytes += len(chunk)
            if digest:
                sha.update(chunk)
            has_quote = has_quote or b'"' in chunk or b"'" in chunk
            if not utf16:
                probe.feed(chunk)
    probe.finish()
    return FileScan(
        size_bytes=size_bytes,
        sha256=sha.hexdigest() if digest else "",
        encoding="utf-16" if utf16 else probe.encoding,
        invalid_utf8=probe.invalid,
        has_quote=has_quote or utf16,
    )


class _Utf8Probe:
    """Whether a byte stream holds valid and invalid multi-byte sequences."""

    def __init__(self) -> None:
        self.valid = False
        self.invalid = False
        self._undefined = False
        self._pending = False
        self._decoder = codecs.getincrementaldecoder("utf-8")("surrogateescape")

    def feed(self, chunk: bytes, *, final: bool = False) -> None:
        if chunk.isascii() and not self._pending and not final:
            return
        if self.valid and self.invalid:
            return
        # Bytes 81, 8D, 8F, 90 and 9D have no character in Windows-1252.
        self._undefined = self._undefined or any(
            byte in chunk for byte in (b"\x81", b"\x8d", b"\x8f", b"\x90", b"\x9d")
        )
        text = self._decoder.decode(chunk, final)
        self._pending = bool(self._decoder.getstate()[0])
        high = text.encode("utf-8", "surrogatepass").translate(None, bytes(range(128)))
        # surrogateescape stands for an invalid byte as ED B2..B3 xx.
        escaped = sum("\udc80" <= char <= "\udcff" for char in text) if b"\xed" in high else 0
        self.invalid = self.invalid or escaped > 0
        self.valid = self.valid or len(high) > 3 * escaped

    def finish(self) -> None:
        self.feed(b"", final=True)

    @property
    def encoding(self) -> str:
        if self.invalid and not self.valid:
            return "latin-1" if self._undefined else "cp1252"
        return "utf-8"


def transcode(path: Path, target: Path, encoding: str, name: str) -> None:
    """Write `path` as UTF-8 to `target`, chunk by chunk.

    Raises:
        InvalidInput: the bytes are not in `encoding`; says where.
    """
    try:
        decoder = codecs.getincrementaldecoder(encoding)("strict")
    except LookupError:
        raise InvalidInput("unknown encoding", found=encoding) from None
    offset = 0
    with path.open("rb") as source, target.open("wb") as sink:
        while True:
            chunk = source.read(_CHUNK_BYTES)
            try:
                text = decoder.decode(chunk, not chunk)
            except UnicodeError as error:
                # UTF-16 without a byte-order mark is an error that has no position.
                byte = error.start if isinstance(error, UnicodeDecodeError) else 0
                raise InvalidInput(
                    f"the file is not {encoding}",
                    found=error.reason if isinstance(error, UnicodeDecodeError) else error,
                    where=f"{name}, near byte {offset + byte}",
                    hint="Name its encoding.",
                ) from None
            sink.write(text.encode("utf-8", "surrogatepass"))
            if not chunk:
                return
            offset += len(chunk)
