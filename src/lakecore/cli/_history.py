"""``lakecore history``."""

from __future__ import annotations

import click

from lakecore.cli._context import State, pass_state
from lakecore.cli._events import print_history
from lakecore.cli._group import command as make_command
from lakecore.cli._options import parse_key
from lakecore.cli._output import note, print_json


@make_command(name="history", epilog="Example: lakecore history planes N10156 --field seats")
@click.argument("dataset")
@click.argument("key")
@click.option("--field", metavar="COLUMN", help="Only what concerns this column.")
@pass_state
def command(state: State, dataset: str, key: str, field: str | None) -> None:
    """Every change of one row, oldest first: who, when, old → new, why.

    KEY is the value of the key column; of a composite key a JSON array, such as
    '["EWR", "2013-01-01T06:00:00Z"]'. A row that is gone keeps its history.
    """
    with state.open_lake() as lake:
        events = lake.history(dataset, parse_key(key), field=field)
        if state.as_json:
            print_json([event.to_dict() for event in events])
        elif events:
            print_history(events)
        else:
            note(f"{dataset} has no events of {key!r}")
