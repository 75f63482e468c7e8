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
    """Work in which only the order is serial: what can be at once is done by several threads.

        build (at once) --> number (in order, quick) --> prepare (at once) --> take (in order)

    `number` returns the arguments of `prepare`, or None for nothing more to do. At most
    `depth` pieces are outstanding on either side of it.
    """

    def __init__(
        self,
        name: str,
        *,
        number: Callable[[Any], tuple[Any, ...] | None],
        prepare: Callable[..., object],
        take: Callable[[Any], None],
        depth: int = 3,
    ) -> None:
        self._name = name
        self._number = number
        self._prepare = prepare
        self._take = take
        self._numbers = Lane(f"{name}-numbered", depth=depth)
        self._takes = Lane(f"{name}-taken", depth=depth)
        self._builders: ThreadPoolExecutor | None = None

    def run(self, build: Callable[..., object], *arguments: object) -> None:
        """Have `build` called at any time, and what it returns numbered and taken in its turn."""
        if self._builders is None:
            self._builders = ThreadPoolExecutor(BUILDERS, thread_name_prefix=self._name)
        self._numbers.run(self._number_built, self._builders.submit(build, *arguments))

    def wait(self) -> None:
        """Return when everything is taken; raises what failed first."""
        self._numbers.wait()
        self._takes.wait()

    def close(self) -> None:
        """Drop what waits and end the threads."""
        if self._builders is not None:
            self._builders.shutdown(wait=True, cancel_futures=True)
        self._numbers.close()
        self._takes.close()
        self._builders = None

    def _number_built(self, built: Future[Any]) -> None:
        numbered = self._number(built.result())
        builders = self._builders
        if numbered is not None and builders is not None:
            self._takes.run(self._take_prepared, builders.submit(self._prepare, *numbered))

    def _take_prepared(self, prepared: Future[Any]) -> None:
        self._take(prepared.result())
