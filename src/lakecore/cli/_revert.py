"""``lakecore revert``."""

from __future__ import annotations

import click

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
@workspace_option
@change_options
@pass_state
def command(
    state: State,
    mutation: str,
    skip_conflicts: bool,
    workspace: str | None,
    actor: str | None,
    reason: str,
    tier: str,
) -> None:
    """Undo exactly one mutation, whatever came after it.

    MUTATION is its id, as `history` and `journal recent` show it. Where a row or field was
    changed since, nothing is undone, and the conflicts are named.
    """
    with state.open_lake(actor=actor) as lake:
        result = inside(lake, workspace).revert(
            mutation, skip_conflicts=skip_conflicts, source=SOURCE, reason=reason, tier=tier
        )
        report(state, result)
