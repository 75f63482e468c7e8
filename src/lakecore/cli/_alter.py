"""``lakecore alter``."""

from __future__ import annotations

from typing import Any

import click

from lakecore.base import InvalidInput
from lakecore.cli._changes import report
from lakecore.cli._context import SOURCE, State, pass_state
from lakecore.cli._datasets import described_entry
from lakecore.cli._group import command as make_command
from lakecore.cli._options import TIERS, change_options, split_assignment
from lakecore.cli._output import print_json, print_text
from lakecore.cli._text import count, printable

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
@click.option(
    "--retention-days", type=float, help="Days for which every version is kept; -1: the lake's."
)
@click.option(
    "--retention-versions", type=int, help="Versions kept whatever their age; -1: the lake's."
)
@click.option("--add", metavar="COL=TYPE", multiple=True, help="A new column, null in every row.")
@click.option("--rename", metavar="COL=NEW", multiple=True, help="Another name for a column.")
@click.option("--drop", metavar="COL", multiple=True, help="A column that goes.")
@click.option(
    "--widen",
    metavar="COL=TYPE",
    multiple=True,
    help="A type that holds all values of the column's: long, double, decimal(20,4), timestamp.",
)
@change_options
@pass_state
def command(
    state: State,
    /,
    dataset: str,
    actor: str | None,
    reason: str,
    tier: str,
    add: tuple[str, ...],
    rename: tuple[str, ...],
    drop: tuple[str, ...],
    widen: tuple[str, ...],
    retention_days: float | None,
    retention_versions: int | None,
    **properties: str | bool | None,
) -> None:
    """Change properties and columns of a dataset; what is not named stays.

    Columns are dropped, renamed, widened and added, in this order, as one version. Only
    adding leaves the files of the table as they are.
    """
    changes: dict[str, Any] = {
        name: value for name, value in properties.items() if value is not None
    }
    retention = {"retention_days": retention_days, "retention_versions": retention_versions}
    for name, number in retention.items():
        if number is not None:
            changes[name] = None if number == -1 else number
    from lakecore.tables import column_changes

    columns = column_changes(
        add=_pairs(add, "--add"),
        rename=_pairs(rename, "--rename"),
        drop=drop,
        widen=_pairs(widen, "--widen"),
    )
    if changes and columns:
        raise InvalidInput("properties and columns", hint="change them by two commands")
    if columns:
        with state.open_lake(actor=actor) as lake:
            result = lake.alter_columns(dataset, columns, source=SOURCE, reason=reason, tier=tier)
        if state.as_json or not result.committed:
            report(state, result)
        else:
            changed = count(len(columns), "column")
            print_text(f"{printable(result.dataset)}: {changed} altered; version {result.version}")
        return
    if tier != TIERS[0]:
        raise InvalidInput("only changes of columns can be dry runs", found=tier)
    if not changes:
        raise InvalidInput("nothing to change", hint="lakecore alter --help lists the properties")
    with state.open_lake(actor=actor) as lake:
        altered = lake.alter(dataset, source=SOURCE, reason=reason, **changes)
        if state.as_json:
            print_json(described_entry(lake, altered))
        else:
            print_text(f"{altered.name}: {', '.join(changes)} changed")


def _pairs(texts: tuple[str, ...], option: str) -> dict[str, str]:
    pairs = [split_assignment(text, option=option) for text in texts]
    if len({name for name, _ in pairs}) < len(pairs):
        raise InvalidInput("a column is named twice", where=option)
    return {name: value.strip() for name, value in pairs}
