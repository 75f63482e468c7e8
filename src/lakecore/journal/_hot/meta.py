"""The name of a hot log: the one row of its table `meta`, and the check that it is that name.

Footers say under this name how far a log is sealed. Under any other one, what is sealed
would be sealed once more; so a name that a disk has changed is refused, and never replaced.
"""

from __future__ import annotations

import sqlite3
import zlib
from collections.abc import Collection
from pathlib import Path
from typing import Final

from lakecore.base import CorruptData, UnsupportedFormat

FORMAT: Final = 3
"""2 = batches have a column of keys; 3 = the name has a check. A log of an older format gets
what it lacks with the first append."""
SEAL_LOCK: Final = "seal.lock"
"""Held by the process of a machine that seals, and by one that renames the hot log."""
META: Final = "CREATE TABLE meta (format INTEGER NOT NULL, log_id TEXT NOT NULL, crc INTEGER)"
# One statement sees one state: another process may name the log between two of them.
_READ: Final = """
SELECT EXISTS (SELECT 1 FROM batch), meta.* FROM (SELECT 1) LEFT JOIN meta ON true LIMIT 1
"""
_ALPHABET: Final = "0123456789abcdef-"
_NAME_CHARACTERS: Final = 36


def read_name(connection: sqlite3.Connection, path: Path) -> tuple[int, str] | None:
    """(format, name); None when nothing was ever appended.

    Raises:
        CorruptData: the name is not what was written.
        UnsupportedFormat: the log is of a newer format.
    """
    has_batches, *row = connection.execute(_READ).fetchone()
    number, log_id = row[:2]
    if number is None and log_id is None:
        if has_batches:
            raise _damaged("no name", path)
        return None
    if type(number) is not int or not isinstance(log_id, str):
        raise _damaged("no name", path)
    if len(row) > 2 and row[2] != _check_of(number, log_id):
        raise _damaged(log_id, path)
    if not 1 <= number <= FORMAT:
        raise UnsupportedFormat(
            "the hot log is of another format",
            expected=f"at most {FORMAT}",
            found=number,
            where=path,
            hint="seal it with the release that wrote it",
        )
    return number, log_id


def write_name(writer: sqlite3.Connection, log_id: str) -> None:
    """Name the log, and bring it to the present format; in the caller's transaction."""
    if not _has_column(writer, "batch", "keys"):
        writer.execute("ALTER TABLE batch ADD COLUMN keys BLOB")
    if not _has_column(writer, "meta", "crc"):
        writer.execute("ALTER TABLE meta ADD COLUMN crc INTEGER")
    writer.execute("DELETE FROM meta")
    writer.execute("INSERT INTO meta VALUES (?, ?, ?)", (FORMAT, log_id, _check_of(FORMAT, log_id)))


def right_name(connection: sqlite3.Connection, sealed: Collection[str]) -> str | None:
    """What a damaged name was, as far as that is certain: the name that has the check.

    Args:
        sealed: the names of which footers say how far they are sealed.
    """
    row = connection.execute("SELECT * FROM meta").fetchone()
    if row is None or len(row) < 3 or not isinstance(row[2], int):
        return None
    found = str(row[1])
    near = (
        f"{found[:at]}{other}{found[at + 1 :]}"
        for at in range(min(len(found), _NAME_CHARACTERS))
        for other in _ALPHABET
    )
    for name in (found, *sealed, *near):
        if _check_of(FORMAT, name) == row[2]:
            return name
    # Or it is the check that is damaged.
    is_near = (_check_of(FORMAT, found) ^ row[2]).bit_count() == 1
    return found if is_near or found in sealed else None


def _has_column(connection: sqlite3.Connection, table: str, name: str) -> bool:
    return any(row[1] == name for row in connection.execute(f"PRAGMA table_info({table})"))


def _check_of(number: int, log_id: str) -> int:
    return zlib.crc32(f"{number} {log_id}".encode(errors="surrogatepass"))


def _damaged(found: str, path: Path) -> CorruptData:
    return CorruptData(
        "the name of the hot log is damaged",
        expected="the name that footers know it by, and its check",
        found=found,
        where=path,
        hint="`lakecore journal repair` restores the name where that is certain",
    )
