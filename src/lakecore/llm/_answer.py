"""What a call of the ladder gives."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from lakecore.llm._outcome import Left, Outcome
from lakecore.llm._reply import answer_text


@dataclass(frozen=True, slots=True)
class ToolCall:
    """A tool that the model wants called. `arguments` is its text, whatever it is."""

    id: str
    name: str
    arguments: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Answer:
    """How a call ended, always with a typed outcome.

    Attributes:
        outcome: ok, or what the last rung was left for, or `no_rung`.
        detail: in words.
        call_id: names the call in the ledger and in `system.usage`.
        rung: that answered, or was asked last; empty where none was.
        value: the text, or the JSON value where JSON was asked for; None unless ok.
        body: the whole completion as the server sent it, where there is one.
        left: the rungs that were left or passed over, and why.
        attempts: requests that were sent; `prompt_tokens`, `completion_tokens` and `cost_nano`
            are their sums.
        retry_after_s: when it is worth asking again, where somebody said so.
    """

    outcome: Outcome
    detail: str
    call_id: str
    rung: str = ""
    value: Any = None
    body: Mapping[str, Any] | None = None
    left: tuple[Left, ...] = ()
    attempts: int = 0
    prompt_tokens: int = 0
    completion_tokens: int = 0
    cost_nano: int = 0
    retry_after_s: float | None = None

    @property
    def ok(self) -> bool:
        """Whether there is an answer of the form that was asked for."""
        return self.outcome is Outcome.OK

    @property
    def text(self) -> str:
        """What the model wrote, whatever the outcome."""
        return "" if self.body is None else answer_text(self.body)

    @property
    def tool_calls(self) -> tuple[ToolCall, ...]:
        """The tools that the model wants called; nothing in them was checked."""
        choices = (self.body or {}).get("choices") or [{}]
        message = choices[0].get("message")
        calls = message.get("tool_calls") if isinstance(message, Mapping) else None
        found = []
        for call in calls if isinstance(calls, list) else []:
            function = call.get("function") if isinstance(call, Mapping) else None
            if isinstance(function, Mapping):
                id_, name = str(call.get("id", "")), str(function.get("name", ""))
                found.append(ToolCall(id_, name, str(function.get("arguments", ""))))
        return tuple(found)
