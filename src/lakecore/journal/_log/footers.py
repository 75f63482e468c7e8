"""What all segment footers say: positions, sealed commits, the state at the end.

Footers never change, so they are read once and kept in the state directory (SQLite).
The cache is derived: it may vanish, and is dropped when the last segment in it is not
the one in the store. Opening a journal of 1,000 segments reads one footer.
"""

from __future__ import annotations

import json
import tempfile
import threading
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from lakecore.base import (
    CorruptData,
    LakecoreError,
    NotFound,
    OutOfSpace,
    ReadOnly,
    Unavailable,
)
from lakecore.journal._log.segment import (
    FOLDER,
    SealedCommit,
    SegmentFooter,
    position_of,
    read_footer,
    segment_path,
)
from lakecore.journal._sqlite import Database
from lakecore.tlog import Frontier

if TYPE_CHECKING:
    from lakecore.storage import Store

FILE: Final = "footers-1.sqlite"
"""The number is the version of the cache's tables: another version makes another file."""

_SCHEMA: Final = """
CREATE TABLE segment (
    first_seq INTEGER PRIMARY KEY, count INTEGER NOT NULL, min_us INTEGER NOT NULL,
    max_us INTEGER NOT NULL, checksum TEXT NOT NULL, state TEXT NOT NULL
);
CREATE TABLE piece (
    commit_id TEXT NOT NULL, first_ordinal INTEGER NOT NULL, count INTEGER NOT NULL,
    total INTEGER NOT NULL, target TEXT NOT NULL, digest TEXT NOT NULL,
    first_seq INTEGER NOT NULL, row INTEGER NOT NULL,
    PRIMARY KEY (commit_id, first_ordinal)
) WITHOUT ROWID;
"""
_CACHE_FAILS: Final = (OutOfSpace, ReadOnly, Unavailable)
"""Errors after which a cache elsewhere does as well: the store is asked again anyway."""
_INSERT_PIECE: Final = "INSERT OR IGNORE INTO piece VALUES (?, ?, ?, ?, ?, ?, ?, ?)"
_PIECES: Final = "SELECT commit_id, target, digest, row, first_ordinal, count, total, first_seq"


@dataclass(frozen=True, slots=True)
class SegmentEntry:
    """One segment, as much of it as finding events needs."""

    first_seq: int
    count: int
    min_us: int
    max_us: int

    @property
    def path(self) -> str:
        return segment_path(self.first_seq)


@dataclass(frozen=True, slots=True)
class Piece:
    """A part of a sealed commit, and the segment that it is in."""

    first_seq: int
    commit: SealedCommit


class Footers:
    """The footers of a journal, as of the last `refresh`. Threads may share it."""

    def __init__(self, store: Store, state_dir: Path) -> None:
        self._store = store
        self._database = Database(state_dir / FILE, _SCHEMA, synchronous="NORMAL")
        self._temporary: tempfile.TemporaryDirectory[str] | None = None
        self._lock = threading.RLock()
        self._opened = False
        self._forget()

    @property
    def next_seq(self) -> int:
        """The position of the next segment; the number of sealed events."""
        return self._next_seq

    @property
    def hot(self) -> dict[str, int]:
        """How far each hot log is sealed."""
        return dict(self._state.get("hot", {}))

    def frontier(self) -> Frontier:
        """The Merkle tree over all sealed events; a copy."""
        edge = self._state.get("edge", [])
        return Frontier(self._next_seq, [bytes.fromhex(node) for node in edge])

    def segments(self) -> tuple[SegmentEntry, ...]:
        """All segments, by position."""
        with self._lock:
            return tuple(self._entries)

    def refresh(self) -> None:
        """Read the footers of the segments that others made since.

        Raises:
            CorruptData: a segment is damaged, or one is missing in the row.
        """
        with self._lock:
            if not self._opened:
                self._open()
            try:
                self._catch_up()
            except _CACHE_FAILS as error:
                if self._temporary is not None or not self._is_of_cache(error):
                    raise
                self._start_again()

    def add(self, footer: SegmentFooter) -> None:
        """Take in the next footer: one that was just made durable."""
        with self._lock:
            try:
                self._add(footer)
            except _CACHE_FAILS as error:
                if self._temporary is not None or not self._is_of_cache(error):
                    raise
                self._start_again()

    def _catch_up(self) -> None:
        last = self._entries[-1].path if self._entries else None
        for info in self._store.list_objects(FOLDER, after=last):
            if position_of(info.path) is not None:
                self._add(read_footer(self._store, info.path))

    def _start_again(self) -> None:
        """Read all footers into a temporary cache: the disk of the other one is full, say."""
        self._use_temporary()
        self._forget()
        self._catch_up()

    def _add(self, footer: SegmentFooter) -> None:
        with self._lock:
            if footer.first_seq != self._next_seq or footer.tree_size != footer.next_seq:
                raise CorruptData(
                    "segments are not contiguous",
                    expected=f"one from {self._next_seq}",
                    found=f"{footer.count} events from {footer.first_seq}, "
                    f"a tree of {footer.tree_size}",
                    where=footer.path,
                )
            self._write(footer)
            self._take(footer)

    def made_by(self, first_seq: int) -> str | None:
        """The seal id of the run that made the segment at a position; None when there is none."""
        with self._database.read() as reader:
            row = (
                reader
                and reader.execute(
                    "SELECT state FROM segment WHERE first_seq = ?", (first_seq,)
                ).fetchone()
            )
        return str(json.loads(row[0])["seal_id"]) if row else None

    def sealed_count(self, commit_id: str) -> int:
        """How many of a commit's events are sealed, from its first on."""
        with self._database.read() as reader:
            if reader is None:
                return 0
            row = reader.execute(
                "SELECT coalesce(sum(count), 0) FROM piece WHERE commit_id = ? AND first_seq < ?",
                # Another process may have cached segments that this one has not looked at.
                (commit_id, self._next_seq),
            ).fetchone()
        return int(row[0])

    def is_sealed(self, commit_id: str) -> bool:
        """Whether all of a commit's events are sealed."""
        pieces = self.pieces(commit_id)
        return bool(pieces) and sum(p.commit.count for p in pieces) == pieces[0].commit.total

    def pieces(self, commit_id: str) -> list[Piece]:
        """Where a commit's events are, in order."""
        with self._database.read() as reader:
            if reader is None:
                return []
            rows = reader.execute(
                f"{_PIECES} FROM piece WHERE commit_id = ? AND first_seq < ? "
                "ORDER BY first_ordinal",
                (commit_id, self._next_seq),
            ).fetchall()
        return [_piece(row) for row in rows]

    def all_pieces(self) -> Iterator[Piece]:
        """Every part of every sealed commit, by commit and order in it."""
        after: tuple[str, int] = ("", -1)
        while True:
            with self._database.read() as reader:
                rows = (
                    []
                    if reader is None
                    else reader.execute(
                        f"{_PIECES} FROM piece WHERE (commit_id, first_ordinal) > (?, ?) "
                        "ORDER BY commit_id, first_ordinal LIMIT 10000",
                        after,
                    ).fetchall()
                )
            if not rows:
                return
            yield from map(_piece, rows)
            after = (rows[-1][0], rows[-1][4])

    def close(self) -> None:
        self._database.close()
        if self._temporary is not None:
            self._temporary.cleanup()

    def _forget(self) -> None:
        self._entries: list[SegmentEntry] = []
        self._next_seq = 0
        self._state: dict[str, Any] = {}

    def _open(self) -> None:
        """Load the cache, if it is there, readable, and of this journal."""
        try:
            with self._database.write() as writer:
                rows = writer.execute(
                    "SELECT first_seq, count, min_us, max_us, checksum, state FROM segment "
                    "ORDER BY first_seq"
                ).fetchall()
                if rows and not self._is_current(rows[-1][0], rows[-1][4]):
                    writer.execute("DELETE FROM segment")
                    writer.execute("DELETE FROM piece")
                    rows = []
        except (CorruptData, *_CACHE_FAILS) as error:
            if not self._is_of_cache(error):
                raise
            self._use_temporary()
            rows = []
        self._entries = [SegmentEntry(*row[:4]) for row in rows]
        if rows:
            self._next_seq = rows[-1][0] + rows[-1][1]
            self._state = json.loads(rows[-1][5])
        self._opened = True

    def _is_of_cache(self, error: LakecoreError) -> bool:
        """Whether the cache failed, and not the store."""
        return (error.where or "").startswith(str(self._database.path))

    def _is_current(self, first_seq: int, checksum: str) -> bool:
        try:
            return read_footer(self._store, segment_path(first_seq)).checksum == checksum
        except NotFound:
            return False

    def _use_temporary(self) -> None:
        """For a state directory that cannot be written or is full, or a damaged cache."""
        self._database.close()
        self._temporary = tempfile.TemporaryDirectory(prefix="lakecore-footers-")
        self._database = Database(Path(self._temporary.name) / FILE, _SCHEMA, synchronous="NORMAL")

    def _write(self, footer: SegmentFooter) -> None:
        state = {"seal_id": footer.seal_id, "hot": dict(footer.hot), "edge": list(footer.edge)}
        low, high = footer.timestamp_us
        with self._database.write() as writer:
            writer.execute(
                "INSERT OR REPLACE INTO segment VALUES (?, ?, ?, ?, ?, ?)",
                (footer.first_seq, footer.count, low, high, footer.checksum, json.dumps(state)),
            )
            writer.executemany(_INSERT_PIECE, _rows(footer))

    def _take(self, footer: SegmentFooter) -> None:
        low, high = footer.timestamp_us
        self._entries.append(SegmentEntry(footer.first_seq, footer.count, low, high))
        self._next_seq = footer.next_seq
        self._state = {
            "seal_id": footer.seal_id,
            "hot": dict(footer.hot),
            "edge": list(footer.edge),
        }


def _rows(footer: SegmentFooter) -> Iterable[tuple[str | int, ...]]:
    for part in footer.commits:
        yield (
            part.commit_id,
            part.first_ordinal,
            part.count,
            part.total,
            part.target,
            part.digest,
            footer.first_seq,
            part.row,
        )


def _piece(row: tuple[Any, ...]) -> Piece:
    return Piece(row[7], SealedCommit(*row[:7]))
