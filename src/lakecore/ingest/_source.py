"""One file as a stream of Arrow batches: the port, and the choice of a reader.

The content decides, the name is asked only where the content leaves it open:

==================  =======================================================
first bytes         format
==================  =======================================================
``PAR1``            Parquet
``ARROW1``          Arrow IPC file (Feather)
``FFFFFFFF``        Arrow IPC stream
``PK``              Excel where it holds a workbook, else a zip of one file
``D0CF11E0``        Excel (before 2007)
gzip, zstd          unpacked, then looked at again
``[{`` or ``{"``    JSON or NDJSON, with white space where JSON allows it
anything else       CSV or TSV
==================  =======================================================
"""

from __future__ import annotations

import re
import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Final, Protocol

from lakecore.base import InvalidInput
from lakecore.ingest._compressed import compression_of, unpack
from lakecore.ingest._files import FileScan, check_file, head_of, scan_file
from lakecore.ingest._options import IngestOptions
from lakecore.ingest._reject import Reject

if TYPE_CHECKING:
    import pyarrow as pa


_JSON_START: Final = re.compile(rb"(?:\xef\xbb\xbf)?\s*(?:\[\s*[\[{\]]|\{\s*[\"}])")


class Source(Protocol):
    """A file being read. Not for use by several threads; `close` when done.

    `batches` may be called once; after it is exhausted `rejects` and `reject_count` are
    final. Memory is bounded by the options, whatever the file's size. When reading shows
    that a column's type was guessed too narrow, the stream ends with `TypesChanged`;
    `restart` then begins again with the wider type.
    """

    name: str
    format: str
    size_bytes: int
    sha256: str
    schema: pa.Schema
    notes: list[str]
    needs_restart: bool

    @property
    def reject_count(self) -> int: ...

    def batches(self) -> pa.RecordBatchReader: ...

    def rejects(self) -> Iterator[Reject]: ...

    def restart(self) -> None: ...

    def close(self) -> None: ...


def open_source(
    path: str | Path,
    options: IngestOptions | None = None,
    *,
    target: pa.Schema | None = None,
    scan: FileScan | None = None,
) -> Source:
    """Open `path` with the reader that its content asks for.

    Args:
        target: the dataset's schema, if there is one: text is read as these types, so
            that a zip code column stays text although this file's codes look like numbers.
        scan: what `scan_file` already found, to read the file's bytes only once.

    Raises:
        NotFound: nothing there. InvalidInput: not a readable file, broken, or no table.
    """
    options = options or IngestOptions()
    path = check_file(Path(path))
    scan = scan or scan_file(path)
    name = options.file_name or path.name
    scratch = Path(tempfile.mkdtemp(prefix="lakecore-ingest-", dir=options.temp_dir))
    try:
        inner, inner_name = path, name
        if compression_of(path) is not None:
            inner, inner_name = unpack(path, scratch, name, options.max_unpacked_bytes)
            inner_scan = scan_file(inner, digest=False)
        else:
            inner_scan = scan
        kind = options.format or detect_format(inner, inner_name)
        source = _open(kind, inner, name, options, target, scan, inner_scan, scratch)
    except BaseException:
        shutil.rmtree(scratch, ignore_errors=True)
        raise
    return source


def detect_format(path: Path, name: str) -> str:
    """The format of an uncompressed file: content first, then extension."""
    head = head_of(path, 4096)
    extension = Path(name.lower()).suffix
    if head.startswith(b"PAR1"):
        return "parquet"
    if head.startswith((b"ARROW1", b"FEA1", b"\xff\xff\xff\xff")):
        return "arrow"
    if head.startswith((b"\xd0\xcf\x11\xe0", b"PK\x03\x04")):
        return "excel"
    if not head and extension in {".parquet", ".arrow", ".feather", ".xlsx", ".json"}:
        raise InvalidInput("the file is empty", where=name)
    if _JSON_START.match(head):
        return "ndjson" if extension in {".ndjson", ".jsonl"} else "json"
    by_name = {
        ".parquet": "parquet",
        ".arrow": "arrow",
        ".feather": "arrow",
        ".ipc": "arrow",
        ".xlsx": "excel",
        ".xls": "excel",
        ".ods": "excel",
    }.get(extension)
    if by_name is not None:
        return by_name
    if extension in {".ndjson", ".jsonl"}:
        return "ndjson"
    if extension in {".csv", ".tsv", ".tab", ".psv"}:
        return "tsv" if extension in {".tsv", ".tab"} else "csv"
    return "json" if extension == ".json" else "csv"


def _open(
    kind: str,
    inner: Path,
    name: str,
    options: IngestOptions,
    target: pa.Schema | None,
    scan: FileScan,
    inner_scan: FileScan,
    scratch: Path,
) -> Source:
    # Readers import their libraries: only the one that is needed is loaded.
    if kind in {"csv", "tsv"}:
        from lakecore.ingest._delimited import DelimitedSource

        return DelimitedSource(
            inner,
            name,
            options,
            scan=scan,
            text=inner_scan,
            scratch=scratch,
            target=target,
            delimiter="\t" if kind == "tsv" else None,
        )
    if kind in {"json", "ndjson"}:
        from lakecore.ingest._json import JsonSource

        return JsonSource(
            inner,
            name,
            options,
            scan=scan,
            text=inner_scan,
            scratch=scratch,
            target=target,
            lines=kind == "ndjson",
        )
    if kind == "excel":
        from lakecore.ingest._excel import ExcelSource

        return ExcelSource(inner, name, options, scan=scan, scratch=scratch, target=target)
    from lakecore.ingest._columnar import ColumnarSource

    return ColumnarSource(inner, name, options, kind=kind, scan=scan, scratch=scratch)
