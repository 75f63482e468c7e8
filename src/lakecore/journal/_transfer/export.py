"""Events to a file: written beside it and renamed, or to a stream; memory holds a segment.

The sealed events come first, by `seq`; then what is acknowledged but not sealed yet,
which has no `seq`, unless the export has an end.
"""

from __future__ import annotations

import os
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, BinaryIO, Final

from lakecore.base import AlreadyExists, InvalidInput
from lakecore.journal._read.filter import EventFilter

if TYPE_CHECKING:
    import pyarrow as pa

    from lakecore.journal._read.scan import Snapshot

FORMATS: Final = ("parquet", "ndjson", "csv", "cloudevents")
_BY_ENDING: Final = {".jsonl": "ndjson", ".json": "ndjson"} | {f".{name}": name for name in FORMATS}


@dataclass(frozen=True, slots=True)
class ExportResult:
    """How many events were written, in how many bytes, in which format."""

    events: int
    size_bytes: int
    format: str


def export_events(
    snapshot: Snapshot,
    target: str | os.PathLike[str] | BinaryIO,
    *,
    format_name: str | None,
    wanted: EventFilter,
    since_seq: int | None = None,
    until_seq: int | None = None,
    overwrite: bool = False,
    source: str = "lakecore",
) -> ExportResult:
    """Write the events that match to a path or to a binary stream.

    Args:
        format_name: one of `FORMATS`; None: by the path's ending, else parquet.
        since_seq, until_seq: from this position on; up to but without that one.
        source: the `source` of CloudEvents, a URI reference.

    Raises:
        InvalidInput: no such format or range, or a path that cannot be written.
        AlreadyExists: the file is there and `overwrite` is not set.
    """
    chosen = _format(format_name, target)
    for name, seq in (("since_seq", since_seq), ("until_seq", until_seq)):
        if seq is not None and (type(seq) is not int or seq < 0):
            raise InvalidInput("not a position", expected="0 or more", found=seq, where=name)
    from lakecore.journal._transfer.formats import ENCODERS

    counted = _Counted(_tables(snapshot, wanted, since_seq, until_seq))
    size_bytes = 0
    with _opened(target, overwrite) as stream:
        for piece in ENCODERS[chosen](counted, source):
            stream.write(piece)
            size_bytes += len(piece)
    return ExportResult(counted.events, size_bytes, chosen)


def _format(name: str | None, target: str | os.PathLike[str] | BinaryIO) -> str:
    if name is None:
        ending = Path(target).suffix.lower() if isinstance(target, (str, os.PathLike)) else ""
        return _BY_ENDING.get(ending, "parquet")
    if name not in FORMATS:
        raise InvalidInput("no such format", expected=", ".join(FORMATS), found=name)
    return name


def _tables(
    snapshot: Snapshot, wanted: EventFilter, since_seq: int | None, until_seq: int | None
) -> Iterator[pa.Table]:
    yield from snapshot.sealed(wanted, first_seq=since_seq or 0, end_seq=until_seq)
    if until_seq is None:
        yield from snapshot.unsealed(wanted)


class _Counted:
    """The tables, and how many events they were."""

    def __init__(self, tables: Iterator[pa.Table]) -> None:
        self._tables = tables
        self.events = 0

    def __iter__(self) -> Iterator[pa.Table]:
        for table in self._tables:
            self.events += table.num_rows
            yield table


@contextmanager
def _opened(target: str | os.PathLike[str] | BinaryIO, overwrite: bool) -> Iterator[BinaryIO]:
    """The stream, or a file that gets its name when everything is in it and on the disk."""
    if not isinstance(target, (str, os.PathLike)):
        yield target
        return
    path = Path(target)
    if not path.parent.is_dir() or path.is_dir():
        raise InvalidInput("the export cannot be written there", expected="a file", where=path)
    if not overwrite and path.exists():
        raise _taken(path)
    handle, name = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name[:64]}.")
    unfinished = Path(name)
    try:
        with os.fdopen(handle, "wb") as stream:
            yield stream
            stream.flush()
            os.fsync(stream.fileno())
        umask = os.umask(0)
        os.umask(umask)
        unfinished.chmod(0o666 & ~umask)
        if overwrite:
            unfinished.replace(path)
        else:
            # A link, not a rename: what somebody else put there meanwhile stays.
            try:
                os.link(unfinished, path)
            except FileExistsError:
                raise _taken(path) from None
    finally:
        unfinished.unlink(missing_ok=True)


def _taken(path: Path) -> AlreadyExists:
    return AlreadyExists("there is a file already", where=path, hint="choose another, or overwrite")
