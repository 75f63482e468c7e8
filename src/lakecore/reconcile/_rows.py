"""Rows out of data files that any engine wrote, as a version's schema has them."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, Final

import pyarrow as pa
import pyarrow.parquet as pq
from pyarrow import types as pat

from lakecore.base import CorruptData, NotFound
from lakecore.reconcile._entry import FileAction
from lakecore.reconcile._schema import TableSchema
from lakecore.storage import bucket_of, place_in
from lakecore.tables import file_path as table_file_path

if TYPE_CHECKING:
    from lakecore.storage import Store

_CHUNK_ROWS: Final = 1 << 16


class Underivable(Exception):
    """What a version changed cannot be told from its files any more; the text says why."""


class DataFiles:
    """Reads data files of one table at one version.

    Args:
        masks: of files with a deletion vector, which rows are left: by the path as logged.
    """

    def __init__(
        self,
        store: Store,
        location: str,
        schema: TableSchema,
        masks: Mapping[str, Any] | None = None,
    ) -> None:
        self._store = store
        self._location = location
        self._schema = schema
        self._masks = masks or {}

    def measure(self, file: FileAction) -> tuple[int, int]:
        """How many rows it has, and how many bytes they are about, decoded. Raises as `rows`."""
        with self._opened(file) as parquet:
            metadata = parquet.metadata
            groups = (metadata.row_group(number) for number in range(metadata.num_row_groups))
            return metadata.num_rows, sum(group.total_byte_size for group in groups)

    def rows(self, file: FileAction, columns: Sequence[str] | None = None) -> Iterator[pa.Table]:
        """Its rows, at most 65,536 at a time; all columns, or those named, in their order.

        Raises:
            Underivable: it is gone, or its values are not of the table's types.
            CorruptData: it is there, and does not read.
        """
        fields = [item for item in self._schema.arrow if columns is None or item.name in columns]
        mask = self._mask(file)
        start = 0
        with self._opened(file) as parquet:
            for group in range(parquet.metadata.num_row_groups):
                try:
                    rows = self._group(parquet, group, file, fields)
                except (OSError, pa.ArrowException) as error:
                    raise CorruptData(
                        "a data file of the table cannot be read",
                        where=self._path(file),
                        found=error,
                    ) from error
                if mask is not None:
                    kept = mask.slice(start, rows.num_rows)
                    start += rows.num_rows
                    # A mask may end with the last row that it leaves out.
                    rest = pa.repeat(pa.scalar(True), rows.num_rows - len(kept))
                    rows = rows.filter(pa.concat_arrays([kept, rest]))
                for first in range(0, rows.num_rows, _CHUNK_ROWS):
                    yield rows.slice(first, _CHUNK_ROWS)

    def _group(
        self, parquet: pq.ParquetFile, group: int, file: FileAction, fields: list[pa.Field]
    ) -> pa.Table:
        physical = self._schema.physical_names
        present = set(parquet.schema_arrow.names)
        wanted = [physical[item.name] for item in fields if physical[item.name] in present]
        count = parquet.metadata.row_group(group).num_rows
        rows = parquet.read_row_group(group, columns=wanted) if wanted else None
        columns = []
        for item in fields:
            if item.name in self._schema.partition_columns:
                columns.append(_partition_column(file, physical[item.name], item.type, count))
            elif rows is not None and physical[item.name] in present:
                columns.append(_cast(rows.column(physical[item.name]), item))
            else:
                columns.append(pa.nulls(count, item.type))
        return pa.table(columns, schema=pa.schema(fields))

    @contextmanager
    def _opened(self, file: FileAction) -> Iterator[pq.ParquetFile]:
        path = self._path(file)
        local = self._store.local_path(path)
        source: Any = None
        try:
            source = str(local) if local is not None else self._store.open(path)
            parquet = pq.ParquetFile(source, pre_buffer=local is None)
        except (FileNotFoundError, NotFound):
            raise Underivable(f"{file.path} is gone") from None
        except (OSError, pa.ArrowException) as error:
            raise CorruptData(
                "a data file of the table cannot be read", where=path, found=error
            ) from error
        try:
            yield parquet
        finally:
            parquet.close(force=True)
            if local is None and source is not None:
                source.close()

    def _path(self, file: FileAction) -> str:
        return file_path(self._location, file.path)

    def _mask(self, file: FileAction) -> pa.BooleanArray | None:
        if file.vector is None:
            return None
        mask = self._masks.get(file.path)
        if mask is None:
            raise Underivable(f"the deletion vector of {file.path} cannot be read")
        return mask


def file_path(location: str, logged: str) -> str:
    """Where in the store a file of a table lies. Raises `Underivable` when it is elsewhere."""
    try:
        return table_file_path(location, logged)
    except CorruptData as error:
        raise Underivable(f"{logged} is outside of the table") from error


def deletion_masks(store: Store, location: str, version: int) -> dict[str, Any]:
    """Of the files with a deletion vector at a version, which rows are left; by path.

    Raises:
        Underivable: they cannot be read any more.
    """
    from deltalake import DeltaTable

    try:
        table = DeltaTable(
            store.table_uri(location),
            version=version,
            storage_options=store.table_options(location) or None,
        )
        found = pa.table(table.deletion_vectors())
    except Exception as error:  # whatever the library raises, there are no masks
        raise Underivable(f"deletion vectors at version {version}: {error}") from error
    # In a bucket of its own the table's URI begins below the bucket's.
    prefix = location.removeprefix(place_in(bucket_of(location), "")) + "/"
    masks = {}
    uris, vectors = found.column("filepath").to_pylist(), found.column("selection_vector")
    for uri, vector in zip(uris, vectors, strict=True):
        # As a path of the table, whatever the URI spells before it.
        _, mark, rest = str(uri).rpartition(prefix)
        masks[rest if mark else str(uri)] = vector.values
    return masks


def _partition_column(file: FileAction, name: str, kind: pa.DataType, count: int) -> Any:
    if file.partition is None:
        raise Underivable(f"the partition of {file.path} is not known")
    text = file.partition.get(name)
    if text is None or text == "":
        return pa.nulls(count, kind)
    value: Any = pa.array([text], pa.string())
    try:
        if pat.is_timestamp(kind) and kind.tz and not text.endswith("Z"):
            value = value.cast(pa.timestamp(kind.unit)).cast(kind)
        else:
            value = value.cast(pa.binary()) if pat.is_binary(kind) else value.cast(kind)
    except pa.ArrowException as error:
        raise Underivable(f"the partition value {text!r} of {file.path} is no {kind}") from error
    return pa.repeat(value[0], count)


def _cast(column: pa.ChunkedArray, item: pa.Field) -> pa.ChunkedArray:
    if column.type == item.type:
        return column
    try:
        return column.cast(item.type)
    except (pa.ArrowInvalid, pa.ArrowNotImplementedError, pa.ArrowTypeError) as error:
        raise Underivable(
            f"column {item.name!r} holds {column.type}, which is not {item.type}"
        ) from error
