"""Rows that are older than their kind keeps them, removed: a step of maintenance.

It is one change of the table, journaled like every change. So that a table is not rewritten for
every hour that passes, it is due when the oldest row is late by a part of the retention.
"""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any, Final

from lakecore.base import format_timestamp

if TYPE_CHECKING:
    from lakecore.base import Clock
    from lakecore.catalog import Dataset
    from lakecore.journal import Author
    from lakecore.records._kind import RecordKind
    from lakecore.tables import Tables, Upkeep

DAY_US: Final = 86_400_000_000
_LATE: Final = 16
"""Part of the retention that rows may be late, a day at most."""
_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)


class Expiry:
    """Removes what is over, of the datasets of some kinds.

    Args:
        kind_of: the kind of a dataset, None for others.
    """

    def __init__(
        self,
        tables: Tables,
        upkeep: Upkeep,
        clock: Clock,
        kind_of: Callable[[str], RecordKind | None],
    ) -> None:
        self._tables = tables
        self._upkeep = upkeep
        self._clock = clock
        self._kind_of = kind_of

    def due(self, dataset: Dataset) -> str | None:
        """The condition of the rows that are over; None while it is not worth a change."""
        kind = self._kind_of(dataset.name)
        if kind is None or kind.retention_days is None:
            return None
        state = self._upkeep.state(dataset)
        bounds = state.bounds(kind.time_column) if state is not None else None
        if bounds is None:
            return None
        kept_us = int(kind.retention_days * DAY_US)
        until_us = self._clock.now_us() - kept_us
        oldest = min((_us(low) for low in bounds[0].to_pylist() if low is not None), default=None)
        if oldest is None or oldest >= until_us - min(DAY_US, kept_us // _LATE):
            return None
        return f"{kind.time_column} < timestamp '{format_timestamp(until_us)}'"

    def expire(self, dataset: Dataset, condition: str, *, author: Author) -> int:
        """Remove the rows that `due` named; how many. Raises `Conflict` after a lost race."""
        return self._tables.delete(dataset, where=condition, author=author).deleted


def _us(value: Any) -> int:
    """A bound of a file's times, microseconds."""
    moment = value if value.tzinfo is not None else value.replace(tzinfo=UTC)
    return int((moment - _EPOCH) // timedelta(microseconds=1))
