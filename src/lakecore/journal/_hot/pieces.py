"""Events as the hot log holds them: what is read of it, and the rows that a group becomes."""

from __future__ import annotations

import sqlite3
import zlib
from collections.abc import Iterable
from dataclasses import dataclass
from itertools import groupby
from operator import attrgetter
from typing import TYPE_CHECKING, Final

from lakecore.journal._hot.batch import ROWS, join_rows
from lakecore.journal._hot.group import Entry
from lakecore.journal._hot.keys import KEY_BYTES, Keys, keys_of

if TYPE_CHECKING:
    import pyarrow as pa

    from lakecore.journal._events.supplied import Mask

StoredRow = tuple[int, int, int, int, bytes, bytes | None]
"""first, count, encoding, crc, data, keys"""
JOINED: Final = 64
"""So many small batches share a row: what a row costs, and its page, is most of what they are."""


@dataclass(frozen=True, slots=True)
class HotEvents:
    """Events of the log: `table` (staged schema) has those from offset `first` on.

    `supplied` says of each whether its id was supplied by a caller; None = of none.
    """

    first: int
    table: pa.Table
    supplied: Mask | None = None

    def cut(self, start: int, stop: int) -> HotEvents:
        """The rows from `start` up to but without `stop`."""
        marks = None if self.supplied is None else self.supplied[start:stop]
        return HotEvents(self.first + start, self.table.slice(start, stop - start), marks)


@dataclass(frozen=True, slots=True)
class HotBounds:
    """What the log holds at one moment: the events in [first, end), under this name.

    Offsets mean something only with the name: a log that is renamed begins anew. It is None
    as long as nothing was ever appended.
    """

    log_id: str | None = None
    first: int = 0
    end: int = 0


def rows_of(entries: Iterable[Entry]) -> list[tuple[object, ...]]:
    """Batches that follow one another as rows of the log; single events share rows."""
    rows: list[tuple[object, ...]] = []
    for encoding, run in groupby(entries, key=attrgetter("encoding")):
        some = list(run)
        at_once = JOINED if encoding == ROWS else 1
        for start in range(0, len(some), at_once):
            joined = some[start : start + at_once]
            data = joined[0].data if len(joined) == 1 else join_rows([e.data for e in joined])
            keys: bytes | None = None
            if any(entry.keys for entry in joined):
                keys = b"".join([e.keys or bytes(e.count * KEY_BYTES) for e in joined])
            count = sum(entry.count for entry in joined)
            rows.append((joined[0].offset, count, encoding, zlib.crc32(data), keys, data))
    return rows


def supplied_of(rows: list[StoredRow]) -> Mask | None:
    """Which events of batches have a key; None when none has."""
    if all(row[5] is None for row in rows):
        return None
    return Keys.of(b"".join([row[5] or bytes(row[1] * KEY_BYTES) for row in rows])).present


def keys_of_piece(piece: HotEvents) -> bytes | None:
    if piece.supplied is None:
        return None
    ids = piece.table.column("event_id").to_pylist()
    return keys_of([i if mark else None for i, mark in zip(ids, piece.supplied, strict=True)])


def used_bytes(connection: sqlite3.Connection) -> int:
    """Bytes of the pages in use."""
    pages = connection.execute("PRAGMA page_count").fetchone()[0]
    free = connection.execute("PRAGMA freelist_count").fetchone()[0]
    size = connection.execute("PRAGMA page_size").fetchone()[0]
    return int((pages - free) * size)
