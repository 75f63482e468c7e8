"""``lakecore journal repair``."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from lakecore.cli._context import SOURCE, State, pass_state
from lakecore.cli._group import command as make_command
from lakecore.cli._output import print_json, print_text
from lakecore.cli._text import count, printable

if TYPE_CHECKING:
    from lakecore.journal import Loss, Repair, RepairReport


@make_command(name="repair", epilog="Example: lakecore journal repair --dry-run")
@click.option("--dry-run", is_flag=True, help="Say what would be done, and do nothing.")
@click.option("--actor", metavar="NAME", help="Who repairs, for the event that tells of it.")
@click.pass_context
@pass_state
def repair(state: State, ctx: click.Context, dry_run: bool, actor: str | None) -> None:
    """Move away what is damaged and keeps the rest from working; say what is lost.

    \b
    a batch of the hot log   kept as a file; events that say 'lost' take its place
    a staged file            moved to journal/quarantine/
    an index file, a tile    removed, and built again
    a cache                  removed, and read again

    Nothing that was trusted is deleted. A damaged segment of the log is not repaired but
    named: a backup has it. An event tells of the repair.

    Exit code 1 when something is beyond repair.
    """
    with state.open_lake(actor=actor) as lake:
        report = lake.journal.repair(dry_run=dry_run, actor=lake.actor, source=SOURCE)
    if state.as_json:
        print_json(report.to_dict())
    else:
        _print_report(report)
    ctx.exit(1 if report.beyond_repair else 0)


def _print_report(report: RepairReport) -> None:
    verb = "would be" if report.dry_run else "were"
    print_text(f"{count(len(report.repairs), 'repair')} {verb} done")
    for item in report.repairs:
        print_text(f"  - {printable(_sentence(item))}")
    if report.beyond_repair:
        print_text(f"{count(len(report.beyond_repair), 'damage')} beyond repair; a backup helps:")
        for problem in report.beyond_repair:
            place = " ".join(filter(None, (problem.where, problem.field)))
            text = f"{place}: expected {problem.expected}, found {problem.found}"
            print_text(f"  - {printable(text)}")


def _sentence(item: Repair) -> str:
    text = f"{item.kind} {item.where}: {item.reason}"
    if item.moved_to:
        text += f"; kept as {item.moved_to}"
    if item.loss is not None:
        text += f"; lost: {_lost(item.loss)}"
    return text


def _lost(loss: Loss) -> str:
    text = "events of unknown number" if loss.count is None else count(loss.count, "event")
    if loss.commit:
        text += f" of {loss.commit}"
    if loss.first and loss.last:
        text += f", from {loss.first} to {loss.last}"
    if loss.event_ids:
        shown = ", ".join(loss.event_ids[:5])
        more = len(loss.event_ids) - 5
        text += f" ({shown}{', …' if more > 0 else ''})"
    return text
