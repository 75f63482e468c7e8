"""Work beside the caller: in order by one thread, what can be at once by several."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Any

BUILDERS = 2
"""Threads that build events and hashes while one writes them."""


class Lane:
    """Runs what it is given, one piece at a time, in order; at most `depth` are outstanding.

    So what the pieces hold is bounded, and the caller is slowed down to the lane's pace.
    An error of one piece is raised by a later call.
    """

    def __init__(self, name: str, *, depth: int = 1) -> None:
        self._name = name
        self._depth = depth
        self._executor: ThreadPoolExecutor | None = None
        self._outstanding: deque[Future[Any]] = deque()

    def run(self, work: Callable[..., object], *arguments: object) -> None:
        """Have `work` done after what was given before."""
        while len(self._outstanding) >= self._depth:
            self._outstanding.popleft().result()
        if self._executor is None:
            self._executor = ThreadPoolExecutor(1, thread_name_prefix=self._name)
        self._outstanding.append(self._executor.submit(work, *arguments))

    def wait(self) -> None:
        """Return when everything is done; raises what failed first."""
        while self._outstanding:
            self._outstanding.popleft().result()

    def close(self) -> None:
        """Wait for what runs, drop what waits, ignore how it ends, and end the thread."""
        self._outstanding.clear()
        if self._executor is not None:
            self._executor.shutdown(wait=True, cancel_futures=True)
            self._executor = None


class Pipeline:
    """Builds in several threads what one thread then takes in the order it was asked for.

    At most `depth` pieces are outstanding.
    """

    def __init__(self, name: str, take: Callable[[Any], None], *, depth: int = 4) -> None:
        self._name = name
        self._take = take
        self._lane = Lane(f"{name}-in-order", depth=depth)
        self._builders: ThreadPoolExecutor | None = None

    def run(self, build: Callable[..., object], *arguments: object) -> None:
        """Have `build` called at any time, and what it returns taken in its turn."""
        if self._builders is None:
            self._builders = ThreadPoolExecutor(BUILDERS, thread_name_prefix=self._name)
        self._lane.run(self._take_built, self._builders.submit(build, *arguments))

    def wait(self) -> None:
        """Return when everything is taken; raises what failed first."""
        self._lane.wait()

    def close(self) -> None:
        """Drop what waits and end the threads."""
        if self._builders is not None:
            self._builders.shutdown(wait=True, cancel_futures=True)
            self._builders = None
        self._lane.close()

    def _take_built(self, built: Future[Any]) -> None:
        self._take(built.result())
