"""The thread that seals beside the work: after so many events, or so much time."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from typing import Final

from lakecore.base import LakecoreError
from lakecore.journal._sqlite import watch_forks

_MAX_BACKOFF_S: Final = 60.0


class BackgroundSealer:
    """Calls `seal` in a thread of its own, when it is due. The thread starts when needed.

    An error does not end it: it tries again, with growing pauses, and keeps the error for
    `last_error`.

    Args:
        seal_events: seal at once when so many events wait.
        interval_s: seal at the latest so long after the first event that waits.
        name: of the thread.
    """

    def __init__(
        self,
        seal: Callable[[], object],
        *,
        seal_events: int,
        interval_s: float,
        name: str = "lakecore-sealer",
    ) -> None:
        self._seal = seal
        self._name = name
        self._seal_events = seal_events
        self._interval_s = interval_s
        self.error_count = 0
        self.last_error: Exception | None = None
        self.was_full = False
        """Whether the run that goes on is due to the number of events, not to time."""
        self.after_fork_in_child()
        watch_forks(self)

    def after_fork_in_child(self) -> None:
        """The thread stays with the parent; what it had to seal is the parent's business."""
        self._changed = threading.Condition(threading.Lock())
        self._waiting_events = 0
        self._due: float | None = None
        self._thread: threading.Thread | None = None
        self._is_stopped = False

    @property
    def is_stopped(self) -> bool:
        """Whether `stop` was called: a long run should come to an end."""
        return self._is_stopped

    @property
    def is_due(self) -> bool:
        """Whether there is something that was not sealed yet."""
        return self._due is not None

    def notify(self, events: int, *, start: bool = True) -> None:
        """So many more events wait to be sealed; `start` the thread if there is none."""
        with self._changed:
            if self._is_stopped:
                return
            self._waiting_events += events
            is_full = self._waiting_events >= self._seal_events
            if self._due is None or is_full:
                now = time.monotonic()
                self._due = now if is_full else now + self._interval_s
                self._changed.notify_all()
            if start and self._thread is None:
                self._thread = threading.Thread(target=self._run, name=self._name, daemon=True)
                self._thread.start()

    def later(self, pause_s: float) -> None:
        """Be due again after a pause, unless something is sooner."""
        with self._changed:
            due = time.monotonic() + pause_s
            self._due = due if self._due is None else min(due, self._due)
            self._changed.notify_all()

    def sealed(self) -> None:
        """Somebody has sealed everything by hand."""
        with self._changed:
            self._due = None
            self._waiting_events = 0
            self.last_error = None

    def stop(self) -> None:
        """End the thread, after the run that it is in."""
        with self._changed:
            self._is_stopped = True
            self._changed.notify_all()
            thread = self._thread
        if thread is not None:
            thread.join()

    def _run(self) -> None:
        failures = 0
        while self._wait_until_due():
            try:
                self._seal()
                self.last_error = None
                failures = 0
            except Exception as error:
                self.last_error = error
                self.error_count += 1
                failures += 1
                pause = min(self._interval_s * 2**failures + 0.1, _MAX_BACKOFF_S)
                if not isinstance(error, LakecoreError):
                    pause = _MAX_BACKOFF_S
                with self._changed:
                    self._due = time.monotonic() + pause

    def _wait_until_due(self) -> bool:
        """Claim what waits when it is due; False when stopped."""
        with self._changed:
            while not self._is_stopped:
                if self._due is None:
                    self._changed.wait()
                    continue
                rest = self._due - time.monotonic()
                if rest <= 0:
                    # Cleared before sealing: what comes meanwhile may miss this run.
                    self._due = None
                    self.was_full = self._waiting_events >= self._seal_events
                    self._waiting_events = 0
                    return True
                self._changed.wait(rest)
            return False
