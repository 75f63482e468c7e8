"""What is seen of every request from outside of it: figures, one access record, one span."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Final

from lakecore.gateway._access import AccessLines, AccessLog, AccessQueue, AccessRecord
from lakecore.gateway._metrics import Figure, RequestFigures
from lakecore.telemetry import LogRing, Traces

if TYPE_CHECKING:
    from starlette.types import ASGIApp, Message, Receive, Scope, Send

METHODS: Final = frozenset({"GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"})
_TAIL: Final = "/journal/tail"
_W3C: Final = (b"traceparent", b"tracestate")


@dataclass(frozen=True, slots=True)
class Watchers:
    """Who is told of what the gateway does.

    Attributes:
        figures: of the lake and what stands beside the gateway, for ``/metrics``; asked in a
            thread, and may take a look at the store.
    """

    access: AccessLog = field(default_factory=AccessLines)
    traces: Traces = field(default_factory=Traces)
    figures: Callable[[], Sequence[Figure]] = tuple
    served: Callable[[float], Mapping[str, Any] | None] = lambda since_s: None
    """Since a monotonic time, whether a replica answered anything: which, and how old it is."""

    log: LogRing | None = None
    """The log of this process, for the control plane; None: it keeps none."""


class Watcher:
    """ASGI middleware around everything else, the limits included."""

    def __init__(
        self, app: ASGIApp, traces: Traces, queue: AccessQueue, figures: RequestFigures
    ) -> None:
        self._app = app
        self._traces = traces
        self._queue = queue
        self._figures = figures

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        seen = _Seen(scope, receive, send, self._figures)
        self._figures.in_flight += 1
        try:
            if self._traces.is_on:
                await self._traced(scope, seen)
            else:
                await self._app(scope, seen.receive, seen.send)
        finally:
            self._figures.in_flight -= 1
            seen.end()
            record = seen.record()
            self._figures.ended(record)
            self._queue.put(record)

    async def _traced(self, scope: Scope, seen: _Seen) -> None:
        headers = {
            name.decode("ascii"): value.decode("latin-1")
            for name, value in scope["headers"]
            if name in _W3C
        }
        method = method_of(scope)
        with self._traces.server(method, headers, **{"http.request.method": method}) as span:
            seen.trace_id = self._traces.trace_id()
            try:
                await self._app(scope, seen.receive, seen.send)
            finally:
                record = seen.record()
                if record.route is not None:
                    span.rename(f"{method} {record.route}")
                    span.set("http.route", record.route)
                span.set("http.response.status_code", record.status)
                span.set("lakecore.request_id", record.request_id)
                if record.principal is not None:
                    span.set("lakecore.principal", record.principal)
                if record.status >= 500:
                    span.fail(str(record.status))


class _Seen:
    """One request and its answer, counted."""

    __slots__ = (
        *("_began_s", "_figures", "_read", "_receive", "_scope", "_send", "_sent", "_status"),
        *("_is_tail", "trace_id"),
    )

    def __init__(self, scope: Scope, receive: Receive, send: Send, figures: RequestFigures) -> None:
        self._scope = scope
        self._receive = receive
        self._send = send
        self._figures = figures
        self._began_s = time.perf_counter()
        self._read = 0
        self._sent = 0
        self._status = 0
        self._is_tail = False
        self.trace_id: str | None = None
        scope.setdefault("state", {})

    async def receive(self) -> Message:
        message = await self._receive()
        if message["type"] == "http.request":
            self._read += len(message.get("body", b""))
        return message

    async def send(self, message: Message) -> None:
        if message["type"] == "http.response.start":
            self._status = message["status"]
            if self._status == 200 and route_of(self._scope) == _TAIL:
                self._is_tail = True
                self._figures.tails += 1
        else:
            self._sent += len(message.get("body", b""))
        await self._send(message)

    def end(self) -> None:
        """The answer is over."""
        if self._is_tail:
            self._figures.tails -= 1

    def record(self) -> AccessRecord:
        """As of now."""
        scope, state = self._scope, self._scope["state"]
        who = state.get("principal")
        client = scope.get("client")
        return AccessRecord(
            at_us=time.time_ns() // 1_000,
            request_id=state.get("request_id", ""),
            method=method_of(scope),
            route=route_of(scope),
            status=self._status,
            duration_ms=round((time.perf_counter() - self._began_s) * 1_000, 3),
            request_bytes=self._read,
            response_bytes=self._sent,
            principal=None if who is None else who.name,
            key_id=None if who is None else who.key_id,
            client=None if client is None else client[0],
            trace_id=self.trace_id,
        )


def method_of(scope: Any) -> str:
    """The method, one of a bounded set."""
    method: str = scope["method"]
    return method if method in METHODS else "other"


def route_of(scope: Any) -> str | None:
    """The template of the route that the request went to; never its path."""
    return getattr(scope.get("route"), "path", None)
