"""What a `TableSource` may return, as DataFusion tables."""

from __future__ import annotations

import tempfile
from collections.abc import Iterable
from concurrent.futures import ThreadPoolExecutor
from functools import cache
from pathlib import Path
from typing import Any, Final

import pyarrow as pa
import pyarrow.dataset as ds
from datafusion import DataFrame, SessionContext
from datafusion.catalog import Table

from lakecore.base import Bug
from lakecore.base.limits import MIB
from lakecore.query._source import ParquetFiles

MAX_BUFFERED_BYTES: Final = 64 * MIB
"""A reader's rows up to this size are kept in memory, larger ones in a file."""


def to_table(found: object, scratch: Path) -> Table:
    """A DataFusion table over what a source returned; `scratch` outlives the query."""
    if hasattr(found, "__datafusion_table_provider__") or isinstance(found, ds.Dataset):
        return Table(found)
    if isinstance(found, ParquetFiles):
        return Table(_parquet(found))
    if isinstance(found, pa.RecordBatch):
        return _in_memory(found.schema, [found])
    if isinstance(found, pa.Table):
        return _in_memory(found.schema, found.to_batches())
    if isinstance(found, pa.RecordBatchReader):
        return _spooled(found, scratch)
    if callable(found):
        return to_table(found(), scratch)
    raise Bug("a table source returned something that is no table", found=type(found).__name__)


@cache
def _factory() -> SessionContext:
    # Tables are made by a context of their own: one that belonged to the query would hold,
    # through its catalog, the objects that hold it, across a border no collector crosses.
    return SessionContext()


def _in_memory(schema: pa.Schema, batches: Iterable[pa.RecordBatch]) -> Table:
    held = [batch for batch in batches if batch.num_rows]
    return Table(_factory().read_batches(held or [_empty(schema)]))


def _empty(schema: pa.Schema) -> pa.RecordBatch:
    return pa.RecordBatch.from_arrays([pa.nulls(0, kind) for kind in schema.types], schema=schema)


def _parquet(files: ParquetFiles) -> DataFrame:
    order: Any = [[_sort_key(name) for name in files.sort_by]] if files.sort_by else None
    if not files.paths:
        raise Bug("a table of no Parquet files", hint="return an empty pyarrow Table instead")

    def read() -> DataFrame:
        whole, *others = (
            _factory().read_parquet(path, file_sort_order=order) for path in files.paths
        )
        for frame in others:
            whole = whole.union(frame)
        return whole

    # DataFusion asks for tables from within its runtime, where reading a footer, which waits
    # for that same runtime, is an error. A thread outside may wait.
    with ThreadPoolExecutor(max_workers=1) as aside:
        return aside.submit(read).result()


def _sort_key(name: str) -> Any:
    from datafusion import col

    quoted = '"' + name.removeprefix("-").replace('"', '""') + '"'
    return col(quoted).sort(ascending=not name.startswith("-"), nulls_first=False)


def _spooled(reader: pa.RecordBatchReader, scratch: Path) -> Table:
    """A stream can be read once, a table in a query several times: keep the rows."""
    schema, held, held_bytes = reader.schema, [], 0
    for batch in reader:
        held.append(batch)
        held_bytes += batch.nbytes
        if held_bytes > MAX_BUFFERED_BYTES:
            break
    else:
        return _in_memory(schema, held)
    file = tempfile.NamedTemporaryFile(dir=scratch, suffix=".arrow", delete=False)  # noqa: SIM115 - closed below
    with file, pa.ipc.new_file(file, schema) as writer:
        while held:
            writer.write_batch(held.pop(0))
        for batch in reader:
            writer.write_batch(batch)
    return Table(ds.dataset(file.name, format="ipc"))
