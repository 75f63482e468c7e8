"""Whether the process is there, whether the lake answers, and what the routes are."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from fastapi import APIRouter, Request, Response

from lakecore.base import LakecoreError
from lakecore.gateway._answers import json_answer
from lakecore.gateway._guard import KNOWN, OPEN, needs

router = APIRouter(tags=["health"])


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
            await rooms.workers.call(probe)
            found[name] = "ok"
        except LakecoreError as error:
            found[name] = error.type
    is_ready = set(found.values()) == {"ok"}
    status = 200 if is_ready else 503
    headers = {} if is_ready else {"retry-after": "2"}
    return json_answer({"status": "ok" if is_ready else "unavailable", **found}, status, headers)


@router.get("/openapi.json", include_in_schema=False)
@needs(KNOWN)
async def openapi(request: Request) -> Response:
    """The routes, as OpenAPI."""
    return json_answer(request.app.openapi())
