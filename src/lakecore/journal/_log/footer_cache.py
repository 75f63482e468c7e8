"""What all footers say, in the state directory: a SQLite file that is derived and may vanish.

Processes of a machine share it, and each may know more or less of what compaction did: a
larger place is never replaced by a smaller one, and smaller ones inside it are passed over.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Iterator
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from lakecore.base import LakecoreError, OutOfSpace, ReadOnly, Unavailable
from lakecore.journal._log.runs import Place
from lakecore.journal._log.segment import SealedCommit, SegmentFooter
from lakecore.journal._sqlite import Database

FILE: Final = "footers-2.sqlite"
"""The number is the version of the cache's tables: another version makes another file."""
CACHE_FAILS: Final = (OutOfSpace, ReadOnly, Unavailable)
"""Errors after which a cache elsewhere does as well: the store is asked again anyway."""
_OLD_FILES: Final = "footers-1.sqlite*"

_SCHEMA: Final = """
CREATE TABLE place (
    first_seq INTEGER PRIMARY KEY, count INTEGER NOT NULL, path TEXT NOT NULL,
    row INTEGER NOT NULL, min_us INTEGER NOT NULL, max_us INTEGER NOT NULL,
    source TEXT NOT NULL, checksum TEXT NOT NULL, state TEXT NOT NULL
);
CREATE TABLE piece (
    commit_id TEXT NOT NULL, first_ordinal INTEGER NOT NULL, count INTEGER NOT NULL,
    total INTEGER NOT NULL, target TEXT NOT NULL, digest TEXT NOT NULL,
    seq INTEGER NOT NULL, row INTEGER NOT NULL,
    PRIMARY KEY (commit_id, first_ordinal)
) WITHOUT ROWID;
CREATE TABLE marked (
    first_seq INTEGER PRIMARY KEY, count INTEGER NOT NULL, sealed_at_us INTEGER NOT NULL
);
CREATE TABLE swapped (path TEXT PRIMARY KEY) WITHOUT ROWID;
"""
_TABLES: Final = ("place", "piece", "marked", "swapped")
_INSERT_PLACE: Final = (
    "INSERT INTO place VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?) ON CONFLICT (first_seq) DO UPDATE SET "
    "count = excluded.count, path = excluded.path, row = excluded.row, min_us = excluded.min_us, "
    "max_us = excluded.max_us, source = excluded.source, checksum = excluded.checksum, "
    "state = excluded.state WHERE excluded.count >= place.count"
)
_INSERT_PIECE: Final = "INSERT OR IGNORE INTO piece VALUES (?, ?, ?, ?, ?, ?, ?, ?)"
_INSERT_MARKED: Final = "INSERT OR IGNORE INTO marked VALUES (?, ?, ?)"
_PIECES: Final = "SELECT commit_id, target, digest, row, first_ordinal, count, total, seq"


@dataclass(frozen=True, slots=True)
class Piece:
    """A part of a sealed commit, and the `seq` of its first event.

    `commit.row` is the row in the file whose footer told of it.
    """

    first_seq: int
    commit: SealedCommit


State = dict[str, Any]
"""Of a footer: who made it, how far hot logs are sealed, the tree's edge."""


def state_of(footer: SegmentFooter) -> State:
    return {
        "seal_id": footer.seal_id,
        "hot": dict(footer.hot),
        "edge": list(footer.edge),
        "duplicate_ids": footer.duplicate_ids,
    }


class FooterCache:
    """The tables. What it raises of its own names its file, see `is_mine`."""

    def __init__(self, folder: Path) -> None:
        self._database = Database(folder / FILE, _SCHEMA, synchronous="NORMAL")

    def load(self, is_current: Callable[[str, str], bool]) -> tuple[list[Place], State]:
        """All places in order, and the state after the last; nothing if it is not of this lake.

        Args:
            is_current: whether the file at a path has this checksum.
        """
        for old in self._database.path.parent.glob(_OLD_FILES):
            with suppress(OSError):
                old.unlink()
        with self._database.write() as writer:
            rows = writer.execute(
                "SELECT first_seq, count, path, row, min_us, max_us, source, checksum, state "
                "FROM place ORDER BY first_seq"
            ).fetchall()
            places: list[Place] = []
            last: tuple[Any, ...] = ()
            end = 0
            for row in rows:
                if row[0] > end:
                    last = ()
                    break
                if row[0] == end:
                    places.append(Place(*row[:6]))
                    end, last = row[0] + row[1], row
                # Else a process that did not know of a run cached a part of it.
            if last and is_current(last[6], last[7]):
                return places, json.loads(last[8])
            for table in _TABLES if rows else ():
                writer.execute(f"DELETE FROM {table}")
            return [], {}

    def add(self, footer: SegmentFooter, place: Place, source: str) -> None:
        """Keep what a footer says; `source` is the file that it was read from.

        The footer of a run takes the place of those of what it merges.
        """
        row = (place.first_seq, place.count, place.path, place.row, place.min_us, place.max_us)
        state = json.dumps(state_of(footer))
        marked = list(footer.marked)
        if footer.supplied is not None:
            marked.append((footer.first_seq, footer.count, footer.sealed_at_us))
        with self._database.write() as writer:
            writer.execute(
                "DELETE FROM place WHERE first_seq > ? AND first_seq < ?",
                (place.first_seq, place.end_seq),
            )
            writer.execute(_INSERT_PLACE, (*row, source, footer.first_checksum, state))
            writer.executemany(_INSERT_PIECE, _rows(footer))
            writer.executemany(_INSERT_MARKED, marked)

    def move(self, places: Iterable[Place]) -> None:
        """The same events are in other files now."""
        with self._database.write() as writer:
            writer.executemany(
                "UPDATE place SET path = ?, row = ? WHERE first_seq = ? AND count = ?",
                [(place.path, place.row, place.first_seq, place.count) for place in places],
            )

    def state_at(self, seq: int) -> State | None:
        """What the footer says that ends there, if there is one."""
        rows = self._query(
            "SELECT first_seq + count, state FROM place WHERE first_seq < ? "
            "ORDER BY first_seq DESC LIMIT 1",
            (seq,),
        )
        return json.loads(rows[0][1]) if rows and rows[0][0] == seq else None

    def made_by(self, first_seq: int, source: str) -> str | None:
        """The seal id of a file, if its footer is here."""
        rows = self._query(
            "SELECT state FROM place WHERE first_seq = ? AND source = ?", (first_seq, source)
        )
        return str(json.loads(rows[0][0])["seal_id"]) if rows else None

    # Another process may have cached more than the caller has looked at: hence `end_seq`.

    def sealed_count(self, commit_id: str, end_seq: int) -> int:
        """How many of a commit's events are sealed, from its first on."""
        rows = self._query(
            "SELECT coalesce(sum(count), 0) FROM piece WHERE commit_id = ? AND seq < ?",
            (commit_id, end_seq),
        )
        return int(rows[0][0]) if rows else 0

    def pieces(self, commit_id: str, end_seq: int) -> list[Piece]:
        """Where a commit's events are, in order."""
        rows = self._query(
            f"{_PIECES} FROM piece WHERE commit_id = ? AND seq < ? ORDER BY first_ordinal",
            (commit_id, end_seq),
        )
        return [_piece(row) for row in rows]

    def all_pieces(self) -> Iterator[Piece]:
        """Every part of every sealed commit, by commit and order in it."""
        after: tuple[str, int] = ("", -1)
        while rows := self._query(
            f"{_PIECES} FROM piece WHERE (commit_id, first_ordinal) > (?, ?) "
            "ORDER BY commit_id, first_ordinal LIMIT 10000",
            after,
        ):
            yield from map(_piece, rows)
            after = (rows[-1][0], rows[-1][4])

    def marked(self, first_seq: int, end_seq: int, since_us: int) -> list[tuple[int, int, int]]:
        """(first_seq, count, sealed_at_us) of the segments with ids that callers supplied."""
        return self._query(
            "SELECT first_seq, count, sealed_at_us FROM marked WHERE first_seq >= ? "
            "AND first_seq < ? AND sealed_at_us >= ? ORDER BY first_seq",
            (first_seq, end_seq, since_us),
        )

    def is_swapped(self, path: str) -> bool:
        """Whether all that a run merges is known to be stubs."""
        return bool(self._query("SELECT 1 FROM swapped WHERE path = ?", (path,)))

    def set_swapped(self, path: str) -> None:
        """Keep in mind that all that a run merges is stubs: that does not change again."""
        with suppress(*CACHE_FAILS), self._database.write() as writer:
            writer.execute("INSERT OR IGNORE INTO swapped VALUES (?)", (path,))

    def is_mine(self, error: LakecoreError) -> bool:
        """Whether the cache failed, and not the store."""
        return (error.where or "").startswith(str(self._database.path))

    def close(self) -> None:
        self._database.close()

    def _query(self, query: str, values: tuple[Any, ...]) -> list[Any]:
        with self._database.read() as reader:
            return [] if reader is None else reader.execute(query, values).fetchall()


def _rows(footer: SegmentFooter) -> Iterable[tuple[str | int, ...]]:
    for part in footer.commits:
        yield (
            part.commit_id,
            part.first_ordinal,
            part.count,
            part.total,
            part.target,
            part.digest,
            footer.first_seq + part.row,
            part.row,
        )


def _piece(row: tuple[Any, ...]) -> Piece:
    return Piece(row[7], SealedCommit(*row[:7]))
