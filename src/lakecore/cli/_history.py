"""``lakecore history``."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from typing import Any

import click

from lakecore.base import InvalidInput
from lakecore.cli._context import State, pass_state
from lakecore.cli._events import print_history
from lakecore.cli._group import command as make_command
from lakecore.cli._options import inside, parse_key, workspace_option
from lakecore.cli._output import note, print_json, print_pairs


@make_command(name="history", epilog="Example: lakecore history planes N10156 --field seats")
@click.argument("dataset")
@click.argument("key")
@click.option("--field", metavar="COLUMN", help="Only what concerns this column.")
@click.option(
    "--as-of",
    metavar="T",
    help="The row as it was then: a time, a version as v3, or a seq as '#7'; inclusive.",
)
@workspace_option
@pass_state
def command(
    state: State,
    dataset: str,
    key: str,
    field: str | None,
    as_of: str | None,
    workspace: str | None,
) -> None:
    """Every change of one row, oldest first: who, when, old → new, why.

    KEY is the value of the key column; of a composite key a JSON array, such as
    '["EWR", "2013-01-01T06:00:00Z"]'. A row that is gone keeps its history. With --as-of the
    row itself is printed, not its changes.
    """
    moment = parse_moment(as_of) if as_of is not None else None
    if moment is not None and workspace is not None:
        raise InvalidInput("--as-of asks main", expected="--as-of or --workspace, not both")
    with state.open_lake() as lake:
        if moment is not None:
            _print_row(state, lake.entity(dataset, parse_key(key), **moment), field)
            return
        events = inside(lake, workspace).history(dataset, parse_key(key), field=field)
        if state.as_json:
            print_json([event.to_dict() for event in events])
        elif events:
            print_history(events)
        else:
            note(f"{dataset} has no events of {key!r}")


def parse_moment(text: str) -> dict[str, Any]:
    """A moment by the name that `Lake.entity` has for it.

    >>> parse_moment("v3"), parse_moment("#7")
    ({'version': 3}, {'seq': 7})
    """
    kind, digits = text[:1], text[1:]
    if kind in ("v", "#") and digits.isascii() and digits.isdigit():
        return {"version" if kind == "v" else "seq": int(digits)}
    try:
        time = datetime.fromisoformat(text)
    except ValueError as error:
        raise InvalidInput(
            "not a moment",
            expected="2026-01-31T12:00:00Z, a version such as v3, or a seq such as '#7'",
            found=text,
            where="--as-of",
        ) from error
    return {"time": time if time.tzinfo is not None else time.replace(tzinfo=UTC)}


def _print_row(state: State, row: dict[str, Any] | None, field: str | None) -> None:
    if row is not None and field is not None:
        row = {name: value for name, value in row.items() if name == field}
    if state.as_json:
        print_json(row)
    elif row is None:
        note("there was no such row then")
    else:
        print_pairs({name: json.dumps(value, ensure_ascii=False) for name, value in row.items()})
