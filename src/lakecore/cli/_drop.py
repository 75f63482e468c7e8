"""``lakecore drop``."""

from __future__ import annotations

import sys

import click

from lakecore.base import InvalidInput
from lakecore.cli._context import SOURCE, State, pass_state
from lakecore.cli._datasets import described_entry
from lakecore.cli._group import command as make_command
from lakecore.cli._options import authorship
from lakecore.cli._output import print_json, print_text
from lakecore.cli._text import moment, moment_of


@make_command(name="drop", epilog='Example: lakecore drop planes --yes --reason "loaded twice"')
@click.argument("dataset")
@click.option("--yes", is_flag=True, help="Do not ask.")
@authorship
@pass_state
def command(state: State, dataset: str, yes: bool, actor: str | None, reason: str) -> None:
    """Take a dataset out of sight. Its history stays, and `undrop` brings it back.

    A protected dataset is not dropped: `alter --unprotect` it first.
    """
    with state.open_lake(actor=actor) as lake:
        if not yes:
            _ask(dataset)
        dropped = lake.drop(dataset, source=SOURCE, reason=reason)
        if state.as_json:
            print_json(described_entry(lake, dropped))
        else:
            until = moment(moment_of(dropped.purge_after_us))
            print_text(f"{dropped.name} is dropped; until {until} it can be brought back with")
            print_text(f"  lakecore undrop {dropped.name}")


def _ask(dataset: str) -> None:
    if not sys.stdin.isatty():
        raise InvalidInput("dropping needs a yes", where=dataset, hint="give --yes")
    click.confirm(f"drop {dataset}?", abort=True, err=True)
