"""What a pending change keeps on the store beside its document: its input rows, its exact diff.

``pending/<id>/<token>-rows.arrow`` and ``…-diff-<n>.arrow`` are Arrow IPC files (LZ4) of batches
of `PAGE_ROWS` rows; the schema's metadata holds, under ``lakecore.pending``, {format, id, what}.
They are written before the document names them: one that no document names is waste.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, Final

import pyarrow as pa

from lakecore.base import CorruptData, NotFound, UnsupportedFormat
from lakecore.changes._spool import Spool
from lakecore.storage import Store
from lakecore.tables import DIFF_COLUMNS

if TYPE_CHECKING:
    from lakecore.base import Clock

FOLDER: Final = "pending/"
FORMAT: Final = 1
PAGE_ROWS: Final = 8_192
DIFF_SCHEMA: Final = pa.schema([(name, pa.string()) for name in DIFF_COLUMNS])
_KEY: Final = b"lakecore.pending"


class DiffSpool:
    """`DiffSink` that keeps the exact change of the last attempt."""

    def __init__(self, max_bytes: int) -> None:
        self.spool = Spool(max_bytes=max_bytes)

    def write(self, rows: pa.Table) -> None:
        self.spool.write(rows.select(DIFF_SCHEMA.names).cast(DIFF_SCHEMA))

    def restart(self) -> None:
        self.spool.clear()


def teed(rows: pa.RecordBatchReader, spool: Spool) -> pa.RecordBatchReader:
    """The same rows, kept in `spool` as they are read."""

    def batches() -> Iterator[pa.RecordBatch]:
        for batch in rows:
            spool.write(batch)
            yield batch

    return pa.RecordBatchReader.from_batches(rows.schema, batches())


def store_rows(
    store: Store, path: str, schema: pa.Schema, rows: Iterable[pa.Table], *, name: str, what: str
) -> None:
    """Write one file; durable on return."""
    said = json.dumps({"format": FORMAT, "id": name, "what": what})
    marked = schema.with_metadata({**(schema.metadata or {}), _KEY: said})
    options = pa.ipc.IpcWriteOptions(compression="lz4")
    with store.upload(path) as file:
        sink = pa.PythonFile(file, mode="w")
        with pa.ipc.new_file(sink, marked, options=options) as writer:
            for batch in _pages(rows):
                writer.write_batch(batch.replace_schema_metadata(marked.metadata))


def stored_reader(store: Store, path: str, *, what: str) -> pa.RecordBatchReader:
    """The rows of a stored file as a stream.

    Raises:
        NotFound: it is gone.
        CorruptData: it is damaged, or holds something else.
    """
    with _opened(store, path, what=what) as file:
        metadata = {k: v for k, v in (file.schema.metadata or {}).items() if k != _KEY}
        schema = file.schema.with_metadata(metadata or None)
        count = file.num_record_batches

    def batches() -> Iterator[pa.RecordBatch]:
        with _opened(store, path, what=what) as file:
            for number in range(count):
                yield file.get_batch(number).replace_schema_metadata(schema.metadata)

    return pa.RecordBatchReader.from_batches(schema, batches())


def read_page(store: Store, path: str, *, offset: int = 0, limit: int = 100) -> pa.Table:
    """Some rows of a stored diff; only the batches that they are in are read."""
    parts: list[pa.Table] = []
    with _opened(store, path, what="diff") as file:
        number, skip = divmod(offset, PAGE_ROWS)
        while limit > 0 and number < file.num_record_batches:
            part = pa.Table.from_batches([file.get_batch(number)]).slice(skip, limit)
            parts.append(part.replace_schema_metadata(None))
            limit -= part.num_rows
            number, skip = number + 1, 0
    return pa.concat_tables(parts) if parts else DIFF_SCHEMA.empty_table()


def sweep(store: Store, clock: Clock, wanted: dict[str, set[str] | None], grace_us: int) -> int:
    """Remove files that no document wants any more; how many.

    Args:
        wanted: by id the paths that a live document names; None where all is decided.
        grace_us: what no document names yet may belong to a change that is being kept just now.
    """
    removed = 0
    for info in list(store.list_objects(FOLDER)):
        name = info.path.removeprefix(FOLDER).partition("/")[0]
        keep = wanted.get(name, set())
        fresh = clock.now_us() - info.modified_us < grace_us
        if keep is None or (info.path not in keep and not fresh):
            store.delete(info.path)
            removed += 1
    return removed


def _pages(rows: Iterable[pa.Table]) -> Iterator[pa.RecordBatch]:
    """Batches of exactly `PAGE_ROWS` rows but the last, so that a page is found by its number."""
    waiting: list[pa.Table] = []
    count = 0
    for table in rows:
        waiting.append(table)
        count += table.num_rows
        if count < PAGE_ROWS:
            continue
        whole = pa.concat_tables(waiting)
        start = 0
        while count - start >= PAGE_ROWS:
            yield _batch(whole.slice(start, PAGE_ROWS))
            start += PAGE_ROWS
        waiting, count = [whole.slice(start)], count - start
    if count:
        yield _batch(pa.concat_tables(waiting))


def _batch(table: pa.Table) -> pa.RecordBatch:
    return table.combine_chunks().to_batches()[0]


@contextmanager
def _opened(store: Store, path: str, *, what: str) -> Iterator[Any]:
    file = store.open(path)
    try:
        reader = pa.ipc.open_file(pa.PythonFile(file, mode="r"))
        _check(reader.schema.metadata or {}, path, what)
        yield reader
    except (pa.ArrowException, OSError, ValueError, KeyError, TypeError) as error:
        raise CorruptData("a kept change is damaged", where=path, found=error) from error
    finally:
        file.close()


def _check(metadata: dict[bytes, bytes], path: str, what: str) -> None:
    if _KEY not in metadata:
        raise CorruptData("a kept change does not say what it is", where=path)
    said = json.loads(metadata[_KEY])
    if said["format"] != FORMAT:
        raise UnsupportedFormat(
            "a kept change is of a format that is not known",
            expected=FORMAT,
            found=said["format"],
            where=path,
            hint="use the Lakecore that wrote it, or a newer one",
        )
    if said["what"] != what:
        raise CorruptData("a kept change is of another kind", where=path, found=said["what"])


def exists(store: Store, path: str) -> bool:
    """Whether a kept file is still there."""
    try:
        store.head(path)
    except NotFound:
        return False
    return True
