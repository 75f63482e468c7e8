"""Whether the process is there, whether the lake answers, and what the routes are."""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Callable
from typing import TYPE_CHECKING, Final

from fastapi import APIRouter, Request, Response

from lakecore.base import LakecoreError
from lakecore.gateway._answers import json_answer
from lakecore.gateway._guard import KNOWN, OPEN, needs

if TYPE_CHECKING:
    from lakecore.gateway._app import Rooms

router = APIRouter(tags=["health"])
PROBE_TIMEOUT_S: Final = 10.0
"""A probe that takes longer counts as one that failed; its thread is free when it ends."""

_log = logging.getLogger(__name__)


@router.get("/health")
@needs(OPEN)
async def health(request: Request) -> dict[str, str]:
    """The process answers. Nothing else is asked; no key is needed.

    While a replica answers instead of the lake's own store: `"primary": "away"`.
    """
    served = request.app.state.rooms.served(time.monotonic())
    return {"status": "ok"} if served is None else {"status": "ok", "primary": "away"}


@router.get("/ready")
@needs(KNOWN)
async def ready(request: Request) -> Response:
    """Store, journal and query are tried: 200 when all answer, else 503 and which does not.

    A replica that answers instead of the lake's own store counts, and is named.
    """
    since_s = time.monotonic()
    rooms = request.app.state.rooms
    probes: dict[str, Callable[[], object]] = rooms.probes
    found: dict[str, str] = {}
    for name, probe in probes.items():
        found[name] = await _tried(rooms, name, probe)
    is_ready = set(found.values()) == {"ok"}
    status = 200 if is_ready else 503
    headers = {} if is_ready else {"retry-after": "2"}
    body: dict[str, object] = {"status": "ok" if is_ready else "unavailable", **found}
    served = rooms.served(since_s)
    if served is not None:
        body |= {"primary": "away", "replica": served}
    return json_answer(body, status, headers)


async def _tried(rooms: Rooms, name: str, probe: Callable[[], object]) -> str:
    """``ok``, or in a word why not. One call at a time, whoever asks: a store that hangs must
    not take up all threads."""
    running = rooms.probing.get(name)
    if running is None or running.done():
        running = asyncio.ensure_future(rooms.workers.call(probe))
        running.add_done_callback(_looked_at)
        rooms.probing[name] = running
    try:
        await asyncio.wait_for(asyncio.shield(running), PROBE_TIMEOUT_S)
    except TimeoutError:
        return "timeout"
    except LakecoreError as error:
        return error.type
    except Exception:
        _log.exception("the probe of %s failed", name)
        return "bug"
    return "ok"


def _looked_at(future: asyncio.Future[object]) -> None:
    """What it raised is told by who waits for it; there may be nobody any more."""
    if not future.cancelled():
        future.exception()


@router.get("/openapi.json", include_in_schema=False)
@needs(KNOWN)
async def openapi(request: Request) -> Response:
    """The routes, as OpenAPI."""
    return json_answer(request.app.openapi())
