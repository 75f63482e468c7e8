"""Direct events of a remote lake: objects in ``journal/staged/``, one for each group.

Nothing that is acknowledged is on this machine alone. The target of such a staged file is
of kind ``direct``: it is committed by being stored. A leader lingers before it puts, so
that a group costs one round trip.

Events with supplied ids are looked up first, in what is staged and in what is sealed: two
round trips more for a group that has any. Two machines that take one id at the same time
both store it; sealing finds that out (`_events.supplied`).
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Protocol

from lakecore.journal._commits.commit import Target
from lakecore.journal._commits.staged import FOLDER, Staging
from lakecore.journal._events.supplied import Supplied
from lakecore.journal._hot.batch import decode_batches
from lakecore.journal._hot.group import Behind, Entry, GroupCommit
from lakecore.journal._hot.keys import KEY_BYTES, NO_KEY, Keys, split

if TYPE_CHECKING:
    import pyarrow as pa

    from lakecore.storage import Store

TARGET = Target(path="", kind="direct", dataset="", dataset_id="", version=0)


class StagedKeys(Protocol):
    """Looks up keys in what other groups and machines have stored."""

    def refresh(self) -> None:
        """Look at the store once more."""

    def find(self, keys: bytes) -> dict[int, int]:
        """{row: place} of the keys that are there."""

    def rows_at(self, places: Sequence[int]) -> pa.Table | None:
        """The events at such places; None when one was sealed meanwhile."""

    def add(self, path: str, keys: bytes) -> None:
        """A file that was just stored."""


class DirectStage:
    """Makes batches durable on the store; the arguments are those of `GroupCommit`."""

    log_id: None = None
    """There is no log of this machine that footers could name."""

    def __init__(
        self,
        store: Store,
        staged: StagedKeys,
        *,
        max_queue_bytes: int,
        timeout_s: float,
        linger_s: float,
        on_stored: Callable[[int], None],
    ) -> None:
        self._store = store
        self._staged = staged
        self._group = GroupCommit(
            self._commit,
            max_queue_bytes=max_queue_bytes,
            timeout_s=timeout_s,
            linger_s=linger_s,
            on_stored=on_stored,
            where=FOLDER,
        )

    def append(self, encoding: int, count: int, data: bytes) -> int:
        """Make a batch durable; return the place of its first event in its group."""
        entry = Entry(encoding, count, data)
        self._group.submit(entry)
        return entry.offset

    @property
    def group(self) -> GroupCommit:
        """What tasks join."""
        return self._group

    async def append_async(self, entry: Entry) -> None:
        """As `append`, for a task of an event loop."""
        await self._group.submit_async(entry)

    def append_once(self, entry: Entry) -> dict[int, int]:
        """See `HotLog.append_once`; places are those of `StagedKeys`."""
        self._group.submit(entry)
        return entry.found

    def rows_at(self, places: Sequence[int], log_id: str | None = None) -> pa.Table | None:
        """The stored events at such places, in order; None when one was sealed meanwhile."""
        del log_id
        return self._staged.rows_at(places)

    def close(self) -> None:
        self._group.close()

    def _commit(self, group: list[Entry]) -> None:
        if any(entry.keys for entry in group):
            self._staged.refresh()
        taken: set[bytes] = set()
        new: list[Entry] = []
        offset = 0
        for entry in group:
            entry.found = self._staged.find(entry.keys) if entry.keys else {}
            mine = set(split(entry.keys)) - {NO_KEY}
            if entry.found or entry.only_looks:
                continue
            if mine & taken:
                entry.error = Behind()  # look again, when the group is stored
                continue
            taken |= mine
            entry.offset = offset
            offset += entry.count
            new.append(entry)
        if not new:
            return
        events = decode_batches(((e.encoding, e.data) for e in new), where=FOLDER)
        keys = b"".join([e.keys or bytes(KEY_BYTES * e.count) for e in new])
        supplied = Supplied.of(Keys.of(keys).present) if taken else None
        with Staging(self._store, TARGET, supplied=supplied) as staging:
            staging.write(events)
            staging.finish(())
        if taken:
            self._staged.add(staging.path, keys)
