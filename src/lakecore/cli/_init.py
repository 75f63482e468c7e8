"""``lakecore init``."""

from __future__ import annotations

from lakecore.cli._context import State, pass_state
from lakecore.cli._group import command as make_command
from lakecore.cli._output import print_json, print_text
from lakecore.cli._text import printable


@make_command(name="init", epilog="Example: lakecore --lake s3://bucket/lake init")
@pass_state
def command(state: State) -> None:
    """Make a lake, or say that it is there.

    Making it is not needed before the first ingest: that makes it, too.
    """
    with state.open_lake(create=True) as lake:
        lake.journal.ensure_key()
        if state.as_json:
            print_json({"lake": lake.url, "lake_id": lake.lake_id})
        else:
            print_text(f"a lake is at {printable(lake.url)} (id {lake.lake_id})")
