"""What runs beside a gateway while it serves: delivery of webhooks, traces, a log."""

from __future__ import annotations

import logging
import re
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Final, TextIO

from lakecore._version import __version__
from lakecore.base import InvalidInput
from lakecore.telemetry import LogLines, TraceSettings

if TYPE_CHECKING:
    from lakecore.app._components import Components
    from lakecore.config import Settings

LOGGERS: Final = ("lakecore", "uvicorn", "opentelemetry")
_SIGNING_SECRET: Final = re.compile(r"whsec_[A-Za-z0-9+/=_-]+")


@contextmanager
def beside(parts: Components) -> Iterator[None]:
    """Everything of it, for the block."""
    from lakecore.app._replicas import Replicating
    from lakecore.app._search import Refresher
    from lakecore.app._webhooks import make_deliverer

    if parts.format.is_replica:
        # Nothing that it does goes anywhere; who serves the lake does it.
        yield
        return
    trace_settings = traces_of(parts.settings)
    if trace_settings is not None:
        parts.traces.start(trace_settings)
    if parts.settings.webhooks.deliver:
        parts.deliverer = make_deliverer(parts)
        parts.deliverer.start()
    refresher = Refresher(parts) if parts.settings.search.refresh else None
    if refresher is not None:
        refresher.start()
    replicating = Replicating(parts)
    replicating.start()
    try:
        yield
    finally:
        replicating.stop()
        if parts.deliverer is not None:
            parts.deliverer.stop()
            parts.deliverer = None
        if refresher is not None:
            refresher.stop()
        parts.traces.stop()


@contextmanager
def logging_to(stream: TextIO, settings: Settings) -> Iterator[LogLines]:
    """The log of a process of ours on a stream, for the block.

    The loggers of the process are its own: this is for whoever owns the process.
    """
    lines = LogLines(stream, as_json=settings.gateway.log_format == "json", redact=redact)
    loggers = [logging.getLogger(name) for name in LOGGERS]
    before = [(logger.level, logger.propagate) for logger in loggers]
    for logger in loggers:
        # Of what is not ours, only what somebody should look at.
        level = settings.gateway.log_level if logger.name == "lakecore" else "warning"
        logger.setLevel(level.upper())
        logger.addHandler(lines)
        logger.propagate = False
    try:
        yield lines
    finally:
        for logger, (level_before, propagate) in zip(loggers, before, strict=True):
            logger.removeHandler(lines)
            logger.setLevel(level_before)
            logger.propagate = propagate
        lines.close()


def redact(text: str) -> str:
    """A line without the secrets of API keys and of webhooks."""
    if "lc_" in text:
        from lakecore import auth

        text = auth.redact(text)
    return _SIGNING_SECRET.sub("whsec_***", text) if "whsec_" in text else text


def traces_of(settings: Settings) -> TraceSettings | None:
    """Where traces go; None: nowhere."""
    gateway = settings.gateway
    if not gateway.otlp_endpoint:
        return None
    return TraceSettings(
        endpoint=gateway.otlp_endpoint,
        # A variable's name has no hyphens, a header's has.
        headers={name.replace("_", "-"): text for name, text in gateway.otlp_headers.items()},
        ratio=gateway.otlp_ratio,
        version=__version__,
    )


def check_settings(settings: Settings) -> None:
    """What no setting shows by itself, before anything is opened.

    Raises:
        InvalidInput: a setting is of the right type, and wrong all the same.
    """
    from lakecore.webhooks import Allowed

    Allowed.parse(settings.webhooks.allow_networks)
    folder = settings.webhooks.secrets_directory
    if folder and not Path(folder).is_dir():
        raise InvalidInput("no such directory", found=folder, where="[webhooks] secrets_directory")
    traces = traces_of(settings)
    if traces is not None:
        traces.check()
    if settings.gateway.otlp_headers and traces is None:
        raise InvalidInput(
            "headers for a collector that is not named",
            expected="[gateway] otlp_endpoint",
            where="[gateway] otlp_headers",
        )
    if not settings.gateway.host:
        raise InvalidInput("no such host", found='""', where="[gateway] host")
