"""``lakecore replicate``."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from lakecore.cli._context import State, pass_state
from lakecore.cli._group import command as make_command
from lakecore.cli._output import note, print_json, print_text
from lakecore.cli._text import count, printable, size

if TYPE_CHECKING:
    from lakecore.backup import Replicated


@make_command(name="replicate", epilog="Example: lakecore replicate dr")
@click.argument("names", metavar="[NAME]...", nargs=-1)
@click.option(
    "--max-bytes",
    type=click.IntRange(min=1),
    metavar="N",
    help="Of data files, in this run; the next one goes on.",
)
@click.option("--prune", is_flag=True, help="Remove data files that the lake has no more.")
@pass_state
def command(state: State, names: tuple[str, ...], max_bytes: int | None, prune: bool) -> None:
    """Bring replicas up to date: the journal and all tables, only what is new.

    Replicas are named in the settings, [[storage.bucket]] with the role replica; without a
    name all of them. Each is a lake of its own that can be read at any time. Exit code 3 when
    --max-bytes ended a run.
    """
    done: dict[str, Replicated] = {}
    with state.open_lake() as lake:
        wanted = names or lake.replicas()
        if not wanted:
            note("no replica is named in [[storage.bucket]]")
        for name in wanted:
            done[name] = lake.replicate(name, max_bytes=max_bytes, prune=prune)
    if state.as_json:
        print_json(done)
    else:
        for name, made in done.items():
            end = "" if made.is_complete else "; not complete yet: run it again"
            print_text(
                f"{name}: {count(made.tree_size, 'event')}, {made.lag_events:,} new; copied "
                f"{count(made.copied_objects, 'object')}, {size(made.copied_bytes)}{end}"
            )
    for made in done.values():
        for warning in made.warnings:
            note(f"warning: damaged in the lake: {printable(warning)}")
    if not all(made.is_complete for made in done.values()):
        click.get_current_context().exit(3)
