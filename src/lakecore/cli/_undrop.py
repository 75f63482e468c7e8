"""``lakecore undrop``."""

from __future__ import annotations

import click

from lakecore.cli._context import SOURCE, State, pass_state
from lakecore.cli._datasets import described_entry
from lakecore.cli._group import command as make_command
from lakecore.cli._options import authorship
from lakecore.cli._output import print_json, print_text


@make_command(name="undrop", epilog="Example: lakecore undrop planes")
@click.argument("dataset")
@authorship
@pass_state
def command(state: State, dataset: str, actor: str | None, reason: str) -> None:
    """Bring a dropped dataset back, while its name is free and its grace of seven days lasts."""
    with state.open_lake(actor=actor) as lake:
        back = lake.undrop(dataset, source=SOURCE, reason=reason)
        if state.as_json:
            print_json(described_entry(lake, back))
        else:
            print_text(f"{back.name} is back")
