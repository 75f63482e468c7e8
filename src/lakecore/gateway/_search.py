"""/search: indexes, and what they find. Who may read a dataset may search its indexes."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from fastapi import APIRouter, Query, Request, Response
from pydantic import Field

from lakecore.base import InvalidInput, NotFound
from lakecore.gateway._answers import (
    DEFAULT_LIMIT,
    MAX_LIMIT,
    cursor_at,
    json_answer,
    page,
    start_of,
)
from lakecore.gateway._body import Model, describe_body, read_json
from lakecore.gateway._guard import Access, Caller, caller_of, needs
from lakecore.gateway._requests import Answer, answer_once

router = APIRouter(prefix="/search", tags=["search"])

_READ = Access("read", "asked")
_ADMIN = Access("admin", "asked")

Limit = Annotated[int, Query(ge=1, le=MAX_LIMIT)]
Cursor = Annotated[str | None, Query(max_length=1_024)]
Reason = Annotated[str, Query(max_length=1_024)]


class NewIndex(Model):
    """An index over columns of a dataset; see `docs/search.md`."""

    name: str
    dataset: str
    columns: list[str]
    kind: Literal["vector", "text", "hybrid"] = "hybrid"
    model: str | None = None
    metric: Literal["cosine", "dot", "l2"] = "cosine"
    parameters: dict[str, float] = Field(default_factory=dict)
    wait: bool = False
    reason: str = ""


class Refresh(Model):
    """What changed, or with `rebuild` all rows; in the background, unless one waits for it."""

    rebuild: bool = False
    wait: bool = False
    reason: str = ""


class Search(Model):
    """A text, or a vector for an index of vectors; `where` is a condition in SQL.

    `highlight` `parts`: each `_highlight` in pieces, `text` and `is_found`, in place of marks.
    """

    text: str | None = None
    vector: list[float] | None = None
    limit: int = 10
    offset: int = 0
    cursor: str | None = None
    where: str | None = None
    highlight: bool | Literal["parts"] = True


@router.get("/indexes")
@needs(_READ)
async def indexes(
    request: Request, limit: Limit = DEFAULT_LIMIT, cursor: Cursor = None
) -> Response:
    """The indexes over what the caller may read, with how far each is behind."""
    caller = caller_of(request)

    def read() -> dict[str, Any]:
        found = caller.looking().index.list()
        return page([one for one in found if caller.may("read", one["dataset"])], limit, cursor)

    return json_answer(await request.app.state.rooms.workers.call(read))


@router.post("/indexes", openapi_extra=describe_body(NewIndex), status_code=201)
@needs(_ADMIN)
async def create(request: Request) -> Response:
    """Make one. It is built in the background; its `state` says when it is `ready`."""
    asked = await read_json(request, NewIndex)
    lake = caller_of(request).lake("admin", asked.dataset)
    given = asked.model_dump(exclude={"name", "dataset", "columns"})

    def make(mutation_id: str | None) -> Answer:
        made = lake.index.create(asked.name, asked.dataset, asked.columns, **given)
        return Answer.of(made, 201)

    def recover(mutation_id: str) -> Answer | None:
        """Of a process that died before it answered: an index as it was asked for is its work."""
        try:
            told = lake.index.get(asked.name)
        except NotFound:
            return None
        wanted = (asked.dataset, asked.columns, asked.kind)
        is_it = (told["dataset"], told["columns"], told["kind"]) == wanted
        return Answer.of(told, 201) if is_it else None

    return await answer_once(request, make, recover)


@router.get("/indexes/{index}")
@needs(_READ)
async def one_index(request: Request, index: str) -> Response:
    """One, with how far it is behind its dataset."""
    caller = caller_of(request)

    def read() -> dict[str, Any]:
        return _allowed(caller, "read", index)

    return json_answer(await request.app.state.rooms.workers.call(read))


@router.post("/indexes/{index}/refresh", openapi_extra=describe_body(Refresh))
@needs(_ADMIN)
async def refresh(request: Request, index: str) -> Response:
    """Bring one to its dataset's newest version; what is there is served until then."""
    asked = await read_json(request, Refresh)
    caller = caller_of(request)

    def begin(mutation_id: str | None) -> Answer:
        told = _allowed(caller, "admin", index)
        lake = caller.lake("admin", told["dataset"])
        return Answer.of(lake.index.refresh(index, **asked.model_dump()))

    return await answer_once(request, begin)


@router.delete("/indexes/{index}")
@needs(_ADMIN)
async def drop(request: Request, index: str, reason: Reason = "") -> Response:
    """End one, and remove its files."""
    caller = caller_of(request)

    def end() -> dict[str, Any]:
        told = _allowed(caller, "admin", index)
        ended: dict[str, Any] = caller.lake("admin", told["dataset"]).index.drop(
            index, reason=reason
        )
        return ended

    return json_answer(await request.app.state.rooms.workers.call(end))


@router.post("/{index}", openapi_extra=describe_body(Search))
@needs(_READ)
async def search(request: Request, index: str) -> Response:
    """The rows that fit best, the best first, and which version of the dataset they are of.

    `next` is the cursor of the next page.
    """
    asked = await read_json(request, Search)
    lake = caller_of(request).looking()

    def find() -> dict[str, Any]:
        given = asked.model_dump(exclude={"cursor"})
        if asked.cursor is not None:
            if asked.offset:
                raise InvalidInput("a page begins at a cursor or at an offset", found="both")
            given["offset"] = start_of(asked.cursor)
        found = lake.search(index, **given)
        following = None if found.next_offset is None else cursor_at(found.next_offset)
        return {**found.facts(), "items": found.to_pylist(), "next": following}

    return json_answer(await request.app.state.rooms.workers.call(find))


def _allowed(caller: Caller, action: str, index: str) -> dict[str, Any]:
    """What is known of an index, for who may do this to its dataset."""
    told: dict[str, Any] = caller.looking().index.get(index)
    caller.lake(action, told["dataset"])
    return told
