"""Keys of the event ids that callers supplied, and what they are looked up in.

A key is the first 16 bytes of the SHA-256 of the id. In a batch's column of keys, 16 zeros
stand for an event whose id the journal gave itself: those are never looked up.

Runs are merged by size, so there are few of them (logarithm of the number of keys), each
sorted once, and a key costs 24 bytes and about a microsecond.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt

    Words = npt.NDArray[np.uint64]
    Places = npt.NDArray[np.int64]

    from lakecore.journal._events.supplied import Mask

KEY_BYTES: Final = 16
NO_KEY: Final = bytes(KEY_BYTES)
_FRESH_KEYS: Final = 8192


def key_of(event_id: str) -> bytes:
    """The key of an id."""
    return hashlib.sha256(event_id.encode()).digest()[:KEY_BYTES]


def keys_of(event_ids: Iterable[str | None]) -> bytes:
    """The keys of ids, one after the other; None and '' have the key of zeros."""
    return b"".join([key_of(text) if text else NO_KEY for text in event_ids])


def split(keys: bytes) -> list[bytes]:
    """Keys one by one."""
    return [keys[at : at + KEY_BYTES] for at in range(0, len(keys), KEY_BYTES)]


@dataclass(frozen=True, slots=True)
class Keys:
    """Keys in the order of their events, as two words each."""

    high: Words
    low: Words

    def __len__(self) -> int:
        return len(self.high)

    @classmethod
    def of(cls, data: bytes) -> Keys:
        """The keys in a batch's column of keys."""
        import numpy as np

        words = np.frombuffer(data, ">u8").astype(np.uint64).reshape(-1, 2)
        return cls(words[:, 0], words[:, 1])

    @property
    def present(self) -> Mask:
        """Which events have one."""
        present: Mask = (self.high != 0) | (self.low != 0)
        return present

    def take(self, rows: Any) -> Keys:
        """The keys of some rows: a mask, or their numbers."""
        return Keys(self.high[rows], self.low[rows])


@dataclass(frozen=True, slots=True)
class Run:
    """Keys in order, each once, with the place of its newest event."""

    high: Words
    low: Words
    places: Places

    def __len__(self) -> int:
        return len(self.high)

    @classmethod
    def of(cls, keys: Keys, places: Places) -> Run:
        """The run of keys in any order."""
        import numpy as np

        order = np.lexsort((places, keys.low, keys.high))
        high, low, places = keys.high[order], keys.low[order], places[order]
        last = np.ones(len(order), dtype=bool)
        last[:-1] = (high[1:] != high[:-1]) | (low[1:] != low[:-1])
        return cls(high[last], low[last], places[last])

    def merged(self, other: Run) -> Run:
        """One run with the keys of both."""
        import numpy as np

        keys = Keys(np.concatenate([self.high, other.high]), np.concatenate([self.low, other.low]))
        return Run.of(keys, np.concatenate([self.places, other.places]))

    def find(self, keys: Keys) -> Places:
        """The place of each key; -1 where it is not in the run."""
        import numpy as np

        found = np.full(len(keys), -1, dtype=np.int64)
        at = np.searchsorted(self.high, keys.high)
        near = np.flatnonzero(at < len(self))
        near = near[self.high[at[near]] == keys.high[near]]
        same = self.low[at[near]] == keys.low[near]
        found[near[same]] = self.places[at[near[same]]]
        for row in near[~same].tolist():
            # Another key with the same first half.
            place = int(at[row]) + 1
            while place < len(self) and self.high[place] == keys.high[row]:
                if self.low[place] == keys.low[row]:
                    found[row] = self.places[place]
                    break
                place += 1
        return found


class Runs:
    """All runs of an index; not for several threads at a time."""

    def __init__(self) -> None:
        self._runs: list[Run] = []

    def __len__(self) -> int:
        return sum(map(len, self._runs))

    def add(self, keys: Keys, places: Places) -> None:
        """Take in keys with the places of their events."""
        if not len(keys):
            return
        run = Run.of(keys, places)
        while self._runs and len(self._runs[-1]) < 2 * len(run):
            run = self._runs.pop().merged(run)
        self._runs.append(run)

    def find(self, keys: Keys) -> Places:
        """The newest place of each key; -1 where there is none."""
        import numpy as np

        found = np.full(len(keys), -1, dtype=np.int64)
        for run in self._runs:
            np.maximum(found, run.find(keys), out=found)
        return found

    def drop_below(self, place: int) -> None:
        """Forget all keys with smaller places."""
        runs, self._runs = self._runs, []
        for run in runs:
            kept = run.places >= place
            if kept.all():
                self._runs.append(run)
            elif kept.any():
                self._runs.append(Run(run.high[kept], run.low[kept], run.places[kept]))


class Tail:
    """The keys of the events of a log from one place on, up to `end`.

    The newest are in a dictionary: sorting a run for each durable append would cost half
    as much as the append.
    """

    def __init__(self, end: int) -> None:
        self.start = end
        self.end = end
        self._fresh: dict[bytes, int] = {}
        self._runs = Runs()

    def add(self, data: bytes, first: int) -> None:
        """The keys of a batch whose first event has the place `first`."""
        for row, key in enumerate(split(data), first):
            if key != NO_KEY:
                self._fresh[key] = row
        if len(self._fresh) > _FRESH_KEYS:
            self._merge()

    def find(self, data: bytes, from_place: int) -> dict[int, int]:
        """{row: place} of the keys that are there, at `from_place` or later."""
        found: dict[int, int] = {}
        fresh = self._fresh
        for row, key in enumerate(split(data)):
            place = fresh.get(key, -1)
            if place >= from_place:
                found[row] = place
        if len(self._runs):
            places = self._runs.find(Keys.of(data))
            for row in (places >= from_place).nonzero()[0].tolist():
                found.setdefault(row, int(places[row]))
        return found

    def drop_below(self, place: int) -> None:
        """Forget keys with smaller places, when there are many."""
        if len(self._runs) > _FRESH_KEYS and place - self.start > _FRESH_KEYS:
            self._runs.drop_below(place)
            self.start = place

    def _merge(self) -> None:
        import numpy as np

        keys = Keys.of(b"".join(self._fresh))
        self._runs.add(keys, np.fromiter(self._fresh.values(), np.int64, len(self._fresh)))
        self._fresh.clear()
