"""Bounds of the console. Plain data."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class ConsoleSettings:
    """How the console listens, and how long somebody stays logged in."""

    host: str = "127.0.0.1"
    port: int = 3950
    """0: one that is free."""

    url: str = ""
    """How people reach it, where that is not by host and port: behind a proxy that ends TLS."""

    session_hours: float = 12.0
    """Without a request for so long, somebody has to log in again."""

    link_minutes: float = 10.0
    """A one-time link that nobody used ends after it."""

    max_sessions: int = 1_000
    """The one that was used least recently ends when one more begins."""
