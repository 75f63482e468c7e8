"""Another file's bytes with some columns of some row groups written anew.

An update changes a column or two of a file that has twenty. What stays is copied, compressed
as it is, without being decoded; what changes is encoded as in any data file. Only files that
were written exactly as this process would write them are patched, by the same release of the
same library with the same schema, so that a patched file is one that we could have written:
see `layout_of`. Others are rewritten whole.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable
from contextlib import AbstractContextManager, suppress
from functools import lru_cache
from typing import TYPE_CHECKING, Any, BinaryIO, Final

import pyarrow as pa
import pyarrow.parquet as pq
from pyarrow import types as pat

from lakecore.base import Bug, CorruptData, LakecoreError, uuid7
from lakecore.base.limits import KIB, MIB
from lakecore.tables._delta_log import AddFile
from lakecore.tables._footer import (
    MAGIC,
    Chunk,
    Footer,
    enclosed,
    footer_bytes,
    footer_size,
)
from lakecore.tables._schema import any_nan
from lakecore.tables._statistics import statistics_json
from lakecore.tables._write import Hashed, end_upload, parquet_writer, repeating

if TYPE_CHECKING:
    from lakecore.storage import Store
    from lakecore.tables._thrift import Struct
    from lakecore.tables._types import TableSettings

_TAIL_BYTES: Final = 64 * KIB
_MAX_FOOTER_BYTES: Final = 2 * MIB
_COPY_BYTES: Final = 8 * MIB
"""At a time: from a bucket, one request."""


def layout_of(store: Store, path: str, schema: pa.Schema, settings: TableSettings) -> Footer | None:
    """The footer of a data file that can be patched; None where it has to be rewritten whole.

    What does not read is left to whoever reads the rows, and says so.
    """
    try:
        tail = store.get_range(path, -_TAIL_BYTES, _TAIL_BYTES)
        found = footer_bytes(tail)
        if found is None:
            size = footer_size(tail)
            if size > _MAX_FOOTER_BYTES:
                return None
            found = footer_bytes(store.get_range(path, -size, size))
        footer = Footer.parse(found) if found is not None else None
    except CorruptData:
        return None
    if footer is None or footer.common != _own_layout(schema, settings):
        return None
    return footer


@lru_cache(maxsize=64)
def _own_layout_of(schema: pa.Schema, compression: str, level: int) -> Struct:
    from lakecore.tables._types import TableSettings

    settings = TableSettings(compression=compression, compression_level=level)
    return _encoded(schema.empty_table(), settings)[1].common


def _own_layout(schema: pa.Schema, settings: TableSettings) -> Struct:
    """What the footer of a file of ours says beside its row groups."""
    return _own_layout_of(schema, settings.compression, settings.compression_level)


def _encoded(rows: pa.Table, settings: TableSettings) -> tuple[pa.Buffer, Footer]:
    """A Parquet file in memory, with one row group unless there are no rows."""
    sink = pa.BufferOutputStream()
    names = repeating(rows) if rows.num_rows else ()
    with parquet_writer(sink, rows.schema, settings, names) as writer:
        writer.write_table(rows, row_group_size=max(1, rows.num_rows))
    data = sink.getvalue()
    size = footer_size(data[-8:].to_pybytes())
    found = footer_bytes(data[len(data) - size :].to_pybytes())
    if found is None:
        raise Bug("a Parquet file that was just written has no footer")
    return data, Footer.parse(found)


class PatchedFile:
    """One data file made of another: `keep` and `replace` its row groups in order, then `finish`.

    Args:
        source: the path of the other file in the store.
        layout: its footer, by `layout_of`.
        unbounded: float columns whose bounds the table does not know: they may hold a NaN.
    """

    def __init__(
        self,
        store: Store,
        location: str,
        source: str,
        layout: Footer,
        schema: pa.Schema,
        settings: TableSettings,
        *,
        keys: Collection[str] = (),
        unbounded: Collection[str] = (),
    ) -> None:
        self._store = store
        self._location = location
        self._source_path = source
        self._layout = layout
        self._schema = schema
        self._settings = settings
        self._keys = keys
        self._unbounded = frozenset(unbounded)
        self._name = f"part-{uuid7()}.parquet"
        self._nan_columns: set[str] = set()
        self._groups: list[tuple[int, list[tuple[Chunk, int]]]] = []
        self._source: BinaryIO | None = None
        self._upload: AbstractContextManager[BinaryIO] | None = None
        self._sink: Hashed | None = None
        self._size_bytes = 0

    def keep(self, groups: Iterable[int]) -> None:
        """Copy row groups of the other file as they are."""
        for number in groups:
            self._write_group(number, pa.table({}))

    def replace(self, groups: Iterable[int], columns: pa.Table) -> None:
        """Copy row groups of the other file, but for these columns: their rows together."""
        start = 0
        for number in groups:
            rows = self._layout.groups[number].rows
            self._write_group(number, columns.slice(start, rows))
            start += rows
        if start != columns.num_rows:
            raise Bug("other rows than the file has", expected=start, found=columns.num_rows)

    def finish(self) -> AddFile:
        """Close the file, which is then durable."""
        try:
            if self._sink is None or self._upload is None:
                raise Bug("a patched file without a row group", where=self._source_path)
            footer = self._layout.with_groups(self._groups)
            self._write(enclosed(footer))
            self._sink.flush()
            sha256 = self._sink.sha256.hexdigest()
            # Read back, as every reader will: what does not parse must not be committed.
            metadata = pq.read_metadata(pa.BufferReader(MAGIC + enclosed(footer)))
        except BaseException as error:
            self.abort(error)
            raise
        self._close_source()
        upload, self._upload = self._upload, None
        end_upload(self._store, f"{self._location}/{self._name}", upload, sha256)
        stats = statistics_json(
            metadata, self._schema, nan_columns=self._nan_columns, keys=self._keys
        )
        return AddFile(
            path=self._name,
            size_bytes=self._size_bytes,
            rows=metadata.num_rows,
            stats=stats,
            sha256=sha256,
        )

    def abort(self, error: BaseException | None = None) -> None:
        """Leave nothing of the file."""
        self._close_source()
        upload, self._upload = self._upload, None
        if upload is None:
            return
        error = error or RuntimeError("abandoned")
        with suppress(RuntimeError, LakecoreError, OSError):
            upload.__exit__(type(error), error, error.__traceback__)

    # -- parts ----------------------------------------------------------------------------

    def _write_group(self, number: int, columns: pa.Table) -> None:
        if self._upload is None:
            self._open()
        group = self._layout.groups[number]
        new: dict[tuple[bytes, ...], Chunk] = {}
        data: Any = None
        if columns.num_columns and group.rows:
            data, encoded = _encoded(columns, self._settings)
            (only,) = encoded.groups
            new = {chunk.path: chunk for chunk in only.chunks}
        for name in columns.schema.names:
            column = columns.column(name)
            if pat.is_floating(column.type) and any_nan(column):
                self._nan_columns.add(name)
        placed: list[tuple[Chunk, int]] = []
        position = self._size_bytes
        start = end = 0
        for chunk in group.chunks:
            replaced = new.pop(chunk.path, None)
            placed.append((replaced or chunk, position))
            position += (replaced or chunk).size_bytes
            if replaced is None:
                self._nan_columns |= {chunk.path[0].decode()} & self._unbounded
            if replaced is None and chunk.start == end:
                # Neighbours are copied together: from a bucket, each copy is a request.
                end += chunk.size_bytes
                continue
            self._copy(start, end)
            start = end = 0
            if replaced is not None:
                self._write(data[replaced.start : replaced.start + replaced.size_bytes])
            else:
                start, end = chunk.start, chunk.start + chunk.size_bytes
        self._copy(start, end)
        if new:
            raise Bug("columns that the file does not have", found=sorted(new))
        self._groups.append((group.rows, placed))

    def _open(self) -> None:
        self._source = self._store.open(self._source_path)
        upload = self._store.upload(f"{self._location}/{self._name}")
        self._sink = Hashed(upload.__enter__())
        self._upload = upload
        self._write(MAGIC)

    def _copy(self, start: int, end: int) -> None:
        """Copy these bytes of the other file."""
        source = self._source
        if source is None:
            raise Bug("a file that is not open", where=self._source_path)
        if start < end:
            source.seek(start)
        while start < end:
            part = source.read(min(end - start, _COPY_BYTES))
            if not part:
                raise CorruptData(
                    "a data file of the table is cut off",
                    expected=f"{end} bytes",
                    found=start,
                    where=self._source_path,
                )
            self._write(part)
            start += len(part)

    def _write(self, data: Any) -> None:
        if self._sink is None:
            raise Bug("a file that is not open", where=self._name)
        self._sink.write(data)
        self._size_bytes += len(data)

    def _close_source(self) -> None:
        source, self._source = self._source, None
        if source is not None:
            source.close()
