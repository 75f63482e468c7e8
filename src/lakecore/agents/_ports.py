"""What the loop needs of others: a model, tools, and a place where its steps are durable."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Protocol

from lakecore.agents._run import Run, Step
from lakecore.llm import Answer, Ask, By


class Models(Protocol):
    """The ladder."""

    def complete(self, ask: Ask, by: By) -> Answer:
        """One call, always with a typed outcome."""


@dataclass(frozen=True, slots=True)
class ToolAnswer:
    """What a tool answered.

    Attributes:
        text: for the model; bounded by whoever calls the tool.
        outcome: ``ok``, or the word for what went wrong.
        pending: the id of a change that waits for a person.
    """

    text: str
    outcome: str = "ok"
    pending: str = ""


@dataclass(frozen=True, slots=True)
class Tool:
    """Something that an agent may do.

    Attributes:
        parameters: a JSON schema of its arguments.
        run: (arguments, id) to answer. The id names this call: what is called again under it
            has the same effect once.
    """

    name: str
    description: str
    parameters: Mapping[str, Any]
    run: Callable[[Mapping[str, Any], str], ToolAnswer] = field(repr=False)

    def to_openai(self) -> dict[str, Any]:
        """As a request lists it."""
        function = {
            "name": self.name,
            "description": self.description,
            "parameters": dict(self.parameters),
        }
        return {"type": "function", "function": function}


@dataclass(frozen=True, slots=True)
class Verdict:
    """What became of a change that waited; `text` tells it."""

    is_decided: bool
    text: str = ""


class Approvals(Protocol):
    """What waits for people."""

    def verdict(self, pending: str) -> Verdict:
        """Whether a change was decided, and how."""


class Records(Protocol):
    """Where runs and steps go as rows of `system.runs` and `system.steps`."""

    def run(self, run: Run, steps: Sequence[Step]) -> None:
        """A run has another state."""

    def step(self, run: Run, step: Step) -> None:
        """A step has ended."""
