"""A lake served over HTTP: the gateway, joined with the lake and its keys."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Iterator, Sequence
from typing import TYPE_CHECKING, Any, Final, cast

from lakecore.app._beside import check_settings
from lakecore.app._enforced import Answering, Enforced, probe_all
from lakecore.app._serving import ServedPart
from lakecore.base import Bug, LakecoreError

if TYPE_CHECKING:
    from lakecore.app._components import Components
    from lakecore.app._console import LakeConsole
    from lakecore.app._lake import Lake
    from lakecore.app._serving import Served
    from lakecore.auth import Keys, Principal
    from lakecore.gateway import AccessLog, AccessRecord, Gateway, GatewaySettings, Watchers
    from lakecore.telemetry import LogLines

_PROBE_TIMEOUT_S: Final = 10.0
_UNAUTHENTICATED: Final = 401


class LakeGateway:
    """A gateway that is bound to its address. `run` serves until it is told to stop.

    Attributes:
        app: the application that is served.
        url: where it listens.
        asks_for_keys: whether a key is needed.
        console: the control plane beside it.
    """

    def __init__(
        self,
        gateway: Gateway,
        parts: Components,
        settings: GatewaySettings,
        console: LakeConsole,
        *,
        asks_for_keys: bool,
    ) -> None:
        self._gateway = gateway
        self.app = gateway.app
        self._parts = parts
        self._settings = settings
        self.url = gateway.url
        self.asks_for_keys = asks_for_keys
        self.console = console

    def run(self, on_started: Callable[[], None] | None = None) -> None:
        """Serve until SIGINT, SIGTERM or `stop`; the lake stays open.

        Args:
            on_started: called in a thread of its own once requests are answered.
        """
        from lakecore.app._beside import beside

        def started() -> None:
            if on_started is not None:
                on_started()
            # What takes a while to import, and nobody waits for.
            self._parts.records.start()

        with beside(self._parts):
            self._gateway.run(started)

    def stop(self) -> None:
        """Have `run` return, from any thread."""
        self._gateway.stop()

    def enforced(self) -> Iterator[Enforced]:
        """What is enforced, as probes find it, while it serves; see `Enforced`."""
        return probe_all(
            self._parts, Answering(self.url), self._settings, asks_for_keys=self.asks_for_keys
        )

    def probe(self) -> int:
        """The status that somebody without a key gets, asked over the socket.

        Raises:
            Bug: keys are asked for, and this one got in.
        """
        status = Answering(self.url).status("GET", "/ready")
        if self.asks_for_keys and status != _UNAUTHENTICATED:
            raise Bug("the gateway lets in who has no key", expected=401, found=status)
        return status


def open_gateway(
    lake: Lake,
    *,
    host: str | None = None,
    port: int | None = None,
    console_port: int | None = None,
    only_mcp: bool = False,
    lines: LogLines | None = None,
) -> LakeGateway:
    """Bind the gateway of a lake to its address, as the lake's settings say.

    Args:
        host, port: instead of those of the settings.
        console_port: of the control plane, instead of that of the settings; where the gateway's
            is to be one that is free, and this is not given, so is this.
        only_mcp: /mcp alone, and /health and /ready.
        lines: where the access log goes; None: to the logger ``lakecore.access``.

    Raises:
        InvalidInput, Unavailable: it cannot listen there, or a setting is wrong.
    """
    from lakecore.app._acting import ActingLake
    from lakecore.app._console import LakeConsole, open_console
    from lakecore.app._mcp import mounts_of
    from lakecore.auth import Principal
    from lakecore.gateway import Gateway, GatewaySettings, create_app, is_loopback

    parts = lake._parts
    check_settings(parts.settings)
    given: dict[str, Any] = {
        name: value for name, value in (("host", host), ("port", port)) if value is not None
    }
    chosen = dataclasses.replace(parts.settings.gateway, **given)
    names = {one.name for one in dataclasses.fields(GatewaySettings)}
    settings = GatewaySettings(
        **{
            one.name: getattr(chosen, one.name)
            for one in dataclasses.fields(chosen)
            if one.name in names
        },
        query_timeout_s=parts.settings.query.timeout_s,
        query_memory_bytes=parts.settings.query.memory_limit_bytes,
    )
    pages = parts.settings.console
    is_shown = pages.enabled and not only_mcp
    asks_for_keys = (
        parts.settings.auth.enabled
        or not is_loopback(settings.host)
        or (is_shown and not is_loopback(pages.host))
    )

    def acting_as(principal: Principal) -> ActingLake:
        return ActingLake(lake, principal)

    # Keys are documents of the lake: while a replica answers, they are as it has them.
    served_keys = cast("Keys", ServedPart(lake._serving, "keys"))
    keys = (served_keys if lake._serving.has_replicas else parts.keys) if asks_for_keys else None
    if not parts.format.is_replica:
        parts.agents.watch()
    app = create_app(
        acting_as,
        settings,
        keys,
        local=Principal.local(lake.actor),
        probes=_probes(lake),
        state_dir=parts.state_dir,
        mounts=mounts_of(lake, acting_as, keys, needed=only_mcp),
        only_mounts=only_mcp,
        watchers=_watchers(lake, lines),
    )
    if console_port is None and settings.port == 0:
        console_port = 0
    console = (
        LakeConsole()
        if not is_shown
        else open_console(
            parts,
            app,
            Principal.local(lake.actor),
            port=console_port,
            asks_for_keys=asks_for_keys,
            lines=lines,
        )
    )
    try:
        gateway = Gateway(app, settings, console.beside)
    except BaseException:
        console.close()
        raise
    return LakeGateway(gateway, parts, settings, console, asks_for_keys=asks_for_keys)


def _watchers(lake: Lake, lines: LogLines | None) -> Watchers:
    """Who is told of what the gateway does."""
    parts = lake._parts
    from lakecore.app._access import ObservedAccess
    from lakecore.app._figures import LakeFigures
    from lakecore.gateway import AccessLines, Watchers

    ring = None
    if lines is not None:
        from lakecore.app._beside import redact
        from lakecore.telemetry import LogRing

        ring = lines.ring = LogRing(redact=redact)
    access: AccessLog = AccessLines(lines) if parts.settings.gateway.access_log else _NotKept()
    if parts.settings.observer.access_log:
        access = ObservedAccess(parts, access)
    return Watchers(
        access=access,
        traces=parts.traces,
        figures=LakeFigures(parts, serving=lake._serving, lines=lines),
        served=lambda since_s: _told(lake._serving.served_since(since_s)),
        log=ring,
    )


class _NotKept:
    """The access log of whoever wants none."""

    def write(self, records: Sequence[AccessRecord]) -> None:
        """Nothing."""


def _told(served: Served | None) -> dict[str, Any] | None:
    return None if served is None else served.to_dict()


def _probes(lake: Lake) -> dict[str, Callable[[], object]]:
    """What has to answer before a gateway is ready: the lake's own store, or a replica."""

    def query() -> object:
        with lake._parts.query.sql("select 1 as one", timeout_s=_PROBE_TIMEOUT_S) as result:
            return result.to_pylist()

    def journal() -> object:
        stats = lake.journal.stats()
        if stats["pending"]["unreadable"]:
            raise LakecoreError("some of what waits for sealing cannot be read")
        return stats

    return {"store": lake.datasets, "journal": journal, "query": query}
