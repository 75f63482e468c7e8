"""Group commit: threads that want to make something durable share one commit.

Whoever comes first leads: it commits everything that is queued by then, alone, while the
others wait; then the next in the queue leads. A mutex around each commit would make the
threads queue for the disk one by one.

The threads of a group wake one another in a chain, each the next one: woken all at a time
they would only wait once more, for the interpreter (measured: a fifth slower). The next leader
waits a moment for them to come back, so that it does not commit alone.

Tasks of an event loop take part: a thread leads for them, once all of a turn of the loop have
come, and wakes a loop once for all of its tasks in a group.
"""

from __future__ import annotations

import asyncio
import threading
import time
from collections import defaultdict, deque
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from itertools import pairwise
from typing import Final

from lakecore.base import Bug, Unavailable
from lakecore.journal._sqlite import watch_forks

_POLL_S: Final = 0.05
_FEW: Final = 2
"""Entries of a group that are not waited for."""
_COMPANY_S: Final = 0.002
_LOOK_S: Final = 0.00005
"""About what it takes to wake a thread."""


class Behind(Exception):
    """Events were stored or sealed, or the log renamed, since the caller looked for its keys."""


class Entry:
    """One batch of events on its way, and the thread that waits for it.

    `offset` is what the commit gave its first event. `keys` are those of supplied ids
    (`_hot.keys`), b"" when there are none; `covered` is where the log of those that the
    caller has looked for elsewhere ends, and `log_id` the name of the log that it knows, if
    there was one. `found` are rows whose key is there already: an entry with any is not
    stored, and neither is one that `only_looks`.
    """

    __slots__ = (
        "count",
        "covered",
        "data",
        "encoding",
        "error",
        "found",
        "keys",
        "leads",
        "log_id",
        "next",
        "offset",
        "only_looks",
        "task",
        "turn",
    )

    def __init__(
        self,
        encoding: int,
        count: int,
        data: bytes,
        keys: bytes = b"",
        covered: int = 0,
        log_id: str | None = None,
    ) -> None:
        if count < 1:
            raise Bug("an empty batch", found=count)
        self.encoding = encoding
        self.count = count
        self.data = data
        self.keys = keys
        self.covered = covered
        self.log_id = log_id
        self.found: dict[int, int] = {}
        self.offset = -1
        self.error: BaseException | None = None
        self.leads = False
        self.only_looks = False
        self.turn: threading.Lock | None = None
        self.next: threading.Lock | None = None
        self.task: asyncio.Future[None] | None = None


class GroupCommit:
    """Commits entries in groups.

    Args:
        commit: makes a group durable, or raises; never called by two threads at a time.
        max_queue_bytes: the most that may wait for a commit.
        timeout_s: how long an entry waits for room.
        linger_s: how long a leader waits for company: for commits that cost a round trip.
        has_room: whether what is committed leaves room for more; asked before queueing, with
            whether it may take its time to find out.
        on_stored: told how many events a group has stored, once for the group.
        where: what to name in errors.
    """

    def __init__(
        self,
        commit: Callable[[list[Entry]], None],
        *,
        max_queue_bytes: int,
        timeout_s: float,
        linger_s: float = 0.0,
        has_room: Callable[[bool], bool] = lambda _: True,
        on_stored: Callable[[int], None] = lambda _: None,
        where: object = None,
    ) -> None:
        self._commit = commit
        self._on_stored = on_stored
        self._max_queue_bytes = max_queue_bytes
        self._timeout_s = timeout_s
        self._linger_s = linger_s
        self._has_room = has_room
        self._where = where
        self.after_fork_in_child()
        watch_forks(self)

    def after_fork_in_child(self) -> None:
        """The queue and its waiting threads stay with the parent."""
        self._lock = threading.Lock()
        self._room = threading.Condition(self._lock)
        self._queue: deque[Entry] = deque()
        self._queued_bytes = 0
        self._has_leader = False
        self._last_size = 0
        self._last_s = 0.0
        self._due_in: asyncio.AbstractEventLoop | None = None
        self._thread: ThreadPoolExecutor | None = None

    def submit(self, entry: Entry) -> None:
        """Return when the entry is durable.

        Raises:
            Unavailable: no room within the bound; nothing was stored.
            ...: what `commit` raised; the entry is not acknowledged, and may be stored.
        """
        with self._lock:
            self._wait_for_room(len(entry.data))
            self._enqueue(entry)
            entry.leads = not self._has_leader
            self._has_leader = True
            if not entry.leads:
                turn = entry.turn = threading.Lock()
                turn.acquire()
        if not entry.leads:
            self._wait_for_turn(entry, turn)
        if entry.leads:
            self._lead()
        if entry.error is not None:
            raise entry.error

    def join(self, entry: Entry) -> asyncio.Future[None] | None:
        """Queue the entry of a task, if there is room at once; what the task has to await.

        It is done when the entry is committed, or has an `error`. A task that is cancelled
        meanwhile has to `leave`.
        """
        loop = asyncio.get_running_loop()
        with self._lock:
            if self._is_full(len(entry.data)) or not self._has_room(False):
                return None
            task = entry.task = loop.create_future()
            self._enqueue(entry)
            if not self._has_leader and self._due_in is not loop:
                self._due_in = loop
                loop.call_soon(self._lead_if_nobody_does)
        return task

    def leave(self, entry: Entry) -> None:
        """Take an entry out of the queue; what is being committed may be stored."""
        with self._lock:
            self._remove(entry)

    async def submit_async(self, entry: Entry) -> None:
        """As `submit`, for a task; the event loop runs on meanwhile.

        A task that is cancelled leaves the queue.
        """
        deadline = time.monotonic() + self._timeout_s
        while (task := self.join(entry)) is None:
            with self._lock:
                is_full = self._is_full(len(entry.data))
            if time.monotonic() >= deadline:
                raise self._no_room(is_full)
            await asyncio.sleep(_POLL_S)
            if not is_full:
                await asyncio.to_thread(self._has_room, True)
        try:
            await task
        except asyncio.CancelledError:
            self.leave(entry)
            raise
        if entry.error is not None:
            raise entry.error

    def close(self) -> None:
        """End the thread that leads for tasks, after the commit that it is in."""
        if self._thread is not None:
            self._thread.shutdown()

    def room_changed(self) -> None:
        """Look again: something was removed from what is committed."""
        with self._lock:
            self._room.notify_all()

    def _enqueue(self, entry: Entry) -> None:
        """With the lock held."""
        self._queue.append(entry)
        self._queued_bytes += len(entry.data)

    def _remove(self, entry: Entry) -> None:
        """With the lock held. What leads stays, and so does what is being committed."""
        if entry in self._queue and not entry.leads:
            self._queue.remove(entry)
            self._queued_bytes -= len(entry.data)

    def _is_full(self, size: int) -> bool:
        """With the lock held. An entry larger than the queue may be in it alone."""
        return bool(self._queue) and self._queued_bytes + size > self._max_queue_bytes

    def _wait_for_room(self, size: int) -> None:
        """With the lock held."""
        deadline: float | None = None
        while True:
            is_full = self._is_full(size)
            if not is_full and self._has_room(True):
                return
            now = time.monotonic()
            deadline = deadline or now + self._timeout_s
            if now >= deadline:
                raise self._no_room(is_full)
            self._room.wait(min(_POLL_S, deadline - now))

    def _no_room(self, is_full: bool) -> Unavailable:
        return Unavailable(
            "the journal has no room for more events",
            expected=f"room within {self._timeout_s:g} s",
            found="the queue is full" if is_full else "too much is unsealed",
            where=self._where,
            hint="try again later, in smaller batches; the journal's stats say why "
            "sealing is behind",
        )

    def _wait_for_turn(self, entry: Entry, turn: threading.Lock) -> None:
        """Until the entry is committed, or is to lead."""
        try:
            turn.acquire()
        except BaseException:
            # Interrupted: leave the queue, but not the others without a leader.
            with self._lock:
                self._remove(entry)
                entry.turn = None  # nobody is to rely on this thread any more
            if entry.leads:
                self._lead()
            raise
        finally:
            _release(entry.next)

    def _lead(self) -> None:
        """Commit what is queued, and see that the next in the queue leads."""
        if self._commit_queue():
            self._lead_in_thread()

    def _lead_if_nobody_does(self) -> None:
        """For the tasks of a turn of a loop."""
        with self._lock:
            self._due_in = None
            if self._has_leader or not self._queue:
                return
            self._has_leader = True
        self._lead_in_thread()

    def _lead_in_thread(self) -> None:
        with self._lock:
            if self._thread is None:
                self._thread = ThreadPoolExecutor(1, thread_name_prefix="lakecore-append")
        try:
            self._thread.submit(self._lead_for_tasks)
        except RuntimeError:
            self._lead_for_tasks()  # the interpreter ends: no thread starts any more

    def _lead_for_tasks(self) -> None:
        while self._commit_queue():
            pass

    def _await_company(self) -> None:
        """Give the group that was woken last the time to come back, as long as it does.

        Who leads next is the first one back, and would commit alone. At most as long as the
        last commit took: so waiting pays, or costs no more than that.
        """
        limit = time.monotonic() + min(self._last_s, _COMPANY_S)
        count = 0
        while count < len(self._queue) < self._last_size and time.monotonic() < limit:
            count = len(self._queue)
            time.sleep(_LOOK_S)

    def _commit_queue(self) -> bool:
        """Commit what is queued, hand over, wake who waited for it.

        Returns whether the next in the queue is a task, which cannot lead itself.
        """
        error: BaseException | None = None
        group: list[Entry] = []
        try:
            if self._linger_s:
                time.sleep(self._linger_s)
            elif self._last_size > _FEW:
                self._await_company()
            with self._lock:
                group = list(self._queue)
                self._queue.clear()
            if group:
                start = time.monotonic()
                self._commit(group)
                self._last_size, self._last_s = len(group), time.monotonic() - start
        except BaseException as caught:
            error = caught
        else:
            with suppress(Exception):  # the group is durable, whatever becomes of being told
                self._on_stored(sum([entry.count for entry in group if entry.offset >= 0]))
        with self._lock:
            if not group:  # interrupted before it began
                group = list(self._queue)
                self._queue.clear()
            for entry in group:
                self._queued_bytes -= len(entry.data)
                if error is not None:
                    entry.error = error
                    if not isinstance(error, Exception) and not entry.leads:
                        entry.error = Unavailable("the append was interrupted", where=self._where)
            self._room.notify_all()
            successor = self._queue[0] if self._queue else None
            if successor is not None:
                successor.leads = True
            else:
                self._has_leader = False
            # Who was interrupted has no turn, or passes on what it was given till then.
            waiting = [entry for entry in group if entry.turn is not None and not entry.leads]
            for entry, following in pairwise(waiting):
                entry.next = following.turn
        if successor is not None:
            _release(successor.turn)
        if waiting:
            _release(waiting[0].turn)
        _wake([entry.task for entry in group if entry.task is not None])
        return successor is not None and successor.task is not None


def _release(turn: threading.Lock | None) -> None:
    if turn is not None:
        turn.release()


def _wake(tasks: list[asyncio.Future[None]]) -> None:
    """Let tasks go on: one call into each loop, for that is what costs."""
    tasks_of: defaultdict[asyncio.AbstractEventLoop, list[asyncio.Future[None]]]
    tasks_of = defaultdict(list)
    for task in tasks:
        tasks_of[task.get_loop()].append(task)
    for loop, mine in tasks_of.items():
        with suppress(RuntimeError):  # the loop is closed: nobody waits any more
            loop.call_soon_threadsafe(_set, mine)


def _set(tasks: list[asyncio.Future[None]]) -> None:
    for task in tasks:
        if not task.done():
            task.set_result(None)
