"""Finds the versions that other programs made, and has them journaled."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

from lakecore.base import CorruptData, UnsupportedFormat
from lakecore.journal import read_commit_record
from lakecore.reconcile._entry import read_entry
from lakecore.reconcile._log import TableLog
from lakecore.reconcile._report import ReconcileReport
from lakecore.reconcile._rows import Underivable
from lakecore.reconcile._version import MEMORY_BYTES, ForeignVersion, VersionJournal

if TYPE_CHECKING:
    from lakecore.catalog import Catalog, Dataset
    from lakecore.journal import Journal, Ledger
    from lakecore.reconcile._replay import Replay
    from lakecore.storage import Store


class Reconciler:
    """Journals what other programs committed to the tables of one lake.

    Any number of machines may do so at the same time: each version is journaled once,
    because all derive the same commit id and the same events for it.

    Args:
        memory_bytes: how much of decoded rows is held at once; more are spilled.
        temp_dir: where they are spilled; the system's place when None.
    """

    def __init__(
        self,
        store: Store,
        journal: Journal,
        catalog: Catalog,
        *,
        memory_bytes: int = MEMORY_BYTES,
        temp_dir: Path | None = None,
    ) -> None:
        self._store = store
        self._journal = journal
        self._catalog = catalog
        self.versions = VersionJournal(store, journal, memory_bytes=memory_bytes, temp_dir=temp_dir)

    def reconcile(self, name: str | None = None) -> ReconcileReport:
        """Journal the versions of one dataset, or of all, that the journal does not tell of.

        To be done before files that those versions removed are vacuumed: without them it
        can only be told that something was changed.

        Raises:
            NotFound: there is no such dataset.
            Unavailable: the store does not answer; what was journaled until then is.
        """
        datasets = (
            [self._catalog.get(name)]
            if name is not None
            else self._catalog.list_datasets(dropped=True)
        )
        report = ReconcileReport()
        with self._journal.ledger() as ledger:
            for dataset in datasets:
                self._one(dataset, ledger, report)
        return report

    def foreign(self, dataset: Dataset, ledger: Ledger) -> Iterator[int]:
        """The versions of a dataset that the journal does not tell of, ascending.

        What does not read is left to `verify`.
        """
        log = TableLog(self._store, dataset.location)
        # What came with a table that was moved was journaled where it was before.
        moved = max((place.version for place in dataset.former_places), default=-1)
        for version in sorted(log.entries):
            path = log.path(version)
            if version < (dataset.adopted_version or 0) or version <= moved:
                continue
            if ledger.sealed_at(path) or ledger.pending_id(path) is not None:
                continue
            try:
                if read_commit_record(self._store.get(path)) is None:
                    yield version
            except (CorruptData, UnsupportedFormat):
                continue

    def _one(self, dataset: Dataset, ledger: Ledger, report: ReconcileReport) -> None:
        wanted = list(self.foreign(dataset, ledger))
        if not wanted:
            return
        log = TableLog(self._store, dataset.location)
        try:
            self._journal_all(dataset, log, set(wanted), report)
        except CorruptData as error:
            report.problems.append(str(error))

    def _journal_all(
        self, dataset: Dataset, log: TableLog, wanted: set[int], report: ReconcileReport
    ) -> None:
        adopted = dataset.adopted_version
        if adopted in wanted:
            # Its own replay: the log may begin with a checkpoint of that very version.
            live = log.replay(adopted)
            found = self._found(dataset, log, adopted, self._store.get(log.path(adopted)), live)
            if not self._journal_one(found, report, live):
                return
            wanted = wanted - {adopted}
        if not wanted:
            return
        replay = log.base()
        for version, data in log.replays(replay, max(wanted)):
            if version in wanted:
                found = self._found(dataset, log, version, data, replay)
                if not self._journal_one(found, report):
                    return

    def _found(
        self, dataset: Dataset, log: TableLog, version: int, data: bytes, before: Replay
    ) -> ForeignVersion:
        return ForeignVersion(
            dataset=dataset,
            version=version,
            path=log.path(version),
            data=data,
            before=before,
            modified_us=log.entries[version].modified_us,
        )

    def _journal_one(
        self, found: ForeignVersion, report: ReconcileReport, adopted: Replay | None = None
    ) -> bool:
        """False when nothing of this table is to be journaled: it is another's."""
        try:
            if (problem := _other_table(found)) is not None:
                report.problems.append(problem)
                return False
            if adopted is not None:
                report.versions.append(self.versions.adopt(found, adopted))
            else:
                report.versions.append(self.versions.journal(found))
        except CorruptData as error:
            # A damaged file may come back from a backup: this version waits for it.
            report.problems.append(str(error))
        except Underivable as error:
            report.problems.append(f"{found.path}: the adopted version cannot be read: {error}")
        return True


def _other_table(found: ForeignVersion) -> str | None:
    entry = read_entry(found.data, where=found.path)
    table_id = (entry.metadata or {}).get("id") or found.before.table_id
    if table_id == found.dataset.dataset_id:
        return None
    return (
        f"{found.path}: another table lies at the place of {found.dataset.name}: "
        f"expected table {found.dataset.dataset_id}, found {table_id or 'none'}"
    )
