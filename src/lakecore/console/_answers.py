"""One request and its answer, as small as the console needs them."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, Final

from lakecore.auth import redact
from lakecore.base import FixRequest, InvalidInput, LakecoreError, Refused, Unauthenticated

if TYPE_CHECKING:
    from starlette.types import Receive, Scope, Send

MAX_BODY_BYTES: Final = 4_096
_MAX_SHOWN_CHARACTERS: Final = 500
_PREFIX: Final = "urn:lakecore:error:"
Header = tuple[bytes, bytes]


class NotAllowed(FixRequest):
    """A method that a path does not have."""

    def __init__(self, methods: str) -> None:
        self.methods = methods
        super().__init__("this path does not take this method", expected=methods)


class Request:
    """An HTTP request. `is_answered` once its answer has begun."""

    def __init__(self, scope: Scope, receive: Receive, send: Send) -> None:
        self.scope = scope
        self.receive = receive
        self._send = send
        self.is_answered = False

    @property
    def method(self) -> str:
        return str(self.scope["method"])

    @property
    def path(self) -> str:
        return str(self.scope["path"])

    @property
    def address(self) -> str | None:
        """Where it came from."""
        client = self.scope.get("client")
        return None if client is None else str(client[0])

    def maybe(self, name: str) -> str | None:
        """A header, None when it was not sent; several of one name are told as one."""
        wanted = name.encode()
        found = [value for key, value in self.scope["headers"] if key == wanted]
        return ", ".join(value.decode("latin-1") for value in found) if found else None

    def header(self, name: str) -> str:
        return self.maybe(name) or ""

    async def json(self) -> dict[str, Any]:
        """The body, an object; it is small, or refused."""
        if self.header("content-type").partition(";")[0].strip() != "application/json":
            raise InvalidInput("the body is not JSON", expected="content-type: application/json")
        data = b""
        while True:
            message = await self.receive()
            if message["type"] != "http.request":
                raise InvalidInput("the body did not come to its end")
            data += message.get("body", b"")
            if len(data) > MAX_BODY_BYTES:
                raise InvalidInput("the body is too long", expected=f"{MAX_BODY_BYTES:,} bytes")
            if not message.get("more_body"):
                break
        try:
            found = json.loads(data)
        except ValueError:
            raise InvalidInput("the body is not JSON") from None
        if not isinstance(found, dict):
            raise InvalidInput("the body is not a JSON object")
        return found

    async def send(self, message: Any) -> None:
        self.is_answered = True
        await self._send(message)

    async def answer(self, status: int, body: bytes, headers: Sequence[Header] = ()) -> None:
        """All of an answer; of HEAD, its headers."""
        length = (b"content-length", str(len(body)).encode())
        own = [*headers] if status in (204, 304) else [*headers, length]
        await self.send({"type": "http.response.start", "status": status, "headers": own})
        sent = b"" if self.method == "HEAD" else body
        await self.send({"type": "http.response.body", "body": sent})

    async def answer_json(self, body: object, headers: Sequence[Header] = ()) -> None:
        own = [(b"content-type", b"application/json"), no_store(), *headers]
        await self.answer(200, json.dumps(body).encode(), own)


def no_store() -> Header:
    """Nobody keeps this answer."""
    return b"cache-control", b"no-store"


async def send_problem(request: Request, error: LakecoreError) -> None:
    """An error as the gateway tells it: RFC 9457."""
    status = _status(error)
    slug = "method-not-allowed" if isinstance(error, NotAllowed) else error.type
    body = {"type": _PREFIX + slug, "title": _shown(error.message), "status": status}
    parts = error.to_dict()
    body |= {
        name: _shown(parts[name])
        for name in ("expected", "found", "where", "hint")
        if parts.get(name)
    }
    headers = [(b"content-type", b"application/problem+json"), no_store()]
    if isinstance(error, NotAllowed):
        headers.append((b"allow", error.methods.encode()))
    wait_s = getattr(error, "retry_after_s", None)
    if wait_s is not None:
        headers.append((b"retry-after", str(wait_s).encode()))
    await request.answer(status, json.dumps(body).encode(), headers)


def _status(error: LakecoreError) -> int:
    if getattr(error, "retry_after_s", None) is not None:
        return 429
    known: tuple[tuple[type[LakecoreError], int], ...] = (
        (Unauthenticated, 401),
        (Refused, 403),
        (NotAllowed, 405),
        (FixRequest, 400),
    )
    fallback = 503 if error.exit_code == 4 else 500
    return next((status for kind, status in known if isinstance(error, kind)), fallback)


def _shown(text: object) -> str:
    return redact(str(text))[:_MAX_SHOWN_CHARACTERS]
