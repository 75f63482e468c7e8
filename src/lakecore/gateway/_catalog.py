"""/catalog: which datasets there are, and taking tables in and out of it."""

from __future__ import annotations

from typing import Annotated, Any

from fastapi import APIRouter, Query, Request, Response
from pydantic import Field

from lakecore.gateway._answers import DEFAULT_LIMIT, MAX_LIMIT, json_answer, page
from lakecore.gateway._body import Model, describe_body, read_json
from lakecore.gateway._guard import KNOWN, Access, caller_of, needs
from lakecore.gateway._requests import Answer, answer_once

router = APIRouter(prefix="/catalog", tags=["catalog"])

Text = Annotated[str, Query(max_length=1_024)]


class Adopt(Model):
    """A Delta table of another program, by its folder within the lake's store."""

    uri: str
    dataset: str
    key: list[str] = Field(default_factory=list)
    entity_type: str | None = None
    contract: str = "evolve"
    description: str = ""
    reason: str = ""


@router.get("/datasets")
@needs(KNOWN)
async def datasets(
    request: Request,
    limit: Annotated[int, Query(ge=1, le=MAX_LIMIT)] = DEFAULT_LIMIT,
    cursor: Annotated[str | None, Query(max_length=1_024)] = None,
) -> Response:
    """The datasets that the caller may read, by name."""
    caller = caller_of(request)
    lake = caller.looking()

    def read() -> dict[str, Any]:
        found = [entry for entry in lake.datasets() if caller.may("read", entry.name)]
        some = page(found, limit, cursor)
        items = [
            {
                "name": entry.name,
                "dataset_id": entry.dataset_id,
                "key": list(entry.key),
                "entity_type": entry.entity_type,
                "contract": entry.contract,
                "protected": entry.protected,
                "owner": entry.owner,
                "description": entry.description,
            }
            for entry in some["items"]
        ]
        return {**some, "items": items}

    return json_answer(await request.app.state.rooms.workers.call(read))


@router.get("/datasets/{dataset}")
@needs(Access("read", "path"))
async def dataset(request: Request, dataset: str) -> Response:
    """One dataset with its table as it is now: columns, version, rows, size."""
    lake = caller_of(request).lake("read", dataset)
    return json_answer(await request.app.state.rooms.workers.call(lake.describe, dataset))


@router.delete("/datasets/{dataset}")
@needs(Access("admin", "path"))
async def drop(request: Request, dataset: str, reason: Text = "") -> Response:
    """Take a dataset out of sight; for some days it can be brought back."""
    lake = caller_of(request).lake("admin", dataset)
    dropped = await request.app.state.rooms.workers.call(lake.drop, dataset, reason=reason)
    return json_answer({"name": dropped.name, "state": str(dropped.state)})


@router.post("/adopt", openapi_extra=describe_body(Adopt))
@needs(Access("admin"))
async def adopt(request: Request) -> Response:
    """Make a Delta table that lies in the lake's store a dataset, where it lies."""
    asked = await read_json(request, Adopt)
    lake = caller_of(request).lake("admin")

    def make(mutation_id: str | None) -> Answer:
        options = asked.model_dump(exclude={"uri"})
        adopted = lake.adopt(asked.uri, **options)
        return Answer.of(lake.describe(adopted.name), 201)

    return await answer_once(request, make)
