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

    max_connections: int = 2_048
    """Connections at a time, idle ones included."""

    max_queries: int = 16
    """SQL statements at a time, those included whose rows are being sent."""

    max_bodies_bytes: int = 512 * MIB
    """Of the bodies of all requests together, while they are in memory; uploads are on disk."""

    max_unpacked_ratio: float = 200.0
    """A compressed body may become so many times as long, beyond its first MiB."""

    rate_per_s: float = 1_000.0
    """Requests a second of one key, and of one address without; 0: no limit."""

    rate_burst: int = 2_000
    """Requests of one key or address that may come at once."""

    compress: bool = True
    """Whether answers are compressed for who takes them so."""

    head_timeout_s: float = 15.0
    """The head of a request has to come within it."""

    timeout_s: float = 60.0
    """A client may be silent so long within a request's body, or take none of its answer."""

    query_timeout_s: float = 300.0
    """The most that a query may run, and what it may when it does not say."""

    query_memory_bytes: int = 1 * GIB
    """The most that a query may hold before it spills."""

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
