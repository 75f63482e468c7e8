"""What holds for every request, whatever its route: id, size, time, the last resort."""

from __future__ import annotations

import asyncio
import logging
import re
import time
from contextlib import suppress
from typing import TYPE_CHECKING, Any, Final

from starlette.requests import ClientDisconnect

from lakecore.base import Bug, LakecoreError, Unavailable, uuid7
from lakecore.base.limits import KIB, MIB
from lakecore.gateway._encoding import CODINGS, unpack
from lakecore.gateway._forms import error_answer
from lakecore.gateway._problems import HttpProblem, status_of

if TYPE_CHECKING:
    from starlette.types import ASGIApp, Message, Receive, Scope, Send

    from lakecore.gateway._settings import GatewaySettings
    from lakecore.gateway._workers import Workers

UPLOADS: Final = ("/ingest/file",)
"""Routes whose bodies are files."""

MAX_HEAD_BYTES: Final = 64 * KIB
MIN_BYTES_PER_S: Final = 1_024
"""A body that comes more slowly, over its whole time but the first `timeout_s`, is not awaited."""

DRAINED_BYTES: Final = 64 * MIB
DRAINED_S: Final = 2.0
"""So much of a body that is too long is let go by, for so long, until its client hears of it."""
_TOO_LATE: Final = 408

REPORTS: Final = ("/event", "/v1/traces", "/api/public/otel/v1/traces")
"""Routes of programs that report: their bodies are not as long as others."""
REPORT_BYTES: Final = 16 * MIB

_GIVEN_ID: Final = re.compile(r"[A-Za-z0-9._:-]{1,128}")
_log = logging.getLogger(__name__)


class Edge:
    """ASGI middleware around all rooms.

    - Every answer has ``X-Request-Id``: the request's own where it is of a plain form.
    - A body is read up to its bound and no further, and only while it comes, not too slowly;
      one that comes compressed is unpacked, within the same bound.
    - So many requests at a time, and so many bytes of their bodies, not more.
    - What nobody caught is logged with the id; the client gets the id and no more.
    """

    def __init__(self, app: ASGIApp, settings: GatewaySettings, workers: Workers) -> None:
        self._app = app
        self._settings = settings
        self._workers = workers
        self._held = _Held(settings.max_bodies_bytes)
        self._count = 0

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        exchange = _Exchange(scope, receive, send, self._settings, self._held, self._workers)
        self._count += 1
        try:
            if self._count > self._settings.max_requests:
                raise Unavailable("too many requests at a time")
            exchange.check_head()
            await self._app(scope, exchange.receive, exchange.send)
        except ClientDisconnect:
            pass
        except LakecoreError as error:
            await exchange.fail(error)
        except Exception as error:
            cause = error.__cause__
            if isinstance(error, RuntimeError) and isinstance(cause, LakecoreError):
                # Starlette's word for an error behind the beginning of an answer.
                await exchange.fail(cause)
                return
            _log.exception("request %s failed", exchange.request_id)
            await exchange.fail(error)
        finally:
            self._count -= 1
            exchange.release()


class _Held:
    """Bytes of bodies that are in memory."""

    def __init__(self, most_bytes: int) -> None:
        self._most_bytes = most_bytes
        self._bytes = 0

    def add(self, count: int) -> None:
        """Raises `Unavailable` when there is no room for so many more."""
        if self._bytes + count > self._most_bytes:
            raise Unavailable("too many bytes of requests at a time")
        self._bytes += count

    def remove(self, count: int) -> None:
        self._bytes -= count


class _Exchange:
    """One request and its answer."""

    def __init__(
        self,
        scope: Scope,
        receive: Receive,
        send: Send,
        settings: GatewaySettings,
        held: _Held,
        workers: Workers,
    ) -> None:
        self._scope = scope
        self._receive = receive
        self._send = send
        self._settings = settings
        self._timeout_s = settings.timeout_s
        self._held = held
        self._workers = workers
        self._is_upload = scope["path"] in UPLOADS
        self._limit = settings.max_upload_bytes if self._is_upload else settings.max_body_bytes
        if scope["path"] in REPORTS:
            self._limit = min(self._limit, REPORT_BYTES)
        self._held_bytes = 0
        self._coding = ""
        self._read = 0
        self._is_read = False
        self._status = 0
        self._began_s = time.monotonic()
        given = _header(scope, b"x-request-id")
        self.request_id = given if _GIVEN_ID.fullmatch(given) else uuid7()
        scope.setdefault("state", {})["request_id"] = self.request_id

    def check_head(self) -> None:
        """Raises where the request says itself that it is too long, or is coded strangely."""
        size = sum(len(name) + len(value) + 4 for name, value in self._scope["headers"])
        size += len(self._scope.get("raw_path", b"")) + len(self._scope["query_string"])
        if size > MAX_HEAD_BYTES:
            # What comes in one piece is parsed whole before it is counted.
            raise HttpProblem(
                431,
                "too-large",
                "the request's head is too long",
                expected=f"{MAX_HEAD_BYTES:,} bytes",
            )
        length = _header(self._scope, b"content-length")
        if length.isdigit() and int(length[:20]) > self._limit:
            raise self._too_long()
        coding = _header(self._scope, b"content-encoding").strip().lower()
        if coding in ("", "identity"):
            return
        if coding not in CODINGS or self._is_upload:
            raise HttpProblem(
                415,
                "unsupported-media-type",
                "a body is not taken in this coding",
                expected="none" if self._is_upload else " or ".join(CODINGS),
                found=coding[:200],
                hint="a compressed file is sent as it is" if self._is_upload else None,
            )
        self._coding = coding

    async def receive(self) -> Message:
        if self._is_read:
            # Only whether the client is still there is asked now: that may take long.
            return await self._receive()
        if self._coding:
            return await self._receive_unpacked()
        return await self._receive_part()

    async def _receive_part(self) -> Message:
        """Some of the body, as it comes."""
        try:
            async with asyncio.timeout(self._timeout_s):
                message = await self._receive()
        except TimeoutError:
            raise self._too_slow() from None
        if message["type"] == "http.request":
            part_bytes = len(message.get("body", b""))
            self._read += part_bytes
            self._is_read = not message.get("more_body", False)
            if self._read > self._limit:
                raise self._too_long()
            if not self._is_upload:
                self._hold(part_bytes)
            lasted_s = time.monotonic() - self._began_s
            is_late = lasted_s > self._timeout_s + self._read / MIN_BYTES_PER_S
            if is_late and not self._is_read:
                raise self._too_slow()
        return message

    async def _receive_unpacked(self) -> Message:
        """The whole body, unpacked in a thread."""
        parts: list[bytes] = []
        while not self._is_read:
            message = await self._receive_part()
            if message["type"] != "http.request":
                return message
            parts.append(message.get("body", b""))
        data = await self._workers.call(
            unpack,
            b"".join(parts),
            self._coding,
            most_bytes=self._limit,
            most_ratio=self._settings.max_unpacked_ratio,
        )
        self._hold(len(data))
        return {"type": "http.request", "body": data, "more_body": False}

    def _hold(self, count: int) -> None:
        self._held.add(count)
        self._held_bytes += count

    def release(self) -> None:
        """The request is over: its body is let go."""
        self._held.remove(self._held_bytes)
        self._held_bytes = 0

    async def send(self, message: Message) -> None:
        if message["type"] == "http.response.start":
            self._status = message["status"]
            headers = [*message.get("headers", ()), (b"x-request-id", self.request_id.encode())]
            message = {**message, "headers": [*headers, (b"x-content-type-options", b"nosniff")]}
        elif self._is_unheard and not message.get("more_body"):
            # Closed while the client still sends, the connection would be reset, and the answer
            # lost with it.
            await self._send({**message, "more_body": True})
            await self._drain()
            message = {"type": "http.response.body", "body": b""}
        await self._send(message)

    @property
    def _is_unheard(self) -> bool:
        """Whether this is an error, and the client may still send: one that is late does not."""
        return self._status >= 400 and self._status != _TOO_LATE and not self._is_read

    async def _drain(self) -> None:
        """Let go by what still comes, so much and so long."""
        left = DRAINED_BYTES
        with suppress(TimeoutError):
            async with asyncio.timeout(DRAINED_S):
                while left > 0:
                    message = await self._receive()
                    if message["type"] != "http.request" or not message.get("more_body"):
                        return
                    left -= len(message.get("body", b""))

    async def fail(self, error: Exception) -> None:
        """Answer with the error; where an answer began, break it off."""
        if self._status:
            # The server ends the connection without the last chunk: the client can tell.
            _log.warning("request %s was broken off: %s", self.request_id, error)
            return
        told = error if isinstance(error, LakecoreError) else Bug("an unforeseen error")
        status, headers, body, media_type = error_answer(self._scope["path"], told, self.request_id)
        if not self._is_read:
            headers["connection"] = "close"
        headers |= {"content-type": media_type, "content-length": str(len(body))}
        raw = [(name.encode(), value.encode()) for name, value in headers.items()]
        await self.send({"type": "http.response.start", "status": status, "headers": raw})
        await self.send({"type": "http.response.body", "body": body})

    def _too_slow(self) -> HttpProblem:
        return HttpProblem(
            408, "request-timeout", "the request's body does not come", found=f"{self._read} B"
        )

    def _too_long(self) -> HttpProblem:
        return HttpProblem(
            413, "too-large", "the request's body is too long", expected=f"{self._limit:,} bytes"
        )


def is_bug(error: LakecoreError) -> bool:
    """Whether an operator should hear of it."""
    return status_of(error) == 500


def _header(scope: Any, name: bytes) -> str:
    return next((value.decode("latin-1") for key, value in scope["headers"] if key == name), "")
