"""The console as an ASGI application: where a request goes, and the headers of its answer."""

from __future__ import annotations

import logging
from collections.abc import Awaitable, Callable
from typing import TYPE_CHECKING, Any, Final

from lakecore.base import LakecoreError, Refused, Unauthenticated
from lakecore.console._answers import NotAllowed, Request, no_store, send_problem
from lakecore.console._assets import POLICY, Asset, Assets
from lakecore.console._door import Door
from lakecore.console._origins import Origins

if TYPE_CHECKING:
    from starlette.types import Message, Receive, Scope, Send

    from lakecore.auth import Principal

API: Final = "/api"
DATA: Final = "/data"
"""Also under this name: what the views of reviews ask for."""
SESSION: Final = "/session"
_FOREVER: Final = "public, max-age=31536000, immutable"
_DATA_POLICY: Final = "default-src 'none'; frame-ancestors 'none'; sandbox"
_ALWAYS: Final = (
    (b"x-content-type-options", b"nosniff"),
    (b"x-frame-options", b"DENY"),
    (b"referrer-policy", b"no-referrer"),
    (b"cross-origin-opener-policy", b"same-origin"),
    (b"cross-origin-resource-policy", b"same-origin"),
    (b"permissions-policy", b"camera=(), geolocation=(), microphone=()"),
)
_SINGLE: Final = frozenset(name for name, _ in _ALWAYS)
_PRIVATE: Final = (b"cookie", b"authorization", b"x-api-key")
_log = logging.getLogger(__name__)


Inside = Callable[["Scope", "Receive", "Send", "Principal"], Awaitable[None]]
"""The gateway's application, for a principal whom this door has let in."""


class Console:
    """Pages for everybody who names this host right; data for who logged in.

    Args:
        inside: what answers under `API`.
    """

    def __init__(self, inside: Inside, assets: Assets, door: Door, origins: Origins) -> None:
        self._inside = inside
        self._assets = assets
        self._door = door
        self._origins = origins

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            raise RuntimeError("the console speaks HTTP alone")
        request = Request(scope, receive, _guarded(send))
        try:
            await self._answer(request)
        except LakecoreError as error:
            await send_problem(request, error)
        except Exception:
            if request.is_answered:
                raise
            _log.exception("a request of the console failed")
            await send_problem(request, LakecoreError("this is a bug in Lakecore"))

    async def _answer(self, request: Request) -> None:
        host = request.header("host")
        if not self._origins.is_host(host):
            raise Refused(
                "this name is not one of the console's",
                found=host[:200],
                hint="open the address that `lakecore up` printed, or set [console] url",
            )
        path = request.path
        if path == SESSION or path.startswith((f"{SESSION}/", f"{API}/", f"{DATA}/")):
            why = self._origins.refusal(
                request.method, host, request.maybe("origin"), request.maybe("sec-fetch-site")
            )
            if why is not None:
                raise Refused(why, hint="open the console itself")
            if path.startswith((f"{API}/", f"{DATA}/")):
                await self._forward(request)
            else:
                await self._door.answer(request)
        elif request.method not in ("GET", "HEAD"):
            raise NotAllowed("GET, HEAD")
        else:
            await self._page(request)

    async def _forward(self, request: Request) -> None:
        """What the gateway says to this principal. The cookie stays here."""
        principal = await self._door.principal(request)
        if principal is None:
            raise Unauthenticated("you are not logged in", hint="log in again")
        scope = request.scope
        path = request.path.removeprefix(API)
        raw = scope.get("raw_path", b"").removeprefix(API.encode())
        headers = [(name, value) for name, value in scope["headers"] if name not in _PRIVATE]
        inner = {**scope, "path": path, "raw_path": raw, "headers": headers, "state": {}}
        await self._inside(inner, request.receive, _data(request.send), principal)

    async def _page(self, request: Request) -> None:
        """A built file; every other path is a view, which the page itself finds."""
        name = request.path.removeprefix("/")
        found = self._assets.get(name)
        # Below a view a name may have dots: a dataset's, a key's. At the top only files have.
        parts = name.split("/")
        is_file = parts[0] == "assets" or ".." in parts or (len(parts) == 1 and "." in name)
        if found is None and is_file:
            await request.answer(404, b"not found", [(b"content-type", b"text/plain")])
            return
        await _send_asset(request, found or self._assets.index)


async def _send_asset(request: Request, asset: Asset) -> None:
    headers = [
        (b"etag", asset.etag.encode()),
        (b"vary", b"accept-encoding"),
        (b"cache-control", _FOREVER.encode() if asset.is_hashed else b"no-cache"),
    ]
    if request.header("if-none-match") == asset.etag:
        await request.answer(304, b"", headers)
        return
    body = asset.body
    if asset.packed is not None and "gzip" in request.header("accept-encoding"):
        body = asset.packed
        headers.append((b"content-encoding", b"gzip"))
    headers.append((b"content-type", asset.media_type.encode()))
    await request.answer(200, body, headers)


def _guarded(send: Send) -> Send:
    """Every answer's headers, and a policy where none was set."""

    async def sent(message: Message) -> None:
        if message["type"] == "http.response.start":
            own = [(name, value) for name, value in message.get("headers", ())]
            kept = [(name, value) for name, value in own if name.lower() not in _SINGLE]
            if not any(name == b"content-security-policy" for name, _ in kept):
                kept.append((b"content-security-policy", POLICY.encode()))
            message = {**message, "headers": [*kept, *_ALWAYS]}
        await send(message)

    return sent


def _data(send: Send) -> Send:
    """Data is no page, whatever it says: nothing in it runs, and nobody keeps it."""

    async def sent(message: Message) -> None:
        if message["type"] == "http.response.start":
            headers: list[Any] = list(message.get("headers", ()))
            headers.append((b"content-security-policy", _DATA_POLICY.encode()))
            if not any(name == b"cache-control" for name, _ in headers):
                headers.append(no_store())
            message = {**message, "headers": headers}
        await send(message)

    return sent
