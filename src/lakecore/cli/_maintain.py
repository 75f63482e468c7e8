"""``lakecore maintain``."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from lakecore.cli._context import State, pass_state
from lakecore.cli._group import command as make_command
from lakecore.cli._output import print_json, print_table, print_text
from lakecore.cli._text import duration, printable, size

if TYPE_CHECKING:
    from lakecore.maintain import Step

_COLUMNS = ("dataset", "step", "outcome", "files", "bytes", "took", "detail")


@make_command(name="maintain", epilog="Example: lakecore maintain planes --dry-run")
@click.argument("datasets", nargs=-1, metavar="[DATASET]...")
@click.option("--dry-run", is_flag=True, help="Say what would be done, and do nothing.")
@click.option(
    "--engine",
    type=click.Choice(("datafusion", "spark")),
    default="datafusion",
    help="spark: the server of [query] spark reads and sorts the rows of a compaction.",
)
@click.option("--actor", metavar="NAME", help="In whose name.")
@click.option("--reason", metavar="TEXT", default="", help="Why, for the journal.")
@click.pass_context
@pass_state
def command(
    state: State,
    ctx: click.Context,
    datasets: tuple[str, ...],
    dry_run: bool,
    engine: str,
    actor: str | None,
    reason: str,
) -> None:
    """Put small files together, and remove those that are not kept any more. No row changes.

    \b
    compact      small files become one, with the same rows
    checkpoint   where a table's log has grown long
    vacuum       files that no kept version needs; once a day, or when the dataset is named
    purge        files of datasets that were dropped, behind their grace

    Each step is in the journal, and in `system.maintenance`. Exit code 1 when one failed.
    """
    with state.open_lake(actor=actor) as lake:
        report = lake.maintain(
            list(datasets) or None, dry_run=dry_run, reason=reason, engine=engine
        )
    if state.as_json:
        print_json(report)
    elif not report.steps:
        print_text("nothing is due")
    else:
        print_table(_COLUMNS, [_row(step) for step in report.steps], right=("took",))
    ctx.exit(0 if report.ok else 1)


def _row(step: Step) -> tuple[str, ...]:
    files = sizes = ""
    if step.files_before:
        files = f"{step.files_before:,} → {step.files_after:,}"
        sizes = f"{size(step.bytes_before)} → {size(step.bytes_after)}"
    took = duration(step.seconds) if step.outcome == "done" else ""
    return (
        step.dataset,
        step.action,
        step.outcome,
        files,
        sizes,
        took,
        printable(step.detail),
    )
