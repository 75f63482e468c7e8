"""Lines of a log, written by a thread of their own.

Whoever logs never waits for the stream: what is too much is dropped and counted, and the log
itself says so.
"""

from __future__ import annotations

import logging
import threading
import time
from collections import deque
from collections.abc import Callable, Mapping
from contextlib import suppress
from types import TracebackType
from typing import Any, Final, TextIO

from lakecore.telemetry._format import Redact, fields_of, line_of
from lakecore.telemetry._ring import LogRing

MAX_LINES: Final = 10_000
"""Lines that wait for the stream."""

_CLOSE_S: Final = 2.0


class LogLines(logging.Handler):
    """A handler of `logging`, and a place for records of other kinds; threads may share it.

    Args:
        stream: where lines go; it may block.
        as_json: an object a line; else text.
        redact: blots secrets out of a line.
        max_lines: how many may wait.
    """

    def __init__(
        self,
        stream: TextIO,
        *,
        as_json: bool,
        redact: Redact = str,
        max_lines: int = MAX_LINES,
        now_us: Callable[[], int] = lambda: time.time_ns() // 1_000,
    ) -> None:
        super().__init__()
        self._stream = stream
        self._as_json = as_json
        self._redact = redact
        self._max_lines = max_lines
        self._now_us = now_us
        self._waiting: deque[str] = deque()
        self._changed = threading.Condition(threading.Lock())
        self._is_closed = False
        self._told = 0
        self.ring: LogRing | None = None
        """Where records are kept besides, for whoever looks at them; None: nowhere."""

        self.dropped = 0
        """Lines that were not written, because too many waited."""

        self._thread = threading.Thread(target=self._run, name="lakecore-log", daemon=True)
        self._thread.start()

    @property
    def as_json(self) -> bool:
        """Whether lines are JSON."""
        return self._as_json

    def put(self, logger: str, level: str, message: str, fields: Mapping[str, object]) -> None:
        """One record; never waits."""
        at_us = self._now_us()
        if self.ring is not None:
            self.ring.put(at_us, logger, level, message, fields)
        line = line_of(
            at_us,
            logger,
            level,
            message,
            fields,
            as_json=self._as_json,
            redact=self._redact,
        )
        with self._changed:
            if len(self._waiting) >= self._max_lines or self._is_closed:
                self.dropped += 1
                return
            self._waiting.append(line)
            self._changed.notify()

    def emit(self, record: logging.LogRecord) -> None:
        """A record of `logging`."""
        try:
            message, fields = fields_of(record)
            self.put(record.name, record.levelname, message, fields)
        except Exception:
            self.handleError(record)

    def flush(self) -> None:
        """Wait until what was put is written, a moment at most."""
        end_s = time.monotonic() + _CLOSE_S
        with self._changed:
            while self._waiting and time.monotonic() < end_s:
                self._changed.wait(0.05)

    def close(self) -> None:
        """Write what waits, and end."""
        with self._changed:
            self._is_closed = True
            self._changed.notify()
        self._thread.join(_CLOSE_S)
        super().close()

    def __enter__(self) -> LogLines:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()

    def _run(self) -> None:
        while (text := self._next()) is not None:
            # A stream that is gone must not end what logs to it.
            with suppress(OSError, ValueError):
                self._stream.write(text)
                self._stream.flush()

    def _next(self) -> str | None:
        with self._changed:
            while not self._waiting:
                if self._is_closed:
                    return None
                self._changed.wait()
            lines = list(self._waiting)
            self._waiting.clear()
            lost, self._told = self.dropped - self._told, self.dropped
            self._changed.notify_all()
        if lost:
            lines.append(self._loss(lost))
        return "".join(lines)

    def _loss(self, lost: int) -> str:
        fields: dict[str, Any] = {"dropped": lost}
        return line_of(
            self._now_us(),
            "lakecore.telemetry",
            "WARNING",
            "lines of this log were dropped",
            fields,
            as_json=self._as_json,
            redact=self._redact,
        )
