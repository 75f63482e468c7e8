"""``lakecore delete``."""

from __future__ import annotations

import click

from lakecore.cli._changes import report
from lakecore.cli._context import SOURCE, State, pass_state
from lakecore.cli._group import command as make_command
from lakecore.cli._options import (
    change_options,
    inside,
    keys_option,
    parse_keys,
    workspace_option,
)


@make_command(
    name="delete",
    epilog='Example: lakecore delete planes --where "year < 1960" --tier dry_run',
)
@click.argument("dataset")
@click.option("--where", metavar="SQL", help="Which rows: a condition over the columns.")
@keys_option
@click.option("--all", "all_rows", is_flag=True, help="Every row, with no --where and no --key.")
@workspace_option
@change_options
@pass_state
def command(
    state: State,
    dataset: str,
    where: str | None,
    keys: tuple[str, ...],
    all_rows: bool,
    workspace: str | None,
    actor: str | None,
    reason: str,
    tier: str,
) -> None:
    """Remove the rows with some keys, or for which a condition holds. Their history stays."""
    with state.open_lake(actor=actor) as lake:
        result = inside(lake, workspace).delete(
            dataset,
            where=where,
            keys=parse_keys(keys),
            all=all_rows,
            source=SOURCE,
            reason=reason,
            tier=tier,
        )
        report(state, result)
