"""What every operation on a table is to the loop that commits it."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import Protocol

import pyarrow as pa

from lakecore.base import InvalidInput
from lakecore.tables._attempt import Attempt
from lakecore.tables._events import batch_change
from lakecore.tables._row_hashes import RowHashes
from lakecore.tables._schema import check_names
from lakecore.tables._types import TableSettings


class Operation(Protocol):
    """One requested change. `plan` may be called again, for a newer version, after a lost race."""

    removes: bool
    """Whether rows that are there may change or go: append-only tables refuse that."""

    @property
    def name(self) -> str:
        """The operation as the Delta log calls it."""
        ...

    def parameters(self) -> Mapping[str, str]:
        """`operationParameters` of the commit."""
        ...

    def plan(self, attempt: Attempt) -> None:
        """Gather the change in `attempt`; everything it needs is written when this returns."""
        ...

    def discard(self) -> None:
        """Remove what outlives attempts: the change will not be committed."""
        ...


def journal_batch(attempt: Attempt, action: str, hashes: RowHashes | None, count: int) -> None:
    """The closing event of a mutation: of an unkeyed dataset always, of others for a file."""
    attempt.wait()
    if hashes is None and attempt.note is None and (attempt.event_count or not attempt.base.empty):
        return
    details: dict[str, object] = {}
    if hashes is not None:
        details = hashes.details()
        attempt.events.value_bytes[0] += hashes.size_bytes
    note = attempt.note
    attempt.emit(
        batch_change(attempt.author, action=action, count=count, note=note, details=details)
    )


def tables_of(batches: pa.RecordBatchReader, settings: TableSettings) -> Iterator[pa.Table]:
    """The input as tables of about a chunk each, of bounded rows and bytes."""
    waiting: list[pa.RecordBatch] = []
    rows = size_bytes = 0
    for batch in batches:
        for part in _split(batch, settings):
            waiting.append(part)
            rows += part.num_rows
            size_bytes += part.nbytes
            if rows >= settings.chunk_rows or size_bytes >= settings.chunk_bytes:
                yield pa.Table.from_batches(waiting)
                waiting, rows, size_bytes = [], 0, 0
    if rows:
        yield pa.Table.from_batches(waiting)


def _split(batch: pa.RecordBatch, settings: TableSettings) -> Iterable[pa.RecordBatch]:
    """A batch in parts of bounded rows and, on average, bytes."""
    if not batch.num_rows:
        return
    each = max(1, batch.nbytes // batch.num_rows)
    step = max(1, min(settings.chunk_rows, settings.chunk_bytes // each))
    for start in range(0, batch.num_rows, step):
        yield batch.slice(start, step)


def check_input(schema: pa.Schema) -> None:
    """The input's column names. Raises `InvalidInput`."""
    check_names(schema.names)


def whole_input(batches: pa.RecordBatchReader, settings: TableSettings) -> pa.Table:
    """All rows of the input in memory.

    Raises:
        InvalidInput: they are more than `settings.input_bytes`.
    """
    check_input(batches.schema)
    held: list[pa.RecordBatch] = []
    size_bytes = 0
    for batch in batches:
        held.append(batch)
        size_bytes += batch.nbytes
        if size_bytes > settings.input_bytes:
            raise InvalidInput(
                "too many rows for one upsert or replace",
                expected=f"at most {settings.input_bytes >> 20} MiB in memory",
                hint="give them in several parts; append has no such bound",
            )
    return pa.Table.from_batches(held, schema=batches.schema)
