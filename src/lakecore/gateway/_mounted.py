"""Doors of other protocols behind this one's guard, edge and threads: MCP."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Protocol

from fastapi import APIRouter, Request, Response

from lakecore.gateway._guard import KNOWN, needs

if TYPE_CHECKING:
    from starlette.types import Receive, Scope, Send

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


class _Answered(Response):
    """Whatever the door sends."""

    def __init__(self, door: Door, stopping: asyncio.Event) -> None:
        super().__init__()
        self._door = door
        self._stopping = stopping

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        await self._door.answer(scope, receive, send, self._stopping)
