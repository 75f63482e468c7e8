"""/v1: models behind the lake's keys, as OpenAI's clients expect them; and what was used.

A call is metered by the key that it comes with. Who goes away ends the request to the model's
server, and has it settled. The event loop waits for sockets alone: the ledger and long texts are
in threads.
"""

from __future__ import annotations

import asyncio
import math
from collections.abc import AsyncIterator, Coroutine
from contextlib import suppress
from typing import TYPE_CHECKING, Annotated, Any, Final, TypeVar

import msgspec
from fastapi import APIRouter, Query, Request, Response
from starlette.requests import ClientDisconnect

from lakecore.gateway._answers import Streamed, json_answer, to_json
from lakecore.gateway._body import check_type
from lakecore.gateway._forms import CHAT, MODELS, ModelProblem
from lakecore.gateway._guard import KNOWN, Access, caller_of, needs
from lakecore.gateway._problems import HttpProblem
from lakecore.llm import LADDER, AnswerStream, Ask, By

if TYPE_CHECKING:
    from lakecore.llm import Answer, Ladder

router = APIRouter(tags=["models"])

USAGE: Final = "system.usage"
_MODEL: Final = Access("model")
_LONG_BYTES: Final = 64 * 1_024
_SHOWN_LEFT: Final = 8
_DONE: Final = b"data: [DONE]\n\n"
_T = TypeVar("_T")

_PROBLEMS: Final = {
    "transport": (502, "server_error"),
    "asleep": (503, "server_error"),
    "rate": (429, "rate_limit_error"),
    "budget": (429, "insufficient_quota"),
    "refused": (400, "invalid_request_error"),
    "unparsable": (502, "server_error"),
    "schema": (502, "server_error"),
    "ungrounded": (502, "server_error"),
    "no_rung": (503, "server_error"),
}
"""Status and type of an outcome. The ladder has tried what was worth trying: only `rate` and
`asleep` say when to come again."""

_COME_AGAIN: Final = ("rate", "asleep")

_CHAT_BODY: Final = {
    "requestBody": {
        "required": True,
        "content": {
            "application/json": {
                "schema": {
                    "type": "object",
                    "required": ["model", "messages"],
                    "properties": {
                        "model": {"type": "string", "description": "A rung, or `ladder`."},
                        "messages": {"type": "array", "minItems": 1, "items": {"type": "object"}},
                        "stream": {"type": "boolean"},
                        "stream_options": {"type": "object"},
                        "max_tokens": {"type": "integer", "minimum": 1},
                        "max_completion_tokens": {"type": "integer", "minimum": 1},
                        "response_format": {"type": "object"},
                        "tools": {"type": "array"},
                        "temperature": {"type": "number"},
                    },
                }
            }
        },
    }
}


@router.post(CHAT, openapi_extra=_CHAT_BODY)
@needs(_MODEL)
async def chat(request: Request) -> Response:
    """A chat completion in OpenAI's form, whole or as Server-Sent Events."""
    ask, is_stream, wants_usage = await _read(request)
    caller = caller_of(request)
    ladder: Ladder = caller.lake("model").ladder
    request.app.state.rooms.at_end["models"] = ladder.disconnect
    by = By(actor=caller.principal.name, key=caller.principal.key_id or "", source="api")
    if not is_stream:
        answer = await _while_there(request, ladder.ask(ask, by))
        return json_answer(_body_of(answer), 200, _headers(answer))
    stream = await _while_there(request, ladder.stream(ask, by))
    if not isinstance(stream, AnswerStream):
        # It ended before its first word.
        raise _problem(stream)
    return Streamed(
        _events(stream, wants_usage=wants_usage),
        close=stream.close,
        media_type="text/event-stream",
        headers={"cache-control": "no-store", "x-accel-buffering": "no"},
    )


@router.get(MODELS)
@needs(_MODEL)
async def models(request: Request) -> Response:
    """The rungs by name, and `ladder`, which begins at the first, in OpenAI's form."""
    ladder: Ladder = caller_of(request).lake("model").ladder
    names = [LADDER, *(rung.name for rung in ladder.rungs)]
    items = [
        {"id": name, "object": "model", "created": 0, "owned_by": "lakecore"} for name in names
    ]
    return json_answer({"object": "list", "data": items})


@router.get("/v1/usage")
@needs(KNOWN)
async def usage(
    request: Request,
    days: Annotated[int | None, Query(ge=1, le=36_600)] = None,
    key: Annotated[str | None, Query(max_length=64)] = None,
) -> Response:
    """Requests, tokens and cost on this machine, by model, rung, source, key, actor and day.

    `budget` has what may be spent, and what is left of today's: of all, or of that key. Who may
    not read `system.usage` sees what came with their own key.
    """
    caller = caller_of(request)
    if not caller.may("read", USAGE):
        key = caller.principal.key_id or ""
    lake = caller.looking()

    def read() -> dict[str, Any]:
        used: dict[str, Any] = lake.usage(days=days, key=key).to_dict()
        return used | {"budget": lake.budget_left(key).to_dict()}

    return json_answer(await request.app.state.rooms.workers.call(read))


async def _read(request: Request) -> tuple[Ask, bool, bool]:
    check_type(request, "application/json")
    data = await request.body()
    if len(data) < _LONG_BYTES:
        return _parsed(data)
    found: tuple[Ask, bool, bool] = await request.app.state.rooms.workers.call(_parsed, data)
    return found


def _parsed(data: bytes) -> tuple[Ask, bool, bool]:
    try:
        body = msgspec.json.decode(data)
    except (ValueError, RecursionError) as error:
        raise HttpProblem(
            400, "bad-request", "the body is not JSON", found=str(error)[:200]
        ) from None
    return Ask.of_request(body)


async def _while_there(request: Request, work: Coroutine[Any, Any, _T]) -> _T:
    """The result, unless who asked goes away: then the work is cancelled, and puts that down."""
    task = asyncio.create_task(work)
    gone = asyncio.create_task(_gone(request))
    try:
        await asyncio.wait((task, gone), return_when=asyncio.FIRST_COMPLETED)
        if not task.done():
            raise ClientDisconnect
        return task.result()
    finally:
        gone.cancel()
        if not task.done():
            task.cancel()
            with suppress(asyncio.CancelledError):
                await task


async def _gone(request: Request) -> None:
    while (await request.receive())["type"] != "http.disconnect":
        pass


def _body_of(answer: Answer) -> dict[str, Any]:
    """The completion: of an answer, and of a model that says itself that it will not."""
    is_said = answer.outcome.value in ("ok", "refused")
    if answer.body is None or not is_said:
        raise _problem(answer)
    return dict(answer.body)


def _problem(answer: Answer) -> ModelProblem:
    outcome = answer.outcome.value
    status, kind = _PROBLEMS.get(outcome, (502, "server_error"))
    wait_s = answer.retry_after_s
    retry_after_s = max(1, math.ceil(1 if wait_s is None else wait_s))
    code = "insufficient_quota" if outcome == "budget" else outcome
    return ModelProblem(
        status,
        kind,
        code,
        answer.detail or outcome,
        retry_after_s=retry_after_s if outcome in _COME_AGAIN else None,
        headers=_headers(answer),
    )


def _headers(answer: Answer) -> dict[str, str]:
    """Who answered, which rungs were left for what, and what it cost."""
    left = ", ".join(f"{one.rung}={one.reason}" for one in answer.left[:_SHOWN_LEFT])
    return {
        "x-lakecore-call": answer.call_id,
        "x-lakecore-outcome": answer.outcome.value,
        "x-lakecore-rung": answer.rung,
        "x-lakecore-left": left,
        "x-lakecore-cost-nano-usd": str(answer.cost_nano),
    }


async def _events(stream: AnswerStream, *, wants_usage: bool) -> AsyncIterator[bytes]:
    async for chunk in stream:
        shown = chunk
        if not wants_usage and "usage" in chunk:
            if not chunk.get("choices"):
                # It is there because the ladder asked for it.
                continue
            shown = {name: value for name, value in chunk.items() if name != "usage"}
        yield b"data: " + to_json(shown) + b"\n\n"
    answer = stream.answer
    if answer is not None and answer.outcome.value == "transport":
        told = {"message": answer.detail, "type": "server_error", "code": "transport"}
        yield b"data: " + to_json({"error": told}) + b"\n\n"
        return
    yield _DONE
