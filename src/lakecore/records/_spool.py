"""The spool: a file in the state directory where records are acknowledged.

One row an append: its number, dataset, count, bytes and their CRC. All processes of the machine
that work on the lake share it.

- Acknowledged means committed with ``synchronous=FULL``: fsynced.
- Threads commit in groups: whoever has the turn commits for all who wait.
- Bounded in bytes. Where there is no room, `SpoolFull` is raised at once.
- Numbers only grow, also over restarts and when an older copy of the file is put back: each is
  the time in microseconds, or one more than the last. So what a table says to have up to a
  number is never a later append.
- `spool_id` names the file in the commits of tables.
"""

from __future__ import annotations

import sqlite3
import threading
import time
import zlib
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from lakecore.base import Clock, Unavailable, UnsupportedFormat, uuid7
from lakecore.base.limits import MIB
from lakecore.journal import Database
from lakecore.records._seen import Seen

FILE: Final = "records.sqlite"
FORMAT: Final = 1
OWNER: Final = "the spool of records"

_SCHEMA: Final = """
CREATE TABLE meta (format INTEGER NOT NULL, spool_id TEXT NOT NULL, last INTEGER NOT NULL);
CREATE TABLE batch (
    number INTEGER PRIMARY KEY, dataset TEXT NOT NULL, rows INTEGER NOT NULL,
    crc INTEGER NOT NULL, refused TEXT, data BLOB NOT NULL
);
CREATE TABLE seen (first INTEGER PRIMARY KEY, ids BLOB NOT NULL);
"""
_INSERT: Final = "INSERT INTO batch (number, dataset, rows, crc, data) VALUES (?, ?, ?, ?, ?)"
_READ: Final = """
SELECT number, rows, crc, data FROM batch
WHERE dataset = ? AND number > ? AND number <= ? AND refused IS NULL ORDER BY number LIMIT ?
"""
_FORGET: Final = "DELETE FROM batch WHERE dataset = ? AND number <= ? AND refused IS NULL"
_DATASETS: Final = "SELECT DISTINCT dataset FROM batch WHERE refused IS NULL ORDER BY dataset"
_WAITING: Final = "SELECT 1 FROM batch WHERE refused IS NULL AND dataset = ? LIMIT 1"
_REFUSED: Final = """
SELECT dataset, sum(length(data)) FROM batch WHERE refused IS NOT NULL GROUP BY dataset
"""
_STATS: Final = """
SELECT dataset, refused IS NOT NULL, count(*), sum(rows), sum(length(data)), min(number)
FROM batch GROUP BY 1, 2 ORDER BY 1, 2
"""
_READ_BYTES: Final = 16 * MIB
"""Of one part: so much, compressed, becomes one commit."""
_READ_ROWS: Final = 200_000
_FULL_S: Final = 0.1
"""How long a full spool is not asked again."""


class SpoolFull(Exception):
    """There is no room for a batch; nothing was stored."""


@dataclass(frozen=True, slots=True)
class Batch:
    """One batch that waits: `data` as it was appended; `damage` says what is wrong with it."""

    number: int
    rows: int
    data: bytes
    damage: str = ""


class Entry:
    """One append on its way.

    `repeated`: positions of ids that were appended before; if there are any, nothing is stored.
    `limit_bytes`: how full the spool may be with it.
    """

    __slots__ = ("data", "dataset", "error", "hashes", "is_done", "limit_bytes", "repeated", "rows")

    def __init__(
        self, dataset: str, rows: int, data: bytes, *, hashes: bytes, limit_bytes: int
    ) -> None:
        self.dataset = dataset
        self.rows = rows
        self.data = data
        self.hashes = hashes
        self.limit_bytes = limit_bytes
        self.repeated: list[int] = []
        self.error: BaseException | None = None
        self.is_done = False


class Spool:
    """The spool of one lake on this machine; the file is made by the first append."""

    def __init__(self, state_dir: Path, clock: Clock) -> None:
        self._database = Database(state_dir / FILE, _SCHEMA, owner=OWNER)
        self._clock = clock
        self._seen = Seen()
        self.stored_bytes = 0
        self.after_fork_in_child()

    def after_fork_in_child(self) -> None:
        """Threads that wait stay with the parent."""
        self._guard = threading.Lock()
        self._turn = threading.Lock()
        self._queue: list[Entry] = []
        self._full_until_s = 0.0
        self._full_at_bytes = 0
        self._seen.forget()

    @property
    def path(self) -> Path:
        """Its file."""
        return self._database.path

    def append(self, entry: Entry) -> None:
        """Return when the entry is durable, or when `repeated` says that it is not stored.

        Raises:
            SpoolFull: no room.
            OutOfSpace, ReadOnly, Unavailable: the disk's answer; it is not acknowledged.
        """
        if entry.limit_bytes <= self._full_at_bytes and time.monotonic() < self._full_until_s:
            raise SpoolFull
        with self._guard:
            self._queue.append(entry)
        with self._turn:
            if not entry.is_done:
                self._commit_queue()
        if entry.error is not None:
            raise entry.error

    def spool_id(self) -> str | None:
        """Its name; None as long as nothing was ever appended."""
        found = self._look()
        return None if found is None else found[0]

    def last(self) -> int:
        """The number of the last batch that was appended; 0: there was none."""
        found = self._look()
        return 0 if found is None else found[1]

    def datasets(self) -> list[str]:
        """Those that have something waiting."""
        with self._database.read() as reader:
            return [] if reader is None else [row[0] for row in reader.execute(_DATASETS)]

    def is_waiting(self, dataset: str) -> bool:
        """Whether something of a dataset waits."""
        with self._database.read() as reader:
            return (
                reader is not None and reader.execute(_WAITING, (dataset,)).fetchone() is not None
            )

    def read(self, dataset: str, after: int, until: int, limit: int) -> list[Batch]:
        """The first batches behind a number, up to another: a part of bounded size.

        At most `limit` of them.
        """
        found: list[Batch] = []
        size = rows = 0
        with self._database.read() as reader:
            if reader is None:
                return found
            for number, count, crc, data in reader.execute(_READ, (dataset, after, until, limit)):
                seen = zlib.crc32(data)
                damage = "" if seen == crc else f"expected CRC {crc:08x}, found {seen:08x}"
                found.append(Batch(number, count, data, damage))
                size += len(data)
                rows += count
                if size >= _READ_BYTES or rows >= _READ_ROWS:
                    break
        return found

    def forget(self, dataset: str, up_to: int) -> None:
        """Drop what is in the table: the batches up to a number."""
        with self._database.write() as writer:
            writer.execute(_FORGET, (dataset, up_to))
            self.stored_bytes = _used_bytes(writer)
        self._full_until_s = 0.0

    def refuse(self, number: int, reason: str) -> None:
        """Put a batch aside that its table does not take; it stays in the file."""
        with self._database.write() as writer:
            writer.execute("UPDATE batch SET refused = ? WHERE number = ?", (reason, number))

    def refused_bytes(self) -> dict[str, int]:
        """Bytes that were put aside, by dataset."""
        with self._database.read() as reader:
            return {} if reader is None else dict(reader.execute(_REFUSED).fetchall())

    def retry_refused(self) -> int:
        """Have what was put aside tried again, under new numbers; how many batches."""
        with self._database.read() as reader:
            found = reader and reader.execute("SELECT 1 FROM batch WHERE refused IS NOT NULL")
            if not found or found.fetchone() is None:
                return 0
        with self._database.write() as writer:
            _, last = self._meta(writer)
            rows = writer.execute(
                "SELECT number FROM batch WHERE refused IS NOT NULL ORDER BY number"
            ).fetchall()
            for (number,) in rows:
                last = self._next(last)
                writer.execute(
                    "UPDATE batch SET number = ?, refused = NULL WHERE number = ?", (last, number)
                )
            writer.execute("UPDATE meta SET last = ?", (last,))
        return len(rows)

    def stats(self) -> list[dict[str, Any]]:
        """By dataset, what waits and what was put aside: batches, rows, bytes, the oldest."""
        names = ("dataset", "is_refused", "batches", "rows", "bytes", "oldest_us")
        with self._database.read() as reader:
            rows = [] if reader is None else reader.execute(_STATS).fetchall()
            if reader is not None:
                self.stored_bytes = _used_bytes(reader)
        found = [dict(zip(names, row, strict=True)) for row in rows]
        return [{**one, "is_refused": bool(one["is_refused"])} for one in found]

    def close(self) -> None:
        """Let go of the file."""
        self._database.close()

    # -- inside -----------------------------------------------------------------------

    def _commit_queue(self) -> None:
        """Commit all who wait, in one transaction. With the turn."""
        with self._guard:
            group, self._queue = self._queue, []
        try:
            with self._database.write() as writer:
                self._store(writer, group)
        except BaseException as error:
            self._seen.forget()  # it may have ids that are not stored
            for entry in group:
                entry.error = error
                if not isinstance(error, Exception):
                    entry.error = Unavailable("the append was interrupted", where=self.path)
            if not isinstance(error, Exception):
                raise
        finally:
            # Here the group is durable: acknowledged.
            for entry in group:
                entry.is_done = True

    def _store(self, writer: sqlite3.Connection, group: Sequence[Entry]) -> None:
        _, before = self._meta(writer)
        last = before
        used = _used_bytes(writer)
        for entry in group:
            if used + len(entry.data) > entry.limit_bytes:
                entry.error = SpoolFull()
                self._full_until_s = time.monotonic() + _FULL_S
                self._full_at_bytes = entry.limit_bytes
                continue
            number = self._next(last)
            if entry.hashes:
                self._seen.catch_up(writer)
                entry.repeated = self._seen.repeated(entry.hashes)
                if entry.repeated:
                    continue
                self._seen.add(writer, number, entry.hashes)
            crc = zlib.crc32(entry.data)
            writer.execute(_INSERT, (number, entry.dataset, entry.rows, crc, entry.data))
            last = number
            used += len(entry.data)
        if last != before:
            writer.execute("UPDATE meta SET last = ?", (last,))
        self.stored_bytes = used

    def _next(self, last: int) -> int:
        return max(last + 1, self._clock.now_us())

    def _look(self) -> tuple[str, int] | None:
        with self._database.read() as reader:
            return None if reader is None else self._read_meta(reader)

    def _meta(self, writer: sqlite3.Connection) -> tuple[str, int]:
        found = self._read_meta(writer)
        if found is None:
            found = (uuid7(), 0)
            writer.execute("INSERT INTO meta VALUES (?, ?, ?)", (FORMAT, *found))
        return found

    def _read_meta(self, connection: sqlite3.Connection) -> tuple[str, int] | None:
        row = connection.execute("SELECT * FROM meta").fetchone()
        if row is None:
            return None
        if row[0] != FORMAT:
            raise UnsupportedFormat(
                "the spool of records is of a format that is not known",
                expected=FORMAT,
                found=row[0],
                where=self.path,
                hint="use the Lakecore that wrote it, or a newer one",
            )
        return str(row[1]), int(row[2])


def _used_bytes(connection: sqlite3.Connection) -> int:
    """Bytes of the pages in use."""
    pages, free, size = (
        connection.execute(f"PRAGMA {name}").fetchone()[0]
        for name in ("page_count", "freelist_count", "page_size")
    )
    return int((pages - free) * size)
