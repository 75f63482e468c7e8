"""Whether the process is there, whether the lake answers, and what the routes are."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable
from typing import Any, Final

from fastapi import APIRouter, Request, Response

from lakecore.base import LakecoreError
from lakecore.gateway._answers import json_answer
from lakecore.gateway._guard import KNOWN, OPEN, needs

router = APIRouter(tags=["health"])
PROBE_TIMEOUT_S: Final = 10.0
"""A probe that takes longer counts as one that failed; its thread is free when it ends."""

_log = logging.getLogger(__name__)


@router.get("/health")
@needs(OPEN)
async def health() -> dict[str, str]:
    """The process answers. Nothing else is asked; no key is needed."""
    return {"status": "ok"}


@router.get("/ready")
@needs(KNOWN)
async def ready(request: Request) -> Response:
    """Store, journal and query are tried: 200 when all answer, else 503 and which does not."""
    rooms = request.app.state.rooms
    probes: dict[str, Callable[[], object]] = rooms.probes
    found: dict[str, Any] = {}
    for name, probe in probes.items():
        try:
            await asyncio.wait_for(rooms.workers.call(probe), PROBE_TIMEOUT_S)
            found[name] = "ok"
        except TimeoutError:
            found[name] = "timeout"
        except LakecoreError as error:
            found[name] = error.type
        except Exception:
            _log.exception("the probe of %s failed", name)
            found[name] = "bug"
    is_ready = set(found.values()) == {"ok"}
    status = 200 if is_ready else 503
    headers = {} if is_ready else {"retry-after": "2"}
    return json_answer({"status": "ok" if is_ready else "unavailable", **found}, status, headers)


@router.get("/openapi.json", include_in_schema=False)
@needs(KNOWN)
async def openapi(request: Request) -> Response:
    """The routes, as OpenAPI."""
    return json_answer(request.app.openapi())
