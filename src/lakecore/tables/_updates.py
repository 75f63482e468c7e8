"""Changed values on their way to become events: gathered by column, sent in pieces worth a call."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

import numpy as np
import pyarrow as pa

from lakecore.base.limits import MIB
from lakecore.journal import json_text
from lakecore.tables._attempt import Attempt
from lakecore.tables._events import Change
from lakecore.tables._keys import entity_ids

if TYPE_CHECKING:
    Positions = np.ndarray[Any, np.dtype[np.intp]]

_UPDATE_ROWS: Final = 1 << 14
"""Values of a column whose events are built at once: several threads share a chunk's."""
_FEW_ROWS: Final = 1 << 11
_FEW_BYTES: Final = 4 * MIB
"""Fewer of a chunk wait for those of others: a call for ten events costs what one for hundreds
does."""


@dataclass(frozen=True, slots=True)
class Updates:
    """Values of one column that change, and the keys of their rows.

    `owners`: which mutation of the commit each is of; None when it has but one.
    """

    keys: pa.Table
    old: pa.ChunkedArray
    new: pa.ChunkedArray
    owners: Positions | None

    def __len__(self) -> int:
        return int(self.keys.num_rows)

    @property
    def size_bytes(self) -> int:
        return int(self.keys.nbytes + self.old.nbytes + self.new.nbytes)

    def slice(self, start: int, count: int) -> Updates:
        """Some of them."""
        owners = None if self.owners is None else self.owners[start : start + count]
        keys, old, new = (part.slice(start, count) for part in (self.keys, self.old, self.new))
        return Updates(keys, old, new, owners)

    @classmethod
    def joined(cls, parts: list[Updates]) -> Updates:
        """All of these, in order."""
        owners = [part.owners for part in parts if part.owners is not None]
        return cls(
            pa.concat_tables([part.keys for part in parts]).combine_chunks(),
            pa.chunked_array([chunk for part in parts for chunk in part.old.chunks]),
            pa.chunked_array([chunk for part in parts for chunk in part.new.chunks]),
            np.concatenate(owners) if owners else None,
        )


class GatheredUpdates:
    """Takes changed values, chunk by chunk, and has their events built beside."""

    def __init__(self, attempt: Attempt) -> None:
        self._attempt = attempt
        self._waiting: dict[str, list[Updates]] = {}

    def add(self, name: str, updates: Updates) -> None:
        """Values of one column: sent at once, or with those of later chunks."""
        waiting = self._waiting.setdefault(name, [])
        waiting.append(updates)
        is_enough = sum(len(each) for each in waiting) >= _FEW_ROWS
        if is_enough or sum(each.size_bytes for each in waiting) >= _FEW_BYTES:
            self._send(name)

    def send(self) -> None:
        """Those that still wait."""
        for name in list(self._waiting):
            self._send(name)

    def _send(self, name: str) -> None:
        attempt, key = self._attempt, self._attempt.dataset.key
        waiting = self._waiting.pop(name)
        found = waiting[0] if len(waiting) == 1 else Updates.joined(waiting)
        for start in range(0, len(found), _UPDATE_ROWS):
            attempt.later(_events, found.slice(start, _UPDATE_ROWS), key, name)


def _events(updates: Updates, key: tuple[str, ...], name: str) -> Change:
    return Change(
        action="update",
        entity_ids=entity_ids(updates.keys, key),
        field=name,
        old=json_text(updates.old),
        new=json_text(updates.new),
        owners=updates.owners,
    )
