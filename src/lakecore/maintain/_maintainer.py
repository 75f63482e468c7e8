"""The face: what is due, done step by step; a step that fails does not stop the others."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING

from lakecore.base import Bug, Conflict, LakecoreError, UnsupportedFormat, uuid7
from lakecore.maintain import _record as records
from lakecore.maintain._background import Stopped
from lakecore.maintain._bins import choose_bins, in_key_order
from lakecore.maintain._folder import list_folder
from lakecore.maintain._purge import Purge
from lakecore.maintain._types import (
    Expiry,
    MaintainSettings,
    MaintenanceReport,
    NothingExpires,
    NoWorkspaces,
    Run,
    Step,
    Unjournaled,
    Workspaces,
)
from lakecore.maintain._vacuum import Vacuum

if TYPE_CHECKING:
    from lakecore.base import Clock
    from lakecore.catalog import Catalog, Dataset, FormerPlace
    from lakecore.journal import Author, Journal
    from lakecore.storage import Store
    from lakecore.tables import DataFile, RowSorter, TableState, Upkeep


class Maintainer:
    """Keeps the tables of one lake. Any number of machines may do so at the same time.

    Args:
        workspaces: what they need is kept, what they leave behind is removed.
        unjournaled: versions of other programs that are not journaled yet.
        expiry: which rows are kept for a time only.
    """

    def __init__(
        self,
        store: Store,
        journal: Journal,
        catalog: Catalog,
        upkeep: Upkeep,
        *,
        clock: Clock,
        unjournaled: Unjournaled,
        settings: MaintainSettings | None = None,
        workspaces: Workspaces | None = None,
        expiry: Expiry | None = None,
    ) -> None:
        self._store = store
        self._journal = journal
        self._catalog = catalog
        self._upkeep = upkeep
        self._settings = settings or MaintainSettings()
        self._workspaces = workspaces or NoWorkspaces()
        self._expiry = expiry or NothingExpires()
        self._purge = Purge(store, journal, catalog)
        self._vacuum = Vacuum(
            store, journal, upkeep, clock, self._settings, self._workspaces, unjournaled
        )

    def run(
        self,
        names: Sequence[str] | None = None,
        *,
        author: Author,
        dry_run: bool = False,
        stop: Callable[[], None] = lambda: None,
        sorter: RowSorter | None = None,
    ) -> MaintenanceReport:
        """Do what is due for all datasets, or for those named, whose vacuum is due at any time.

        Args:
            stop: called between parts of a step; what it raises ends the run there.
            sorter: reads and sorts what is compacted, in place of this process.

        Raises:
            NotFound: no dataset of such a name, nor a dropped one behind its grace.
        """
        report = MaintenanceReport(dry_run)
        run = Run(
            author=author, dry_run=dry_run, is_asked=names is not None, stop=stop, sorter=sorter
        )
        gone = self._catalog.past_grace()
        datasets = self._catalog.list_datasets()
        if names is not None:
            dropped = {dataset.name for dataset in gone}
            datasets = [
                self._catalog.get(name)
                for name in names
                if name not in dropped or self._catalog.find(name) is not None
            ]
            gone = [dataset for dataset in gone if dataset.name in names]
        for dataset in datasets:
            if self._is_ours(dataset, run, report):
                self._do(report, dataset.name, records.EXPIRE, self._expire, dataset, run)
                self._do(report, dataset.name, records.COMPACT, self._compact, dataset, run)
                self._do(report, dataset.name, records.CHECKPOINT, self._checkpoint, dataset, run)
                self._do(report, dataset.name, records.VACUUM, self._vacuum.step, dataset, run)
        for dataset in gone:
            self._do(report, dataset.name, records.PURGE, self._purge.step, dataset, run)
        for left in self._left_places(names):
            self._do(report, left[0].name, records.PURGE, self._purge.place, left, run)
        for folder in self._workspaces.finished() if names is None else ():
            self._do(report, folder, records.PURGE, self._purge.workspace, folder, run)
        return report

    def small_files(self, dataset: Dataset) -> int:
        """How many files would be put together now."""
        state = self._upkeep.state(dataset)
        return sum(map(len, self._bins(dataset, state))) if state is not None else 0

    # -- steps ------------------------------------------------------------------------

    def _expire(self, dataset: Dataset, run: Run) -> Step | None:
        condition = self._expiry.due(dataset)
        if condition is None:
            return None
        planned = Step(
            dataset=dataset.name, action=records.EXPIRE, outcome="planned", detail=condition
        )
        if run.dry_run:
            return planned
        started = time.monotonic()
        rows = self._expiry.expire(dataset, condition, author=run.author)
        seconds = round(time.monotonic() - started, 3)
        detail = f"{rows:,} rows: {condition}"
        return replace(planned, outcome="done", seconds=seconds, detail=detail)

    def _compact(self, dataset: Dataset, run: Run) -> Step | None:
        state = self._upkeep.state(dataset)
        bins = self._bins(dataset, state) if state is not None else []
        if state is None or not bins:
            return None
        size_bytes = sum(file.size_bytes for some in bins for file in some)
        planned = Step(
            dataset=dataset.name,
            action=records.COMPACT,
            outcome="planned",
            files_before=sum(map(len, bins)),
            files_after=len(bins),
            bytes_before=size_bytes,
            bytes_after=size_bytes,
        )
        if run.dry_run:
            return planned
        result, measured = self._upkeep.compact(
            dataset,
            state,
            bins,
            target_bytes=self._settings.target_bytes,
            author=run.author,
            stop=run.stop,
            sorter=run.sorter,
        )
        return replace(
            planned,
            outcome="done",
            files_after=measured["files_after"],
            bytes_after=measured["bytes_after"],
            seconds=measured["seconds"],
            version=result.version,
        )

    def _checkpoint(self, dataset: Dataset, run: Run) -> Step | None:
        run.stop()
        state = self._upkeep.state(dataset)
        if state is None or state.version < self._settings.checkpoint_versions:
            return None
        last = list_folder(self._store, dataset.location).checkpoint
        if state.version - last < self._settings.checkpoint_versions:
            return None
        planned = Step(
            dataset=dataset.name,
            action=records.CHECKPOINT,
            outcome="planned",
            detail=f"of version {state.version}",
        )
        if run.dry_run:
            return planned
        started = time.monotonic()
        if not self._upkeep.checkpoint(dataset, state.version):
            return replace(planned, outcome="failed", detail="it could not be written: see the log")
        seconds = round(time.monotonic() - started, 3)
        records.record(
            self._journal,
            dataset,
            records.CHECKPOINT,
            {"version": state.version, "seconds": seconds},
            author=run.author,
            mutation_id=uuid7(),
        )
        return replace(planned, outcome="done", seconds=seconds)

    # -- inside -----------------------------------------------------------------------

    def _left_places(self, names: Sequence[str] | None) -> list[tuple[Dataset, FormerPlace]]:
        """Places that tables left, behind their grace; not those that a workspace builds on."""
        pinned = {location for location, _ in self._workspaces.pinned()}
        return [
            (dataset, place)
            for dataset, place in self._catalog.left_places()
            if place.location not in pinned and (names is None or dataset.name in names)
        ]

    def _bins(self, dataset: Dataset, state: TableState) -> list[list[DataFile]]:
        return choose_bins(
            in_key_order(state, dataset.key),
            target_bytes=self._settings.target_bytes,
            min_files=self._settings.min_files,
            step_bytes=self._settings.step_bytes,
        )

    def _is_ours(self, dataset: Dataset, run: Run, report: MaintenanceReport) -> bool:
        """Whether the table is kept by us, and not by an engine whose features it has."""
        try:
            state = self._upkeep.state(dataset)
            if state is None:
                return False
            self._upkeep.check(dataset, state)
        except UnsupportedFormat as error:
            if run.is_asked:
                told = Step(
                    dataset=dataset.name, action="all", outcome="skipped", detail=str(error)
                )
                report.steps.append(told)
            return False
        except LakecoreError as error:
            failed = Step(dataset=dataset.name, action="all", outcome="failed", detail=str(error))
            report.steps.append(failed)
            return False
        return True

    def _do(
        self,
        report: MaintenanceReport,
        name: str,
        action: str,
        step: Callable[..., Step | None],
        *arguments: object,
    ) -> None:
        try:
            done = step(*arguments)
        except Conflict as error:
            done = Step(dataset=name, action=action, outcome="skipped", detail=str(error))
        except (Bug, Stopped):
            raise
        except LakecoreError as error:
            done = Step(dataset=name, action=action, outcome="failed", detail=str(error))
        if done is not None:
            report.steps.append(done)
