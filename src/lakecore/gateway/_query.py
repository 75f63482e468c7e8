"""/query/sql: one read-only statement, its rows in the form that is asked for, as they come."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Iterator
from typing import TYPE_CHECKING, Any, Final

import msgspec
from fastapi import APIRouter, Request, Response

from lakecore.gateway._answers import Streamed
from lakecore.gateway._body import Model, describe_body, read_json
from lakecore.gateway._guard import Access, caller_of, needs
from lakecore.gateway._problems import HttpProblem
from lakecore.gateway._workers import Busy

if TYPE_CHECKING:
    from lakecore.gateway._workers import Workers
    from lakecore.query import QueryResult

router = APIRouter(prefix="/query", tags=["query"])

FORMATS: Final = {
    "application/json": "json",
    "application/x-ndjson": "ndjson",
    "text/csv": "csv",
    "application/vnd.apache.arrow.stream": "arrow",
    "application/vnd.apache.parquet": "parquet",
}
_MAX_ACCEPT_CHARACTERS: Final = 1_024
_PAUSE_S: Final = 0.05


class Sql(Model):
    """One SELECT, EXPLAIN, DESCRIBE or SHOW statement."""

    sql: str
    params: dict[str, Any] | list[Any] | None = None
    limit: int | None = None
    timeout_s: float | None = None


@router.post("/sql", openapi_extra=describe_body(Sql))
@needs(Access("read", "asked"))
async def sql(request: Request) -> Response:
    """Run one statement over what the caller may read.

    `Accept` chooses: JSON (the default: an object with `columns`, `items` and whether `limit`
    cut rows off), NDJSON, CSV, an Arrow stream, Parquet. An error behind the first rows
    breaks the connection off. Who disconnects ends the query.
    """
    media_type = chosen_type(request.headers.get("accept", ""))
    asked = await read_json(request, Sql)
    rooms = request.app.state.rooms
    lake = caller_of(request).looking()
    most_s = rooms.settings.query_timeout_s
    timeout_s = most_s if asked.timeout_s is None else min(asked.timeout_s, most_s)

    def begin() -> tuple[QueryResult, Iterator[bytes], bytes | None]:
        result = lake.sql(asked.sql, asked.params, max_rows=asked.limit, timeout_s=timeout_s)
        try:
            chunks = _chunks(result, FORMATS[media_type])
            return result, chunks, next(chunks, None)
        except BaseException:
            result.close()
            raise

    result, chunks, first = await rooms.workers.call(begin)

    def end() -> None:
        result.cancel()
        rooms.workers.leave(result.close)

    return Streamed(
        _streamed(rooms.workers, first, chunks),
        close=end,
        media_type=media_type,
        headers={"vary": "accept"},
    )


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
    yield b',"next":null,"truncated":' + truncated + b"}\n"


async def _streamed(
    workers: Workers, first: bytes | None, chunks: Iterator[bytes]
) -> AsyncIterator[bytes]:
    """A step at a time in a thread; while all are at work, it waits rather than breaks off."""
    chunk = first
    while chunk is not None:
        yield chunk
        while True:
            try:
                chunk = await workers.call(next, chunks, None)
                break
            except Busy:
                await asyncio.sleep(_PAUSE_S)
