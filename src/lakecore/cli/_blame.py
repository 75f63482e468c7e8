"""``lakecore blame``."""

from __future__ import annotations

import click

from lakecore.cli._context import State, pass_state
from lakecore.cli._events import reason_of
from lakecore.cli._group import command as make_command
from lakecore.cli._options import parse_key
from lakecore.cli._output import note, print_json, print_table
from lakecore.cli._text import moment


@make_command(name="blame", epilog="Example: lakecore blame planes N10156")
@click.argument("dataset")
@click.argument("key")
@pass_state
def command(state: State, dataset: str, key: str) -> None:
    """Who last changed each field of one row, when and why.

    The field '*' stands for all that did not change since the row as a whole was written.
    KEY is as for `history`.
    """
    with state.open_lake() as lake:
        last = lake.blame(dataset, parse_key(key))
        if state.as_json:
            print_json({field: event.to_dict() for field, event in last.items()})
        elif last:
            print_table(
                ["field", "value", "actor", "time", "reason"],
                [
                    (
                        field,
                        "gone" if event.new_value is None else event.new_value,
                        event.actor,
                        moment(event.timestamp),
                        reason_of(event),
                    )
                    for field, event in last.items()
                ],
            )
        else:
            note(f"{dataset} has no events of {key!r}")
