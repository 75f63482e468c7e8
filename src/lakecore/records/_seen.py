"""Ids that were given to records: which of them were appended before.

A window over the newest ids of one spool, in memory as hashes, and in the spool as one row an
append. It is looked at and extended in the transaction that makes the records durable, so that
no thread and no process of the machine comes between.
"""

from __future__ import annotations

import hashlib
import sqlite3
from collections import deque
from collections.abc import Iterator, Sequence
from typing import Final

MAX_SEEN: Final = 1 << 18
"""Ids that are remembered: at a thousand a second those of four minutes."""

ID_BYTES: Final = 16


def hash_ids(dataset: str, ids: Sequence[str]) -> bytes:
    """The hashes of some ids of one dataset, one after another."""
    prefix = hashlib.sha256(f"{dataset}\0".encode())
    found = []
    for one in ids:
        digest = prefix.copy()
        digest.update(one.encode("utf-8", "surrogatepass"))
        found.append(digest.digest()[:ID_BYTES])
    return b"".join(found)


def split(hashes: bytes) -> Iterator[bytes]:
    """Each of the hashes."""
    for at in range(0, len(hashes), ID_BYTES):
        yield hashes[at : at + ID_BYTES]


class Seen:
    """The window as one process has it. Used by one thread at a time, within a transaction."""

    def __init__(self, limit: int = MAX_SEEN) -> None:
        self._limit = limit
        self._known: set[bytes] = set()
        self._parts: deque[tuple[int, bytes]] = deque()
        self._up_to = 0

    def catch_up(self, connection: sqlite3.Connection) -> None:
        """Take in what other processes have appended."""
        rows = connection.execute(
            "SELECT first, ids FROM seen WHERE first > ? ORDER BY first", (self._up_to,)
        )
        for first, ids in rows:
            self._take(first, ids)

    def repeated(self, hashes: bytes) -> list[int]:
        """Positions of ids that are known, or that come a second time among these."""
        found: list[int] = []
        here: set[bytes] = set()
        for at, one in enumerate(split(hashes)):
            if one in self._known or one in here:
                found.append(at)
            here.add(one)
        return found

    def add(self, connection: sqlite3.Connection, first: int, hashes: bytes) -> None:
        """Remember the ids of the batch numbered `first`; beyond the bound the oldest go."""
        connection.execute("INSERT INTO seen VALUES (?, ?)", (first, hashes))
        self._take(first, hashes)
        dropped = -1
        while len(self._known) > self._limit and len(self._parts) > 1:
            dropped, oldest = self._parts.popleft()
            self._known.difference_update(split(oldest))
        if dropped >= 0:
            connection.execute("DELETE FROM seen WHERE first <= ?", (dropped,))

    def forget(self) -> None:
        """Read it anew: a transaction that extended it was not committed."""
        self._known.clear()
        self._parts.clear()
        self._up_to = 0

    def _take(self, first: int, ids: bytes) -> None:
        self._known.update(split(ids))
        self._parts.append((first, ids))
        self._up_to = first
