"""Threads for what blocks: bounded in number, and in what waits for them."""

from __future__ import annotations

import asyncio
import contextvars
import threading
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Any, Final, TypeVar

from lakecore.base import Unavailable

_T = TypeVar("_T")
RETRY_AFTER_S: Final = 1


class Busy(Unavailable):
    """All threads are at work, and as many calls wait as may."""

    def __init__(self, limit: int) -> None:
        super().__init__(
            "the gateway has as much to do as it takes on",
            expected=f"at most {limit} calls at a time",
            hint=f"try again in {RETRY_AFTER_S} s",
        )
        self.retry_after_s = RETRY_AFTER_S


class Workers:
    """A pool of threads that refuses instead of queueing without end.

    A call that was begun ends, whatever becomes of who awaits it: it counts until then.
    """

    def __init__(self, threads: int, max_waiting: int) -> None:
        self.limit = threads + max_waiting
        """The most calls that run or wait."""

        self._pool = ThreadPoolExecutor(threads, thread_name_prefix="lakecore-gateway")
        self._aside = ThreadPoolExecutor(1, thread_name_prefix="lakecore-gateway-aside")
        self._count = 0
        self._lock = threading.Lock()

    @property
    def count(self) -> int:
        """Calls that run or wait."""
        return self._count

    async def call(self, function: Callable[..., _T], *args: Any, **named: Any) -> _T:
        """Run it in a thread. Raises `Busy` when there is no room."""
        return await asyncio.wrap_future(self._submit(lambda: function(*args, **named)))

    async def aside(self, function: Callable[[], _T]) -> _T:
        """Run it in a thread that is there for this alone: it must not wait behind the lake.

        One caller at a time, who awaits it: there is no queue.
        """
        return await asyncio.wrap_future(self._aside.submit(function))

    def leave(self, function: Callable[[], object]) -> None:
        """Run it in a thread, whatever waits: for letting go of things. Nobody awaits it."""
        self._pool.submit(function)

    def close(self) -> None:
        """Wait for what runs; nothing new is taken."""
        self._pool.shutdown(wait=True)
        self._aside.shutdown(wait=True)

    def _submit(self, call: Callable[[], _T]) -> Future[_T]:
        with self._lock:
            if self._count >= self.limit:
                raise Busy(self.limit)
            self._count += 1
        try:
            # In the request's own context: what it does belongs to its trace.
            future = self._pool.submit(contextvars.copy_context().run, call)
        except BaseException:
            self._done(None)
            raise
        future.add_done_callback(self._done)
        return future

    def _done(self, future: object) -> None:
        with self._lock:
            self._count -= 1
