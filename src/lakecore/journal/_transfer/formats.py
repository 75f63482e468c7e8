"""Events as Parquet, NDJSON, CSV and CloudEvents: tables in, bytes out, a piece at a time.

============  =========================================================================
parquet       all columns in their types; `seq` is null where an event is not sealed
ndjson        one object a line, all 18 fields in the order of the schema, null where
              there is nothing; `timestamp` RFC 3339 in UTC with six digits; `old_value`,
              `new_value` and `context` are the JSON texts as the journal has them, in
              a string: nothing is lost in reading them twice
csv           RFC 4180 with a header and CRLF. Texts are always in quotes, so that ``""``
              is an empty text and nothing between two commas is null. Nothing is altered:
              a text that begins with ``=``, ``+``, ``-`` or ``@`` stays as it is, so open
              such a file as text columns in a spreadsheet
cloudevents   CloudEvents 1.0, JSON format, one structured event a line; `data` is the
              object of ndjson; `type` is ``lakecore.event.v1.<action>``, `subject` is
              ``<entity type>/<entity id>``. Characters that an attribute may not have
              (controls, noncharacters) are percent-encoded there; `data` has them
============  =========================================================================
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator
from typing import TYPE_CHECKING, Final
from urllib.parse import quote

import polars as pl
import pyarrow as pa
import pyarrow.compute as pc

from lakecore.base.appended import AppendedFile
from lakecore.base.limits import MIB
from lakecore.journal._read.scan import scan_schema

if TYPE_CHECKING:
    import pyarrow.parquet as pq

CLOUDEVENTS_VERSION: Final = "1.0"
TYPE_PREFIX: Final = "lakecore.event.v1."

_TEXT_ROWS: Final = 8_192
_TEXT_BYTES: Final = 32 * MIB
"""Of events that become text at once: escapes can make it six times as large."""
_ROW_GROUP_ROWS: Final = 65_536
_TIME: Final = "%Y-%m-%dT%H:%M:%S.%6fZ"

_FORBIDDEN: Final = re.compile(
    "[\x00-\x1f\x7f-\x9f\ufdd0-\ufdef"
    + "".join(f"{chr(plane << 16 | 0xFFFE)}{chr(plane << 16 | 0xFFFF)}" for plane in range(17))
    + "]"
)
"""Controls and noncharacters, spelled out: the pattern is Python's and Rust's."""

Encoder = Callable[[Iterable[pa.Table], str], Iterator[bytes]]


def _ndjson(tables: Iterable[pa.Table], source: str) -> Iterator[bytes]:
    for frame in _frames(tables):
        yield frame.with_columns(_timestamp()).write_ndjson().encode()


def _csv(tables: Iterable[pa.Table], source: str) -> Iterator[bytes]:
    def text(frame: pl.DataFrame, *, header: bool) -> bytes:
        return (
            frame.with_columns(_timestamp())
            .write_csv(include_header=header, line_terminator="\r\n", quote_style="non_numeric")
            .encode()
        )

    yield text(_frame(scan_schema().empty_table()), header=True)
    for frame in _frames(tables):
        yield text(frame, header=False)


def _cloudevents(tables: Iterable[pa.Table], source: str) -> Iterator[bytes]:
    for frame in _frames(tables):
        events = frame.with_columns(_timestamp())
        # The order is that of the specification's examples; an event's id is unique
        # within its source, and neither id nor subject is ever empty, as it asks.
        subject = pl.concat_str("entity_type", pl.lit("/"), "entity_id")
        yield (
            events.select(
                pl.lit(CLOUDEVENTS_VERSION).alias("specversion"),
                _attribute(events, pl.col("event_id")).alias("id"),
                pl.lit(source).alias("source"),
                pl.concat_str(pl.lit(TYPE_PREFIX), _attribute(events, pl.col("action"))).alias(
                    "type"
                ),
                _attribute(events, subject).alias("subject"),
                pl.col("timestamp").alias("time"),
                pl.lit("application/json").alias("datacontenttype"),
                pl.struct(pl.all()).alias("data"),
            )
            .write_ndjson()
            .encode()
        )


def _parquet(tables: Iterable[pa.Table], source: str) -> Iterator[bytes]:
    import pyarrow.parquet as pq

    sink = AppendedFile()
    with pq.ParquetWriter(sink, scan_schema(), compression="zstd") as writer:
        for part in _parts(tables, _ROW_GROUP_ROWS, 4 * _TEXT_BYTES):
            _write(writer, part)
            yield sink.drain()
    yield sink.drain()


ENCODERS: Final[dict[str, Encoder]] = {
    "parquet": _parquet,
    "ndjson": _ndjson,
    "csv": _csv,
    "cloudevents": _cloudevents,
}


def _write(writer: pq.ParquetWriter, part: pa.Table) -> None:
    writer.write_table(part, row_group_size=_ROW_GROUP_ROWS)


def _frames(tables: Iterable[pa.Table]) -> Iterator[pl.DataFrame]:
    return map(_frame, _parts(tables, _TEXT_ROWS, _TEXT_BYTES))


def _frame(table: pa.Table) -> pl.DataFrame:
    return pl.DataFrame(pl.from_arrow(table))


def _attribute(frame: pl.DataFrame, text: pl.Expr) -> pl.Expr:
    """A text as CloudEvents allows it: section 3.1 of the specification, type String."""
    texts = frame.select(text.alias("text")).get_column("text")
    if not texts.str.contains(_FORBIDDEN.pattern).any():
        return text
    # Names with control characters are rare enough for a look at each.
    return pl.lit(pl.Series([_FORBIDDEN.sub(_percent, item) for item in texts], dtype=pl.String))


def _percent(found: re.Match[str]) -> str:
    return quote(found[0], safe="")


def _timestamp() -> pl.Expr:
    return pl.col("timestamp").dt.strftime(_TIME)


def _parts(tables: Iterable[pa.Table], rows: int, size_bytes: int) -> Iterator[pa.Table]:
    """The events in parts that are small enough to be encoded at once, in their order."""
    for table in tables:
        start = 0
        while start < table.num_rows:
            part = table.slice(start, rows)
            while part.num_rows > 1 and _nbytes(part) > size_bytes:
                part = part.slice(0, part.num_rows // 2)
            yield part
            start += part.num_rows


def _nbytes(table: pa.Table) -> int:
    """The bytes of the values: of long ones, which are all that counts here."""
    sizes = (pc.sum(pc.binary_length(table.column(name))).as_py() for name in _LONG)
    return sum(size or 0 for size in sizes)


_LONG: Final = ("old_value", "new_value", "context")
