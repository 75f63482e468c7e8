"""/verify and /reconcile: is the record whole, and is everything on it?"""

from __future__ import annotations

from fastapi import APIRouter, Request, Response

from lakecore.gateway._answers import json_answer
from lakecore.gateway._body import Model, describe_body, read_json
from lakecore.gateway._guard import Access, caller_of, needs
from lakecore.gateway._requests import Answer, answer_once

router = APIRouter(tags=["record"])


class Reconcile(Model):
    """One dataset, or without a name all."""

    dataset: str | None = None


@router.get("/verify")
@needs(Access("read"))
async def verify(request: Request, full: bool = False) -> Response:
    """Integrity, anchoring, completeness; `full` recomputes what was verified before, too."""
    lake = caller_of(request).lake("read")
    report = await request.app.state.rooms.workers.call(lake.verify, full=full)
    return json_answer({"status": report.status, **report.to_dict()})


@router.post("/reconcile", openapi_extra=describe_body(Reconcile))
@needs(Access("admin"))
async def reconcile(request: Request) -> Response:
    """Journal what other programs committed to the tables."""
    asked = await read_json(request, Reconcile)
    lake = caller_of(request).lake("admin")
    return await answer_once(
        request, lambda mutation_id: Answer.of(lake.reconcile(asked.dataset).to_dict())
    )
