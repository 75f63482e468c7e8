"""What goes between this process and one that runs a query for it."""

from __future__ import annotations

import tempfile
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.dataset as ds
import pyarrow.fs as fs

from lakecore.query._source import Guarded, ParquetFiles


class NotPortable(Exception):
    """A table that another process cannot open: the query has to run in this one."""


@dataclass(frozen=True, slots=True)
class Job:
    """One query."""

    text: str
    params: Mapping[str, Any]
    max_rows: int | None
    memory_limit_bytes: int
    target_partitions: int | None
    scratch: str


@dataclass(frozen=True, slots=True)
class Ask:
    """A question of the query's process to the table source: a method and its arguments."""

    method: str
    args: tuple[Any, ...]


@dataclass(frozen=True, slots=True)
class DeltaPlace:
    """Where a Delta table is, at which version."""

    uri: str
    version: int
    storage_options: Mapping[str, str] | None


@dataclass(frozen=True, slots=True)
class ArrowFile:
    """Rows in an Arrow IPC file in the query's scratch folder."""

    path: str


@dataclass(frozen=True, slots=True)
class Union:
    """Datasets that are read as one, in this order."""

    parts: tuple[object, ...]


def pack(found: object, scratch: Path) -> object:
    """What a source returned, in a form that can be sent.

    Raises:
        NotPortable: only this process can read it.
    """
    from deltalake import DeltaTable

    if isinstance(found, Guarded):
        try:
            return pack(found.table, scratch)
        finally:
            found.check()  # also where reading failed: that may be why
    if isinstance(found, ds.FileSystemDataset) and isinstance(found.filesystem, fs.PyFileSystem):
        return _spool(found.scanner().to_reader(), scratch)
    if found is None or isinstance(found, ParquetFiles | ds.FileSystemDataset):
        return found
    if isinstance(found, DeltaTable):
        return _place(found)
    if isinstance(found, pa.RecordBatch):
        return pack(pa.Table.from_batches([found]), scratch)
    if isinstance(found, pa.Table):
        return _spool(found.to_reader(), scratch)
    if isinstance(found, pa.RecordBatchReader):
        return _spool(found, scratch)
    if isinstance(found, ds.UnionDataset):
        return Union(tuple(pack(child, scratch) for child in found.children))
    if isinstance(found, ds.Dataset):
        return _spool(found.scanner().to_reader(), scratch)
    if callable(found):
        return pack(found(), scratch)
    raise NotPortable(type(found).__name__)


def _place(table: Any) -> DeltaPlace:
    uri = str(table.table_uri)
    if uri.startswith("memory:"):
        raise NotPortable(uri)
    return DeltaPlace(uri, table.version(), table._storage_options)


def _spool(reader: pa.RecordBatchReader, scratch: Path) -> ArrowFile:
    file = tempfile.NamedTemporaryFile(dir=scratch, suffix=".arrow", delete=False)  # noqa: SIM115 - closed below
    with file, pa.ipc.new_file(file, reader.schema) as writer:
        for batch in reader:
            writer.write_batch(batch)
    return ArrowFile(file.name)


def unpack(sent: object) -> object:
    """What `pack` made, as a table again."""
    if isinstance(sent, DeltaPlace):
        from deltalake import DeltaTable

        options = dict(sent.storage_options) if sent.storage_options else None
        return DeltaTable(sent.uri, version=sent.version, storage_options=options)
    if isinstance(sent, ArrowFile):
        return ds.dataset(sent.path, format="ipc")
    if isinstance(sent, Union):
        return ds.dataset([unpack(part) for part in sent.parts])
    return sent
