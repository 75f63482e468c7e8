"""``lakecore up``."""

from __future__ import annotations

import gc
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

import click

from lakecore.cli._context import State, pass_state
from lakecore.cli._group import command as make_command
from lakecore.cli._output import note

if TYPE_CHECKING:
    from lakecore.app import Enforced, LakeGateway
    from lakecore.telemetry import LogLines


@make_command(name="up", epilog="Example: lakecore --lake ./lake up --port 3100")
@click.option("--host", metavar="ADDRESS", help="Where to listen; default: [gateway] host.")
@click.option(
    "--port",
    metavar="PORT",
    type=click.IntRange(0, 65_535),
    help="Default: [gateway] port; 0: one that is free.",
)
@click.option(
    "--console-port",
    metavar="PORT",
    type=click.IntRange(0, 65_535),
    help="Of the control plane. Default: [console] port; with --port 0 one that is free.",
)
@pass_state
def command(state: State, host: str | None, port: int | None, console_port: int | None) -> None:
    """Serve the lake over HTTP until Ctrl-C or SIGTERM; a lake is made where there is none.

    Keys are asked for wherever but on loopback, and there too with [auth] enabled:
    `lakecore keys create` makes the first one. What is enforced is printed once it was
    probed; where keys should be asked for and are not, nothing is served.

    Beside it are the pages of the control plane. Where no keys are asked for, their address
    is printed with a login link that works once; elsewhere a key logs in.

    At the end no further request is taken, those under way end, and what was recorded is
    sealed.
    """
    serve_until_stopped(state, host, port, console_port=console_port, create=True)


def serve_until_stopped(
    state: State,
    host: str | None,
    port: int | None,
    *,
    console_port: int | None = None,
    create: bool = False,
    actor: str | None = None,
    only_mcp: bool = False,
) -> None:
    """Serve a lake with its log on standard error; exit code 1 where a door was open."""
    from lakecore.app import logging_to, open_gateway

    settings = state.load_settings().settings
    open_doors: list[Enforced] = []
    with (
        _without_collecting(),
        logging_to(sys.stderr, settings) as lines,
        state.open_lake(actor=actor, create=create) as lake,
    ):
        gateway = open_gateway(
            lake,
            host=host,
            port=port,
            console_port=console_port,
            only_mcp=only_mcp,
            lines=lines,
        )
        gateway.run(lambda: _say(gateway, lake.url, lines, open_doors))
        _tell(lines, "stopped; sealing what was recorded")
    if open_doors:
        raise click.exceptions.Exit(1)


def _say(gateway: LakeGateway, url: str, lines: LogLines, open_doors: list[Enforced]) -> None:
    """What is enforced, having tried it; what must not be left open ends the gateway."""
    gc.freeze()
    gc.enable()
    _tell(lines, f"{url} at {gateway.url}")
    for found in gateway.enforced():
        _tell(lines, found.text, found)
        if found.is_fatal:
            open_doors.append(found)
            gateway.stop()
            return
    if gateway.console.url:
        # A log that is kept is no place for a secret, however short its life.
        where = gateway.console.url if lines.as_json else gateway.console.login_url()
        _tell(lines, f"control plane at {where}")
    elif gateway.console.why:
        _tell(lines, f"NO CONTROL PLANE: {gateway.console.why}")


@contextmanager
def _without_collecting() -> Iterator[None]:
    """No garbage is collected until it serves: what is made until then stays, and looking
    through it again and again is a tenth of the time that a start takes."""
    gc.disable()
    try:
        yield
    finally:
        gc.enable()


def _tell(lines: LogLines, text: str, found: Enforced | None = None) -> None:
    """A line for people, or an object beside those of the log."""
    if not lines.as_json:
        note(text)
        return
    level = "INFO" if found is None or found.ok else "ERROR"
    fields = {} if found is None else {"probe": found.name, "ok": found.ok}
    lines.put("lakecore.up", level, text, fields)
