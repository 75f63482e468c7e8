"""A tail over Server-Sent Events: batches with cursors, taken up again where it broke off."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator
from typing import TYPE_CHECKING, Final

import httpx

from lakecore.base import LakecoreError, Retry
from lakecore.client import _results
from lakecore.client._errors import error_of

if TYPE_CHECKING:
    from lakecore.client._http import Connection
    from lakecore.journal import Event, TailBatch

_QUIET_S: Final = 60.0
"""A gateway sends something at least every 15 s; after this the connection counts as dead."""

_TRIES: Final = 10
_PAUSE_S: Final = 0.5


class HttpTail:
    """An iterator over batches of sealed events. One thread reads it; any may `close` it."""

    def __init__(
        self,
        connection: Connection,
        *,
        cursor: str | None,
        from_seq: int,
        end: int | None,
        timeout_s: float | None,
        limit: int | None,
        dataset: str | None,
    ) -> None:
        self._connection = connection
        self.cursor = cursor
        """Behind the last batch that was given; None before the first word of the gateway."""

        self._from_seq = from_seq
        self._end = end
        self._timeout_s = timeout_s
        self._limit = limit
        self._dataset = dataset
        self._given = 0
        self._is_closed = False
        self._response: httpx.Response | None = None
        self._batches = self._run()

    def __iter__(self) -> Iterator[TailBatch]:
        return self

    def __next__(self) -> TailBatch:
        return next(self._batches)

    def close(self) -> None:
        """End it, from any thread."""
        self._is_closed = True
        if self._response is not None:
            self._response.close()

    def __enter__(self) -> HttpTail:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    # -- inside -----------------------------------------------------------------------

    def _run(self) -> Iterator[TailBatch]:
        failed = 0
        while not self._is_over():
            try:
                for batch in self._read():
                    failed = 0
                    self._given += len(batch)
                    yield batch
                    if self._is_over():
                        return
                if self._timeout_s is not None:
                    return  # it was quiet for so long
            except (httpx.HTTPError, httpx.StreamError, Retry) as error:
                if self._is_closed:
                    return
                failed += 1
                if failed >= _TRIES:
                    raise _as_ours(error) from error
            # The gateway stopped, or the connection broke: on from the cursor.
            time.sleep(_PAUSE_S)

    def _read(self) -> Iterator[TailBatch]:
        """Batches of one connection, until it ends or is quiet for too long."""
        from lakecore.journal import TailBatch

        headers = {"Accept": "text/event-stream"}
        params: dict[str, object] = {"dataset": self._dataset}
        if self.cursor is not None:
            headers["Last-Event-ID"] = self.cursor
        else:
            params["from_seq"] = self._from_seq
        quiet_s = _QUIET_S if self._timeout_s is None else min(self._timeout_s, _QUIET_S)
        with self._connection.open(
            "GET", "/journal/tail", params=params, headers=headers, read_timeout_s=quiet_s
        ) as self._response:
            events: list[Event] = []
            last_s = time.monotonic()
            try:
                for frame in _frames(self._response.iter_lines()):
                    if frame.get("event") == "problem":
                        raise error_of(500, json.loads(frame["data"]))
                    if "data" in frame:
                        events.append(_results.event(json.loads(frame["data"])))
                    if "id" in frame:
                        self.cursor = frame["id"]
                        if events:
                            last_s = time.monotonic()
                            yield TailBatch(self._cut(events), self.cursor)
                            events = []
                    if self._timeout_s is not None and time.monotonic() - last_s > self._timeout_s:
                        return
            except httpx.ReadTimeout:
                if self._timeout_s is None:
                    raise
            finally:
                self._response = None

    def _cut(self, events: list[Event]) -> list[Event]:
        return events if self._limit is None else events[: self._limit - self._given]

    def _is_over(self) -> bool:
        is_full = self._limit is not None and self._given >= self._limit
        return self._is_closed or is_full or self._has_all()

    def _has_all(self) -> bool:
        return self._end is not None and self._seen >= self._end

    @property
    def _seen(self) -> int:
        """Events before the cursor."""
        from lakecore.journal import TailCursor

        if self.cursor is None:
            start = self._from_seq
            return start if start >= 0 else max(0, (self._end or 0) + start)
        return TailCursor.from_text(self.cursor).seq


def _frames(lines: Iterator[str]) -> Iterator[dict[str, str]]:
    """The frames of an event stream; comments are beats, and an empty frame each."""
    frame: dict[str, str] = {}
    for line in lines:
        if not line:
            yield frame
            frame = {}
            continue
        name, _, value = line.partition(":")
        if name:
            frame[name] = value.removeprefix(" ")


def _as_ours(error: Exception) -> LakecoreError:
    from lakecore.client._http import broken_off

    return error if isinstance(error, LakecoreError) else broken_off(error)
