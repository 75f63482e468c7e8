"""Answers of a replica say so: the header ``lakecore-replica``, on whatever the answer is.

    lakecore-replica: dr; as-of="2026-01-31T12:00:00.000000Z"; age=42

An answer that was under way while a replica answered another one has the header, too: rather
once too often than once too little.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    from starlette.types import ASGIApp, Message, Receive, Scope, Send

HEADER: Final = b"lakecore-replica"


class ReplicaHeader:
    """ASGI middleware that adds it."""

    def __init__(self, app: ASGIApp, served: Callable[[float], Mapping[str, Any] | None]) -> None:
        self._app = app
        self._served = served

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        since_s = time.monotonic()

        async def told(message: Message) -> None:
            if message["type"] == "http.response.start":
                found = self._served(since_s)
                if found is not None:
                    message = {**message, "headers": [*message["headers"], (HEADER, said(found))]}
            await send(message)

        await self._app(scope, receive, told)


def said(found: Mapping[str, Any]) -> bytes:
    """The header's value.

    >>> said({"replica": "dr", "as_of": "2026-01-31T12:00:00.000000Z", "age_s": 41.7})
    b'dr; as-of="2026-01-31T12:00:00.000000Z"; age=42'
    """
    text = f'{found["replica"]}; as-of="{found["as_of"]}"; age={found["age_s"]:.0f}'
    return text.encode("ascii", "replace")
