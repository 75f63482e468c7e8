"""What holds for every request, whatever its route: id, size, time, log, the last resort."""

from __future__ import annotations

import asyncio
import logging
import re
import time
from typing import TYPE_CHECKING, Any, Final

from starlette.requests import ClientDisconnect

from lakecore.base import LakecoreError, Unavailable, uuid7
from lakecore.base.limits import MIB
from lakecore.gateway._problems import MEDIA_TYPE, HttpProblem, bug_of, problem_of, status_of

if TYPE_CHECKING:
    from starlette.types import ASGIApp, Message, Receive, Scope, Send

    from lakecore.gateway._settings import GatewaySettings

UPLOADS: Final = ("/ingest/file",)
"""Routes whose bodies are files."""

COMPRESSED: Final = ("/event", "/v1/traces", "/api/public/otel/v1/traces")
"""Routes of programs that report: their bodies may come as gzip, and are not as long as others."""
REPORT_BYTES: Final = 16 * MIB

_GIVEN_ID: Final = re.compile(r"[A-Za-z0-9._:-]{1,128}")
_access = logging.getLogger("lakecore.access")
_log = logging.getLogger(__name__)


class Edge:
    """ASGI middleware around all rooms.

    - Every answer has ``X-Request-Id``: the request's own where it is of a plain form.
    - A body is read up to its bound and no further, and only while it comes.
    - So many requests at a time, not more.
    - What nobody caught is logged with the id; the client gets the id and no more.
    """

    def __init__(self, app: ASGIApp, settings: GatewaySettings) -> None:
        self._app = app
        self._settings = settings
        self._count = 0

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        exchange = _Exchange(scope, receive, send, self._settings)
        self._count += 1
        try:
            if self._count > self._settings.max_requests:
                raise Unavailable("too many requests at a time")
            exchange.check_length()
            await self._app(scope, exchange.receive, exchange.send)
        except ClientDisconnect:
            pass
        except LakecoreError as error:
            await exchange.fail(error)
        except Exception as error:
            _log.exception("request %s failed", exchange.request_id)
            await exchange.fail(error)
        finally:
            self._count -= 1
            exchange.log()


class _Exchange:
    """One request and its answer."""

    def __init__(
        self, scope: Scope, receive: Receive, send: Send, settings: GatewaySettings
    ) -> None:
        self._scope = scope
        self._receive = receive
        self._send = send
        self._timeout_s = settings.timeout_s
        is_upload = scope["path"] in UPLOADS
        self._limit = settings.max_upload_bytes if is_upload else settings.max_body_bytes
        if scope["path"] in COMPRESSED:
            self._limit = min(self._limit, REPORT_BYTES)
        self._read = 0
        self._is_read = False
        self._status = 0
        self._began_s = time.monotonic()
        given = _header(scope, b"x-request-id")
        self.request_id = given if _GIVEN_ID.fullmatch(given) else uuid7()
        scope.setdefault("state", {})["request_id"] = self.request_id

    def check_length(self) -> None:
        """Raises where the request says itself that it is too long, or is encoded."""
        length = _header(self._scope, b"content-length")
        if length.isdigit() and int(length[:20]) > self._limit:
            raise self._too_long()
        encoding = _header(self._scope, b"content-encoding").strip().lower()
        if encoding == "gzip" and self._scope["path"] in COMPRESSED:
            return
        if encoding not in ("", "identity"):
            raise HttpProblem(
                415, "unsupported-media-type", "bodies are taken as they are", found=encoding
            )

    async def receive(self) -> Message:
        if self._is_read:
            # Only whether the client is still there is asked now: that may take long.
            return await self._receive()
        try:
            message = await asyncio.wait_for(self._receive(), self._timeout_s)
        except TimeoutError:
            raise HttpProblem(
                408, "request-timeout", "the request's body does not come", found=f"{self._read} B"
            ) from None
        if message["type"] == "http.request":
            self._read += len(message.get("body", b""))
            self._is_read = not message.get("more_body", False)
            if self._read > self._limit:
                raise self._too_long()
        return message

    async def send(self, message: Message) -> None:
        if message["type"] == "http.response.start":
            self._status = message["status"]
            headers = [*message.get("headers", ()), (b"x-request-id", self.request_id.encode())]
            message = {**message, "headers": [*headers, (b"x-content-type-options", b"nosniff")]}
        await self._send(message)

    async def fail(self, error: Exception) -> None:
        """Answer with the error; where an answer began, break it off."""
        if self._status:
            # The server ends the connection without the last chunk: the client can tell.
            raise error
        if isinstance(error, LakecoreError):
            status, headers, body = problem_of(error, self.request_id)
        else:
            status, headers, body = bug_of(self.request_id)
        if not self._is_read:
            headers["connection"] = "close"
        headers |= {"content-type": MEDIA_TYPE, "content-length": str(len(body))}
        raw = [(name.encode(), value.encode()) for name, value in headers.items()]
        await self.send({"type": "http.response.start", "status": status, "headers": raw})
        await self.send({"type": "http.response.body", "body": body})

    def log(self) -> None:
        who = self._scope.get("state", {}).get("principal")
        _access.info(
            "%s %s %s",
            self._scope["method"],
            self._scope["path"],
            self._status or "-",
            extra={
                "request_id": self.request_id,
                "principal": getattr(who, "name", None),
                "key_id": getattr(who, "key_id", None),
                "duration_ms": round((time.monotonic() - self._began_s) * 1_000, 3),
                "body_bytes": self._read,
            },
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
