"""A server in front of a real S3 server, which can be told to misbehave as real ones do."""

from __future__ import annotations

import http.client
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import urlsplit

_HOP_BY_HOP = {"connection", "keep-alive", "transfer-encoding", "content-length"}


class S3Proxy:
    """Passes requests on, but for what is set; threads may set it at any time.

    Attributes:
        broken: closes every connection without an answer.
        slow_s: waits before each answer.
        throttle: so many requests from now on get 503 SlowDown.
        token: the only session token that is not expired; None: all are good.
        lies: takes the condition away from create-only puts.
        read_only: refuses everything that writes.
        gone: says that there is no such bucket.
        requests: (method, path) of all so far.
    """

    def __init__(self, upstream: str) -> None:
        self.broken = self.lies = self.read_only = self.gone = False
        self.slow_s = 0.0
        self.throttle = 0
        self.token: str | None = None
        self.requests: list[tuple[str, str]] = []
        self._upstream = urlsplit(upstream).netloc
        self._server: ThreadingHTTPServer | None = None
        self._port = 0
        self._lock = threading.Lock()
        self.start()

    @property
    def endpoint(self) -> str:
        """Where it is; the same after a stop and a start."""
        return f"http://127.0.0.1:{self._port}"

    def start(self) -> None:
        """Listen again, at the same port."""
        proxy = self

        class Handler(_Handler):
            owner = proxy

        self._server = ThreadingHTTPServer(("127.0.0.1", self._port), Handler)
        self._port = self._server.server_address[1]
        threading.Thread(target=self._server.serve_forever, args=(0.02,), daemon=True).start()

    def stop(self) -> None:
        """Refuse connections; those that are open are closed with their next request."""
        self.broken = True
        if self._server is not None:
            self._server.shutdown()
            self._server.server_close()
            self._server = None

    def fault(self, method: str, headers: Any) -> tuple[int, str] | None:
        """The status and the code of what a request gets instead of an answer."""
        with self._lock:
            if self.throttle:
                self.throttle -= 1
                return 503, "SlowDown"
        if self.gone:
            return 404, "NoSuchBucket"
        if self.token is not None and headers.get("x-amz-security-token") != self.token:
            return 400, "ExpiredToken"
        if self.read_only and method in ("PUT", "POST", "DELETE"):
            return 403, "AccessDenied"
        return None


class _Handler(BaseHTTPRequestHandler):
    owner: S3Proxy
    protocol_version = "HTTP/1.1"

    def _answer(self) -> None:
        owner = self.owner
        if owner.broken:
            self.close_connection = True
            return
        owner.requests.append((self.command, self.path))
        body = self.rfile.read(int(self.headers.get("content-length") or 0))
        if owner.slow_s:
            time.sleep(owner.slow_s)
        found = owner.fault(self.command, self.headers)
        if found is not None:
            status, code = found
            text = f"<?xml version='1.0'?><Error><Code>{code}</Code></Error>".encode()
            self._send(status, {"content-type": "application/xml"}, text)
            return
        headers = {name: text for name, text in self.headers.items() if name.lower() != "expect"}
        if owner.lies:
            headers = {n: t for n, t in headers.items() if n.lower() != "if-none-match"}
        connection = http.client.HTTPConnection(owner._upstream, timeout=20)
        try:
            connection.request(self.command, self.path, body=body, headers=headers)
            response = connection.getresponse()
            data = response.read()
            self._send(response.status, dict(response.getheaders()), data)
        finally:
            connection.close()

    def _send(self, status: int, headers: dict[str, str], data: bytes) -> None:
        self.send_response(status)
        length = str(len(data))
        for name, text in headers.items():
            if name.lower() == "content-length" and self.command == "HEAD":
                length = text
            if name.lower() not in _HOP_BY_HOP:
                self.send_header(name, text)
        self.send_header("content-length", length)
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(data)

    def log_message(self, *_: object) -> None:
        """Nothing."""


for _method in ("GET", "PUT", "POST", "DELETE", "HEAD"):
    setattr(_Handler, f"do_{_method}", _Handler._answer)


@contextmanager
def s3_proxy(upstream: str) -> Iterator[S3Proxy]:
    """A proxy for a block."""
    proxy = S3Proxy(upstream)
    try:
        yield proxy
    finally:
        proxy.stop()
