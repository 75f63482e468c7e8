"""CSV and TSV: DuckDB splits the text into fields, this module gives them types.

One reading: the first rows that DuckDB delivers are the sample that decides the types,
and the stream goes on from there. DuckDB reads everything as text (its own casts change
values, see `_types`); records that are no records (ragged, broken quotes, invalid UTF-8,
too long) it sets aside in its reject tables; values that do not fit their column's type
are set aside here. Every record of the file is in exactly one of accepted and rejected.

**Widening.** Misfits are rejected while they are rare. When a column has more than
`_WIDEN_ROWS` of them and they are more than `_WIDEN_SHARE` of the rows read, it is the
type that is wrong: the stream ends with `TypesChanged`, and after `restart` the column is
int64 → double → text. A column whose type the dataset fixes is not widened: `InvalidInput`.
"""

from __future__ import annotations

import csv
import io
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from lakecore.base import InvalidInput
from lakecore.base.limits import MIB
from lakecore.ingest._ahead import Ahead, read_ahead
from lakecore.ingest._base import SourceBase, TypesChanged
from lakecore.ingest._dialect import Dialect, columns_typed, has_header, parse, sniff_dialect
from lakecore.ingest._files import FileScan, head_of, transcode
from lakecore.ingest._locate import Gap, LineIndex, newline_counts, record_text
from lakecore.ingest._names import clean_names
from lakecore.ingest._options import MAX_REJECT_TEXT_BYTES, IngestOptions
from lakecore.ingest._types import TEXT, TextType, convert, infer, type_for, widened

if TYPE_CHECKING:
    import duckdb
    import polars as pl
    import pyarrow as pa

_SAMPLE_ROWS: Final = 32_768
_SAMPLE_BYTES: Final = 32 * MIB
_DIALECT_BYTES: Final = 256 * 1024
_BATCH_CELLS: Final = 2_000_000
_MAX_BATCH_ROWS: Final = 32_768
_MAX_LINE_BYTES: Final = 4 * MIB
_BUFFER_BYTES: Final = 2 * _MAX_LINE_BYTES
_COLUMN_BYTES: Final = 128 * 1024
_WIDEN_ROWS: Final = 10
_WIDEN_SHARE: Final = 0.01
_Converted = tuple["pa.RecordBatch", list["pl.Series"], dict[int, "pl.Series"]]
"""A batch of texts, its typed columns in order, and the masks of misfits by column index."""

_REASONS: Final = {
    "MISSING COLUMNS": "too few fields",
    "TOO MANY COLUMNS": "too many fields",
    "UNQUOTED VALUE": "broken quotes",
    "INVALID ENCODING": "invalid UTF-8",
    "LINE SIZE OVER MAXIMUM": "the record is too long",
}


class DelimitedSource(SourceBase):
    """See `Source`."""

    format = "csv"

    def __init__(
        self,
        path: Path,
        name: str,
        options: IngestOptions,
        *,
        scan: FileScan,
        text: FileScan,
        scratch: Path,
        target: pa.Schema | None = None,
        delimiter: str | None = None,
    ) -> None:
        super().__init__(path, name, options, scan=scan, scratch=scratch)
        self._has_quote = text.has_quote
        self._target = target
        self._fixed: dict[int, TextType] = {}
        self._normalized = False
        if text.size_bytes == 0:
            raise InvalidInput(
                "the file is empty", where=name, hint="Even a file without rows needs a header."
            )
        self._to_utf8(text)
        self._read_head(delimiter)
        self._begin()

    # -- opening ----------------------------------------------------------------------

    def _to_utf8(self, text: FileScan) -> None:
        encoding = self.options.encoding or text.encoding
        if encoding.lower().replace("_", "-") in {"utf-8", "utf8", "utf-8-sig"}:
            if b"\0" in head_of(self.path, 64 * 1024):
                raise InvalidInput(
                    "this is a binary file",
                    expected="text",
                    found="NUL bytes",
                    where=self.name,
                    hint="Name its format, or its encoding if it is text.",
                )
            return
        target = self.scratch / "utf8"
        transcode(self.path, target, encoding, self.name)
        self.path = target
        self._has_quote = True
        self.notes.append(f"read as {encoding}")

    def _read_head(self, delimiter: str | None) -> None:
        options = self.options
        head = head_of(self.path, _DIALECT_BYTES)
        whole = len(head) < _DIALECT_BYTES
        sample = head.decode("utf-8", "replace").removeprefix("\ufeff")
        if not whole and "\n" in sample:
            sample = sample[: sample.rindex("\n") + 1]
        self._dialect = sniff_dialect(
            sample,
            delimiter=options.delimiter or delimiter,
            quote=options.quote,
            escape=options.escape,
            skip_rows=options.skip_rows,
        )
        lines = sample.splitlines(keepends=True)
        records = [r for r in parse(lines[self._dialect.skip_rows :], self._dialect) if r]
        if not records:
            # One record longer than the sample, or nothing but blank lines.
            if whole:
                raise InvalidInput("there is no record in the file", where=self.name)
            records = [sample.split(self._dialect.delimiter)]
        first = records[0]
        header = options.header
        if header is None:
            header = has_header(records, columns_typed(records, options.null_markers))
        self._header = header
        width = len(first)
        self._names, renamed = clean_names(first if header else [""] * width)
        if described := self._dialect.describe():
            self.notes.append(described)
        if self._dialect.skip_rows and options.skip_rows is None:
            self.notes.append(f"{self._dialect.skip_rows} lines before the header are left out")
        self.notes += renamed if header else ["no header: columns are numbered"]
        self._width = width

    def _begin(self) -> None:
        """Open the stream and read the sample that decides the types."""
        self._connection: duckdb.DuckDBPyConnection | None
        self._connection, self._texts = self._read()
        sample: list[pa.RecordBatch] = []
        rows = size_bytes = 0
        for batch in self._pulled():
            sample.append(batch)
            rows += batch.num_rows
            size_bytes += batch.nbytes
            if rows >= _SAMPLE_ROWS or size_bytes >= _SAMPLE_BYTES:
                break
        self._sample = self._infer(sample)
        self._set_schema()
        self._rows = 0
        self._misfits = [0] * self._width
        self._failures: dict[int, pl.Series] = {}
        self._casts: list[tuple[int, int, str, str, str]] = []
        self._newlines = 0

    def _read(self) -> tuple[duckdb.DuckDBPyConnection, Ahead]:
        import duckdb

        # A vector of 2,048 texts is 32 KiB for each column, and there are several.
        limit_bytes = max(self.options.memory_limit_bytes, self._width * _COLUMN_BYTES)
        connection = duckdb.connect(
            config={
                "memory_limit": f"{limit_bytes // MIB}MiB",
                "threads": str(1 if self._width > 500 else self.options.threads),
                "temp_directory": str(self.scratch),
                "enable_external_access": "true",
                "autoinstall_known_extensions": "false",
                "autoload_known_extensions": "false",
            }
        )
        # Views, because Polars takes them as they are.
        connection.execute("set produce_arrow_string_view = true")
        # DuckDB's own bar goes to stdout, which belongs to results.
        connection.execute("set enable_progress_bar = false")
        batch_rows = max(64, min(_MAX_BATCH_ROWS, _BATCH_CELLS // self._width))
        try:
            relation = connection.sql(
                _query(
                    self.path, self._dialect, self._header, self._width, self.options.max_rejects
                )
            )
            return connection, read_ahead(relation.to_arrow_reader(batch_rows))
        except duckdb.Error as error:
            connection.close()
            if _mixed_line_ends(error) and not self._normalized:
                self._normalize_newlines()
                return self._read()
            raise _unreadable(self.name, error) from None

    def _pulled(self) -> Iterator[pa.RecordBatch]:
        import duckdb
        import pyarrow as pa

        try:
            yield from self._texts
        except (duckdb.Error, pa.ArrowException, OSError) as error:
            if _mixed_line_ends(error) and not self._normalized:
                self._normalize_newlines()
                self.needs_restart = True
                raise TypesChanged from None
            raise _unreadable(self.name, error) from None

    def _infer(self, sample: list[pa.RecordBatch]) -> _Converted | None:
        """Decide the types; the sample comes back converted, so that it is done once."""
        import polars as pl
        import pyarrow as pa

        if not sample:
            self._kinds = [
                self._fixed.get(index) or self._target_type(name) or TEXT
                for index, name in enumerate(self._names)
            ]
            return None
        batch = pa.Table.from_batches(sample).combine_chunks().to_batches()[0]
        frame = pl.from_arrow(batch)
        assert isinstance(frame, pl.DataFrame)  # noqa: S101 - a batch becomes a frame
        given = {
            index: kind
            for index, name in enumerate(self._names)
            if (kind := self._fixed.get(index) or self._target_type(name)) is not None
        }
        self._kinds, columns, bad = infer(frame, self.options.null_markers, given)
        typed = [index for index, kind in enumerate(self._kinds) if kind is not TEXT]
        return batch, [columns[index] for index in typed], bad

    def _target_type(self, name: str) -> TextType | None:
        if self._target is None or name not in self._target.names:
            return None
        return type_for(self._target.field(name).type)

    def _set_schema(self) -> None:
        import pyarrow as pa

        self.schema = pa.schema(
            [
                pa.field(name, kind.arrow)
                for name, kind in zip(self._names, self._kinds, strict=True)
            ]
        )

    # -- streaming --------------------------------------------------------------------

    def batches(self) -> pa.RecordBatchReader:
        """The accepted rows; see the module for `TypesChanged`."""
        import pyarrow as pa

        return pa.RecordBatchReader.from_batches(self.schema, self._typed())

    def _typed(self) -> Iterator[pa.RecordBatch]:
        sample, self._sample = self._sample, None
        if sample is not None:
            yield from self._finished(*sample)
            del sample
        for batch in self._pulled():
            yield from self._finished(batch, *self._converted(batch))
        self._check_widening(0)
        self._collect_rejects()
        self._stop()

    def _converted(self, batch: pa.RecordBatch) -> tuple[list[pl.Series], dict[int, pl.Series]]:
        import polars as pl

        typed = [index for index, kind in enumerate(self._kinds) if kind is not TEXT]
        if not typed:
            return [], {}
        texts = pl.from_arrow(batch.select(typed))
        assert isinstance(texts, pl.DataFrame)  # noqa: S101 - a batch becomes a frame
        kinds = [self._kinds[index] for index in typed]
        values, misfits = convert(texts, kinds, self.options.null_markers)
        return values, {typed[position]: mask for position, mask in misfits.items()}

    def _finished(
        self, batch: pa.RecordBatch, values: list[pl.Series], bad: dict[int, pl.Series]
    ) -> Iterator[pa.RecordBatch]:
        """The batch with its typed columns, without the rows that have a misfit."""
        import numpy as np
        import pyarrow as pa

        columns, typed = [], iter(values)
        for text, kind in zip(batch.columns, self._kinds, strict=True):
            column = text if kind is TEXT else next(typed).to_arrow()
            columns.append(column.cast(kind.arrow))
        counts = newline_counts(batch) if self._has_quote else None
        result = pa.record_batch(columns, schema=self.schema)
        if bad:
            wrong = np.zeros(batch.num_rows, dtype=bool)
            for mask in bad.values():
                wrong |= mask.to_numpy()
            self._note_misfits(batch, bad, np.flatnonzero(wrong), counts)
            result = result.filter(pa.array(~wrong))
        self._rows += batch.num_rows
        self._newlines += 0 if counts is None else int(counts.sum())
        if bad:
            self._check_widening(1_000)
        for start in range(0, result.num_rows, _MAX_BATCH_ROWS):
            yield result.slice(start, _MAX_BATCH_ROWS)

    def _note_misfits(
        self, batch: pa.RecordBatch, bad: dict[int, pl.Series], wrong: Any, counts: Any
    ) -> None:
        import polars as pl

        before = None if counts is None else counts.cumsum() - counts
        for index, mask in bad.items():
            self._misfits[index] += int(mask.sum())
            texts = pl.Series(batch.column(index)).filter(mask).head(1_000)
            known = self._failures.get(index)
            self._failures[index] = texts if known is None else known.append(texts).head(10_000)
        for row in wrong.tolist():
            if len(self._casts) >= self.options.max_rejects:
                break
            index = next(index for index, mask in bad.items() if mask[row])
            column, value = self._names[index], batch.column(index)[row].as_py()
            fields = [values[row].as_py() for values in batch.columns]
            newlines = self._newlines + (0 if before is None else int(before[row]))
            reason = f"{column}: {value[:200]!r} is no {self._kinds[index].kind}"
            # What was before it in the file is known only when DuckDB's rejects are.
            self._casts.append(
                (
                    self._rows + row + newlines,
                    index,
                    column,
                    record_text(fields, self._dialect),
                    reason,
                )
            )

    def _check_widening(self, at_least: int) -> None:
        """Raise when a column's misfits are too many to be mistakes."""
        changed = False
        for index, count in enumerate(self._misfits):
            if count <= max(_WIDEN_ROWS, at_least) or count <= _WIDEN_SHARE * self._rows:
                continue
            name, kind = self._names[index], self._kinds[index]
            if self._target_type(name) is not None:
                raise InvalidInput(
                    "the column's values do not have the dataset's type",
                    expected=kind.kind,
                    found=f"{count} of {self._rows} values do not fit, such as "
                    f"{self._failures[index][0]!r}",
                    where=f"{self.name}, column {name}",
                    hint="Name another dataset, or repair the column.",
                )
            wider = widened(kind, self._failures[index], self.options.null_markers)
            self._fixed[index] = wider
            self.notes.append(
                f"column {name!r} is {wider.kind}: after the sample, {count} of "
                f"{self._rows} values are no {kind.kind}"
            )
            changed = True
        if changed:
            self.needs_restart = True
            raise TypesChanged(self.name)
        if not at_least and any(self._misfits) and len(self._casts) >= self.options.max_rejects:
            from lakecore.ingest._reject import too_many_rejects

            raise too_many_rejects(self.name, self.options.max_rejects, self._casts[-1][4])

    # -- rejects ----------------------------------------------------------------------

    def _collect_rejects(self) -> None:
        """Put DuckDB's rejects and ours into the log, in the order of the file."""
        assert self._connection is not None  # noqa: S101 - open until all is read
        rows = self._connection.execute(
            "select line_byte_position, min_by(error_type, byte_position), "
            "min_by(error_message, byte_position), any_value(csv_line) "
            "from reject_errors group by 1 order by 1"
        ).fetchall()
        if not rows and not self._casts:
            return
        index = LineIndex(self.path, [int(row[0]) - 1 for row in rows], [row[3] for row in rows])
        found: list[tuple[int, str, str | bytes, str]] = []
        for gap, (_, kind, message, _line) in zip(index.gaps, rows, strict=True):
            reason = _REASONS.get(kind, kind.lower())
            detail = f": {message}" if kind.endswith("COLUMNS") else ""
            found.append((gap.line, "", index.raw(gap), f"{reason}{detail}"))
        if self._casts:
            first = 1 + self._dialect.skip_rows + self._header_lines()
            blanks = index.blank_lines(
                first=first, records=self._rows + self._newlines, dialect=self._dialect
            )
            lines = Gap.lines_of([entry[0] for entry in self._casts], first, [*index.gaps, *blanks])
            for line, (_, _, column, text, reason) in zip(lines, self._casts, strict=True):
                found.append((line, column, text, reason))
        for line, column, raw, reason in sorted(found, key=lambda entry: entry[0]):
            self.log.add(line, raw, reason, column)

    def _header_lines(self) -> int:
        if not self._header:
            return 0
        sample = head_of(self.path, _DIALECT_BYTES).decode("utf-8", "replace")
        lines = sample.removeprefix("\ufeff").splitlines(keepends=True)[self._dialect.skip_rows :]
        reader = csv.reader(
            io.StringIO("".join(lines), newline=""),
            delimiter=self._dialect.delimiter,
            quotechar=self._dialect.quote or None,
        )
        for record in reader:
            if record:
                break
        return reader.line_num

    # -- starting again ---------------------------------------------------------------

    def restart(self) -> None:
        super().restart()
        self._stop()
        self._begin()

    def _normalize_newlines(self) -> None:
        """Lone carriage returns among line feeds: DuckDB reads no file that mixes them."""
        target = self.scratch / "newlines"
        with self.path.open("rb") as source, target.open("wb") as sink:
            carried = b""
            while chunk := source.read(MIB):
                chunk = carried + chunk
                carried = b"\r" if chunk.endswith(b"\r") else b""
                body = chunk[: len(chunk) - len(carried)]
                sink.write(body.replace(b"\r\n", b"\n").replace(b"\r", b"\n"))
            sink.write(b"\n" if carried else b"")
        self.path = target
        self._normalized = True
        self.notes.append("mixed line ends are read as line feeds")

    def _stop(self) -> None:
        self._texts.close()
        # Not only closed: Arrow keeps our stream when a write fails, and DuckDB prints what
        # it finds alive at the interpreter's end.
        connection, self._connection = self._connection, None
        if connection is not None:
            connection.close()

    def close(self) -> None:
        self._stop()
        super().close()


def _query(path: Path, dialect: Dialect, header: bool, width: int, max_rejects: int) -> str:
    columns = ", ".join(f"'c{index}': 'VARCHAR'" for index in range(width))
    options = {
        "auto_detect": "false",
        "delim": _literal(dialect.delimiter),
        "quote": _literal(dialect.quote),
        "escape": _literal(dialect.escape),
        "header": str(header).lower(),
        "skip": str(dialect.skip_rows),
        "columns": f"{{{columns}}}",
        "nullstr": "''",
        "allow_quoted_nulls": "false",
        "compression": "'none'",
        "max_line_size": str(_MAX_LINE_BYTES),
        "buffer_size": str(_BUFFER_BYTES),
        "store_rejects": "true",
        "rejects_limit": str(max_rejects + 1),
        "rejects_line_size_limit": str(MAX_REJECT_TEXT_BYTES),
    }
    arguments = ", ".join(f"{name} = {value}" for name, value in options.items())
    return f"from read_csv({_literal(str(path))}, {arguments})"


def _literal(text: str) -> str:
    return "'" + text.replace("'", "''") + "'"


def _mixed_line_ends(error: Exception) -> bool:
    # What DuckDB says of a lone carriage return in a file of line feeds.
    return "invalid state" in str(error)


def _unreadable(name: str, error: Exception) -> InvalidInput:
    message = str(error).splitlines()[0] if str(error) else type(error).__name__
    return InvalidInput(
        "the text cannot be read as records",
        found=message,
        where=name,
        hint="Name its delimiter, quote, escape or encoding.",
    )
