"""A lake as tools for agents: the MCP server joined with the lake and its keys."""

from __future__ import annotations

import asyncio
import signal
from collections.abc import Callable
from contextlib import suppress
from importlib.util import find_spec
from typing import TYPE_CHECKING, Final

from lakecore.app._format import PATH as FORMAT_FILE
from lakecore.app._open import system_user
from lakecore.base import InvalidInput

if TYPE_CHECKING:
    from starlette.types import Receive, Scope, Send

    from lakecore.app._lake import Lake
    from lakecore.auth import Keys, Principal
    from lakecore.gateway import Mount, Workers
    from lakecore.mcp import ActingAs, HttpRoom

PATH: Final = "/mcp"
_THREADS: Final = 8
_MAX_WAITING: Final = 32


class McpDoor:
    """`/mcp` of the gateway. What it needs is loaded when the first request comes."""

    path = PATH
    methods = ("GET", "POST", "DELETE")

    def __init__(self, make: Callable[[], HttpRoom], workers: Workers) -> None:
        self._make = make
        self._workers = workers
        self._room: asyncio.Future[HttpRoom] | None = None
        self._living: asyncio.Task[None] | None = None
        self._closed = asyncio.Event()

    async def answer(
        self, scope: Scope, receive: Receive, send: Send, stopping: asyncio.Event
    ) -> None:
        """See `gateway.Door`."""
        if self._room is None or (self._room.done() and self._room.exception() is not None):
            self._room = asyncio.get_running_loop().create_future()
            self._living = asyncio.create_task(self._live(self._room))
        room = await asyncio.shield(self._room)
        await room(scope, receive, send, stopping)

    async def close(self) -> None:
        """See `gateway.Door`."""
        self._closed.set()
        if self._living is not None:
            await self._living

    async def _live(self, room: asyncio.Future[HttpRoom]) -> None:
        """Sessions begin and end in one task."""
        try:
            made = await self._workers.call(self._make)
            async with made.lifespan():
                room.set_result(made)
                await self._closed.wait()
        except Exception as error:
            if room.done():
                raise
            room.set_exception(error)


def mounts_of(
    lake: Lake, acting_as: ActingAs, keys: Keys | None, *, needed: bool = False
) -> list[Mount]:
    """`/mcp`, where the protocol's SDK is installed.

    Args:
        keys: None: no key is asked for; whoever comes is an agent of this machine then.
        needed: it is an error where it is not.
    """
    if needed:
        check_installed()
    elif not _is_installed():
        return []

    def mount(workers: Workers) -> McpDoor:
        def make() -> HttpRoom:
            from lakecore.mcp import GuestsOfTheGateway, HttpRoom, McpServer

            agent, person = local_principals(lake.actor)
            reception = GuestsOfTheGateway(workers, keys, local=agent, person=person)
            timeout_s = lake._parts.settings.query.timeout_s
            server = McpServer(acting_as, reception, workers, query_timeout_s=timeout_s)
            return HttpRoom(server)

        return McpDoor(make, workers)

    return [mount]


def serve_mcp(
    lake: Lake,
    *,
    key: str | None,
    approver_key: str | None = None,
    on_started: Callable[[Principal, Principal | None], None] | None = None,
) -> None:
    """Serve one client over standard input and output, until it goes or SIGINT or SIGTERM comes.

    Args:
        key: the client's; None: on a local lake where no keys are asked for it is an agent of
            whoever started this.
        approver_key: of the person in whose name a yes at the client counts.
        on_started: gets who the client is, and who approves.

    Raises:
        Unauthenticated: a key is needed, or opens nothing.
    """
    check_installed()
    from lakecore.app._acting import ActingLake
    from lakecore.gateway import Workers
    from lakecore.mcp import McpServer, OneClient, serve_stdio

    parts = lake._parts
    is_local = parts.store.local_path(FORMAT_FILE) is not None
    asks_for_keys = parts.settings.auth.enabled or not is_local
    agent, person = local_principals(lake.actor)
    workers = Workers(_THREADS, _MAX_WAITING)
    reception = OneClient(
        workers,
        parts.keys,
        key=key,
        approver_key=approver_key,
        local=None if asks_for_keys else agent,
        person=person,
    )
    visitor = reception.check()
    if on_started is not None:
        on_started(visitor.principal, visitor.approver)

    async def serve() -> None:
        stopping = asyncio.Event()
        loop = asyncio.get_running_loop()
        for number in (signal.SIGINT, signal.SIGTERM):
            # Outside the main thread no signal can be caught: then its own end ends it.
            with suppress(RuntimeError, ValueError):
                loop.add_signal_handler(number, stopping.set)
        server = McpServer(
            lambda principal: ActingLake(lake, principal),
            reception,
            workers,
            query_timeout_s=parts.settings.query.timeout_s,
        )
        await serve_stdio(server, stopping)

    try:
        asyncio.run(serve())
    finally:
        workers.close()


def local_principals(actor: str) -> tuple[Principal, Principal]:
    """Without keys: who calls tools, and the person whose agent that is.

    >>> [one.name for one in local_principals("ada")], local_principals("agent:tidy")[0].kind
    (['agent:ada', 'ada'], 'agent')
    """
    from lakecore.auth import Principal

    named = Principal.local(actor)
    if named.kind == "person":
        return Principal.local(f"agent:{actor}"), named
    return named, Principal.local(system_user(), kind="person")


def check_installed() -> None:
    """Raises `InvalidInput` where the protocol's SDK is not installed."""
    if not _is_installed():
        raise InvalidInput("MCP is not installed", hint="pip install 'lakecore[mcp]'")


def _is_installed() -> bool:
    return find_spec("mcp") is not None
