"""``lakecore review``: the review loop over a git repository."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import click

from lakecore.cli._context import State, pass_state
from lakecore.cli._files import write_text
from lakecore.cli._group import group
from lakecore.cli._options import parse_time
from lakecore.cli._output import note, print_json, print_table, print_text
from lakecore.cli._review_canary import canary
from lakecore.cli._review_confirm import confirm
from lakecore.cli._review_export import chosen, export, exported
from lakecore.cli._review_options import options_of as _options
from lakecore.cli._review_options import where as _where
from lakecore.cli._review_progress import FORMS, Progress, estimate_lines, plan_body
from lakecore.cli._review_search import make_refactor_command, search

if TYPE_CHECKING:
    from lakecore.app import Lake
    from lakecore.review import Gate, IterationReport, Memory, RunResult

_SEVERITIES: Final = ("critical", "major", "minor", "info")
_FORMATS: Final = ("table", "json", "csv", "markdown", "sarif")
_MICRO: Final = 1_000_000


@group(name="review", epilog="Example: lakecore review run --glob 'src/**/*.py'")
def command() -> None:
    """Review code with models, over iterations: a score rises when a fix is confirmed.

    Any git repository; only what is committed is read. Findings whose quote is not in the file
    are thrown away, and what was not looked at is never green.
    """


command.add_command(confirm)
command.add_command(export)


@command.command("run", epilog="Example: lakecore review run --since main --estimate")
@_where
@click.argument("paths", nargs=-1)
@click.option("--rev", "revision", default="HEAD", show_default=True, help="What is reviewed.")
@click.option("--glob", "patterns", multiple=True, help="Which files; '!' in front leaves out.")
@click.option("--since", metavar="REV", help="Only files that differ from this revision.")
@click.option("--churn", type=click.IntRange(1), help="Only so many, the most often changed.")
@click.option(
    "--proposal",
    type=click.Path(exists=True, dir_okay=False, path_type=Path),
    help="A text that says what is about to be fixed: where to look.",
)
@click.option("--run", "run_id", metavar="ID", help="Finish the run of this id.")
@click.option("--everything", is_flag=True, help="Also files that are as they were.")
@click.option("--workers", type=click.IntRange(1, 64), default=4, show_default=True)
@click.option("--max-tokens", type=click.IntRange(100), default=12_000, help="Of one question.")
@click.option(
    "--least",
    type=click.Choice(_SEVERITIES),
    default="major",
    show_default=True,
    help="The mildest severity that fails the gate.",
)
@click.option(
    "--progress",
    type=click.Choice(FORMS),
    default="auto",
    show_default=True,
    help="On stderr, behind the estimate: a bar on a terminal, else a line for each file.",
)
@click.option("--estimate", is_flag=True, help="Say what it would ask, and ask nothing.")
@pass_state
def run(
    state: State,
    /,
    repository: str,
    paths: tuple[str, ...],
    revision: str,
    patterns: tuple[str, ...],
    since: str | None,
    churn: int | None,
    proposal: Path | None,
    run_id: str | None,
    everything: bool,
    workers: int,
    max_tokens: int,
    least: str,
    progress: str,
    estimate: bool,
    **given: Any,
) -> None:
    """Review files, follow their findings, confirm what is claimed to be fixed.

    Exit codes: 0 nothing open, 1 open findings, 3 not all of it could be reviewed: run it again
    with the same --run.
    """
    from lakecore.review import RunSettings, Selection, gate

    settings = RunSettings(
        max_tokens=max_tokens,
        workers=workers,
        everything=everything,
        proposal="" if proposal is None else proposal.read_text(encoding="utf-8"),
    )
    with state.open_lake() as lake:
        options = _options(lake, given) | {
            "revision": revision,
            "selection": Selection(tuple(patterns), since, churn, tuple(paths)),
            "settings": settings,
        }
        if estimate:
            _print_plan(state, lake, repository, options)
            return
        told = Progress(progress, lake)
        result = lake.reviews.run(
            repository, run_id=run_id, on_file=told.file, on_plan=told.planned, **options
        )
    decided = gate(result.outcomes, least=least)
    _print_result(state, result, decided)
    sys.exit(decided.exit_code)


@command.command("status", epilog="Example: lakecore review status --repo ../project")
@_where
@pass_state
def status(state: State, /, repository: str, **given: Any) -> None:
    """Each file: its scores, its open findings, its signal class and why."""
    with state.open_lake() as lake:
        memory = lake.reviews.memory(repository, **_options(lake, given))
    rows = _status(memory)
    if state.as_json:
        print_json(rows)
        return
    print_table(
        ("file", "score", "confirmed", "open", "signal", "why"),
        [
            [
                row["path"],
                _number(row["score"]),
                _number(row["confirmed_score"]),
                str(row["open"]),
                row["signal"],
                row["reason"],
            ]
            for row in rows
        ],
    )


@command.command("report", epilog="Example: lakecore review report --format html -o review.html")
@_where
@click.option(
    "--format",
    "form",
    type=click.Choice(("table", "json", "html")),
    default="table",
    show_default=True,
    help="html: a page in one file, without a script.",
)
@click.option(
    "-o",
    "--output",
    type=click.Path(dir_okay=False, path_type=Path),
    help="A file, of json and html; default: standard output.",
)
@pass_state
def report(state: State, /, repository: str, form: str, output: Path | None, **given: Any) -> None:
    """The figures of each iteration under the bar."""
    with state.open_lake() as lake:
        options = _options(lake, given)
        if form == "html":
            write_text(output, lake.reviews.page(repository, **options))
            return
        reports = lake.reviews.reports(repository, **options)
    if state.as_json or form == "json" or output is not None:
        bodies = [one.to_body() for one in reports]
        write_text(output, json.dumps(bodies, ensure_ascii=False, indent=2) + "\n")
        return
    columns = ("iteration", "files", "mean", "confirmed", "↑ ↓ =", "first attempt", "as JSON")
    print_table((*columns, "verified", "auto/dry_run/sim/block"), [_iteration(r) for r in reports])
    if reports and reports[-1].signals:
        counts = ", ".join(f"{name} {n}" for name, n in sorted(reports[-1].signals.items()))
        print_text(f"signals: {counts}")


@command.command("findings", epilog="Example: lakecore review findings --format sarif")
@_where
@click.option("--state", "states", multiple=True, help="Only these; default: what is open.")
@click.option("--all", "every", is_flag=True, help="All, whatever their state.")
@click.option("--format", "form", type=click.Choice(_FORMATS), default="table", show_default=True)
@pass_state
def findings(
    state: State, /, repository: str, states: tuple[str, ...], every: bool, form: str, **given: Any
) -> None:
    """The findings, with the code that they quote."""
    from lakecore.review import finding_body

    with state.open_lake() as lake:
        memory = lake.reviews.memory(repository, **_options(lake, given))
    found = chosen(memory, states, every)
    if state.as_json and form == "table":
        form = "json"
    if form != "table":
        click.echo(exported(found, form), nl=False)
        return
    rows = []
    for one in found:
        body = finding_body(one)
        place = f"{body['path']}:{body['line']}"
        rows.append([body["id"][:12], body["severity"], body["state"], place, body["claim"][:80]])
    print_table(("finding", "severity", "state", "where", "claim"), rows)


@command.command("ignore", epilog="Example: lakecore review ignore 3fa1… --reason 'by design'")
@_where
@click.argument("finding")
@click.option("--reason", required=True, help="Why. 'wrong: …' counts against the model.")
@click.option("--until", metavar="TIME", help="When it counts again; default: never.")
@click.option("--actor", help="Who says so; default: the lake's actor.")
@pass_state
def ignore(
    state: State,
    /,
    repository: str,
    finding: str,
    reason: str,
    until: str | None,
    actor: str | None,
    **given: Any,
) -> None:
    """Leave FINDING, an id or the beginning of one, out of the gate: who, why, until when."""
    from lakecore.base import NotFound
    from lakecore.review import finding_body

    moment = None if until is None else parse_time(until, option="--until")
    with state.open_lake() as lake:
        options = _options(lake, given)
        memory = lake.reviews.memory(repository, **options)
        ids = [id_ for known in memory.files.values() for id_ in known.tracked]
        meant = [id_ for id_ in ids if id_.startswith(finding)]
        if len(meant) != 1:
            raise NotFound(
                "no finding, or several, are called that", found=f"{finding[:80]}: {len(meant)}"
            )
        done = lake.reviews.ignore(
            repository, meant[0], reason=reason, until=moment, who=actor, **options
        )
    if state.as_json:
        print_json(finding_body(done))
    else:
        print_text(f"{done.id}: ignored{f' until {until}' if until else ''}")


@command.command("trust", epilog="Example: lakecore review trust --format jsonl > trust.jsonl")
@click.option(
    "--format",
    "form",
    type=click.Choice(["table", "json", "jsonl"]),
    help="jsonl: a line of JSON for each model. Default: table.",
)
@click.option("--jsonl", is_flag=True, hidden=True)
@pass_state
def trust(state: State, form: str | None, jsonl: bool) -> None:
    """Every model by what became of its findings; its own confidence is no part of it.

    The rows behind each run are in system.model_trust. With [review] order_by_trust the most
    trusted is asked first.
    """
    import json

    with state.open_lake() as lake:
        bodies = [one.to_row() for one in lake.reviews.trust()]
    chosen = "jsonl" if jsonl else form or ("json" if state.as_json else "table")
    if chosen == "jsonl":
        for body in bodies:
            print_text(json.dumps(body))
    elif chosen == "json":
        print_json(bodies)
    else:
        columns = ("model", "trust", "confirmed", "refuted", "control_hits", "control_misses")
        known = ["yes" if body["is_known"] else "too little" for body in bodies]
        rows = [[str(body[name]) for name in columns] for body in bodies]
        print_table(
            (*columns, "known"), [[*row, one] for row, one in zip(rows, known, strict=True)]
        )


def _print_plan(state: State, lake: Lake, repository: str, options: dict[str, Any]) -> None:
    plan = lake.reviews.plan(repository, **options)
    if state.as_json:
        print_json(plan_body(plan, lake))
        return
    for line in estimate_lines(plan, lake):
        print_text(line)


def _print_result(state: State, result: RunResult, decided: Gate) -> None:
    if state.as_json:
        print_json(
            {
                "run": result.run_id,
                "iteration": result.iteration,
                "exit_code": decided.exit_code,
                "reason": decided.reason,
                "blocking": list(decided.blocking),
                "files": len(result.outcomes),
                "reviewed": result.reviewed,
                "missing": list(result.missing),
                "confirmed": result.confirmed,
                "cost_usd": result.cost_microusd / _MICRO,
            }
        )
        return
    print_text(
        f"iteration {result.iteration}: {decided.reason}; {result.confirmed} fixes confirmed; "
        f"{result.cost_microusd / _MICRO:.4f} dollars"
    )
    if any(one.why == "no_rung" for one in result.outcomes):
        note("no model could be asked: [[llm.rung]] in lakecore.toml names them (docs/models.md)")
    if result.missing:
        count = len(result.missing)
        print_text(f"{count} files are missing: lakecore review run --run {result.run_id} …")


def _status(memory: Memory) -> list[dict[str, Any]]:
    signals = memory.signals()
    return [
        {
            "path": path,
            "score": known.points[-1].score if known.points else None,
            "confirmed_score": known.confirmed_score,
            "open": sum(one.is_open for one in known.tracked.values()),
            "signal": signals[path].name.value if path in signals else "INSUFFICIENT",
            "reason": signals[path].reason if path in signals else "not reviewed yet",
        }
        for path, known in sorted(memory.files.items())
    ]


def _iteration(one: IterationReport) -> list[str]:
    moved = one.movement
    return [
        str(one.iteration),
        f"{one.reviewed}/{one.files}",
        _number(one.mean_score),
        _number(one.mean_confirmed),
        f"{moved['↑']} {moved['↓']} {moved['=']}",
        f"{one.first_attempt}/{one.files}",
        f"{one.structured}/{one.files}",
        str(one.verified_components),
        "/".join(str(count) for count in one.tiers.values()),
    ]


def _number(value: float | None) -> str:
    return "–" if value is None else f"{value:.2f}"


command.add_command(canary)
command.add_command(search)
command.add_command(make_refactor_command(_where, _options))
