"""Seconds that pass only when a test says so."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass
class Seconds:
    """Seconds since some start; they pass only by `wait`."""

    now_s: float = 1_000.0

    def __call__(self) -> float:
        return self.now_s

    def wait(self, seconds: float) -> None:
        self.now_s += seconds
