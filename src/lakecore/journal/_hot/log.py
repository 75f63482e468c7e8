"""The hot log: a local, append-only log that acknowledges direct events.

One row for each acknowledged batch, or for the small ones of a group: the running offset of
its first event, its count, its bytes and their CRC. All processes of the machine that work
on the lake share it.

- Acknowledged means committed with ``synchronous=FULL``: fsynced.
- Threads commit in groups (`group`), one transaction each.
- Queue and log are bounded in bytes. When one is full, appending waits up to a bound and
  then raises `Unavailable`: nothing is dropped.
- Ids that callers supplied are there as keys, so an append that repeats one is found in the
  transaction that would store it, whoever stored the first: see `append_once`.
- Offsets only grow. The last row is kept when all is forgotten, because it carries the
  next offset; so `forget` needs no second page in any append.

`log_id` names the log in segment footers, which say how far it is sealed.
"""

from __future__ import annotations

import sqlite3
import zlib
from collections.abc import Callable, Collection, Coroutine, Iterator, Sequence
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Final

from lakecore.base import CorruptData, LakecoreError, uuid7
from lakecore.base.limits import GIB, MIB
from lakecore.journal._hot.batch import ROWS, decode_batches, encode_table, join_rows
from lakecore.journal._hot.group import Behind, Entry, GroupCommit
from lakecore.journal._hot.keys import Tail
from lakecore.journal._hot.meta import FORMAT, META, read_name, right_name, write_name
from lakecore.journal._hot.pieces import (
    JOINED,
    HotBounds,
    HotEvents,
    StoredRow,
    keys_of_piece,
    rows_of,
    supplied_of,
    used_bytes,
)
from lakecore.journal._sqlite import Database

if TYPE_CHECKING:
    import pyarrow as pa


FILE: Final = "hot.sqlite"

_SCHEMA: Final = f"""
{META};
CREATE TABLE batch (
    first INTEGER PRIMARY KEY, count INTEGER NOT NULL, encoding INTEGER NOT NULL,
    crc INTEGER NOT NULL, keys BLOB, data BLOB NOT NULL
);
"""
_INSERT: Final = """
INSERT INTO batch (first, count, encoding, crc, keys, data) VALUES (?, ?, ?, ?, ?, ?)
"""
_OLDEST: Final = "SELECT min(first) FROM batch"
_KEYS: Final = """
SELECT first, keys FROM batch
WHERE first >= coalesce((SELECT max(first) FROM batch WHERE first <= ?1), 0)
AND keys IS NOT NULL ORDER BY first
"""
_NEXT: Final = "SELECT first + count FROM batch ORDER BY first DESC LIMIT 1"
_INSERT_AT_END: Final = f"""
INSERT INTO batch (first, count, encoding, crc, data)
SELECT coalesce(({_NEXT}), 0), ?, ?, ?, ? WHERE (SELECT log_id FROM meta LIMIT 1) = ?
"""
_END: Final = f"SELECT ({_NEXT}), (SELECT log_id FROM meta LIMIT 1)"
_READ: Final = """
SELECT first, count, encoding, crc, data, {keys} FROM batch
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
_READ_BYTES: Final = 4 * MIB
"""About a segment of usual events. (Measured: memory that was not used before costs more to
fill than to decode into, so several small pieces are read in half the time of a large one.)"""
_MEASURE_BYTES: Final = MIB


class HotLog:
    """The hot log in a state directory; it is made by the first append.

    Args:
        max_bytes: the most that the log may hold before appends wait for sealing.
        max_queue_bytes: the most that may wait for a commit.
        timeout_s: how long an append waits for room.
        on_stored: told how many events were appended, once for each group.
    """

    def __init__(
        self,
        state_dir: Path,
        *,
        max_bytes: int = GIB,
        max_queue_bytes: int = 64 * MIB,
        timeout_s: float = 30.0,
        on_stored: Callable[[int], None] = lambda _: None,
    ) -> None:
        self._database = Database(state_dir / FILE, _SCHEMA)
        self._max_bytes = max_bytes
        self._log_id: str | None = None
        self._format = 0
        self._stored_bytes = 0
        self._unmeasured_bytes = 0
        self._appends = 0
        self._tail: Tail | None = None
        self._group = GroupCommit(
            self._commit,
            max_queue_bytes=max_queue_bytes,
            timeout_s=timeout_s,
            has_room=self._has_room,
            on_stored=on_stored,
            where=self._database.path,
        )

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
        entry = Entry(encoding, count, data)
        self._group.submit(entry)
        return entry.offset

    def append_async(self, entry: Entry) -> Coroutine[None, None, None]:
        """As `append`, for a task of an event loop."""
        return self._group.submit_async(entry)

    @property
    def group(self) -> GroupCommit:
        """What tasks join."""
        return self._group

    def append_once(self, entry: Entry) -> dict[int, int]:
        """Make a batch with keys durable; if the log has one of them, store nothing of it.

        Returns:
            {row: offset} of the keys that were there: empty when the batch is durable.

        Raises:
            Behind: events from the entry's `covered` on are not in the log any more.
            ...: as `append`.
        """
        self._group.submit(entry)
        return entry.found

    def bounds(self) -> HotBounds:
        """The log's name, its first event that was not forgotten, its end."""
        with self._database.snapshot() as reader:
            if reader is None:
                return HotBounds()
            self._log_id = self._read_meta(reader)  # it may have been renamed
            first = reader.execute(_OLDEST).fetchone()[0]
            row = reader.execute(_NEXT).fetchone()
            return HotBounds(self._log_id, int(first or 0), int(row[0]) if row else 0)

    def end(self) -> int:
        """The offset that the next event will get."""
        return self.bounds().end

    @property
    def path(self) -> Path:
        """Its file."""
        return self._database.path

    def read_from(self, offset: int, end: int, *, log_id: str | None = None) -> Iterator[HotEvents]:
        """The events from `offset` up to but without `end`, in pieces of bounded size.

        Offsets that were forgotten are left out without a word: ask the footers first.

        Args:
            log_id: read no further once the log has another name.
        """
        while offset < end:
            rows = self._rows_from(offset, end, log_id)
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
            start, stop = max(first, offset), min(next_offset, end)
            supplied = supplied_of(rows)
            if supplied is not None:
                supplied = supplied[start - first : stop - first]
            yield HotEvents(start, table.slice(start - first, stop - start), supplied)
            offset = next_offset

    def rows_at(self, places: Sequence[int], log_id: str | None = None) -> pa.Table | None:
        """The events at some offsets, in the order asked for; None when one was forgotten.

        Args:
            log_id: None as well when the log has another name.
        """
        import pyarrow as pa

        wanted = sorted(set(places))
        tables: list[pa.Table] = []
        start = 0
        for at in range(1, len(wanted) + 1):
            if at < len(wanted) and wanted[at] == wanted[at - 1] + 1:
                continue
            pieces = list(self.read_from(wanted[start], wanted[at - 1] + 1, log_id=log_id))
            tables += [piece.table for piece in pieces]
            if not pieces or pieces[0].first != wanted[start]:
                return None
            start = at
        rows = {place: row for row, place in enumerate(wanted)}
        table = pa.concat_tables(tables)
        return table.take([rows[place] for place in places]) if len(table) == len(rows) else None

    def forget(self, up_to: int, log_id: str) -> None:
        """Drop the batches that lie wholly below the offset `up_to`, if this is the log's name.

        Under another one its offsets are others, and what is there may be nowhere else.
        """
        if self.log_id is None:
            return
        removed = -1
        while removed:
            with self._database.write() as writer:
                if self._read_meta(writer) != log_id:
                    return
                removed = writer.execute(_FORGET, (up_to,)).rowcount
                self._stored_bytes = used_bytes(writer)
        self._group.room_changed()

    def renew_if_behind(self, sealed: int, log_id: str) -> None:
        """Start a new log if this one ends before `sealed`, how far footers say it is sealed.

        Such a log came back from a backup. All that it holds is sealed; new events under
        its name would take offsets that are sealed, and would be lost.

        Args:
            log_id: the name under which so much is sealed. A log that has another one by now
                was renewed by another process, and what that has recorded since is not sealed.
        """
        if sealed <= self.end():
            return
        with self._database.write() as writer:
            last = writer.execute(_NEXT).fetchone()
            is_behind = sealed > (int(last[0]) if last else 0)
            if is_behind and self._read_meta(writer) == log_id:
                self._log_id = uuid7()
                self._tail = None
                writer.execute("DELETE FROM batch")
                write_name(writer, self._log_id)

    def right_name(self, sealed: Collection[str]) -> str | None:
        """What the name was, if it is damaged; None where that is not certain."""
        with self._database.read() as reader:
            return None if reader is None else right_name(reader, sealed)

    def restore_name(self, log_id: str) -> None:
        """Name the log as it was named. Nobody may seal meanwhile (`SEAL_LOCK`)."""
        with self._database.write() as writer:
            write_name(writer, log_id)
            self._log_id, self._format = log_id, FORMAT

    def part(self, offset: int) -> str:
        """Give what is held from an offset on to a new log, and forget the rest.

        Nobody may seal meanwhile (`SEAL_LOCK`).
        """
        rows: list[tuple[object, ...]] = []
        first = 0
        with self._database.write() as writer:
            # The lock is held: what is read here is all that there is.
            for piece in self.read_from(offset, self.end()):
                encoding, data = encode_table(piece.table)
                crc, count = zlib.crc32(data), piece.table.num_rows
                rows.append((first, count, encoding, crc, keys_of_piece(piece), data))
                first += count
            writer.execute("DELETE FROM batch")
            writer.executemany(_INSERT, rows)
            log_id = uuid7()
            write_name(writer, log_id)
            self._log_id, self._format, self._tail = log_id, FORMAT, None
        return log_id

    def close(self) -> None:
        self._group.close()
        self._database.close()

    def _has_room(self, may_block: bool) -> bool:
        if self._stored_bytes < self._max_bytes or not may_block:
            return self._stored_bytes < self._max_bytes
        # Another process may have sealed.
        with self._database.snapshot() as reader:
            self._stored_bytes = used_bytes(reader) if reader else 0
        return self._stored_bytes < self._max_bytes

    def _commit(self, group: list[Entry]) -> None:
        if not self._commit_at_once(group):
            self._commit_with_care(group)
        # Here the group is durable: acknowledged.
        self._appends += 1
        if self._appends == _GROW_AFTER:
            with suppress(LakecoreError):  # slower without, not wrong
                self._database.grow_log(_LOG_BYTES)

    def _commit_at_once(self, group: list[Entry]) -> bool:
        """Commit a group that becomes one row, in one statement; whether that could be done."""
        encoding = group[0].encoding
        size = sum([len(entry.data) for entry in group])
        if (
            self._format != FORMAT
            or self._log_id is None
            or len(group) > (JOINED if encoding == ROWS else 1)
            or self._unmeasured_bytes + size >= _MEASURE_BYTES
            or any(entry.keys or entry.encoding != encoding for entry in group)
        ):
            return False
        data = join_rows([entry.data for entry in group])
        count = sum([entry.count for entry in group])
        values = (count, encoding, zlib.crc32(data), data, self._log_id)
        done = self._database.write_one(_INSERT_AT_END, values)
        if not done.rowcount:
            return False  # another process has renamed the log
        offset = int(done.lastrowid or 0)
        for entry in group:
            entry.offset = offset
            offset += entry.count
        self._unmeasured_bytes += size
        return True

    def _commit_with_care(self, group: list[Entry]) -> None:
        try:
            with self._database.write() as writer:
                end, name = writer.execute(_END).fetchone()
                if self._format != FORMAT or name is None or name != self._log_id:
                    # Another process may have renamed it: what is known here is of no use then.
                    self._log_id, self._tail = self._prepare(writer), None
                offset = int(end or 0)
                new: list[Entry] = []
                for entry in group:
                    if entry.keys and not self._is_new(writer, entry, offset):
                        continue
                    entry.offset = offset
                    offset += entry.count
                    new.append(entry)
                rows = rows_of(new)
                writer.executemany(_INSERT, rows)
                self._unmeasured_bytes += sum(len(entry.data) for entry in group)
                if self._unmeasured_bytes >= _MEASURE_BYTES:
                    self._stored_bytes = used_bytes(writer)
                    self._unmeasured_bytes = 0
        except BaseException:
            self._tail = None  # it has keys of events that are not stored
            raise

    def _is_new(self, writer: sqlite3.Connection, entry: Entry, offset: int) -> bool:
        """Whether no key of an entry is in the log; if so they are from now on.

        In the transaction that stores it: no other thread or process can come between.
        """
        if entry.log_id is not None and entry.log_id != self._log_id:
            entry.error = Behind()
            return False
        tail = self._tail
        if tail is not None and tail.end > offset:
            tail = None  # the log was renewed
        if tail is None or tail.end < offset:
            # Another process has appended, or this one has not looked yet.
            tail = self._tail = self._caught_up(writer, tail, entry.covered, offset)
        if tail is None or entry.covered < tail.start:
            entry.error = Behind()
            return False
        entry.found = tail.find(entry.keys, entry.covered)
        if entry.found or entry.only_looks:
            return False
        tail.drop_below(entry.covered)
        tail.add(entry.keys, offset)
        tail.end = offset + entry.count
        return True

    def _caught_up(
        self, writer: sqlite3.Connection, tail: Tail | None, covered: int, end: int
    ) -> Tail | None:
        """The keys up to `end`; None when events from `covered` on were forgotten."""
        oldest = writer.execute(_OLDEST).fetchone()[0]
        if tail is None or (oldest is not None and tail.end < oldest):
            if oldest is not None and covered < oldest:
                return None
            tail = Tail(covered)
        for first, keys in writer.execute(_KEYS, (tail.end,)):
            tail.add(keys, first)
        tail.end = end
        return tail

    def _rows_from(self, offset: int, end: int, log_id: str | None) -> list[StoredRow]:
        rows: list[StoredRow] = []
        size = 0
        # One state: another process may rename the log, or give it its column of keys.
        with self._database.snapshot() as reader:
            if reader is None:
                return rows
            name = self._read_meta(reader)
            if log_id is not None and name != log_id:
                return rows
            read = _READ.format(keys="NULL" if self._format == 1 else "keys")
            for row in reader.execute(read, (offset, end, _READ_BATCHES)):
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
        found = read_name(connection, self._database.path)
        if found is None:
            return None
        self._format, log_id = found
        return log_id

    def _prepare(self, writer: sqlite3.Connection) -> str:
        """The log's name; an older log is extended, a new one gets its name."""
        log_id = self._read_meta(writer)
        if log_id is None or self._format != FORMAT:
            log_id = log_id or uuid7()
            write_name(writer, log_id)
            self._format = FORMAT
        return log_id

    def _where(self, offset: int) -> str:
        return f"{self._database.path}, offset {offset}"
