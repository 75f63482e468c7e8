"""Multiset hashes of the rows that an unkeyed mutation adds and removes."""

from __future__ import annotations

import threading
from dataclasses import dataclass, field

import pyarrow as pa

from lakecore.journal import MultisetHash, multiset_hash
from lakecore.tables._attempt import Attempt
from lakecore.tables._review import row_change


@dataclass(slots=True)
class RowHashes:
    """Multiset hashes of rows that an unkeyed mutation adds and removes; for several threads."""

    added: MultisetHash | None = None
    removed: MultisetHash | None = None
    added_rows: int = 0
    removed_rows: int = 0
    size_bytes: int = 0
    """Of all these rows, as Arrow."""
    _lock: threading.Lock = field(default_factory=threading.Lock, repr=False)

    def add(self, rows: pa.Table) -> None:
        """Rows that the table gains."""
        found = multiset_hash(rows)
        with self._lock:
            self.added = found if self.added is None else self.added + found
            self.added_rows += rows.num_rows
            self.size_bytes += rows.nbytes

    def remove(self, rows: pa.Table) -> None:
        """Rows that the table loses."""
        found = multiset_hash(rows)
        with self._lock:
            self.removed = found if self.removed is None else self.removed + found
            self.removed_rows += rows.num_rows
            self.size_bytes += rows.nbytes

    def journal(self, attempt: Attempt, removed: pa.Table | None, added: pa.Table | None) -> None:
        """Have rows hashed beside; row i of one side becomes row i of the other."""
        if removed is not None:
            attempt.later(self.remove, removed)
        if added is not None:
            attempt.later(self.add, added)
        if attempt.review.exact:
            attempt.later(row_change, removed, added)

    def details(self) -> dict[str, object]:
        """Counts and hashes as they stand in the event's context."""
        found: dict[str, object] = {
            "rows_added": self.added_rows,
            "rows_removed": self.removed_rows,
        }
        if self.added is not None and self.added_rows:
            found["added"] = self.added.hex()
        if self.removed is not None and self.removed_rows:
            found["removed"] = self.removed.hex()
        return found
