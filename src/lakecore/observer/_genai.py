"""What a span says about a model's call, by OpenTelemetry's conventions and by Langfuse's. Pure.

The names are those of the GenAI semantic conventions, older spellings included, and of the
attributes that Langfuse's SDK sets.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

LANGFUSE: Final = "langfuse"

_MODEL: Final = (
    *("gen_ai.response.model", "langfuse.observation.model.name", "gen_ai.request.model"),
    "llm.model_name",
)
_PROVIDER: Final = ("gen_ai.provider.name", "gen_ai.system")
_INPUT: Final = (
    *("langfuse.observation.input", "gen_ai.input.messages", "gen_ai.prompt"),
    *("gen_ai.tool.call.arguments", "input.value"),
)
_OUTPUT: Final = (
    *("langfuse.observation.output", "gen_ai.output.messages", "gen_ai.completion"),
    *("gen_ai.tool.call.result", "output.value"),
)
_PROMPT_TOKENS: Final = ("gen_ai.usage.input_tokens", "gen_ai.usage.prompt_tokens")
_COMPLETION_TOKENS: Final = ("gen_ai.usage.output_tokens", "gen_ai.usage.completion_tokens")
_COST: Final = ("gen_ai.usage.cost", "gen_ai.usage.total_cost")
_SESSION: Final = ("session.id", "langfuse.session.id", "gen_ai.conversation.id")
_USER: Final = ("user.id", "langfuse.user.id", "enduser.id")
_USAGE: Final = "langfuse.observation.usage_details"
_COST_DETAILS: Final = "langfuse.observation.cost_details"
_TYPE: Final = "langfuse.observation.type"
_OPERATION: Final = "gen_ai.operation.name"
_OPERATIONS: Final = {
    **dict.fromkeys(("chat", "text_completion", "generate_content"), "generation"),
    "embeddings": "embedding",
    "execute_tool": "tool",
    **dict.fromkeys(("invoke_agent", "create_agent"), "agent"),
}
TAKEN: Final = frozenset(
    (*_MODEL[:3], *_INPUT, *_OUTPUT, *_PROMPT_TOKENS, *_COMPLETION_TOKENS, _USAGE, _COST_DETAILS)
)
"""Attributes that have columns of their own, and are not kept a second time."""

_EVENT_INPUTS: Final = ("gen_ai.content.prompt", "gen_ai.client.inference.operation.details")
_EVENT_OUTPUTS: Final = ("gen_ai.content.completion",)
_MAX_TOKENS: Final = 1 << 53
_MAX_COST: Final = 1e12


@dataclass(frozen=True, slots=True)
class Call:
    """What a span says; None where it says nothing.

    `type` is generation, embedding, tool, agent, …, and span for any other.
    """

    type: str
    model: str | None = None
    provider: str | None = None
    prompt_tokens: int | None = None
    completion_tokens: int | None = None
    total_tokens: int | None = None
    cost_usd: float | None = None
    input: object = None
    output: object = None
    session_id: str | None = None
    user_id: str | None = None


def call_of(
    attributes: Mapping[str, Any], events: Sequence[tuple[str, Mapping[str, Any]]] = ()
) -> Call:
    """The call that a span's attributes, and its events by name, tell of.

    >>> call_of({"gen_ai.request.model": "m", "gen_ai.usage.input_tokens": 3}).prompt_tokens
    3
    """
    usage = _object(attributes.get(_USAGE))
    costs = _object(attributes.get(_COST_DETAILS))
    prompt = _count(_first(attributes, _PROMPT_TOKENS), usage.get("input"), usage.get("prompt"))
    completion = _count(
        _first(attributes, _COMPLETION_TOKENS), usage.get("output"), usage.get("completion")
    )
    total = _count(attributes.get("gen_ai.usage.total_tokens"), usage.get("total"))
    if total is None and (prompt is not None or completion is not None):
        total = (prompt or 0) + (completion or 0)
    model = _text(_first(attributes, _MODEL))
    return Call(
        type=_type(attributes, model),
        model=model,
        provider=_text(_first(attributes, _PROVIDER)),
        prompt_tokens=prompt,
        completion_tokens=completion,
        total_tokens=total,
        cost_usd=_cost(_first(attributes, _COST), costs),
        input=_content(attributes, _INPUT, events, _EVENT_INPUTS),
        output=_content(attributes, _OUTPUT, events, _EVENT_OUTPUTS),
        session_id=_text(_first(attributes, _SESSION)),
        user_id=_text(_first(attributes, _USER)),
    )


def _type(attributes: Mapping[str, Any], model: str | None) -> str:
    told = attributes.get(_TYPE)
    if isinstance(told, str) and told.isidentifier() and len(told) <= 32:
        return told.lower()
    operation = attributes.get(_OPERATION)
    found = _OPERATIONS.get(operation) if isinstance(operation, str) else None
    return found or ("generation" if model is not None else "span")


def _content(
    attributes: Mapping[str, Any],
    names: tuple[str, ...],
    events: Sequence[tuple[str, Mapping[str, Any]]],
    event_names: tuple[str, ...],
) -> object:
    found = _first(attributes, names)
    if found is not None:
        return found
    for name, members in events:
        if name in event_names:
            return _first(members, names) or dict(members)
    return None


def _first(attributes: Mapping[str, Any], names: tuple[str, ...]) -> Any:
    for name in names:
        value = attributes.get(name)
        if value is not None and value != "":
            return value
    return None


def _text(value: object) -> str | None:
    return None if value is None else str(value)


def _object(value: object) -> Mapping[str, Any]:
    if isinstance(value, str):
        try:
            value = json.loads(value)
        except (ValueError, RecursionError):
            return {}
    return value if isinstance(value, Mapping) else {}


def _count(*values: object) -> int | None:
    for value in values:
        number = _number(value)
        if number is not None and 0 <= number <= _MAX_TOKENS:
            return int(number)
    return None


def _cost(told: object, details: Mapping[str, Any]) -> float | None:
    numbers = {name: number for name, v in details.items() if (number := _number(v)) is not None}
    cost = _number(told)
    if cost is None and numbers:
        cost = numbers.get("total", sum(numbers.values()))
    return cost if cost is not None and 0 <= cost <= _MAX_COST else None


def _number(value: object) -> float | None:
    if isinstance(value, bool) or not isinstance(value, (int, float, str)):
        return None
    try:
        return float(value)
    except (ValueError, OverflowError):
        return None
