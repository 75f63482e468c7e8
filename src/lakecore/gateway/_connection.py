"""A connection, bounded: so many at a time, a head that comes, an answer that is taken.

uvicorn bounds what a head may hold (64 KiB) and how long a connection may be idle behind an
answer. What it leaves open is who sends nothing at all, or a head byte by byte, and who stops
reading in the middle of an answer: each would hold a connection for as long as it likes.

h11 is what parses. httptools is quicker, but uvicorn does not bound its heads; see
docs/decisions/0021-direct-routes.md.
"""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any, Final

import h11
from uvicorn.protocols.http.h11_impl import H11Protocol

from lakecore.base import uuid7
from lakecore.gateway._problems import MEDIA_TYPE, HttpProblem, problem_of

if TYPE_CHECKING:
    from lakecore.gateway._settings import GatewaySettings

_FULL_RETRY_AFTER_S: Final = 2


class Connection(H11Protocol):
    """uvicorn's own, with bounds. `bounded` makes the class for some settings."""

    max_connections: int
    head_timeout_s: float
    take_timeout_s: float

    _head_timer: asyncio.TimerHandle | None = None
    _take_timer: asyncio.TimerHandle | None = None

    def connection_made(self, transport: Any) -> None:
        super().connection_made(transport)
        if len(self.connections) > self.max_connections:
            self._end_with(503, "unavailable", "too many connections at a time")
            return
        self._await_head()

    def data_received(self, data: bytes) -> None:
        try:
            super().data_received(data)
        except h11.LocalProtocolError:
            # Something came that is no request, behind one that is being answered.
            self.transport.abort()
        if self._is_between_requests():
            self._await_head()
        else:
            self._stop("_head_timer")

    def connection_lost(self, exc: Exception | None) -> None:
        self._stop("_head_timer")
        self._stop("_take_timer")
        super().connection_lost(exc)

    def pause_writing(self) -> None:
        super().pause_writing()
        if self._take_timer is None:
            # Not `close`: that would wait until everything is taken.
            self._take_timer = self.loop.call_later(self.take_timeout_s, self.transport.abort)

    def resume_writing(self) -> None:
        super().resume_writing()
        self._stop("_take_timer")

    def send_400_response(self, msg: str) -> None:
        """What is no HTTP gets a problem, too."""
        self._end_with(400, "bad-request", "this is no HTTP request that is served")

    def _is_between_requests(self) -> bool:
        return self.cycle is None or self.cycle.response_complete

    def _await_head(self) -> None:
        if self._head_timer is None and not self.transport.is_closing():
            self._head_timer = self.loop.call_later(self.head_timeout_s, self._headless)

    def _headless(self) -> None:
        self._head_timer = None
        if self._is_between_requests():
            self._end_with(408, "request-timeout", "the request's head does not come")

    def _end_with(self, status: int, slug: str, message: str) -> None:
        """Answer without a request, and close."""
        if self.transport.is_closing():
            return
        if self.conn.our_state not in (h11.IDLE, h11.SEND_RESPONSE):
            self.transport.abort()
            return
        _, _, body = problem_of(HttpProblem(status, slug, message), uuid7())
        headers = [
            (b"content-type", MEDIA_TYPE.encode()),
            (b"content-length", str(len(body)).encode()),
            (b"connection", b"close"),
        ]
        if status == 503:
            headers.append((b"retry-after", str(_FULL_RETRY_AFTER_S).encode()))
        answer = h11.Response(status_code=status, headers=headers)
        parts = (answer, h11.Data(data=body), h11.EndOfMessage())
        for part in parts:
            self.transport.write(self.conn.send(part) or b"")
        self.transport.close()

    def _stop(self, name: str) -> None:
        timer = getattr(self, name)
        if timer is not None:
            timer.cancel()
            setattr(self, name, None)


def bounded(settings: GatewaySettings) -> type[Connection]:
    """The class of connections with the bounds of these settings."""
    bounds = {
        "max_connections": settings.max_connections,
        "head_timeout_s": settings.head_timeout_s,
        "take_timeout_s": settings.timeout_s,
    }
    return type("BoundedConnection", (Connection,), bounds)
