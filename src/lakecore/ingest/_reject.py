"""Rows that a source could not take: kept in bounded memory, then in a temporary file."""

from __future__ import annotations

import hashlib
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import IO

import msgspec

from lakecore.base import InvalidInput
from lakecore.base.limits import MIB
from lakecore.ingest._options import MAX_REJECT_TEXT_BYTES


@dataclass(frozen=True, slots=True, kw_only=True)
class Reject:
    """One record that did not get in.

    `line` is the physical line on which the record starts, counted from 1 (for formats
    without lines: the record's number); `column` is '' when the whole record is at fault.
    """

    file: str
    line: int
    column: str = ""
    text: str
    reason: str


def bounded_text(text: str | bytes) -> str:
    """At most `MAX_REJECT_TEXT_BYTES`; bytes that are no UTF-8 appear as ``\\xNN``."""
    raw = text.encode("utf-8", "surrogatepass") if isinstance(text, str) else text
    if len(raw) <= MAX_REJECT_TEXT_BYTES:
        return raw.decode("utf-8", "backslashreplace")
    digest = hashlib.sha256(raw).hexdigest()
    head = raw[: MAX_REJECT_TEXT_BYTES - 128].decode("utf-8", "backslashreplace")
    return f"{head[: MAX_REJECT_TEXT_BYTES - 128]}… [{len(raw)} bytes, sha256 {digest}]"


class RejectLog:
    """Rejects in the order of their arrival; past 1 MiB they live in a temporary file."""

    def __init__(
        self, *, limit: int, file: str, temp_dir: Path | None = None, strict: bool = False
    ) -> None:
        self._limit = limit
        self._strict = strict
        self._file = file
        where = None if temp_dir is None else str(temp_dir)
        self._spool: IO[bytes] = tempfile.SpooledTemporaryFile(MIB, dir=where)  # noqa: SIM115 - see close
        self._encoder = msgspec.json.Encoder()
        self.count = 0

    def add(self, line: int, text: str | bytes, reason: str, column: str = "") -> None:
        """Keep one reject; `InvalidInput` past the limit, or at once when strict."""
        if self._strict:
            raise InvalidInput(
                "a row does not fit",
                found=f"{reason}: {bounded_text(text)[:200]!r}",
                where=f"{self._file}, line {line}",
                hint="Repair the file, or take it in without strict: such rows are quarantined.",
            )
        if self.count >= self._limit:
            raise too_many_rejects(self._file, self._limit, reason)
        entry = (line, column, bounded_text(text), reason)
        self._spool.write(self._encoder.encode(entry) + b"\n")
        self.count += 1

    def clear(self) -> None:
        """Forget everything: the file is read again."""
        self._spool.seek(0)
        self._spool.truncate()
        self.count = 0

    def __iter__(self) -> Iterator[Reject]:
        decoder = msgspec.json.Decoder(tuple[int, str, str, str])
        self._spool.seek(0)
        for row in self._spool:
            line, column, text, reason = decoder.decode(row)
            yield Reject(file=self._file, line=line, column=column, text=text, reason=reason)
        self._spool.seek(0, 2)

    def close(self) -> None:
        self._spool.close()


def too_many_rejects(file: str, limit: int, reason: str) -> InvalidInput:
    """The error past `max_rejects`."""
    return InvalidInput(
        "too many rows do not parse",
        expected=f"at most {limit} rejected rows",
        found=f"more; the last: {reason}",
        where=file,
        hint="The file is probably not what it seems; name its format, delimiter, quote or "
        "encoding, or raise max_rejects.",
    )
