"""SQL statements under way: so many at a time, each to be ended by whoever began it."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Awaitable, Callable
from typing import TYPE_CHECKING, Protocol, TypeVar

from starlette.requests import ClientDisconnect

from lakecore.base import Unavailable

if TYPE_CHECKING:
    from fastapi import Request

    from lakecore.gateway._guard import Caller

_T = TypeVar("_T")


class Cancellable(Protocol):
    """What a statement runs as."""

    def cancel(self) -> None:
        """End it, from any thread."""
        ...


class Running:
    """One statement. `cancel` ends it whatever it is doing, also before there is a result."""

    def __init__(self, key: tuple[str, str]) -> None:
        self.key = key
        self._lock = threading.Lock()
        self._what: Cancellable | None = None
        self._is_over = False

    def started(self, what: Cancellable) -> None:
        """There is something to cancel from here on."""
        with self._lock:
            self._what = what
            is_over = self._is_over
        if is_over:
            what.cancel()

    def cancel(self) -> None:
        """End it."""
        with self._lock:
            self._is_over = True
            what = self._what
        if what is not None:
            what.cancel()


class Queries:
    """The statements of one gateway, for its event loop."""

    def __init__(self, limit: int) -> None:
        self._limit = limit
        self._running: set[Running] = set()

    def begin(self, caller: Caller) -> Running:
        """Take a place; `end` gives it back.

        Raises:
            Unavailable: there is none.
        """
        if len(self._running) >= self._limit:
            raise Unavailable(
                "as many SQL statements run as may",
                expected=f"at most {self._limit} at a time",
                hint="try again soon",
            )
        running = Running((caller.principal.name, caller.request_id))
        self._running.add(running)
        return running

    def end(self, running: Running) -> None:
        """It is over. Safe to call twice."""
        self._running.discard(running)

    def cancel(self, principal: str, request_id: str) -> int:
        """End those that a principal began by requests of this id; how many there were."""
        found = [one for one in self._running if one.key == (principal, request_id)]
        for one in found:
            one.cancel()
        return len(found)


async def unless_gone(
    request: Request, work: Awaitable[_T], give_up: Callable[[], None], drop: Callable[[_T], None]
) -> _T:
    """What `work` gives, unless the client goes away first.

    Args:
        give_up: called when it does, so that `work` comes to its end; that is awaited.
        drop: called then with what it gave all the same.

    Raises:
        ClientDisconnect: nobody is there any more.
    """
    working = asyncio.ensure_future(work)
    gone = asyncio.create_task(_gone(request))
    try:
        await asyncio.wait({working, gone}, return_when=asyncio.FIRST_COMPLETED)
        if not working.done():
            give_up()
            await asyncio.wait({working})
            if working.exception() is None:
                drop(working.result())
            raise ClientDisconnect
    finally:
        gone.cancel()
        if not working.done():
            give_up()
    return working.result()


async def _gone(request: Request) -> None:
    while (await request.receive())["type"] != "http.disconnect":
        pass
