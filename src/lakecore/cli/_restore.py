"""``lakecore restore``."""

from __future__ import annotations

import click

from lakecore.base import InvalidInput
from lakecore.cli._changes import report
from lakecore.cli._context import SOURCE, State, pass_state
from lakecore.cli._group import command as make_command
from lakecore.cli._options import change_options, inside, parse_time, workspace_option


@make_command(name="restore", epilog="Example: lakecore restore planes --version 3 --tier dry_run")
@click.argument("dataset")
@click.option("--version", type=click.IntRange(min=0), metavar="N", help="The version wanted.")
@click.option("--time", metavar="T", help="The version that was there then; UTC without a zone.")
@workspace_option
@change_options
@pass_state
def command(
    state: State,
    dataset: str,
    version: int | None,
    time: str | None,
    workspace: str | None,
    actor: str | None,
    reason: str,
    tier: str,
) -> None:
    """Make a dataset what it was: rows and columns, as a new version.

    Later versions stay, and can be restored in turn. The journal gets the rows and fields
    that differ.
    """
    if (version is None) == (time is None):
        raise InvalidInput("which version?", expected="--version or --time, one of them")
    moment = parse_time(time, option="--time") if time is not None else None
    with state.open_lake(actor=actor) as lake:
        result = inside(lake, workspace).restore(
            dataset, version=version, time=moment, source=SOURCE, reason=reason, tier=tier
        )
        report(state, result)
