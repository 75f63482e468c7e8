"""An endpoint for embeddings on this machine, as good or bad as a test wants it to be."""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any


def vector_of(text: str, dimension: int = 4) -> list[float]:
    """Some direction that a text alone decides about."""
    return [float(1 + (sum(text.encode()) * (at + 3) + len(text)) % 17) for at in range(dimension)]


def right(body: dict[str, Any]) -> dict[str, Any]:
    """What an endpoint should answer."""
    rows = [
        {"object": "embedding", "index": at, "embedding": vector_of(text)}
        for at, text in enumerate(body["input"])
    ]
    return {"object": "list", "data": rows, "model": body["model"], "usage": {}}


@dataclass
class Endpoint:
    """The server: `answers` are used up one a request, then comes `always`."""

    url: str = ""
    bodies: list[dict[str, Any]] = field(default_factory=list)
    headers: list[dict[str, str]] = field(default_factory=list)
    paths: list[str] = field(default_factory=list)
    answers: list[Callable[[BaseHTTPRequestHandler, dict[str, Any]], None]] = field(
        default_factory=list
    )
    always: Callable[[BaseHTTPRequestHandler, dict[str, Any]], None] | None = None

    def answer(self, handler: BaseHTTPRequestHandler, body: dict[str, Any]) -> None:
        """To one request."""
        if self.answers:
            self.answers.pop(0)(handler, body)
        elif self.always is not None:
            self.always(handler, body)
        else:
            send(handler, right(body))


def send(
    handler: BaseHTTPRequestHandler,
    document: object,
    status: int = 200,
    headers: dict[str, str] | None = None,
) -> None:
    """A JSON answer, or bytes as they are."""
    content = document if isinstance(document, bytes) else json.dumps(document).encode()
    handler.send_response(status)
    for name, value in {"Content-Length": str(len(content)), **(headers or {})}.items():
        handler.send_header(name, value)
    handler.end_headers()
    handler.wfile.write(content)


def says(document: object, status: int = 200, **headers: str) -> Callable[..., None]:
    """An answer that does not depend on the request."""
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    return lambda handler, _body: send(handler, document, status, named)


def drips(handler: BaseHTTPRequestHandler, _body: dict[str, Any]) -> None:
    """A byte now and then, for as long as somebody takes them."""
    handler.send_response(200)
    handler.send_header("Content-Length", "1000000")
    handler.end_headers()
    try:
        for _ in range(200):
            handler.wfile.write(b" ")
            handler.wfile.flush()
            time.sleep(0.05)
    except OSError:
        pass


def drips_its_head(handler: BaseHTTPRequestHandler, _body: dict[str, Any]) -> None:
    """Headers without end."""
    handler.wfile.write(b"HTTP/1.1 200 OK\r\n")
    try:
        for at in range(200):
            handler.wfile.write(f"X-{at}: y\r\n".encode())
            handler.wfile.flush()
            time.sleep(0.05)
    except OSError:
        pass


def hangs_up(handler: BaseHTTPRequestHandler, _body: dict[str, Any]) -> None:
    """No answer."""
    handler.close_connection = True
    handler.connection.close()


@contextmanager
def serving() -> Iterator[Endpoint]:
    """A running endpoint."""
    endpoint = Endpoint()

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_POST(self) -> None:
            length = int(self.headers["Content-Length"])
            body = json.loads(self.rfile.read(length))
            endpoint.bodies.append(body)
            endpoint.headers.append(dict(self.headers))
            endpoint.paths.append(self.path)
            try:
                endpoint.answer(self, body)
            except OSError:
                self.close_connection = True

        def log_message(self, *_args: object) -> None:
            pass

        def finish(self) -> None:
            with suppress(OSError, ValueError):
                super().finish()

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.daemon_threads = True
    server.handle_error = lambda *_args: None  # type: ignore[method-assign]  # it hung up on purpose
    thread = threading.Thread(target=server.serve_forever, args=(0.02,), daemon=True)
    thread.start()
    endpoint.url = f"http://127.0.0.1:{server.server_port}/v1"
    try:
        yield endpoint
    finally:
        server.shutdown()
        server.server_close()
        thread.join()
