"""/status, /verify, /reconcile and /maintain: is the record whole, and what is due?"""

from __future__ import annotations

from typing import Literal

from fastapi import APIRouter, Request, Response

from lakecore.gateway._answers import json_answer
from lakecore.gateway._body import Model, describe_body, read_json
from lakecore.gateway._guard import Access, caller_of, needs
from lakecore.gateway._requests import Answer, answer_once

router = APIRouter(tags=["record"])


class Reconcile(Model):
    """One dataset, or without a name all."""

    dataset: str | None = None


class Maintain(Model):
    """Only these datasets, and these at once; without names what is due of all.

    With the `engine` spark the server of the settings sorts the rows of a compaction.
    """

    datasets: list[str] | None = None
    dry_run: bool = False
    reason: str = ""
    engine: Literal["datafusion", "spark"] = "datafusion"


@router.get("/status")
@needs(Access("read"))
async def status(request: Request) -> Response:
    """What the lake holds and what waits."""
    lake = caller_of(request).lake("read")
    return json_answer(await request.app.state.rooms.workers.call(lake.status))


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


@router.post("/maintain", openapi_extra=describe_body(Maintain))
@needs(Access("admin"))
async def maintain(request: Request) -> Response:
    """Do what is due: compaction, checkpoints, vacuum, purge. No row changes."""
    asked = await read_json(request, Maintain)
    lake = caller_of(request).lake("admin")

    def make(mutation_id: str | None) -> Answer:
        report = lake.maintain(
            asked.datasets, dry_run=asked.dry_run, reason=asked.reason, engine=asked.engine
        )
        return Answer.of(report.to_dict())

    return await answer_once(request, make)
