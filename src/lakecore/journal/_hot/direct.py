"""Direct events of a remote lake: objects in ``journal/staged/``, one for each group.

Nothing that is acknowledged is on this machine alone. The target of such a staged file is
of kind ``direct``: it is committed by being stored. A leader lingers before it puts, so
that a group costs one round trip.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from lakecore.journal._commits.commit import Target
from lakecore.journal._commits.staged import FOLDER, Staging
from lakecore.journal._hot.batch import decode_batches
from lakecore.journal._hot.group import Entry, GroupCommit

if TYPE_CHECKING:
    from lakecore.storage import Store

TARGET = Target(path="", kind="direct", dataset="", dataset_id="", version=0)


class DirectStage:
    """Makes batches durable on the store; the arguments are those of `GroupCommit`."""

    def __init__(
        self, store: Store, *, max_queue_bytes: int, timeout_s: float, linger_s: float
    ) -> None:
        self._store = store
        self._group = GroupCommit(
            self._commit,
            max_queue_bytes=max_queue_bytes,
            timeout_s=timeout_s,
            linger_s=linger_s,
            where=FOLDER,
        )

    def append(self, encoding: int, count: int, data: bytes) -> int:
        """Make a batch durable; return the place of its first event in its group."""
        entry = Entry(encoding, count, data)
        self._group.submit(entry)
        return entry.offset

    def _commit(self, group: list[Entry]) -> None:
        offset = 0
        for entry in group:
            entry.offset = offset
            offset += entry.count
        events = decode_batches(((e.encoding, e.data) for e in group), where=FOLDER)
        with Staging(self._store, TARGET) as staging:
            staging.write(events)
            staging.finish(())
