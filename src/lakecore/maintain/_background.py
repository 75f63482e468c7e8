"""Upkeep in the background of a process that lives long enough."""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable

from lakecore.base import LakecoreError

_log = logging.getLogger(__name__)


class Stopped(LakecoreError):
    """The process ends: upkeep is broken off between two parts of a step."""


class Background:
    """Calls `run` every `interval_s` after something was changed, never at the beginning.

    Args:
        run: one run; it is given what to call between parts of a step.
    """

    def __init__(self, run: Callable[[Callable[[], None]], object], *, interval_s: float) -> None:
        self._run = run
        self._interval_s = interval_s
        self._changed = threading.Event()
        self._ended = threading.Event()
        self._lock = threading.Lock()
        self._thread: threading.Thread | None = None
        self.runs = 0
        self.last_error: Exception | None = None

    def notify(self) -> None:
        """Something was changed; cheap."""
        self._changed.set()
        if self._thread is not None or self._ended.is_set():
            return
        with self._lock:
            if self._thread is None and not self._ended.is_set():
                self._thread = threading.Thread(
                    target=self._loop, name="lakecore-maintain", daemon=True
                )
                self._thread.start()

    def close(self) -> None:
        """Break off what runs, between two parts of it, and end."""
        with self._lock:
            self._ended.set()
            thread = self._thread
        if thread is not None:
            thread.join()

    def _loop(self) -> None:
        while not self._ended.wait(self._interval_s):
            if not self._changed.is_set():
                continue
            self._changed.clear()
            try:
                self._run(self._check)
                self.last_error = None
            except Stopped:
                return
            except Exception as error:  # the next run tries again; nobody waits for this one
                self.last_error = error
                _log.warning("maintenance failed: %s", error)
            self.runs += 1

    def _check(self) -> None:
        if self._ended.is_set():
            raise Stopped("the process ends")
