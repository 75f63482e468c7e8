"""Requests over the network, by httpx: no retries of its own, everything bounded.

OpenAI's own client would do, and did: what it adds to httpx, models of answers, retries, headers
of its surroundings, is not wanted here, and was an eighth of the door's processor time.

A client belongs to one event loop and one rung. What went wrong is a `Reply` with a typed
outcome; only cancelling raises.
"""

from __future__ import annotations

import asyncio
import json
import weakref
from collections.abc import AsyncIterator, Callable
from contextlib import suppress
from typing import TYPE_CHECKING, Any, Final

from lakecore.base import Stop
from lakecore.llm._outcome import Outcome
from lakecore.llm._reply import Reply, StreamReader, clean, read_completion, read_error
from lakecore.llm._request import Prepared

if TYPE_CHECKING:
    import httpx

    from lakecore.llm._http import Client
    from lakecore.llm._rung import Rung

MAX_STREAM_S: Final = 3_600.0


class _StatusError(Exception):
    """A server that answered, with an error."""

    def __init__(self, reply: Reply) -> None:
        super().__init__(reply.detail)
        self.reply = reply


class Wire:
    """The connections to all rungs."""

    def __init__(self) -> None:
        self._clients: weakref.WeakKeyDictionary[asyncio.AbstractEventLoop, dict[Rung, Client]] = (
            weakref.WeakKeyDictionary()
        )
        self._making: weakref.WeakKeyDictionary[asyncio.AbstractEventLoop, asyncio.Lock] = (
            weakref.WeakKeyDictionary()
        )

    async def send(self, prepared: Prepared, attempt_id: str) -> Reply:
        """One request, and its whole answer."""
        try:
            async with asyncio.timeout(prepared.rung.timeout_s):
                response = await self._post(prepared, attempt_id)
                try:
                    content = await response.aread()
                finally:
                    await response.aclose()
            return await _off_loop(read_completion, response.status_code, content)
        except Exception as error:
            return _broken(error, prepared.rung)

    async def stream(
        self, prepared: Prepared, attempt_id: str, reader: StreamReader
    ) -> AsyncIterator[dict[str, Any]]:
        """The chunks as they come; how it ended is in `reader`, errors too."""
        response: httpx.Response | None = None
        now_s = asyncio.get_running_loop().time
        deadline_s = now_s() + MAX_STREAM_S
        try:
            response = await self._post(prepared, attempt_id)
            async for data in response.aiter_bytes():
                for chunk in reader.feed(data):
                    yield chunk
                if reader.is_done or reader.error is not None:
                    return
                if now_s() > deadline_s:
                    raise TimeoutError
        except Exception as error:
            reader.error = _broken(error, prepared.rung)
        finally:
            if response is not None:
                await response.aclose()

    async def close(self) -> None:
        """Close the connections of the running loop."""
        clients = self._clients.pop(asyncio.get_running_loop(), {})
        for client in clients.values():
            with suppress(Exception):
                await client.close()

    async def _post(self, prepared: Prepared, attempt_id: str) -> httpx.Response:
        """The answer's head; its body is the caller's to read and close.

        Raises:
            _StatusError: the server says that it went wrong.
        """
        client = await self._client(prepared.rung)
        response = await client.post(prepared.content, attempt_id)
        if response.is_success:
            return response
        try:
            content = await response.aread()
        finally:
            await response.aclose()
        raise _StatusError(read_error(response.status_code, response.headers, _error_body(content)))

    async def _client(self, rung: Rung) -> Client:
        loop = asyncio.get_running_loop()
        clients = self._clients.setdefault(loop, {})
        if rung not in clients:
            async with self._making.setdefault(loop, asyncio.Lock()):
                if rung not in clients:
                    # Certificates are read from disk: not on the loop.
                    clients[rung] = await asyncio.to_thread(_made, rung)
        return clients[rung]


def load() -> None:
    """Import what is needed to ask a model.

    Raises:
        Stop: it is not installed.
    """
    try:
        import jsonschema  # noqa: F401 - only to have it

        import lakecore.llm._http  # noqa: F401 - only to have it
    except ImportError as error:
        raise Stop(
            "asking models needs packages that are not installed",
            found=f"no {error.name}",
            hint="pip install 'lakecore[llm]'",
        ) from error


def _made(rung: Rung) -> Client:
    from lakecore.llm._http import Client

    return Client(rung)


def _error_body(content: bytes) -> object:
    """What a server says of an error: JSON, or text."""
    try:
        return json.loads(content)
    except (ValueError, RecursionError):
        return content.decode("utf-8", "replace").strip()


def _broken(error: Exception, rung: Rung) -> Reply:
    """What a failed request means."""
    import httpx

    from lakecore.llm._http import AnswerTooLongError

    if isinstance(error, _StatusError):
        return error.reply
    if isinstance(error, (httpx.ConnectError, httpx.ConnectTimeout)):
        detail = clean(f"nobody answers at {rung.base_url}: {error}")
        return Reply(outcome=Outcome.ASLEEP, detail=detail, is_blank=True)
    if isinstance(error, httpx.PoolTimeout):
        return Reply(outcome=Outcome.RATE, detail="no connection is free", is_blank=True)
    if isinstance(error, (httpx.TimeoutException, TimeoutError)):
        return Reply(outcome=Outcome.TRANSPORT, detail=f"no answer within {rung.timeout_s:g} s")
    if isinstance(error, (httpx.HTTPError, httpx.StreamError, AnswerTooLongError, OSError)):
        told = str(error) or type(error).__name__
        return Reply(outcome=Outcome.TRANSPORT, detail=clean(f"the connection broke: {told}"))
    raise error


async def _off_loop(function: Callable[..., Reply], status: int, content: bytes) -> Reply:
    """In a thread where it takes a while."""
    if len(content) < _LONG_BYTES:
        return function(status, content)
    return await asyncio.to_thread(function, status, content)


_LONG_BYTES: Final = 64 * 1_024
