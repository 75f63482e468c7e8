"""``lakecore backup``: copies of the lake in another place, and lakes made of them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import click

from lakecore.cli._context import State, pass_state
from lakecore.cli._group import group
from lakecore.cli._options import split_assignment
from lakecore.cli._output import note, print_json, print_table, print_text
from lakecore.cli._text import count, printable, size

if TYPE_CHECKING:
    from collections.abc import Mapping

_EXIT_CODES: Final = {"green": 0, "broken": 1, "inconclusive": 3}
_REMOTE: Final = ("s3", "gs", "az")

_options = click.option(
    "--option",
    "given",
    metavar="NAME=VALUE",
    multiple=True,
    help="An option of the backup's store, instead of those in [storage].",
)
_at = click.option(
    "--at", metavar="N", type=click.IntRange(min=0), help="This backup; default the newest."
)


@group(name="backup", epilog="Example: lakecore backup create /mnt/other-disk/lake-backups")
def command() -> None:
    """Copies of the lake in another place.

    A place holds the backups of one lake; only what is new is copied. Not in a backup: the
    key that signs checkpoints, and this machine's state directory.
    """


@command.command("create", epilog="Example: lakecore backup create s3://bucket/lake-backups")
@click.argument("destination", metavar="DEST")
@_options
@pass_state
def create(state: State, destination: str, given: tuple[str, ...]) -> None:
    """Back the lake up; writers may go on meanwhile.

    A backup that is broken off leaves nothing that could be restored by mistake; the next
    one goes on where it ended.
    """
    from lakecore.app import create_backup

    options = _store_options(state, destination, given)
    with state.open_lake() as lake:
        made = create_backup(lake, destination, options=options)
    if state.as_json:
        print_json(made)
    else:
        print_text(
            f"backup {made.number}: {count(made.objects, 'object')}, {size(made.size_bytes)}, "
            f"{count(made.tree_size, 'event')}; copied {count(made.copied_objects, 'object')}, "
            f"{size(made.copied_bytes)}"
        )
    for warning in made.warnings:
        note(f"warning: damaged in the lake: {printable(warning)}")


@command.command("list", epilog="Example: lakecore backup list s3://bucket/lake-backups")
@click.argument("place", metavar="DEST")
@_options
@pass_state
def list_(state: State, place: str, given: tuple[str, ...]) -> None:
    """The finished backups of a place, oldest first."""
    from lakecore.app import backups_at

    found = backups_at(place, options=_store_options(state, place, given))
    if state.as_json:
        print_json(found)
        return
    if not found:
        note("there is no finished backup here")
        return
    print_table(
        ["number", "made", "events", "objects", "size"],
        [
            (
                backup.number,
                backup.at,
                f"{backup.tree_size:,}",
                f"{len(backup.entries):,}",
                size(backup.size_bytes),
            )
            for backup in found
        ],
        right=["number", "events", "objects", "size"],
    )


@command.command("restore", epilog="Example: lakecore backup restore /mnt/backups ./lake-again")
@click.argument("place", metavar="SRC")
@click.argument("target", metavar="TARGET")
@_at
@click.option("--actor", metavar="NAME", help="In whose name. Default: the system's user.")
@_options
@pass_state
def restore(
    state: State, place: str, target: str, at: int | None, actor: str | None, given: tuple[str, ...]
) -> None:
    """Make a lake of a backup, in an empty place.

    The lake has the whole history, and an id and an origin of its own. A restore that
    was broken off goes on when it is run again as it was.
    """
    from lakecore.app import restore_backup, system_user

    made = restore_backup(
        place,
        target,
        at=at,
        actor=actor or state.load_settings().settings.lake.actor or system_user(),
        options=_store_options(state, place, given),
        target_options=_store_options(state, target, ()),
    )
    if state.as_json:
        print_json(made)
        return
    print_text(
        f"backup {made.number} restored as lake {made.lake_id}: "
        f"{count(made.objects, 'object')}, {size(made.size_bytes)}"
    )
    note(f"check it: lakecore verify --lake {printable(target)}")


@command.command("verify", epilog="Example: lakecore backup verify s3://bucket/lake-backups")
@click.argument("place", metavar="SRC")
@click.option("--at", metavar="N", type=click.IntRange(min=0), help="Only this one; default all.")
@_options
@click.pass_context
@pass_state
def verify(
    state: State, ctx: click.Context, place: str, at: int | None, given: tuple[str, ...]
) -> None:
    """Hash every object again, and verify the journal that the newest backup holds.

    Exit code 1 when something is damaged or missing, 3 when that cannot be told.
    """
    from lakecore.app import verify_backups

    report = verify_backups(place, at=at, options=_store_options(state, place, given))
    if state.as_json:
        print_json(report)
    else:
        for problem in report.problems:
            print_text(f"- {printable(problem)}")
        words = {"green": "ok", "broken": "BROKEN", "inconclusive": "cannot be told"}
        print_text(
            f"{words[report.status]}: {count(len(report.backups), 'backup')}, "
            f"{count(report.objects, 'object')}, {size(report.size_bytes)}, "
            f"{count(report.events, 'event')}, {count(report.problem_count, 'problem')}"
        )
    for warning in report.warnings:
        note(f"warning: damaged before the backup: {printable(warning)}")
    ctx.exit(_EXIT_CODES[report.status])


def _store_options(state: State, place: str, given: tuple[str, ...]) -> Mapping[str, str] | None:
    """The options of a remote place: given ones, else those of the lake's store."""
    if given:
        return dict(split_assignment(text, option="--option") for text in given)
    if place.partition("://")[0].lower() not in _REMOTE or "://" not in place:
        return None
    return state.load_settings().settings.storage.options
