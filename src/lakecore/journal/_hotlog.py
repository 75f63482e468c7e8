"""The hot log: a local, append-only log that acknowledges direct events.

One row for each acknowledged batch: the running offset of its first event, its count,
its bytes and their CRC. All processes of the machine that work on the lake share it.

- Acknowledged means committed with ``synchronous=FULL``: fsynced.
- Threads commit in groups: whoever comes first leads and commits what is queued by then
  in one transaction, the others wait for it; the next in the queue leads next.
- The queue is bounded in bytes, the log as well. When one is full, appending waits up to
  a bound and then raises `Unavailable`: nothing is dropped.
- Offsets only grow. The last row is kept when all is forgotten, because it carries the
  next offset; so `forget` needs no second page in any append.

`log_id` names the log in segment footers, which say how far it is sealed.
"""

from __future__ import annotations

import sqlite3
import threading
import time
import zlib
from collections import deque
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Final

from lakecore.base import (
    Bug,
    CorruptData,
    LakecoreError,
    Unavailable,
    UnsupportedFormat,
    uuid7,
)
from lakecore.base.limits import GIB, MIB
from lakecore.journal._hotbatch import decode_batches
from lakecore.journal._sqlite import Database, watch_forks

if TYPE_CHECKING:
    import pyarrow as pa

FORMAT: Final = 1
FILE: Final = "hot.sqlite"

_SCHEMA: Final = """
CREATE TABLE meta (format INTEGER NOT NULL, log_id TEXT NOT NULL);
CREATE TABLE batch (
    first INTEGER PRIMARY KEY, count INTEGER NOT NULL, encoding INTEGER NOT NULL,
    crc INTEGER NOT NULL, data BLOB NOT NULL
);
"""
_NEXT: Final = "SELECT first + count FROM batch ORDER BY first DESC LIMIT 1"
_READ: Final = """
SELECT first, count, encoding, crc, data FROM batch
WHERE first >= coalesce((SELECT max(first) FROM batch WHERE first <= ?1), 0) AND first < ?2
ORDER BY first LIMIT ?3
"""
_FORGET: Final = """
DELETE FROM batch WHERE first IN (
    SELECT first FROM batch
    WHERE first + count <= ? AND first < (SELECT max(first) FROM batch)
    ORDER BY first LIMIT 4096
)
"""
_LOG_BYTES: Final = 16 * MIB
_GROW_AFTER: Final = 8
"""Appends after which the write-ahead log is grown: a short command never pays for it."""
_READ_BATCHES: Final = 4096
_READ_BYTES: Final = 32 * MIB
_MEASURE_BYTES: Final = MIB
_POLL_S: Final = 0.05


@dataclass(frozen=True, slots=True)
class HotEvents:
    """Events of the log: `table` (staged schema) has those from offset `first` on."""

    first: int
    table: pa.Table


class _Entry:
    """One batch on its way into the log, and the thread that waits for it."""

    __slots__ = ("count", "data", "encoding", "error", "leads", "offset", "turn")

    def __init__(self, encoding: int, count: int, data: bytes) -> None:
        self.encoding = encoding
        self.count = count
        self.data = data
        self.offset = -1
        self.error: BaseException | None = None
        self.leads = False
        self.turn = threading.Lock()
        self.turn.acquire()


class HotLog:
    """The hot log in a state directory; it is made by the first append.

    Args:
        max_bytes: the most that the log may hold before appends wait for sealing.
        max_queue_bytes: the most that may wait for a commit.
        timeout_s: how long an append waits for room.
    """

    def __init__(
        self,
        state_dir: Path,
        *,
        max_bytes: int = GIB,
        max_queue_bytes: int = 64 * MIB,
        timeout_s: float = 30.0,
    ) -> None:
        self._database = Database(state_dir / FILE, _SCHEMA)
        self._max_bytes = max_bytes
        self._max_queue_bytes = max_queue_bytes
        self._timeout_s = timeout_s
        self._log_id: str | None = None
        self._stored_bytes = 0
        self._unmeasured_bytes = 0
        self._appends = 0
        self.after_fork_in_child()
        watch_forks(self)

    def after_fork_in_child(self) -> None:
        """The queue and its waiting threads stay with the parent."""
        lock = threading.Lock()
        self._room = threading.Condition(lock)
        self._queue: deque[_Entry] = deque()
        self._queued_bytes = 0
        self._has_leader = False

    @property
    def log_id(self) -> str | None:
        """The log's name; None as long as nothing was ever appended."""
        if self._log_id is None:
            with self._database.read() as reader:
                if reader is not None:
                    self._log_id = self._read_meta(reader)
        return self._log_id

    def append(self, encoding: int, count: int, data: bytes) -> int:
        """Make a batch durable; return the offset of its first event.

        Raises:
            Unavailable: no room within the bound; nothing was stored.
            OutOfSpace, ReadOnly, CorruptData: the disk's answer; the batch is not acknowledged.
        """
        if count < 1:
            raise Bug("an empty batch", found=count)
        entry = _Entry(encoding, count, data)
        with self._room:
            self._wait_for_room(len(data))
            self._queue.append(entry)
            self._queued_bytes += len(data)
            entry.leads = not self._has_leader
            self._has_leader = True
        if not entry.leads:
            self._wait_for_turn(entry)
        if entry.leads:
            self._lead()
        if entry.error is not None:
            raise entry.error
        return entry.offset

    def end(self) -> int:
        """The offset that the next event will get."""
        with self._database.read() as reader:
            row = None if reader is None else reader.execute(_NEXT).fetchone()
        return int(row[0]) if row else 0

    def read_from(self, offset: int, end: int) -> Iterator[HotEvents]:
        """The events from `offset` up to but without `end`, in pieces of bounded size.

        Offsets that were forgotten are left out without a word: ask the footers first.
        """
        while offset < end:
            rows = self._rows_from(offset, end)
            if not rows:
                return
            first, next_offset = rows[0][0], rows[-1][0] + rows[-1][1]
            table = decode_batches(((row[2], row[4]) for row in rows), where=self._where(first))
            if table.num_rows != next_offset - first:
                raise CorruptData(
                    "the hot log has lost events",
                    expected=next_offset - first,
                    found=table.num_rows,
                    where=self._where(first),
                )
            start = max(first, offset)
            yield HotEvents(start, table.slice(start - first, min(next_offset, end) - start))
            offset = next_offset

    def forget(self, up_to: int) -> None:
        """Drop the batches that lie wholly below the offset `up_to`."""
        if self.log_id is None:
            return
        removed = -1
        while removed:
            with self._database.write() as writer:
                removed = writer.execute(_FORGET, (up_to,)).rowcount
                self._stored_bytes = _used_bytes(writer)
        with self._room:
            self._room.notify_all()

    def renew(self) -> None:
        """Start a new log: for one that is older than what is sealed of it.

        Such a log came back from a backup. All that it holds is sealed; new events under
        its name would take offsets that are sealed, and would be lost.
        """
        with self._database.write() as writer:
            self._log_id = uuid7()
            writer.execute("DELETE FROM batch")
            writer.execute("UPDATE meta SET log_id = ?", (self._log_id,))

    def close(self) -> None:
        self._database.close()

    def _wait_for_room(self, size: int) -> None:
        """With the lock held: until queue and log have room for `size` more bytes."""
        deadline: float | None = None
        while True:
            queue_full = self._queue and self._queued_bytes + size > self._max_queue_bytes
            if not queue_full and self._stored_bytes < self._max_bytes:
                return
            now = time.monotonic()
            deadline = deadline or now + self._timeout_s
            if now >= deadline:
                raise Unavailable(
                    "the journal has no room for more events",
                    expected=f"room within {self._timeout_s:g} s",
                    found="the queue is full" if queue_full else "too much is unsealed",
                    where=self._database.path,
                    hint="try again later, in smaller batches; see the journal's stats for "
                    "why sealing is behind",
                )
            self._room.wait(min(_POLL_S, deadline - now))
            if not queue_full:
                # Another process may have sealed.
                with self._database.read() as reader:
                    self._stored_bytes = _used_bytes(reader) if reader else 0

    def _wait_for_turn(self, entry: _Entry) -> None:
        """Until the entry is committed, or is to lead."""
        try:
            entry.turn.acquire()
        except BaseException:
            with self._room:
                if entry in self._queue and not entry.leads:
                    self._queue.remove(entry)
                    self._queued_bytes -= len(entry.data)
            if entry.leads:
                self._lead()
            raise

    def _lead(self) -> None:
        """Commit what is queued, wake who waited for it, hand over."""
        with self._room:
            group = list(self._queue)
            self._queue.clear()
        error: BaseException | None = None
        try:
            self._commit(group)
        except BaseException as caught:
            error = caught
        with self._room:
            self._queued_bytes -= sum(len(entry.data) for entry in group)
            self._room.notify_all()
            successor = self._queue[0] if self._queue else None
            if successor is not None:
                successor.leads = True
            else:
                self._has_leader = False
        if successor is not None:
            successor.turn.release()
        for entry in group:
            entry.error = error
            if not entry.leads:
                if error is not None and not isinstance(error, Exception):
                    entry.error = Unavailable(
                        "the append was interrupted", where=self._database.path
                    )
                entry.turn.release()

    def _commit(self, group: list[_Entry]) -> None:
        rows = []
        with self._database.write() as writer:
            self._log_id = self._log_id or self._read_meta(writer) or self._name(writer)
            last = writer.execute(_NEXT).fetchone()
            offset = int(last[0]) if last else 0
            for entry in group:
                entry.offset = offset
                crc = zlib.crc32(entry.data)
                rows.append((offset, entry.count, entry.encoding, crc, entry.data))
                offset += entry.count
            writer.executemany("INSERT INTO batch VALUES (?, ?, ?, ?, ?)", rows)
            self._unmeasured_bytes += sum(len(entry.data) for entry in group)
            if self._unmeasured_bytes >= _MEASURE_BYTES:
                self._stored_bytes = _used_bytes(writer)
                self._unmeasured_bytes = 0
        # Here the group is durable: acknowledged.
        self._appends += 1
        if self._appends == _GROW_AFTER:
            with suppress(LakecoreError):  # slower without, not wrong
                self._database.grow_log(_LOG_BYTES)

    def _rows_from(self, offset: int, end: int) -> list[tuple[int, int, int, int, bytes]]:
        rows: list[tuple[int, int, int, int, bytes]] = []
        size = 0
        with self._database.read() as reader:
            if reader is None:
                return rows
            for row in reader.execute(_READ, (offset, end, _READ_BATCHES)):
                if zlib.crc32(row[4]) != row[3]:
                    raise CorruptData(
                        "a batch of the hot log is damaged",
                        expected=f"CRC {row[3]:08x}",
                        found=f"{zlib.crc32(row[4]):08x}",
                        where=self._where(row[0]),
                    )
                if row[0] + row[1] > offset:
                    rows.append(row)
                size += len(row[4])
                if size > _READ_BYTES:
                    break
        return rows

    def _read_meta(self, connection: sqlite3.Connection) -> str | None:
        row = connection.execute("SELECT format, log_id FROM meta").fetchone()
        if row is None:
            return None
        if row[0] != FORMAT:
            raise UnsupportedFormat(
                "the hot log is of another format",
                expected=FORMAT,
                found=row[0],
                where=self._database.path,
                hint="seal it with the release that wrote it",
            )
        return str(row[1])

    def _name(self, writer: sqlite3.Connection) -> str:
        log_id = uuid7()
        writer.execute("INSERT INTO meta VALUES (?, ?)", (FORMAT, log_id))
        return log_id

    def _where(self, offset: int) -> str:
        return f"{self._database.path}, offset {offset}"


def _used_bytes(connection: sqlite3.Connection) -> int:
    """Bytes of the pages in use."""
    pages = connection.execute("PRAGMA page_count").fetchone()[0]
    free = connection.execute("PRAGMA freelist_count").fetchone()[0]
    size = connection.execute("PRAGMA page_size").fetchone()[0]
    return int((pages - free) * size)
