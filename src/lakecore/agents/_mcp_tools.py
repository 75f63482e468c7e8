"""Tools of other programs, over the Model Context Protocol: a server's tools as an agent's.

What such a server says, of its tools and in its answers, is somebody else's text: names are kept
apart by the server's own name, descriptions are cut, answers are data. Needs the extra ``mcp``.
"""

from __future__ import annotations

import asyncio
import re
import threading
from collections.abc import Coroutine, Mapping, Sequence
from contextlib import AsyncExitStack
from dataclasses import dataclass, field
from types import TracebackType
from typing import TYPE_CHECKING, Any, Final, TypeVar

from lakecore.agents._ports import Tool, ToolAnswer
from lakecore.base import InvalidInput, LakecoreError, Unavailable

if TYPE_CHECKING:
    from mcp import Client

MAX_TOOLS: Final = 64
"""Of one server; a longer list is refused."""
MAX_DESCRIPTION_CHARACTERS: Final = 1_000
MAX_ANSWER_CHARACTERS: Final = 64_000
_NAME: Final = re.compile(r"[A-Za-z0-9_-]{1,40}")
_T = TypeVar("_T")


@dataclass(frozen=True, slots=True, kw_only=True)
class McpServer:
    """A server to take tools from.

    Attributes:
        name: in front of its tools' names.
        command: a program and its arguments, spoken to over its standard input and output; or
        url: an HTTP address.
        environment: variables of the program, beside the few that every program gets.
        timeout_s: of one call.
    """

    name: str
    command: tuple[str, ...] = ()
    url: str = ""
    environment: Mapping[str, str] = field(default_factory=dict, repr=False)
    timeout_s: float = 30.0

    def __post_init__(self) -> None:
        if not _NAME.fullmatch(self.name):
            raise InvalidInput("not a name of a server", expected=_NAME.pattern, found=self.name)
        if bool(self.command) == bool(self.url):
            raise InvalidInput("a server has a command or a url", where=self.name)


class McpTools:
    """Servers, connected as long as this is open; a context manager. Threads may share it."""

    def __init__(self, servers: Sequence[McpServer]) -> None:
        self._servers = {server.name: server for server in servers}
        if len(self._servers) != len(servers):
            raise InvalidInput("two servers have one name")
        self._loop: asyncio.AbstractEventLoop | None = None
        self._thread: threading.Thread | None = None
        self._stop: asyncio.Event | None = None
        self._tools: list[Tool] = []
        self._failed: BaseException | None = None

    def __enter__(self) -> McpTools:
        if not self._servers:
            return self
        ready = threading.Event()
        self._thread = threading.Thread(
            target=lambda: asyncio.run(self._serve(ready)), name="lakecore-mcp-tools", daemon=True
        )
        self._thread.start()
        ready.wait()
        if self._failed is not None:
            self._thread.join()
            raise self._failed
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        if self._loop is not None and self._stop is not None and self._thread is not None:
            self._loop.call_soon_threadsafe(self._stop.set)
            self._thread.join()

    @property
    def tools(self) -> list[Tool]:
        """The tools of all servers, named ``server__tool``."""
        return self._tools

    async def _serve(self, ready: threading.Event) -> None:
        """Hold the connections open, in the task that opened them, until told to stop."""
        self._loop, self._stop = asyncio.get_running_loop(), asyncio.Event()
        try:
            async with AsyncExitStack() as stack:
                for server in self._servers.values():
                    client = await self._connected(stack, server)
                    self._tools += await self._listed(server, client)
                ready.set()
                await self._stop.wait()
        except BaseException as error:
            if ready.is_set():
                return  # a server that ends badly; its calls said so
            self._failed = error
        finally:
            ready.set()

    async def _connected(self, stack: AsyncExitStack, server: McpServer) -> Client:
        from mcp import Client, StdioServerParameters

        target: Any = server.url
        if server.command:
            program, *arguments = server.command
            target = StdioServerParameters(
                command=program, args=arguments, env=dict(server.environment) or None
            )
        try:
            async with asyncio.timeout(server.timeout_s):
                return await stack.enter_async_context(Client(target))
        except (Exception, TimeoutError) as error:
            raise Unavailable(
                "a server of tools does not answer",
                where=server.name,
                found=_why(error),
                hint="start it by hand to see what it says",
            ) from error

    async def _listed(self, server: McpServer, client: Client) -> list[Tool]:
        found: list[Tool] = []
        cursor = None
        while True:
            page = await asyncio.wait_for(client.list_tools(cursor=cursor), server.timeout_s)
            found += [self._tool(server, client, one) for one in page.tools]
            if len(found) > MAX_TOOLS:
                raise InvalidInput(
                    "a server has too many tools", expected=MAX_TOOLS, where=server.name
                )
            cursor = page.next_cursor
            if cursor is None:
                return found

    def _tool(self, server: McpServer, client: Client, one: Any) -> Tool:
        said = " ".join(str(one.description or "").split())[:MAX_DESCRIPTION_CHARACTERS]
        name = re.sub(r"[^A-Za-z0-9_-]", "_", str(one.name))[:60]

        def run(arguments: Mapping[str, Any], id_: str) -> ToolAnswer:
            call = client.call_tool(
                one.name, dict(arguments), read_timeout_seconds=server.timeout_s
            )
            try:
                answer = self._wait(call, server.timeout_s)
            except LakecoreError:
                raise
            except Exception as error:
                raise Unavailable(
                    "a tool of another program failed", where=server.name, found=_why(error)
                ) from error
            return _answer(answer)

        return Tool(f"{server.name}__{name}", said, dict(one.input_schema), run)

    def _wait(self, call: Coroutine[Any, Any, _T], timeout_s: float) -> _T:
        assert self._loop is not None  # noqa: S101  # tools exist only while the loop runs
        waiting = asyncio.run_coroutine_threadsafe(call, self._loop)
        try:
            # Somewhat longer than the call's own bound, which is to be the one that ends it.
            return waiting.result(timeout_s + 5)
        except TimeoutError as error:
            waiting.cancel()
            raise Unavailable("a tool of another program hangs", found=f"{timeout_s} s") from error


def _answer(result: Any) -> ToolAnswer:
    parts = []
    for part in result.content:
        text = getattr(part, "text", None)
        parts.append(text if isinstance(text, str) else f"[{part.type}: not shown]")
    text = "\n".join(parts)[:MAX_ANSWER_CHARACTERS]
    return ToolAnswer(text, "error" if result.is_error else "ok")


def _why(error: BaseException) -> str:
    """The innermost reason: groups of errors say nothing by themselves."""
    while isinstance(error, BaseExceptionGroup):
        error = error.exceptions[0]
    return (str(error) or type(error).__name__)[:300]
