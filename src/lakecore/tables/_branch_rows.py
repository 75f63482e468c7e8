"""Merging a branch of a dataset without a key: rows by their content, counted."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, Any

import numpy as np
import pyarrow as pa

from lakecore.base import Conflict, InvalidInput
from lakecore.journal import row_json
from lakecore.tables._attempt import Attempt, parts_of
from lakecore.tables._difference import RowChanges
from lakecore.tables._operations import journal_batch, tables_of
from lakecore.tables._rewrite import NO_ROWS, Rewriter, Touch
from lakecore.tables._row_hashes import RowHashes
from lakecore.tables._schema import cast_table
from lakecore.tables._three_way import MAX_KEPT_CONFLICTS, WHOLE, Resolutions

if TYPE_CHECKING:
    import polars as pl


class UnkeyedMerge:
    """Rows that the branch added are added; those that it removed are removed by content.

    A row that both removed is a conflict: what became of it cannot be told. It is resolved
    for the dataset as a whole: *ours* adds what the branch added and removes what is still
    there, *theirs* leaves the table as it is.
    """

    def __init__(self, attempt: Attempt, resolutions: Resolutions) -> None:
        self._attempt = attempt
        self._resolutions = resolutions
        self._hashes = RowHashes()

    def run(
        self, ours: Iterator[RowChanges], theirs: Iterator[RowChanges], lost: frozenset[str]
    ) -> None:
        attempt = self._attempt
        gone: list[pa.Table] = []
        come: list[pa.Table] = []
        size_bytes = 0
        for part in ours:
            gone.append(part.deleted)
            come.append(part.inserted)
            size_bytes += part.deleted.nbytes + part.inserted.nbytes
            if size_bytes > attempt.settings.input_bytes:
                raise InvalidInput(
                    "too many changed rows for one merge",
                    expected=f"at most {attempt.settings.input_bytes >> 20} MiB in memory",
                    where=attempt.dataset.name,
                )
        removed = sum(rows.num_rows for rows in gone)
        if lost or (removed and attempt.schema_changed):
            raise Conflict(
                "rows without a key are not merged when their columns differ, too",
                where=attempt.dataset.name,
                found=", ".join(sorted(lost)) or "columns were added, rows removed",
                hint="alter the dataset itself first",
            )
        if not removed or self._may_remove(gone, theirs):
            if removed:
                self._remove(gone)
            self._add(come)
        attempt.wait()
        if attempt.changes_something:
            count = self._hashes.added_rows + self._hashes.removed_rows
            journal_batch(attempt, "merge", self._hashes, count)

    def _may_remove(self, gone: list[pa.Table], theirs: Iterator[RowChanges]) -> bool:
        """False: the table stays as it is. Raises `MergeConflicts`."""
        wanted = _counted(gone)
        for part in theirs:
            both = _counted([part.deleted]).join(wanted, on="text", how="semi")
            if not both.height:
                continue
            texts = pa.array(both["text"].head(MAX_KEPT_CONFLICTS).to_list(), pa.string())
            names = pa.array([""] * len(texts), pa.string())
            wins = self._resolutions.ours(WHOLE, names, [texts, None, None])
            self._resolutions.check(self._attempt.dataset.name)
            if not wins.all():
                return False
        return True

    def _remove(self, gone: list[pa.Table]) -> None:
        wanted = _counted(gone)
        left = dict(zip(wanted["text"].to_list(), wanted["n"].to_list(), strict=True))

        def touch(chunk: pa.Table, _: int) -> Touch:
            return Touch(NO_ROWS, None, _take(chunk, left))

        with Rewriter(self._attempt, hashes=self._hashes) as rewriter:
            for file in self._attempt.base.files:
                if left:
                    rewriter.rewrite(file, touch)

    def _add(self, come: list[pa.Table]) -> None:
        attempt = self._attempt
        rows = [cast_table(part, attempt.schema) for part in come if part.num_rows]
        if rows:
            add_rows(attempt, pa.concat_tables(rows), self._tell)

    def _tell(self, rows: pa.Table) -> None:
        self._attempt.judge(None, rows)
        for part in parts_of(rows):
            self._hashes.journal(self._attempt, None, part)


def add_rows(attempt: Attempt, rows: pa.Table, tell: Callable[[pa.Table], None]) -> None:
    """Write rows that the table gains; `tell` judges and journals them, part by part."""
    attempt.inserted += rows.num_rows
    if not rows.num_rows:
        return
    writer = attempt.rolling_writer()
    try:
        reader = pa.RecordBatchReader.from_batches(rows.schema, rows.to_batches())
        for part in tables_of(reader, attempt.settings):
            tell(part)
            if not attempt.dry_run:
                writer.write(part)
        files = writer.finish()
    except BaseException as error:
        writer.abort(error)
        raise
    finally:
        attempt.own_files.extend(writer.files)
    attempt.adds.extend(files)


def _counted(parts: list[pa.Table]) -> pl.DataFrame:
    """Each row's text, and how often it occurs."""
    import polars as pl

    texts = [pl.Series("text", row_json(part), dtype=pl.String) for part in parts]
    frame = pl.DataFrame([pl.concat(texts) if texts else pl.Series("text", [], dtype=pl.String)])
    return frame.group_by("text").agg(pl.len().alias("n"))


def _take(chunk: pa.Table, left: dict[str, int]) -> Any:
    """Positions of rows that are to go; `left` is counted down."""
    import polars as pl

    texts = pl.DataFrame([pl.Series("text", row_json(chunk), dtype=pl.String)]).with_row_index()
    some = texts.filter(pl.col("text").is_in(list(left)))
    found = []
    for position, text in some.iter_rows():
        if left.get(text, 0):
            found.append(position)
            left[text] -= 1
            if not left[text]:
                del left[text]
    return np.array(found, dtype=np.intp)
