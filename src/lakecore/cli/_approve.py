"""``lakecore approve``."""

from __future__ import annotations

import click

from lakecore.cli._changes import report
from lakecore.cli._context import SOURCE, State, pass_state
from lakecore.cli._group import command as make_command
from lakecore.cli._options import authorship


@make_command(
    name="approve",
    epilog='Example: lakecore approve 01997f9e-5c5b-7000-8b1f-0d6f4f1f2a11 --reason "checked"',
)
@click.argument("change", metavar="ID")
@authorship
@pass_state
def command(state: State, change: str, actor: str | None, reason: str) -> None:
    """Make a change that waits, exactly as `pending` shows it.

    It stays its author's; whoever approves it is kept with it. When a row that it touches,
    the rules, or what they look at changed meanwhile, it is not made: it waits again, with
    its new diff.
    """
    with state.open_lake(actor=actor) as lake:
        report(state, lake.approve(change, source=SOURCE, reason=reason))
