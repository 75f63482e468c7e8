"""Leaf hashes that this process computed when it sealed, until they are signed.

Whoever signs recomputes every leaf since its last checkpoint. What this process sealed
itself, it has computed from the events; reading them back would only ask whether the
segment was changed since, and a changed segment does not change what is signed here.
"""

from __future__ import annotations

import threading
from collections import deque
from typing import TYPE_CHECKING, Final

from lakecore.base.limits import MIB

if TYPE_CHECKING:
    from lakecore.tlog import Hashes

MAX_BYTES: Final = 32 * MIB
"""A million leaves; of more, the oldest are read back from their segments."""


class ComputedLeaves:
    """The last leaves that were computed here, in pieces by their first `seq`. Threads share it."""

    def __init__(self, max_bytes: int = MAX_BYTES) -> None:
        self._max_bytes = max_bytes
        self._pieces: deque[tuple[int, Hashes]] = deque()
        self._size_bytes = 0
        self._lock = threading.Lock()

    def add(self, first: int, hashes: Hashes) -> None:
        """Keep the leaves, shape (n, 32), of the events from `first` on."""
        with self._lock:
            self._pieces.append((first, hashes))
            self._size_bytes += hashes.nbytes
            while self._size_bytes > self._max_bytes:
                self._drop()

    def at(self, first: int, end: int) -> Hashes | None:
        """The leaves from `first` on that lie in one piece, up to `end` at most; None: none."""
        with self._lock:
            for start, hashes in self._pieces:
                if start <= first < start + len(hashes):
                    return hashes[first - start : end - start]
        return None

    def next_start(self, first: int, end: int) -> int:
        """Where the first piece behind `first` begins; `end` if none does before it."""
        with self._lock:
            return min((start for start, _ in self._pieces if first < start < end), default=end)

    def forget(self, size: int) -> None:
        """The leaves below `size` are signed."""
        with self._lock:
            while self._pieces and self._pieces[0][0] + len(self._pieces[0][1]) <= size:
                self._drop()

    def _drop(self) -> None:
        _, hashes = self._pieces.popleft()
        self._size_bytes -= hashes.nbytes
