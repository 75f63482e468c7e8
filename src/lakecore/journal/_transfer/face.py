"""What a journal gives to files and other stores, and takes from them."""

from __future__ import annotations

import os
from abc import ABC, abstractmethod
from datetime import datetime
from typing import TYPE_CHECKING, Any, BinaryIO

from lakecore.journal._log.archived import RECORDS
from lakecore.journal._read.filter import EventFilter
from lakecore.journal._read.pages import moment_us

if TYPE_CHECKING:
    import pyarrow as pa

    from lakecore.base import Clock
    from lakecore.journal._log.archived import Archives
    from lakecore.journal._log.footers import Footers
    from lakecore.journal._log.pending import Pending
    from lakecore.journal._log.seal import SealOutcome
    from lakecore.journal._read.scan import Scanner
    from lakecore.journal._transfer.archive import ArchiveReport
    from lakecore.journal._transfer.cut import Cut
    from lakecore.journal._transfer.export import ExportResult
    from lakecore.journal._transfer.importing import ImportResult
    from lakecore.storage import Store

_SEAL_TIMEOUT_S = 30.0


class Transferable(ABC):
    """The calls of a journal that move events; a subclass has its parts."""

    _store: Store
    _archives: Archives
    _clock: Clock
    _footers: Footers
    _pending: Pending
    _scanner: Scanner

    @abstractmethod
    def record_batch(self, events: pa.Table | pa.RecordBatch) -> int:
        """Record a batch of events."""

    @abstractmethod
    def _run_sealer(self, wait_s: float) -> SealOutcome | None:
        """Seal everything that is committed."""

    def export(
        self,
        target: str | os.PathLike[str] | BinaryIO,
        format: str | None = None,  # noqa: A002 - the word for it
        *,
        since_seq: int | None = None,
        until_seq: int | None = None,
        since: datetime | str | int | None = None,
        until: datetime | str | int | None = None,
        overwrite: bool = False,
        cloudevents_source: str = "lakecore",
        **columns: Any,
    ) -> ExportResult:
        """Write events to a file or a binary stream; filters as `query`.

        Args:
            format: parquet, ndjson, csv or cloudevents; None: by the file's ending.
            since_seq, until_seq: from this position on; up to but without that one, which
                leaves out what is not sealed yet.
            overwrite: take the place of a file that is there.
            cloudevents_source: the `source` of CloudEvents, a URI reference.

        Raises:
            InvalidInput: no such format, filter or range, or a file that cannot be written.
            AlreadyExists: the file is there.
        """
        from lakecore.journal._transfer.export import export_events

        wanted = EventFilter.of(
            since_us=moment_us(since, "since"), until_us=moment_us(until, "until"), **columns
        )
        return export_events(
            self._scanner.snapshot(),
            target,
            format_name=format,
            wanted=wanted,
            since_seq=since_seq,
            until_seq=until_seq,
            overwrite=overwrite,
            source=cloudevents_source,
        )

    def import_events(
        self,
        source: str | os.PathLike[str] | BinaryIO,
        format: str = "auto",  # noqa: A002 - as `export`
        *,
        ignore_unknown: bool = False,
        imported_from: str | None = None,
        skip_rows: int = 0,
        dry_run: bool = False,
    ) -> ImportResult:
        """Record the events of a file that `export` wrote, as Parquet, NDJSON or CSV.

        Args:
            ignore_unknown: leave out columns that no event has, instead of refusing them.
            imported_from: a name that each event's context gets, with the `seq` it had.
            skip_rows: pass over so many rows.
            dry_run: check every row, record nothing.

        Raises:
            InvalidInput: a row cannot be an event; its batch is not recorded, what was
                before it is, and the hint says how much that was.
        """
        from lakecore.journal._transfer.importing import import_events

        return import_events(
            source,
            self.record_batch,
            now_us=self._clock.now_us(),
            format_name=format,
            ignore_unknown=ignore_unknown,
            imported_from=imported_from,
            skip_rows=skip_rows,
            dry_run=dry_run,
        )

    def cut(self) -> Cut:
        """Everything that is committed now, sealed; and the objects that hold it, to be copied.

        What cannot be sealed, because it is damaged, does not keep the rest from being copied:
        it is in the cut's `problems`.
        """
        from lakecore.journal._transfer.cut import take_cut

        outcome = self._run_sealer(_SEAL_TIMEOUT_S)
        problems = outcome.problems if outcome is not None else ()
        return take_cut(self._store, self._footers, self._pending, problems)

    @property
    def has_archives(self) -> bool:
        """Whether some of the log's files are, or may be, in an archive."""
        return next(self._store.list_objects(RECORDS), None) is not None

    def archive(
        self,
        name: str,
        *,
        before_seq: int | None = None,
        before: datetime | str | int | None = None,
        dry_run: bool = False,
    ) -> ArchiveReport:
        """Move old files of the log to the archive of this name, and leave stubs.

        Args:
            before_seq, before: only files all of whose events are before these.

        Raises:
            CorruptData: a file is damaged, or the archive has another one of its name.
            Unavailable: the archive cannot be reached.
        """
        from lakecore.journal._transfer.archive import archive_files

        return archive_files(
            self._store,
            self._archives(name),
            name,
            before_seq=before_seq,
            before_us=moment_us(before, "before"),
            dry_run=dry_run,
        )
