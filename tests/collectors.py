"""An OpenTelemetry collector on loopback, for tests of what is traced."""

from __future__ import annotations

import gzip
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest


@dataclass(frozen=True)
class TakenSpan:
    """A span as it came."""

    name: str
    trace_id: str
    span_id: str
    parent_id: str
    kind: int
    is_error: bool
    attributes: dict[str, Any]
    resource: dict[str, Any]


@dataclass
class Collector:
    """What came."""

    url: str
    spans: list[TakenSpan] = field(default_factory=list)
    headers: list[dict[str, str]] = field(default_factory=list)
    bodies: list[bytes] = field(default_factory=list)
    status: int = 200
    changed: threading.Condition = field(default_factory=threading.Condition)

    def wait(self, is_there: Callable[[list[TakenSpan]], object]) -> list[TakenSpan]:
        """The spans, once they are what is waited for."""
        with self.changed:
            assert self.changed.wait_for(lambda: is_there(self.spans), 20), (
                f"only these came: {[span.name for span in self.spans]}"
            )
            return list(self.spans)

    def named(self, name: str) -> TakenSpan:
        """The first span of a name, once it came."""
        spans = self.wait(lambda spans: any(span.name == name for span in spans))
        return next(span for span in spans if span.name == name)


@contextmanager
def collecting() -> Iterator[Collector]:
    """A collector that takes everything."""

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            data = self.rfile.read(int(self.headers["content-length"]))
            if self.headers.get("content-encoding") == "gzip":
                data = gzip.decompress(data)
            with collector.changed:
                collector.headers.append({k.lower(): v for k, v in self.headers.items()})
                collector.bodies.append(data)
                if collector.status == 200 and self.path == "/v1/traces":
                    collector.spans += decoded(data)
                collector.changed.notify_all()
            self.send_response(collector.status)
            self.send_header("content-length", "0")
            self.end_headers()

        def log_message(self, *args: object) -> None:
            """Nothing."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.daemon_threads = True
    collector = Collector(f"http://127.0.0.1:{server.server_port}")
    thread = threading.Thread(target=lambda: server.serve_forever(0.05))
    thread.start()
    try:
        yield collector
    finally:
        server.shutdown()
        server.server_close()
        thread.join(10)


def decoded(data: bytes) -> list[TakenSpan]:
    """The spans of a request's protobuf."""
    request = ExportTraceServiceRequest.FromString(data)
    return [
        TakenSpan(
            name=span.name,
            trace_id=span.trace_id.hex(),
            span_id=span.span_id.hex(),
            parent_id=span.parent_span_id.hex(),
            kind=span.kind,
            is_error=span.status.code == 2,
            attributes=_values(span.attributes),
            resource=_values(resource.resource.attributes),
        )
        for resource in request.resource_spans
        for scope in resource.scope_spans
        for span in scope.spans
    ]


def _values(pairs: Any) -> dict[str, Any]:
    return {pair.key: getattr(pair.value, pair.value.WhichOneof("value")) for pair in pairs}
