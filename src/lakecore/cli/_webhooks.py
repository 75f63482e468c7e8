"""``lakecore webhooks``: who is told of which events."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from lakecore.cli._context import SOURCE, State, pass_state
from lakecore.cli._group import group
from lakecore.cli._options import authorship
from lakecore.cli._output import flattened, note, print_json, print_pairs, print_table, print_text
from lakecore.cli._text import count, moment, moment_of

if TYPE_CHECKING:
    from lakecore.webhooks import NewSecret

_secret = click.option(
    "--secret",
    metavar="REFERENCE",
    help="One of your own: env:LAKECORE_WEBHOOK_NAME, or file:NAME. Default: one is made.",
)
_from_seq = click.option(
    "--from-seq",
    metavar="SEQ",
    type=int,
    help="Begin at this event; below 0, so many before the end.",
)


@group(name="webhooks", epilog="Example: lakecore webhooks create https://crm.example/in")
def command() -> None:
    """Events posted to whoever asked for them, signed, in order, at least once.

    They are delivered by `lakecore up`, on the machine where they were made.
    """


@command.command(
    "create", epilog="Example: lakecore webhooks create https://crm.example/in --dataset planes"
)
@click.argument("url")
@click.option(
    "--dataset",
    "datasets",
    metavar="GLOB",
    multiple=True,
    help="planes, hr.*; default: all but the lake's own tables.",
)
@click.option("--entity-type", "entity_types", metavar="TYPE", multiple=True)
@click.option("--action", "actions", metavar="ACTION", multiple=True)
@_secret
@_from_seq
@click.option("--note", "note_text", default="", metavar="TEXT", help="What it is for.")
@authorship
@pass_state
def create(
    state: State,
    url: str,
    datasets: tuple[str, ...],
    entity_types: tuple[str, ...],
    actions: tuple[str, ...],
    secret: str | None,
    from_seq: int | None,
    note_text: str,
    actor: str | None,
    reason: str,
) -> None:
    """Have events posted to URL, and print the signing secret: it is shown this once."""
    with state.open_lake(actor=actor) as lake:
        made = lake.webhooks.create(
            url,
            datasets=datasets,
            entity_types=entity_types,
            actions=actions,
            secret=secret,
            from_seq=from_seq,
            note=note_text,
            source=SOURCE,
            reason=reason,
        )
    _show_once(state, made)


@command.command("list", epilog="Example: lakecore webhooks list --json")
@pass_state
def list_(state: State) -> None:
    """All webhooks, with how far this machine delivered them."""
    with state.open_lake() as lake:
        found = lake.webhooks.describe()
    if state.as_json:
        print_json(found)
    elif not found:
        note("there is no webhook; `lakecore webhooks create` makes one")
    else:
        print_table(
            ["id", "state", "url", "datasets", "messages", "delivered", "problem"],
            [
                (
                    one["id"],
                    one["state"],
                    one["url"],
                    ", ".join(one["datasets"]) or "all",
                    f"{one['messages']:,}",
                    moment(moment_of(one["delivered_us"])),
                    one["problem"] or one["disabled_why"],
                )
                for one in found
            ],
            right=["messages"],
        )


@command.command("show", epilog="Example: lakecore webhooks show wh-0123456789abcdef")
@click.argument("webhook_id", metavar="ID")
@pass_state
def show(state: State, webhook_id: str) -> None:
    """One webhook, and the last attempts of this machine."""
    with state.open_lake() as lake:
        found = lake.webhooks.status(webhook_id)
        attempts = lake.webhooks.deliveries(webhook_id)
    if state.as_json:
        print_json({**found, "deliveries": attempts})
        return
    print_pairs(flattened(found))
    if attempts:
        print_text()
        print_table(
            ["at", "message", "events", "status", "outcome"],
            [
                (
                    moment(moment_of(one["at_us"])),
                    one["message"],
                    one["events"],
                    one["status"] or "",
                    one["outcome"],
                )
                for one in attempts[:20]
            ],
        )


@command.command("test", epilog="Example: lakecore webhooks test wh-0123456789abcdef")
@click.argument("webhook_id", metavar="ID")
@pass_state
def test(state: State, webhook_id: str) -> None:
    """Send a message that is about nothing, now and once; exit code 1 when it did not arrive."""
    with state.open_lake() as lake:
        found = lake.webhooks.test(webhook_id)
    if state.as_json:
        print_json(found)
    else:
        status = f" ({found['status']})" if found["status"] else ""
        print_text(f"{found['outcome']}{status} in {found['duration_ms']:.0f} ms")
    if not found["delivered"]:
        raise click.exceptions.Exit(1)


@command.command("rotate", epilog="Example: lakecore webhooks rotate wh-0123456789abcdef")
@click.argument("webhook_id", metavar="ID")
@_secret
@authorship
@pass_state
def rotate(
    state: State, webhook_id: str, secret: str | None, actor: str | None, reason: str
) -> None:
    """Another secret, printed this once; the old one signs beside it for a day."""
    with state.open_lake(actor=actor) as lake:
        made = lake.webhooks.rotate(webhook_id, secret=secret, source=SOURCE, reason=reason)
    _show_once(state, made)


@command.command("enable", epilog="Example: lakecore webhooks enable wh-0123456789abcdef")
@click.argument("webhook_id", metavar="ID")
@_from_seq
@authorship
@pass_state
def enable(
    state: State, webhook_id: str, from_seq: int | None, actor: str | None, reason: str
) -> None:
    """Deliver again, from this machine, from where it was left."""
    with state.open_lake(actor=actor) as lake:
        found = lake.webhooks.enable(webhook_id, from_seq=from_seq, source=SOURCE, reason=reason)
    if state.as_json:
        print_json(found)
    else:
        print_text(f"{found.id} is delivered again")


@command.command("remove", epilog="Example: lakecore webhooks remove wh-0123456789abcdef")
@click.argument("webhook_id", metavar="ID")
@authorship
@pass_state
def remove(state: State, webhook_id: str, actor: str | None, reason: str) -> None:
    """End a webhook; within seconds nothing is sent any more."""
    with state.open_lake(actor=actor) as lake:
        ended = lake.webhooks.remove(webhook_id, source=SOURCE, reason=reason)
    if state.as_json:
        print_json(ended)
    else:
        print_text(f"removed {ended.id}")


def _show_once(state: State, made: NewSecret) -> None:
    """The secret alone on standard output, so that a script can take it."""
    webhook = made.webhook
    if state.as_json:
        print_json({**webhook.to_dict(), "signing_secret": made.secret})
        return
    if made.secret is not None:
        print_text(made.secret)
    which = ", ".join(webhook.datasets) or "everything but the lake's own tables"
    filters = len(webhook.entity_types) + len(webhook.actions)
    more = f", {count(filters, 'further filter')}" if filters else ""
    note(f"webhook {webhook.id} to {webhook.origin}: {which}{more}")
    if made.secret is not None:
        note("give the secret to the receiver now: it is not shown again")
