"""The machine's own count of time since it booted: one for all processes; it never jumps."""

from __future__ import annotations

import time
from functools import cached_property
from pathlib import Path
from typing import Final, Protocol

_BOOT_ID: Final = Path("/proc/sys/kernel/random/boot_id")


class Uptime(Protocol):
    """Time that only goes on, also while the machine sleeps."""

    @property
    def boot(self) -> str:
        """Which run of the machine it is; times of two are not compared."""
        ...

    def now_us(self) -> int:
        """Microseconds since some moment of this run."""
        ...


class SystemUptime:
    """The operating system's."""

    @cached_property
    def boot(self) -> str:
        try:
            return _BOOT_ID.read_text(encoding="ascii").strip()
        except (OSError, ValueError):
            return ""

    def now_us(self) -> int:
        clock = getattr(time, "CLOCK_BOOTTIME", time.CLOCK_MONOTONIC)
        return time.clock_gettime_ns(clock) // 1_000


class ManualUptime:
    """One that a test sets."""

    def __init__(self, now_us: int = 0, boot: str = "test") -> None:
        self._now_us = now_us
        self.boot = boot

    def now_us(self) -> int:
        return self._now_us

    def advance(self, by_us: int) -> None:
        self._now_us += by_us
