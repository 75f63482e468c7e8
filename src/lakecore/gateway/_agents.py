"""/agent/runs: tasks of agents, step by step while they are carried out."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from typing import TYPE_CHECKING, Annotated, Any, Final

from fastapi import APIRouter, Query, Request, Response
from pydantic import Field

from lakecore.base import LakecoreError, Retry
from lakecore.gateway._answers import Streamed, json_answer, to_json
from lakecore.gateway._body import Model, describe_body, read_json
from lakecore.gateway._guard import Access, Caller, caller_of, needs
from lakecore.gateway._problems import problem_of
from lakecore.gateway._requests import Answer, answer_once

if TYPE_CHECKING:
    from lakecore.agents import Run, Spent, Step
    from lakecore.gateway._app import Rooms

router = APIRouter(prefix="/agent/runs", tags=["agents"])

LOOK_S: Final = 0.25
_BEAT_S: Final = 15.0
_ACCEPTED: Final = 202


class Task(Model):
    """A task for an agent."""

    task: str = Field(min_length=1, max_length=20_000)
    model: str = Field("ladder", max_length=200)
    tools: list[Annotated[str, Field(max_length=200)]] | None = Field(None, max_length=200)
    max_steps: int | None = Field(None, ge=1)
    max_tokens: int | None = Field(None, ge=1)
    max_seconds: float | None = Field(None, gt=0)
    max_usd: float | None = Field(None, gt=0, le=1_000_000)


@router.post("", status_code=_ACCEPTED, openapi_extra=describe_body(Task))
@needs(Access("model"))
async def begin(request: Request) -> Response:
    """Begin a task in the caller's name; it goes on behind the answer.

    What the agent proposes goes through the rules as the caller's own change would.
    """
    lake = caller_of(request).lake("model")
    given = await read_json(request, Task)

    def make(mutation_id: str | None) -> Answer:
        from lakecore.agents import Limits
        from lakecore.llm import nano_of

        limits: dict[str, Any] = {
            "max_steps": given.max_steps,
            "max_tokens": given.max_tokens,
            "max_seconds": given.max_seconds,
            "max_cost_nano": None if given.max_usd is None else nano_of(given.max_usd),
        }
        told = {name: value for name, value in limits.items() if value is not None}
        run = lake.start_agent(
            given.task, model=given.model, tools=given.tools, limits=Limits(**told)
        )
        return Answer.of(run_body(run), _ACCEPTED)

    return await answer_once(request, make)


@router.get("", response_class=Response)
@needs(Access("model"))
async def listed(request: Request, limit: Annotated[int, Query(ge=1, le=1_000)] = 100) -> Response:
    """The runs of this machine, the newest first: the caller's own, or all to who reads all."""
    lake = caller_of(request).lake("model")
    rooms: Rooms = request.app.state.rooms

    def look() -> list[dict[str, Any]]:
        runs = lake.agent_runs(limit=limit)
        spent = lake.agent_spent([run.id for run in runs])
        return [run_body(run) | spent_body(spent.get(run.id)) for run in runs]

    return json_answer({"items": await rooms.workers.call(look), "next": None})


@router.get("/{run_id}", response_class=Response)
@needs(Access("model"))
async def one(request: Request, run_id: str) -> Response:
    """A run with its steps so far."""
    lake = caller_of(request).lake("model")
    rooms: Rooms = request.app.state.rooms

    def look() -> dict[str, Any]:
        run, steps = lake.agent_run(run_id), lake.agent_steps(run_id)
        told = run_body(run) | spent_body(lake.agent_spent([run_id]).get(run_id))
        return told | {"limits": _limits(run), "steps": [step_body(step) for step in steps]}

    return json_answer(await rooms.workers.call(look))


@router.get("/{run_id}/stream", response_class=Response)
@needs(Access("model"))
async def stream(request: Request, run_id: str) -> Response:
    """The steps as they end, then the run: Server-Sent Events. `Last-Event-ID` goes on."""
    caller = caller_of(request)
    lake = caller.lake("model")
    rooms: Rooms = request.app.state.rooms
    await rooms.workers.call(lake.agent_run, run_id)
    given = request.headers.get("last-event-id", "")
    after = int(given) if given.isascii() and given.isdigit() and len(given) < 10 else 0
    return Streamed(
        _events(rooms, caller, lake, run_id, after),
        close=lambda: None,
        media_type="text/event-stream",
        headers={"cache-control": "no-store", "x-accel-buffering": "no"},
    )


@router.post("/{run_id}/cancel", response_class=Response)
@needs(Access("model"))
async def cancel(request: Request, run_id: str) -> Response:
    """End a run that waits. What it has proposed stays proposed."""
    lake = caller_of(request).lake("model")
    rooms: Rooms = request.app.state.rooms
    return json_answer(run_body(await rooms.workers.call(lake.cancel_agent, run_id)))


async def _events(
    rooms: Rooms, caller: Caller, lake: Any, run_id: str, after: int
) -> AsyncIterator[bytes]:
    """Until the run ends: it may wait for a person meanwhile, and that is told, too."""
    told_state, quiet_s = "", 0.0
    while not rooms.stopping.is_set():
        try:
            await rooms.workers.call(caller.recheck)
            run = await rooms.workers.call(lake.agent_run, run_id)
            steps = await rooms.workers.call(lake.agent_steps, run_id, after=after)
        except Retry:
            await asyncio.sleep(LOOK_S)
            continue
        except LakecoreError as error:
            _, _, problem = problem_of(error, caller.request_id)
            yield b"event: problem\ndata: " + problem + b"\n\n"
            return
        ended = [step for step in steps if step.result is not None]
        for step in ended:
            after = step.number
            head = f"event: step\nid: {after}\ndata: ".encode()
            yield head + to_json(step_body(step)) + b"\n\n"
        if run.state.value != told_state:
            told_state = run.state.value
            yield b"event: run\ndata: " + to_json(run_body(run)) + b"\n\n"
        if run.ended_us:
            return
        quiet_s = 0.0 if ended else quiet_s + LOOK_S
        if quiet_s >= _BEAT_S:
            quiet_s = 0.0
            yield b": still here\n\n"
        await asyncio.sleep(LOOK_S)


def run_body(run: Run) -> dict[str, Any]:
    """A run, JSON-ready."""
    names = ("id", "task", "actor", "model", "pending", "result", "reason", "detail")
    times = {"created_us": run.created_us, "ended_us": run.ended_us or None}
    return {name: getattr(run, name) for name in names} | {"state": run.state.value} | times


def spent_body(spent: Spent | None) -> dict[str, Any]:
    """What the steps of a run came to, JSON-ready."""
    names = ("questions", "tokens", "cost_nano")
    return {"spent": {name: getattr(spent, name, 0) for name in names}}


def _limits(run: Run) -> dict[str, Any]:
    names = ("max_steps", "max_tokens", "max_seconds", "max_cost_nano")
    return {name: getattr(run.limits, name) for name in names}


def step_body(step: Step) -> dict[str, Any]:
    """A step, JSON-ready; `result` is null while it is under way."""
    names = ("number", "name", "arguments", "outcome", "result", "pending")
    figures = ("prompt_tokens", "completion_tokens", "cost_nano", "started_us", "ended_us")
    return {"kind": step.kind.value} | {name: getattr(step, name) for name in (*names, *figures)}
