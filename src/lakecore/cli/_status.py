"""``lakecore status``."""

from __future__ import annotations

from lakecore.cli._context import State, pass_state
from lakecore.cli._group import command as make_command
from lakecore.cli._output import flattened, print_json, print_pairs


@make_command(name="status", epilog="Example: lakecore status --json")
@pass_state
def command(state: State) -> None:
    """What is in the lake, what waits to be sealed, and since when."""
    with state.open_lake() as lake:
        status = lake.status()
    if state.as_json:
        print_json(status)
    else:
        print_pairs(flattened(status))
