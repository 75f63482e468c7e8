"""/event, /events, /stats, /traces, and OTLP at /v1/traces: what programs tell, and its figures."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, Annotated, Any, Final

import msgspec
from fastapi import APIRouter, Query, Request, Response

from lakecore.base import InvalidInput, uuid8
from lakecore.base.limits import MIB
from lakecore.gateway._answers import DEFAULT_LIMIT, MAX_LIMIT, json_answer
from lakecore.gateway._body import check_type, content_type
from lakecore.gateway._guard import Access, Caller, caller_of, needs
from lakecore.gateway._problems import HttpProblem
from lakecore.gateway._requests import idempotency_key

if TYPE_CHECKING:
    from lakecore.gateway._ports import Accepted, ObserverPort

router = APIRouter(tags=["observer"])

JSON: Final = "application/json"
NDJSON: Final = "application/x-ndjson"
PROTOBUF: Final = "application/x-protobuf"
EVENTS: Final = "system.events"
SPANS: Final = "system.spans"
MAX_EVENT_BYTES: Final = 8 * MIB
"""Of a body, once it is taken apart."""

_SEND: Final = Access("write", "asked")
_READ: Final = Access("read", "asked")

Limit = Annotated[int, Query(ge=1, le=MAX_LIMIT)]
Text = Annotated[str | None, Query(max_length=1_024)]
Bucket = Annotated[int | None, Query(ge=1)]


@router.post("/event", status_code=202)
@needs(_SEND)
async def event(request: Request) -> Response:
    """Take one event, a list, or NDJSON; what is accepted is durable when this answers.

    An event has a `source`, and as it likes `kind`, `id`, `time`, `level`, `message`,
    `trace_id`, `span_id`, `duration_ms`, `data`. An `id` that was sent before is not kept
    again; nor, with an Idempotency-Key, the same request. Events that are none are counted in
    the answer, and named; the others are kept.
    """
    kind = content_type(request)
    if kind:
        check_type(request, JSON, NDJSON)
    key = idempotency_key(request)
    observer = _observer(caller_of(request), "write", EVENTS)
    prefix = None if key is None else uuid8("http", caller_of(request).principal.name, key)
    data = await request.body()
    take = partial(_take, observer, prefix, kind == NDJSON)
    accepted: Accepted = await request.app.state.rooms.workers.call(take, data)
    answer: dict[str, Any] = {"accepted": accepted.accepted, "duplicates": accepted.duplicates}
    if accepted.refused_count:
        answer["refused"] = accepted.refused_count
        answer["errors"] = [{"row": row, "error": why} for row, why in accepted.refused]
    return json_answer(answer, 202)


@router.get("/events")
@needs(_READ)
async def events(
    request: Request,
    source: Text = None,
    kind: Text = None,
    level: Text = None,
    trace_id: Text = None,
    id: Text = None,  # noqa: A002 - what the member is called
    principal: Text = None,
    since: Text = None,
    until: Text = None,
    limit: Limit = DEFAULT_LIMIT,
    cursor: Text = None,
) -> Response:
    """Events that match, the newest first."""
    observer = _observer(caller_of(request), "read", EVENTS)
    filters = {
        "source": source,
        "kind": kind,
        "level": level,
        "trace_id": trace_id,
        "id": id,
        "principal": principal,
    }
    ask = partial(observer.events, filters, since=since, until=until, limit=limit, cursor=cursor)
    return json_answer(await request.app.state.rooms.workers.call(ask))


@router.get("/stats")
@needs(_READ)
async def stats(
    request: Request, since: Text = None, until: Text = None, bucket_s: Bucket = None
) -> Response:
    """Counts and rates of events and spans by source, kind and time; of the last hour by default.

    Spans count where the caller may read them, too.
    """
    caller = caller_of(request)
    tables = [name.partition(".")[2] for name in (EVENTS, SPANS) if caller.may("read", name)]
    observer = _observer(caller, "read", SPANS if tables == ["spans"] else EVENTS)
    ask = partial(observer.stats, since=since, until=until, bucket_s=bucket_s, tables=tables)
    return json_answer(await request.app.state.rooms.workers.call(ask))


@router.get("/traces")
@needs(_READ)
async def traces(
    request: Request,
    source: Text = None,
    model: Text = None,
    session_id: Text = None,
    user_id: Text = None,
    status: Text = None,
    since: Text = None,
    until: Text = None,
    limit: Limit = DEFAULT_LIMIT,
    cursor: Text = None,
) -> Response:
    """Traces with a span that matches, the newest first: duration, errors, tokens, cost."""
    observer = _observer(caller_of(request), "read", SPANS)
    filters = {
        "source": source,
        "model": model,
        "session_id": session_id,
        "user_id": user_id,
        "status": status,
    }
    ask = partial(observer.traces, filters, since=since, until=until, limit=limit, cursor=cursor)
    return json_answer(await request.app.state.rooms.workers.call(ask))


@router.get("/traces/{trace_id}")
@needs(_READ)
async def trace(request: Request, trace_id: str) -> Response:
    """One trace: its spans as a tree."""
    observer = _observer(caller_of(request), "read", SPANS)
    return json_answer(await request.app.state.rooms.workers.call(observer.trace, trace_id))


@router.post("/v1/traces")
@needs(_SEND)
async def otlp(request: Request) -> Response:
    """OTLP/HTTP: spans in protobuf or JSON, as every OpenTelemetry exporter sends them."""
    return await take_traces(request)


async def take_traces(request: Request) -> Response:
    """Take an OTLP request; the answer is in the encoding of the request."""
    kind = check_type(request, PROTOBUF, JSON)
    observer = _observer(caller_of(request), "write", SPANS)
    data = await request.body()
    take = partial(_take_traces, observer, kind)
    accepted: Accepted = await request.app.state.rooms.workers.call(take, data)
    why = accepted.refused[0][1] if accepted.refused else ""
    if kind == JSON:
        partly = {"rejectedSpans": str(accepted.refused_count), "errorMessage": why}
        return json_answer({"partialSuccess": partly} if accepted.refused_count else {})
    return Response(_response(accepted.refused_count, why), media_type=PROTOBUF)


def _observer(caller: Caller, action: str, dataset: str) -> ObserverPort:
    observer: ObserverPort = caller.lake(action, dataset).observer
    return observer


def _take(observer: ObserverPort, prefix: str | None, lines: bool, data: bytes) -> Accepted:
    parsed = parse_list(bounded(data), lines=lines)
    return observer.accept(parsed, prefix=prefix)


def bounded(data: bytes) -> bytes:
    """A body of events. Raises `HttpProblem` where it is too long."""
    if len(data) > MAX_EVENT_BYTES:
        raise HttpProblem(
            413,
            "too-large",
            "the request's body is too long",
            expected=f"{MAX_EVENT_BYTES:,} bytes",
        )
    return data


def parse_list(data: bytes, *, lines: bool) -> list[Any]:
    """JSON: a list, one value as a list of it, or one value a line.

    Raises:
        HttpProblem: it is no JSON.
    """
    try:
        decoder = msgspec.json.Decoder()
        found = decoder.decode_lines(data) if lines else decoder.decode(data)
    except (msgspec.DecodeError, RecursionError, UnicodeDecodeError) as error:
        raise HttpProblem(400, "bad-request", "the body is not JSON", found=error) from None
    return found if isinstance(found, list) else [found]


def _take_traces(observer: ObserverPort, kind: str, data: bytes) -> Accepted:
    try:
        return observer.accept_traces(data, kind)
    except InvalidInput as error:
        # What OTLP says to answer, so that an exporter does not send it again.
        raise HttpProblem(400, "bad-request", error.message, found=error.found) from None


def _response(rejected: int, why: str) -> bytes:
    from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import (
        ExportTraceServiceResponse,
    )

    answer = ExportTraceServiceResponse()
    if rejected:
        answer.partial_success.rejected_spans = rejected
        answer.partial_success.error_message = why
    return bytes(answer.SerializeToString())
