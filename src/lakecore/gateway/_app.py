"""The application: the rooms, the guard before them, the edge around them."""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

from fastapi import Depends, FastAPI, Request, Response
from fastapi.exceptions import RequestValidationError
from starlette.exceptions import HTTPException
from starlette.requests import ClientDisconnect

from lakecore._version import __version__
from lakecore.auth import Principal
from lakecore.base import LakecoreError
from lakecore.gateway import (
    _agents,
    _catalog,
    _changes,
    _data,
    _health,
    _ingest,
    _journal,
    _keys,
    _langfuse,
    _metrics,
    _models,
    _observer,
    _past,
    _query,
    _record,
    _review,
    _search,
    _tail,
    _truth,
    _webhooks,
    _workspaces,
)
from lakecore.gateway._access import AccessQueue
from lakecore.gateway._body import invalid
from lakecore.gateway._direct import Direct, direct_routes
from lakecore.gateway._edge import Edge, is_bug
from lakecore.gateway._encoding import Compressing
from lakecore.gateway._forms import error_answer
from lakecore.gateway._guard import address_of, guard
from lakecore.gateway._mounted import Mount, router_of
from lakecore.gateway._openapi import describe, methods_of, routes_of
from lakecore.gateway._ports import ActingAs, Authenticator
from lakecore.gateway._problems import HttpProblem
from lakecore.gateway._rates import Rates
from lakecore.gateway._replica import ReplicaHeader
from lakecore.gateway._requests import Requests
from lakecore.gateway._running import Queries
from lakecore.gateway._settings import GatewaySettings
from lakecore.gateway._tail import Pulse
from lakecore.gateway._watch import Watch
from lakecore.gateway._watcher import Watcher, Watchers
from lakecore.gateway._workers import Workers
from lakecore.telemetry import LogRing

_log = logging.getLogger(__name__)
_ROOMS: Final = (
    *(_health, _journal, _tail, _catalog, _query, _changes, _past),
    *(_workspaces, _record, _truth, _keys, _ingest, _metrics, _webhooks, _models, _agents),
    *(_observer, _langfuse, _review, _search, _data),
)
REQUESTS: Final = "http-requests.sqlite"
_GONE: Final = 499
"""As proxies write of clients that went away."""
_SLUGS: Final = {404: "no-such-route", 405: "method-not-allowed"}


@dataclass(slots=True)
class Rooms:
    """What the handlers share.

    Attributes:
        authenticator: None: nobody is asked for a key, and everybody is `local`.
        probes: what has to answer for the gateway to be ready.
        served: whether a replica answered anything since then.
        stopping: set when answers without an end have to end.
        probing: calls of `probes` that are under way.
        log: the last lines of this process; None: it keeps none.
        at_end: what a room has to let go of on the event loop, by its name.
    """

    acting_as: ActingAs
    settings: GatewaySettings
    authenticator: Authenticator | None
    local: Principal
    probes: Mapping[str, Callable[[], object]]
    served: Callable[[float], Mapping[str, Any] | None]
    workers: Workers
    requests: Requests
    rates: Rates
    watch: Watch
    queries: Queries
    metrics: _metrics.Metrics
    pulse: Pulse = field(default_factory=Pulse)
    stopping: asyncio.Event = field(default_factory=asyncio.Event)
    probing: dict[str, asyncio.Future[object]] = field(default_factory=dict)
    at_end: dict[str, Callable[[], Awaitable[None]]] = field(default_factory=dict)
    log: LogRing | None = None
    log_readers: int = 0


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
    watchers: Watchers | None = None,
) -> FastAPI:
    """The gateway as an ASGI application.

    Args:
        acting_as: gives the lake in a principal's name.
        authenticator: None: no key is asked for; whoever comes is `local`. That is for
            loopback alone, which whoever serves has to see to.
        state_dir: where this machine keeps answers to an Idempotency-Key; None: in memory.
        mounts: doors of other protocols.
        only_mounts: nothing else, but /health and /ready.
        watchers: who is told of what is done here.
    """
    watchers = watchers or Watchers()
    queue, counted = AccessQueue(watchers.access), _metrics.RequestFigures()
    workers = Workers(settings.threads, settings.max_waiting)
    rooms = Rooms(
        acting_as=acting_as,
        settings=settings,
        authenticator=authenticator,
        local=local or Principal.local("unknown"),
        probes=probes or {},
        served=watchers.served,
        workers=workers,
        requests=Requests(None if state_dir is None else state_dir / REQUESTS),
        rates=Rates(per_s=settings.rate_per_s, burst=settings.rate_burst),
        watch=Watch(authenticator, workers),
        queries=Queries(settings.max_queries),
        metrics=_metrics.Metrics(counted, workers, queue, watchers.figures),
        log=watchers.log,
    )

    doors = [mount(rooms.workers) for mount in mounts]

    @asynccontextmanager
    async def lifespan(app: FastAPI) -> AsyncIterator[None]:
        yield
        for door in doors:
            await door.close()
        for let_go in rooms.at_end.values():
            await let_go()
        rooms.workers.close()
        rooms.requests.close()
        queue.close()

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
    plain = app.openapi
    app.openapi = lambda: app.openapi_schema or describe(app, plain())  # type: ignore[method-assign]  # FastAPI's own way
    app.state.rooms = rooms
    for room in (_health,) if only_mounts else _ROOMS:
        app.include_router(room.router)
    for door in doors:
        app.include_router(router_of(door))
    app.add_exception_handler(LakecoreError, _on_error)
    app.add_exception_handler(HTTPException, _on_http)
    app.add_exception_handler(RequestValidationError, _on_invalid)
    app.add_exception_handler(ClientDisconnect, _on_gone)
    app.add_middleware(
        Direct, routes=direct_routes(routes_of(app)), handlers=app.exception_handlers
    )
    if settings.compress:
        app.add_middleware(Compressing, workers=rooms.workers)
    app.add_middleware(Edge, settings=settings, workers=rooms.workers)
    app.add_middleware(ReplicaHeader, served=watchers.served)
    app.add_middleware(Watcher, traces=watchers.traces, queue=queue, figures=counted)
    return app


async def _on_error(request: Request, error: Any) -> Response:
    request_id = request.state.request_id
    if is_bug(error):
        _log.error("request %s failed", request_id, exc_info=error)
    status, headers, body, media_type = error_answer(request.url.path, error, request_id)
    return Response(body, status, headers, media_type=media_type)


async def _on_http(request: Request, error: Any) -> Response:
    """What the router itself refuses: no such route, no such method. Nobody was asked who it is."""
    rooms: Rooms = request.app.state.rooms
    try:
        rooms.rates.take(address_of(request), time.monotonic())
    except LakecoreError as too_many:
        return await _on_error(request, too_many)
    slug = _SLUGS.get(error.status_code, "bad-request")
    message = "there is no such route" if error.status_code == 404 else str(error.detail).lower()
    ours = HttpProblem(error.status_code, slug, message)
    answer = await _on_error(request, ours)
    answer.headers.update(error.headers or {})
    if error.status_code == 405:
        # The router names the methods of the first route of that path alone.
        answer.headers["allow"] = ", ".join(methods_of(request.app, request.scope))
    return answer


async def _on_gone(request: Request, error: Any) -> Response:
    """Nobody reads this; the log has it."""
    return Response(status_code=_GONE)


async def _on_invalid(request: Request, error: Any) -> Response:
    return await _on_error(request, invalid("the request is not as it should be", error.errors()))
