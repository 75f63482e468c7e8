"""A run and its steps, as they are kept. Values; no I/O."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any, Final

from lakecore.base import InvalidInput

MAX_TASK_CHARACTERS: Final = 20_000


class RunState(StrEnum):
    """Where a run stands.

    Attributes:
        RUNNING: it goes on, or its process died: then `resume` goes on.
        WAITING: a change of it waits for a person.
        DONE: it has a result.
        FAILED: it ended without one; `reason` says why.
        CANCELLED: somebody ended it.
    """

    RUNNING = "running"
    WAITING = "waiting"
    DONE = "done"
    FAILED = "failed"
    CANCELLED = "cancelled"


ENDED: Final = frozenset((RunState.DONE, RunState.FAILED, RunState.CANCELLED))


class StepKind(StrEnum):
    """What a step is: a question to the model, a call of a tool, or a word of a person."""

    MODEL = "model"
    TOOL = "tool"
    PERSON = "person"


@dataclass(frozen=True, slots=True, kw_only=True)
class Limits:
    """How far a run goes.

    Attributes:
        max_steps: questions to the model.
        max_tokens: of prompts and answers together.
        max_seconds: from its start, waiting for people aside.
        max_cost_nano: nano-dollars; None: as the ladder's own budgets say.
        max_output_tokens: of one answer.
    """

    max_steps: int = 24
    max_tokens: int = 400_000
    max_seconds: float = 600.0
    max_cost_nano: int | None = None
    max_output_tokens: int = 2_048

    def __post_init__(self) -> None:
        for name in ("max_steps", "max_tokens", "max_seconds", "max_output_tokens"):
            if not getattr(self, name) > 0:
                raise InvalidInput("a limit is more than 0", found=getattr(self, name), where=name)


@dataclass(frozen=True, slots=True, kw_only=True)
class Step:
    """One step; `result` is None while it is under way.

    Attributes:
        number: from 1, without a gap.
        call_id: the model's name for a call of a tool.
        arguments: of a tool, as the model wrote them: a text.
        outcome: ``ok``, or the word for what went wrong.
        pending: the id of a change of this step that waits for a person.
        message: what the model said, in OpenAI's form, with the calls that it wants.
    """

    number: int
    kind: StepKind
    name: str
    call_id: str = ""
    arguments: str = ""
    outcome: str = ""
    result: str | None = None
    pending: str = ""
    message: Mapping[str, Any] | None = None
    prompt_tokens: int = 0
    completion_tokens: int = 0
    cost_nano: int = 0
    started_us: int = 0
    ended_us: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class Run:
    """One task for one agent.

    Attributes:
        actor: in whose name everything is done.
        key: the id of their API key, by which calls are metered.
        tools: names of the tools that it may use; ``*`` is all.
        pending: the id of the change that it waits for.
        changed_us: when it came to its state.
        waited_us: how long it has waited for people in all.
        reason: why it failed: one of the words in `FAILURES`, or an outcome of the ladder.
    """

    id: str
    task: str
    actor: str
    key: str = ""
    model: str = "ladder"
    tools: tuple[str, ...] = ()
    limits: Limits = field(default_factory=Limits)
    state: RunState = RunState.RUNNING
    pending: str = ""
    result: str = ""
    reason: str = ""
    detail: str = ""
    created_us: int = 0
    changed_us: int = 0
    ended_us: int = 0
    waited_us: int = 0


FAILURES: Final = ("steps", "tokens", "time", "money", "stuck", "mute")
"""A limit was reached; the same again and again; the model said nothing."""


@dataclass(frozen=True, slots=True)
class Spent:
    """What the steps of a run came to."""

    questions: int = 0
    tokens: int = 0
    cost_nano: int = 0


def spent(steps: list[Step]) -> Spent:
    """The sums over steps."""
    return Spent(
        sum(1 for one in steps if one.kind is StepKind.MODEL and one.result is not None),
        sum(one.prompt_tokens + one.completion_tokens for one in steps),
        sum(one.cost_nano for one in steps),
    )
