"""/journal: events in, events out, and what proves them."""

from __future__ import annotations

from functools import partial
from typing import Annotated, Any, Final

from fastapi import APIRouter, Query, Request, Response

from lakecore.base import InvalidInput, NotFound, uuid8
from lakecore.base.limits import KIB
from lakecore.gateway._answers import DEFAULT_LIMIT, MAX_LIMIT, json_answer, page
from lakecore.gateway._body import check_type, read_body
from lakecore.gateway._events import own, own_batch, parse_alike, parse_events
from lakecore.gateway._guard import KNOWN, Access, Caller, caller_of, needs
from lakecore.gateway._problems import HttpProblem
from lakecore.gateway._requests import idempotency_key

router = APIRouter(prefix="/journal", tags=["journal"])

ARROW: Final = "application/vnd.apache.arrow.stream"
NDJSON: Final = "application/x-ndjson"
JSON: Final = "application/json"
MAX_NAMED_EVENTS: Final = 1_000
"""Events whose ids are in the answer; of more, it says how many."""

_SMALL_BYTES: Final = 16 * KIB
_READ_ALL: Final = Access("read")
_READ_SOME: Final = Access("read", "asked")

_TEXT: Final = {"anyOf": [{"type": "string"}, {"type": "null"}]}
_EVENT: Final = {
    "type": "object",
    "required": ["entity_type", "entity_id", "action"],
    "additionalProperties": False,
    "properties": {
        **{name: {"type": "string"} for name in ("entity_type", "entity_id", "action")},
        **dict.fromkeys(("event_id", "timestamp", "field", "old_value", "new_value"), _TEXT),
        **dict.fromkeys(("source", "actor", "dataset", "context"), _TEXT),
    },
}
_DESCRIBED: Final = {
    "requestBody": {
        "required": True,
        "content": {
            JSON: {"schema": {"oneOf": [_EVENT, {"type": "array", "items": _EVENT}]}},
            NDJSON: {"schema": {"type": "string"}},
            ARROW: {"schema": {"type": "string", "format": "binary"}},
        },
    }
}

Limit = Annotated[int, Query(ge=1, le=MAX_LIMIT)]
Text = Annotated[str | None, Query(max_length=1_024)]


@router.post("/events", status_code=201, openapi_extra=_DESCRIBED)
@needs(Access("write", "asked"))
async def record(request: Request) -> Response:
    """Record events, all or none; they are durable when this answers.

    A JSON object or a list of them, NDJSON, or an Arrow stream. The actor is the key's
    principal. Events without an id get one; with an Idempotency-Key the same request again
    is acknowledged and not recorded twice.
    """
    kind = check_type(request, JSON, NDJSON, ARROW)
    key = idempotency_key(request)
    data = await read_body(request)
    caller = caller_of(request)
    prefix = None if key is None else uuid8("http", caller.principal.name, key)
    workers = request.app.state.rooms.workers
    if kind == ARROW:
        return json_answer(await workers.call(_record_batch, caller, data, prefix), 201)
    if kind == JSON and len(data) <= _SMALL_BYTES:
        # So little is taken here: it shares a commit with what other requests record.
        events = _owned(caller, data, prefix, lines=False)
        ids = await caller.looking().journal.record_many_async(events)
        return json_answer(_named(ids), 201)
    answer = await workers.call(_record, caller, data, prefix, lines=kind == NDJSON)
    return json_answer(answer, 201)


@router.post("/flush")
@needs(Access("write"))
async def flush(request: Request) -> dict[str, int]:
    """Seal what is recorded and committed; how many events this sealed."""
    lake = caller_of(request).lake("write")
    return {"sealed": await request.app.state.rooms.workers.call(lake.journal.seal)}


@router.get("/stats")
@needs(_READ_ALL)
async def stats(request: Request) -> Response:
    """Counts, the tree's size and root, and what waits."""
    lake = caller_of(request).lake("read")
    return json_answer(await request.app.state.rooms.workers.call(lake.journal.stats))


@router.get("/recent")
@needs(_READ_SOME)
async def recent(request: Request, limit: Limit = DEFAULT_LIMIT, dataset: Text = None) -> Response:
    """The newest events, the newest first."""
    return await _page(request, {"dataset": dataset}, limit, None)


@router.get("/events")
@needs(_READ_SOME)
async def events(
    request: Request,
    entity_type: Text = None,
    entity_id: Text = None,
    field: Text = None,
    action: Text = None,
    actor: Text = None,
    source: Text = None,
    workspace_id: Text = None,
    dataset: Text = None,
    mutation_id: Text = None,
    event_id: Text = None,
    since: Text = None,
    until: Text = None,
    limit: Limit = DEFAULT_LIMIT,
    cursor: Text = None,
) -> Response:
    """Events that match, the newest first. Without `dataset` the whole journal is asked."""
    filters = {
        "entity_type": entity_type,
        "entity_id": entity_id,
        "field": field,
        "action": action,
        "actor": actor,
        "source": source,
        "workspace_id": workspace_id,
        "dataset": dataset,
        "mutation_id": mutation_id,
        "event_id": event_id,
        "since": since,
        "until": until,
    }
    return await _page(request, filters, limit, cursor)


@router.get("/history/{entity_type}/{entity_id:path}")
@needs(_READ_SOME)
async def history(
    request: Request,
    entity_type: str,
    entity_id: str,
    dataset: Text = None,
    field: Text = None,
    limit: Limit = DEFAULT_LIMIT,
    cursor: Text = None,
) -> Response:
    """What happened to one entity, oldest first, unmerged workspaces left out."""
    lake = caller_of(request).lake("read", dataset)

    def read() -> dict[str, Any]:
        found = lake.journal.entity_history(entity_id, entity_type, field=field)
        mine = [event for event in found if dataset is None or event.dataset == _plain(dataset)]
        some = page(mine, limit, cursor)
        return {**some, "items": [event.to_dict() for event in some["items"]]}

    return json_answer(await request.app.state.rooms.workers.call(read))


@router.get("/checkpoint", response_class=Response)
@needs(KNOWN)
async def checkpoint(request: Request) -> Response:
    """The last signed checkpoint, a C2SP signed note."""
    journal = caller_of(request).looking().journal

    def read() -> bytes:
        latest = journal.prover.latest()
        if latest is None:
            raise NotFound("nothing is signed yet", hint="POST /journal/flush seals and signs")
        return bytes(latest.note.to_bytes())

    data = await request.app.state.rooms.workers.call(read)
    return Response(data, media_type="text/plain; charset=utf-8")


@router.get("/keys")
@needs(KNOWN)
async def keys(request: Request) -> Response:
    """The verifier keys of the machine that answers, the oldest first: what its signatures are
    checked by. Who is to trust a proof should have them by another way."""
    journal = caller_of(request).looking().journal
    found = await request.app.state.rooms.workers.call(journal.signing_keys)
    return json_answer({"items": found, "next": None})


@router.get("/tile/{path:path}", response_class=Response)
@needs(KNOWN)
async def tile(request: Request, path: str) -> Response:
    """A hash tile, or with read rights over everything an entry bundle: C2SP tlog-tiles."""
    from lakecore.tlog import parse_tile_path

    caller = caller_of(request)
    try:
        asked = parse_tile_path(f"tile/{path}")
    except InvalidInput as error:
        raise NotFound("there is no such tile", found=path[:200]) from error
    lake = caller.lake("read") if asked.level is None else caller.looking()

    def read() -> bytes:
        prover = lake.journal.prover
        if asked.level is None:
            return bytes(prover.entries(asked.index, asked.width))
        return bytes(prover.tile(asked.level, asked.index, asked.width))

    data = await request.app.state.rooms.workers.call(read)
    # Full tiles never change.
    headers = {"cache-control": "private, max-age=31536000, immutable"}
    return Response(data, headers=headers, media_type="application/octet-stream")


@router.get("/proof/{event_id}")
@needs(_READ_ALL)
async def proof(request: Request, event_id: str) -> Response:
    """That an event, by its id or seq, is in the signed journal; text/plain: a tlog-proof."""
    lake = caller_of(request).lake("read")
    named: int | str = int(event_id) if event_id.isdecimal() and len(event_id) < 19 else event_id
    found = await request.app.state.rooms.workers.call(lake.journal.prove, named)
    if "text/plain" in request.headers.get("accept", ""):
        return Response(found.to_bytes(), media_type="text/plain; charset=utf-8")
    return json_answer(found.to_dict())


async def _page(
    request: Request, filters: dict[str, str | None], limit: int, cursor: str | None
) -> Response:
    chosen = {name: value for name, value in filters.items() if value is not None}
    dataset = chosen.get("dataset")
    lake = caller_of(request).lake("read", dataset)
    if dataset is not None:
        chosen["dataset"] = _plain(dataset)

    def read() -> dict[str, Any]:
        found = lake.journal.query(limit=limit, cursor=cursor, **chosen)
        return {"items": [event.to_dict() for event in found.items], "next": found.next}

    return json_answer(await request.app.state.rooms.workers.call(read))


def _plain(dataset: str) -> str:
    """A dataset's name as events have it."""
    return dataset.removeprefix("main.")


def _owned(caller: Caller, data: bytes, prefix: str | None, *, lines: bool) -> list[dict[str, Any]]:
    found = parse_events(data, lines=lines)
    own(found, caller.principal, lambda dataset: caller.lake("write", dataset), prefix)
    return found


def _record(caller: Caller, data: bytes, prefix: str | None, *, lines: bool) -> dict[str, Any]:
    if lines and data.count(b"\n") > MAX_NAMED_EVENTS:
        table = parse_alike(data)
        if table is not None and table.num_rows > MAX_NAMED_EVENTS:
            return _record_table(caller, table, prefix)
    found = _owned(caller, data, prefix, lines=lines)
    return _named(caller.looking().journal.record_many(found))


def _record_batch(caller: Caller, data: bytes, prefix: str | None) -> dict[str, Any]:
    import pyarrow as pa

    try:
        with pa.ipc.open_stream(data) as reader:
            table = reader.read_all()
        table.validate(full=True)
        if len(set(table.schema.names)) < table.num_columns:
            raise ValueError("a column occurs twice")
    except (pa.ArrowException, OSError, ValueError) as error:
        raise HttpProblem(400, "bad-request", "not an Arrow stream", found=error) from None
    return _record_table(caller, table, prefix)


def _record_table(caller: Caller, table: Any, prefix: str | None) -> dict[str, Any]:
    mine = own_batch(table, caller.principal, partial(caller.lake, "write"), prefix)
    return {"count": caller.looking().journal.record_batch(mine)}


def _named(ids: list[str]) -> dict[str, Any]:
    many = len(ids) > MAX_NAMED_EVENTS
    return {"count": len(ids)} if many else {"count": len(ids), "event_ids": ids}
