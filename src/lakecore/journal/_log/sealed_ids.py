"""The ids that callers supplied, in sealed history, for as many days as they are kept apart.

Derived from the segments: their footers mark the rows, so a machine that lost its state
directory, or that sees another machine's segments for the first time, reads their column
of ids. One index lives in memory for each process: 24 bytes an id.
"""

from __future__ import annotations

import threading
from bisect import bisect_right
from typing import TYPE_CHECKING, Final

from lakecore.base import Clock, CorruptData
from lakecore.journal._events.event import staged_schema
from lakecore.journal._events.rules import STAGED_FIELDS
from lakecore.journal._hot.keys import Keys, Runs, keys_of, split
from lakecore.journal._log.runs import Place, open_place, row_groups
from lakecore.journal._log.segment import decoding, read_footer, segment_path

if TYPE_CHECKING:
    import pyarrow as pa

    from lakecore.journal._hot.keys import Places
    from lakecore.journal._log.footers import Footers
    from lakecore.storage import Store

_DAY_US: Final = 86_400_000_000
_PRUNE_AFTER: Final = 64
"""Segments out of the window before their ids are dropped from memory."""


class SealedIds:
    """Finds supplied ids in sealed events. Threads may share it."""

    def __init__(self, store: Store, footers: Footers, clock: Clock, *, days: int) -> None:
        self._store = store
        self._footers = footers
        self._clock = clock
        self._window_us = days * _DAY_US
        self._lock = threading.Lock()
        self._forget()

    def _forget(self) -> None:
        self._runs = Runs()
        self._end = 0
        self._hot: dict[str, int] = {}
        self._starts: list[int] = []
        self._sealed_at: list[int] = []

    def catch_up(self) -> None:
        """Take in the segments that the footers know of since the last time.

        Raises:
            CorruptData, NotFound, Unavailable: a segment cannot be read; no id can be judged.
        """
        with self._lock:
            # In this order: what is said to be sealed of a hot log is at most what is read.
            hot, end = self._footers.hot, self._footers.next_seq
            if end < self._end:
                self._forget()
            if end > self._end:
                since = self._clock.now_us() - self._window_us
                for first, count, sealed_at in self._footers.supplied(self._end, since):
                    self._add(first, count)
                    self._starts.append(first)
                    self._sealed_at.append(sealed_at)
                self._end, self._hot = end, hot
                self._prune(since)

    def covered(self, log_id: str | None) -> int:
        """Up to which offset of a hot log all ids are here, or out of the window."""
        return self._hot.get(log_id, 0) if log_id is not None else 0

    def find(self, data: bytes) -> dict[int, int]:
        """{row: seq} of the keys that were sealed within the window."""
        with self._lock:
            if not len(self._runs):
                return {}
            places = self._runs.find(Keys.of(data))
            since = self._clock.now_us() - self._window_us
            return {
                row: int(places[row])
                for row in (places >= 0).nonzero()[0].tolist()
                if self._sealed_at[bisect_right(self._starts, places[row]) - 1] >= since
            }

    def duplicates(self, data: bytes, rows: list[int]) -> tuple[int, ...]:
        """Those of `rows`, whose keys these are, that are sealed or twice among themselves."""
        found = self.find(data)
        keys = split(data)
        first = {key: at for at, key in reversed(list(enumerate(keys)))}
        return tuple(rows[at] for at, key in enumerate(keys) if at in found or first[key] != at)

    def rows_at(self, places: list[int]) -> pa.Table:
        """The sealed events with these `seq`, staged schema, in the order asked for."""
        import numpy as np
        import pyarrow as pa

        tables: list[pa.Table] = [staged_schema().empty_table()]
        order = np.argsort(places, kind="stable")
        wanted = np.asarray(places, dtype=np.int64)[order]
        with self._lock:
            homes = [bisect_right(self._starts, seq) - 1 for seq in wanted.tolist()]
            firsts = [self._starts[home] for home in homes]
        for first in dict.fromkeys(firsts):
            rows = wanted[np.asarray(firsts) == first] - first
            last = int(rows.max()) + 1
            tables.append(self._read(first, last, list(STAGED_FIELDS)).take(rows))
        back = np.empty(len(order), dtype=np.int64)
        back[order] = np.arange(len(order))
        return pa.concat_tables(tables).take(back)

    def _add(self, first: int, count: int) -> None:
        import numpy as np

        path = segment_path(first)
        with decoding(path):
            footer = read_footer(self._store, path)
            if footer.supplied is None:
                return
            rows = footer.supplied.rows(count)
            ids = self._read(first, count, ["event_id"]).column("event_id")
            if len(ids) != count:
                raise CorruptData("a segment has lost events", expected=count, found=len(ids))
            keys = Keys.of(keys_of(ids.filter(rows).to_pylist()))
        places: Places = first + np.flatnonzero(rows)
        self._runs.add(keys, places)

    def _read(self, first: int, count: int, columns: list[str]) -> pa.Table:
        """Columns of a segment's events, wherever compaction has put them."""
        import pyarrow as pa

        tables: list[pa.Table] = []
        place = Place(first, count, segment_path(first), 0, 0, 0)
        with open_place(self._store, place) as (parquet, found), decoding(found.path):
            for group, low, high in row_groups(parquet, found.row, found.row + count):
                rows = parquet.read_row_group(group, columns=columns)
                tables.append(rows.slice(low, high - low))
        return pa.concat_tables(tables)

    def _prune(self, since_us: int) -> None:
        """Drop what left the window, from time to time."""
        old = next(
            (n for n, at in enumerate(self._sealed_at) if at >= since_us), len(self._sealed_at)
        )
        if old >= _PRUNE_AFTER:
            place = self._starts[old] if old < len(self._starts) else self._end
            self._runs.drop_below(place)
            del self._starts[:old], self._sealed_at[:old]
