"""The application: the rooms, the guard before them, the edge around them."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

from fastapi import Depends, FastAPI, Request, Response
from fastapi.exceptions import RequestValidationError
from starlette.exceptions import HTTPException

from lakecore._version import __version__
from lakecore.auth import Principal
from lakecore.base import LakecoreError
from lakecore.gateway import (
    _catalog,
    _changes,
    _health,
    _ingest,
    _journal,
    _keys,
    _langfuse,
    _observer,
    _query,
    _record,
    _tail,
    _truth,
    _workspaces,
)
from lakecore.gateway._body import invalid
from lakecore.gateway._edge import Edge, is_bug
from lakecore.gateway._guard import guard
from lakecore.gateway._mounted import Mount, router_of
from lakecore.gateway._ports import ActingAs, Authenticator
from lakecore.gateway._problems import MEDIA_TYPE, HttpProblem, problem_of
from lakecore.gateway._requests import Requests
from lakecore.gateway._settings import GatewaySettings
from lakecore.gateway._tail import Pulse
from lakecore.gateway._workers import Workers

_log = logging.getLogger(__name__)
_ROOMS: Final = (
    *(_health, _journal, _tail, _catalog, _query, _changes),
    *(_workspaces, _record, _truth, _keys, _ingest),
    *(_observer, _langfuse),
)
REQUESTS: Final = "http-requests.sqlite"
_SLUGS: Final = {404: "no-such-route", 405: "method-not-allowed"}


@dataclass(slots=True)
class Rooms:
    """What the handlers share.

    Attributes:
        authenticator: None: nobody is asked for a key, and everybody is `local`.
        probes: what has to answer for the gateway to be ready.
        stopping: set when answers without an end have to end.
    """

    acting_as: ActingAs
    settings: GatewaySettings
    authenticator: Authenticator | None
    local: Principal
    probes: Mapping[str, Callable[[], object]]
    workers: Workers
    requests: Requests
    pulse: Pulse = field(default_factory=Pulse)
    stopping: asyncio.Event = field(default_factory=asyncio.Event)


def create_app(
    acting_as: ActingAs,
    settings: GatewaySettings,
    authenticator: Authenticator | None,
    *,
    local: Principal | None = None,
    probes: Mapping[str, Callable[[], object]] | None = None,
    state_dir: Path | None = None,
    mounts: Sequence[Mount] = (),
    only_mounts: bool = False,
) -> FastAPI:
    """The gateway as an ASGI application.

    Args:
        acting_as: gives the lake in a principal's name.
        authenticator: None: no key is asked for; whoever comes is `local`. That is for
            loopback alone, which whoever serves has to see to.
        state_dir: where this machine keeps answers to an Idempotency-Key; None: in memory.
        mounts: doors of other protocols.
        only_mounts: nothing else, but /health and /ready.
    """
    rooms = Rooms(
        acting_as=acting_as,
        settings=settings,
        authenticator=authenticator,
        local=local or Principal.local("unknown"),
        probes=probes or {},
        workers=Workers(settings.threads, settings.max_waiting),
        requests=Requests(None if state_dir is None else state_dir / REQUESTS),
    )

    doors = [mount(rooms.workers) for mount in mounts]

    @asynccontextmanager
    async def lifespan(app: FastAPI) -> AsyncIterator[None]:
        yield
        for door in doors:
            await door.close()
        rooms.workers.close()
        rooms.requests.close()

    app = FastAPI(
        title="Lakecore",
        version=__version__,
        dependencies=[Depends(guard)],
        # Both would be routes that no dependency guards.
        openapi_url=None,
        docs_url=None,
        redoc_url=None,
        redirect_slashes=False,
        lifespan=lifespan,
    )
    app.state.rooms = rooms
    for room in (_health,) if only_mounts else _ROOMS:
        app.include_router(room.router)
    for door in doors:
        app.include_router(router_of(door))
    app.add_exception_handler(LakecoreError, _on_error)
    app.add_exception_handler(HTTPException, _on_http)
    app.add_exception_handler(RequestValidationError, _on_invalid)
    app.add_middleware(Edge, settings=settings)
    return app


async def _on_error(request: Request, error: Any) -> Response:
    request_id = request.state.request_id
    if is_bug(error):
        _log.error("request %s failed", request_id, exc_info=error)
    status, headers, body = problem_of(error, request_id)
    return Response(body, status, headers, media_type=MEDIA_TYPE)


async def _on_http(request: Request, error: Any) -> Response:
    """What the router itself refuses: no such route, no such method."""
    slug = _SLUGS.get(error.status_code, "bad-request")
    message = "there is no such route" if error.status_code == 404 else str(error.detail).lower()
    ours = HttpProblem(error.status_code, slug, message)
    answer = await _on_error(request, ours)
    answer.headers.update(error.headers or {})
    return answer


async def _on_invalid(request: Request, error: Any) -> Response:
    return await _on_error(request, invalid("the request is not as it should be", error.errors()))
