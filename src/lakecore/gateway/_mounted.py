"""Doors of other protocols behind this one's guard, edge and threads: MCP."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from typing import TYPE_CHECKING, Protocol

from fastapi import APIRouter, Request, Response

from lakecore.gateway._guard import KNOWN, LET_IN, needs

if TYPE_CHECKING:
    from starlette.types import ASGIApp, Receive, Scope, Send

    from lakecore.auth import Principal
    from lakecore.gateway._app import Rooms
    from lakecore.gateway._workers import Workers


class Door(Protocol):
    """One path, answered by somebody else.

    Whoever comes has a key that opens: their principal is in the request's state. What they may
    do is the door's to ask.
    """

    @property
    def path(self) -> str: ...

    @property
    def methods(self) -> Sequence[str]: ...

    async def answer(
        self, scope: Scope, receive: Receive, send: Send, stopping: asyncio.Event
    ) -> None:
        """Answer one request; what has no end of its own ends when `stopping` is set."""
        ...

    async def close(self) -> None:
        """The gateway has stopped: no request comes any more."""
        ...


Inside = Callable[["Scope", "Receive", "Send", "Principal"], Awaitable[None]]
"""Answers a request in the name of a principal who was let in elsewhere."""

Mount = Callable[["Workers"], Door]
"""Makes a door that uses the gateway's threads."""


def router_of(door: Door) -> APIRouter:
    """The door as a route, which the guard stands before as before every other."""
    router = APIRouter()

    @needs(KNOWN)
    async def enter(request: Request) -> Response:
        rooms: Rooms = request.app.state.rooms
        return _Answered(door, rooms.stopping)

    router.add_api_route(
        door.path, enter, methods=list(door.methods), include_in_schema=False, response_model=None
    )
    return router


def inside(app: ASGIApp) -> Inside:
    """The application for who came in by another door of this process.

    Edge, limits, rates and the guard's question whether they may are the same; only who they
    are is not asked again.
    """

    async def enter(scope: Scope, receive: Receive, send: Send, principal: Principal) -> None:
        await app({**scope, LET_IN: principal}, receive, send)

    return enter


class _Answered(Response):
    """Whatever the door sends."""

    def __init__(self, door: Door, stopping: asyncio.Event) -> None:
        super().__init__()
        self._door = door
        self._stopping = stopping

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        await self._door.answer(scope, receive, send, self._stopping)
