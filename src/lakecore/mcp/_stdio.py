"""The server over standard input and output: one client, which started this process.

Lines are read in a thread of its own, so that a signal ends the process although no line comes,
and each is bounded. Standard output belongs to the protocol while it is served; whatever else
writes there writes to standard error.
"""

from __future__ import annotations

import asyncio
import os
import sys
import threading
from collections.abc import AsyncIterator
from typing import TYPE_CHECKING, Any, BinaryIO, Final, cast

from mcp.server.stdio import stdio_server

from lakecore.mcp._limits import BODY_BYTES

if TYPE_CHECKING:
    from lakecore.mcp._server import McpServer

_WAITING_LINES: Final = 16
_TOO_LONG: Final = '"a message is too long"\n'
"""In the place of a line that is: it is no message, and is answered as one that is none."""


async def serve_stdio(server: McpServer, stopping: asyncio.Event) -> None:
    """Serve until standard input ends, or `stopping` is set."""
    protocol = server.protocol
    lines = Lines(_own_stdin(), asyncio.get_running_loop())
    # The SDK only iterates over it, which is all that it is able to.
    async with stdio_server(stdin=cast(Any, lines)) as (incoming, outgoing):
        serving = asyncio.ensure_future(
            protocol.run(incoming, outgoing, protocol.create_initialization_options())
        )
        stop = asyncio.ensure_future(stopping.wait())
        try:
            await asyncio.wait({serving, stop}, return_when=asyncio.FIRST_COMPLETED)
            if serving.done():
                serving.result()
        finally:
            lines.end()
            for task in (serving, stop):
                task.cancel()
            await asyncio.gather(serving, stop, return_exceptions=True)


class Lines:
    """The lines of a binary stream, read in a thread, so many ahead; `end` ends it at once."""

    def __init__(self, stream: BinaryIO, loop: asyncio.AbstractEventLoop) -> None:
        self._stream = stream
        self._loop = loop
        self._queue: asyncio.Queue[str | None] = asyncio.Queue()
        self._room = threading.BoundedSemaphore(_WAITING_LINES)
        threading.Thread(target=self._read, name="lakecore-mcp-stdin", daemon=True).start()

    def __aiter__(self) -> AsyncIterator[str]:
        return self

    async def __anext__(self) -> str:
        line = await self._queue.get()
        if line is None:
            raise StopAsyncIteration
        self._room.release()
        return line

    def end(self) -> None:
        """No further line comes."""
        self._queue.put_nowait(None)

    def _read(self) -> None:
        while True:
            line = self._stream.readline(BODY_BYTES)
            if not line:
                break
            text = line.decode("utf-8", "replace")
            if not line.endswith(b"\n") and len(line) >= BODY_BYTES:
                text = _TOO_LONG
                while line and not line.endswith(b"\n"):
                    line = self._stream.readline(BODY_BYTES)
            self._room.acquire()
            if not self._give(text):
                return
        self._give(None)

    def _give(self, line: str | None) -> bool:
        try:
            self._loop.call_soon_threadsafe(self._queue.put_nowait, line)
        except RuntimeError:
            return False  # the loop is closed
        return True


def _own_stdin() -> BinaryIO:
    """Standard input for us alone: processes that are started meanwhile find nothing in theirs."""
    try:
        descriptor = os.dup(sys.stdin.fileno())
        nothing = os.open(os.devnull, os.O_RDONLY)
        os.dup2(nothing, sys.stdin.fileno())
        os.close(nothing)
    except (OSError, ValueError):
        return cast(BinaryIO, sys.stdin.buffer)
    return os.fdopen(descriptor, "rb", closefd=False)
