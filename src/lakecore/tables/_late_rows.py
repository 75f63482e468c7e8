"""Rows that are journaled last: those that got another key, after all that lost theirs.

Two rows that swap their keys are two deletes and two inserts. Told row by row, the insert
of one would stand before the delete of the other, and whoever follows the entity would
find it gone.
"""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import IO, Any, Final

import pyarrow as pa

from lakecore.base.limits import MIB

_HELD_BYTES: Final = 64 * MIB
"""Of these rows in memory; more are spilled to disk."""


class LateRows:
    """Pairs of rows and their former keys, kept in order until they are asked for."""

    def __init__(self, temp_dir: Path | None = None, *, held_bytes: int = _HELD_BYTES) -> None:
        self._temp_dir = temp_dir
        self._held_bytes = held_bytes
        self._held: list[tuple[pa.Table, pa.Table]] = []
        self._size_bytes = 0
        self._file: IO[bytes] | None = None
        self._writer: Any = None
        self._schemas: tuple[pa.Schema, pa.Schema] | None = None

    def add(self, rows: pa.Table, former: pa.Table) -> None:
        """Keep `rows`; `former` has their former keys, row by row."""
        self._held.append((rows, former))
        self._size_bytes += rows.nbytes + former.nbytes
        if self._size_bytes > self._held_bytes:
            self._spill()

    def take(self) -> Iterator[tuple[pa.Table, pa.Table]]:
        """All of them, in order; afterwards there are none."""
        if self._file is not None and self._schemas is not None:
            self._spill()
            self._writer.close()
            self._file.seek(0)
            width = len(self._schemas[0])
            with pa.ipc.open_stream(self._file) as reader:
                for batch in reader:
                    columns = batch.columns
                    yield (
                        pa.table(columns[:width], schema=self._schemas[0]),
                        pa.table(columns[width:], schema=self._schemas[1]),
                    )
        yield from self._held
        self.close()

    def close(self) -> None:
        """Forget the rows."""
        self._held, self._size_bytes = [], 0
        file, self._file = self._file, None
        if file is not None:
            file.close()

    def _spill(self) -> None:
        for rows, former in self._held:
            # Both may have columns of one name, so in the file they have none of these.
            columns = [*rows.columns, *former.columns]
            table = pa.table(columns, names=[str(index) for index in range(len(columns))])
            if self._file is None:
                self._schemas = rows.schema, former.schema
                self._file = tempfile.TemporaryFile(  # noqa: SIM115 - closed by `close`
                    prefix="lakecore-rows-", dir=self._temp_dir
                )
                options = pa.ipc.IpcWriteOptions(compression="lz4")
                self._writer = pa.ipc.new_stream(self._file, table.schema, options=options)
            self._writer.write_table(table)
        self._held, self._size_bytes = [], 0
