"""Damaged batches of the hot log: found one by one, and replaced.

A batch that does not read would block all events behind it for ever. Its events are lost;
what can be kept is their number and their place: each is replaced by an event that says so
(entity type ``journal``, action ``lost``), under the offset that the lost one had. So no
offset changes its meaning, whoever seals this log at the same time.
"""

from __future__ import annotations

import json
import sqlite3
import zlib
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from lakecore.base import Clock, LakecoreError, uuid7
from lakecore.journal._events.event import Event, events_to_arrow
from lakecore.journal._hot.batch import decode_batches, encode_table
from lakecore.journal._hot.log import FILE
from lakecore.journal._hot.meta import read_name
from lakecore.journal._sqlite import Database

if TYPE_CHECKING:
    import pyarrow as pa

_PAGE: Final = 256
_MAX_COUNT: Final = 1 << 20
"""More events than any batch has: a count above is damaged itself."""
_MAX_IDS: Final = 100


@dataclass(frozen=True, slots=True)
class DamagedBatch:
    """One batch that does not read.

    Attributes:
        offset, count: its place in the log.
        reason: what is wrong with it.
        data: its bytes.
        whole: its events, where it is only their number that is not what it should be.
        event_ids, first_us, last_us: what still could be read of it; unchecked.
    """

    offset: int
    count: int
    reason: str
    data: bytes
    event_ids: tuple[str, ...] = ()
    first_us: int | None = None
    last_us: int | None = None
    whole: pa.Table | None = None

    @property
    def lost(self) -> int:
        """How many of its events cannot be read."""
        return self.count - (self.whole.num_rows if self.whole is not None else 0)


class HotDamage:
    """Looks at the hot log in a state directory, batch by batch."""

    def __init__(self, state_dir: Path) -> None:
        self.path = state_dir / FILE
        # The tables are there, or there is nothing to look at.
        self._database = Database(self.path, "")

    def find(self, *, start: int = 0) -> Iterator[DamagedBatch]:
        """The damaged batches with events from an offset on, in order.

        Raises:
            CorruptData: the file itself is damaged, beyond a batch.
        """
        held: tuple[Any, ...] | None = None
        after = self._first_before(start)
        while True:
            rows = self._page(after if held is None else held[0])
            if held is not None:
                # What is sealed may be forgotten between two pages: what followed it is not
                # known then, and neither it is wrong.
                held, rows = (held, rows[1:]) if rows[:1] == [held] else (None, rows)
            if not rows:
                break
            for row in rows:
                if held is not None and row[0] > start:
                    yield from _judged(held, row[0])
                held = row
        if held is not None and held[0] + held[1] > start:
            yield from _judged(held, None)

    def bounds(self) -> tuple[str | None, int]:
        """The name of the log, None when there is none; its first event that was not forgotten."""
        if not self.path.exists():
            return None, 0
        with self._database.snapshot() as reader:
            found = read_name(reader, self.path) if reader is not None else None
            if reader is None or found is None:
                return None, 0
            row = reader.execute("SELECT min(first) FROM batch").fetchone()
        return found[1], int(row[0] or 0)

    def replace(self, batch: DamagedBatch, log_id: str, clock: Clock) -> None:
        """Put events that tell of the loss in the batch's place; it was kept elsewhere before."""
        with self._database.write() as writer:
            (following,) = writer.execute(
                "SELECT min(first) FROM batch WHERE first > ?", (batch.offset,)
            ).fetchone()
            if following is not None:
                # What was appended meanwhile began where a wrong count said.
                batch = replace(batch, count=following - batch.offset)
            encoding, data = encode_table(_substitutes(batch, log_id, clock))
            writer.execute(
                "UPDATE batch SET count = ?, encoding = ?, crc = ?, data = ? WHERE first = ?",
                (batch.count, encoding, zlib.crc32(data), data, batch.offset),
            )
            if batch.lost and any(
                row[1] == "keys" for row in writer.execute("PRAGMA table_info(batch)")
            ):
                # The ids that callers supplied are free again: what they named is lost.
                writer.execute("UPDATE batch SET keys = NULL WHERE first = ?", (batch.offset,))

    def close(self) -> None:
        self._database.close()

    def _page(self, first: int) -> list[tuple[Any, ...]]:
        """Some batches from an offset on, as of one moment."""
        if not self.path.exists():
            return []
        with self._database.read() as reader:
            if reader is None:
                return []
            return reader.execute(
                "SELECT first, count, encoding, crc, data FROM batch "
                "WHERE first >= ? ORDER BY first LIMIT ?",
                (first, _PAGE),
            ).fetchall()

    def _first_before(self, offset: int) -> int:
        """The offset of the batch that an offset is in."""
        if not self.path.exists():
            return 0
        with self._database.read() as reader:
            row = (
                reader
                and reader.execute(
                    "SELECT max(first) FROM batch WHERE first <= ?", (offset,)
                ).fetchone()
            )
        return int(row[0]) if row and row[0] is not None else 0


def keep(batch: DamagedBatch, folder: Path, log_id: str) -> Path:
    """Write a batch's bytes to a file that is durable on return; again if it is there."""
    from lakecore.journal._sqlite import make_directory

    make_directory(folder)
    path = folder / f"hot-{log_id}-{batch.offset:020d}.bin"
    with path.open("wb") as file:
        file.write(batch.data)
        file.flush()
        sync(file.fileno())
    sync_folder(folder)
    return path


def sync(descriptor: int) -> None:
    import os

    os.fsync(descriptor)


def sync_folder(folder: Path) -> None:
    """Make the names in a folder durable."""
    import os

    descriptor = os.open(folder, os.O_RDONLY | os.O_CLOEXEC)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _judged(row: tuple[Any, ...], following: int | None) -> Iterator[DamagedBatch]:
    """The batch of a row, if it is damaged; `following` is the offset of the next one."""
    first, count, encoding, crc, data = row
    table: pa.Table | None = None
    reason = ""
    data = data if isinstance(data, bytes) else b""
    if zlib.crc32(data) != crc:
        reason = f"CRC {crc:08x} expected, {zlib.crc32(data):08x} found"
    try:
        table = decode_batches([(encoding, data)], where=f"offset {first}")
    except LakecoreError as error:
        reason = reason or str(error)
    except (sqlite3.Error, ArithmeticError, ValueError, TypeError) as error:
        reason = reason or f"does not decode: {error}"
    found = table.num_rows if table is not None else 0
    right = following - first if following is not None else count
    if not reason:
        # The bytes are right: they say how many events there are, if nothing else does.
        if found == count == right or found == right == (following or 0) - first:
            return
        right = max(found, right) if following is not None else found
        reason = f"{count} events said to be there, {right} expected, {found} found"
        yield DamagedBatch(first, right, reason, data, whole=table)
        return
    if not 0 < right <= _MAX_COUNT:
        right = found or 1
    yield _described(DamagedBatch(first, right, reason, data), table)


def _described(batch: DamagedBatch, table: pa.Table | None) -> DamagedBatch:
    if table is None or not table.num_rows:
        return batch
    try:
        ids = tuple(table.column("event_id").slice(0, _MAX_IDS).to_pylist())
        moments = [moment.value for moment in table.column("timestamp")]
        times = [moment for moment in moments if moment is not None]
    except (ValueError, UnicodeDecodeError, OverflowError):
        return batch
    low, high = (min(times), max(times)) if times else (None, None)
    return DamagedBatch(batch.offset, batch.count, batch.reason, batch.data, ids, low, high)


def _substitutes(batch: DamagedBatch, log_id: str, clock: Clock) -> pa.Table:
    """What can be read of a batch, and an event for each that cannot."""
    import pyarrow as pa

    events = (
        Event(
            entity_type="journal",
            entity_id=log_id,
            action="lost",
            source="repair",
            context=json.dumps({"offset": batch.offset + number, "reason": batch.reason}),
        )
        for number in range(batch.count - batch.lost, batch.count)
    )
    lost = events_to_arrow(events, now_us=clock.now_us(), id_prefix=uuid7(clock))
    return pa.concat_tables([batch.whole, lost]) if batch.whole is not None else lost
