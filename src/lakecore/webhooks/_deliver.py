"""Delivery: one thread with an event loop, a task a webhook, requests at a time bounded.

The life of a message:

1. **Read.** The tail of the journal is read from the webhook's cursor until a batch has events
   for it.
2. **Plan.** The stretch (cursor, until) is written to the machine's state.
3. **Send.** Its messages, one after the other: the next one when the receiver has the one
   before. What fails is tried again, later and later; after `give_up_s` of that the webhook is
   disabled, on record.
4. **Advance.** The part, at the end of the stretch the cursor, is written to the state.

Crash windows: between 2 and 4 the process may die, with the message sent or not. It is sent
again then, under the same id, since the stretch is the planned one. Nothing is skipped.
"""

from __future__ import annotations

import asyncio
import logging
import os
import random
import threading
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any, Final, TypeVar

from lakecore.base import Clock, CorruptData, InvalidInput, LakecoreError, Retry
from lakecore.base.limits import MIB
from lakecore.journal import Author
from lakecore.webhooks._message import Message, messages
from lakecore.webhooks._retry import NO_TROUBLE, after_failure, is_over
from lakecore.webhooks._send import Outcome, Sender
from lakecore.webhooks._sign import signed_headers
from lakecore.webhooks._state import Attempt, DeliveryState, Line, delivered

if TYPE_CHECKING:
    from lakecore.journal import Event, Journal, Tail
    from lakecore.telemetry import Traces
    from lakecore.webhooks._webhook import Webhook
    from lakecore.webhooks._webhooks import Webhooks

LOOK_S: Final = 0.5
"""Between two looks at the journal, while there is something to deliver to."""

REFRESH_S: Final = 2.0
"""Between two looks at the webhooks; changes made in this process are seen at once."""

IDLE_S: Final = 10.0
"""Between two looks at the webhooks, while this machine delivers none."""

STUCK_S: Final = 30.0
"""Until the next look, where it is not the receiver that is wrong."""

MAX_HELD_BYTES: Final = 4 * MIB
"""Messages of one webhook that wait in memory."""

_SAVE_S: Final = 5.0
_BATCHES_AT_ONCE: Final = 64
_ACTOR: Final = "lakecore"
_SOURCE: Final = "webhooks"
_log = logging.getLogger(__name__)
_T = TypeVar("_T")


@dataclass(frozen=True, slots=True, kw_only=True)
class DeliverySettings:
    """Bounds of delivery.

    Attributes:
        timeout_s: of one attempt, all of it.
        concurrency: requests at a time, of all webhooks.
        give_up_s: a webhook that failed for so long is disabled.
    """

    timeout_s: float = 10.0
    concurrency: int = 8
    give_up_s: float = 3 * 24 * 3_600.0


@dataclass(slots=True)
class _Lane:
    """One webhook while it is delivered."""

    webhook: Webhook
    line: Line
    wanted: Callable[[Event], bool]
    tail: Tail | None = None
    waiting: list[Message] = field(default_factory=list)
    saved_us: int = 0
    work: asyncio.Future[Any] | None = None
    """What a thread does for it; it ends before another lane of the webhook begins."""

    async def thread(self, function: Callable[..., _T], *args: Any) -> _T:
        """Run it in a thread."""
        future = asyncio.get_running_loop().run_in_executor(None, function, *args)
        self.work = future
        return await asyncio.shield(future)

    async def ended(self) -> None:
        """Once nothing is done for it any more."""
        if self.work is not None:
            await asyncio.wait({self.work})
        self.let_go()

    def let_go(self) -> None:
        if self.tail is not None:
            self.tail.close()
            self.tail = None


class Deliverer:
    """Delivers what this machine is to deliver, from `start` to `stop`.

    Several processes of a machine may have one: one of them delivers at a time.
    """

    def __init__(
        self,
        webhooks: Webhooks,
        journal: Journal,
        state: DeliveryState,
        *,
        lake_id: str,
        clock: Clock,
        traces: Traces,
        settings: DeliverySettings | None = None,
        chance: Callable[[], float] = random.random,
        make_sender: Callable[[], Sender] | None = None,
    ) -> None:
        self._webhooks = webhooks
        self._journal = journal
        self._state = state
        self._lake_id = lake_id
        self._clock = clock
        self._traces = traces
        self._settings = settings or DeliverySettings()
        self._chance = chance
        self._make_sender = make_sender or self._sender_of_settings
        self._lanes: dict[str, tuple[_Lane, asyncio.Task[None]]] = {}
        self._size = -1
        self._lock = threading.Lock()
        self._loop: asyncio.AbstractEventLoop | None = None
        self._thread: threading.Thread | None = None
        self._is_stopped = threading.Event()
        self._counts = {"delivered": 0, "failed": 0, "disabled": 0}

    def start(self) -> None:
        """Begin, in a thread of its own."""
        self._thread = threading.Thread(target=self._run, name="lakecore-webhooks", daemon=True)
        self._thread.start()

    def poke(self) -> None:
        """Something about the webhooks was changed: look now."""
        self._call(lambda: self._wake.set())

    def stop(self) -> None:
        """End; what is being sent is broken off, and is sent again the next time."""
        self._is_stopped.set()
        self._call(lambda: self._wake.set())
        if self._thread is not None:
            self._thread.join()

    def stats(self) -> dict[str, int]:
        """How many webhooks are delivered here and how many of those fail; what was sent."""
        lanes = [lane for lane, _ in list(self._lanes.values())]
        failing = sum(bool(lane.line.problem) for lane in lanes)
        return {"active": len(lanes), "failing": failing, **self._counts}

    # -- the thread -------------------------------------------------------------------

    def _run(self) -> None:
        try:
            asyncio.run(self._main())
        except Exception:
            _log.exception("the delivery of webhooks ended")

    def _call(self, function: Callable[[], object]) -> None:
        with self._lock:
            if self._loop is not None:
                self._loop.call_soon_threadsafe(function)

    async def _main(self) -> None:
        loop = asyncio.get_running_loop()
        self._wake = asyncio.Event()
        self._grown = asyncio.Event()
        self._slots = asyncio.Semaphore(self._settings.concurrency)
        # Threads beside those that look names up: a slow resolver must not stop the rest.
        threads = ThreadPoolExecutor(2 * self._settings.concurrency + 4, "lakecore-webhooks")
        loop.set_default_executor(threads)
        with self._lock:
            self._loop = loop
        self._sender = self._make_sender()
        turn: int | None = None
        try:
            while not self._is_stopped.is_set():
                try:
                    turn = turn or await asyncio.to_thread(self._state.take_turn)
                    if turn is not None:
                        await self._supervise()
                        continue
                except LakecoreError as error:
                    _log.warning("webhooks cannot be looked at: %s", error)
                except Exception:
                    # Whatever it is: the next look may find it gone, and nobody else delivers.
                    _log.exception("webhooks cannot be looked at")
                await self._pause(REFRESH_S)
        finally:
            with self._lock:
                self._loop = None
            await self._end_lanes(list(self._lanes))
            await self._sender.close()
            if turn is not None:
                os.close(turn)

    async def _supervise(self) -> None:
        """Look at the webhooks; then at the journal, until it is time for the webhooks again."""
        await self._arrange(await asyncio.to_thread(self._mine))
        if not self._lanes:
            await self._pause(IDLE_S)
            return
        end_s = asyncio.get_running_loop().time() + REFRESH_S
        while asyncio.get_running_loop().time() < end_s and not self._is_stopped.is_set():
            size = await asyncio.to_thread(self._journal.tree_size)
            if size != self._size:
                self._size = size
                grown, self._grown = self._grown, asyncio.Event()
                grown.set()
            if await self._pause(LOOK_S):
                return

    async def _pause(self, seconds: float) -> bool:
        """Whether it was ended by a poke."""
        with suppress(TimeoutError):
            await asyncio.wait_for(self._wake.wait(), seconds)
        was_poked = self._wake.is_set()
        self._wake.clear()
        return was_poked

    def _mine(self) -> list[Webhook]:
        mine = self._webhooks.machine.fingerprint()
        if mine is None:
            return []
        found = self._webhooks.list_webhooks()
        return [webhook for webhook in found if webhook.is_enabled and webhook.machine == mine]

    async def _arrange(self, mine: list[Webhook]) -> None:
        """A task for each, as its document is now."""
        versions = {webhook.id: webhook.version for webhook in mine}
        await self._end_lanes(
            [
                name
                for name, (lane, _) in self._lanes.items()
                if versions.get(name) != lane.webhook.version
            ]
        )
        for webhook in mine:
            if webhook.id not in self._lanes:
                line = await asyncio.to_thread(self._state.line, webhook.id, webhook.cursor)
                if (line.trouble.since_us or webhook.enabled_us) < webhook.enabled_us:
                    line = replace(line, trouble=NO_TROUBLE, problem="")
                lane = _Lane(webhook, line, webhook.chooser())
                self._lanes[webhook.id] = lane, asyncio.create_task(self._serve(lane))

    async def _end_lanes(self, names: list[str]) -> None:
        ending = [self._lanes.pop(name) for name in names]
        for _, task in ending:
            task.cancel()
        await asyncio.gather(*(task for _, task in ending), return_exceptions=True)
        for lane, _ in ending:
            await lane.ended()

    # -- one webhook ------------------------------------------------------------------

    async def _serve(self, lane: _Lane) -> None:
        while True:
            try:
                await self._step(lane)
            except LakecoreError as error:
                lane.let_go()
                await self._stuck(lane, error)
            except Exception:
                lane.let_go()
                _log.exception("webhook %s", lane.webhook.id)
                await asyncio.sleep(STUCK_S)

    async def _step(self, lane: _Lane) -> None:
        """Wait until it is time, then send one message; or wait for one."""
        wait_s = lane.line.trouble.wait_s(self._clock.now_us())
        if wait_s:
            await asyncio.sleep(wait_s)
        if not lane.waiting:
            seen, grown = self._size, self._grown
            found = await lane.thread(self._read, lane)
            if found is None:
                return
            if not found:
                if self._size == seen:
                    await grown.wait()
                return
            lane.waiting = _held(found)
        secrets = await lane.thread(
            self._webhooks.machine.signing, lane.webhook, self._clock.now_us()
        )
        async with self._slots:
            outcome = await self._send(lane.webhook, lane.waiting[0], secrets)
        await self._note(lane, outcome)

    async def _send(self, webhook: Webhook, message: Message, secrets: list[bytes]) -> Outcome:
        with self._traces.client("webhook", events=message.events, webhook=webhook.id) as span:
            headers = signed_headers(
                message.id, self._clock.now_us() // 1_000_000, message.body, secrets
            )
            headers |= self._traces.headers()
            outcome = await self._sender.send(webhook.url, headers, message.body)
            if outcome.status is not None:
                span.set("http.response.status_code", outcome.status)
            if not outcome.is_delivered:
                span.fail(outcome.outcome)
        return outcome

    async def _note(self, lane: _Lane, outcome: Outcome) -> None:
        """What follows from an attempt; on this machine's record before anything else is done."""
        message, now_us = lane.waiting[0], self._clock.now_us()
        attempt = Attempt(
            at_us=now_us,
            message=message.id,
            events=message.events,
            status=outcome.status,
            outcome=outcome.outcome,
            duration_ms=outcome.duration_ms,
        )
        if outcome.is_delivered:
            self._counts["delivered"] += 1
            del lane.waiting[0]
            line = delivered(lane.line, message.events, now_us, is_last=message.is_last)
        else:
            self._counts["failed"] += 1
            trouble = after_failure(
                lane.line.trouble,
                now_us,
                chance=self._chance(),
                retry_after_s=outcome.retry_after_s,
            )
            line = replace(lane.line, trouble=trouble, problem=outcome.outcome)
            _log.warning(
                "webhook %s was not delivered: %s",
                lane.webhook.id,
                outcome.outcome,
                extra={"attempts": trouble.attempts, "status": outcome.status},
            )
        lane.line = line
        await lane.thread(self._state.save, line, attempt)
        is_late = is_over(line.trouble, now_us, give_up_s=self._settings.give_up_s)
        if not outcome.is_delivered and (is_late or outcome.is_gone):
            await lane.thread(self._disable, lane, outcome)
            self._wake.set()
            # Until the lane is ended, which the document says by now.
            await asyncio.sleep(STUCK_S)

    def _disable(self, lane: _Lane, outcome: Outcome) -> None:
        hours = self._settings.give_up_s / 3_600
        why = (
            "the receiver is gone (410)"
            if outcome.is_gone
            else f"not delivered for {hours:g} h: {outcome.outcome}"
        )
        author = Author(actor=_ACTOR, source=_SOURCE, reason=why)
        self._webhooks.disable(lane.webhook.id, why, author=author)
        self._counts["disabled"] += 1
        _log.error("webhook %s is disabled: %s", lane.webhook.id, why)

    async def _stuck(self, lane: _Lane, error: LakecoreError) -> None:
        """Nothing can be sent, and the receiver is not to blame."""
        is_grave = isinstance(error, (CorruptData, InvalidInput))
        _log.log(
            logging.ERROR if is_grave else logging.WARNING,
            "webhook %s cannot be delivered: %s",
            lane.webhook.id,
            error,
        )
        lane.line = replace(lane.line, problem=error.message)
        with suppress(LakecoreError):
            await lane.thread(self._state.save, lane.line)
        await asyncio.sleep(REFRESH_S if isinstance(error, Retry) else STUCK_S)

    # -- reading, in a thread ---------------------------------------------------------

    def _read(self, lane: _Lane) -> list[Message] | None:
        """The next messages; none: there is no news; None: nothing for it yet, read on."""
        if lane.line.until is not None:
            return self._read_planned(lane)
        if lane.tail is None:
            lane.tail = self._journal.tail(lane.line.cursor)
        for _ in range(_BATCHES_AT_ONCE):
            batch = lane.tail.poll()
            if batch is None:
                self._passed(lane, at_once=True)
                return []
            events = [event for event in batch if lane.wanted(event)]
            if events:
                end = _end(batch.events)
                lane.line = replace(lane.line, until=batch.cursor, until_seq=end, part=0)
                self._state.save(lane.line)
                return messages(lane.webhook, self._lake_id, events, batch.cursor)
            lane.line = replace(lane.line, cursor=batch.cursor)
        self._passed(lane, at_once=False)
        return None

    def _read_planned(self, lane: _Lane) -> list[Message] | None:
        """What a process that ended was sending: the same stretch, whatever was sealed since."""
        until, end = lane.line.until or "", lane.line.until_seq
        lane.let_go()
        tail = self._journal.tail(lane.line.cursor)
        events: list[Event] = []
        try:
            position = 0
            while position < end and (batch := tail.poll()) is not None:
                position = _end(batch.events)
                mine = [event for event in batch if lane.wanted(event)]
                events += [event for event in mine if (event.seq or 0) < end]
        finally:
            tail.close()
        found = messages(lane.webhook, self._lake_id, events, until)[lane.line.part :]
        if not found:
            # The filters changed since: there is nothing of it left to send.
            lane.line = replace(lane.line, cursor=until, until=None, part=0)
            self._state.save(lane.line)
            return None
        return found

    def _passed(self, lane: _Lane, *, at_once: bool) -> None:
        """Events that are not for it need not be read again."""
        now_us = self._clock.now_us()
        if at_once or now_us - lane.saved_us > _SAVE_S * 1_000_000:
            if self._state.find(lane.webhook.id) != lane.line:
                self._state.save(lane.line)
            lane.saved_us = now_us

    def _sender_of_settings(self) -> Sender:
        return Sender(
            self._webhooks.allowed,
            timeout_s=self._settings.timeout_s,
            connections=self._settings.concurrency,
        )


def _held(found: list[Message]) -> list[Message]:
    """As many of a stretch's messages as are kept in memory; the others are read again."""
    held, size_bytes = found[:1], len(found[0].body)
    for message in found[1:]:
        size_bytes += len(message.body)
        if size_bytes > MAX_HELD_BYTES:
            break
        held.append(message)
    return held


def _end(events: Sequence[Event]) -> int:
    """How many events of the log there are up to the last of these."""
    return (events[-1].seq or 0) + 1
