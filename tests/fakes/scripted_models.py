"""A model that says what a script says, one answer after the other."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from lakecore.llm import Answer, Ask, By, Outcome

Words = str | Mapping[str, Any] | Outcome
Script = Sequence[Words | Callable[[Ask], Words]]


def call(name: str, _id: str = "", **arguments: Any) -> dict[str, Any]:
    """The wish to call a tool."""
    function = {"name": name, "arguments": json.dumps(arguments)}
    id_ = _id or f"call-{name}"
    return {"tool_calls": [{"id": id_, "type": "function", "function": function}]}


@dataclass
class ScriptedModels:
    """Answers in turn; the last one again and again.

    Attributes:
        asked: every question, with who asked.
        before: called before each answer: to die there.
    """

    script: Script
    tokens: int = 10
    cost_nano: int = 1_000
    asked: list[tuple[Ask, By]] = field(default_factory=list)
    before: Callable[[int], None] = lambda number: None

    def complete(self, ask: Ask, by: By) -> Answer:
        self.before(len(self.asked))
        words = self.script[min(len(self.asked), len(self.script) - 1)]
        self.asked.append((ask, by))
        if callable(words):
            words = words(ask)
        outcome = words if isinstance(words, Outcome) else Outcome.OK
        if isinstance(words, Outcome):
            return Answer(outcome=outcome, detail="as the script has it", call_id="c")
        said = {"content": words} if isinstance(words, str) else dict(words)
        message = {"role": "assistant", "content": None, **said}
        return Answer(
            outcome=Outcome.OK,
            detail="",
            call_id=f"c{len(self.asked)}",
            rung="script",
            body={"choices": [{"message": message}]},
            attempts=1,
            prompt_tokens=self.tokens,
            completion_tokens=self.tokens,
            cost_nano=self.cost_nano,
        )
