"""/review: what reviews found, read from their rows; a finding ignored; a run begun.

A run is of a repository that the settings name: a caller never says a path.
"""

from __future__ import annotations

from datetime import datetime
from functools import partial
from typing import Annotated, Any, Literal

from fastapi import APIRouter, Query, Request, Response
from pydantic import Field

from lakecore.base import NotFound
from lakecore.gateway._answers import DEFAULT_LIMIT, MAX_LIMIT, json_answer, page
from lakecore.gateway._body import Model, describe_body, read_json
from lakecore.gateway._guard import Access, Caller, caller_of, needs
from lakecore.gateway._requests import Answer, answer_once

router = APIRouter(prefix="/review", tags=["review"])

REVIEWS = "system.reviews"
FINDINGS = "system.findings"
_READ = Access("read", "asked")
_ACCEPTED = 202

Limit = Annotated[int, Query(ge=1, le=MAX_LIMIT)]
Cursor = Annotated[str | None, Query(max_length=1_024)]
Text = Annotated[str | None, Query(max_length=1_024)]
Word = Annotated[str, Field(max_length=1_000)]


class Ignore(Model):
    """Why a finding does not count, and until when; `reason` ``wrong: …``: it is none."""

    reason: str = Field(min_length=1, max_length=4_000)
    until: str | None = Field(None, max_length=64)
    repository: Word | None = None
    bar: Word | None = None


class NewRun(Model):
    """What is reviewed: `repository` is a name of `[[review.repository]]`."""

    repository: str = Field(min_length=1, max_length=200)
    revision: str = Field("HEAD", min_length=1, max_length=200)
    patterns: list[Word] = Field(default_factory=list, max_length=100)
    paths: list[Word] = Field(default_factory=list, max_length=1_000)
    since: Word | None = None
    churn: int | None = Field(None, ge=1, le=100_000)
    prompt: Literal["forensic", "soft"] = "forensic"
    answer: Literal["json", "markdown"] = "json"
    temperature: float = Field(0.0, ge=0, le=2)
    proposal: str = Field("", max_length=100_000)
    everything: bool = False
    workers: int = Field(4, ge=1, le=16)
    max_tokens: int = Field(12_000, ge=100, le=1_000_000)
    run: str | None = Field(None, pattern=r"^[A-Za-z0-9_.-]{1,100}$")


@router.get("/runs")
@needs(_READ)
async def runs(
    request: Request,
    repository: Text = None,
    bar: Text = None,
    limit: Limit = DEFAULT_LIMIT,
    cursor: Cursor = None,
) -> Response:
    """Runs that left rows, the newest first."""
    lake = _lake(caller_of(request))
    found = await _call(request, lambda: lake.reviews.reading.runs(repository, bar))
    return json_answer(page(found, limit, cursor))


@router.post("/runs", status_code=_ACCEPTED, openapi_extra=describe_body(NewRun))
@needs(Access("model"))
async def begin(request: Request) -> Response:
    """Begin a review in the caller's name, or finish the one of `run`; it goes on behind this.

    One at a time of a repository (409), and as many as `[review] max_runs` in all (429).
    """
    caller = caller_of(request)
    lake = _lake(caller)
    caller.lake("model")
    asked = await read_json(request, NewRun)

    def make(mutation_id: str | None) -> Answer:
        begun = lake.reviews.start(asked.run or mutation_id, **asked.model_dump(exclude={"run"}))
        return Answer.of(begun | {"href": f"/review/runs/{begun['id']}"}, _ACCEPTED)

    # A run that was begun and whose answer was lost is finished under the same id.
    return await answer_once(request, make)


@router.get("/runs/{run_id}")
@needs(_READ)
async def run(request: Request, run_id: str) -> Response:
    """A run: where it is, and the last word on each of its files so far."""
    lake = _lake(caller_of(request))
    return json_answer(await _call(request, lambda: lake.reviews.one_run(run_id)))


@router.get("/files")
@needs(_READ)
async def files(
    request: Request,
    repository: Text = None,
    bar: Text = None,
    limit: Limit = DEFAULT_LIMIT,
    cursor: Cursor = None,
) -> Response:
    """Each file: its scores, its open findings, its signal class and why."""
    reading = _lake(caller_of(request)).reviews.reading
    found = await _scoped(request, reading, repository, bar, reading.files)
    return json_answer(page(found, limit, cursor))


@router.get("/files/{path:path}")
@needs(_READ)
async def file(request: Request, path: str, repository: Text = None, bar: Text = None) -> Response:
    """One file: its iterations, its findings, its signal class and why."""
    reading = _lake(caller_of(request)).reviews.reading
    ask = partial(reading.file, path=path)
    return json_answer(await _scoped(request, reading, repository, bar, ask, is_list=False))


@router.get("/findings")
@needs(_READ)
async def findings(
    request: Request,
    state: Text = None,
    severity: Text = None,
    path: Text = None,
    symbol: Text = None,
    repository: Text = None,
    bar: Text = None,
    limit: Limit = DEFAULT_LIMIT,
    cursor: Cursor = None,
) -> Response:
    """Findings by their state (default ``open``; or ``all``), severity, path, symbol."""
    reading = _lake(caller_of(request)).reviews.reading
    ask = partial(reading.findings, state=state, severity=severity, path=path, symbol=symbol)
    found = await _scoped(request, reading, repository, bar, ask)
    return json_answer(page(found, limit, cursor))


@router.post("/findings/{finding_id}/ignore", openapi_extra=describe_body(Ignore))
@needs(Access("write", "asked"))
async def ignore(request: Request, finding_id: str) -> Response:
    """Leave a finding out of the gate, on the caller's word: why, until when."""
    caller = caller_of(request)
    caller.lake("write", FINDINGS)
    lake = _lake(caller)
    asked = await read_json(request, Ignore)

    def make(mutation_id: str | None) -> Answer:
        reading = lake.reviews.reading
        scope = reading.scope(asked.repository, asked.bar)
        until = None if asked.until is None else _time(asked.until)
        return Answer.of(reading.ignore(scope, finding_id, reason=asked.reason, until=until))

    def recover(mutation_id: str) -> Answer | None:
        """It was written before the process died: then it is not written again."""
        reading = lake.reviews.reading
        done = reading.findings(reading.scope(asked.repository, asked.bar), state="ignored")
        mine = {"id": finding_id, "reason": asked.reason, "who": caller.principal.name}
        return next((Answer.of(one) for one in done if mine.items() <= one.items()), None)

    return await answer_once(request, make, recover)


@router.get("/report")
@needs(_READ)
async def report(
    request: Request,
    repository: Text = None,
    bar: Text = None,
    limit: Limit = DEFAULT_LIMIT,
    cursor: Cursor = None,
) -> Response:
    """The figures of each iteration, in order."""
    reading = _lake(caller_of(request)).reviews.reading
    found = await _scoped(request, reading, repository, bar, reading.report)
    return json_answer(page(found, limit, cursor))


@router.get("/trust")
@needs(_READ)
async def trust(request: Request, limit: Limit = DEFAULT_LIMIT, cursor: Cursor = None) -> Response:
    """Every model by what became of its findings, in all repositories."""
    lake = _lake(caller_of(request))
    return json_answer(page(await _call(request, lake.reviews.reading.trust), limit, cursor))


def _lake(caller: Caller) -> Any:
    """The lake of a caller who may read what reviews found: both datasets."""
    caller.lake("read", FINDINGS)
    return caller.lake("read", REVIEWS)


async def _call(request: Request, ask: Any) -> Any:
    return await request.app.state.rooms.workers.call(ask)


async def _scoped(
    request: Request,
    reading: Any,
    repository: str | None,
    bar: str | None,
    ask: Any,
    *,
    is_list: bool = True,
) -> Any:
    """Ask about the repository and bar that are meant; before any review a list is empty."""

    def asked() -> Any:
        try:
            scope = reading.scope(repository, bar)
        except NotFound:
            if is_list and repository is None and bar is None:
                return []
            raise
        return ask(scope)

    return await _call(request, asked)


def _time(text: str) -> datetime:
    from lakecore.base import InvalidInput

    try:
        found = datetime.fromisoformat(text)
    except ValueError:
        found = None
    if found is None or found.tzinfo is None:
        raise InvalidInput(
            "not a time", expected="RFC 3339 with a zone", found=text[:64], where="until"
        )
    return found
