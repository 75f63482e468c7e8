"""/truth: the rules in force, asked and replaced."""

from __future__ import annotations

from typing import Any

from fastapi import APIRouter, Request, Response
from pydantic import Field

from lakecore.gateway._answers import json_answer
from lakecore.gateway._body import Model, describe_body, read_json
from lakecore.gateway._guard import Access, caller_of, needs

router = APIRouter(prefix="/truth", tags=["truth"])

_READ = Access("read")


class Rules(Model):
    """Rules as TOML; `force` puts them in force in spite of findings."""

    toml: str
    reason: str = ""
    force: bool = False


class Task(Model):
    """A class of tasks, and the context that is asked about."""

    task_class: str
    context: dict[str, Any] = Field(default_factory=dict)


@router.get("/rules")
@needs(_READ)
async def rules(request: Request) -> Response:
    """The rules in force: version and hash as decisions name them, the rules, their TOML."""
    truth = caller_of(request).lake("read").truth

    def read() -> dict[str, Any]:
        current = truth.current()
        toml = "" if current.version is None else truth.text(current.version)
        named = {"name": current.name, "version": current.version, "hash": current.hash}
        return {**named, "rules": current.to_dict(), "toml": toml}

    return json_answer(await request.app.state.rooms.workers.call(read))


@router.put("/rules", openapi_extra=describe_body(Rules))
@needs(Access("admin"))
async def apply(request: Request) -> Response:
    """Put rules in force as a new version; refused where their own tests fail."""
    asked = await read_json(request, Rules)
    truth = caller_of(request).lake("admin").truth
    applied = await request.app.state.rooms.workers.call(
        truth.apply, asked.toml, force=asked.force, reason=asked.reason, file="the body"
    )
    return json_answer(applied.to_dict())


@router.post("/evaluate", openapi_extra=describe_body(Task))
@needs(_READ)
async def evaluate(request: Request) -> Response:
    """Ask every rule of a class of tasks about a context: which fired, and why."""
    asked = await read_json(request, Task)
    truth = caller_of(request).lake("read").truth
    decision = await request.app.state.rooms.workers.call(
        truth.evaluate, asked.task_class, asked.context
    )
    return json_answer(decision.to_dict())


@router.post("/check", openapi_extra=describe_body(Task))
@needs(_READ)
async def check(request: Request) -> Response:
    """What could apply to a class of tasks; no condition is looked at."""
    asked = await read_json(request, Task)
    truth = caller_of(request).lake("read").truth
    found = await request.app.state.rooms.workers.call(truth.check, asked.task_class)
    return json_answer({"items": found, "next": None})
