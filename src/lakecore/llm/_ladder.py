"""The ladder: rungs in order, asked until one answers, every attempt on record."""

from __future__ import annotations

import asyncio
import os
import random
import threading
from collections.abc import Callable, Coroutine, Sequence
from typing import Any, Final, TypeVar

from lakecore.base import NotFound
from lakecore.llm._answer import Answer
from lakecore.llm._call import Call, CallParts, is_long
from lakecore.llm._ledger import Ledger
from lakecore.llm._outcome import Policy
from lakecore.llm._project import Projection, RecordSink
from lakecore.llm._records import BudgetLeft, Budgets, UsageReport
from lakecore.llm._replay import ReplayStore
from lakecore.llm._request import Ask, By
from lakecore.llm._room import Rooms
from lakecore.llm._rung import LADDER, Rung, check_rungs, reordered
from lakecore.llm._stream import AnswerStream
from lakecore.llm._wire import Wire, load

_T = TypeVar("_T")
_CLOSE_TIMEOUT_S: Final = 10.0


class Ladder:
    """Models, asked in order. Threads, tasks and event loops may share it.

    Args:
        ledger: where every attempt is on record; closed with the ladder.
        policy: how far a call goes, and when it may cost more.
        budgets: what calls, runs, keys and days may spend.
        replay: where answers are recorded or taken from.
        sink: where settled attempts go as rows; None: they wait in the ledger.
    """

    def __init__(
        self,
        rungs: Sequence[Rung],
        ledger: Ledger,
        *,
        policy: Policy | None = None,
        budgets: Budgets | None = None,
        replay: ReplayStore | None = None,
        sink: RecordSink | None = None,
        keep_days: int = 90,
        chance: Callable[[], float] = random.random,
    ) -> None:
        self.rungs = check_rungs(rungs)
        self._ledger = ledger
        self._projection = None if sink is None else Projection(ledger, sink, keep_days=keep_days)
        self._wire = Wire()
        self._parts = CallParts(
            ledger=ledger,
            wire=self._wire,
            rooms=Rooms(),
            policy=policy or Policy(),
            budgets=budgets or Budgets(),
            replay=replay,
            random=chance,
            settled=lambda: None if self._projection is None else self._projection.notify(),
        )
        self._own_loop = _OwnLoop()
        self._is_loaded = False

    async def ask(self, ask: Ask, by: By) -> Answer:
        """One call: the answer, or the typed outcome that it ended with.

        Raises:
            InvalidInput: this is no request that any rung could be sent.
            NotFound: there is no rung of the name in `model`.
            Retry, Stop: the ledger cannot be written: nothing was sent, or what was is settled
                when it is opened again.
        """
        return await (await self._call(ask, by)).run()

    async def stream(self, ask: Ask, by: By) -> AnswerStream | Answer:
        """One call, its answer as it comes; an `Answer` where it ended before its first word.

        A rung can be left until then; what breaks later is told at the end.
        """
        return await (await self._call(ask, by)).open()

    def complete(self, ask: Ask, by: By) -> Answer:
        """As `ask`, for a thread without an event loop."""
        return self._own_loop.run(self.ask(ask, by))

    def usage(self, *, days: int | None = None, key: str | None = None) -> UsageReport:
        """Figures of this machine: see `Ledger.usage`."""
        return self._ledger.usage(days=days, key=key)

    def budget_left(self, key: str | None = None) -> BudgetLeft:
        """What may be spent, and what is left of today's: of all, or of the key of an id."""
        return BudgetLeft(self._parts.budgets, key is not None, self._ledger.spent_today(key))

    def project(self) -> int:
        """Hand settled attempts on to the sink now; how many."""
        return 0 if self._projection is None else self._projection.run()

    async def disconnect(self) -> None:
        """Close the connections of the running event loop."""
        await self._wire.close()

    def close(self) -> None:
        """Hand on what is settled, and let go. Safe to call twice."""
        self._own_loop.close(self._wire.close)
        if self._projection is not None:
            self._projection.close()
        self._ledger.close()

    async def _call(self, ask: Ask, by: By) -> Call:
        if not self._is_loaded:
            await asyncio.to_thread(load)
            self._is_loaded = True
        rungs = self._from(ask.model, ask.order)
        if is_long(ask.messages) or ask.output.schema is not None:
            clean, redactions = await asyncio.to_thread(_cleaned, ask)
        else:
            clean, redactions = _cleaned(ask)
        return Call(parts=self._parts, rungs=rungs, ask=clean, by=by, redactions=redactions)

    def _from(self, model: str, order: Sequence[str]) -> tuple[Rung, ...]:
        """The rungs that may be asked: all, or the one that is named."""
        if model == LADDER:
            return reordered(self.rungs, order)
        found = tuple(rung for rung in self.rungs if rung.name == model)
        if not found:
            names = [LADDER, *(rung.name for rung in self.rungs)]
            raise NotFound("there is no such model", expected=", ".join(names), found=model[:80])
        return found


def _cleaned(ask: Ask) -> tuple[Ask, int]:
    ask.check()
    return ask.redacted()


class _OwnLoop:
    """An event loop in a thread of its own, begun when it is first needed."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._loop: asyncio.AbstractEventLoop | None = None
        self._thread: threading.Thread | None = None
        self._pid = 0

    def run(self, work: Coroutine[Any, Any, _T]) -> _T:
        """Run it there, and wait for it."""
        future = asyncio.run_coroutine_threadsafe(work, self._begun())
        try:
            return future.result()
        except BaseException:
            future.cancel()
            raise

    def close(self, last: Callable[[], Coroutine[Any, Any, None]]) -> None:
        """Run `last`, and end the loop."""
        with self._lock:
            loop, thread = self._loop, self._thread
            self._loop = self._thread = None
        if loop is None or thread is None or self._pid != os.getpid():
            return
        asyncio.run_coroutine_threadsafe(_end_all(last), loop).result(_CLOSE_TIMEOUT_S)
        loop.call_soon_threadsafe(loop.stop)
        thread.join(_CLOSE_TIMEOUT_S)
        loop.close()

    def _begun(self) -> asyncio.AbstractEventLoop:
        with self._lock:
            # The thread of a parent is not there in a child.
            if self._loop is None or self._pid != os.getpid():
                self._loop, self._pid = asyncio.new_event_loop(), os.getpid()
                self._thread = threading.Thread(
                    target=self._loop.run_forever, name="lakecore-llm", daemon=True
                )
                self._thread.start()
            return self._loop


async def _end_all(last: Callable[[], Coroutine[Any, Any, None]]) -> None:
    """Cancel what runs on this loop, and wait until it has put itself on record."""
    others = asyncio.all_tasks() - {asyncio.current_task()}
    for task in others:
        if task is not None:
            task.cancel()
    await asyncio.gather(*(task for task in others if task is not None), return_exceptions=True)
    await last()
