"""Work that one thread does in order, beside the caller."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Any


class Lane:
    """Runs what it is given, one piece at a time, in order; at most one is ever outstanding.

    So what the pieces hold is bounded, and the caller is slowed down to the lane's pace.
    An error of one piece is raised by the next call.
    """

    def __init__(self, name: str) -> None:
        self._name = name
        self._executor: ThreadPoolExecutor | None = None
        self._outstanding: Future[Any] | None = None

    def run(self, work: Callable[..., object], *arguments: object) -> None:
        """Have `work` done after what was given before."""
        self.wait()
        if self._executor is None:
            self._executor = ThreadPoolExecutor(1, thread_name_prefix=self._name)
        self._outstanding = self._executor.submit(work, *arguments)

    def wait(self) -> None:
        """Return when everything is done; raises what failed."""
        outstanding, self._outstanding = self._outstanding, None
        if outstanding is not None:
            outstanding.result()

    def close(self) -> None:
        """Wait for what runs, ignore how it ends, and end the thread."""
        self._outstanding = None
        if self._executor is not None:
            self._executor.shutdown(wait=True)
            self._executor = None
