"""Results as bytes: table, JSON, NDJSON, CSV, Arrow, Parquet. Streams in, streams out."""

from __future__ import annotations

import io
import math
import time
from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, Any, Final

import pyarrow as pa

from lakecore.base import InvalidInput
from lakecore.base.appended import AppendedFile
from lakecore.base.limits import KIB, MIB
from lakecore.query._cells import json_lines, plain_cells
from lakecore.query._table import render

if TYPE_CHECKING:
    from lakecore.query._result import QueryResult

FORMATS: Final = ("table", "json", "ndjson", "csv", "arrow", "parquet")

_MAX_TEXT_ROWS: Final = 16_384
_MAX_TEXT_BYTES: Final = 64 * MIB
"""Of one batch that becomes text at once: escapes can make it six times as large."""

_CHUNK_BYTES: Final = 512 * KIB
"""Of an Arrow stream: much longer ones are slower, since what a socket does not take is moved."""
_COMPANY_S: Final = 0.02

_ROW_GROUP_ROWS: Final = 131_072
_ROW_GROUP_BYTES: Final = 128 * MIB


def encode(result: QueryResult, format_name: str, *, shown_rows: int) -> Iterator[bytes]:
    """The result's rows in a format.

    Raises:
        InvalidInput: no such format.
    """
    if format_name == "table":
        return render(result, shown_rows)
    if (encoder := _ENCODERS.get(format_name)) is None:
        raise InvalidInput("no such format", expected=", ".join(FORMATS), found=format_name)
    return encoder(result.schema, result.batches())


def _json(schema: pa.Schema, batches: Iterator[pa.RecordBatch]) -> Iterator[bytes]:
    opened = False
    for part in _parts(batches):
        lines = json_lines(part, before=",\n")
        yield lines if opened else b"[" + lines[1:]
        opened = True
    yield b"\n]\n" if opened else b"[]\n"


def _ndjson(schema: pa.Schema, batches: Iterator[pa.RecordBatch]) -> Iterator[bytes]:
    for part in _parts(batches):
        yield json_lines(part, after="\n")


def _csv(schema: pa.Schema, batches: Iterator[pa.RecordBatch]) -> Iterator[bytes]:
    import polars as pl

    def text(columns: dict[str, Any], *, header: bool) -> bytes:
        frame = pl.DataFrame(columns, schema=dict.fromkeys(schema.names, pl.String))
        return frame.write_csv(include_header=header, line_terminator="\r\n").encode()

    yield text({name: [] for name in schema.names}, header=True)
    for part in _parts(batches):
        cells = map(plain_cells, part.columns)
        columns = {
            name: pl.Series(pl.from_arrow(column))
            for name, column in zip(schema.names, cells, strict=True)
        }
        yield text(columns, header=False)


def _arrow(schema: pa.Schema, batches: Iterator[pa.RecordBatch]) -> Iterator[bytes]:
    sink = io.BytesIO()
    asked_s = -math.inf
    with pa.ipc.new_stream(sink, schema) as writer:
        for batch in batches:
            waited_s = time.monotonic() - asked_s
            writer.write_batch(batch)
            # Batches that come one upon the other share a chunk: each chunk is a step of a thread
            # and a write to a socket. What comes slowly goes out at once.
            if sink.tell() >= _CHUNK_BYTES or waited_s > _COMPANY_S:
                yield _drain(sink)
            asked_s = time.monotonic()
    yield _drain(sink)


def _parquet(schema: pa.Schema, batches: Iterator[pa.RecordBatch]) -> Iterator[bytes]:
    import pyarrow.parquet as pq

    stored = pa.schema(
        [f.with_type(pa.string()) if pa.types.is_interval(f.type) else f for f in schema]
    )
    sink = AppendedFile()
    try:
        writer = pq.ParquetWriter(sink, stored, compression="zstd")
    except (pa.ArrowNotImplementedError, pa.ArrowInvalid) as error:
        raise InvalidInput("Parquet cannot hold the result", found=error) from error
    with writer:
        for group in _groups(batches):
            table = pa.Table.from_batches(group)
            for at, field in enumerate(schema):
                if pa.types.is_interval(field.type):
                    texts = [plain_cells(chunk) for chunk in table.column(at).chunks]
                    column = pa.chunked_array(texts, pa.large_string()).cast(pa.string())
                    table = table.set_column(at, stored.field(at), column)
            writer.write_table(table, row_group_size=_ROW_GROUP_ROWS)
            yield sink.drain()
    yield sink.drain()


_ENCODERS: Final[dict[str, Callable[[pa.Schema, Iterator[pa.RecordBatch]], Iterator[bytes]]]] = {
    "json": _json,
    "ndjson": _ndjson,
    "csv": _csv,
    "arrow": _arrow,
    "parquet": _parquet,
}


def _drain(sink: io.BytesIO) -> bytes:
    piece = sink.getvalue()
    sink.seek(0)
    sink.truncate()
    return piece


def _parts(batches: Iterator[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
    """The batches in parts that are small enough to become text at once."""
    for batch in batches:
        row_bytes = max(1, batch.nbytes // batch.num_rows)
        step = max(1, min(_MAX_TEXT_ROWS, _MAX_TEXT_BYTES // row_bytes))
        for start in range(0, batch.num_rows, step):
            yield batch.slice(start, step)


def _groups(batches: Iterator[pa.RecordBatch]) -> Iterator[list[pa.RecordBatch]]:
    """Batches together as large as a row group."""
    group: list[pa.RecordBatch] = []
    row_count = size_bytes = 0
    for batch in batches:
        group.append(batch)
        row_count += batch.num_rows
        size_bytes += batch.nbytes
        if row_count >= _ROW_GROUP_ROWS or size_bytes >= _ROW_GROUP_BYTES:
            yield group
            group, row_count, size_bytes = [], 0, 0
    if group:
        yield group
