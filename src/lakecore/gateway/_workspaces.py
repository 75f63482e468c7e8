"""/workspaces: changes apart from main. They are over all datasets, and so is the right to them."""

from __future__ import annotations

from dataclasses import asdict
from itertools import islice
from typing import Annotated, Any, Literal

from fastapi import APIRouter, Query, Request, Response
from pydantic import Field

from lakecore.base import InvalidInput
from lakecore.gateway._answers import DEFAULT_LIMIT, MAX_LIMIT, json_answer, page
from lakecore.gateway._body import Model, describe_body, read_json
from lakecore.gateway._guard import Access, caller_of, needs
from lakecore.gateway._past import Batches
from lakecore.gateway._query import chosen_type, stream
from lakecore.gateway._requests import Answer, answer_once

router = APIRouter(prefix="/workspaces", tags=["workspaces"])

Limit = Annotated[int, Query(ge=1, le=MAX_LIMIT)]
_READ = Access("read")


class NewWorkspace(Model):
    """A workspace's name, and what it is for."""

    name: str
    reason: str = ""


class Drop(Model):
    """Why a workspace is given up."""

    reason: str = ""


class Merge(Model):
    """How to merge: conflicts by `resolve` (dataset, entity_id, field, side), then all."""

    on_conflict: Literal["refuse", "ours", "theirs"] = "refuse"
    resolve: list[list[str]] = Field(default_factory=list)
    reason: str = ""


@router.get("")
@needs(_READ)
async def workspaces(
    request: Request,
    closed: bool = False,
    limit: Limit = DEFAULT_LIMIT,
    cursor: Annotated[str | None, Query(max_length=1_024)] = None,
) -> Response:
    """The workspaces by name; with `closed` also merged and dropped ones."""
    lake = caller_of(request).lake("read")

    def read() -> dict[str, Any]:
        some = page(lake.workspaces(closed=closed), limit, cursor)
        return {**some, "items": [_shown(one) for one in some["items"]]}

    return json_answer(await request.app.state.rooms.workers.call(read))


@router.post("", openapi_extra=describe_body(NewWorkspace))
@needs(Access("write"))
async def create(request: Request) -> Response:
    """Make a workspace: every dataset as it is now, without a copy."""
    asked = await read_json(request, NewWorkspace)
    lake = caller_of(request).lake("write")

    def make(mutation_id: str | None) -> Answer:
        return Answer.of(_shown(lake.create_workspace(asked.name, reason=asked.reason).info), 201)

    return await answer_once(request, make)


@router.get("/{name}")
@needs(_READ)
async def workspace(request: Request, name: str) -> Response:
    """One workspace, also when it is over."""
    lake = caller_of(request).lake("read")

    def read() -> dict[str, Any]:
        return _shown(lake.workspace(name, create=False).info)

    return json_answer(await request.app.state.rooms.workers.call(read))


@router.post("/{name}/drop", openapi_extra=describe_body(Drop))
@needs(Access("write"))
async def drop(request: Request, name: str) -> Response:
    """End a workspace without a merge."""
    asked = await read_json(request, Drop)
    lake = caller_of(request).lake("write")

    def make(mutation_id: str | None) -> Answer:
        found = lake.workspace(name, create=False)
        return Answer.of(_shown(found.drop(reason=asked.reason)))

    return await answer_once(request, make)


@router.get("/{name}/diff")
@needs(_READ)
async def diff(
    request: Request,
    name: str,
    dataset: Annotated[str | None, Query(max_length=1_024)] = None,
    limit: Limit = DEFAULT_LIMIT,
) -> Response:
    """What was changed in a workspace, by dataset: `limit` fields of each, and if there is more.

    Of one dataset all of it comes in the other forms of rows, as `Accept` says.
    """
    lake = caller_of(request).lake("read")
    media_type = chosen_type(request.headers.get("accept", ""))
    if media_type != "application/json":
        if dataset is None or "limit" in request.query_params:
            raise InvalidInput("rows in this form are all of one dataset", expected="dataset")

        def begin() -> Any:
            found = lake.workspace(name, create=False).diff(dataset)
            return Batches.result(next(iter(found.values()), None))

        return await stream(request, media_type, begin)

    def read() -> dict[str, Any]:
        found = lake.workspace(name, create=False).diff(dataset)
        datasets = {}
        for one, reader in found.items():
            rows = (row for batch in reader for row in batch.to_pylist())
            items = list(islice(rows, limit))
            datasets[one] = {"items": items, "more": next(rows, None) is not None}
        return {"workspace": name, "datasets": datasets}

    return json_answer(await request.app.state.rooms.workers.call(read))


@router.post("/{name}/merge", openapi_extra=describe_body(Merge))
@needs(Access("write"))
async def merge(request: Request, name: str) -> Response:
    """Make in main what was changed in a workspace, by main's rules; 202 where some of it waits."""
    asked = await read_json(request, Merge)
    lake = caller_of(request).lake("write")

    def make(mutation_id: str | None) -> Answer:
        result = lake.workspace(name, create=False).merge(
            on_conflict=asked.on_conflict, resolve=asked.resolve, reason=asked.reason
        )
        return Answer.of({**asdict(result), "held": result.held}, 202 if result.held else 200)

    return await answer_once(request, make)


def _shown(workspace: Any) -> dict[str, Any]:
    names = ("name", "workspace_id", "state", "actor", "reason", "created_us", "closed_us")
    return {
        **{name: getattr(workspace, name) for name in names},
        "base": {name: base.version for name, base in workspace.base.items()},
    }
