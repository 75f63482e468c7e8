"""``lakecore mcp``."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Final

import click

from lakecore.base import InvalidInput
from lakecore.cli._context import State, pass_state
from lakecore.cli._group import command as make_command
from lakecore.cli._output import note

if TYPE_CHECKING:
    from lakecore.auth import Principal

KEY_VARIABLE: Final = "LAKECORE_API_KEY"
APPROVER_VARIABLE: Final = "LAKECORE_APPROVER_KEY"


@make_command(name="mcp", epilog="Example: lakecore --lake ./lake mcp")
@click.option("--http", "over_http", is_flag=True, help="Serve /mcp over HTTP instead.")
@click.option("--host", metavar="ADDRESS", help="With --http; default: [gateway] host.")
@click.option(
    "--port",
    metavar="PORT",
    type=click.IntRange(0, 65_535),
    help="With --http; default: [gateway] port; 0: one that is free.",
)
@click.option("--actor", metavar="NAME", help="Whose agent it is, where no keys are asked for.")
@pass_state
def command(
    state: State, over_http: bool, host: str | None, port: int | None, actor: str | None
) -> None:
    """Serve the lake to agents by the Model Context Protocol, over standard input and output.

    The client starts this command; LAKECORE_API_KEY has its key. On a local lake without
    [auth] enabled none is needed: it is an agent of yours then. LAKECORE_APPROVER_KEY has the
    key of the person in whose name a yes at the client approves; see docs/mcp.md.

    With --http it is the same as /mcp of `lakecore up`, without the other routes.
    """
    if not over_http and (host is not None or port is not None):
        raise InvalidInput("--host and --port go with --http")
    # They are nobody's business but this process's: what it starts does not inherit them.
    key = os.environ.pop(KEY_VARIABLE, None) or None
    approver_key = os.environ.pop(APPROVER_VARIABLE, None) or None
    if over_http:
        from lakecore.cli._up import serve_until_stopped

        if key or approver_key:
            raise InvalidInput(
                "over HTTP each request brings its key",
                found=KEY_VARIABLE if key else APPROVER_VARIABLE,
                hint="Authorization: Bearer lc_…",
            )
        serve_until_stopped(state, host, port, actor=actor, only_mcp=True)
        return
    from lakecore.app import serve_mcp

    with state.open_lake(actor=actor) as lake:
        serve_mcp(
            lake,
            key=key,
            approver_key=approver_key,
            on_started=lambda client, approver: _say(lake.url, client, approver),
        )


def _say(url: str, client: Principal, approver: Principal | None) -> None:
    by = f"key {client.key_id}" if client.key_id else "without a key, on this machine"
    note(f"{url} to {client.name}, {by}")
    if approver is not None:
        note(f"a yes at the client counts as {approver.name}'s")
