"""A server that webhooks are posted to, as bad as a test wants it to be."""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any


@dataclass(frozen=True)
class Received:
    """One request."""

    path: str
    headers: dict[str, str]
    body: bytes
    at_s: float

    @property
    def id(self) -> str:
        """The message's."""
        return self.headers["webhook-id"]

    @property
    def document(self) -> Any:
        """The body as JSON."""
        return json.loads(self.body)

    @property
    def seqs(self) -> list[int]:
        """Of the events in it."""
        return [event["seq"] for event in self.document["data"].get("events", [])]


@dataclass
class Answer:
    """What a receiver answers."""

    status: int = 200
    headers: dict[str, str] = field(default_factory=dict)
    body: bytes = b""
    wait_s: float = 0.0


Answering = Callable[[int], Answer]
"""From the number of the request, beginning with 0."""


class Receiver:
    """The server; `answering` may be set at any time."""

    def __init__(self, url: str) -> None:
        self.url = url
        self.received: list[Received] = []
        self.answering: Answering = lambda number: Answer()
        self.changed = threading.Condition()
        self.open = 0
        self.most_open = 0

    def wait(self, count: int, timeout_s: float = 30.0) -> list[Received]:
        """The requests, once there are so many."""
        with self.changed:
            assert self.changed.wait_for(lambda: len(self.received) >= count, timeout_s), (
                f"{len(self.received)} of {count} requests came"
            )
            return list(self.received)

    def wait_events(self, count: int, timeout_s: float = 30.0) -> list[Received]:
        """The requests, once they have so many different events."""

        def events() -> int:
            return len({seq for one in self.received for seq in one.seqs})

        with self.changed:
            assert self.changed.wait_for(lambda: events() >= count, timeout_s), (
                f"{events()} of {count} events came"
            )
            return list(self.received)


@contextmanager
def receiving(port: int = 0) -> Iterator[Receiver]:
    """A receiver on loopback."""

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["content-length"]))
            headers = {name.lower(): value for name, value in self.headers.items()}
            with receiver.changed:
                number = len(receiver.received)
                receiver.open += 1
                receiver.most_open = max(receiver.most_open, receiver.open)
                receiver.received.append(Received(self.path, headers, body, time.time()))
                receiver.changed.notify_all()
            answer = receiver.answering(number)
            if answer.wait_s:
                time.sleep(answer.wait_s)
            with receiver.changed:
                receiver.open -= 1
            try:
                self.send_response(answer.status)
                for name, value in answer.headers.items():
                    self.send_header(name, value)
                self.send_header("content-length", str(len(answer.body)))
                self.end_headers()
                self.wfile.write(answer.body)
            except OSError:
                # Whoever sent it had no patience.
                self.close_connection = True

        def log_message(self, *args: object) -> None:
            """Nothing."""

    class Server(ThreadingHTTPServer):
        daemon_threads = True

        def handle_error(self, *args: object) -> None:
            """A client that left is what some tests are about."""

    server = Server(("127.0.0.1", port), Handler)
    receiver = Receiver(f"http://127.0.0.1:{server.server_port}")
    thread = threading.Thread(target=lambda: server.serve_forever(0.05))
    thread.start()
    try:
        yield receiver
    finally:
        server.shutdown()
        server.server_close()
        thread.join(10)


def is_signed(received: Received, secret: str) -> bool:
    """Whether a message is signed by this secret, checked as a receiver would."""
    key = base64.b64decode(secret.removeprefix("whsec_"))
    headers = received.headers
    content = f"{received.id}.{headers['webhook-timestamp']}.".encode() + received.body
    expected = "v1," + base64.b64encode(hmac.digest(key, content, hashlib.sha256)).decode()
    return expected in headers["webhook-signature"].split(" ")
