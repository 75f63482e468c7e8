"""``lakecore adopt``."""

from __future__ import annotations

import click

from lakecore.cli._context import SOURCE, State, pass_state
from lakecore.cli._datasets import described_entry
from lakecore.cli._group import command as make_command
from lakecore.cli._options import authorship
from lakecore.cli._output import print_json, print_text


@make_command(
    name="adopt", epilog="Example: lakecore adopt tables/main/routes --dataset routes --key id"
)
@click.argument("uri")
@click.option("--dataset", required=True, metavar="NAME", help="The dataset that it becomes.")
@click.option(
    "--key",
    "key",
    multiple=True,
    metavar="COLUMN",
    help="A column that identifies a row. May be repeated.",
)
@click.option("--entity-type", metavar="TYPE", help="What a row is. Default: the name.")
@authorship
@pass_state
def command(
    state: State,
    uri: str,
    dataset: str,
    key: tuple[str, ...],
    entity_type: str | None,
    actor: str | None,
    reason: str,
) -> None:
    """Make a Delta table that another program wrote a dataset, where it lies.

    URI is the table's folder: a path in the lake, or a full path or URL below it. Nothing
    is copied, and nothing is written into the table. Its history begins now, with one event:
    the version, how many rows, their hash. A key is checked: no row without it, none twice.
    """
    with state.open_lake(actor=actor) as lake:
        adopted = lake.adopt(
            uri, dataset=dataset, key=key, entity_type=entity_type, source=SOURCE, reason=reason
        )
        if state.as_json:
            print_json(described_entry(lake, adopted))
        else:
            facts = lake.describe(adopted.name)
            print_text(
                f"{adopted.name}: adopted at version {adopted.adopted_version}, "
                f"{facts['rows']:,} rows, at {adopted.location}"
            )
