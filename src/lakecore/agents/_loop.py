"""The execution loop: ask the model, call the tools that it names, until it has a result.

For each turn:

1. limits     steps, tokens, time, money; going in circles
2. question   a step is written as begun, the ladder asked, the answer written
3. tools      for each call that the model wants, a step written as begun, the tool run, its
              answer written

Crash window: a step that was begun has no answer. A question is asked again: the ladder has the
first one on record as it was left. A tool is called again under the same id: what changes
something does it once under an id, so a change is never made twice.
"""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, Final

from lakecore.agents._ports import Approvals, Models, Records, Tool, ToolAnswer
from lakecore.agents._run import ENDED, Run, RunState, Step, StepKind, spent
from lakecore.agents._store import RunStore, reopened
from lakecore.agents._stuck import stuck
from lakecore.agents._transcript import messages
from lakecore.base import Bug, Clock, InvalidInput, LakecoreError, Refused, uuid8
from lakecore.llm import Ask, By

MAX_RESULT_CHARACTERS: Final = 16_000
MAX_CALLS_A_TURN: Final = 8
EVERY: Final = "*"
_MUTE: Final = 2
"""Answers in a row without a word and without a call, before a run has failed."""


@dataclass(frozen=True, slots=True)
class _Wanted:
    """A call that the model wants; `begun` where its step was written already."""

    id: str
    name: str
    arguments: str
    begun: Step | None = None


class Agent:
    """Runs tasks with one set of tools, in one actor's name.

    Args:
        on_step: told of each step that ends.
    """

    def __init__(
        self,
        store: RunStore,
        models: Models,
        tools: Sequence[Tool],
        approvals: Approvals,
        *,
        clock: Clock,
        records: Records | None = None,
        on_step: Callable[[Run, Step], None] = lambda run, step: None,
    ) -> None:
        names = [tool.name for tool in tools]
        if len(set(names)) != len(names):
            raise InvalidInput("two tools have one name", found=sorted(names))
        self._store = store
        self._models = models
        self._tools = {tool.name: tool for tool in tools}
        self._approvals = approvals
        self._clock = clock
        self._records = records
        self._on_step = on_step

    def run(self, run: Run) -> Run:
        """Begin a run, and go on until it ends or waits for a person."""
        unknown = sorted(set(run.tools) - self._tools.keys() - {EVERY})
        if unknown:
            raise InvalidInput(
                "there is no such tool", expected=", ".join(sorted(self._tools)), found=unknown[0]
            )
        self._store.create(replace(run, created_us=run.created_us or self._clock.now_us()))
        return self.resume(run.id)

    def resume(self, run_id: str) -> Run:
        """Go on with a run that waits, or whose process died; one that has ended stays ended.

        Raises:
            NotFound: there is no such run.
            Conflict: somebody works on it.
        """
        with self._store.held(run_id):
            run = self._store.get(run_id)
            if run.state in ENDED:
                return run
            steps = self._store.steps(run_id)
            self._tell(run, steps)
            return self._go(run, steps)

    def cancel(self, run_id: str) -> Run:
        """End a run that waits or that nobody works on."""
        with self._store.held(run_id):
            run = self._store.get(run_id)
            if run.state in ENDED:
                return run
            return self._end(run, RunState.CANCELLED, self._store.steps(run_id))

    # -- the loop ---------------------------------------------------------------------

    def _go(self, run: Run, steps: list[Step]) -> Run:
        started_s = time.monotonic()
        # By the clock for what went before, and by one that nobody sets for the rest.
        before_us = max(0, self._clock.now_us() - run.created_us)
        while True:
            held = next((one for one in steps if one.pending), None)
            if held is not None:
                run = self._waited(run, steps, held)
                if run.state is RunState.WAITING:
                    return run
            ended = self._answered(run, steps)
            if ended is not None:
                return ended
            calls = self._open_calls(steps)
            if not calls:
                here_s = time.monotonic() - started_s
                elapsed_s = here_s + (before_us - run.waited_us) / 1e6
                why = self._over(run, steps, elapsed_s)
                if why is not None:
                    return self._end(run, RunState.FAILED, steps, reason=why[0], detail=why[1])
                self._question(run, steps)
                continue
            self._call(run, steps, calls[0])

    def _over(self, run: Run, steps: list[Step], elapsed_s: float) -> tuple[str, str] | None:
        """The limit that a run has reached."""
        limits, so_far = run.limits, spent(steps)
        if so_far.questions >= limits.max_steps:
            return "steps", f"{so_far.questions} questions, as many as allowed"
        if so_far.tokens >= limits.max_tokens:
            return "tokens", f"{so_far.tokens:,} of {limits.max_tokens:,} tokens"
        if elapsed_s >= limits.max_seconds:
            return "time", f"{elapsed_s:.0f} of {limits.max_seconds:.0f} seconds"
        if limits.max_cost_nano is not None and so_far.cost_nano >= limits.max_cost_nano:
            return "money", f"{so_far.cost_nano} of {limits.max_cost_nano} nano-dollars"
        why = stuck(steps)
        return None if why is None else ("stuck", why)

    def _question(self, run: Run, steps: list[Step]) -> None:
        step = self._begun(run, steps, StepKind.MODEL, run.model)
        left_nano = None
        if run.limits.max_cost_nano is not None:
            left_nano = run.limits.max_cost_nano - spent(steps).cost_nano
        listed = [self._tools[name].to_openai() for name in self._names(run)]
        ask = Ask(
            messages=messages(run, steps),
            model=run.model,
            parameters={"tools": listed} if listed else {},
            max_output_tokens=run.limits.max_output_tokens,
            budget_nano=left_nano,
        )
        answer = self._models.complete(
            ask, By(actor=run.actor, key=run.key, source="agent", run=run.id)
        )
        message = _message(answer.body)
        outcome = answer.outcome.value
        calls = bool(answer.tool_calls)
        text = answer.text.strip()
        if (answer.ok or calls) and message is not None:
            outcome = "ok" if calls or text else "mute"
        elif outcome == "unparsable" and message is not None:
            outcome = "mute"  # an empty answer: there was nothing to parse
        ended = replace(
            step,
            outcome=outcome,
            result=text if outcome in ("ok", "mute") else answer.detail,
            message=message if outcome in ("ok", "mute") else None,
            prompt_tokens=answer.prompt_tokens,
            completion_tokens=answer.completion_tokens,
            cost_nano=answer.cost_nano,
        )
        self._ended(run, steps, ended)

    def _answered(self, run: Run, steps: Sequence[Step]) -> Run | None:
        """The run, where the model's last answer ends it."""
        last = steps[-1] if steps else None
        if last is None or last.kind is not StepKind.MODEL or last.result is None:
            return None
        if last.outcome == "mute":
            said = [one for one in steps if one.kind is StepKind.MODEL][-_MUTE:]
            if len(said) == _MUTE and all(one.outcome == "mute" for one in said):
                return self._end(run, RunState.FAILED, steps, reason="mute")
            return None
        if last.outcome != "ok":
            return self._end(run, RunState.FAILED, steps, reason=last.outcome, detail=last.result)
        if _wanted(last.message or {}):
            return None
        return self._end(run, RunState.DONE, steps, result=last.result)

    def _call(self, run: Run, steps: list[Step], call: _Wanted) -> None:
        step = call.begun or self._begun(
            run, steps, StepKind.TOOL, call.name, call_id=call.id, arguments=call.arguments
        )
        answer = self._tool(run, step)
        text = answer.text
        if len(text) > MAX_RESULT_CHARACTERS:
            left_out = len(text) - MAX_RESULT_CHARACTERS
            text = f"{text[:MAX_RESULT_CHARACTERS]}\n… {left_out:,} characters more; ask for less"
        told = replace(step, outcome=answer.outcome, result=text, pending=answer.pending)
        self._ended(run, steps, told)

    def _names(self, run: Run) -> list[str]:
        """Of the tools that a run may use."""
        return [name for name in self._tools if EVERY in run.tools or name in run.tools]

    def _tool(self, run: Run, step: Step) -> ToolAnswer:
        names = self._names(run)
        tool = self._tools[step.name] if step.name in names else None
        if tool is None:
            known = ", ".join(names) or "none"
            return ToolAnswer(f"there is no tool of that name; there are: {known}", "no_tool")
        try:
            arguments = json.loads(step.arguments or "{}")
        except (ValueError, RecursionError) as error:
            return ToolAnswer(f"the arguments are no JSON: {str(error)[:200]}", "unparsable")
        if not isinstance(arguments, dict):
            return ToolAnswer("the arguments are one JSON object", "unparsable")
        problem = _misfit(arguments, tool.parameters)
        if problem is not None:
            return ToolAnswer(problem, "schema")
        try:
            return tool.run(arguments, str(uuid8("agent", run.id, str(step.number))))
        except Refused as error:
            return ToolAnswer(str(error), "refused")
        except Bug:
            raise
        except LakecoreError as error:
            return ToolAnswer(str(error), "error")

    # -- waiting ----------------------------------------------------------------------

    def _waited(self, run: Run, steps: list[Step], held: Step) -> Run:
        """The run as it goes on, once what it waits for was decided; waiting, until then."""
        verdict = self._approvals.verdict(held.pending)
        if not verdict.is_decided:
            if run.state is not RunState.WAITING:
                now_us = self._clock.now_us()
                run = replace(run, state=RunState.WAITING, pending=held.pending, changed_us=now_us)
                self._put(run, steps)
            return run
        now_us = self._clock.now_us()
        told = f"{held.result}\n{verdict.text}"
        self._keep(run, steps, replace(held, result=told, pending=""))
        run = reopened(run, now_us, held.ended_us)
        self._put(run, steps)
        return run

    # -- what is written --------------------------------------------------------------

    def _open_calls(self, steps: Sequence[Step]) -> list[_Wanted]:
        """The calls that the last answer wants and that have no answer yet."""
        at = max((n for n, one in enumerate(steps) if one.kind is StepKind.MODEL), default=-1)
        if at < 0 or steps[at].message is None:
            return []
        behind = [one for one in steps[at + 1 :] if one.kind is StepKind.TOOL]
        wanted = _wanted(steps[at].message or {})
        open_calls = []
        for number, call in enumerate(wanted):
            if number < len(behind) and behind[number].result is not None:
                continue
            begun = behind[number] if number < len(behind) else None
            open_calls.append(replace(call, begun=begun))
        return open_calls

    def _begun(
        self,
        run: Run,
        steps: list[Step],
        kind: StepKind,
        name: str,
        *,
        call_id: str = "",
        arguments: str = "",
    ) -> Step:
        if steps and steps[-1].result is None:
            # What a process before this one had begun: it is begun again under its number.
            return replace(steps.pop(), started_us=self._clock.now_us())
        step = Step(
            number=len(steps) + 1,
            kind=kind,
            name=name,
            call_id=call_id,
            arguments=arguments,
            started_us=self._clock.now_us(),
        )
        self._store.put_step(run.id, step)
        return step

    def _ended(self, run: Run, steps: list[Step], step: Step) -> None:
        self._keep(run, steps, replace(step, ended_us=self._clock.now_us()))

    def _keep(self, run: Run, steps: list[Step], step: Step) -> None:
        if len(steps) >= step.number:
            steps[step.number - 1] = step
        else:
            steps.append(step)
        self._store.put_step(run.id, step)
        if self._records is not None:
            self._records.step(run, step)
        self._on_step(run, step)

    def _end(
        self,
        run: Run,
        state: RunState,
        steps: Sequence[Step],
        *,
        result: str = "",
        reason: str = "",
        detail: str = "",
    ) -> Run:
        now_us = self._clock.now_us()
        run = replace(
            run,
            state=state,
            result=result,
            reason=reason,
            detail=detail,
            changed_us=now_us,
            ended_us=now_us,
        )
        self._put(run, steps)
        return run

    def _put(self, run: Run, steps: Sequence[Step]) -> None:
        self._store.put(run)
        self._tell(run, steps)

    def _tell(self, run: Run, steps: Sequence[Step]) -> None:
        if self._records is not None:
            self._records.run(run, steps)


def _message(body: Mapping[str, Any] | None) -> Mapping[str, Any] | None:
    """What the model said, with at most so many calls."""
    choices = (body or {}).get("choices")
    first = choices[0] if isinstance(choices, list) and choices else None
    message = first.get("message") if isinstance(first, Mapping) else None
    if not isinstance(message, Mapping):
        return None
    calls = message.get("tool_calls")
    kept = dict(message)
    if isinstance(calls, list):
        kept["tool_calls"] = calls[:MAX_CALLS_A_TURN]
    return kept


def _wanted(message: Mapping[str, Any]) -> list[_Wanted]:
    found = []
    for call in message.get("tool_calls") or ():
        function = call.get("function") if isinstance(call, Mapping) else None
        if isinstance(function, Mapping):
            found.append(
                _Wanted(
                    str(call.get("id", "")),
                    str(function.get("name", "")),
                    str(function.get("arguments", "")),
                )
            )
    return found


def _misfit(arguments: Mapping[str, Any], schema: Mapping[str, Any]) -> str | None:
    """What is wrong with arguments, by the tool's schema."""
    from jsonschema import Draft202012Validator

    error = next(Draft202012Validator(dict(schema)).iter_errors(arguments), None)
    if error is None:
        return None
    where = ".".join(map(str, error.absolute_path)) or "the arguments"
    return f"the arguments do not fit, at {where}: {error.message[:300]}"
