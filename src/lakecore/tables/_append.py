"""Appending a stream of rows, and replacing an unkeyed dataset by one: bounded memory.

The rows are written to data files while they are read, and journaled by another thread
meanwhile. The files outlive a lost race: only events and checks are done again.
"""

from __future__ import annotations

from collections.abc import Iterator

import pyarrow as pa

from lakecore.base import Conflict, InvalidInput, LakecoreError
from lakecore.tables._attempt import Attempt, parts_of
from lakecore.tables._delta_log import AddFile
from lakecore.tables._keys import check_key_columns, check_keys
from lakecore.tables._lane import Lane
from lakecore.tables._new_keys import check_new_keys
from lakecore.tables._operations import check_input, journal_batch, tables_of
from lakecore.tables._rewrite import journal_inserts
from lakecore.tables._row_hashes import RowHashes
from lakecore.tables._schema import cast_table
from lakecore.tables._state import TableState
from lakecore.tables._types import TableSettings
from lakecore.tables._write import RollingWriter


class Append:
    """Rows that are added; with `replace`, instead of all rows of an unkeyed dataset."""

    name = "WRITE"

    def __init__(
        self,
        batches: pa.RecordBatchReader,
        settings: TableSettings,
        *,
        freeze: bool,
        action: str = "insert",
        replace: bool = False,
    ) -> None:
        check_input(batches.schema)
        self.removes = replace
        self._batches = batches
        self._settings = settings
        self._freeze = freeze
        self._action = action
        self._files: list[AddFile] | None = None
        self._schema: pa.Schema | None = None
        self._hashes = RowHashes()
        self._dry_keys: list[pa.Table] = []
        self._attempt: Attempt | None = None

    def parameters(self) -> dict[str, str]:
        return {"mode": "Overwrite" if self.removes else "Append"}

    def plan(self, attempt: Attempt) -> None:
        self._attempt = attempt
        attempt.evolve(self._batches.schema, freeze=self._freeze)
        check_key_columns(attempt.schema, attempt.dataset.key)
        if self._files is None:
            self._first(attempt)
        else:
            self._again(attempt)
        assert self._files is not None  # noqa: S101 - both branches have set it
        attempt.adds = list(self._files)
        attempt.inserted = self._hashes.added_rows
        if attempt.dataset.key:
            self._check_keys(attempt, attempt.base)
            journal_batch(attempt, self._action, None, attempt.inserted)
            return
        hashes = RowHashes(
            added=self._hashes.added,
            added_rows=self._hashes.added_rows,
            size_bytes=self._hashes.size_bytes,
        )
        if self.removes:
            self._remove_all(attempt, hashes)
        count = hashes.added_rows + hashes.removed_rows
        if attempt.changes_something:
            journal_batch(attempt, self._action, hashes, count)

    def unaffected(self, attempt: Attempt, added: TableState) -> bool:
        """Whether the plan would be the same with these files more: they have no key of ours."""
        if self.removes:
            return False
        try:
            if attempt.dataset.key:
                self._check_keys(attempt, added)
        except InvalidInput:
            return False
        return True

    def discard(self) -> None:
        from contextlib import suppress

        attempt = self._attempt
        for file in self._files or []:
            assert attempt is not None  # noqa: S101 - files are written by an attempt
            with suppress(LakecoreError, OSError):
                attempt.store.delete(f"{attempt.dataset.location}/{file.path}")

    def _first(self, attempt: Attempt) -> None:
        """Read the stream: write the files in one thread, journal in another."""
        self._schema = attempt.schema
        writer = attempt.rolling_writer()
        lane = Lane("lakecore-files", depth=2)
        try:
            for rows in self._cast(attempt):
                if not attempt.dry_run:
                    lane.run(writer.write, rows)
                self._journal(attempt, rows)
            # The last rows are encoded and synced while the last events are built.
            lane.run(writer.finish)
            attempt.wait()
            lane.wait()
            self._files = writer.files
        except BaseException as error:
            lane.close()
            self._abandon(writer, error)
            raise
        finally:
            lane.close()

    def _abandon(self, writer: RollingWriter, error: BaseException) -> None:
        writer.abort(error)
        self._files = writer.files

    def _cast(self, attempt: Attempt) -> Iterator[pa.Table]:
        first_row = 0
        for rows in tables_of(self._batches, self._settings):
            cast = cast_table(rows, attempt.schema, first_row=first_row)
            check_keys(cast, attempt.dataset.key, first_row=first_row)
            first_row += rows.num_rows
            yield cast

    def _journal(self, attempt: Attempt, rows: pa.Table) -> None:
        if attempt.dataset.key:
            journal_inserts(attempt, rows, action=self._action)
            self._hashes.added_rows += rows.num_rows
            if attempt.dry_run:
                self._dry_keys.append(rows.select(list(attempt.dataset.key)))
            return
        attempt.judge(None, rows)
        for part in parts_of(rows):
            self._hashes.journal(attempt, None, part)

    def _again(self, attempt: Attempt) -> None:
        """The files are there: journal their rows for the new version."""
        assert self._files is not None  # noqa: S101 - written by the first attempt
        assert self._schema is not None  # noqa: S101 - likewise
        for field in self._schema:
            present = attempt.schema.get_field_index(field.name)
            if present < 0 or attempt.schema.field(present).type != field.type:
                raise Conflict(
                    "somebody else changed the schema meanwhile",
                    where=f"{attempt.dataset.name}, column {field.name!r}",
                    hint="try again",
                )
        review = attempt.review
        is_seen = not (attempt.dataset.key or review.shows_rows or review.exact)
        if is_seen and attempt.schema.equals(self._schema):
            return
        # Hashes are over all columns of the version, so a column more makes them others.
        self._schema, self._hashes = attempt.schema, RowHashes()
        for file in self._files:
            with attempt.reader(file) as reader:
                for rows in reader.chunks():
                    self._journal(attempt, rows)
        attempt.wait()

    def _new_keys(self, attempt: Attempt) -> Iterator[pa.Table]:
        if attempt.dry_run:
            yield from self._dry_keys
        for file in self._files or []:
            yield from attempt.read_keys(file)

    def _check_keys(self, attempt: Attempt, state: TableState) -> None:
        check_new_keys(
            new=lambda: self._new_keys(attempt),
            new_rows=self._hashes.added_rows,
            state=state,
            read_keys=attempt.read_keys,
            key=attempt.dataset.key,
            settings=self._settings,
        )

    def _remove_all(self, attempt: Attempt, hashes: RowHashes) -> None:
        for file in attempt.base.files:
            attempt.remove(file)
            with attempt.reader(file) as reader:
                for rows in reader.chunks():
                    attempt.judge(rows, None)
                    for part in parts_of(rows):
                        hashes.journal(attempt, part, None)
        attempt.wait()
        attempt.deleted = hashes.removed_rows
        same = hashes.added_rows == hashes.removed_rows and (
            not hashes.added_rows or _hex(hashes.added) == _hex(hashes.removed)
        )
        if same and not attempt.schema_changed and not attempt.base.empty:
            # The same rows in other files would be a change that changes nothing.
            attempt.unchanged, attempt.inserted, attempt.deleted = hashes.added_rows, 0, 0
            attempt.adds, attempt.removes = [], []


def _hex(value: object) -> str:
    from lakecore.journal import MultisetHash

    assert isinstance(value, MultisetHash)  # noqa: S101 - rows were counted, so they were hashed
    return str(value.hex())
