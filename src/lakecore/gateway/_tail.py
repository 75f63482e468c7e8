"""/journal/tail: sealed events as they come, over Server-Sent Events.

One look at the journal serves all who wait: a tail without news costs a task and a cursor.
The last event of a batch has an `id`, the cursor behind it: a client that comes back with it
as ``Last-Event-ID`` misses nothing, and may see the events after it twice.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import suppress
from typing import TYPE_CHECKING, Annotated, Final

from fastapi import APIRouter, Query, Request, Response

from lakecore.base import LakecoreError, Retry
from lakecore.gateway._answers import Streamed, to_json
from lakecore.gateway._guard import Access, Caller, caller_of, needs
from lakecore.gateway._problems import problem_of

if TYPE_CHECKING:
    from lakecore.gateway._app import Rooms
    from lakecore.journal import Journal, Tail, TailBatch

router = APIRouter(prefix="/journal", tags=["journal"])

LOOK_S: Final = 0.5
"""Between two looks at the journal."""

BEAT_S: Final = 15.0
"""Without news: a sign that the gateway is there, and a look of its own at the journal."""

_BEAT: Final = b": still here\n\n"


@router.get("/tail", response_class=Response)
@needs(Access("read", "asked"))
async def tail(
    request: Request,
    dataset: Annotated[str | None, Query(max_length=1_024)] = None,
    cursor: Annotated[str | None, Query(max_length=4_096)] = None,
    from_seq: Annotated[int | None, Query()] = None,
) -> Response:
    """Sealed events, oldest first, then as they are sealed: Server-Sent Events.

    Without `cursor` or Last-Event-ID it begins at `from_seq`; below 0 so many before the end,
    and without that with what comes from now on. Without `dataset` the whole journal is read.
    """
    caller = caller_of(request)
    lake = caller.lake("read", dataset)
    rooms: Rooms = request.app.state.rooms
    after = request.headers.get("last-event-id") or cursor

    def begin() -> Tail:
        start = 0 if after else lake.journal.tree_size() if from_seq is None else from_seq
        found: Tail = lake.journal.tail(after, from_seq=start)
        return found

    opened = await rooms.workers.call(begin)
    wanted = None if dataset is None else dataset.removeprefix("main.")
    return Streamed(
        _events(rooms, caller, opened, lake.journal, wanted),
        close=opened.close,
        media_type="text/event-stream",
        headers={"cache-control": "no-store", "x-accel-buffering": "no"},
    )


class Pulse:
    """Looks whether the journal grew, once for all who wait."""

    def __init__(self) -> None:
        self.size = -1
        """Sealed events at the last look."""

        self._grown = asyncio.Event()
        self._looking: asyncio.Task[None] | None = None
        self._count = 0

    async def wait(self, rooms: Rooms, journal: Journal, seen: int, timeout_s: float) -> bool:
        """Whether something happened within a time: there are others than the `seen` events,
        the gateway stops, or somebody was woken.
        """
        self._count += 1
        if self._looking is None or self._looking.done():
            self._looking = asyncio.create_task(self._look(rooms, journal))
        try:
            if self.size == seen:
                async with asyncio.timeout(timeout_s):
                    await self._grown.wait()
        except TimeoutError:
            return False
        finally:
            self._count -= 1
        return True

    def wake(self) -> None:
        """Have all who wait look for themselves."""
        grown, self._grown = self._grown, asyncio.Event()
        grown.set()

    async def _look(self, rooms: Rooms, journal: Journal) -> None:
        while self._count:
            with suppress(Retry):
                size = await rooms.workers.call(journal.tree_size)
                if size != self.size or rooms.stopping.is_set():
                    self.size = size
                    self.wake()
            await asyncio.sleep(LOOK_S)


async def _events(
    rooms: Rooms, caller: Caller, tail: Tail, journal: Journal, dataset: str | None
) -> AsyncIterator[bytes]:
    yield f"retry: 2000\nid: {tail.cursor}\n\n".encode()
    is_due = True
    seen = rooms.pulse.size
    with rooms.watch.holding(caller, rooms.pulse.wake) as held:
        while not rooms.stopping.is_set():
            try:
                held.check()
                batch = await rooms.workers.call(tail.poll) if is_due else None
                held.check()
            except Retry as error:
                if held.error is None:
                    await asyncio.sleep(LOOK_S)
                    continue
                yield _problem(error, caller)
                return
            except LakecoreError as error:
                yield _problem(error, caller)
                return
            if batch is not None:
                yield _frames(batch, dataset)
                continue
            if await rooms.pulse.wait(rooms, journal, seen, BEAT_S):
                # Here alone: what came while the wait ran out is not seen until it is read.
                is_due = rooms.pulse.size != seen
                seen = rooms.pulse.size
            else:
                is_due = True
                yield _BEAT


def _problem(error: LakecoreError, caller: Caller) -> bytes:
    _, _, problem = problem_of(error, caller.request_id)
    return b"event: problem\ndata: " + problem + b"\n\n"


def _frames(batch: TailBatch, dataset: str | None) -> bytes:
    """A batch's events, a frame each; the cursor comes last, on its own where the last is not
    for this reader."""
    mine = [event for event in batch if dataset is None or event.dataset == dataset]
    frames = [b"event: change\ndata: " + to_json(event.to_dict()) + b"\n" for event in mine]
    cursor = f"id: {batch.cursor}\n".encode()
    if frames:
        return b"\n".join([*frames[:-1], frames[-1] + cursor]) + b"\n"
    return cursor + b"\n"
