"""The server as an ASGI application: streamable HTTP, behind whoever asks for keys."""

from __future__ import annotations

import asyncio
from contextlib import AbstractAsyncContextManager
from typing import TYPE_CHECKING

from mcp.server.auth.middleware.bearer_auth import AuthenticatedUser
from mcp.server.auth.provider import AccessToken
from mcp.server.streamable_http_manager import StreamableHTTPSessionManager

from lakecore.auth import Principal
from lakecore.mcp._limits import BODY_BYTES, SESSION_IDLE_S, SESSIONS
from lakecore.mcp._ports import Visitor

if TYPE_CHECKING:
    from starlette.types import Receive, Scope, Send

    from lakecore.mcp._server import McpServer


class HttpRoom:
    """One route for clients of the protocol, of both its kinds: with sessions and without.

    Whoever mounts it has let the request in, and has put the principal into the request's state.
    A session is its principal's: with another key it is not found.
    """

    METHODS = ("GET", "POST", "DELETE")

    def __init__(self, server: McpServer) -> None:
        self._manager = StreamableHTTPSessionManager(
            app=server.protocol,
            session_idle_timeout=SESSION_IDLE_S,
            max_sessions=SESSIONS,
            max_request_body_size=BODY_BYTES,
        )

    def lifespan(self) -> AbstractAsyncContextManager[None]:
        """Sessions live in it; it is entered once."""
        return self._manager.run()

    async def __call__(
        self, scope: Scope, receive: Receive, send: Send, stopping: asyncio.Event
    ) -> None:
        """Answer one request; a stream that has no end ends when `stopping` is set."""
        principal = scope.get("state", {}).get("principal")
        if isinstance(principal, Principal) and principal.key_id is not None:
            owner = Visitor(principal).owner
            token = AccessToken(token="", client_id=owner, scopes=[])
            scope = {**scope, "user": AuthenticatedUser(token)}
        if scope["method"] != "GET":
            await self._manager.handle_request(scope, receive, send)
            return
        stream = asyncio.ensure_future(self._manager.handle_request(scope, receive, send))
        stop = asyncio.ensure_future(stopping.wait())
        try:
            await asyncio.wait({stream, stop}, return_when=asyncio.FIRST_COMPLETED)
        finally:
            for task in (stream, stop):
                task.cancel()
            await asyncio.gather(stream, stop, return_exceptions=True)
