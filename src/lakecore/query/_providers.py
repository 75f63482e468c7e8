"""What a `TableSource` may return, as DataFusion tables."""

from __future__ import annotations

import hashlib
import os
import tempfile
from collections.abc import Callable, Iterable
from concurrent.futures import ThreadPoolExecutor
from functools import cache
from pathlib import Path
from typing import Any, Final

import pyarrow as pa
import pyarrow.dataset as ds
from datafusion import DataFrame, SessionConfig, SessionContext
from datafusion.catalog import Table

from lakecore.base import Bug, Unavailable
from lakecore.base.limits import MIB
from lakecore.query._contexts import limit_caches
from lakecore.query._source import Guarded, ParquetFiles

MAX_BUFFERED_BYTES: Final = 64 * MIB
"""A reader's rows up to this size are kept in memory, larger ones in a file."""


LINKS: Final = "links-"
"""What folders in a query's scratch begin with that hold links to the files it reads."""

Checks = list[Callable[[], None]]


def to_table(found: object, scratch: Path, checks: Checks) -> Table:
    """A DataFusion table over what a source returned; `scratch` outlives the query.

    To `checks` is added what is to be asked when the rows were read.
    """
    if isinstance(found, Guarded):
        checks.append(found.check)
        return to_table(found.table, scratch, checks)
    if hasattr(found, "__datafusion_table_provider__") or isinstance(found, ds.Dataset):
        return Table(found)
    if isinstance(found, ParquetFiles):
        return Table(_parquet(found, scratch, checks))
    if isinstance(found, pa.RecordBatch):
        return _in_memory(found.schema, [found])
    if isinstance(found, pa.Table):
        return _in_memory(found.schema, found.to_batches())
    if isinstance(found, pa.RecordBatchReader):
        return _spooled(found, scratch)
    if callable(found):
        return to_table(found(), scratch, checks)
    raise Bug("a table source returned something that is no table", found=type(found).__name__)


@cache
def _factory() -> SessionContext:
    # Tables are made by a context of their own: one that belonged to the query would hold,
    # through its catalog, the objects that hold it, across a border no collector crosses.
    # Of the columns that no condition is about only those pages are decoded that have a match.
    config = SessionConfig().set("datafusion.execution.parquet.pushdown_filters", "true")
    config = config.set("datafusion.execution.parquet.reorder_filters", "true")
    context = SessionContext(config)
    with ThreadPoolExecutor(max_workers=1) as aside:  # see `_parquet`
        aside.submit(limit_caches, context).result()
    return context


def _in_memory(schema: pa.Schema, batches: Iterable[pa.RecordBatch]) -> Table:
    held = [batch for batch in batches if batch.num_rows]
    return Table(_factory().read_batches(held or [_empty(schema)]))


def _empty(schema: pa.Schema) -> pa.RecordBatch:
    return pa.RecordBatch.from_arrays([pa.nulls(0, kind) for kind in schema.types], schema=schema)


def _parquet(files: ParquetFiles, scratch: Path, checks: Checks) -> DataFrame:
    order: Any = [[_sort_key(name) for name in files.sort_by]] if files.sort_by else None
    if not files.paths:
        raise Bug("a table of no Parquet files", hint="return an empty pyarrow Table instead")
    folder = _linked(files, scratch, checks)
    schema = None if files.schema is None else _with_views(files.schema)

    def read() -> DataFrame:
        found = _factory().read_parquet(f"{folder}{os.sep}", schema=schema, file_sort_order=order)
        if files.rest is None or not files.rest.num_rows:
            return found
        rest = files.rest if schema is None else files.rest.cast(schema)
        return found.union(_factory().read_batches(rest.to_batches()))

    # DataFusion asks for tables from within its runtime, where reading a footer, which waits
    # for that same runtime, is an error. A thread outside may wait.
    return _aside(os.getpid()).submit(read).result()


@cache
def _aside(process: int) -> ThreadPoolExecutor:
    return ThreadPoolExecutor(max_workers=4, thread_name_prefix="lakecore-tables")


def _with_views(schema: pa.Schema) -> pa.Schema:
    """Texts as views: they are decoded without a copy, and compared by their first bytes."""
    return pa.schema(
        field.with_type(pa.string_view()) if pa.types.is_string(field.type) else field
        for field in schema
    )


def _linked(files: ParquetFiles, scratch: Path, checks: Checks) -> str:
    """A folder with exactly these files: DataFusion plans one folder faster than many files."""
    folder = _link_folder(str(files.paths[0]), scratch)
    is_held = True
    before = {}
    for number, path in enumerate(files.paths):
        name = os.path.join(folder, f"{number:08d}-{os.path.basename(path)}")
        try:
            if is_held:
                os.link(path, name)
        except OSError:  # another disk, or one without hard links
            is_held = False
        if not is_held:
            before[path] = _identity(path)
            os.symlink(os.path.abspath(path), name)
    if before:
        checks.append(lambda: _check_unchanged(before))
    return folder


def _link_folder(first: str, scratch: Path) -> str:
    """Its name is the same for the next query: what a kept context knows goes by names."""
    digest = hashlib.sha256(os.path.dirname(os.path.abspath(first)).encode()).hexdigest()
    folder = os.path.join(scratch, f"{LINKS}{digest[:16]}")
    try:
        os.mkdir(folder, 0o700)
    except FileExistsError:  # another table of this query
        return tempfile.mkdtemp(prefix=LINKS, dir=scratch)
    return folder


def _identity(path: str | Path) -> tuple[int, ...] | None:
    try:
        found = os.stat(path)
    except OSError:
        return None
    return found.st_ino, found.st_size, found.st_mtime_ns


def _check_unchanged(before: dict[str | Path, tuple[int, ...] | None]) -> None:
    for path, identity in before.items():
        if _identity(path) != identity:
            raise Unavailable(
                "a file was replaced while the query read it",
                where=path,
                hint="run the query again",
            )


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
