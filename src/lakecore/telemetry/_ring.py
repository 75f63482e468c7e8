"""The last records of a log, in memory, for whoever looks at them while a process runs."""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from itertools import islice
from typing import Any, Final

MAX_RECORDS: Final = 20_000
MAX_CHARACTERS: Final = 2_000
"""Of a message, and of its fields together."""


@dataclass(frozen=True, slots=True)
class LogRecordKept:
    """One record; `number` counts from 1 and never again."""

    number: int
    at_us: int
    logger: str
    level: str
    message: str
    fields: Mapping[str, object]


class LogRing:
    """The newest records; threads may share it. Whoever reads is never waited for.

    Args:
        redact: blots secrets out of what is read. It is done then, not when a record is put:
            most are never looked at.
    """

    def __init__(
        self, *, redact: Callable[[str], str] = str, max_records: int = MAX_RECORDS
    ) -> None:
        self._redact = redact
        self._kept: deque[LogRecordKept] = deque(maxlen=max_records)
        self._lock = threading.Lock()
        self._count = 0

    @property
    def count(self) -> int:
        """Records so far, also those that are gone."""
        return self._count

    def put(
        self, at_us: int, logger: str, level: str, message: str, fields: Mapping[str, object]
    ) -> None:
        """Keep one record; the oldest goes for it."""
        with self._lock:
            self._count += 1
            self._kept.append(
                LogRecordKept(self._count, at_us, logger, level, message, dict(fields))
            )

    def after(self, number: int, limit: int) -> tuple[list[dict[str, Any]], int, int]:
        """The newest `limit` records behind a number, the oldest first.

        Returns:
            The records, JSON-ready; the number of the last one; how many behind `number` are
            not among them.
        """
        with self._lock:
            wanted = max(0, min(self._count - number, limit, len(self._kept)))
            found = list(islice(self._kept, len(self._kept) - wanted, None))
            last = self._count
        shown = [self._body(one) for one in found]
        return shown, last, max(0, last - number - len(found))

    def _body(self, one: LogRecordKept) -> dict[str, Any]:
        said = " ".join(
            f"{name}={value}" for name, value in one.fields.items() if value is not None
        )
        return {
            "number": one.number,
            "at_us": one.at_us,
            "service": "process",
            "kind": one.logger,
            "level": one.level.lower(),
            "message": self._redact(one.message)[:MAX_CHARACTERS],
            "fields": self._redact(said)[:MAX_CHARACTERS],
        }
