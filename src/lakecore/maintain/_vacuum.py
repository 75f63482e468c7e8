"""Files that no kept version needs, removed: announced by a version of the table first.

Kept are the newest versions, as long as the dataset's retention says; what a workspace
builds on; and what versions of other programs removed, until they are journaled. Files
younger than the grace stay whatever they are: a change that is under way may have written
them, a query may read them.

    look -> commit "kept from version n" with counts and SHA-256 of the list -> delete -> tell

The commit is what makes it safe: see `tables.Upkeep.forget`. A process that dies while it
deletes has announced what it does, so the next run goes on with that.
"""

from __future__ import annotations

import time
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from lakecore.maintain import _record as records
from lakecore.maintain._folder import Listing, LogEntry, entries_back, list_folder
from lakecore.maintain._removal import remove_files
from lakecore.maintain._types import DAY_US, HOUR_US, Run, Step
from lakecore.tables import file_path

if TYPE_CHECKING:
    from lakecore.base import Clock
    from lakecore.catalog import Dataset
    from lakecore.journal import Author, Event, Journal
    from lakecore.maintain._types import MaintainSettings, Unjournaled, Workspaces
    from lakecore.storage import ObjectInfo, Store
    from lakecore.tables import TableState, Upkeep


@dataclass(frozen=True, slots=True)
class Unneeded:
    """What may go: files that no version from `kept_from` on needs."""

    kept_from: int
    listing: Listing
    files: list[ObjectInfo]

    @property
    def bytes(self) -> int:
        return sum(info.size_bytes for info in self.files)

    def details(self) -> dict[str, Any]:
        """What is announced."""
        return {
            "files": len(self.files),
            "bytes": self.bytes,
            "sha256": records.list_sha256(info.path for info in self.files),
            "kept_from": self.kept_from,
        }


class Vacuum:
    """Vacuums the tables of one lake."""

    def __init__(
        self,
        store: Store,
        journal: Journal,
        upkeep: Upkeep,
        clock: Clock,
        settings: MaintainSettings,
        workspaces: Workspaces,
        unjournaled: Unjournaled,
    ) -> None:
        self._store = store
        self._journal = journal
        self._upkeep = upkeep
        self._clock = clock
        self._settings = settings
        self._workspaces = workspaces
        self._unjournaled = unjournaled

    def step(self, dataset: Dataset, run: Run) -> Step | None:
        """One vacuum, or the rest of one that was broken off; None when nothing is to do."""
        started = time.monotonic()
        state = self._upkeep.state(dataset)
        if state is None:
            return None
        begun, done = (
            self._last(dataset, action) for action in (records.VACUUM, records.DONE[records.VACUUM])
        )
        is_open = begun is not None and (done is None or done.mutation_id != begun.mutation_id)
        if not (is_open or run.is_asked or self._is_due(done)):
            return None
        # What was announced covers versions before that one; more waits for the next time.
        found = self.unneeded(dataset, state, at_most=state.kept_from if is_open else None)
        if not found.files and not is_open:
            return None
        if run.dry_run:
            return self._told(dataset, found, len(found.files), found.bytes, started, dry_run=True)
        if is_open and begun is not None:
            mutation_id, version = begun.mutation_id, begun.version
        else:
            found, mutation_id, version = self._announce(dataset, run.author)
        removed = remove_files(self._store, dataset.location, found.files, run.stop)
        details = {
            "files_before": len(found.listing.files),
            "files_after": len(found.listing.files) - removed.files,
            "bytes_before": sum(info.size_bytes for info in found.listing.files),
            "bytes_after": sum(i.size_bytes for i in found.listing.files) - removed.bytes,
            "seconds": round(time.monotonic() - started, 3),
            "sha256": found.details()["sha256"],
            "resumed": is_open,
        }
        records.record(
            self._journal,
            dataset,
            records.DONE[records.VACUUM],
            details,
            author=run.author,
            mutation_id=mutation_id,
        )
        return self._told(dataset, found, removed.files, removed.bytes, started, version=version)

    def unneeded(
        self, dataset: Dataset, state: TableState, *, at_most: int | None = None
    ) -> Unneeded:
        """What may go as of `state`; with `at_most`, of versions before that one alone.

        Raises:
            CorruptData: the log does not read; nothing may go then.
        """
        now_us = self._clock.now_us()
        listing = list_folder(self._store, dataset.location)
        needed = {file.path for file in state.files}
        kept_from = min(listing.versions, default=0)
        latest = state.version if at_most is None else at_most
        # Of another program's version, the one before it is what it is compared with.
        latest = min([latest, *(version - 1 for version in self._unjournaled(dataset))])
        for entry in entries_back(self._store, listing, state.version):
            if entry.version <= latest and self._may_be_oldest(dataset, entry, state, now_us):
                kept_from = entry.version
                break
            # What it removed was in use before it, what it added is in use, or was.
            needed.update(entry.paths)
        for location, version in self._workspaces.pinned():
            if location == dataset.location and version < kept_from:
                needed.update(f.path for f in self._upkeep.files_at(dataset, version))
        paths = {file_path(dataset.location, path) for path in needed}
        written_us = now_us - int(self._settings.grace_hours * HOUR_US)
        files = [
            info
            for info in listing.files
            if info.path not in paths and info.modified_us <= written_us
        ]
        return Unneeded(kept_from, listing, files)

    # -- inside -----------------------------------------------------------------------

    def _announce(self, dataset: Dataset, author: Author) -> tuple[Unneeded, str, int | None]:
        """Commit what goes; it is looked for anew on the very version before that commit."""
        last: list[Unneeded] = []

        def unneeded(state: TableState) -> tuple[int, dict[str, Any]]:
            last[:] = [self.unneeded(dataset, state)]
            return last[0].kept_from, last[0].details()

        result = self._upkeep.forget(dataset, unneeded, author=author)
        return last[0], result.mutation_id, result.version

    def _may_be_oldest(
        self, dataset: Dataset, entry: LogEntry, state: TableState, now_us: int
    ) -> bool:
        """Whether nothing before this version has to be kept.

        It may be older than the retention itself: it is what was there when that began.
        """
        settings = self._settings
        days = dataset.retention_days
        count = dataset.retention_versions or settings.retention_versions
        kept_us = int((settings.retention_days if days is None else days) * DAY_US)
        grace_us = int(settings.grace_hours * HOUR_US)
        is_over = entry.commit_us <= now_us - max(kept_us, grace_us)
        return is_over and entry.version <= state.version + 1 - count

    def _is_due(self, done: Event | None) -> bool:
        if done is None or done.timestamp is None:
            return True
        since_s = self._clock.now_us() / 1e6 - done.timestamp.timestamp()
        return since_s >= self._settings.vacuum_hours * 3600

    def _last(self, dataset: Dataset, action: str) -> Event | None:
        found = self._journal.query(
            entity_type=records.MAINTENANCE,
            dataset_id=dataset.dataset_id,
            action=action,
            limit=1,
        ).items
        return found[0] if found else None

    def _told(
        self,
        dataset: Dataset,
        found: Unneeded,
        files: int,
        size_bytes: int,
        started: float,
        *,
        version: int | None = None,
        dry_run: bool = False,
    ) -> Step:
        total = sum(info.size_bytes for info in found.listing.files)
        return Step(
            dataset=dataset.name,
            action=records.VACUUM,
            outcome="planned" if dry_run else "done",
            files_before=len(found.listing.files),
            files_after=len(found.listing.files) - files,
            bytes_before=total,
            bytes_after=total - size_bytes,
            seconds=round(time.monotonic() - started, 3),
            version=version,
            detail=f"kept from version {found.kept_from}",
        )
