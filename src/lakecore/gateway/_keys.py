"""/keys: the API keys. A key's text is in one answer, that of its making, and nowhere else."""

from __future__ import annotations

from datetime import timedelta
from typing import Annotated, Any

from fastapi import APIRouter, Query, Request, Response
from pydantic import Field

from lakecore.base import InvalidInput
from lakecore.gateway._answers import DEFAULT_LIMIT, MAX_LIMIT, json_answer, page
from lakecore.gateway._body import Model, describe_body, read_json
from lakecore.gateway._guard import Access, caller_of, needs

router = APIRouter(prefix="/keys", tags=["keys"])

_ADMIN = Access("admin")
_NOT_KEPT = {"cache-control": "no-store"}


class NewKey(Model):
    """Who comes with it, and what they may do; see `docs/security.md`."""

    principal: str
    scopes: list[str]
    datasets: list[str] = Field(default_factory=list)
    kind: str | None = None
    roles: list[str] = Field(default_factory=list)
    trust: float | None = None
    expires_s: float | None = None
    note: str = ""
    reason: str = ""


class Rotate(Model):
    """How long the old key lives beside its successor."""

    overlap_s: float = 24 * 3_600.0
    expires_s: float | None = None
    reason: str = ""


@router.get("")
@needs(_ADMIN)
async def keys(
    request: Request,
    limit: Annotated[int, Query(ge=1, le=MAX_LIMIT)] = DEFAULT_LIMIT,
    cursor: Annotated[str | None, Query(max_length=1_024)] = None,
) -> Response:
    """All keys there ever were, the oldest first, without secrets."""
    lake = caller_of(request).lake("admin")
    found = await request.app.state.rooms.workers.call(lake.keys.describe)
    return json_answer(page(found, limit, cursor))


@router.post("", openapi_extra=describe_body(NewKey))
@needs(_ADMIN)
async def create(request: Request) -> Response:
    """Make a key. `key` in the answer is its text: it is not shown again."""
    asked = await read_json(request, NewKey)
    lake = caller_of(request).lake("admin")
    given = asked.model_dump(exclude={"principal", "expires_s"})
    made = await request.app.state.rooms.workers.call(
        lake.keys.create, asked.principal, **given, expires=_span(asked.expires_s)
    )
    return _shown_once(made)


@router.post("/{key_id}/rotate", openapi_extra=describe_body(Rotate))
@needs(_ADMIN)
async def rotate(request: Request, key_id: str) -> Response:
    """Make a successor with the same principal and scopes."""
    asked = await read_json(request, Rotate)
    lake = caller_of(request).lake("admin")
    made = await request.app.state.rooms.workers.call(
        lake.keys.rotate,
        key_id,
        overlap=_span(asked.overlap_s),
        expires=_span(asked.expires_s),
        reason=asked.reason,
    )
    return _shown_once(made)


@router.delete("/{key_id}")
@needs(_ADMIN)
async def revoke(
    request: Request, key_id: str, reason: Annotated[str, Query(max_length=1_024)] = ""
) -> Response:
    """End a key: here at once, in every other process within seconds."""
    lake = caller_of(request).lake("admin")
    ended = await request.app.state.rooms.workers.call(lake.keys.revoke, key_id, reason=reason)
    return json_answer(ended.to_dict())


def _shown_once(made: Any) -> Response:
    return json_answer({**made.key.to_dict(), "key": made.text}, 201, _NOT_KEPT)


def _span(seconds: float | None) -> timedelta | None:
    try:
        return None if seconds is None else timedelta(seconds=seconds)
    except (OverflowError, ValueError) as error:
        raise InvalidInput("not a span of time", found=seconds) from error
