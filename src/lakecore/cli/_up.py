"""``lakecore up``."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from lakecore.cli._context import State, pass_state
from lakecore.cli._group import command as make_command
from lakecore.cli._output import note

if TYPE_CHECKING:
    from lakecore.app import LakeGateway


@make_command(name="up", epilog="Example: lakecore --lake ./lake up --port 3100")
@click.option("--host", metavar="ADDRESS", help="Where to listen; default: [gateway] host.")
@click.option(
    "--port",
    metavar="PORT",
    type=click.IntRange(0, 65_535),
    help="Default: [gateway] port; 0: one that is free.",
)
@pass_state
def command(state: State, host: str | None, port: int | None) -> None:
    """Serve the lake over HTTP until Ctrl-C or SIGTERM; a lake is made where there is none.

    Keys are asked for wherever but on loopback, and there too with [auth] enabled:
    `lakecore keys create` makes the first one.

    At the end no further request is taken, those under way end, and what was recorded is
    sealed.
    """
    from lakecore.app import open_gateway

    with state.open_lake(create=True) as lake:
        gateway = open_gateway(lake, host=host, port=port)
        gateway.run(lambda: say(gateway, lake.url))
        note("stopped; sealing what was recorded")


def say(gateway: LakeGateway, url: str) -> None:
    """What is enforced, having tried it."""
    status = gateway.probe()
    note(f"{url} at {gateway.url}")
    if gateway.asks_for_keys:
        note(f"API keys are asked for: without one the answer is {status}")
    else:
        note(
            "NO KEY IS ASKED FOR: everybody on this machine may do everything; "
            "[auth] enabled = true asks"
        )
