"""Rows that have to be kept for a while: in memory up to a bound, then in a temporary file."""

from __future__ import annotations

import tempfile
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import IO, Final

import pyarrow as pa

from lakecore.base import Bug
from lakecore.base.limits import MIB

MEMORY_BYTES: Final = 16 * MIB
"""Arrow bytes of one spool that stay in memory."""


class Spool:
    """Tables of one schema in the order of writing; several threads may write.

    Args:
        max_bytes: more than this is not kept: the spool drops everything and is `overflowed`.
        temp_dir: where the file is, the system's temporary directory when None. It has no
            name there: nothing is left when the process ends, however it ends.
    """

    def __init__(
        self,
        *,
        max_bytes: int | None = None,
        memory_bytes: int = MEMORY_BYTES,
        temp_dir: Path | None = None,
    ) -> None:
        self._max_bytes = max_bytes
        self._memory_bytes = memory_bytes
        self._temp_dir = temp_dir
        self._lock = threading.Lock()
        self._held: list[pa.Table] = []
        self._held_bytes = 0
        self._file: IO[bytes] | None = None
        self._writer: pa.RecordBatchStreamWriter | None = None
        self.schema: pa.Schema | None = None
        self.rows = 0
        self.size_bytes = 0
        """Arrow bytes of everything written."""

        self.overflowed = False

    def write(self, table: pa.Table | pa.RecordBatch) -> None:
        """Keep these rows; the first ones decide the schema."""
        if isinstance(table, pa.RecordBatch):
            table = pa.Table.from_batches([table])
        with self._lock:
            if self.schema is None:
                self.schema = table.schema
            elif not table.schema.equals(self.schema):
                raise Bug("rows of another schema in a spool", found=table.schema.names)
            if self.overflowed:
                return
            self.rows += table.num_rows
            self.size_bytes += table.nbytes
            if self._max_bytes is not None and self.size_bytes > self._max_bytes:
                self._drop()
                self.overflowed = True
                return
            if self._writer is None:
                self._held.append(table)
                self._held_bytes += table.nbytes
                if self._held_bytes > self._memory_bytes:
                    self._to_file()
            else:
                self._writer.write_table(table)

    def tables(self) -> Iterator[pa.Table]:
        """What was written, in its order, as often as asked; nothing is written meanwhile."""
        if self.overflowed:
            raise Bug("a spool that gave up is read")
        if self._file is None:
            yield from self._held
            return
        if self._writer is not None:
            self._writer.close()
            self._writer = None
        self._file.seek(0)
        for batch in pa.ipc.open_stream(pa.PythonFile(_Unclosed(self._file), mode="r")):
            yield pa.Table.from_batches([batch])

    def clear(self) -> None:
        """Begin again, with any schema."""
        with self._lock:
            self._drop()
            self.schema = None
            self.rows = self.size_bytes = 0
            self.overflowed = False

    close = clear

    def _to_file(self) -> None:
        if self.schema is None:
            raise Bug("a spool without a schema")
        self._file = tempfile.TemporaryFile(  # noqa: SIM115 - closed by `clear`
            dir=self._temp_dir, prefix="lakecore-spool-"
        )
        options = pa.ipc.IpcWriteOptions(compression="lz4")
        sink = pa.PythonFile(_Unclosed(self._file), mode="w")
        self._writer = pa.ipc.new_stream(sink, self.schema, options=options)
        for table in self._held:
            self._writer.write_table(table)
        self._held, self._held_bytes = [], 0

    def _drop(self) -> None:
        self._held, self._held_bytes = [], 0
        self._writer = None
        if self._file is not None:
            self._file.close()
            self._file = None


class _Unclosed:
    """A file that stays open when Arrow is done with it: it is read after it was written."""

    def __init__(self, file: IO[bytes]) -> None:
        self._file = file
        self.closed = False

    def read(self, size: int = -1) -> bytes:
        return self._file.read(size)

    def write(self, data: bytes) -> int:
        return self._file.write(data)

    def flush(self) -> None:
        if not self._file.closed:
            self._file.flush()

    def tell(self) -> int:
        return self._file.tell()

    def seek(self, offset: int, whence: int = 0) -> int:
        return self._file.seek(offset, whence)

    def readable(self) -> bool:
        return True

    def writable(self) -> bool:
        return True

    def seekable(self) -> bool:
        return True

    def close(self) -> None:
        """The spool closes it."""
