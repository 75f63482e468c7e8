"""/catalog: which datasets there are, and taking tables in and out of it."""

from __future__ import annotations

from dataclasses import fields
from typing import Annotated, Any, Final

from fastapi import APIRouter, Query, Request, Response
from pydantic import Field

from lakecore.base import InvalidInput
from lakecore.gateway._answers import DEFAULT_LIMIT, MAX_LIMIT, json_answer, page
from lakecore.gateway._body import Model, describe_body, read_json
from lakecore.gateway._guard import KNOWN, Access, caller_of, needs
from lakecore.gateway._requests import Answer, answer_once

router = APIRouter(prefix="/catalog", tags=["catalog"])

Text = Annotated[str, Query(max_length=1_024)]
Inside = Annotated[str | None, Query(max_length=1_024)]
_MOST_DAYS: Final = 36_600


class NewDataset(Model):
    """A dataset without rows; its columns come with its first ones."""

    name: str
    key: list[str] = Field(default_factory=list)
    entity_type: str | None = None
    contract: str = "evolve"
    owner: str = ""
    description: str = ""
    bucket: str = ""
    reason: str = ""


class Alter(Model):
    """Properties of a dataset that become others; what is not named stays."""

    contract: str = "evolve"
    description: str = ""
    entity_type: str = ""
    owner: str = ""
    protected: bool = False
    retention_days: float | None = None
    retention_versions: int | None = None
    checks: dict[str, str] | None = None
    reason: str = ""


class Rename(Model):
    """A dataset's other name."""

    new_name: str
    reason: str = ""


class Undrop(Model):
    """Why a dataset is brought back."""

    reason: str = ""


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
    dropped: bool = False,
    workspace: Inside = None,
) -> Response:
    """The datasets that the caller may read, by name; or those that a workspace has.

    With `dropped` also those that can be brought back.
    """
    caller = caller_of(request)
    lake = caller.looking()
    if dropped and workspace is not None:
        raise InvalidInput("a workspace has no dropped datasets")

    def read() -> dict[str, Any]:
        if workspace is None:
            found = lake.datasets(dropped=dropped)
        else:
            found = lake.workspace(workspace, create=False).datasets()
        some = page([one for one in found if caller.may("read", one.name)], limit, cursor)
        return {**some, "items": [_entry(one) for one in some["items"]]}

    return json_answer(await request.app.state.rooms.workers.call(read))


@router.post("/datasets", openapi_extra=describe_body(NewDataset))
@needs(Access("admin", "asked"))
async def create(request: Request) -> Response:
    """Register a dataset without rows."""
    asked = await read_json(request, NewDataset)
    lake = caller_of(request).lake("admin", asked.name)

    def make(mutation_id: str | None) -> Answer:
        return Answer.of(_entry(lake.create(**asked.model_dump())), 201)

    return await answer_once(request, make)


@router.get("/datasets/{dataset}")
@needs(Access("read", "path"))
async def dataset(request: Request, dataset: str, workspace: Inside = None) -> Response:
    """One dataset with its table as it is now, or in a workspace: columns, version, rows, size."""
    lake = caller_of(request).lake("read", dataset)

    def read() -> dict[str, Any]:
        where = lake if workspace is None else lake.workspace(workspace, create=False)
        return {**_entry(where.dataset(dataset)), **where.describe(dataset)}

    return json_answer(await request.app.state.rooms.workers.call(read))


@router.patch("/datasets/{dataset}", openapi_extra=describe_body(Alter))
@needs(Access("admin", "path"))
async def alter(request: Request, dataset: str) -> Response:
    """Change properties of a dataset; its columns are changed by `/datasets/{dataset}/columns`."""
    asked = await read_json(request, Alter)
    caller = caller_of(request)
    lake = caller.lake("admin", dataset)
    if asked.checks:
        caller.lake("read")  # their SQL is asked over all datasets, and its rows are told

    def make(mutation_id: str | None) -> Answer:
        return Answer.of(_entry(lake.alter(dataset, **asked.model_dump(exclude_unset=True))))

    return await answer_once(request, make)


@router.delete("/datasets/{dataset}")
@needs(Access("admin", "path"))
async def drop(
    request: Request,
    dataset: str,
    reason: Text = "",
    grace_days: Annotated[float, Query(ge=0, le=_MOST_DAYS)] = 7,
) -> Response:
    """Take a dataset out of sight; for so many days it can be brought back."""
    lake = caller_of(request).lake("admin", dataset)

    def make(mutation_id: str | None) -> Answer:
        return Answer.of(_entry(lake.drop(dataset, reason=reason, grace_days=grace_days)))

    return await answer_once(request, make)


@router.post("/datasets/{dataset}/undrop", openapi_extra=describe_body(Undrop))
@needs(Access("admin", "path"))
async def undrop(request: Request, dataset: str) -> Response:
    """Bring back a dataset that was dropped."""
    asked = await read_json(request, Undrop)
    lake = caller_of(request).lake("admin", dataset)

    def make(mutation_id: str | None) -> Answer:
        return Answer.of(_entry(lake.undrop(dataset, reason=asked.reason)))

    return await answer_once(request, make)


@router.post("/datasets/{dataset}/rename", openapi_extra=describe_body(Rename))
@needs(Access("admin", "path"))
async def rename(request: Request, dataset: str) -> Response:
    """Give a dataset another name; the key needs admin of both."""
    asked = await read_json(request, Rename)
    caller = caller_of(request)
    caller.lake("admin", dataset)
    lake = caller.lake("admin", asked.new_name)

    def make(mutation_id: str | None) -> Answer:
        return Answer.of(_entry(lake.rename(dataset, asked.new_name, reason=asked.reason)))

    return await answer_once(request, make)


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


def _entry(dataset: Any) -> dict[str, Any]:
    """An entry of the catalog; `version` is the table's wherever there is one."""
    names = [one.name for one in fields(dataset) if one.name != "version"]
    return {name: getattr(dataset, name) for name in names}
