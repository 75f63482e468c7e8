"""One session on the server: views, one query, its end. Everything of pyspark's is here."""

from __future__ import annotations

import sys
import threading
import warnings
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from typing import Any, Final

import pyarrow as pa

from lakecore.base import InvalidInput
from lakecore.base.pandas import let_pandas_in
from lakecore.spark._places import MAX_ROWS_BYTES, DeltaPlace, ParquetPlaces, Place

END_GRACE_S: Final = 2.0
"""For the server to hear that a session is over; then the connection is closed."""

_CONFIG: Final = {
    "spark.sql.session.timeZone": "UTC",  # a zoneless time is read as nobody's own
    "spark.sql.ansi.enabled": "true",  # what overflows is an error, not null
}

_IMPORTING: Final = threading.Lock()


class Session:
    """A session of its own on a server: what it names is nobody else's.

    Raises whatever pyspark raises; see `_errors`.
    """

    def __init__(self, url: str) -> None:
        self._session = _connect(url)
        self._client: Any = self._session.client
        self._ended = threading.Event()
        for name, value in _CONFIG.items():
            self._session.conf.set(name, value)

    def add_view(self, name: str, place: Place) -> None:
        """Give a place a name."""
        self._frame(place).createOrReplaceTempView(name)

    def batches(self, text: str, max_rows: int | None) -> Iterator[pa.RecordBatch]:
        """The rows of a query, as they come."""
        frame = self._session.sql(text)
        if max_rows is not None:
            frame = frame.limit(max_rows)
        for found in self._client.to_table_as_iterator(frame._plan.to_proto(self._client), {}):
            if isinstance(found, pa.Table):
                yield from found.to_batches()

    def rows_of(self, place: Place, order: list[str]) -> Iterator[pa.RecordBatch]:
        """A place's rows in the order of columns."""
        frame = self._frame(place)
        if order:
            frame = frame.sort(*map(_quoted, order))
        for found in self._client.to_table_as_iterator(frame._plan.to_proto(self._client), {}):
            if isinstance(found, pa.Table):
                yield from found.to_batches()

    def end(self, *, interrupt: bool) -> None:
        """End the session, and with `interrupt` what runs in it; returns within `END_GRACE_S`."""
        if self._ended.is_set():
            return
        self._ended.set()
        # A server that hangs is not waited for: closing the connection ends every call on it.
        closing = threading.Timer(END_GRACE_S, self._close)
        closing.daemon = True
        closing.start()
        with suppress(Exception):
            if interrupt:
                self._client.interrupt_all()
            self._client.release_session()
        closing.cancel()
        self._close()

    def _close(self) -> None:
        with suppress(Exception):
            self._client.close()

    def _frame(self, place: Place) -> Any:
        if isinstance(place, DeltaPlace):
            reader = self._session.read.format("delta").option("versionAsOf", place.version)
            return reader.load(place.uri)
        if isinstance(place, ParquetPlaces):
            columns = map(_quoted, place.schema.names)
            reader = self._session.read.schema(_spark_schema(place.schema))
            frame = reader.parquet(*place.uris).selectExpr(*columns)
            if place.rest is None or not place.rest.num_rows:
                return frame
            return frame.unionByName(self._local(place.rest))
        return self._local(place.rows)

    def _local(self, rows: pa.Table) -> Any:
        if rows.nbytes > MAX_ROWS_BYTES:
            raise InvalidInput(
                "a table is too large to be sent to Spark with a query",
                expected=f"at most {MAX_ROWS_BYTES:,} bytes where it is in no file of the lake",
                found=f"{rows.nbytes:,}",
                hint="ask with the engine datafusion",
            )
        return self._session.createDataFrame(_sendable(rows))


@contextmanager
def _main_with_file() -> Iterator[None]:
    """pyspark takes a program that is no file, ``python -c``, for a doctest, and gives up."""
    main = sys.modules["__main__"]
    if hasattr(main, "__file__"):
        yield
        return
    main.__file__ = "<lakecore>"
    try:
        yield
    finally:
        del main.__file__


def _connect(url: str) -> Any:
    let_pandas_in()  # pyspark does not begin without it
    with _IMPORTING, warnings.catch_warnings(), _main_with_file():
        warnings.simplefilter("ignore")  # about releases of pandas
        from pyspark.sql.connect.session import SparkSession
    session = SparkSession(url)
    # A call is tried again by us or not at all: the client's own tries last ten minutes, and
    # a stream that it begins again gives its first rows twice.
    session.client.set_retry_policies([])
    session.client.disable_reattachable_execute()
    return session


def _quoted(name: str) -> str:
    escaped = name.replace("`", "``")
    return f"`{escaped}`"


def _spark_schema(schema: pa.Schema) -> Any:
    """Columns as Spark has them: of files that were written before a column was, it is null."""
    from pyspark.sql.pandas.types import from_arrow_schema

    return from_arrow_schema(schema)


_STAND_INS: Final = {
    pa.uint8(): pa.int16(),
    pa.uint16(): pa.int32(),
    pa.uint32(): pa.int64(),
    pa.large_string(): pa.string(),
    pa.large_binary(): pa.binary(),
    pa.string_view(): pa.string(),
    pa.binary_view(): pa.binary(),
}


def _sendable(rows: pa.Table) -> pa.Table:
    """The rows with types that Spark has."""

    def stand_in(kind: pa.DataType) -> pa.DataType:
        if pa.types.is_timestamp(kind) and kind.unit != "us":
            return pa.timestamp("us", tz=kind.tz)
        if pa.types.is_dictionary(kind):
            return stand_in(kind.value_type)
        return _STAND_INS.get(kind, kind)

    fields = [pa.field(field.name, stand_in(field.type), field.nullable) for field in rows.schema]
    wanted = pa.schema(fields)
    return rows if wanted == rows.schema else rows.cast(wanted, safe=False)


def all_views(session: Session, views: Mapping[str, Place]) -> None:
    """Make every view of a query."""
    for name, place in views.items():
        session.add_view(name, place)
