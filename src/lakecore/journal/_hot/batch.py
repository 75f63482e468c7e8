"""The rows of the hot log: one acknowledged batch of events as bytes.

=========  =================================================================
encoding   bytes
=========  =================================================================
1          JSON {columns, rows}: cheap for a few events; timestamp in µs
2          Arrow IPC stream, LZ4: cheap for many
=========  =================================================================

Both name their columns, so that a newer column shows. An encoding keeps its meaning for
ever: a change is a new number.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from itertools import groupby
from operator import attrgetter
from typing import TYPE_CHECKING, Any, Final

import msgspec

from lakecore.base import CorruptData, UnsupportedFormat
from lakecore.journal._events.event import staged_schema
from lakecore.journal._events.row import Row
from lakecore.journal._events.rules import STAGED_FIELDS, to_microseconds
from lakecore.journal._events.shortage import raise_if_short

if TYPE_CHECKING:
    import pyarrow as pa

ROWS: Final = 1
ARROW: Final = 2
FEW_EVENTS: Final = 32
"""Up to here JSON rows are cheaper than an Arrow stream with its schema."""

# Of a text of another type, the text.
_encode: Final = msgspec.json.Encoder(enc_hook=str.__str__).encode
_rest_of: Final = attrgetter(*STAGED_FIELDS[2:])
_HEAD: Final = b'{"columns":' + _encode(list(STAGED_FIELDS)) + b',"rows":['
_END: Final = b"]}"


class _Rows(msgspec.Struct):
    columns: list[str]
    rows: list[list[str | int | None]]


_decode_rows: Final = msgspec.json.Decoder(_Rows).decode


def encode_row(row: Row, event_id: str, now_us: int) -> bytes:
    """One event as JSON rows; `now_us` is its time if it has none."""
    moment = row.timestamp
    timestamp_us = now_us if moment is None else to_microseconds(moment)
    return _HEAD + _encode((event_id, timestamp_us, *_rest_of(row))) + _END


def join_rows(batches: Sequence[bytes]) -> bytes:
    """Batches of JSON rows of this release as one."""
    if len(batches) == 1:
        return batches[0]
    start, end = len(_HEAD), -len(_END)
    return _HEAD + b",".join([batch[start:end] for batch in batches]) + _END


def encode_table(events: pa.Table) -> tuple[int, bytes]:
    """A table in the staged schema as (encoding, bytes)."""
    import pyarrow as pa

    if events.num_rows <= FEW_EVENTS:
        columns: list[list[Any]] = [
            (column.cast(pa.int64()) if name == "timestamp" else column).to_pylist()
            for name, column in zip(STAGED_FIELDS, events.columns, strict=True)
        ]
        return ROWS, _HEAD + _encode(list(zip(*columns, strict=True)))[1:-1] + _END
    sink = pa.BufferOutputStream()
    # Handing a few kilobytes to a pool of threads costs more than compressing them.
    options = pa.ipc.IpcWriteOptions(compression="lz4", use_threads=False)
    with pa.ipc.new_stream(sink, staged_schema(), options=options) as stream:
        stream.write_table(events.combine_chunks())
    return ARROW, sink.getvalue().to_pybytes()


def decode_batches(batches: Iterable[tuple[int, bytes]], *, where: str) -> pa.Table:
    """Batches of (encoding, bytes), in order, as one table in the staged schema.

    Raises:
        CorruptData: bytes that are not what their encoding says.
        UnsupportedFormat: an encoding or a column that this release does not know.
    """
    import pyarrow as pa

    tables: list[pa.Table] = []
    try:
        for encoding, group in groupby(batches, key=lambda batch: batch[0]):
            data = [payload for _, payload in group]
            if encoding == ROWS:
                tables.append(_table_of_rows(_rows(data, where)))
            elif encoding == ARROW:
                tables.extend(_table_of_stream(payload, where) for payload in data)
            else:
                raise UnsupportedFormat(
                    "a batch of the hot log has an unknown encoding", found=encoding, where=where
                )
        # In one piece: whatever is done to the rows costs a part of it for each chunk.
        table = pa.concat_tables(tables or [staged_schema().empty_table()]).combine_chunks()
        table.validate(full=True)
    except (pa.ArrowException, OSError, ValueError, TypeError, OverflowError) as error:
        raise_if_short(error, where)
        raise CorruptData("the hot log does not decode", found=error, where=where) from error
    return table


def _rows(data: Iterable[bytes], where: str) -> Iterator[list[Any]]:
    for payload in data:
        batch = _decode_rows(payload)
        _check_columns(batch.columns, where)
        yield from batch.rows


def _table_of_rows(rows: Iterable[list[Any]]) -> pa.Table:
    import pyarrow as pa

    schema = staged_schema()
    columns = zip(*rows, strict=True)
    arrays = [
        pa.array(cells, pa.int64()).cast(field.type)
        if field.name == "timestamp"
        else pa.array(cells, field.type)
        for field, cells in zip(schema, columns, strict=True)
    ]
    return pa.Table.from_arrays(arrays, schema=schema)


def _table_of_stream(data: bytes, where: str) -> pa.Table:
    import pyarrow as pa

    options = pa.ipc.IpcReadOptions(use_threads=False)
    with pa.ipc.open_stream(data, options=options) as stream:
        table = stream.read_all()
    _check_columns(table.schema.names, where)
    table.validate()  # enough to copy it
    return table.replace_schema_metadata(None)


def _check_columns(names: Sequence[str], where: str) -> None:
    if tuple(names) != STAGED_FIELDS:
        raise UnsupportedFormat(
            "the hot log has other columns than this release knows",
            expected=", ".join(STAGED_FIELDS),
            found=", ".join(names),
            where=where,
            hint="seal it with the release that wrote it",
        )
