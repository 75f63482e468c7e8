"""Where a rejected record lies: physical lines and raw bytes, from offsets and counts.

DuckDB tells a rejected record's byte offset; its 'line' counts records, not lines. An
accepted row has no position at all: its line follows from how many rows, line breaks
inside values, rejected records and blank lines come before it.
"""

from __future__ import annotations

import csv
import io
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from lakecore.ingest._options import MAX_REJECT_TEXT_BYTES

if TYPE_CHECKING:
    import pyarrow as pa

    from lakecore.ingest._dialect import Dialect

_CHUNK_BYTES: Final = 4 << 20


@dataclass(frozen=True, slots=True)
class Gap:
    """`span` physical lines from `line` on that hold no accepted row."""

    line: int
    span: int
    offset: int = 0

    @staticmethod
    def lines_of(before: Sequence[int], first: int, gaps: Sequence[Gap]) -> list[int]:
        """The physical lines of accepted rows, given how many lines of accepted rows
        come before each, the first data line, and all gaps."""
        import numpy as np

        ordered = sorted((gap for gap in gaps if gap.line >= first), key=lambda gap: gap.line)
        spans = np.array([gap.span for gap in ordered], dtype=np.int64)
        skipped = np.concatenate([[0], np.cumsum(spans)]).astype(np.int64)
        starts = np.array([gap.line for gap in ordered], dtype=np.int64) - first - skipped[:-1]
        offsets = np.asarray(before, dtype=np.int64)
        index = np.searchsorted(starts, offsets, side="right")
        lines: list[int] = (first + offsets + skipped[index]).tolist()
        return lines


class LineIndex:
    """Physical lines of byte offsets, from one pass over the file."""

    def __init__(self, path: Path, offsets: Sequence[int], texts: Sequence[str | None]) -> None:
        self._path = path
        self._total_lines = 0
        with path.open("rb") as file:
            sample = file.read(1 << 16)
        self._newline = b"\n" if b"\n" in sample or b"\r" not in sample else b"\r"
        starts, spans = [], []
        with path.open("rb") as file:
            for offset, text in zip(offsets, texts, strict=True):
                # DuckDB counts the line ends of blank lines before it to the record.
                file.seek(offset)
                head = file.read(4096)
                starts.append(offset + len(head) - len(head.lstrip(b"\r\n")))
                body = (text or "").lstrip("\r\n").rstrip("\r\n")
                spans.append(1 + body.count(self._newline.decode()))
        lines = self._lines_at(starts)
        self.gaps = [
            Gap(line, span, start) for line, span, start in zip(lines, spans, starts, strict=True)
        ]

    def _lines_at(self, offsets: Sequence[int]) -> list[int]:
        lines, position, count, pending = [], 0, 0, list(reversed(offsets))
        last = b""
        with self._path.open("rb") as file:
            while chunk := file.read(_CHUNK_BYTES):
                done = 0
                while pending and pending[-1] < position + len(chunk):
                    upto = pending.pop() - position
                    count += chunk.count(self._newline, done, upto)
                    done = upto
                    lines.append(count + 1)
                count += chunk.count(self._newline, done)
                position += len(chunk)
                last = chunk[-1:]
        lines += [count + 1] * len(pending)
        self._total_lines = count + (last not in (self._newline, b""))
        return lines

    def raw(self, gap: Gap) -> bytes:
        """The record's bytes as they lie in the file, without the final line end."""
        with self._path.open("rb") as file:
            file.seek(gap.offset)
            data = file.read(MAX_REJECT_TEXT_BYTES + 1)
        parts = data.split(self._newline)[: gap.span]
        return self._newline.join(parts).rstrip(b"\r\n")

    def blank_lines(self, *, first: int, records: int, dialect: Dialect) -> list[Gap]:
        """The blank lines between records; none when the lines add up without them.

        Whether a line break is inside quotes is told from the number of quotes before it,
        so after a record with broken quotes this may be off by a line.
        """
        rejected = sum(gap.span for gap in self.gaps)
        if first - 1 + records + rejected >= self._total_lines:
            return []
        return list(self._blank_lines(dialect.quote.encode()))

    def _blank_lines(self, quote: bytes) -> Iterator[Gap]:
        quotes, line = 0, 0
        with self._path.open("rb") as file:
            for raw in file:
                line += 1
                if quotes % 2 == 0 and raw in (b"\n", b"\r\n"):
                    yield Gap(line, 1)
                if quote:
                    quotes += raw.count(quote)


def newline_counts(batch: pa.RecordBatch) -> Any:
    """Line breaks inside the values, per row, or None when there are none."""
    import numpy as np
    import pyarrow as pa
    import pyarrow.compute as pc

    total = None
    for column in batch.columns:
        # Long values of a view lie in data buffers, short ones in the view itself; both
        # are searched, so that a stray length byte of 10 costs a count and nothing else.
        if not any(
            data is not None and (np.frombuffer(data, dtype=np.uint8) == 10).any()
            for data in column.buffers()[1:]
        ):
            continue
        if pa.types.is_string_view(column.type):
            column = column.cast(pa.string())
        counts = pc.fill_null(pc.count_substring(column, "\n"), 0).to_numpy(zero_copy_only=False)
        total = counts.astype(np.int64) if total is None else total + counts
    return total


def record_text(fields: Sequence[str | None], dialect: Dialect) -> str:
    """A record's values written again in its dialect."""
    doubled = dialect.escape == dialect.quote or not dialect.quote
    sink = io.StringIO()
    writer = csv.writer(
        sink,
        delimiter=dialect.delimiter,
        quotechar=dialect.quote or '"',
        doublequote=doubled,
        escapechar=None if doubled else dialect.escape or None,
        lineterminator="",
    )
    writer.writerow(["" if field is None else field for field in fields])
    return sink.getvalue()
