"""Rows into Parquet data files, durable before anything refers to them."""

from __future__ import annotations

import hashlib
from collections.abc import Collection
from contextlib import AbstractContextManager, suppress
from typing import Any, BinaryIO, Final

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
from pyarrow import types as pat

from lakecore.base import AlreadyExists, LakecoreError, uuid7
from lakecore.base.limits import MIB
from lakecore.storage import Store
from lakecore.tables._delta_log import AddFile
from lakecore.tables._schema import any_nan
from lakecore.tables._statistics import statistics_json
from lakecore.tables._types import TableSettings

_SAMPLE_ROWS: Final = 1_024
_READ_BYTES: Final = 4 * MIB


class FileWriter:
    """One data file. Rows are gathered into row groups; nothing is stored before the first row."""

    def __init__(
        self,
        store: Store,
        location: str,
        schema: pa.Schema,
        settings: TableSettings,
        *,
        keys: Collection[str] = (),
    ) -> None:
        self._store = store
        self._location = location
        self._schema = schema
        self._settings = settings
        self._keys = keys
        self._name = f"part-{uuid7()}.parquet"
        self._floats = [field.name for field in schema if pat.is_floating(field.type)]
        self._nan_columns: set[str] = set()
        self._waiting: list[pa.Table] = []
        self._waiting_rows = 0
        self._waiting_bytes = 0
        self._upload: AbstractContextManager[BinaryIO] | None = None
        self._parquet: Any = None
        self._sink: Any = None
        self._hashed: Any = None
        self._footer: list[Any] = []
        self.rows = 0

    @property
    def size_bytes(self) -> int:
        """What has been written so far; row groups still gathered are not in it."""
        return int(self._sink.tell()) if self._sink is not None else 0

    def write(self, rows: pa.Table) -> None:
        """Add `rows`, which have the writer's schema."""
        if not rows.num_rows:
            return
        self._waiting.append(rows)
        self._waiting_rows += rows.num_rows
        self._waiting_bytes += rows.nbytes
        self.rows += rows.num_rows
        limit = self._settings.row_group_rows
        if self._waiting_rows >= limit or self._waiting_bytes >= self._settings.row_group_bytes:
            self._write_groups()

    def finish(self) -> AddFile | None:
        """Close the file, which is then durable; None when it never had a row."""
        try:
            if self._waiting:
                self._write_groups(everything=True)
            if self._upload is None:
                return None
            self._parquet.close()
            size_bytes = self.size_bytes
            self._sink.flush()
            sha256 = self._hashed.sha256.hexdigest()
        except BaseException as error:
            self.abort(error)
            raise
        upload, self._upload = self._upload, None
        end_upload(self._store, f"{self._location}/{self._name}", upload, sha256)
        stats = statistics_json(
            self._footer[0], self._schema, nan_columns=self._nan_columns, keys=self._keys
        )
        return AddFile(
            path=self._name, size_bytes=size_bytes, rows=self.rows, stats=stats, sha256=sha256
        )

    def abort(self, error: BaseException | None = None) -> None:
        """Leave nothing of the file."""
        upload, self._upload = self._upload, None
        self._waiting = []
        if upload is None:
            return
        error = error or RuntimeError("abandoned")
        with suppress(Exception):
            self._parquet.close()
        with suppress(RuntimeError, LakecoreError, OSError):
            upload.__exit__(type(error), error, error.__traceback__)

    def _write_groups(self, *, everything: bool = False) -> None:
        rows = pa.concat_tables(self._waiting)
        limit = self._settings.row_group_rows
        whole = rows.num_rows - rows.num_rows % limit
        if everything or not whole or self._waiting_bytes >= self._settings.row_group_bytes:
            whole = rows.num_rows
        rest = rows.slice(whole)
        self._waiting = [rest] if rest.num_rows else []
        self._waiting_rows, self._waiting_bytes = rest.num_rows, rest.nbytes
        rows = rows.slice(0, whole)
        for name in self._floats:
            if name not in self._nan_columns and any_nan(rows.column(name)):
                self._nan_columns.add(name)
        if self._upload is None:
            self._open(rows)
        self._parquet.write_table(rows, row_group_size=limit)

    def _open(self, first: pa.Table) -> None:
        upload = self._store.upload(f"{self._location}/{self._name}")
        self._hashed = Hashed(upload.__enter__())
        self._sink = pa.PythonFile(self._hashed, mode="w")
        self._upload = upload
        self._parquet = parquet_writer(
            self._sink, self._schema, self._settings, repeating(first), self._footer
        )


def parquet_writer(
    sink: Any,
    schema: pa.Schema,
    settings: TableSettings,
    dictionary: Collection[str],
    footer: list[Any] | None = None,
) -> pq.ParquetWriter:
    """Writes Parquet as our data files are; at the end, its metadata goes to `footer`."""
    return pq.ParquetWriter(
        sink,
        schema,
        compression=settings.compression,
        compression_level=settings.compression_level,
        use_dictionary=list(dictionary),
        metadata_collector=footer,
        # Readers of other languages take the types from Parquet and the Delta schema.
        store_schema=False,
    )


def end_upload(
    store: Store, path: str, upload: AbstractContextManager[BinaryIO], sha256: str
) -> None:
    """Make a file of a name of its own durable.

    Raises:
        AlreadyExists: something else is there.
    """
    try:
        upload.__exit__(None, None, None)
    except AlreadyExists:
        # The name is this file's own: a retried put found what its first try had stored, and
        # whose answer was lost.
        hasher = hashlib.sha256()
        with store.open(path) as stored:
            while data := stored.read(_READ_BYTES):
                hasher.update(data)
        if hasher.hexdigest() != sha256:
            raise


class Hashed:
    """A file whose bytes are hashed while they are written."""

    def __init__(self, file: BinaryIO) -> None:
        self._file = file
        self.sha256 = hashlib.sha256()

    @property
    def closed(self) -> bool:
        return self._file.closed

    def write(self, data: Any) -> int:
        self.sha256.update(data)
        return self._file.write(data)

    def tell(self) -> int:
        return self._file.tell()

    def flush(self) -> None:
        self._file.flush()

    def close(self) -> None:
        self._file.close()


def repeating(rows: pa.Table) -> list[str]:
    """The columns worth a dictionary, by a sample: where most values differ, building one
    takes as long as all other encoding and makes the file larger.
    """
    at = pa.array(
        np.linspace(0, rows.num_rows - 1, min(rows.num_rows, _SAMPLE_ROWS), dtype=np.intp)
    )
    found = []
    for name in rows.schema.names:
        column = rows.column(name)
        if pat.is_nested(column.type) or pat.is_boolean(column.type):
            continue
        if pc.count_distinct(column.take(at)).as_py() * 2 <= len(at):
            found.append(name)
    return found


class RollingWriter:
    """As many data files as the rows need, each of about the target size."""

    def __init__(
        self,
        store: Store,
        location: str,
        schema: pa.Schema,
        settings: TableSettings,
        *,
        keys: Collection[str] = (),
    ) -> None:
        self._arguments = (store, location, schema, settings)
        self._keys = keys
        self._settings = settings
        self._current: FileWriter | None = None
        self.files: list[AddFile] = []

    def write(self, rows: pa.Table) -> None:
        """Add `rows`, starting another file where one is full."""
        while rows.num_rows:
            if self._current is None:
                self._current = FileWriter(*self._arguments, keys=self._keys)
            room = self._settings.file_rows - self._current.rows
            self._current.write(rows.slice(0, room))
            rows = rows.slice(room)
            full = self._current.rows >= self._settings.file_rows
            if full or self._current.size_bytes >= self._settings.file_bytes:
                self._close()

    def finish(self) -> list[AddFile]:
        """Close the last file; every file is durable on return."""
        self._close()
        return self.files

    def abort(self, error: BaseException | None = None) -> None:
        """Leave nothing of the unfinished file; finished ones are in `files`."""
        if self._current is not None:
            self._current.abort(error)
            self._current = None

    def _close(self) -> None:
        current, self._current = self._current, None
        added = current.finish() if current is not None else None
        if added is not None:
            self.files.append(added)
