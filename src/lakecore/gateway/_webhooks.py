"""/webhooks: who is told of which events. A signing secret is in one answer, that of its making."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Query, Request, Response
from pydantic import Field

from lakecore.gateway._answers import DEFAULT_LIMIT, MAX_LIMIT, json_answer, page
from lakecore.gateway._body import Model, describe_body, read_json
from lakecore.gateway._guard import Access, caller_of, needs

router = APIRouter(prefix="/webhooks", tags=["webhooks"])

_ADMIN = Access("admin")
_NOT_KEPT = {"cache-control": "no-store"}

Limit = Annotated[int, Query(ge=1, le=MAX_LIMIT)]
Cursor = Annotated[str | None, Query(max_length=1_024)]
Reason = Annotated[str, Query(max_length=1_024)]


class NewWebhook(Model):
    """Where events go, and which; see `docs/webhooks.md`."""

    url: str
    datasets: list[str] = Field(default_factory=list)
    entity_types: list[str] = Field(default_factory=list)
    actions: list[str] = Field(default_factory=list)
    secret: str | None = None
    from_seq: int | None = None
    note: str = ""
    reason: str = ""


class RotateSecret(Model):
    """Another secret; without a reference one is made."""

    secret: str | None = None
    reason: str = ""


class Enable(Model):
    """From where: `from_seq`, else where it was left."""

    from_seq: int | None = None
    reason: str = ""


@router.get("")
@needs(_ADMIN)
async def webhooks(
    request: Request, limit: Limit = DEFAULT_LIMIT, cursor: Cursor = None
) -> Response:
    """All of them, the oldest first, with how far each was delivered by this machine."""
    lake = caller_of(request).lake("admin")
    found = await request.app.state.rooms.workers.call(lake.webhooks.describe)
    return json_answer(page(found, limit, cursor))


@router.post("", openapi_extra=describe_body(NewWebhook), status_code=201)
@needs(_ADMIN)
async def create(request: Request) -> Response:
    """Make one. `signing_secret` in the answer is not shown again; null: it is the operator's."""
    asked = await read_json(request, NewWebhook)
    lake = caller_of(request).lake("admin")
    given = asked.model_dump(exclude={"url"})
    made = await request.app.state.rooms.workers.call(lake.webhooks.create, asked.url, **given)
    return json_answer({**made.webhook.to_dict(), "signing_secret": made.secret}, 201, _NOT_KEPT)


@router.get("/{webhook_id}")
@needs(_ADMIN)
async def webhook(request: Request, webhook_id: str) -> Response:
    """One, with how far it was delivered by this machine."""
    lake = caller_of(request).lake("admin")
    return json_answer(await request.app.state.rooms.workers.call(lake.webhooks.status, webhook_id))


@router.get("/{webhook_id}/deliveries")
@needs(_ADMIN)
async def deliveries(
    request: Request, webhook_id: str, limit: Limit = DEFAULT_LIMIT, cursor: Cursor = None
) -> Response:
    """The last attempts of this machine, the newest first."""
    lake = caller_of(request).lake("admin")
    found = await request.app.state.rooms.workers.call(lake.webhooks.deliveries, webhook_id)
    return json_answer(page(found, limit, cursor))


@router.post("/{webhook_id}/test")
@needs(_ADMIN)
async def test(request: Request, webhook_id: str) -> Response:
    """Send a message that is about nothing, now, once; what came of it."""
    lake = caller_of(request).lake("admin")
    return json_answer(await request.app.state.rooms.workers.call(lake.webhooks.test, webhook_id))


@router.post("/{webhook_id}/rotate", openapi_extra=describe_body(RotateSecret))
@needs(_ADMIN)
async def rotate(request: Request, webhook_id: str) -> Response:
    """Another secret; the old one signs beside it for a day."""
    asked = await read_json(request, RotateSecret)
    lake = caller_of(request).lake("admin")
    made = await request.app.state.rooms.workers.call(
        lake.webhooks.rotate, webhook_id, secret=asked.secret, reason=asked.reason
    )
    return json_answer({**made.webhook.to_dict(), "signing_secret": made.secret}, 200, _NOT_KEPT)


@router.post("/{webhook_id}/enable", openapi_extra=describe_body(Enable))
@needs(_ADMIN)
async def enable(request: Request, webhook_id: str) -> Response:
    """Deliver again, by this machine."""
    asked = await read_json(request, Enable)
    lake = caller_of(request).lake("admin")
    found = await request.app.state.rooms.workers.call(
        lake.webhooks.enable, webhook_id, from_seq=asked.from_seq, reason=asked.reason
    )
    return json_answer(found.to_dict())


@router.delete("/{webhook_id}")
@needs(_ADMIN)
async def remove(request: Request, webhook_id: str, reason: Reason = "") -> Response:
    """End one."""
    lake = caller_of(request).lake("admin")
    ended = await request.app.state.rooms.workers.call(
        lake.webhooks.remove, webhook_id, reason=reason
    )
    return json_answer(ended.to_dict())
