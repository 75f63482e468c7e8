"""/data: what the views of the control plane ask of reviews, and what programs say, live.

Everything is read from rows, in the caller's name; lists come in pages, a log in batches.
"""

from __future__ import annotations

import asyncio
import time
from collections import OrderedDict
from collections.abc import AsyncIterator, Callable
from typing import TYPE_CHECKING, Annotated, Any, Final

from fastapi import APIRouter, Query, Request, Response

from lakecore.base import LakecoreError, NotFound, TooManyRequests
from lakecore.gateway._answers import (
    DEFAULT_LIMIT,
    MAX_LIMIT,
    Streamed,
    json_answer,
    page,
    to_json,
)
from lakecore.gateway._guard import KNOWN, Access, Caller, caller_of, needs
from lakecore.gateway._health import _tried
from lakecore.gateway._observer import EVENTS
from lakecore.gateway._problems import problem_of
from lakecore.gateway._review import FINDINGS, REVIEWS

if TYPE_CHECKING:
    from lakecore.gateway._app import Rooms

router = APIRouter(prefix="/data", tags=["control plane"])

USAGE: Final = "system.usage"
LOOK_S: Final = 0.2
"""Between two looks at the log of this process."""

EVENTS_LOOK_S: Final = 2.0
"""Between two looks at the events of programs: each is a query."""

BACK_S: Final = 60
"""Events may come later than they happened: so far back is looked each time."""

MAX_LINES: Final = 1_000
"""In one batch; of more, it says how many are missing."""

MAX_READERS: Final = 16
LEVELS: Final = ("debug", "info", "warning", "error")
_BEAT_S: Final = 15.0
_MAX_SEEN: Final = 20_000
_READ: Final = Access("read", "asked")

Limit = Annotated[int, Query(ge=1, le=MAX_LIMIT)]
Cursor = Annotated[str | None, Query(max_length=1_024)]
Text = Annotated[str | None, Query(max_length=1_024)]
Needed = Annotated[str, Query(min_length=1, max_length=4_096)]


@router.get("/services")
@needs(KNOWN)
async def services(request: Request) -> Response:
    """What this gateway leans on and how it is, and whose lines `/data/logs` has."""
    rooms: Rooms = request.app.state.rooms
    caller = caller_of(request)
    found = [
        {"name": name, "status": await _tried(rooms, name, probe)}
        for name, probe in rooms.probes.items()
    ]
    logs = []
    if caller.may("admin"):
        logs.append({"name": "process", "status": "ok" if rooms.log else "not kept"})
    if caller.may("read", EVENTS):
        logs.append({"name": "events", "status": "ok"})
    return json_answer({"items": found, "logs": logs, "next": None})


@router.get("/reviews")
@needs(_READ)
async def reviews(
    request: Request,
    repository: Text = None,
    bar: Text = None,
    limit: Limit = DEFAULT_LIMIT,
    cursor: Cursor = None,
) -> Response:
    """Repositories and bars of which there are reviews; of one, its runs, the newest first."""
    lake = _lake(caller_of(request))

    def ask() -> list[dict[str, Any]]:
        if repository is None:
            return [
                {**one, "last": one["last"].isoformat()} for one in lake.reviews.reading.scopes()
            ]
        found: list[dict[str, Any]] = lake.reviews.reading.runs(repository, bar)
        return found

    return json_answer(page(await _call(request, ask), limit, cursor))


@router.get("/map")
@needs(_READ)
async def map_(request: Request, repository: Text = None, bar: Text = None) -> Response:
    """Every file with its size, overlays, last scores, and how much it needs a person."""
    return await _one(request, repository, bar, lambda views, scope: views.map(scope))


@router.get("/file")
@needs(_READ)
async def file(
    request: Request, path: Needed, run: Text = None, repository: Text = None, bar: Text = None
) -> Response:
    """One file: iterations, findings and their signs; with `run`, what was asked and answered."""
    with_usage = caller_of(request).may("read", USAGE)

    def ask(views: Any, scope: Any) -> Any:
        if run is None:
            return views.file(scope, path)
        return views.asked(scope, path, run, with_usage=with_usage)

    return await _one(request, repository, bar, ask)


@router.get("/metrics")
@needs(_READ)
async def metrics(request: Request) -> Response:
    """Figures of reviewers and reviews: query, value, n, interval, age, and what is good."""
    reading = _lake(caller_of(request)).reviews.reading
    return json_answer({"items": await _call(request, reading.metrics), "next": None})


@router.get("/trust")
@needs(_READ)
async def trust(request: Request, limit: Limit = DEFAULT_LIMIT, cursor: Cursor = None) -> Response:
    """Every model by what became of its findings."""
    reading = _lake(caller_of(request)).reviews.reading
    return json_answer(page(await _call(request, reading.trust), limit, cursor))


@router.get("/overrides")
@needs(_READ)
async def overrides(
    request: Request,
    repository: Text = None,
    bar: Text = None,
    limit: Limit = DEFAULT_LIMIT,
    cursor: Cursor = None,
) -> Response:
    """Findings that do not count on somebody's word: whose, why, until when."""
    return await _list(
        request, repository, bar, limit, cursor, lambda views, scope: views.overrides(scope)
    )


@router.get("/findings")
@needs(_READ)
async def findings(
    request: Request,
    state: Text = None,
    severity: Text = None,
    path: Text = None,
    repository: Text = None,
    bar: Text = None,
    limit: Limit = DEFAULT_LIMIT,
    cursor: Cursor = None,
) -> Response:
    """Findings by their state (default ``open``; or ``all``), severity, path."""
    reading = _lake(caller_of(request)).reviews.reading

    def ask(views: Any, scope: Any) -> Any:
        return reading.findings(scope, state=state, severity=severity, path=path)

    return await _list(request, repository, bar, limit, cursor, ask)


@router.get("/refactor_signals")
@needs(_READ)
async def refactor_signals(
    request: Request,
    repository: Text = None,
    bar: Text = None,
    limit: Limit = DEFAULT_LIMIT,
    cursor: Cursor = None,
) -> Response:
    """Where files should be made anew rather than mended again, each with its reason."""
    return await _list(
        request, repository, bar, limit, cursor, lambda views, scope: views.refactor_signals(scope)
    )


@router.get("/scrum_log")
@needs(_READ)
async def scrum_log(
    request: Request,
    repository: Text = None,
    bar: Text = None,
    limit: Limit = DEFAULT_LIMIT,
    cursor: Cursor = None,
) -> Response:
    """Each iteration, the newest first: what was done, what moved, what is missing."""
    return await _list(
        request, repository, bar, limit, cursor, lambda views, scope: views.scrum_log(scope)
    )


@router.get("/search")
@needs(_READ)
async def search(
    request: Request,
    term: Annotated[str, Query(min_length=1, max_length=200)],
    repository: Text = None,
    kind: Text = None,
    limit: Annotated[int, Query(ge=1, le=200)] = 20,
) -> Response:
    """Files, findings and reviews that a symbol or term is in, and why each is where it is."""
    lake = _lake(caller_of(request))

    def ask() -> list[dict[str, Any]]:
        hits = lake.reviews.search(term, repository=repository, kind=kind, limit=limit)
        return [one.to_body() for one in hits]

    return json_answer({"items": await _call(request, ask), "next": None})


@router.get("/logs/{service}", response_class=Response)
@needs(_READ)
async def logs(request: Request, service: str, level: Text = None) -> Response:
    """Lines as they come, Server-Sent Events in batches: `process`, `events`, or `all` of both.

    The log of the process needs admin of everything, events read of `system.events`; of `all`
    comes what the caller may see. Secrets are blotted out here.
    """
    caller = caller_of(request)
    rooms: Rooms = request.app.state.rooms
    if service not in ("all", "process", "events"):
        raise NotFound("there is no such log", expected="all, process, events", found=service[:80])
    if level is not None and level not in LEVELS:
        raise NotFound("there is no such level", expected=", ".join(LEVELS), found=level[:80])
    wants_log = service == "process" or (service == "all" and caller.may("admin"))
    wants_events = service == "events" or (service == "all" and caller.may("read", EVENTS))
    if wants_log:
        caller.lake("admin")
    if wants_events or not wants_log:
        caller.lake("read", EVENTS)
    if rooms.log_readers >= MAX_READERS:
        raise TooManyRequests(f"{MAX_READERS} read the logs already", retry_after_s=5)
    rooms.log_readers += 1

    def close() -> None:
        rooms.log_readers -= 1

    source = _Lines(rooms, caller, wants_log and rooms.log is not None, wants_events, level)
    return Streamed(
        source.batches(),
        close=close,
        media_type="text/event-stream",
        headers={"cache-control": "no-store", "x-accel-buffering": "no"},
    )


class _Lines:
    """What comes behind the moment that it was made at, and a little of what was before."""

    def __init__(
        self, rooms: Rooms, caller: Caller, with_log: bool, with_events: bool, level: str | None
    ) -> None:
        self._rooms = rooms
        self._caller = caller
        self._with_log = with_log
        self._with_events = with_events
        self._levels = LEVELS if level is None else LEVELS[LEVELS.index(level) :]
        log = rooms.log
        self._number = 0 if log is None else max(0, log.count - MAX_LINES)
        self._since_s = time.time() - 3_600
        self._seen: OrderedDict[str, None] = OrderedDict()

    async def batches(self) -> AsyncIterator[bytes]:
        ended = asyncio.Event()
        yield b"retry: 2000\n\n"
        looked_s, told_s = float("-inf"), time.monotonic()
        with self._rooms.watch.holding(self._caller, ended.set) as held:
            while not self._rooms.stopping.is_set():
                lines: list[dict[str, Any]] = []
                missing = 0
                try:
                    held.check()
                    if self._with_log:
                        lines, missing = self._log()
                    if self._with_events and time.monotonic() - looked_s >= EVENTS_LOOK_S:
                        looked_s = time.monotonic()
                        more, lost = await self._rooms.workers.call(self._events)
                        lines, missing = [*lines, *more], missing + lost
                except LakecoreError as error:
                    _, _, problem = problem_of(error, self._caller.request_id)
                    yield b"event: problem\ndata: " + problem + b"\n\n"
                    return
                if lines or missing:
                    told_s = time.monotonic()
                    body = to_json({"lines": lines, "missing": missing})
                    yield b"event: lines\ndata: " + body + b"\n\n"
                elif time.monotonic() - told_s > _BEAT_S:
                    told_s = time.monotonic()
                    yield b": still here\n\n"
                with _quiet():
                    async with asyncio.timeout(LOOK_S):
                        await ended.wait()

    def _log(self) -> tuple[list[dict[str, Any]], int]:
        log = self._rooms.log
        if log is None:
            return [], 0
        found, self._number, missing = log.after(self._number, MAX_LINES)
        return [one for one in found if one["level"] in self._levels], missing

    def _events(self) -> tuple[list[dict[str, Any]], int]:
        """Events that were not told yet. A query: in a thread."""
        from lakecore.base import format_timestamp

        now_s = time.time()
        since = format_timestamp(int(self._since_s * 1_000_000))
        observer = self._caller.lake("read", EVENTS).observer
        told = observer.events({}, since=since, limit=MAX_LINES)
        self._since_s = now_s - BACK_S
        fresh = []
        for one in reversed(told["items"]):
            key = f"{one.get('source')} {one.get('id')} {one.get('time')}"
            if key in self._seen:
                continue
            self._seen[key] = None
            if len(self._seen) > _MAX_SEEN:
                self._seen.popitem(last=False)
            if one.get("level", "info") in self._levels:
                fresh.append(_line(one))
        # Older ones than a batch has are not told; how many is not known, but that there are.
        return fresh, 1 if told["next"] is not None and len(fresh) == MAX_LINES else 0


def _line(event: dict[str, Any]) -> dict[str, Any]:
    from lakecore.auth import redact

    data = event.get("data")
    told = data if isinstance(data, dict) else {}
    return {
        "time": event.get("time"),
        "service": redact(str(event.get("source", "")))[:200],
        "kind": redact(str(event.get("kind", "")))[:200],
        "level": event.get("level") or "info",
        "message": redact(str(event.get("message") or ""))[:2_000],
        "fields": redact(to_json(data).decode())[:2_000] if data else "",
        "trace_id": event.get("trace_id"),
        "path": told.get("path") if event.get("kind") == "review.file" else None,
    }


def _quiet() -> Any:
    from contextlib import suppress

    return suppress(TimeoutError)


def _lake(caller: Caller) -> Any:
    """The lake of a caller who may read what reviews found: both datasets."""
    caller.lake("read", FINDINGS)
    return caller.lake("read", REVIEWS)


async def _call(request: Request, ask: Callable[[], Any]) -> Any:
    return await request.app.state.rooms.workers.call(ask)


async def _one(
    request: Request,
    repository: str | None,
    bar: str | None,
    ask: Callable[[Any, Any], Any],
) -> Response:
    reading = _lake(caller_of(request)).reviews.reading
    return json_answer(
        await _call(request, lambda: ask(reading.views, reading.scope(repository, bar)))
    )


async def _list(
    request: Request,
    repository: str | None,
    bar: str | None,
    limit: int,
    cursor: str | None,
    ask: Callable[[Any, Any], Any],
) -> Response:
    """A page of a list; before any review it is empty."""
    reading = _lake(caller_of(request)).reviews.reading

    def asked() -> Any:
        try:
            scope = reading.scope(repository, bar)
        except NotFound:
            if repository is None and bar is None:
                return []
            raise
        return ask(reading.views, scope)

    return json_answer(page(await _call(request, asked), limit, cursor))
