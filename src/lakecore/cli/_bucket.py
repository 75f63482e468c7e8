"""``lakecore bucket``: named buckets, and which datasets are in them."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from lakecore.cli._context import SOURCE, State, pass_state
from lakecore.cli._group import group
from lakecore.cli._options import authorship
from lakecore.cli._output import note, print_json, print_table, print_text
from lakecore.cli._text import count, printable, size

if TYPE_CHECKING:
    from lakecore.app import BucketState


@group(name="bucket", epilog="Example: lakecore bucket list")
def command() -> None:
    """The lake's buckets: archives that hold datasets, replicas that hold a copy of the lake.

    They are named in the settings, [[storage.bucket]]; credentials are there by reference.
    """


@command.command("list", epilog="Example: lakecore bucket list --json")
@pass_state
def list_(state: State) -> None:
    """The lake's own store and every bucket, and whether each answers."""
    with state.open_lake() as lake:
        found = lake.buckets()
    _print(state, found)


@command.command("check", epilog="Example: lakecore bucket check")
@click.pass_context
@pass_state
def check(state: State, ctx: click.Context) -> None:
    """Ask each bucket, and try whether those that are written create an object only once.

    Writes a few small objects and removes them. Exit code 1 when a bucket cannot be used.
    """
    with state.open_lake() as lake:
        found = lake.buckets(check=True)
    _print(state, found)
    ctx.exit(0 if all(one.ok for one in found) else 1)


@command.command("move", epilog="Example: lakecore bucket move flights_2019 --to cold")
@click.argument("dataset", metavar="D")
@click.option("--to", "bucket", metavar="NAME", help="The bucket; 'primary' is the lake's own.")
@click.option("--cancel", is_flag=True, help="Leave it where it is: its move did not end.")
@click.option(
    "--grace-days",
    type=click.FloatRange(min=0),
    default=7.0,
    show_default=True,
    help="How long the files at the old place stay.",
)
@authorship
@pass_state
def move(
    state: State,
    dataset: str,
    bucket: str | None,
    cancel: bool,
    grace_days: float,
    actor: str | None,
    reason: str,
) -> None:
    """Move a dataset's table to another bucket.

    It is copied and checked, then the catalog says that it is there. Changes go on meanwhile,
    but for a moment at the end. Whatever breaks it off leaves the dataset where it was: the
    same command goes on.
    """
    if cancel == (bucket is not None):
        raise click.UsageError("give --to NAME or --cancel")
    with state.open_lake(actor=actor) as lake:
        if cancel:
            stays = lake.cancel_move(dataset, source=SOURCE, reason=reason)
            if state.as_json:
                print_json({"dataset": stays.name, "location": stays.location})
            else:
                print_text(f"{stays.name}: stays at {stays.location}")
            return
        moved = lake.move(
            dataset, bucket=bucket or "", grace_days=grace_days, source=SOURCE, reason=reason
        )
    if state.as_json:
        print_json(moved)
    else:
        print_text(
            f"{moved.dataset}: version {moved.version} is at {moved.location}; copied "
            f"{count(moved.objects, 'object')}, {size(moved.size_bytes)}"
        )
        note(f"`lakecore maintain` removes {moved.former_location} after {grace_days:g} days")


def _print(state: State, found: list[BucketState]) -> None:
    if state.as_json:
        print_json(found)
        return
    columns = ("bucket", "role", "state", "datasets", "where", "credentials")
    print_table(
        columns,
        [
            (one.name, one.role, _said(one), len(one.datasets), one.uri, one.credentials)
            for one in found
        ],
        right=("datasets",),
    )
    for one in found:
        if one.error is not None:
            note(f"{one.name}: {printable(one.error)}")
        if one.hint is not None:
            note(f"  hint: {printable(one.hint)}")


def _said(one: BucketState) -> str:
    if one.is_create_only is False:
        return "unsafe"
    if one.replica is not None:
        return f"{one.state}, {one.replica['said']}"
    return one.state
