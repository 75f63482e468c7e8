"""A journal that stages and never seals: what the tables see of one, and its events read back."""

from __future__ import annotations

import threading

from lakecore.base import NotFound
from lakecore.journal import (
    Event,
    StagedReader,
    Staging,
    Target,
    arrow_to_events,
    read_commit_record,
)
from lakecore.storage import Store


class StagedJournal:
    """Stages events in `store`; those of committed versions can be read back in order."""

    def __init__(self, store: Store) -> None:
        self._store = store
        self._lock = threading.Lock()
        self.committed_ids: list[str] = []

    def stage(self, target: Target) -> Staging:
        """As the journal's."""
        return Staging(self._store, target)

    def committed(self, commit_id: str) -> None:
        """As the journal's, but nothing is sealed."""
        with self._lock:
            self.committed_ids.append(commit_id)

    def staged_ids(self) -> set[str]:
        """Commit ids that have a staged file."""
        paths = (found.path for found in self._store.list_objects("journal/staged/"))
        return {path.rsplit("/", 1)[1].removesuffix(".arrow") for path in paths}

    def events_of(self, location: str) -> list[Event]:
        """The events of every version of a table, in order; counts and digests are checked."""
        events: list[Event] = []
        version = 0
        while True:
            try:
                data = self._store.get(f"{location}/_delta_log/{version:020d}.json")
            except NotFound:
                return events
            record = read_commit_record(data)
            assert record is not None
            if record.event_count:
                reader = StagedReader(self._store, f"journal/staged/{record.commit_id}.arrow")
                for batch in reader.batches():
                    events += arrow_to_events(batch)
                assert reader.check() == (record.event_count, record.digest)
            version += 1
