"""What all footers say, in the state directory: a SQLite file that is derived and may vanish.

Processes of a machine share it, and each may know more or less of what compaction did: a
larger place is never replaced by a smaller one, and smaller ones inside it are passed over.

Nothing that a disk did to it may become an answer. Every row ends in a CRC32 over the rest.
A row that is not there would be an answer, too ("that commit is not sealed"): what is looked
up is kept in two trees of the file, and a row in one of them only is damage. Whoever meets
`CorruptData` here drops the file and reads the footers again.
"""

from __future__ import annotations

import hashlib
import json
import zlib
from collections.abc import Callable, Iterable
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from lakecore.base import CorruptData, LakecoreError, OutOfSpace, ReadOnly, Unavailable
from lakecore.journal._log.runs import Place
from lakecore.journal._log.segment import SealedCommit, SegmentFooter
from lakecore.journal._sqlite import Database

FILE: Final = "footers-3.sqlite"
"""The number is the version of the cache's tables: another version makes another file."""
CACHE_FAILS: Final = (OutOfSpace, ReadOnly, Unavailable)
"""Errors after which a cache elsewhere does as well: the store is asked again anyway."""
_OLD_FILES: Final = "footers-[12].sqlite*"

_SCHEMA: Final = """
CREATE TABLE place (
    first_seq INTEGER PRIMARY KEY, count INTEGER NOT NULL, path TEXT NOT NULL,
    row INTEGER NOT NULL, min_us INTEGER NOT NULL, max_us INTEGER NOT NULL,
    source TEXT NOT NULL, checksum TEXT NOT NULL, state TEXT NOT NULL, crc INTEGER NOT NULL
);
CREATE TABLE piece (
    commit_id TEXT NOT NULL, first_ordinal INTEGER NOT NULL, count INTEGER NOT NULL,
    total INTEGER NOT NULL, target TEXT NOT NULL, digest TEXT NOT NULL,
    seq INTEGER NOT NULL, row INTEGER NOT NULL, crc INTEGER NOT NULL,
    PRIMARY KEY (commit_id, first_ordinal)
) WITHOUT ROWID;
CREATE TABLE piece_twin (
    key INTEGER NOT NULL, first_ordinal INTEGER NOT NULL, crc INTEGER NOT NULL,
    PRIMARY KEY (key, first_ordinal)
) WITHOUT ROWID;
CREATE TABLE marked (
    first_seq INTEGER PRIMARY KEY, count INTEGER NOT NULL, sealed_at_us INTEGER NOT NULL,
    crc INTEGER NOT NULL
);
CREATE TABLE marked_twin (first_seq INTEGER PRIMARY KEY, crc INTEGER NOT NULL);
CREATE TABLE swapped (path TEXT PRIMARY KEY, crc INTEGER NOT NULL) WITHOUT ROWID;
"""
_TABLES: Final = ("place", "piece", "piece_twin", "marked", "marked_twin", "swapped")
_PLACE: Final = "first_seq, count, path, row, min_us, max_us, source, checksum, state, crc"
_PUT_PLACE: Final = (
    f"INSERT INTO place ({_PLACE}) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?) "
    "ON CONFLICT (first_seq) DO UPDATE SET "
    + ", ".join(f"{name} = excluded.{name}" for name in _PLACE.split(", ")[1:])
    + " WHERE excluded.count >= place.count"
)
_PIECE: Final = "commit_id, first_ordinal, count, total, target, digest, seq, row, crc"
_PUT_PIECE: Final = f"INSERT OR IGNORE INTO piece ({_PIECE}) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)"
_PUT_PIECE_TWIN: Final = "INSERT OR IGNORE INTO piece_twin VALUES (?, ?, ?)"
_PUT_MARKED: Final = "INSERT OR IGNORE INTO marked VALUES (?, ?, ?, ?)"
_PUT_MARKED_TWIN: Final = "INSERT OR IGNORE INTO marked_twin VALUES (?, ?)"

_Row = tuple[Any, ...]


@dataclass(frozen=True, slots=True)
class Piece:
    """A part of a sealed commit, and the `seq` of its first event.

    `commit.row` is the row in the file whose footer told of it.
    """

    first_seq: int
    commit: SealedCommit

    @property
    def key(self) -> tuple[str, int]:
        """What they are ordered by."""
        return self.commit.commit_id, self.commit.first_ordinal


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
            rows = self._whole(
                writer.execute(f"SELECT {_PLACE} FROM place ORDER BY first_seq").fetchall()
            )
            places: list[Place] = []
            last: _Row = ()
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
        pieces = [_with_crc(row) for row in _rows(footer)]
        marked = [_with_crc(tuple(mark)) for mark in footer.marked]
        if footer.supplied is not None:
            marked.append(_with_crc((footer.first_seq, footer.count, footer.sealed_at_us)))
        with self._database.write() as writer:
            writer.execute(
                "DELETE FROM place WHERE first_seq > ? AND first_seq < ?",
                (place.first_seq, place.end_seq),
            )
            writer.execute(_PUT_PLACE, _with_crc((*row, source, footer.first_checksum, state)))
            writer.executemany(_PUT_PIECE, pieces)
            writer.executemany(_PUT_PIECE_TWIN, [(_key(r[0]), r[1], r[-1]) for r in pieces])
            writer.executemany(_PUT_MARKED, marked)
            writer.executemany(_PUT_MARKED_TWIN, [(r[0], r[-1]) for r in marked])

    def move(self, places: Iterable[Place]) -> None:
        """The same events are in other files now."""
        with self._database.write() as writer:
            for place in places:
                found = writer.execute(
                    f"SELECT {_PLACE} FROM place WHERE first_seq = ? AND count = ?",
                    (place.first_seq, place.count),
                ).fetchall()
                for row in self._whole(found):
                    moved = _with_crc((*row[:2], place.path, place.row, *row[4:-1]))
                    writer.execute(_PUT_PLACE, moved)

    def state_at(self, seq: int) -> State | None:
        """What the footer says that ends there, if there is one."""
        rows = self._query(
            f"SELECT {_PLACE} FROM place WHERE first_seq < ? ORDER BY first_seq DESC LIMIT 1",
            (seq,),
        )
        return json.loads(rows[0][8]) if rows and rows[0][0] + rows[0][1] == seq else None

    def made_by(self, first_seq: int, source: str) -> str | None:
        """The seal id of a file, if its footer is here."""
        rows = self._query(
            f"SELECT {_PLACE} FROM place WHERE first_seq = ? AND source = ?", (first_seq, source)
        )
        return str(json.loads(rows[0][8])["seal_id"]) if rows else None

    # Another process may have cached more than the caller has looked at: hence `end_seq`.

    def sealed_count(self, commit_id: str, end_seq: int) -> int:
        """How many of a commit's events are sealed, from its first on."""
        return sum(row[2] for row in self._pieces(commit_id, end_seq))

    def pieces(self, commit_id: str, end_seq: int) -> list[Piece]:
        """Where a commit's events are, in order."""
        return [_piece(row) for row in self._pieces(commit_id, end_seq)]

    def check_pieces(self) -> None:
        """Hold all parts of commits against what is kept twice: before all are read."""
        after = ("", -1)
        while found := self.pieces_after(after):
            after = found[-1].key
        counts = "SELECT (SELECT count(*) FROM piece), (SELECT count(*) FROM piece_twin)"
        if any(pieces != twins for pieces, twins in self._select(counts, ())):
            raise self._damaged("piece")

    def pieces_after(self, key: tuple[str, int]) -> list[Piece]:
        """The next parts of sealed commits, by commit and order in it; none at the end."""
        rows = self._query(
            f"SELECT {_PIECE} FROM piece WHERE (commit_id, first_ordinal) > (?, ?) "
            "ORDER BY commit_id, first_ordinal LIMIT 10000",
            key,
        )
        return [_piece(row) for row in rows]

    def marked(self, first_seq: int, end_seq: int, since_us: int) -> list[tuple[int, int, int]]:
        """(first_seq, count, sealed_at_us) of the segments with ids that callers supplied."""
        where = "WHERE first_seq >= ? AND first_seq < ? ORDER BY first_seq"
        with self._database.snapshot() as reader:
            if reader is None:
                return []
            limits = (first_seq, end_seq)
            rows = reader.execute(f"SELECT * FROM marked {where}", limits).fetchall()
            twins = reader.execute(f"SELECT * FROM marked_twin {where}", limits).fetchall()
        if [(row[0], row[-1]) for row in self._whole(rows)] != twins:
            raise self._damaged("marked")
        return [(row[0], row[1], row[2]) for row in rows if row[2] >= since_us]

    def is_swapped(self, path: str) -> bool:
        """Whether all that a run merges is known to be stubs."""
        return bool(self._query("SELECT * FROM swapped WHERE path = ?", (path,)))

    def set_swapped(self, path: str) -> None:
        """Keep in mind that all that a run merges is stubs: that does not change again."""
        with suppress(*CACHE_FAILS), self._database.write() as writer:
            writer.execute("INSERT OR IGNORE INTO swapped VALUES (?, ?)", _with_crc((path,)))

    def is_mine(self, error: LakecoreError) -> bool:
        """Whether the cache failed, and not the store."""
        return (error.where or "").startswith(str(self._database.path))

    def discard(self) -> None:
        """Close it and remove its file: it is made again by whoever needs it next.

        Processes that have it open go on with what they have, which is theirs alone then.
        """
        self._database.close()
        for suffix in ("-shm", "-wal", ""):
            path = self._database.path
            with suppress(OSError):
                path.with_name(path.name + suffix).unlink(missing_ok=True)

    def close(self) -> None:
        self._database.close()

    def _pieces(self, commit_id: str, end_seq: int) -> list[_Row]:
        with self._database.read() as reader:
            if reader is None:
                return []
            # One statement sees one moment, whatever others add.
            rows = reader.execute(
                f"SELECT {_PIECE}, 0 AS twin FROM piece WHERE commit_id = ?1 "
                "UNION ALL SELECT NULL, first_ordinal, 0, 0, NULL, NULL, 0, 0, crc, 1 "
                "FROM piece_twin WHERE key = ?2 ORDER BY first_ordinal",
                (commit_id, _key(commit_id)),
            ).fetchall()
        found = self._whole([row[:-1] for row in rows if not row[-1]])
        twins = [(row[1], row[8]) for row in rows if row[-1]]
        if [(row[1], row[8]) for row in found] != twins:
            raise self._damaged("piece")
        return [row for row in found if row[6] < end_seq]

    def _query(self, query: str, values: _Row) -> list[_Row]:
        return self._whole(self._select(query, values))

    def _select(self, query: str, values: _Row) -> list[_Row]:
        with self._database.read() as reader:
            return [] if reader is None else reader.execute(query, values).fetchall()

    def _whole(self, rows: list[_Row]) -> list[_Row]:
        """The rows, which are as they were written, or `CorruptData`."""
        for row in rows:
            if row != _with_crc(row[:-1]):
                raise self._damaged("row")
        return rows

    def _damaged(self, part: str) -> CorruptData:
        return CorruptData("the cache of footers is damaged", found=part, where=self._database.path)


def _with_crc(row: _Row) -> _Row:
    return (*row, zlib.crc32(repr(row).encode(errors="surrogatepass")))


def _key(commit_id: str) -> int:
    digest = hashlib.sha256(commit_id.encode(errors="surrogatepass")).digest()
    return int.from_bytes(digest[:8], "big", signed=True)


def _rows(footer: SegmentFooter) -> Iterable[_Row]:
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


def _piece(row: _Row) -> Piece:
    commit_id, first_ordinal, count, total, target, digest, seq, first_row = row[:8]
    return Piece(
        seq, SealedCommit(commit_id, target, digest, first_row, first_ordinal, count, total)
    )
