"""A query's batches, read ahead by a thread: a bounded queue, a time limit, a way to end it.

The thread owns the session. The reader waits for the queue alone, so a server that hangs
cannot hold it; what ends a query also ends its session, beside the reader.
"""

from __future__ import annotations

import queue
import threading
import time
from collections.abc import Callable, Iterator
from typing import Final

import pyarrow as pa

from lakecore.base import LakecoreError, Unavailable
from lakecore.spark._errors import is_away, translate
from lakecore.spark._places import ParquetPlaces, Place
from lakecore.spark._session import Session, all_views

MAX_TRIES: Final = 3
"""Of a query that has not returned a row."""

_PAUSES_S: Final = (0.2, 1.0)
_AHEAD: Final = 4
"""Batches that wait to be read; Spark's are a few MB at most."""
_LOOK_S: Final = 0.05

_Begin = Callable[[Session], Iterator[pa.RecordBatch]]


class SparkStream:
    """The rows of one query. One reader; `cancel` and `close` are for any thread."""

    def __init__(
        self,
        url: str,
        address: str,
        text: str,
        views: dict[str, Place],
        *,
        max_rows: int | None = None,
        timeout_s: float | None = None,
    ) -> None:
        def begin(session: Session) -> Iterator[pa.RecordBatch]:
            all_views(session, views)
            return session.batches(text, max_rows)

        checks = [place.check for place in views.values() if isinstance(place, ParquetPlaces)]
        self._run(url, address, begin, checks, timeout_s)

    @classmethod
    def sorted_rows(
        cls, url: str, address: str, place: Place, order: list[str], *, timeout_s: float | None
    ) -> SparkStream:
        """The rows of one place in the order of columns."""
        stream = cls.__new__(cls)
        stream._run(url, address, lambda session: session.rows_of(place, order), [], timeout_s)
        return stream

    def _run(
        self,
        url: str,
        address: str,
        begin: _Begin,
        checks: list[Callable[[], None]],
        timeout_s: float | None,
    ) -> None:
        self._url = url
        self._address = address
        self._begin = begin
        self._checks = checks
        self._timeout_s = timeout_s
        self._give_up_at = None if timeout_s is None else time.monotonic() + timeout_s
        self._found: queue.Queue[pa.RecordBatch | LakecoreError | None] = queue.Queue(_AHEAD)
        self._lock = threading.Lock()
        self._session: Session | None = None
        self._stopped_by: LakecoreError | None = None
        self._stop = threading.Event()
        self._is_over = False
        self.tries = 0
        """Sessions that were begun."""
        self._timer: threading.Timer | None = None
        if timeout_s is not None:
            # Whether or not anybody reads: a result that lies about holds the server, too.
            self._timer = threading.Timer(timeout_s, self._end, [self._time_limit()])
            self._timer.daemon = True
            self._timer.start()
        threading.Thread(target=self._work, name="lakecore-spark", daemon=True).start()

    def next(self) -> pa.RecordBatch | None:
        """The next batch, None at the end.

        Raises:
            Unavailable: the server is gone; the time is over; the query was cancelled.
            InvalidInput: Spark does not run it.
        """
        while not self._is_over:
            if self._stopped_by is not None:
                raise self._stopped_by
            try:
                found = self._found.get(timeout=_LOOK_S)
            except queue.Empty:
                continue
            if isinstance(found, pa.RecordBatch):
                return found
            self._finish()
            if found is not None:
                raise found
        if self._stopped_by is not None:
            raise self._stopped_by
        return None

    def cancel(self) -> None:
        """End the query: a waiting `next` raises."""
        self._end(Unavailable("the query was cancelled"))

    def close(self) -> None:
        """Free what the query holds, here and on the server."""
        if not self._is_over:
            self._end(Unavailable("the query was closed"))
            self._finish()

    def _time_limit(self) -> Unavailable:
        return Unavailable(
            "the query was stopped at its time limit",
            found=f"more than {self._timeout_s or 0:g} s",
            hint="raise timeout_s, or narrow the query",
        )

    def _finish(self) -> None:
        self._is_over = True
        if self._timer is not None:
            self._timer.cancel()

    def _end(self, reason: LakecoreError) -> None:
        with self._lock:
            if self._is_over or self._stopped_by is not None:
                return
            self._stopped_by = reason
            self._stop.set()
            session = self._session
        if session is not None:
            ending = threading.Thread(target=session.end, kwargs={"interrupt": True}, daemon=True)
            ending.start()

    # -- in the thread ----------------------------------------------------------------------

    def _work(self) -> None:
        for pause_s in (*_PAUSES_S, None):
            self.tries += 1
            returned = False
            try:
                for batch in self._batches():
                    returned = True
                    if not self._give(batch):
                        return
                self._give(None)
                return
            except BaseException as error:
                if self._stop.is_set():
                    return
                if returned or pause_s is None or not is_away(error):
                    self._give(translate(error, self._address))
                    return
            finally:
                self._leave()
            if self._stop.wait(pause_s):
                return

    def _batches(self) -> Iterator[pa.RecordBatch]:
        session = Session(self._url)
        with self._lock:
            self._session = session
        if self._stop.is_set():
            return
        yield from self._begin(session)
        for check in self._checks:
            check()

    def _leave(self) -> None:
        with self._lock:
            session, self._session = self._session, None
        if session is not None:
            session.end(interrupt=False)

    def _give(self, found: pa.RecordBatch | LakecoreError | None) -> bool:
        """Whether there is a reader for more."""
        while not self._stop.is_set():
            try:
                self._found.put(found, timeout=_LOOK_S)
                return True
            except queue.Full:
                continue
        return False
