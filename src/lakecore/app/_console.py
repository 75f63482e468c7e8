"""The control plane of a lake, joined with the gateway that it stands beside."""

from __future__ import annotations

import sys
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from lakecore._version import __version__
from lakecore.base import InvalidInput, NotFound, Unavailable

if TYPE_CHECKING:
    from fastapi import FastAPI

    from lakecore.app._components import Components
    from lakecore.auth import Principal
    from lakecore.console import Door, Inside
    from lakecore.gateway import Beside
    from lakecore.telemetry import LogLines

_LINK: Final = "/login#"


@dataclass(frozen=True, slots=True)
class LakeConsole:
    """A control plane that is bound to its address, or why there is none.

    Attributes:
        url: where it listens; empty: nowhere.
        why: it is not served; empty: it is, or nobody wants it.
    """

    beside: Beside | None = None
    url: str = ""
    why: str = ""
    _door: Door | None = None

    def login_url(self) -> str:
        """Where somebody begins: with a one-time link where no keys are asked for."""
        link = None if self._door is None else self._door.new_link()
        return self.url if link is None else f"{self.url}{_LINK}{link}"

    def close(self) -> None:
        """Let go of the address."""
        if self.beside is not None:
            self.beside.socket.close()


def open_console(
    parts: Components,
    app: FastAPI,
    local: Principal,
    *,
    port: int | None,
    asks_for_keys: bool,
    lines: LogLines | None,
) -> LakeConsole:
    """Bind the control plane. Where its default port is taken the gateway does without it.

    Args:
        app: the gateway's application.
        local: who comes where no keys are asked for.
        port: instead of that of the settings; then it has to be had.
        lines: where a login link is printed that somebody asks for; None: standard error.

    Raises:
        InvalidInput, Unavailable: it cannot listen where it was told to, or a setting is wrong.
    """
    from lakecore.console import Assets, Console, ConsoleSettings, Door, Origins, Sessions
    from lakecore.gateway import Beside, bound_socket, inside, url_of

    own = parts.settings.console
    settings = ConsoleSettings(
        host=own.host,
        port=own.port if port is None else port,
        url=own.url,
        session_hours=own.session_hours,
        link_minutes=own.link_minutes,
    )
    try:
        assets = Assets()
    except NotFound as error:
        return LakeConsole(why=f"{error.message}: {error.hint}")
    if not settings.host:
        raise InvalidInput("no such host", found='""', where="[console] host")
    Origins(settings, port=settings.port)  # a setting that is wrong is told before it listens
    try:
        bound = bound_socket(
            settings.host, settings.port, section="console", option="--console-port"
        )
    except Unavailable as error:
        if port is not None:
            raise
        return LakeConsole(why=f"{error.message}: {error.where}: {error.found}; {error.hint}")
    origins = Origins(settings, port=int(bound.getsockname()[1]))
    rooms = app.state.rooms
    shown = settings.url.rstrip("/") or url_of(bound)

    async def authenticate(key: str, address: str | None) -> Principal:
        found: Principal = await rooms.workers.call(parts.keys.authenticate, key, address=address)
        return found

    async def recheck(principal: Principal) -> None:
        if principal.key_id is not None:
            await rooms.workers.call(parts.keys.recheck, principal)

    door = Door(
        Sessions(
            idle_s=settings.session_hours * 3_600,
            link_s=settings.link_minutes * 60,
            most=settings.max_sessions,
        ),
        cookie=f"lakecore_{bound.getsockname()[1]}",
        is_secure=origins.is_secure,
        local=None if asks_for_keys else local,
        authenticate=authenticate,
        recheck=recheck,
        show=lambda link: _show(f"log in at {shown}{_LINK}{link}", lines),
        about={"version": __version__},
    )
    enter: Inside = inside(app)
    console = Console(enter, assets, door, origins)
    return LakeConsole(Beside(console, bound), shown, "", door)


def _show(text: str, lines: LogLines | None) -> None:
    """At the terminal of whoever serves: its reader is who may come in."""
    if lines is not None and lines.as_json:
        lines.put("lakecore.up", "INFO", text, {})
    else:
        sys.stderr.write(f"{text}\n")
        sys.stderr.flush()
