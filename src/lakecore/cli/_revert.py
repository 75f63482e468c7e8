"""``lakecore revert``."""

from __future__ import annotations

import click

from lakecore.base import InvalidInput
from lakecore.cli._changes import report
from lakecore.cli._context import SOURCE, State, pass_state
from lakecore.cli._group import command as make_command
from lakecore.cli._options import change_options, inside, workspace_option


@make_command(
    name="revert",
    epilog="Example: lakecore revert 01a2053d-44d1-7000-8877-67f5430a2026 --reason mistaken",
)
@click.argument("mutation")
@click.option(
    "--skip-conflicts",
    is_flag=True,
    help="Leave alone what was changed since, and undo the rest.",
)
@click.option(
    "--dataset", metavar="D", help="Of which dataset, where several changes have this id."
)
@click.option(
    "--version",
    type=click.IntRange(min=0),
    metavar="N",
    help="Of which version, where several changes have this id.",
)
@workspace_option
@change_options
@pass_state
def command(
    state: State,
    mutation: str,
    skip_conflicts: bool,
    dataset: str | None,
    version: int | None,
    workspace: str | None,
    actor: str | None,
    reason: str,
    tier: str,
) -> None:
    """Undo exactly one mutation, whatever came after it.

    MUTATION is its id, as `history` and `journal recent` show it. Where a row or field was
    changed since, nothing is undone, and the conflicts are named.
    """
    which = {"dataset": dataset, "version": version}
    named = {name: value for name, value in which.items() if value is not None}
    if named and workspace:
        raise InvalidInput("inside of a workspace an id is of one change", found=", ".join(named))
    with state.open_lake(actor=actor) as lake:
        result = inside(lake, workspace).revert(
            mutation,
            **named,
            skip_conflicts=skip_conflicts,
            source=SOURCE,
            reason=reason,
            tier=tier,
        )
        report(state, result)
