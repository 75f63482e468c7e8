"""The server: an application on a socket, until it is told to stop."""

from __future__ import annotations

import resource
import signal
import socket
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

import uvicorn

from lakecore.base import InvalidInput, Unavailable
from lakecore.gateway._connection import bounded
from lakecore.gateway._edge import MAX_HEAD_BYTES

if TYPE_CHECKING:
    from fastapi import FastAPI
    from starlette.types import ASGIApp, Receive, Scope, Send

    from lakecore.gateway._settings import GatewaySettings

_BACKLOG: Final = 1_024
_OTHER_FILES: Final = 1_024
"""What a lake itself may hold open."""
_SIGNALS: Final = (signal.SIGINT, signal.SIGTERM)


@dataclass(frozen=True, slots=True)
class Beside:
    """An application on a socket of its own, in the same server: the same bounds, one end."""

    app: ASGIApp
    socket: socket.socket

    @property
    def port(self) -> int:
        """Where it listens."""
        return int(self.socket.getsockname()[1])


class Gateway:
    """One application, served. `run` blocks; `stop` may be called from any thread.

    Stopping: no further connection is taken, requests under way get `shutdown_s` to end,
    and `run` returns. Sealing and closing the lake is the caller's.

    Args:
        beside: another application, on a port of its own.
    """

    def __init__(
        self, app: FastAPI, settings: GatewaySettings, beside: Beside | None = None
    ) -> None:
        self.app = app
        self._settings = settings
        self._socket = bound_socket(settings.host, settings.port)
        if beside is not None and beside.port == self._socket.getsockname()[1]:
            self._socket.close()
            raise InvalidInput(
                "the gateway and the console need different ports",
                found=beside.port,
                where="[gateway] port, [console] port",
            )
        self._sockets = [self._socket] if beside is None else [self._socket, beside.socket]
        self._server = _Server(
            uvicorn.Config(
                app if beside is None else _ByPort(app, beside),
                http=bounded(settings),
                ws="none",
                h11_max_incomplete_event_size=MAX_HEAD_BYTES,
                log_config=None,
                access_log=False,
                server_header=False,
                lifespan="on",
                timeout_graceful_shutdown=max(1, round(settings.shutdown_s)),
                backlog=_BACKLOG,
                proxy_headers=False,
            )
        )
        self._server.on_stopping = app.state.rooms.stopping.set

    @property
    def url(self) -> str:
        """Where it listens."""
        return url_of(self._socket)

    def run(self, on_started: Callable[[], None] | None = None) -> None:
        """Serve until SIGINT, SIGTERM or `stop`.

        Args:
            on_started: called in a thread of its own once requests are answered.
        """
        _allow_files(self._settings.max_connections)
        self._server.on_started = on_started
        self._server.run(sockets=self._sockets)

    def stop(self) -> None:
        """Have `run` return."""
        self._server.should_exit = True


def url_of(bound: socket.socket) -> str:
    """Where a socket listens, as a URL."""
    host, port = bound.getsockname()[:2]
    return f"http://[{host}]:{port}" if ":" in host else f"http://{host}:{port}"


class _ByPort:
    """Hands a request to the application whose port it came to. The gateway's has the lifespan."""

    def __init__(self, app: ASGIApp, beside: Beside) -> None:
        self._app = app
        self._beside = beside

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        came_to = scope.get("server") or (None, None)
        is_beside = scope["type"] == "http" and came_to[1] == self._beside.port
        await (self._beside.app if is_beside else self._app)(scope, receive, send)


class _Server(uvicorn.Server):
    """Tells when it has started; takes signals as a wish to stop, and no more than that."""

    on_started: Callable[[], None] | None = None
    on_stopping: Callable[[], None]

    @contextmanager
    def capture_signals(self) -> Iterator[None]:
        """uvicorn's own raises the signal again at the end: the lake would not be closed."""
        if threading.current_thread() is not threading.main_thread():
            yield
            return
        before = {sig: signal.signal(sig, self.handle_exit) for sig in _SIGNALS}
        try:
            yield
        finally:
            for sig, handler in before.items():
                signal.signal(sig, handler)

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        self.on_stopping()
        await super().shutdown(sockets)

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        await super().startup(sockets)
        if self.started and self.on_started is not None:
            threading.Thread(target=self.on_started, daemon=True).start()


def _allow_files(connections: int) -> None:
    """Let the process open as many files as connections need, up to what the system allows it."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = connections + _OTHER_FILES
    if hard != resource.RLIM_INFINITY:
        wanted = min(wanted, hard)
    if soft != resource.RLIM_INFINITY and soft < wanted:
        with suppress(OSError, ValueError):
            resource.setrlimit(resource.RLIMIT_NOFILE, (wanted, hard))


def bound_socket(
    host: str, port: int, *, section: str = "gateway", option: str = "--port"
) -> socket.socket:
    """A socket there, or a `LakecoreError` that says why not."""
    try:
        family = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)[0][0]
    except OSError as error:
        raise InvalidInput("no such host", found=host, where=f"[{section}] host") from error
    bound = socket.socket(family, socket.SOCK_STREAM)
    try:
        bound.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        bound.bind((host, port))
    except OSError as error:
        bound.close()
        raise Unavailable(
            f"the {section} cannot listen there",
            where=f"{host}:{port}",
            found=error.strerror or error,
            hint=f"choose another with {option}, or stop what listens there",
        ) from error
    return bound
