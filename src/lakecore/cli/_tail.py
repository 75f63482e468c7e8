"""``lakecore journal tail``: sealed events in order, as they come."""

from __future__ import annotations

import json
import sys

import click

from lakecore.cli._context import State, pass_state
from lakecore.cli._events import event_line
from lakecore.cli._group import Command
from lakecore.cli._output import note, print_text


@click.command(
    "tail",
    cls=Command,
    epilog="Example: lakecore journal tail --follow --json --cursor $(cat cursor)",
)
@click.option("--cursor", metavar="CURSOR", help="Go on where an earlier tail ended.")
@click.option(
    "--from",
    "from_seq",
    metavar="SEQ",
    type=int,
    default=0,
    show_default=True,
    help="Without a cursor: begin at this seq; below 0, so many events before the end.",
)
@click.option("--follow", is_flag=True, help="Wait for further events, until Ctrl-C.")
@click.option("--limit", metavar="N", type=click.IntRange(1), help="End after N events.")
@pass_state
def tail(state: State, cursor: str | None, from_seq: int, follow: bool, limit: int | None) -> None:
    """Sealed events, oldest first, one a line; what is not sealed yet is not shown.

    The cursor is printed on stderr at the end. Whoever goes on from one is told when the
    events before it are not those that were shown then (exit code 1). With --json a line is
    an event; the last of each batch, at most 1,000, has the member `cursor` besides: keep it
    when the lines up to it are dealt with.
    """
    with state.open_lake() as lake:
        found = lake.journal.tail(cursor, from_seq=from_seq, follow=follow, limit=limit)
        try:
            for batch in found:
                for event in batch.events[:-1]:
                    print_text(_json(event.to_dict()) if state.as_json else event_line(event))
                last = batch.events[-1]
                marked = {**last.to_dict(), "cursor": batch.cursor}
                print_text(_json(marked) if state.as_json else event_line(last))
                sys.stdout.flush()
        except KeyboardInterrupt:
            found.close()
        finally:
            note(f"cursor: {found.cursor}")


def _json(document: object) -> str:
    return json.dumps(document, ensure_ascii=False, separators=(",", ":"))
