"""Rows on the wire: Arrow streams out of a spool, and in while they come."""

from __future__ import annotations

import io
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from typing import IO, TYPE_CHECKING, Any, Final

import httpx
import pyarrow as pa

from lakecore.base import InvalidInput
from lakecore.base.limits import MIB
from lakecore.client._http import broken_off

if TYPE_CHECKING:
    from lakecore.client._http import Connection
    from lakecore.query import QueryResult

ARROW: Final = "application/vnd.apache.arrow.stream"
_IN_MEMORY_BYTES: Final = 16 * MIB
_PIECE_BYTES: Final = 1 * MIB


class Spool:
    """Rows as an Arrow stream, kept so that they can be sent more than once."""

    def __init__(self, rows: pa.RecordBatchReader | pa.Table | pa.RecordBatch) -> None:
        self._file: IO[bytes] = tempfile.SpooledTemporaryFile(_IN_MEMORY_BYTES)  # noqa: SIM115 - closed by close
        try:
            self._write(rows)
        except BaseException:
            self._file.close()
            raise

    def content(self) -> Iterator[bytes]:
        """All bytes, from the first one."""
        self._file.seek(0)
        while piece := self._file.read(_PIECE_BYTES):
            yield piece

    def close(self) -> None:
        """Let go of the file."""
        self._file.close()

    def __enter__(self) -> Spool:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def _write(self, rows: pa.RecordBatchReader | pa.Table | pa.RecordBatch) -> None:
        batches = [rows] if isinstance(rows, pa.RecordBatch) else rows
        if isinstance(batches, pa.Table):
            batches = batches.to_batches()
        try:
            with pa.ipc.new_stream(self._file, rows.schema) as writer:
                for batch in batches:
                    writer.write_batch(batch)
        except pa.ArrowException as error:
            raise InvalidInput("these rows cannot be sent", found=str(error)[:200]) from error


class HttpStream:
    """The batches of an answer, one at a time: what a `QueryResult` reads."""

    def __init__(self, response: httpx.Response) -> None:
        self._response = response
        try:
            with _told():
                # Buffered: Arrow takes a short read for the end.
                body = io.BufferedReader(_Body(response), _PIECE_BYTES)
                self._reader = pa.ipc.open_stream(pa.PythonFile(body, "r"))
        except BaseException:
            response.close()
            raise

    @property
    def schema(self) -> pa.Schema:
        """See `lakecore.query`."""
        return self._reader.schema

    def next(self) -> pa.RecordBatch | None:
        """The next batch, None at the end.

        Raises:
            Unavailable: the answer was broken off, or `cancel` was called.
        """
        with _told():
            try:
                return self._reader.read_next_batch()
            except StopIteration:
                return None

    def cancel(self) -> None:
        """End it; the gateway ends the query."""
        self._response.close()

    def close(self) -> None:
        """Let go of the connection."""
        self._response.close()


@contextmanager
def _told() -> Iterator[None]:
    """What goes wrong on the way, as an error of ours."""
    try:
        yield
    except (httpx.HTTPError, httpx.StreamError, pa.ArrowException, OSError) as error:
        raise broken_off(error) from error


class _Body(io.RawIOBase):
    """An answer's bytes as a file that is read once."""

    def __init__(self, response: httpx.Response) -> None:
        self._pieces = response.iter_bytes()
        self._rest = memoryview(b"")

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int:
        while not self._rest:
            piece = next(self._pieces, None)
            if piece is None:
                return 0
            self._rest = memoryview(piece)
        count = min(len(buffer), len(self._rest))
        buffer[:count] = self._rest[:count]
        self._rest = self._rest[count:]
        return count


def ask(
    connection: Connection, body: dict[str, Any], *, read_timeout_s: float | None
) -> HttpStream:
    """Run a query; its batches come while they are computed."""
    return HttpStream(
        connection.send(
            "POST",
            "/query/sql",
            body={**body, "read_only": True},
            headers={"Accept": ARROW},
            read_timeout_s=read_timeout_s,
        )
    )


def rows_of(connection: Connection, path: str, params: dict[str, Any]) -> QueryResult:
    """The rows of a route, while they are computed there."""
    from lakecore.query import QueryResult

    response = connection.send("GET", path, params=params, headers={"Accept": ARROW})
    return QueryResult(HttpStream(response))
