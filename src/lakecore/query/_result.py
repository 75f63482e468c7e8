"""The result of one query: a stream of batches, and every form that people want it in."""

from __future__ import annotations

from collections.abc import Iterator
from types import TracebackType
from typing import TYPE_CHECKING, Any, BinaryIO

import pyarrow as pa

from lakecore.base import InvalidInput
from lakecore.query._plain import plain_batch, plain_schema, python_type
from lakecore.query._stream import BatchStream

if TYPE_CHECKING:
    import pandas


class QueryResult:
    """Rows of a query, computed while they are read, once.

    Types are plain ones: text is `string`, binary is `binary`, dictionaries are decoded.
    A column name that occurs twice gets ``_1``, ``_2`` behind it. Without ORDER BY the order
    of rows is not defined, and differs from run to run.

    Reading is for one thread; `cancel` and `close` are for any. Read to the end, or close,
    or use it in a ``with`` block: an open result holds memory and processors.
    """

    def __init__(self, stream: BatchStream, *, max_rows: int | None = None) -> None:
        self._stream = stream
        self._max_rows = max_rows
        self._reading = False
        self._row_count = 0
        self._truncated = False
        self.schema: pa.Schema = plain_schema(stream.schema)
        """Names and types of the columns."""
        self.served: Any = None
        """That a replica answers, which one and how old it is; None: the lake's own store."""

    @property
    def truncated(self) -> bool:
        """Whether `max_rows` cut rows off; known when the rows have been read."""
        return self._truncated

    @property
    def row_count(self) -> int:
        """Rows read so far."""
        return self._row_count

    def __iter__(self) -> Iterator[pa.RecordBatch]:
        return self.batches()

    def batches(self) -> Iterator[pa.RecordBatch]:
        """The rows as record batches that are not empty.

        Raises:
            InvalidInput: the result was read before; or the data does not fit the query, such
                as text that is no number.
            Unavailable: the query ran into its time limit, or was cancelled.
            Refused: it needs more memory than its limit.
        """
        if self._reading:
            raise InvalidInput("the result was read already", hint="keep to_arrow(), or ask again")
        self._reading = True
        return self._batches()

    def _batches(self) -> Iterator[pa.RecordBatch]:
        try:
            while (batch := self._stream.next()) is not None:
                if self._max_rows is not None and self._row_count + batch.num_rows > self._max_rows:
                    self._truncated = True
                    batch = batch.slice(0, self._max_rows - self._row_count)
                if batch.num_rows:
                    self._row_count += batch.num_rows
                    yield plain_batch(batch, self.schema)
                if self._truncated:
                    break
        finally:
            self._stream.close()

    def reader(self) -> pa.RecordBatchReader:
        """The rows as Arrow's own stream reader."""
        return pa.RecordBatchReader.from_batches(self.schema, self.batches())

    def __arrow_c_stream__(self, requested_schema: object | None = None) -> object:
        return self.reader().__arrow_c_stream__(requested_schema)

    def to_arrow(self) -> pa.Table:
        """All rows as a pyarrow Table."""
        return pa.Table.from_batches(self.batches(), self.schema)

    def to_pandas(self) -> pandas.DataFrame:
        """All rows as a pandas DataFrame.

        Raises:
            InvalidInput: pandas is not installed.
        """
        try:
            return self.to_arrow().to_pandas()
        except ImportError as error:
            raise InvalidInput("pandas is not installed", hint="pip install pandas") from error

    def to_pylist(self) -> list[dict[str, Any]]:
        """All rows as dictionaries. Nanoseconds are cut to microseconds."""
        rows: list[dict[str, Any]] = self._for_python().to_pylist()
        return rows

    def to_pydict(self) -> dict[str, list[Any]]:
        """All rows as one list per column. Nanoseconds are cut to microseconds."""
        columns: dict[str, list[Any]] = self._for_python().to_pydict()
        return columns

    def _for_python(self) -> pa.Table:
        fields = [field.with_type(python_type(field.type)) for field in self.schema]
        table = self.to_arrow()
        return table if fields == list(self.schema) else table.cast(pa.schema(fields), safe=False)

    def chunks(self, format_name: str, *, shown_rows: int = 40) -> Iterator[bytes]:
        """The rows in a format, as bytes while they are computed; see `write`."""
        from lakecore.query._formats import encode

        return encode(self, format_name, shown_rows=shown_rows)

    def write(self, format_name: str, stream: BinaryIO, *, shown_rows: int = 40) -> int:
        """Write the rows; returns how many were written.

        ``table``
            aligned text for people: the first `shown_rows` rows, long cells cut, control
            characters escaped, and a line that says how many rows there are.
        ``json``, ``ndjson``
            a list of objects; one object a line. Text of values as in the journal: decimals
            quoted, timestamps RFC 3339 with six digits (nine where there are nanoseconds to
            lose), ``Z`` where they have a zone, binary base64, NaN and infinities ``"NaN"``,
            ``"Infinity"``, ``"-Infinity"``, maps as lists of pairs. Integer columns are always
            digits, all of them exact; integers inside lists and structs are quoted beyond 2^53.
        ``csv``
            RFC 4180 with a header: CRLF, quotes where needed. Null is nothing, empty text is
            ``""``; other values as in JSON without the quotes; nested values as JSON.
        ``arrow``, ``parquet``
            an Arrow IPC stream; a Parquet file (zstd; intervals as text).

        Everything but ``table`` is written while it is computed, in bounded memory.

        Raises:
            InvalidInput: no such format, or a type that the format cannot hold.
        """
        for chunk in self.chunks(format_name, shown_rows=shown_rows):
            stream.write(chunk)
        return self._row_count

    def cancel(self) -> None:
        """End the query, from any thread: reading it raises `Unavailable`."""
        self._stream.cancel()

    def close(self) -> None:
        """Free what the query holds; rows that were not read are gone."""
        self._stream.close()

    def __enter__(self) -> QueryResult:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.close()

    def __del__(self) -> None:
        if stream := getattr(self, "_stream", None):
            stream.close()
