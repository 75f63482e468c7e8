"""What callers hand over as rows, as a stream of Arrow batches."""

from __future__ import annotations

import itertools
from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING, Any, Final

from lakecore.base import InvalidInput

if TYPE_CHECKING:
    import pyarrow as pa

_BATCH_ROWS: Final = 65_536


def to_batches(rows: object) -> pa.RecordBatchReader:
    """Rows as a record batch reader.

    Takes anything with the Arrow C stream or array interface (pyarrow, pandas, Polars,
    DuckDB), a mapping (one row), or an iterable of mappings, whose columns are the union
    of the first 65,536 rows' names.

    Raises:
        InvalidInput: the rows are of no such form, or Arrow finds no type for a column.
    """
    import pyarrow as pa

    if isinstance(rows, pa.RecordBatchReader):
        return rows
    if hasattr(rows, "__arrow_c_stream__"):
        return pa.RecordBatchReader.from_stream(rows)
    if hasattr(rows, "__arrow_c_array__"):
        batch = pa.record_batch(rows)
        return pa.RecordBatchReader.from_batches(batch.schema, [batch])
    if isinstance(rows, Mapping):
        rows = [rows]
    if isinstance(rows, Iterable) and not isinstance(rows, (str, bytes)):
        return _from_mappings(iter(rows))
    raise InvalidInput(
        "these are no rows",
        expected="mappings, or an Arrow, pandas or Polars table",
        found=type(rows).__name__,
    )


def _from_mappings(rows: Any) -> pa.RecordBatchReader:
    import pyarrow as pa

    first = list(itertools.islice(rows, _BATCH_ROWS))
    for number, row in enumerate(first):
        if not isinstance(row, Mapping):
            raise InvalidInput(
                "a row is no mapping", where=f"row {number}", found=type(row).__name__
            )
    names = list(dict.fromkeys(name for row in first for name in row))
    bad = [name for name in names if not isinstance(name, str)]
    if bad:
        raise InvalidInput("a column's name is no text", found=repr(bad[0]))
    try:
        arrays = [pa.array([row.get(name) for row in first]) for name in names]
    except (pa.ArrowInvalid, pa.ArrowTypeError) as error:
        raise InvalidInput("a column's values have no common type", found=error) from error
    head = pa.RecordBatch.from_arrays(arrays, names=names)

    def batches() -> Iterable[pa.RecordBatch]:
        yield head
        start = len(first)
        while chunk := list(itertools.islice(rows, _BATCH_ROWS)):
            try:
                late = {name for row in chunk for name in row} - set(names)
                if late:
                    raise InvalidInput(
                        "a column appears too late to be typed",
                        expected=f"in the first {_BATCH_ROWS:,} rows",
                        found=", ".join(sorted(map(str, late))),
                        hint="give the rows as an Arrow table",
                    )
                yield pa.RecordBatch.from_pylist(chunk, schema=head.schema)
            except (pa.ArrowInvalid, pa.ArrowTypeError, TypeError) as error:
                raise InvalidInput(
                    "a row does not fit the rows before it",
                    where=f"rows {start}–{start + len(chunk) - 1}",
                    found=error,
                ) from error
            start += len(chunk)

    return pa.RecordBatchReader.from_batches(head.schema, batches())
