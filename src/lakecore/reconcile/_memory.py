"""What this machine found whole before, so that the next time only the rest is looked into.

``verified-tables-1.sqlite`` in the state directory has a row for each folder of commits: how
its entries were listed and what was sealed of them, up to a version, and the table replayed
up to there. It is believed as far as both are still so; a row that is not what was written
is as good as none. It holds no secret and no proof: it may vanish, and all is read again.
"""

from __future__ import annotations

import hashlib
import sqlite3
import zlib
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

FILE: Final = "verified-tables-1.sqlite"
"""The number is the version of its table: another version makes another file."""
_SCHEMA: Final = (
    "CREATE TABLE IF NOT EXISTS folder (name TEXT PRIMARY KEY, version INTEGER NOT NULL, "
    "fingerprint TEXT NOT NULL, state BLOB NOT NULL, digest TEXT NOT NULL) WITHOUT ROWID"
)
_TIMEOUT_S: Final = 5.0
_FAILS: Final = (sqlite3.Error, OSError)


@dataclass(frozen=True, slots=True)
class Remembered:
    """A folder as it was found whole: up to `version`; `state` is JSON text."""

    version: int
    fingerprint: str
    state: str


class Memory:
    """The memory of one machine for one lake. Where it fails, everything is read again."""

    def __init__(self, state_dir: Path) -> None:
        self._path = state_dir / FILE
        self._waiting: list[tuple[Any, ...]] = []
        self._connection: sqlite3.Connection | None = None
        with suppress(*_FAILS):
            state_dir.mkdir(parents=True, exist_ok=True)
            self._connection = self._open()

    def get(self, name: str) -> Remembered | None:
        """What is remembered of a folder."""
        if self._connection is None:
            return None
        try:
            row = self._connection.execute(
                "SELECT * FROM folder WHERE name = ?", (name,)
            ).fetchone()
            if row is None or row[-1] != _digest(row[:-1]):
                return None
            return Remembered(row[1], row[2], zlib.decompress(row[3]).decode())
        except (*_FAILS, zlib.error, UnicodeDecodeError):
            return None

    def put(self, name: str, known: Remembered) -> None:
        """Remember a folder; written with all others by `save`."""
        state = zlib.compress(known.state.encode(), 1)
        row = (name, known.version, known.fingerprint, state)
        self._waiting.append((*row, _digest(row)))

    def save(self) -> None:
        """Write what was to be remembered."""
        waiting, self._waiting = self._waiting, []
        if self._connection is None or not waiting:
            return
        with suppress(*_FAILS), self._connection:
            self._connection.executemany(
                "INSERT OR REPLACE INTO folder VALUES (?, ?, ?, ?, ?)", waiting
            )

    def close(self) -> None:
        if self._connection is not None:
            with suppress(*_FAILS):
                self._connection.close()

    def _open(self) -> sqlite3.Connection:
        try:
            return self._connected()
        except sqlite3.DatabaseError as error:
            if isinstance(error, sqlite3.OperationalError):
                raise
            # Damaged: it is derived, so another one takes its place.
            self._path.unlink(missing_ok=True)
            return self._connected()

    def _connected(self) -> sqlite3.Connection:
        connection = sqlite3.connect(self._path, timeout=_TIMEOUT_S)
        try:
            connection.execute(_SCHEMA)
        except sqlite3.Error:
            connection.close()
            raise
        return connection


def _digest(row: tuple[Any, ...]) -> str:
    return hashlib.sha256(repr(tuple(row)).encode()).hexdigest()
