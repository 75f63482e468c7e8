"""Group commit: threads that want to make something durable share one commit.

Whoever comes first leads: it commits everything that is queued by then, alone, while the
others wait; then the next in the queue leads. A mutex around each commit would make the
threads queue for the disk one by one.
"""

from __future__ import annotations

import threading
import time
from collections import deque
from collections.abc import Callable
from typing import Final

from lakecore.base import Bug, Unavailable
from lakecore.journal._sqlite import watch_forks

_POLL_S: Final = 0.05


class Entry:
    """One batch of events on its way, and the thread that waits for it.

    `offset` is what the commit gave its first event.
    """

    __slots__ = ("count", "data", "encoding", "error", "leads", "offset", "turn")

    def __init__(self, encoding: int, count: int, data: bytes) -> None:
        if count < 1:
            raise Bug("an empty batch", found=count)
        self.encoding = encoding
        self.count = count
        self.data = data
        self.offset = -1
        self.error: BaseException | None = None
        self.leads = False
        self.turn = threading.Lock()
        self.turn.acquire()


class GroupCommit:
    """Commits entries in groups.

    Args:
        commit: makes a group durable, or raises; never called by two threads at a time.
        max_queue_bytes: the most that may wait for a commit.
        timeout_s: how long an entry waits for room.
        linger_s: how long a leader waits for company: for commits that cost a round trip.
        has_room: whether what is committed leaves room for more; asked before queueing.
        where: what to name in errors.
    """

    def __init__(
        self,
        commit: Callable[[list[Entry]], None],
        *,
        max_queue_bytes: int,
        timeout_s: float,
        linger_s: float = 0.0,
        has_room: Callable[[], bool] = lambda: True,
        where: object = None,
    ) -> None:
        self._commit = commit
        self._max_queue_bytes = max_queue_bytes
        self._timeout_s = timeout_s
        self._linger_s = linger_s
        self._has_room = has_room
        self._where = where
        self.after_fork_in_child()
        watch_forks(self)

    def after_fork_in_child(self) -> None:
        """The queue and its waiting threads stay with the parent."""
        self._room = threading.Condition(threading.Lock())
        self._queue: deque[Entry] = deque()
        self._queued_bytes = 0
        self._has_leader = False

    def submit(self, entry: Entry) -> None:
        """Return when the entry is durable.

        Raises:
            Unavailable: no room within the bound; nothing was stored.
            ...: what `commit` raised; the entry is not acknowledged, and may be stored.
        """
        size = len(entry.data)
        with self._room:
            self._wait_for_room(size)
            self._queue.append(entry)
            self._queued_bytes += size
            entry.leads = not self._has_leader
            self._has_leader = True
        if not entry.leads:
            self._wait_for_turn(entry)
        if entry.leads:
            self._lead()
        if entry.error is not None:
            raise entry.error

    def room_changed(self) -> None:
        """Look again: something was removed from what is committed."""
        with self._room:
            self._room.notify_all()

    def _wait_for_room(self, size: int) -> None:
        """With the lock held. An entry larger than the queue may be in it alone."""
        deadline: float | None = None
        while True:
            is_full = bool(self._queue) and self._queued_bytes + size > self._max_queue_bytes
            if not is_full and self._has_room():
                return
            now = time.monotonic()
            deadline = deadline or now + self._timeout_s
            if now >= deadline:
                raise Unavailable(
                    "the journal has no room for more events",
                    expected=f"room within {self._timeout_s:g} s",
                    found="the queue is full" if is_full else "too much is unsealed",
                    where=self._where,
                    hint="try again later, in smaller batches; the journal's stats say why "
                    "sealing is behind",
                )
            self._room.wait(min(_POLL_S, deadline - now))

    def _wait_for_turn(self, entry: Entry) -> None:
        """Until the entry is committed, or is to lead."""
        try:
            entry.turn.acquire()
        except BaseException:
            # Interrupted: leave the queue, but not the others without a leader.
            with self._room:
                if entry in self._queue and not entry.leads:
                    self._queue.remove(entry)
                    self._queued_bytes -= len(entry.data)
            if entry.leads:
                self._lead()
            raise

    def _lead(self) -> None:
        """Commit what is queued, hand over, wake who waited for it."""
        error: BaseException | None = None
        group: list[Entry] = []
        try:
            if self._linger_s:
                time.sleep(self._linger_s)
            with self._room:
                group = list(self._queue)
                self._queue.clear()
            self._commit(group)
        except BaseException as caught:
            error = caught
        with self._room:
            if not group:  # interrupted before it began
                group = list(self._queue)
                self._queue.clear()
            self._queued_bytes -= sum(len(entry.data) for entry in group)
            self._room.notify_all()
            successor = self._queue[0] if self._queue else None
            if successor is not None:
                successor.leads = True
            else:
                self._has_leader = False
        if successor is not None:
            successor.turn.release()
        for entry in group:
            entry.error = error
            if not entry.leads:
                if error is not None and not isinstance(error, Exception):
                    entry.error = Unavailable("the append was interrupted", where=self._where)
                entry.turn.release()
