"""An HTTP proxy before an S3 server: it takes its time, and fails now and then.

What is simulated: a pause before each answer; ``503 SlowDown``, before the request is passed
on, for some requests (a store that throttles); a connection that breaks after the request was
passed on, for some puts (stored, and the answer lost). Which, is chosen by a seed.

    with SlowProxy("http://127.0.0.1:5000", put_s=0.05, throttled=0.02, lost=0.01) as proxy:
        open_store("s3://bucket/lake", options={"endpoint": proxy.url, ...})
"""

from __future__ import annotations

import http.client
import random
import threading
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from types import TracebackType
from urllib.parse import urlsplit

_SLOW_DOWN = (
    b'<?xml version="1.0" encoding="UTF-8"?><Error><Code>SlowDown</Code>'
    b"<Message>Please reduce your request rate.</Message></Error>"
)
_HOP = frozenset({"connection", "keep-alive", "transfer-encoding", "content-length"})


class SlowProxy:
    """The proxy, from entering to leaving; `counts` says what it did."""

    def __init__(
        self,
        endpoint: str,
        *,
        put_s: float = 0.0,
        get_s: float = 0.0,
        throttled: float = 0.0,
        lost: float = 0.0,
        seed: int = 0,
    ) -> None:
        self._endpoint = urlsplit(endpoint)
        self._pauses = {"PUT": put_s, "POST": put_s, "DELETE": put_s}
        self._get_s = get_s
        self._throttled = throttled
        self._lost = lost
        self._chance = random.Random(seed)
        self._lock = threading.Lock()
        self.counts = {"passed": 0, "throttled": 0, "lost": 0}
        proxy = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"
            wbufsize = -1
            disable_nagle_algorithm = True

            def _serve(self) -> None:
                proxy._serve(self)

            do_GET = do_PUT = do_POST = do_DELETE = do_HEAD = _serve  # noqa: N815 - their names

            def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - its name
                """Nothing."""

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self._server.daemon_threads = True
        self.url = f"http://127.0.0.1:{self._server.server_port}"

    def __enter__(self) -> SlowProxy:
        threading.Thread(target=self._server.serve_forever, daemon=True).start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self._server.shutdown()
        self._server.server_close()

    def _choose(self, method: str) -> str:
        with self._lock:
            drawn = self._chance.random()
            if drawn < self._throttled:
                fate = "throttled"
            elif method == "PUT" and drawn < self._throttled + self._lost:
                fate = "lost"
            else:
                fate = "passed"
            self.counts[fate] += 1
            return fate

    def _serve(self, handler: BaseHTTPRequestHandler) -> None:
        body = handler.rfile.read(int(handler.headers.get("Content-Length") or 0))
        fate = self._choose(handler.command)
        time.sleep(self._pauses.get(handler.command, self._get_s))
        if fate == "throttled":
            self._answer(handler, 503, {"Content-Type": "application/xml"}, _SLOW_DOWN)
            return
        connection = http.client.HTTPConnection(
            self._endpoint.hostname or "", self._endpoint.port, timeout=60
        )
        try:
            headers = {n: v for n, v in handler.headers.items() if n.lower() != "connection"}
            connection.request(handler.command, handler.path, body or None, headers)
            answer = connection.getresponse()
            data = answer.read()
            if fate == "lost":
                handler.close_connection = True  # stored, and nobody hears of it
                return
            kept = {n: v for n, v in answer.getheaders() if n.lower() not in _HOP}
            if handler.command == "HEAD":
                kept["Content-Length"] = answer.getheader("Content-Length") or "0"
                self._answer(handler, answer.status, kept, None)
            else:
                self._answer(handler, answer.status, kept, data)
        except OSError:
            handler.close_connection = True
        finally:
            connection.close()

    def _answer(
        self,
        handler: BaseHTTPRequestHandler,
        status: int,
        headers: dict[str, str],
        body: bytes | None,
    ) -> None:
        handler.send_response_only(status)
        for name, value in headers.items():
            handler.send_header(name, value)
        if body is not None:
            handler.send_header("Content-Length", str(len(body)))
        handler.end_headers()
        if body:
            handler.wfile.write(body)
