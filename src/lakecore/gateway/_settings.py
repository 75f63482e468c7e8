"""Bounds of the gateway. Plain data."""

from __future__ import annotations

import ipaddress
from dataclasses import dataclass

from lakecore.base.limits import GIB, MIB


@dataclass(frozen=True, slots=True, kw_only=True)
class GatewaySettings:
    """How a gateway listens, and the most that it takes on."""

    host: str = "127.0.0.1"
    port: int = 3100
    """0: one that is free."""

    max_body_bytes: int = 64 * MIB
    """Of every request but an upload."""

    max_upload_bytes: int = 8 * GIB
    """Of one file."""

    threads: int = 16
    """Calls of the lake at a time."""

    max_waiting: int = 64
    """Calls that wait for a thread; further ones are told to come again."""

    max_requests: int = 1_024
    """Requests at a time, tails and streams included."""

    timeout_s: float = 60.0
    """A client may be silent so long within a request's body."""

    query_timeout_s: float = 300.0
    """The most that a query may run, and what it may when it does not say."""

    shutdown_s: float = 10.0
    """Requests under way have so long to end."""


def is_loopback(host: str) -> bool:
    """Whether a host can be reached from this machine alone.

    >>> is_loopback("localhost"), is_loopback("::1"), is_loopback("lake.example")
    (True, True, False)
    """
    if host == "localhost":
        return True
    try:
        return ipaddress.ip_address(host.strip("[]")).is_loopback
    except ValueError:
        return False
