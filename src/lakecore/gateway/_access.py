"""What is kept of each request: one record, handed on in batches, never waited for.

    request ends -> AccessQueue: bounded; full: dropped and counted -> thread -> AccessLog.write

A record names the route by its template: never a path, a query, a header or a body, any of
which may hold what is nobody else's business.
"""

from __future__ import annotations

import logging
import threading
from collections import deque
from collections.abc import Mapping, Sequence
from typing import Final, Protocol

import msgspec

MAX_WAITING: Final = 20_000
"""Records that wait to be written."""

MAX_BATCH: Final = 1_000
EVERY_S: Final = 0.25
_CLOSE_S: Final = 5.0
_LOGGER: Final = "lakecore.access"
_log = logging.getLogger(__name__)


class AccessRecord(msgspec.Struct, frozen=True, kw_only=True):
    """One request and its answer. A struct: one is made for every request.

    Attributes:
        at_us: when the answer had been sent, microseconds since the epoch.
        method: one of HTTP's, or ``other``.
        route: the template of the route, ``/datasets/{dataset}/mutations``; None: there is none.
        status: of the answer; 0: none was sent, since the client left.
        principal, key_id: who sent it; None: nobody that is known.
        client: the address that it came from.
        request_bytes, response_bytes: of the bodies.
        trace_id: of W3C's trace context, where traces are on.
    """

    at_us: int
    request_id: str
    method: str
    route: str | None
    status: int
    duration_ms: float
    request_bytes: int
    response_bytes: int
    principal: str | None = None
    key_id: str | None = None
    client: str | None = None
    trace_id: str | None = None


class AccessLog(Protocol):
    """Takes records up. Called by one thread, with the oldest first; may take its time."""

    def write(self, records: Sequence[AccessRecord]) -> None:
        """Keep them; what raises is logged, and the records are gone."""
        ...


class LineSink(Protocol):
    """Where log lines go: `lakecore.telemetry.LogLines` is one."""

    def put(self, logger: str, level: str, message: str, fields: Mapping[str, object]) -> None:
        """One line."""
        ...


class AccessLines:
    """An access log that is the structured log: a line a request.

    Args:
        lines: where they go; None: to the logger ``lakecore.access``, if it listens.
    """

    def __init__(self, lines: LineSink | None = None) -> None:
        self._lines = lines
        self._logger = logging.getLogger(_LOGGER)

    def write(self, records: Sequence[AccessRecord]) -> None:
        """A line each."""
        if self._lines is None and not self._logger.isEnabledFor(logging.INFO):
            return
        for record in records:
            fields = _fields(record)
            if self._lines is None:
                self._logger.info("request", extra=fields)
            else:
                self._lines.put(_LOGGER, "INFO", "request", fields)


class AccessQueue:
    """Records on their way to an `AccessLog`. `put` is for the event loop: it never waits."""

    def __init__(self, log: AccessLog, *, max_waiting: int = MAX_WAITING) -> None:
        self._target = log
        self._max_waiting = max_waiting
        self._waiting: deque[AccessRecord] = deque()
        self._is_closed = threading.Event()
        self._thread: threading.Thread | None = None
        self.dropped = 0
        """Records that were not written: too many waited, or writing failed."""

    def put(self, record: AccessRecord) -> None:
        """Keep a record, or drop it where too many wait."""
        if len(self._waiting) >= self._max_waiting:
            self.dropped += 1
            return
        self._waiting.append(record)
        if self._thread is None:
            self._thread = threading.Thread(target=self._run, name="lakecore-access", daemon=True)
            self._thread.start()

    def close(self) -> None:
        """Write what waits, for a moment at most."""
        self._is_closed.set()
        if self._thread is not None:
            self._thread.join(_CLOSE_S)

    def _run(self) -> None:
        is_closed = False
        while not is_closed:
            is_closed = self._is_closed.wait(EVERY_S)
            while self._waiting:
                count = min(len(self._waiting), MAX_BATCH)
                self._write([self._waiting.popleft() for _ in range(count)])

    def _write(self, records: list[AccessRecord]) -> None:
        try:
            self._target.write(records)
        except Exception:
            self.dropped += len(records)
            _log.exception("%d records of the access log were lost", len(records))


def _fields(record: AccessRecord) -> dict[str, object]:
    fields: dict[str, object] = {
        "request_id": record.request_id,
        "principal": record.principal,
        "key_id": record.key_id,
        "client": record.client,
        "method": record.method,
        "route": record.route,
        "status": record.status,
        "duration_ms": record.duration_ms,
        "request_bytes": record.request_bytes,
        "response_bytes": record.response_bytes,
    }
    if record.trace_id is not None:
        fields["trace_id"] = record.trace_id
    return fields
