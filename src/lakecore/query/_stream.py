"""A running query: batches one at a time, and a way to end it. The port of the runners."""

from __future__ import annotations

import time
from typing import Protocol

import pyarrow as pa


class BatchStream(Protocol):
    """One reader; `cancel` and `close` may be called from any thread, and more than once."""

    @property
    def schema(self) -> pa.Schema:
        """The schema as DataFusion gives it; every batch has it."""
        ...

    def next(self) -> pa.RecordBatch | None:
        """The next batch, None at the end.

        Raises:
            LakecoreError: the query failed, was cancelled, or ran into its time limit.
        """
        ...

    def cancel(self) -> None:
        """End the query: a waiting `next` raises."""
        ...

    def close(self) -> None:
        """Free what the query holds."""
        ...


class Deadline:
    """A point in time on the monotonic clock; without seconds it never comes."""

    __slots__ = ("_at", "seconds")

    def __init__(self, seconds: float | None) -> None:
        self.seconds = seconds
        self._at = None if seconds is None else time.monotonic() + seconds

    def remaining_s(self) -> float | None:
        """Seconds left, 0 when it has passed, None when there is no limit."""
        return None if self._at is None else max(0.0, self._at - time.monotonic())
