"""``lakecore rename``."""

from __future__ import annotations

import click

from lakecore.cli._context import SOURCE, State, pass_state
from lakecore.cli._datasets import described_entry
from lakecore.cli._group import command as make_command
from lakecore.cli._options import authorship
from lakecore.cli._output import print_json, print_text


@make_command(name="rename", epilog="Example: lakecore rename planes aircraft")
@click.argument("dataset")
@click.argument("new_name", metavar="NEW")
@authorship
@pass_state
def command(state: State, dataset: str, new_name: str, actor: str | None, reason: str) -> None:
    """Give a dataset another name. Its rows and its history stay as they are."""
    with state.open_lake(actor=actor) as lake:
        renamed = lake.rename(dataset, new_name, source=SOURCE, reason=reason)
        if state.as_json:
            print_json(described_entry(lake, renamed))
        else:
            print_text(f"{dataset} is {renamed.name} now")
