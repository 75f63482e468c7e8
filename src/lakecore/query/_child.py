"""The process that runs isolated queries, one after the other, for the process above it.

Messages over one connection, pickled; `>` from above, `<` from here:

    > Job                       run this query
    < Ask          > answer     about the tables, as often as needed
    < schema                    of the rows; a failure before it or later is a LakecoreError
    < "batch"      < bytes      an Arrow IPC stream, not pickled
    < None                      the end

`>` "stop" between batches ends the query early, with `<` None. To end it within a batch, the
process above kills this one.
"""

from __future__ import annotations

import os
import signal
import sys
import threading
import time
from collections.abc import Iterable
from contextlib import suppress
from datetime import datetime
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any, Final

STOP: Final = "stop"
BATCH: Final = "batch"
_WATCH_INTERVAL_S: Final = 1.0


def main(descriptor: int, parent: int) -> None:
    """Serve the connection of this descriptor until it is closed."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    with suppress(OSError):  # when memory is short, this process goes, not the one above
        Path("/proc/self/oom_score_adj").write_text("1000")
    threading.Thread(target=_end_with, args=(parent,), daemon=True).start()
    connection = Connection(descriptor)
    import lakecore.query._session  # noqa: F401 - the slow import, before the first query

    try:
        while True:
            _serve(connection, connection.recv())
    except (EOFError, OSError):
        # Nobody is above any more. Threads of DataFusion may be busy: do not wait for them.
        os._exit(0)


def _end_with(parent: int) -> None:
    while os.getppid() == parent:
        time.sleep(_WATCH_INTERVAL_S)
    os._exit(0)


def _serve(connection: Connection, job: Any) -> None:
    from lakecore.base import Bug, LakecoreError
    from lakecore.query._contexts import Bounds
    from lakecore.query._session import Session

    if job == STOP:  # crossed with the end of the query that it was for
        return
    above = _Above(connection)
    try:
        session = Session(
            above,
            job.params,
            bounds=Bounds(job.memory_limit_bytes, job.target_partitions),
            scratch=Path(job.scratch),
        )
        try:
            _run(above, session, job)
        except (EOFError, OSError, LakecoreError):
            raise
        except BaseException as error:
            raise session.translate(error, job.text) from None
    except LakecoreError as error:
        above.send(_portable(error))
    except (EOFError, OSError):
        raise
    except Exception as error:
        above.send(Bug("the query's process failed", found=repr(error)))


def _run(above: _Above, session: Any, job: Any) -> None:
    frame = session.plan(job.text, job.max_rows)
    above.send(frame.schema())
    for batch in frame.execute_stream():
        if above.stopped():
            break
        above.send_batch(_message(batch.to_pyarrow()))
    else:
        session.tables.check()
    above.send(None)


def _message(batch: Any) -> Any:
    """A batch as an IPC stream of its own: dictionaries need more than one message."""
    import pyarrow as pa

    sink = pa.BufferOutputStream()
    with pa.ipc.new_stream(sink, batch.schema) as writer:
        writer.write_batch(batch)
    return sink.getvalue()


class _Above:
    """The process above: its table source, and where results go.

    information_schema asks from DataFusion's threads while this one sends batches: what
    belongs together on the connection is under one lock.
    """

    def __init__(self, connection: Connection) -> None:
        self._connection = connection
        self._lock = threading.Lock()
        self._stopped = False

    def schemas(self) -> Iterable[str]:
        names: Iterable[str] = self._ask("schemas")
        return names

    def tables(self, schema: str) -> Iterable[str]:
        names: Iterable[str] = self._ask("tables", schema)
        return names

    def table(
        self, schema: str, name: str, *, version: int | None = None, time: datetime | None = None
    ) -> object | None:
        from lakecore.query._wire import unpack

        return unpack(self._ask("table", schema, name, version, time))

    def history(self, schema: str, name: str, key: object) -> object | None:
        from lakecore.query._wire import unpack

        return unpack(self._ask("history", schema, name, key))

    def changes(
        self, schema: str, name: str, after: int | datetime | None, until: int | datetime | None
    ) -> object | None:
        from lakecore.query._wire import unpack

        return unpack(self._ask("changes", schema, name, after, until))

    def search(self, index: str, text: str, limit: int, where: str | None) -> object:
        from lakecore.query._wire import unpack

        return unpack(self._ask("search", index, text, limit, where))

    def send(self, message: object) -> None:
        with self._lock:
            self._connection.send(message)

    def send_batch(self, message: Any) -> None:
        with self._lock:
            self._connection.send(BATCH)
            self._connection.send_bytes(message)

    def stopped(self) -> bool:
        with self._lock:
            if self._connection.poll():
                self._connection.recv()
                self._stopped = True
        return self._stopped

    def _ask(self, method: str, *args: Any) -> Any:
        from lakecore.query._wire import Ask

        with self._lock:
            self._connection.send(Ask(method, args))
            while isinstance(answer := self._connection.recv(), str):  # STOP; no answer is text
                self._stopped = True
        if isinstance(answer, Exception):
            raise answer
        return answer


def _portable(error: Any) -> Any:
    error.__cause__ = error.__context__ = error.__traceback__ = None
    return error


if __name__ == "__main__":
    main(int(sys.argv[1]), int(sys.argv[2]))
