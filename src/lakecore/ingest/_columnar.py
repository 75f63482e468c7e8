"""Parquet and Arrow IPC (file, stream, Feather 2), one row group or batch at a time.

Types that Delta does not have become the nearest one that keeps every value; see
`_storable` for the map.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from lakecore.base import InvalidInput
from lakecore.ingest._base import SourceBase
from lakecore.ingest._files import FileScan, head_of
from lakecore.ingest._names import clean_names
from lakecore.ingest._options import IngestOptions
from lakecore.ingest._storable import storable_type, to_storable

if TYPE_CHECKING:
    import pyarrow as pa

_BATCH_CELLS: Final = 2_000_000
_MAX_BATCH_ROWS: Final = 65_536


class ColumnarSource(SourceBase):
    """See `Source`. Nothing is rejected by row: a damaged file is refused as a whole."""

    def __init__(
        self,
        path: Path,
        name: str,
        options: IngestOptions,
        *,
        kind: str,
        scan: FileScan,
        scratch: Path,
    ) -> None:
        import pyarrow as pa

        super().__init__(path, name, options, scan=scan, scratch=scratch)
        self.format = kind
        self._file = pa.OSFile(str(path))
        try:
            raw = self._open()
        except BaseException:
            self._file.close()
            raise
        names, renamed = clean_names(raw.names)
        self.notes += renamed
        fields = []
        for field, column in zip(raw, names, strict=True):
            target = storable_type(field.type, f"{name}, column {column}")
            if target != field.type:
                self.notes.append(f"column {column!r}: {field.type} is stored as {target}")
            fields.append(pa.field(column, target))
        if not fields:
            raise InvalidInput("the file has no columns", where=name)
        self.schema = pa.schema(fields)

    def _open(self) -> pa.Schema:
        import pyarrow as pa
        import pyarrow.ipc as ipc
        import pyarrow.parquet as pq

        size_bytes = self._file.size()
        if size_bytes == 0:
            raise InvalidInput("the file is empty", where=self.name)
        try:
            if self.format == "parquet":
                self._reader: Any = pq.ParquetFile(self._file)
                return self._reader.schema_arrow
            if head_of(self.path, 6) == b"ARROW1":
                self._reader = ipc.open_file(self._file)
            elif head_of(self.path, 4) == b"FEA1":
                raise InvalidInput(
                    "Feather version 1 is not read", where=self.name, hint="Write it as version 2."
                )
            else:
                self._reader = ipc.open_stream(self._file)
            return self._reader.schema
        except (pa.ArrowException, OSError) as error:
            raise self._broken(error, size_bytes) from None

    def _broken(self, error: Exception, position_bytes: int) -> InvalidInput:
        found = str(error).splitlines()[0] if str(error) else type(error).__name__
        return InvalidInput(
            f"the {self.format} file is truncated or damaged",
            found=found,
            where=f"{self.name}, byte {position_bytes}",
            hint="Fetch or write it again.",
        )

    def _raw(self) -> Iterator[pa.RecordBatch]:
        import pyarrow.ipc as ipc

        if self.format == "parquet":
            rows = max(64, min(_MAX_BATCH_ROWS, _BATCH_CELLS // len(self.schema)))
            yield from self._reader.iter_batches(batch_size=rows)
        elif isinstance(self._reader, ipc.RecordBatchFileReader):
            for index in range(self._reader.num_record_batches):
                yield self._reader.get_batch(index)
        else:
            yield from self._reader

    def batches(self) -> pa.RecordBatchReader:
        """All rows, with storable types."""
        import pyarrow as pa

        return pa.RecordBatchReader.from_batches(self.schema, self._storable())

    def _storable(self) -> Iterator[pa.RecordBatch]:
        import pyarrow as pa

        raw = self._raw()
        while True:
            try:
                batch = next(raw)
            except StopIteration:
                return
            except (pa.ArrowException, OSError) as error:
                position_bytes = 0 if self._file.closed else self._file.tell()
                raise self._broken(error, position_bytes) from None
            columns = [
                to_storable(array, field.type, f"{self.name}, column {field.name}")
                for array, field in zip(batch.columns, self.schema, strict=True)
            ]
            yield pa.record_batch(columns, schema=self.schema)

    def close(self) -> None:
        self._file.close()
        super().close()
