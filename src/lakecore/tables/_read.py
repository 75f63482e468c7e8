"""Rows out of data files, in chunks of bounded size, as the table's schema has them."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from lakecore.base import CorruptData, LakecoreError
from lakecore.storage import Store
from lakecore.tables._schema import cast_table
from lakecore.tables._types import TableSettings


class FileReader:
    """One data file, read by chunks: runs of row groups of about a row group's target size.

    Columns that the file lacks are null; types that another engine wrote differently are
    cast. Usable as a context manager.
    """

    def __init__(self, store: Store, path: str, schema: pa.Schema, settings: TableSettings) -> None:
        self._path = path
        self._schema = schema
        local = store.local_path(path)
        try:
            self._source = None if local is not None else store.open(path)
            self._parquet: Any = pq.ParquetFile(
                str(local) if local is not None else self._source, pre_buffer=local is None
            )
        except (OSError, pa.ArrowInvalid) as error:
            raise CorruptData(
                "a data file of the table cannot be read", where=path, found=error
            ) from error
        self._runs = _runs(self._parquet.metadata, settings)
        self.rows: int = self._parquet.metadata.num_rows

    def __enter__(self) -> FileReader:
        return self

    def __exit__(self, *_: object) -> None:
        self._parquet.close(force=True)
        if self._source is not None:
            self._source.close()

    @property
    def chunk_count(self) -> int:
        return len(self._runs)

    def groups(self, index: int) -> list[int]:
        """The row groups that chunk number `index` is made of."""
        return self._runs[index]

    def chunk_rows(self, index: int) -> int:
        """How many rows chunk number `index` has, without reading them."""
        metadata = self._parquet.metadata
        return sum(metadata.row_group(group).num_rows for group in self._runs[index])

    def chunk(self, index: int, columns: Sequence[str] | None = None) -> pa.Table:
        """Chunk number `index`, with all columns or those named, in the schema's order."""
        schema = self._schema
        if columns is not None:
            schema = pa.schema([field for field in schema if field.name in columns])
        present = set(self._parquet.schema_arrow.names)
        wanted = [name for name in schema.names if name in present]
        try:
            if wanted:
                rows = self._parquet.read_row_groups(self._runs[index], columns=wanted)
            else:
                count = self.chunk_rows(index)
                return pa.table([pa.nulls(count, field.type) for field in schema], schema=schema)
            return cast_table(rows, schema)
        except LakecoreError:
            raise
        except (OSError, pa.ArrowException) as error:
            raise CorruptData(
                "a data file of the table cannot be read", where=self._path, found=error
            ) from error

    def chunks(self, columns: Sequence[str] | None = None) -> Iterator[pa.Table]:
        """Every chunk in order."""
        for index in range(self.chunk_count):
            yield self.chunk(index, columns)


def _runs(metadata: Any, settings: TableSettings) -> list[list[int]]:
    """Row groups in runs that stay within the bounds; a larger row group is a run by itself."""
    runs: list[list[int]] = []
    rows = size_bytes = 0
    for index in range(metadata.num_row_groups):
        group = metadata.row_group(index)
        fits = (
            rows + group.num_rows <= settings.row_group_rows
            and size_bytes + group.total_byte_size <= settings.row_group_bytes
        )
        if not runs or not fits:
            runs.append([])
            rows = size_bytes = 0
        runs[-1].append(index)
        rows += group.num_rows
        size_bytes += group.total_byte_size
    return runs
