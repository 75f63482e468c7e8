"""The ids that callers supplied, in staged direct events that are not sealed yet.

Places are numbers of this process: the file's in the upper half, the row in the lower.
What was sealed since the caller looked there has the place -1.
"""

from __future__ import annotations

import threading
from collections.abc import Sequence
from typing import TYPE_CHECKING, Final

from lakecore.base import NotFound
from lakecore.journal._commits.staged import StagedReader
from lakecore.journal._hot.keys import Keys, Run, keys_of

if TYPE_CHECKING:
    import pyarrow as pa

    from lakecore.journal._log.footers import Footers
    from lakecore.journal._log.pending import Pending
    from lakecore.journal._log.sealed_ids import SealedIds
    from lakecore.storage import Store

_ROW_BITS: Final = 32
_MAX_NAMES: Final = 1 << 20


class StagedIds:
    """See the module. Threads may share it."""

    def __init__(self, store: Store, pending: Pending, footers: Footers, ids: SealedIds) -> None:
        self._store = store
        self._pending = pending
        self._footers = footers
        self._ids = ids
        self._lock = threading.Lock()
        self._runs: dict[str, Run | None] = {}
        self._names: list[str] = []

    def refresh(self) -> None:
        """Look at what is staged first, and at what is sealed second: nothing falls between."""
        with self._lock:
            files = self._pending.files()
            listed = {info.path: info for info in files}
            self._runs = {path: run for path, run in self._runs.items() if path in listed}
            if len(self._names) > _MAX_NAMES:
                self._names, self._runs = [], {}
            for path, info in listed.items():
                if path not in self._runs:
                    try:
                        self._runs[path] = self._read(path, info.size_bytes)
                    except NotFound:
                        continue  # sealed since it was listed
            self._footers.refresh()
        self._ids.catch_up()

    def find(self, keys: bytes) -> dict[int, int]:
        """{row: place} of the keys that are staged, or sealed."""
        wanted = Keys.of(keys)
        found = dict.fromkeys(self._ids.find(keys), -1)
        with self._lock:
            for run in self._runs.values():
                if run is not None:
                    places = run.find(wanted)
                    found |= {row: int(places[row]) for row in (places >= 0).nonzero()[0].tolist()}
        return found

    def rows_at(self, places: Sequence[int]) -> pa.Table | None:
        """The events at such places, in order; None when one was sealed meanwhile."""
        import pyarrow as pa

        if min(places) < 0:
            return None
        files = {place >> _ROW_BITS for place in places}
        tables: dict[int, pa.Table] = {}
        for number in files:
            reader = StagedReader(self._store, self._names[number])
            try:
                tables[number] = pa.Table.from_batches(list(reader.batches()))
            except NotFound:
                with self._lock:
                    self._runs.pop(self._names[number], None)
                return None
        rows = [(place >> _ROW_BITS, place & (1 << _ROW_BITS) - 1) for place in places]
        return pa.concat_tables([tables[number].slice(row, 1) for number, row in rows])

    def add(self, path: str, keys: bytes) -> None:
        """A file that was just stored."""
        with self._lock:
            self._runs[path] = self._run(path, Keys.of(keys))

    def _read(self, path: str, size_bytes: int) -> Run | None:
        reader = StagedReader(self._store, path, size_bytes=size_bytes)
        marks = reader.header().supplied
        if marks is None:
            return None
        ids = [text for batch in reader.batches() for text in batch.column("event_id").to_pylist()]
        rows = marks.rows(len(ids))
        kept = [text if is_marked else None for text, is_marked in zip(ids, rows, strict=True)]
        return self._run(path, Keys.of(keys_of(kept)))

    def _run(self, path: str, keys: Keys) -> Run:
        """With the lock held."""
        rows = keys.present.nonzero()[0]
        self._names.append(path)
        return Run.of(keys.take(rows), rows + ((len(self._names) - 1) << _ROW_BITS))
