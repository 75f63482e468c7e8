"""``lakecore reject``."""

from __future__ import annotations

import click

from lakecore.cli._context import SOURCE, State, pass_state
from lakecore.cli._group import command as make_command
from lakecore.cli._options import authorship
from lakecore.cli._output import print_json, print_text


@make_command(
    name="reject",
    epilog='Example: lakecore reject 01997f9e-5c5b-7000-8b1f-0d6f4f1f2a11 --reason "wrong file"',
)
@click.argument("change", metavar="ID")
@authorship
@pass_state
def command(state: State, change: str, actor: str | None, reason: str) -> None:
    """Have a change that waits not made. Who and why is kept."""
    with state.open_lake(actor=actor) as lake:
        rejected = lake.reject(change, reason, source=SOURCE)
        if state.as_json:
            print_json(rejected.to_dict())
        else:
            print_text(f"{rejected.id} is rejected; {rejected.dataset} stays as it is")
