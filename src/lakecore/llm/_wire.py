"""Requests over the network, by OpenAI's client: its own retries off, everything bounded.

A client belongs to one event loop and one rung. What went wrong is a `Reply` with a typed
outcome; only cancelling raises.
"""

from __future__ import annotations

import asyncio
import weakref
from collections.abc import AsyncIterator, Callable
from contextlib import suppress
from itertools import cycle
from typing import TYPE_CHECKING, Any, Final
from urllib.request import getproxies

from lakecore.base import Stop
from lakecore.base.limits import MIB
from lakecore.llm._outcome import Outcome
from lakecore.llm._reply import Reply, StreamReader, clean, read_completion, read_error
from lakecore.llm._request import Prepared

if TYPE_CHECKING:
    import httpx2
    import openai

    from lakecore.llm._rung import Rung

MAX_ANSWER_BYTES: Final = 32 * MIB
MAX_STREAM_S: Final = 3_600.0
CONNECT_TIMEOUT_S: Final = 10.0
_PATH: Final = "/chat/completions"
_POOLED: Final = 8
"""Connections of one pool: for each request a pool looks at every one that is idle."""

_HEADERS: Final = frozenset(
    {
        *("host", "connection", "authorization", "accept", "accept-encoding", "user-agent"),
        *("content-type", "content-length", "transfer-encoding", "x-client-request-id"),
    }
)
"""What a server is sent. What OpenAI's client adds by the surroundings, organisation, project,
headers, is meant for OpenAI's own servers."""

_LOOPBACK: Final = frozenset({"127.0.0.1", "localhost", "::1"})


class AnswerTooLongError(Exception):
    """A server that does not stop, or packs its answers although it was asked not to."""


class Wire:
    """The connections to all rungs."""

    def __init__(self) -> None:
        self._clients: weakref.WeakKeyDictionary[
            asyncio.AbstractEventLoop, dict[Rung, openai.AsyncOpenAI]
        ] = weakref.WeakKeyDictionary()
        self._making: weakref.WeakKeyDictionary[asyncio.AbstractEventLoop, asyncio.Lock] = (
            weakref.WeakKeyDictionary()
        )

    async def send(self, prepared: Prepared, attempt_id: str) -> Reply:
        """One request, and its whole answer."""
        import openai

        try:
            async with asyncio.timeout(prepared.rung.timeout_s):
                response = await self._post(prepared, attempt_id)
                try:
                    content = await response.aread()
                finally:
                    await response.aclose()
            return await _off_loop(read_completion, response.status_code, content)
        except openai.APIStatusError as error:
            return read_error(error.status_code, error.response.headers, error.body)
        except Exception as error:
            return _broken(error, prepared.rung)

    async def stream(
        self, prepared: Prepared, attempt_id: str, reader: StreamReader
    ) -> AsyncIterator[dict[str, Any]]:
        """The chunks as they come; how it ended is in `reader`, errors too."""
        import openai

        response: httpx2.Response | None = None
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
        except openai.APIStatusError as error:
            reader.error = read_error(error.status_code, error.response.headers, error.body)
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

    async def _post(self, prepared: Prepared, attempt_id: str) -> httpx2.Response:
        import httpx2

        client = await self._client(prepared.rung)
        return await client.post(
            _PATH,
            cast_to=httpx2.Response,
            content=prepared.content,
            options={"headers": {"X-Client-Request-Id": attempt_id}},
            stream=True,
            stream_cls=None,
        )

    async def _client(self, rung: Rung) -> openai.AsyncOpenAI:
        loop = asyncio.get_running_loop()
        clients = self._clients.setdefault(loop, {})
        if rung not in clients:
            async with self._making.setdefault(loop, asyncio.Lock()):
                if rung not in clients:
                    # Certificates are read from disk: not on the loop.
                    clients[rung] = await asyncio.to_thread(_make, rung)
        return clients[rung]


def load() -> None:
    """Import what is needed to ask a model.

    Raises:
        Stop: it is not installed.
    """
    try:
        import httpx2  # noqa: F401 - only to have it
        import jsonschema  # noqa: F401 - only to have it
        import openai  # noqa: F401 - only to have it
    except ImportError as error:
        raise Stop(
            "asking models needs packages that are not installed",
            found=f"no {error.name}",
            hint="pip install 'lakecore[llm]'",
        ) from error


def _make(rung: Rung) -> openai.AsyncOpenAI:
    import httpx2
    import openai

    async def strip(request: httpx2.Request) -> None:
        for name in set(request.headers) - _HEADERS:
            del request.headers[name]

    async def bound(response: httpx2.Response) -> None:
        if response.headers.get("content-encoding", "identity") not in ("identity", ""):
            raise AnswerTooLongError("the answer is packed, although it was asked for as it is")
        response.stream = _Bounded(response.stream)

    class _Bounded(httpx2.AsyncByteStream):
        def __init__(self, inner: Any) -> None:
            self._inner = inner

        async def __aiter__(self) -> AsyncIterator[bytes]:
            size = 0
            async for data in self._inner:
                size += len(data)
                if size > MAX_ANSWER_BYTES:
                    raise AnswerTooLongError(f"the answer has more than {MAX_ANSWER_BYTES:,} bytes")
                yield data

        async def aclose(self) -> None:
            await self._inner.aclose()

    class _Shards(httpx2.AsyncBaseTransport):
        def __init__(self) -> None:
            count = -(-most // _POOLED)
            self._pools = [
                httpx2.AsyncHTTPTransport(verify=verify, limits=limits) for _ in range(count)
            ]
            self._turns = cycle(self._pools)

        async def handle_async_request(self, request: httpx2.Request) -> httpx2.Response:
            return await next(self._turns).handle_async_request(request)

        async def aclose(self) -> None:
            for pool in self._pools:
                await pool.aclose()

    host = httpx2.URL(rung.base_url).host
    most = rung.max_concurrent + 1
    limits = httpx2.Limits(max_connections=most, max_keepalive_connections=most)
    # Without encryption no certificates are needed; to read them takes its time.
    verify = not rung.base_url.startswith("http://")
    is_direct = host in _LOOPBACK or not getproxies()
    http = httpx2.AsyncClient(
        transport=_Shards() if is_direct else None,
        limits=limits,
        timeout=httpx2.Timeout(rung.timeout_s, connect=min(CONNECT_TIMEOUT_S, rung.timeout_s)),
        # A proxy of the surroundings is not asked for this machine; a redirect could take the
        # key and the prompt to somebody else.
        trust_env=host not in _LOOPBACK,
        follow_redirects=False,
        event_hooks={"request": [strip], "response": [bound]},
        verify=verify,
    )
    return openai.AsyncOpenAI(
        base_url=rung.base_url,
        api_key=rung.api_key or "none",
        max_retries=0,
        http_client=http,
        default_headers={"Content-Type": "application/json", "Accept-Encoding": "identity"},
    )


def _broken(error: Exception, rung: Rung) -> Reply:
    """What a failed request means."""
    import httpx2
    import openai

    if isinstance(error, TimeoutError):
        return Reply(outcome=Outcome.TRANSPORT, detail=f"no answer within {rung.timeout_s:g} s")
    cause = error.__cause__ if isinstance(error, openai.APIConnectionError) else error
    if isinstance(cause, (httpx2.ConnectError, httpx2.ConnectTimeout)):
        detail = clean(f"nobody answers at {rung.base_url}: {cause}")
        return Reply(outcome=Outcome.ASLEEP, detail=detail, is_blank=True)
    if isinstance(cause, httpx2.PoolTimeout):
        return Reply(outcome=Outcome.RATE, detail="no connection is free", is_blank=True)
    if isinstance(cause, (httpx2.TimeoutException, TimeoutError)):
        return Reply(outcome=Outcome.TRANSPORT, detail=f"no answer within {rung.timeout_s:g} s")
    if isinstance(cause, (httpx2.HTTPError, httpx2.StreamError, AnswerTooLongError, OSError)):
        told = str(cause) or type(cause).__name__
        return Reply(outcome=Outcome.TRANSPORT, detail=clean(f"the connection broke: {told}"))
    raise error


async def _off_loop(function: Callable[..., Reply], status: int, content: bytes) -> Reply:
    """In a thread where it takes a while."""
    if len(content) < _LONG_BYTES:
        return function(status, content)
    return await asyncio.to_thread(function, status, content)


_LONG_BYTES: Final = 64 * 1_024
