"""What was dropped, given up for good: data files of datasets, folders of workspaces.

The log of a dataset's table stays: its versions are what the journal is held against.
"""

from __future__ import annotations

import time
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from lakecore.base import Bug, uuid7
from lakecore.maintain import _record as records
from lakecore.maintain._folder import list_folder
from lakecore.maintain._removal import remove_files
from lakecore.maintain._types import Run, Step

if TYPE_CHECKING:
    from lakecore.catalog import Catalog, Dataset, FormerPlace
    from lakecore.journal import Author, Journal
    from lakecore.storage import Store

_WORKSPACES = "workspaces/"


class Purge:
    """Removes the files of dropped datasets behind their grace."""

    def __init__(self, store: Store, journal: Journal, catalog: Catalog) -> None:
        self._store = store
        self._journal = journal
        self._catalog = catalog

    def step(self, dataset: Dataset, run: Run) -> Step | None:
        """Give up one dataset; None when that is done, or its files are not ours to remove."""
        if dataset.adopted_version is not None or self._is_done(dataset):
            return None
        started = time.monotonic()
        files = list_folder(self._store, dataset.location).files
        size_bytes = sum(info.size_bytes for info in files)
        planned = Step(
            dataset=dataset.name,
            action=records.PURGE,
            outcome="planned",
            files_before=len(files),
            bytes_before=size_bytes,
        )
        if run.dry_run:
            return planned
        mutation_id = uuid7()
        details: dict[str, Any] = {
            "files": len(files),
            "bytes": size_bytes,
            "sha256": records.list_sha256(info.path for info in files),
            "location": dataset.location,
        }
        self._tell(dataset, records.PURGE, details, run.author, mutation_id)
        # From here on it cannot be brought back, so nobody misses a file that goes.
        self._catalog.purge(dataset, author=run.author)
        removed = remove_files(self._store, dataset.location, files, run.stop)
        done = replace(
            planned,
            outcome="done",
            files_after=len(files) - removed.files,
            bytes_after=size_bytes - removed.bytes,
            seconds=round(time.monotonic() - started, 3),
        )
        names = ("files_before", "files_after", "bytes_before", "bytes_after", "seconds")
        told = {name: getattr(done, name) for name in names}
        self._tell(dataset, records.DONE[records.PURGE], told, run.author, mutation_id)
        return done

    def place(self, left: tuple[Dataset, FormerPlace], run: Run) -> Step | None:
        """Give up the files of a place that a table has left; its log is where it is now."""
        dataset, place = left
        started = time.monotonic()
        files = list_folder(self._store, place.location).files
        planned = Step(
            dataset=dataset.name,
            action=records.PURGE,
            outcome="planned",
            files_before=len(files),
            bytes_before=sum(info.size_bytes for info in files),
            detail=place.location,
        )
        if run.dry_run:
            return planned
        mutation_id = uuid7()
        details: dict[str, Any] = {
            "files": len(files),
            "bytes": planned.bytes_before,
            "sha256": records.list_sha256(info.path for info in files),
            "location": place.location,
        }
        self._tell(dataset, records.PURGE, details, run.author, mutation_id)
        removed = remove_files(self._store, place.location, files, run.stop)
        # Behind the removal: who dies before it removes what is left, and tells it again.
        self._catalog.purge_place(dataset, place, author=run.author)
        # From here on nobody holds the place against the journal.
        for info in list(self._store.list_objects(f"{place.location}/_delta_log/")):
            self._store.delete(info.path)
        return replace(
            planned,
            outcome="done",
            files_after=len(files) - removed.files,
            bytes_after=(planned.bytes_before or 0) - removed.bytes,
            seconds=round(time.monotonic() - started, 3),
        )

    def workspace(self, folder: str, run: Run) -> Step | None:
        """Remove the folder of a workspace that is over; its end is in the journal already."""
        inside = folder.removeprefix(_WORKSPACES).strip("/")
        if inside == folder or not inside or "/" in inside or inside in (".", ".."):
            raise Bug("not the folder of a workspace", where=folder)
        started = time.monotonic()
        files = list(self._store.list_objects(f"{_WORKSPACES}{inside}/"))
        if not files:
            return None
        size_bytes = sum(info.size_bytes for info in files)
        if not run.dry_run:
            for info in files:
                run.stop()
                self._store.delete(info.path)
        return Step(
            dataset=f"{_WORKSPACES}{inside}",
            action=records.PURGE,
            outcome="planned" if run.dry_run else "done",
            files_before=len(files),
            bytes_before=size_bytes,
            seconds=round(time.monotonic() - started, 3),
        )

    def _is_done(self, dataset: Dataset) -> bool:
        return bool(
            self._journal.query(
                entity_type=records.MAINTENANCE,
                dataset_id=dataset.dataset_id,
                action=records.DONE[records.PURGE],
                limit=1,
            ).items
        )

    def _tell(
        self,
        dataset: Dataset,
        action: str,
        details: dict[str, Any],
        author: Author,
        mutation_id: str,
    ) -> None:
        records.record(
            self._journal, dataset, action, details, author=author, mutation_id=mutation_id
        )
