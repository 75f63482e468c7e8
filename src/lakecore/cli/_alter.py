"""``lakecore alter``."""

from __future__ import annotations

from typing import Any

import click

from lakecore.base import InvalidInput
from lakecore.cli._context import SOURCE, State, pass_state
from lakecore.cli._datasets import described_entry
from lakecore.cli._group import command as make_command
from lakecore.cli._options import authorship
from lakecore.cli._output import print_json, print_text

CONTRACTS = ("evolve", "freeze", "quarantine")


@make_command(name="alter", epilog="Example: lakecore alter planes --protect --owner fleet-team")
@click.argument("dataset")
@click.option("--protect/--unprotect", "protected", default=None, help="Refuse or allow to drop.")
@click.option(
    "--contract",
    type=click.Choice(CONTRACTS),
    help="What an ingest may do to the columns: add some, nothing, or set rows apart.",
)
@click.option("--entity-type", metavar="TYPE", help="What a row is, for the journal.")
@click.option("--description", metavar="TEXT")
@click.option("--owner", metavar="NAME")
@authorship
@pass_state
def command(
    state: State,
    /,
    dataset: str,
    actor: str | None,
    reason: str,
    **properties: str | bool | None,
) -> None:
    """Change properties of a dataset; what is not named stays."""
    changes: dict[str, Any] = {
        name: value for name, value in properties.items() if value is not None
    }
    if not changes:
        raise InvalidInput("nothing to change", hint="lakecore alter --help lists the properties")
    with state.open_lake(actor=actor) as lake:
        altered = lake.alter(dataset, source=SOURCE, reason=reason, **changes)
        if state.as_json:
            print_json(described_entry(lake, altered))
        else:
            print_text(f"{altered.name}: {', '.join(changes)} changed")
