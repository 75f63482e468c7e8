"""Small changes of one table that wait at the same time go into one commit.

Every change of a table queues here, in the order of arrival. The first in the queue leads:
it takes those behind it that can go with it, commits them together, tells each what became
of it, and the next in the queue leads. What cannot go with others goes alone. So nothing
overtakes, and nobody waits for more than what was there before.

    arrive -> wait ... -> lead: take a group -> commit -> settle everyone in it -> hand on

A leader waits for others, some milliseconds, only where the last group had several: they
are then on their way again. Without this, groups of threads that upsert in a loop would
alternate between one and all the others.
"""

from __future__ import annotations

import threading
import time
from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final

from lakecore.base import Bug, Unavailable
from lakecore.tables._operations import Operation
from lakecore.tables._types import MutationResult

if TYPE_CHECKING:
    from lakecore.tables._commit import Request

MAX_MEMBERS: Final = 256
MAX_ROWS: Final = 1 << 13
"""Of all members of a group together; a change of more rows goes alone."""

_LINGER_S: Final = 0.008
"""How long nobody may come before a group goes without them: longer than the interpreter
leaves a thread its turn, or a leader that wakes first would go alone."""
_MAX_LINGER_S: Final = 0.05
_ON_THEIR_WAY_S: Final = 0.1
"""How long after a group its members are taken to be on their way again."""


@dataclass(eq=False, slots=True)
class Member:
    """One change in the queue; its caller waits until it leads or is settled."""

    operation: Operation
    request: Request
    result: MutationResult | None = None
    error: BaseException | None = None
    leads: bool = False
    woken: threading.Event = field(default_factory=threading.Event)

    @property
    def is_settled(self) -> bool:
        return self.result is not None or self.error is not None

    def settle(self, outcome: MutationResult | BaseException) -> None:
        """What became of it; the first word stands."""
        if self.is_settled:
            return
        if isinstance(outcome, BaseException):
            self.error = outcome
        else:
            self.result = outcome

    def outcome(self) -> MutationResult:
        """The result; raises the error."""
        if self.error is not None:
            raise self.error
        if self.result is None:
            raise Bug("a change that nobody settled")
        return self.result


class WriterQueue:
    """The changes of one table that this process has yet to make.

    Args:
        take: how many of those that wait, at least the first, go into one commit.
        commit: settles every member of a group.
    """

    def __init__(
        self,
        take: Callable[[Sequence[Member]], int],
        commit: Callable[[Sequence[Member]], None],
    ) -> None:
        self._take = take
        self._commit = commit
        self._waiting: deque[Member] = deque()
        self._is_led = False
        self._changed = threading.Condition()
        self._last_size = 0
        self._last_end = 0.0

    def run(self, member: Member) -> MutationResult:
        """Queue, lead when it is its turn, and return the result or raise the error."""
        with self._changed:
            self._waiting.append(member)
            member.leads = not self._is_led
            self._is_led = True
            self._changed.notify()
        try:
            if not member.leads:
                member.woken.wait()
            if not member.is_settled:
                self._lead(member)
        finally:
            self._leave(member)
        return member.outcome()

    def _lead(self, member: Member) -> None:
        group: list[Member] = []
        try:
            self._linger()
            with self._changed:
                count = self._take(list(self._waiting)[:MAX_MEMBERS])
                group = [self._waiting.popleft() for _ in range(count)]
            self._commit(group)
        except BaseException as error:
            interrupted = Unavailable(
                "the change was interrupted while it was committed together with others",
                found=repr(error),
                where=member.request.dataset.name,
                hint="look whether the change is there before you repeat it",
            )
            for each in group:
                each.settle(interrupted)
            raise
        finally:
            self._last_size, self._last_end = len(group), time.monotonic()
            for each in group:
                each.woken.set()

    def _linger(self) -> None:
        with self._changed:
            expected, now = self._last_size, time.monotonic()
            if expected < 2 or now - self._last_end > _ON_THEIR_WAY_S:
                return
            deadline = now + _MAX_LINGER_S
            while (count := len(self._waiting)) < expected and now < deadline:
                self._changed.wait(min(_LINGER_S, deadline - now))
                now = time.monotonic()
                if len(self._waiting) == count:
                    return

    def _leave(self, member: Member) -> None:
        """The caller goes, with or without its outcome: whoever is next leads now."""
        with self._changed:
            if member in self._waiting:
                self._waiting.remove(member)
            if not member.leads:
                return
            member.leads = False
            if self._waiting:
                self._waiting[0].leads = True
                self._waiting[0].woken.set()
            else:
                self._is_led = False
