"""One call of the ladder, from its first rung to its answer: the shell around `Walk`.

For each attempt:

1. prepare the request, without secrets;
2. wait for room at the rung, and *reserve*: on record, durably, before anything is sent;
3. send it, and judge the answer;
4. *settle*: on record, durably, before anything is done with the answer;
5. ask `Walk` what comes next.

Whoever goes away in between has the attempt settled as ``cancelled``.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Callable, Mapping
from concurrent.futures import Future
from contextlib import AsyncExitStack, suppress
from dataclasses import dataclass, field, replace
from typing import Any, Final, TypeVar

from lakecore.base import Bug, InvalidInput, LakecoreError, uuid7
from lakecore.llm._answer import Answer
from lakecore.llm._ledger import Ledger
from lakecore.llm._outcome import Move, Outcome, Policy, Step, Walk
from lakecore.llm._output import repair_messages
from lakecore.llm._records import Budgets, Denied, Reservation, Settlement
from lakecore.llm._replay import Mode, ReplayStore
from lakecore.llm._reply import Reply, StreamReader, answer_text, clean, has_calls
from lakecore.llm._request import Ask, By, Prepared, prepare
from lakecore.llm._room import Rooms
from lakecore.llm._rung import Rung, Structured
from lakecore.llm._stream import AnswerStream
from lakecore.llm._tokens import Origin, Usage
from lakecore.llm._wire import Wire

_T = TypeVar("_T")
_LONG_BYTES: Final = 32 * 1_024
_POLL_S: Final = 0.1
_EARLY_S: Final = 0.005
"""A pause ends so much later than it was asked for, and not a moment before."""

NOBODY: Final = Rung(name="none", base_url="http://none.invalid/v1", model="none")
"""Stands in the ledger where there was no rung to ask."""


@dataclass(frozen=True, slots=True, kw_only=True)
class CallParts:
    """What every call of a ladder stands on.

    Attributes:
        random: from 0 to 1; spreads pauses.
        settled: told when something was put on record.
    """

    ledger: Ledger
    wire: Wire
    rooms: Rooms
    policy: Policy
    budgets: Budgets
    replay: ReplayStore | None
    random: Callable[[], float]
    settled: Callable[[], None]


@dataclass(frozen=True, slots=True, kw_only=True)
class _Result:
    """How one attempt ended.

    Attributes:
        denied: it was not made; the reservation that it would have been.
    """

    outcome: Outcome
    detail: str = ""
    retry_after_s: float | None = None
    value: Any = None
    body: Mapping[str, Any] | None = None
    denied: Reservation | None = None
    stream: AnswerStream | None = None


_START: Final = _Result(outcome=Outcome.NO_RUNG, detail="no rung is configured")


@dataclass(slots=True, kw_only=True)
class Call:
    """One call. `run` it, or `open` it as a stream; once."""

    parts: CallParts
    rungs: tuple[Rung, ...]
    ask: Ask
    by: By
    redactions: int
    id: str = field(default_factory=uuid7)
    _repairs: list[dict[str, Any]] = field(default_factory=list)
    _prompt_tokens: int = 0
    _completion_tokens: int = 0
    _cost_nano: int = 0
    _attempts: int = 0
    _is_stream: bool = False

    async def run(self) -> Answer:
        """The answer, whole."""
        walk, result = await self._climb()
        return self._answer(walk, result)

    async def open(self) -> AnswerStream | Answer:
        """The answer as a stream, from its first content on; an `Answer` where there is none."""
        self._is_stream = True
        walk, result = await self._climb()
        if result.stream is not None:
            return result.stream
        return self._answer(walk, result)

    async def _climb(self) -> tuple[Walk, _Result]:
        walk, step = Walk.begin(self.rungs, self.parts.policy)
        result = _START
        while step.move is not Move.END:
            await self._get_ready(step, walk, result)
            result = await self._attempt(walk)
            before = walk
            walk, step = walk.after(
                result.outcome, detail=result.detail, retry_after_s=result.retry_after_s
            )
            if walk.index != before.index:
                self._repairs = []
        if result.denied is not None or result is _START:
            await self._note(walk, result)
        return walk, result

    async def _get_ready(self, step: Step, walk: Walk, result: _Result) -> None:
        if step.move is Move.REPAIR:
            written = answer_text(result.body) if result.body is not None else ""
            self._repairs += repair_messages(written, result.detail)
        if step.pause_s and not self._is_replaying:
            await asyncio.sleep(step.pause_s * (1 + 0.1 * self.parts.random()) + _EARLY_S)

    async def _attempt(self, walk: Walk) -> _Result:
        rung, repairs, is_stream = walk.rung, self._repairs, self._is_stream
        prepared = await _off_loop(
            self.ask, lambda: prepare(self.ask, rung, repairs=repairs, is_stream=is_stream)
        )
        wanted = self._reservation(walk, prepared)
        if self._is_replaying:
            return await self._replayed(prepared, wanted)
        if rung.key_missing is not None:
            detail = f"the environment has no {rung.key_missing}"
            return _Result(outcome=Outcome.REFUSED, detail=detail, denied=wanted)
        if is_stream:
            return await self._open_once(walk, prepared, wanted)
        return await self._ask_once(prepared, wanted)

    # -- an answer, whole -------------------------------------------------------------

    async def _ask_once(self, prepared: Prepared, wanted: Reservation) -> _Result:
        async with AsyncExitStack() as room:
            denied = await self._reserve(prepared.rung, wanted, room)
            if denied is not None:
                return denied
            self._attempts += 1
            began_s = time.monotonic()
            try:
                reply = await self.parts.wire.send(prepared, wanted.id)
                outcome, value, detail = await self._judge(reply)
            except BaseException:
                self._settle_gone(wanted.id, began_s)
                raise
            duration_ms = (time.monotonic() - began_s) * 1_000
            how = reply.settlement(prepared, outcome, detail, duration_ms)
            await self._settle(wanted, prepared, how)
        await self._keep(prepared, reply)
        return _Result(
            outcome=outcome,
            detail=how.detail,
            retry_after_s=reply.retry_after_s,
            value=value,
            body=reply.body,
        )

    async def _judge(self, reply: Reply) -> tuple[Outcome, Any, str]:
        """What an answer is worth: its form, and the caller's own check."""
        if reply.outcome is not Outcome.OK or reply.body is None:
            return reply.outcome, None, reply.detail
        output, text = self.ask.output, answer_text(reply.body)
        if has_calls(reply.body):
            return Outcome.OK, text, ""
        if output.form is Structured.TEXT and output.check is None:
            return output.judge(text)
        return await asyncio.to_thread(output.judge, text)

    # -- an answer as a stream --------------------------------------------------------

    async def _open_once(self, walk: Walk, prepared: Prepared, wanted: Reservation) -> _Result:
        async with AsyncExitStack() as room:
            denied = await self._reserve(prepared.rung, wanted, room)
            if denied is not None:
                return denied
            self._attempts += 1
            began_s = time.monotonic()
            reader = StreamReader(prepared)
            source = self.parts.wire.stream(prepared, wanted.id, reader)
            chunks: list[dict[str, Any]] = []
            try:
                await _until_content(source, reader, chunks)
            except BaseException:
                self._settle_gone(wanted.id, began_s)
                raise
            if reader.has_content and reader.error is None:

                def settle(how: Settlement) -> Future[bool]:
                    self.parts.settled()
                    return self._count(prepared, how, self.parts.ledger.settle(wanted.id, how))

                stream = AnswerStream(
                    first=chunks,
                    source=source,
                    reader=reader,
                    output=self.ask.output,
                    began_s=began_s,
                    settle=settle,
                    keep=lambda reply, all_: self._keep(prepared, reply, all_),
                    release=room.pop_all(),
                    answer=lambda outcome, detail: self._answer(
                        walk, _Result(outcome=outcome, detail=detail)
                    ),
                )
                return _Result(outcome=Outcome.OK, stream=stream)
            reply = reader.reply("the stream ended before its first word")
            outcome = reply.outcome
            detail = reply.detail
            if outcome is Outcome.OK:
                outcome, detail = Outcome.UNPARSABLE, "the answer is empty"
            duration_ms = (time.monotonic() - began_s) * 1_000
            how = reply.settlement(prepared, outcome, detail, duration_ms)
            await self._settle(wanted, prepared, how)
        await self._keep(prepared, reply)
        return _Result(outcome=outcome, detail=detail, retry_after_s=reply.retry_after_s)

    # -- on record --------------------------------------------------------------------

    def _reservation(self, walk: Walk, prepared: Prepared) -> Reservation:
        budgets = self.parts.budgets
        if self.ask.budget_nano is not None:
            least = [self.ask.budget_nano, budgets.call_nano]
            call_nano = min(nano for nano in least if nano is not None)
            budgets = replace(budgets, call_nano=call_nano)
        return Reservation(
            id=uuid7(),
            call_id=self.id,
            ordinal=self._attempts,
            by=self.by,
            rung=prepared.rung,
            most_nano=prepared.most_nano,
            prompt_most=prepared.size.most,
            output_most=prepared.max_output,
            tokens=prepared.size.estimate + prepared.max_output,
            budgets=budgets,
            left=walk.left,
            redactions=self.redactions,
        )

    async def _reserve(
        self, rung: Rung, wanted: Reservation, room: AsyncExitStack
    ) -> _Result | None:
        """Wait for room and reserve; what forbids it, or None."""
        most_s = self.parts.policy.max_pause_s
        deadline_s = time.monotonic() + most_s
        try:
            async with asyncio.timeout(most_s):
                await room.enter_async_context(self.parts.rooms.room(rung))
        except TimeoutError:
            detail = f"no room within {most_s:g} s"
            return _Result(outcome=Outcome.RATE, detail=detail, denied=wanted)
        while True:
            future = self.parts.ledger.reserve(wanted)
            try:
                verdict = await _durable(future)
            except asyncio.CancelledError:
                future.add_done_callback(lambda done: self._give_back(done, wanted.id))
                raise
            if not isinstance(verdict, Denied):
                return None
            if not verdict.is_full or time.monotonic() + _POLL_S > deadline_s:
                return _Result(
                    outcome=verdict.outcome,
                    detail=verdict.detail,
                    retry_after_s=verdict.retry_after_s,
                    denied=wanted,
                )
            # Other processes have all the room.
            await asyncio.sleep(_POLL_S * (1 + self.parts.random()))

    async def _settle(self, wanted: Reservation, prepared: Prepared, how: Settlement) -> None:
        await _durable(self._count(prepared, how, self.parts.ledger.settle(wanted.id, how)))
        self.parts.settled()

    def _count(self, prepared: Prepared, how: Settlement, done: Future[bool]) -> Future[bool]:
        """Into the sums of this call."""
        if how.is_most:
            self._prompt_tokens += prepared.size.most
            self._completion_tokens += prepared.max_output
            self._cost_nano += prepared.most_nano
        else:
            usage = how.usage
            self._prompt_tokens += usage.prompt_tokens
            self._completion_tokens += usage.completion_tokens
            self._cost_nano += prepared.rung.prices.cost_nano(
                usage.prompt_tokens, usage.completion_tokens
            )
        return done

    def _settle_gone(self, attempt_id: str, began_s: float) -> None:
        """Whoever asked went away: nothing is awaited any more."""
        duration_ms = (time.monotonic() - began_s) * 1_000
        how = Settlement(outcome=Outcome.CANCELLED, is_most=True, duration_ms=duration_ms)
        # A closed ledger finds it when it is opened again.
        with suppress(LakecoreError):
            self.parts.ledger.settle(attempt_id, how)
            self.parts.settled()

    def _give_back(self, done: Future[Any], attempt_id: str) -> None:
        """Reserved while whoever asked went away: nothing was sent."""
        if done.exception() is None and not isinstance(done.result(), Denied):
            with suppress(LakecoreError):
                self.parts.ledger.settle(attempt_id, Settlement(outcome=Outcome.CANCELLED))

    async def _note(self, walk: Walk, result: _Result) -> None:
        wanted = result.denied
        if wanted is None:
            wanted = Reservation(
                id=uuid7(),
                call_id=self.id,
                ordinal=0,
                by=self.by,
                rung=NOBODY,
                most_nano=0,
                prompt_most=0,
                output_most=0,
                tokens=0,
                budgets=Budgets(),
                redactions=self.redactions,
            )
        how = Settlement(outcome=result.outcome, detail=clean(result.detail))
        await _durable(self.parts.ledger.note(wanted, how))
        self.parts.settled()

    # -- recorded answers -------------------------------------------------------------

    @property
    def _is_replaying(self) -> bool:
        return self.parts.replay is not None and self.parts.replay.mode is Mode.REPLAY

    async def _replayed(self, prepared: Prepared, wanted: Reservation) -> _Result:
        store = self.parts.replay
        if store is None:
            raise Bug("nothing is replayed")
        recorded = await asyncio.to_thread(store.find, prepared)
        outcome, value, detail = await self._judge(recorded.reply)
        self._attempts += 1
        how = Settlement(outcome=outcome, detail=clean(detail), usage=Usage(0, 0, Origin.REPLAY))
        await _durable(self.parts.ledger.note(wanted, how))
        self.parts.settled()
        result = _Result(outcome=outcome, detail=detail, value=value, body=recorded.reply.body)
        if self._is_stream and outcome is Outcome.OK:
            stream = AnswerStream.replayed(
                recorded, lambda outcome, detail: self._answer(None, result)
            )
            return _Result(outcome=outcome, stream=stream)
        return result

    async def _keep(
        self, prepared: Prepared, reply: Reply, chunks: list[dict[str, Any]] | None = None
    ) -> None:
        store = self.parts.replay
        if store is not None and store.mode is Mode.RECORD:
            await asyncio.to_thread(store.keep, prepared, reply, chunks or ())

    def _answer(self, walk: Walk | None, result: _Result) -> Answer:
        is_asked = result is not _START and walk is not None
        return Answer(
            outcome=result.outcome,
            detail=result.detail,
            call_id=self.id,
            rung=walk.rung.name if walk is not None and is_asked else "",
            value=result.value if result.outcome is Outcome.OK else None,
            body=result.body,
            left=walk.left if walk is not None else (),
            attempts=self._attempts,
            prompt_tokens=self._prompt_tokens,
            completion_tokens=self._completion_tokens,
            cost_nano=self._cost_nano,
            retry_after_s=result.retry_after_s,
        )


async def _until_content(
    source: AsyncIterator[dict[str, Any]], reader: StreamReader, chunks: list[dict[str, Any]]
) -> None:
    async for chunk in source:
        chunks.append(chunk)
        if reader.has_content:
            return


async def _durable(future: Future[_T]) -> _T:
    """Wait for a result; going away meanwhile does not take it back."""
    return await asyncio.shield(asyncio.wrap_future(future))


async def _off_loop(ask: Ask, function: Callable[[], _T]) -> _T:
    """In a thread, where a prompt is so long that the loop would be held up."""
    if is_long(ask.messages):
        return await asyncio.to_thread(function)
    return function()


def is_long(messages: Any) -> bool:
    """Whether looking through a prompt takes longer than an event loop should wait."""
    total = 0
    try:
        for message in messages:
            content = message.get("content")
            total += len(content) if isinstance(content, str) else _LONG_BYTES * bool(content)
            if total > _LONG_BYTES:
                return True
    except (AttributeError, TypeError) as error:
        raise InvalidInput("messages are a list of objects") from error
    return False
