"""/query/sql: one statement. Rows in the form that is asked for, as they come; or a change."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Iterator
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Any, Final, Literal, TypeVar

import msgspec
from fastapi import APIRouter, Request, Response

from lakecore.base import InvalidInput, NotFound, Unavailable
from lakecore.gateway._answers import Streamed, json_answer, to_json
from lakecore.gateway._body import Model, describe_body, read_json
from lakecore.gateway._changes import Tier, recovered, told
from lakecore.gateway._guard import Access, Caller, caller_of, needs
from lakecore.gateway._problems import HttpProblem
from lakecore.gateway._requests import Answer, answer_once
from lakecore.gateway._running import Running, unless_gone
from lakecore.gateway._workers import Busy

if TYPE_CHECKING:
    from lakecore.gateway._app import Rooms
    from lakecore.query import QueryResult, SqlChange

router = APIRouter(prefix="/query", tags=["query"])
_T = TypeVar("_T", bound="_Rows | SqlChange")

FORMATS: Final = {
    "application/json": "json",
    "application/x-ndjson": "ndjson",
    "text/csv": "csv",
    "application/vnd.apache.arrow.stream": "arrow",
    "application/vnd.apache.parquet": "parquet",
}
_HEADED: Final = ("json", "csv")
"""Forms that begin before there is a row: an error before the first one is still an answer."""

_MAX_ACCEPT_CHARACTERS: Final = 1_024
_PAUSE_S: Final = 0.05


class Sql(Model):
    """One SELECT, EXPLAIN, DESCRIBE or SHOW statement; or one that changes rows.

    `limit` is for queries, `reason` and `tier` are for changes. With `read_only` what changes
    rows is refused, whatever the key allows; so it is in a `workspace`, which SQL only reads.
    With the `engine` spark a query runs on the server that the settings name, over what the key
    may read.
    """

    sql: str
    params: dict[str, Any] | list[Any] | None = None
    limit: int | None = None
    timeout_s: float | None = None
    memory_limit_bytes: int | None = None
    reason: str = ""
    tier: Tier = "auto"
    read_only: bool = False
    workspace: str | None = None
    engine: Literal["datafusion", "spark"] | None = None


@dataclass(frozen=True, slots=True)
class _Rows:
    """The result of a query, and the first of its bytes."""

    result: QueryResult
    first: bytes | None
    chunks: Iterator[bytes]


@router.post("/sql", openapi_extra=describe_body(Sql))
@needs(Access("read", "asked"))
async def sql(request: Request) -> Response:
    """Run one statement over what the caller may read.

    `Accept` chooses: JSON (the default: an object with `columns`, `items` and whether `limit`
    cut rows off), NDJSON, CSV, an Arrow stream, Parquet. An error behind the first rows
    breaks the connection off. Who disconnects ends the query, and so does DELETE /query/{id}.

    INSERT, REPLACE INTO, INSERT OVERWRITE, UPDATE, DELETE and TRUNCATE are made changes of their
    dataset's rows, by the rules and on record as all are, where the caller may write there; the
    answer is that of a mutation.
    """
    media_type = chosen_type(request.headers.get("accept", ""))
    asked = await read_json(request, Sql)
    caller = caller_of(request)
    rooms: Rooms = request.app.state.rooms
    running = rooms.queries.begin(caller)
    try:
        begin = partial(_begin, caller, asked, running, FORMATS[media_type], _limits(rooms, asked))
        found = await _begun(request, running, begin)
        if not isinstance(found, _Rows):
            try:
                return await _made(request, caller, asked, found)
            finally:
                rooms.workers.leave(found.close)
                rooms.queries.end(running)
    except BaseException:
        rooms.queries.end(running)
        raise
    return _answer(request, running, found, media_type)


@router.delete("/{query_id}")
@needs(Access("read", "asked"))
async def cancel(request: Request, query_id: str) -> Response:
    """End a statement of the caller's own; its id is the `X-Request-Id` that it came with."""
    caller = caller_of(request)
    rooms: Rooms = request.app.state.rooms
    count = rooms.queries.cancel(caller.principal.name, query_id)
    if not count:
        raise NotFound("no such statement of yours is running", found=query_id[:200])
    return json_answer({"cancelled": count})


async def stream(request: Request, media_type: str, begin: Callable[[], QueryResult]) -> Response:
    """Rows that `begin` gives, in a form and within the bounds of a query's."""
    rooms: Rooms = request.app.state.rooms
    running = rooms.queries.begin(caller_of(request))

    def started() -> _Rows:
        result = begin()
        running.started(result)
        return _rows(result, FORMATS[media_type])

    try:
        found = await _begun(request, running, started)
    except BaseException:
        rooms.queries.end(running)
        raise
    return _answer(request, running, found, media_type)


async def _begun(request: Request, running: Running, begin: Callable[[], _T]) -> _T:
    """What `begin` gives in a thread, while the client is there and the key holds."""
    rooms: Rooms = request.app.state.rooms
    with rooms.watch.holding(caller_of(request), running.cancel) as held:
        try:
            work = rooms.workers.call(begin)
            return await unless_gone(request, work, running.cancel, _drop)
        except Unavailable:
            held.check()
            raise


def _answer(request: Request, running: Running, found: _Rows, media_type: str) -> Response:
    rooms: Rooms = request.app.state.rooms

    def end() -> None:
        found.result.cancel()
        rooms.workers.leave(found.result.close)
        rooms.queries.end(running)

    return Streamed(
        _streamed(rooms, caller_of(request), found),
        close=end,
        media_type=media_type,
        headers={"vary": "accept"},
    )


def _limits(rooms: Rooms, asked: Sql) -> dict[str, Any]:
    """What a statement may take: what it asks for, within what the settings allow."""
    settings = rooms.settings
    bounds = {
        "timeout_s": settings.query_timeout_s,
        "memory_limit_bytes": settings.query_memory_bytes,
    }
    limits: dict[str, Any] = {"max_rows": asked.limit}
    for name, most in bounds.items():
        wanted = getattr(asked, name)
        limits[name] = most if wanted is None else min(wanted, most)
    if asked.engine is not None:
        limits["engine"] = asked.engine
    return limits


def _begin(
    caller: Caller, asked: Sql, running: Running, form: str, limits: dict[str, Any]
) -> _Rows | SqlChange:
    """Plan a statement, and compute the first of its rows; in a thread."""
    from lakecore.query import SqlChange

    lake = caller.looking()
    ask = lake.sql if asked.read_only else lake.statement
    if asked.workspace is not None:
        ask = lake.workspace(asked.workspace, create=False).sql
    found = ask(asked.sql, asked.params, **limits)
    running.started(found)
    if isinstance(found, SqlChange):
        return found
    if strange := sorted(asked.model_fields_set & {"reason", "tier"}):
        found.close()
        raise InvalidInput("a query does not take this", found=", ".join(strange))
    return _rows(found, form)


def _rows(result: QueryResult, form: str) -> _Rows:
    """A result with the first of its bytes; what fails until then is still an answer."""
    try:
        chunks = _chunks(result, form)
        first = next(chunks, None)
        if first is not None and form in _HEADED:
            first += next(chunks, b"")
        return _Rows(result, first, chunks)
    except BaseException:
        result.close()
        raise


def _drop(found: _Rows | SqlChange) -> None:
    if isinstance(found, _Rows):
        found.result.close()
    else:
        found.close()


async def _made(request: Request, caller: Caller, asked: Sql, change: SqlChange) -> Response:
    """A change by SQL, once it is known which dataset it is of."""
    lake = caller.lake("write", change.dataset)

    def make(mutation_id: str | None) -> Answer:
        result = lake.make(change, reason=asked.reason, tier=asked.tier, mutation_id=mutation_id)
        return told(caller, result)

    return await answer_once(request, make, lambda known: recovered(caller, known))


def chosen_type(accept: str) -> str:
    """The media type that a client likes best of those there are; 406 when none.

    >>> chosen_type(""), chosen_type("text/csv;q=0.5, application/x-ndjson"), chosen_type("text/*")
    ('application/json', 'application/x-ndjson', 'text/csv')
    """
    if not accept.strip():
        return next(iter(FORMATS))
    liked: list[tuple[float, str]] = []
    for part in accept[:_MAX_ACCEPT_CHARACTERS].split(","):
        name, *parameters = (piece.strip().lower() for piece in part.split(";"))
        weight = next((p[2:] for p in parameters if p.startswith("q=")), "1")
        try:
            liked.append((float(weight), name))
        except ValueError:
            continue
    for liking, name in sorted(liked, key=lambda one: -one[0]):
        found = next((kind for kind in FORMATS if _fits(name, kind)), None)
        if liking > 0 and found is not None:
            return found
    raise HttpProblem(
        406, "not-acceptable", "rows do not come in this form", expected=", ".join(FORMATS)
    )


def _fits(pattern: str, kind: str) -> bool:
    family = pattern.removesuffix("*")
    is_family = family.endswith("/") and kind.startswith(family)
    return pattern in (kind, "*/*") or is_family


def _chunks(result: QueryResult, form: str) -> Iterator[bytes]:
    """The rows in a form; JSON in an object that says what they are."""
    if form != "json":
        yield from result.chunks(form)
        return
    columns = [{"name": field.name, "type": str(field.type)} for field in result.schema]
    yield b'{"columns":' + msgspec.json.encode(columns) + b',"items":'
    yield from result.chunks("json")
    truncated = b"true" if result.truncated else b"false"
    replica = b"" if result.served is None else b',"replica":' + to_json(result.served.to_dict())
    yield b',"next":null,"truncated":' + truncated + replica + b"}\n"


async def _streamed(rooms: Rooms, caller: Caller, rows: _Rows) -> AsyncIterator[bytes]:
    """A step at a time in a thread; while all are at work, it waits rather than breaks off."""
    chunk = rows.first
    with rooms.watch.holding(caller, rows.result.cancel) as held:
        while chunk is not None:
            yield chunk
            while True:
                held.check()
                try:
                    chunk = await rooms.workers.call(next, rows.chunks, None)
                    break
                except Busy:
                    await asyncio.sleep(_PAUSE_S)
        held.check()
