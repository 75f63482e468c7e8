"""Files into a dataset, one mutation each.

    open --> fit to the dataset --> check keys --> tables: stage --> [hook] --> commit
      |             |                   |                              |
      +-- rejects --+-------------------+----> system.quarantine ------+-- register the dataset

Crash windows: before the hook nothing is written but staged files that nobody refers to;
after the quarantine, its rows are there and running the file again does not repeat them;
after the registration, the dataset is there and empty; after the commit, all is done.
"""

from __future__ import annotations

import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING, Final

from lakecore.base import Clock, InvalidInput, LakecoreError, SystemClock, uuid7
from lakecore.ingest._contract import Fitter, check_frozen_values, row_text
from lakecore.ingest._files import FileScan, check_file, scan_file
from lakecore.ingest._keys import KeyFilter, check_key_columns
from lakecore.ingest._options import IngestOptions
from lakecore.ingest._ports import Catalog, Tables
from lakecore.ingest._progress import NoProgress, Progress
from lakecore.ingest._quarantine import write_quarantine
from lakecore.ingest._reject import Reject, RejectLog
from lakecore.ingest._source import Source, open_source

if TYPE_CHECKING:
    import pyarrow as pa

    from lakecore.catalog import Dataset
    from lakecore.journal import Author
    from lakecore.tables import MutationResult

MODES: Final = ("append", "upsert", "replace")
_MAX_RESTARTS: Final = 4

PREVIEW_ROWS: Final = 20
PREVIEW_REJECTS: Final = 50
MAX_SHOWN_CHARACTERS: Final = 200
"""Of a value in a preview."""


@dataclass(frozen=True, slots=True, kw_only=True)
class FilePreview:
    """What a file would become, of a run that writes nothing.

    Attributes:
        columns: (name, type) of the rows as the dataset would take them.
        rows: the first rows, their values as text; None: no value.
        rejects: the first records that would not get in: line, column, reason, text.
    """

    columns: tuple[tuple[str, str], ...]
    rows: tuple[tuple[str | None, ...], ...]
    rejects: tuple[tuple[int, str, str, str], ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class IngestResult:
    """What became of one file.

    Args:
        rows: records that got in or were there already; `rejected` did not.
        version: the dataset's version with them; None when nothing was committed.
        duplicate_of: the version that the same file was ingested as before, if it was
            (`IngestOptions.again` repeats it).
        held: it waits for an approval, under its `mutation_id`.
        tier: what the rules made of it.
        notes: what was decided about the file: dialect, renamed columns, types.
        preview: of a dry run, what the file would become.
    """

    file: str
    dataset: str
    format: str = ""
    rows: int = 0
    inserted: int = 0
    updated: int = 0
    deleted: int = 0
    unchanged: int = 0
    rejected: int = 0
    version: int | None = None
    mutation_id: str | None = None
    duplicate_of: int | None = None
    size_bytes: int = 0
    sha256: str = ""
    notes: tuple[str, ...] = ()
    duration_s: float = 0.0
    dry_run: bool = False
    held: bool = False
    tier: str = "auto"
    preview: FilePreview | None = None


@dataclass(slots=True)
class _Run:
    """One call: what does not change from file to file."""

    name: str
    key: tuple[str, ...]
    entity_type: str | None
    mode: str
    author: Author
    options: IngestOptions
    tables: Tables
    catalog: Catalog
    progress: Progress
    clock: Clock
    dry_run: bool
    results: list[IngestResult] = field(default_factory=list)


def ingest(
    paths: Sequence[str | Path],
    *,
    dataset: str,
    key: Sequence[str] = (),
    entity_type: str | None = None,
    mode: str = "append",
    author: Author,
    options: IngestOptions | None = None,
    tables: Tables,
    catalog: Catalog,
    progress: Progress | None = None,
    clock: Clock | None = None,
    dry_run: bool = False,
) -> list[IngestResult]:
    """Take files into a dataset, in order, one mutation each; a new dataset is registered.

    Args:
        key: the columns that identify a row; for a known dataset its key or nothing.
        mode: ``append``, ``upsert`` or ``replace``.

    Raises:
        InvalidInput, NotFound: about a file or the request. The files before it are in:
            the error's ``done`` attribute holds their results.
    """
    if mode not in MODES:
        raise InvalidInput("unknown mode", expected=" | ".join(MODES), found=mode)
    if not paths:
        raise InvalidInput("no file is named")
    if mode == "replace" and len(paths) > 1:
        raise InvalidInput(
            "each file would replace the one before",
            expected="one file",
            found=f"{len(paths)} files",
        )
    run = _Run(
        name=dataset,
        key=tuple(key),
        entity_type=entity_type,
        mode=mode,
        author=author,
        options=options or IngestOptions(),
        tables=tables,
        catalog=catalog,
        progress=progress or NoProgress(),
        clock=clock or SystemClock(),
        dry_run=dry_run,
    )
    # A name misspelt is told before anything is written, not after the files before it.
    for path in (files := [Path(path) for path in paths]):
        check_file(path)
    for path in files:
        try:
            run.results.append(_ingest_file(run, path))
        except LakecoreError as error:
            error.where = error.where or run.options.file_name or path.name
            error.done = list(run.results)  # type: ignore[attr-defined]  # a report, not a field
            if run.results:
                done = ", ".join(result.file for result in run.results)
                error.add_note(f"{len(run.results)} of {len(paths)} files are in: {done}")
            raise
    return run.results


def _ingest_file(run: _Run, path: Path) -> IngestResult:
    started_s = time.monotonic()
    scan = scan_file(check_file(path))
    name = run.options.file_name or path.name
    known = run.catalog.find(run.name)
    home = known or run.catalog.propose(
        run.name,
        key=run.key,
        entity_type=run.entity_type,
        contract=run.options.contract or "evolve",
        bucket=run.options.bucket,
    )
    _check_agreement(run, home, known is not None)
    if known is not None and not run.options.again:
        before = run.tables.ingested_version(home, scan.sha256)
        if before is not None:
            return IngestResult(
                file=name,
                dataset=home.name,
                duplicate_of=before,
                sha256=scan.sha256,
                size_bytes=scan.size_bytes,
                duration_s=time.monotonic() - started_s,
                notes=(f"already ingested as version {before}: nothing is written",),
            )
    view = run.tables.open(home) if known is not None else None
    target = None if view is None else view.schema
    source = open_source(path, run.options, target=target, scan=scan)
    attempt = _Attempt(run, home, known is None, source, target, scan)
    run.progress.start(name, scan.size_bytes)
    try:
        result = attempt.run_to_end()
        preview = attempt.preview() if run.dry_run else None
    finally:
        run.progress.finish()
        attempt.close()
    return IngestResult(
        file=name,
        dataset=home.name,
        format=source.format,
        rows=attempt.rows,
        inserted=result.inserted,
        updated=result.updated,
        deleted=result.deleted,
        unchanged=result.unchanged,
        rejected=attempt.rejected,
        version=result.version,
        mutation_id=attempt.mutation_id,
        size_bytes=scan.size_bytes,
        sha256=scan.sha256,
        dry_run=run.dry_run or result.dry_run,
        held=result.held and not run.dry_run,
        tier=result.tier,
        notes=tuple(dict.fromkeys(source.notes)),
        duration_s=time.monotonic() - started_s,
        preview=preview,
    )


def _check_agreement(run: _Run, home: Dataset, known: bool) -> None:
    """Key and entity type, where they are given, are those of the dataset."""
    if known and run.key and run.key != tuple(home.key):
        raise InvalidInput(
            "the dataset has another key",
            expected=", ".join(home.key) or "no key",
            found=", ".join(run.key),
            where=home.name,
            hint="Leave the key out.",
        )
    if known and run.entity_type is not None and run.entity_type != home.entity_type:
        raise InvalidInput(
            "the dataset has another entity type",
            expected=home.entity_type,
            found=run.entity_type,
            where=home.name,
            hint="Leave the entity type out.",
        )
    contract = run.options.contract
    if known and contract is not None and contract != home.contract:
        raise InvalidInput(
            "the dataset has another contract",
            expected=home.contract,
            found=contract,
            where=home.name,
            hint="Leave the contract out, or alter the dataset first.",
        )
    if run.mode == "upsert" and not home.key:
        raise InvalidInput(
            "upsert needs a key",
            where=home.name,
            hint="Name the key of a new dataset; an unkeyed one is appended to or replaced.",
        )


class _Attempt:
    """One file on its way: the stream, its rejects, and the hook before the commit."""

    def __init__(
        self,
        run: _Run,
        home: Dataset,
        new: bool,
        source: Source,
        target: pa.Schema | None,
        scan: FileScan,
    ) -> None:
        self._run = run
        self._home = home
        self._new = new
        self._source = source
        self._target = target
        self._scan = scan
        self._log = RejectLog(
            limit=run.options.max_rejects,
            file=source.name,
            temp_dir=run.options.temp_dir,
            strict=run.options.strict,
        )
        self._settled = False
        self._schema: pa.Schema | None = None
        self._first: list[pa.RecordBatch] = []
        self.rows = 0
        self.mutation_id = uuid7(run.clock)

    @property
    def rejected(self) -> int:
        return self._source.reject_count + self._log.count

    def run_to_end(self) -> MutationResult:
        for _ in range(_MAX_RESTARTS):
            try:
                return self._change()
            except Exception:
                # Whatever wrapped it on its way through the tables: the source knows.
                if not self._source.needs_restart:
                    raise
            self._source.restart()
        raise InvalidInput(
            "the file's types do not settle", where=self._source.name, hint="Repair its columns."
        )

    def _change(self) -> MutationResult:
        import pyarrow as pa

        from lakecore.tables import IngestNote

        run = self._run
        self.rows, self._settled = 0, False
        self._first = []
        self._log.clear()
        contract = self._home.contract
        fitter = Fitter(self._source.schema, self._target, contract, self._source.name)
        self._schema = fitter.schema
        check_key_columns(self._home.key, fitter.schema.names, self._source.name)
        note = IngestNote(
            file_name=self._source.name, sha256=self._scan.sha256, size_bytes=self._scan.size_bytes
        )
        change = {
            "append": run.tables.append,
            "upsert": run.tables.upsert,
            "replace": run.tables.replace,
        }[run.mode]
        result = change(
            self._home,
            pa.RecordBatchReader.from_batches(fitter.schema, self._stream(fitter)),
            author=run.author,
            mutation_id=self.mutation_id,
            schema_change="evolve" if contract == "evolve" or self._new else "freeze",
            ingest=note,
            dry_run=run.dry_run,
            before_commit=self._settle,
        )
        if result.held:
            # It waits with its rows; what did not get into those is set apart now.
            self._set_apart()
        elif not run.dry_run:
            # Rows that are all there already are not committed, and the hook not called.
            self._settle()
        return result

    def _stream(self, fitter: Fitter) -> Iterator[pa.RecordBatch]:
        keys = KeyFilter(
            self._home.key, refuse=self._run.options.on_bad_key == "refuse", where=self._source.name
        )
        batches = keys.filter(fitter.fit(self._read(), self._reject), self._reject)
        for batch in batches:
            if self.rows < PREVIEW_ROWS and self._run.dry_run:
                self._first.append(batch.slice(0, PREVIEW_ROWS - self.rows))
            self.rows += batch.num_rows
            if batch.num_rows:
                yield batch
        if self._target is not None and self._home.contract == "freeze":
            check_frozen_values(self._source.rejects(), self._source.name)

    def _read(self) -> Iterator[pa.RecordBatch]:
        for batch in self._source.batches():
            self._run.progress.advance(batch.nbytes)
            yield batch

    def _reject(
        self, number: int, batch: pa.RecordBatch, row: int, column: str, reason: str
    ) -> None:
        self._log.add(number, row_text(batch, row), reason, column)

    def _settle(self) -> None:
        """The hook: quarantine, then the registration of a new dataset. Once."""
        if self._settled:
            return
        self._settled = True
        run = self._run
        self._set_apart()
        if self._new:
            run.catalog.register(self._home, author=run.author, mutation_id=self.mutation_id)
            self._new = False

    def _set_apart(self) -> None:
        """Quarantine what did not get in."""
        run = self._run
        if self.rejected:
            write_quarantine(
                _Rejects(self._source, self._log),
                count=self.rejected,
                dataset=self._home,
                file_sha256=self._scan.sha256,
                size_bytes=self._scan.size_bytes,
                mutation_id=self.mutation_id,
                time_us=run.clock.now_us(),
                author=run.author,
                tables=run.tables,
                catalog=run.catalog,
            )

    def preview(self) -> FilePreview:
        """What was seen of the file."""
        fields = [] if self._schema is None else list(self._schema)
        columns = [
            [_text(value) for batch in self._first for value in batch.column(n).to_pylist()]
            for n in range(len(fields))
        ]
        return FilePreview(
            columns=tuple((field.name, str(field.type)) for field in fields),
            rows=tuple(zip(*columns, strict=True)),
            rejects=tuple(
                (one.line, one.column, one.reason, one.text[:MAX_SHOWN_CHARACTERS])
                for one in islice(_Rejects(self._source, self._log), PREVIEW_REJECTS)
            ),
        )

    def close(self) -> None:
        self._log.close()
        self._source.close()


def _text(value: object) -> str | None:
    """A value for people to look at, cut where it is long."""
    if value is None:
        return None
    return (value.hex() if isinstance(value, bytes) else str(value))[:MAX_SHOWN_CHARACTERS]


@dataclass(frozen=True, slots=True)
class _Rejects:
    """The rejects of reading, then those of fitting; may be gone through again."""

    source: Source
    log: RejectLog

    def __iter__(self) -> Iterator[Reject]:
        yield from self.source.rejects()
        yield from self.log
