"""``lakecore agent``: tasks carried out by a model."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Any, Final

import click

from lakecore.cli._context import State, pass_state
from lakecore.cli._group import group
from lakecore.cli._output import note, print_json, print_table, print_text

if TYPE_CHECKING:
    from lakecore.agents import Run, Step

_FAILED: Final = 1
_SHOWN: Final = 200


@group(name="agent", epilog="Example: lakecore agent run 'How many planes have no seats?'")
def command() -> None:
    """Have a model carry out a task with the lake's tools.

    Every step is on record. What the agent may not do it cannot, and what the rules hold back
    waits for somebody else: the run waits with it, and goes on by `agent resume`.
    """


@command.command(
    "run", epilog="Example: lakecore agent run 'Which planes have no seats?' --max-usd 0.5"
)
@click.argument("task")
@click.option("--actor", metavar="NAME", help="In whose name; agent:NAME is an agent's.")
@click.option("--model", default="ladder", show_default=True, help="A rung, or the whole ladder.")
@click.option("--tool", "tools", multiple=True, help="A tool that it may use; default: all.")
@click.option("--max-steps", type=click.IntRange(1), help="Questions to the model.")
@click.option("--max-tokens", type=click.IntRange(1), help="Of questions and answers together.")
@click.option("--max-seconds", type=click.FloatRange(min=0, min_open=True))
@click.option("--max-usd", type=click.FloatRange(min=0, min_open=True), help="What it may cost.")
@pass_state
def run(
    state: State,
    task: str,
    actor: str | None,
    model: str,
    tools: tuple[str, ...],
    max_steps: int | None,
    max_tokens: int | None,
    max_seconds: float | None,
    max_usd: float | None,
) -> None:
    """Carry out TASK until it is done, has failed, or waits for a person."""
    from lakecore.agents import Limits
    from lakecore.llm import nano_of

    given: dict[str, Any] = {
        "max_steps": max_steps,
        "max_tokens": max_tokens,
        "max_seconds": max_seconds,
        "max_cost_nano": None if max_usd is None else nano_of(max_usd),
    }
    limits = Limits(**{name: value for name, value in given.items() if value is not None})
    with state.open_lake() as lake:
        ended = lake.run_agent(
            task,
            actor=actor,
            model=model,
            tools=tools or None,
            limits=limits,
            on_step=_show_step,
        )
    _print_run(state, ended)


@command.command("resume", epilog="Example: lakecore agent resume 0199…")
@click.argument("run_id", metavar="RUN")
@pass_state
def resume(state: State, run_id: str) -> None:
    """Go on with a run that waited, or whose process died."""
    with state.open_lake() as lake:
        ended = lake.resume_agent(run_id, on_step=_show_step)
    _print_run(state, ended)


@command.command("cancel", epilog="Example: lakecore agent cancel 0199…")
@click.argument("run_id", metavar="RUN")
@pass_state
def cancel(state: State, run_id: str) -> None:
    """End a run that waits. What it has proposed stays proposed."""
    with state.open_lake() as lake:
        ended = lake.cancel_agent(run_id)
    _print_run(state, ended)


@command.command("list", epilog="Example: lakecore agent list --limit 5")
@click.option("--limit", type=click.IntRange(1, 1_000), default=20, show_default=True)
@pass_state
def list_(state: State, limit: int) -> None:
    """The runs of this machine, the newest first; system.runs has those of all."""
    with state.open_lake() as lake:
        runs = lake.agent_runs(limit=limit)
    if state.as_json:
        print_json([run_body(one) for one in runs])
        return
    rows = [[one.id, one.state.value, one.actor, _cut(one.task, 60)] for one in runs]
    print_table(("run", "state", "actor", "task"), rows)


@command.command("show", epilog="Example: lakecore agent show 0199…")
@click.argument("run_id", metavar="RUN")
@pass_state
def show(state: State, run_id: str) -> None:
    """One run, step by step."""
    with state.open_lake() as lake:
        found, steps = lake.agent_run(run_id), lake.agent_steps(run_id)
    if state.as_json:
        print_json(run_body(found) | {"steps": [step_body(one) for one in steps]})
        return
    for one in steps:
        print_text(_step_line(one))
    _print_run(state, found, ends=False)


def run_body(run: Run) -> dict[str, Any]:
    """A run, JSON-ready."""
    names = ("id", "task", "actor", "model", "pending", "result", "reason", "detail")
    return {name: getattr(run, name) for name in names} | {"state": run.state.value}


def step_body(step: Step) -> dict[str, Any]:
    """A step, JSON-ready."""
    names = ("number", "name", "arguments", "outcome", "result", "pending")
    return {"kind": step.kind.value} | {name: getattr(step, name) for name in names}


def _print_run(state: State, run: Run, *, ends: bool = True) -> None:
    if state.as_json:
        print_json(run_body(run))
    elif run.pending:
        print_text(f"{run.id}: waits for a person; see: lakecore pending {run.pending}")
    elif run.result:
        print_text(run.result)
    else:
        why = ": ".join(part for part in (run.reason, run.detail) if part)
        print_text(f"{run.id}: {run.state.value}{f' ({why})' if why else ''}")
    if ends and run.state.value == "failed":
        sys.exit(_FAILED)


def _show_step(run: Run, step: Step) -> None:
    note(_step_line(step))


def _step_line(step: Step) -> str:
    what = f"{step.name} {step.arguments}" if step.kind.value == "tool" else step.name
    told = "" if step.result is None else f" → {step.outcome}: {_cut(step.result, _SHOWN)}"
    return f"{step.number:>3} {step.kind.value:<6} {_cut(what, _SHOWN)}{told}"


def _cut(text: str, most: int) -> str:
    flat = " ".join(text.split())
    return flat if len(flat) <= most else f"{flat[: most - 1]}…"
