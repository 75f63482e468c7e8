"""The HTTP client that one rung is asked through: heavy, so imported when a model is asked."""

from __future__ import annotations

from collections.abc import AsyncIterator
from itertools import cycle
from typing import TYPE_CHECKING, Any, Final
from urllib.request import getproxies

import httpx

from lakecore._version import __version__
from lakecore.base.limits import MIB

if TYPE_CHECKING:
    from lakecore.llm._rung import Rung

MAX_ANSWER_BYTES: Final = 32 * MIB
CONNECT_TIMEOUT_S: Final = 10.0
_PATH: Final = b"/chat/completions"
_POOLED: Final = 8
"""Connections of one pool: for each request a pool looks at every one that is idle."""

_LOOPBACK: Final = frozenset({"127.0.0.1", "localhost", "::1"})


class AnswerTooLongError(Exception):
    """A server that does not stop, or packs its answers although it was asked not to."""


class Client:
    """Connections to one rung, for one event loop."""

    def __init__(self, rung: Rung) -> None:
        base = httpx.URL(rung.base_url)
        most = rung.max_concurrent + 1
        limits = httpx.Limits(max_connections=most, max_keepalive_connections=most)
        # Without encryption no certificates are needed; to read them takes its time.
        verify = not rung.base_url.startswith("http://")
        is_direct = base.host in _LOOPBACK or not getproxies()
        self._url = base.copy_with(raw_path=base.raw_path.rstrip(b"/") + _PATH)
        self._http = httpx.AsyncClient(
            transport=_Shards(most, limits, verify=verify) if is_direct else None,
            limits=limits,
            timeout=httpx.Timeout(rung.timeout_s, connect=min(CONNECT_TIMEOUT_S, rung.timeout_s)),
            # A proxy of the surroundings is not asked for this machine; a redirect could take
            # the key and the prompt to somebody else.
            trust_env=base.host not in _LOOPBACK,
            follow_redirects=False,
            verify=verify,
            headers={
                "Authorization": f"Bearer {rung.api_key or 'none'}",
                "Content-Type": "application/json",
                "Accept": "application/json",
                "Accept-Encoding": "identity",
                "User-Agent": f"lakecore/{__version__}",
            },
        )

    async def post(self, content: bytes, attempt_id: str) -> httpx.Response:
        """The head of the answer; its body is bounded, and the caller's to close.

        Raises:
            AnswerTooLongError: the answer is packed; what it becomes is not known.
            httpx.HTTPError: the request failed.
        """
        request = self._http.build_request(
            "POST", self._url, content=content, headers={"X-Client-Request-Id": attempt_id}
        )
        response = await self._http.send(request, stream=True)
        if response.headers.get("content-encoding", "identity") not in ("identity", ""):
            await response.aclose()
            raise AnswerTooLongError("the answer is packed, although it was asked for as it is")
        response.stream = _Bounded(response.stream)
        return response

    async def close(self) -> None:
        """Close the connections."""
        await self._http.aclose()


class _Bounded(httpx.AsyncByteStream):
    """A body that ends with an error where it has more than `MAX_ANSWER_BYTES`."""

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


class _Shards(httpx.AsyncBaseTransport):
    """Small pools that take turns."""

    def __init__(self, most: int, limits: httpx.Limits, *, verify: bool) -> None:
        count = -(-most // _POOLED)
        self._pools = [httpx.AsyncHTTPTransport(verify=verify, limits=limits) for _ in range(count)]
        self._turns = cycle(self._pools)

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        return await next(self._turns).handle_async_request(request)

    async def aclose(self) -> None:
        for pool in self._pools:
            await pool.aclose()
