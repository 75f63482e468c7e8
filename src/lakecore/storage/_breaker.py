"""Whether something that answers over a network does: asked with bounds, by one at a time.

While it does not, nobody waits for it: a thread asks, each time twice as long after the last
time, up to a bound, and closes the breaker when it answers again.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from typing import Final

from lakecore.base import LakecoreError

FIRST_WAIT_S: Final = 0.5


class Breaker:
    """Closed while the other side answers, open while it does not. Threads may share it.

    Args:
        probe: asks it; raises when there is no answer. Has to end by itself, soon.
        interval_s: the longest pause between two probes.
        on_back: called from the probing thread before the breaker closes; what it raises
            counts as no answer.
    """

    def __init__(
        self,
        probe: Callable[[], object],
        *,
        interval_s: float,
        on_back: Callable[[], object] = lambda: None,
    ) -> None:
        self._probe = probe
        self._interval_s = interval_s
        self._on_back = on_back
        self._lock = threading.Lock()
        self._asking = threading.Lock()
        self._ended = threading.Event()
        self._thread: threading.Thread | None = None
        self._error: Exception | None = None
        self._since_s = 0.0
        self.trips = 0
        """How often it opened."""

    @property
    def error(self) -> Exception | None:
        """Why it is open; None while it is closed."""
        return self._error

    @property
    def open_s(self) -> float:
        """For how long it has been open."""
        return time.monotonic() - self._since_s if self._error is not None else 0.0

    def is_open(self) -> bool:
        """Whether the other side is known not to answer."""
        return self._error is not None

    def ask(self) -> bool:
        """Whether the other side answers now; opens the breaker when it does not."""
        if self.is_open():
            return False
        with self._asking:
            if self.is_open():
                return False  # somebody found out while we waited
            error = self._tried()
            if error is None:
                return True
            self.trip(error)
            return False

    def trip(self, error: Exception) -> None:
        """Open it: the other side does not answer."""
        with self._lock:
            if self._error is not None or self._ended.is_set():
                return
            self._error = error
            self._since_s = time.monotonic()
            self.trips += 1
            self._thread = threading.Thread(
                target=self._watch, name="lakecore-breaker", daemon=True
            )
            self._thread.start()

    def close(self) -> None:
        """Ask no more."""
        self._ended.set()
        with self._lock:
            thread = self._thread
        if thread is not None and thread is not threading.current_thread():
            thread.join(timeout=self._interval_s)

    def _watch(self) -> None:
        wait_s = min(FIRST_WAIT_S, self._interval_s)
        while not self._ended.wait(wait_s):
            error = self._tried()
            if error is None:
                error = _raised(self._on_back)
            with self._lock:
                self._error = error
                if error is None:
                    return
            wait_s = min(wait_s * 2, self._interval_s)

    def _tried(self) -> Exception | None:
        return _raised(self._probe)


def _raised(call: Callable[[], object]) -> Exception | None:
    try:
        call()
    except (LakecoreError, OSError) as error:
        return error
    return None
