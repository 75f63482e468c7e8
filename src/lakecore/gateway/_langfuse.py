"""What Langfuse's SDK asks of its server, so that it works with a URL and a key alone.

It sends spans as OTLP, scores as JSON, and looks whether its keys are good. It signs in by
HTTP's Basic scheme: any public key, and as the secret key one of Lakecore's.
"""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, Final

from fastapi import APIRouter, Request, Response

from lakecore.gateway._answers import json_answer
from lakecore.gateway._body import check_type
from lakecore.gateway._guard import Access, caller_of, needs
from lakecore.gateway._observer import EVENTS, JSON, bounded, parse_list, take_traces

if TYPE_CHECKING:
    from lakecore.gateway._ports import Accepted, ObserverPort

router = APIRouter(prefix="/api/public", tags=["langfuse"])

_SEND: Final = Access("write", "asked", basic=True)
_KNOWN: Final = Access(None, basic=True)


@router.post("/otel/v1/traces")
@needs(_SEND)
async def traces(request: Request) -> Response:
    """OTLP, as at /v1/traces."""
    return await take_traces(request)


@router.get("/projects")
@needs(_KNOWN)
async def projects(request: Request) -> Response:
    """The project of the keys: what `auth_check()` of the SDK asks. It is the lake."""
    lake = {"id": "lakecore", "name": "lakecore"}
    project = {**lake, "organization": lake, "metadata": {}}
    return json_answer({"data": [project]})


@router.post("/scores")
@needs(_SEND)
async def scores(request: Request) -> Response:
    """Scores, one or a list: kept as events of kind `score`."""
    check_type(request, JSON)
    observer: ObserverPort = caller_of(request).lake("write", EVENTS).observer
    data = await request.body()
    accepted: Accepted = await request.app.state.rooms.workers.call(partial(_take, observer), data)
    if not accepted.refused_count:
        return json_answer({"message": "Accepted"}, 202)
    errors = [{"index": row, "message": why} for row, why in accepted.refused]
    taken = accepted.accepted + accepted.duplicates
    body = {"accepted": taken, "rejected": accepted.refused_count, "errors": errors}
    return json_answer(body, 207)


def _take(observer: ObserverPort, data: bytes) -> Accepted:
    return observer.accept_scores(parse_list(bounded(data), lines=False))
