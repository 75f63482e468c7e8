"""Rows of foreign files on their way to become events: read in bounded pieces, checked by place.

Nothing here trusts a file: a line, a record and a piece have a bound, JSON is decoded with
a bounded depth, and what cannot be read is refused with its line.
"""

from __future__ import annotations

import itertools
import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, BinaryIO, Final

import msgspec

from lakecore.base import InvalidInput
from lakecore.base.limits import MAX_VALUE_BYTES, MIB
from lakecore.journal._events.event import _column_of
from lakecore.journal._events.rules import FIELDS, INTEGERS, check_names, check_row

if TYPE_CHECKING:
    import pyarrow as pa

BATCH_EVENTS: Final = 10_000
BATCH_BYTES: Final = 32 * MIB
MAX_LINE_BYTES: Final = 4 * MAX_VALUE_BYTES
"""Of NDJSON: three values of 64 MiB and the rest of an event."""
MAX_RECORD_BYTES: Final = 64 * MIB
"""Of CSV: what its reader takes at once."""
MAX_COLUMNS: Final = 1_024

_ROW: Final = re.compile(r"row (\d+)(?:, field (\w+))?")
_PLACED: Final = ("seq", "leaf")
"""Given by the journal: in a file they are what another journal gave."""
_NUMBER: Final = re.compile(r"-?[0-9]{1,18}")
_KNOWN: Final = frozenset(FIELDS)
_decode: Final = msgspec.json.Decoder(dict[str, Any]).decode


@dataclass(frozen=True, slots=True)
class BadRow:
    """A row that cannot be an event: its line (CSV, NDJSON) or row (Parquet), counted from 1."""

    line: int
    field: str | None
    reason: str


class Rows:
    """Some rows of a file. `lines[i]` is where row i is; `table` or `mappings` has them."""

    def __init__(
        self,
        lines: range | list[int],
        *,
        table: pa.Table | None = None,
        mappings: list[Mapping[str, object]] | None = None,
        bad: list[BadRow] | None = None,
    ) -> None:
        self.lines = lines
        self._table = table
        self._mappings = mappings
        self._bad = bad or []

    def __len__(self) -> int:
        return len(self.lines)

    def from_row(self, first: int) -> Rows:
        """Without the first rows."""
        if self._table is not None:
            return Rows(self.lines[first:], table=self._table.slice(first), bad=self._bad)
        return Rows(self.lines[first:], mappings=(self._mappings or [])[first:], bad=self._bad)

    def seqs(self) -> list[int | None]:
        """The positions that the rows had in the journal that they are from."""
        if self._table is None:
            found = [row.get("seq") for row in self._mappings or []]
        elif "seq" in self._table.schema.names:
            found = self._table.column("seq").to_pylist()
        else:
            found = [None] * len(self)
        return [seq if type(seq) is int else None for seq in found]

    def batch(self) -> pa.Table:
        """The rows as a batch of events, in the columns that the file has.

        Nothing is filled in here: what a caller did not supply is not compared when the same
        event comes again.

        Raises:
            InvalidInput: a row is none; `bad_rows` says which.
        """
        import pyarrow as pa

        if self._bad:
            raise InvalidInput(self._bad[0].reason)
        if self._table is not None:
            return _without(self._table)
        rows = self._mappings or []
        there = frozenset().union(*(row.keys() for row in rows)).difference(_PLACED)
        names = [name for name in FIELDS if name in there]
        try:
            return pa.table({name: _cells(name, [row.get(name) for row in rows]) for name in names})
        except (pa.ArrowException, TypeError, ValueError, OverflowError) as error:
            raise InvalidInput("a row cannot be an event", found=error) from error

    def bad_rows(self) -> Iterator[BadRow]:
        """Every row that cannot be an event, one after the other."""
        yield from self._bad
        mappings: Iterable[Mapping[str, object]] = self._mappings or []
        if self._table is not None:
            mappings = _pylist(_without(self._table))
        for line, mapping in zip(self.lines, mappings, strict=False):
            row = _without_place(mapping)
            try:
                check_row([row.get(name) for name in FIELDS], line)
            except InvalidInput as error:
                yield bad_row(line, error)


def bad_row(line: int, error: InvalidInput) -> BadRow:
    """What an error of the rules says of a line."""
    found = _ROW.search(error.where or "")
    parts = [error.message]
    if error.expected is not None:
        parts.append(f"expected {error.expected}")
    if error.found is not None:
        parts.append(f"found {error.found[:200]}")
    return BadRow(line, found[2] if found else None, ", ".join(parts))


def read_ndjson(source: BinaryIO, *, ignore_unknown: bool) -> Iterator[Rows]:
    """The objects of the lines; blank lines are passed over."""
    lines: list[int] = []
    mappings: list[Mapping[str, object]] = []
    bad: list[BadRow] = []
    size_bytes = 0
    for number in itertools.count(1):
        line = source.readline(MAX_LINE_BYTES + 1)
        if not line:
            break
        if len(line) > MAX_LINE_BYTES:
            raise InvalidInput(
                "a line is too long", expected=f"at most {MAX_LINE_BYTES} bytes", where=number
            )
        if not line.strip():
            continue
        try:
            mapping = _object(line.removeprefix(b"\xef\xbb\xbf") if number == 1 else line)
        except InvalidInput as error:
            bad.append(BadRow(number, None, str(error)))
        else:
            lines.append(number)
            mappings.append(_known(mapping, f"line {number}", ignore_unknown))
        size_bytes += len(line)
        if len(lines) + len(bad) >= BATCH_EVENTS or size_bytes >= BATCH_BYTES:
            yield Rows(lines, mappings=mappings, bad=bad)
            lines, mappings, bad, size_bytes = [], [], [], 0
    if lines or bad:
        yield Rows(lines, mappings=mappings, bad=bad)


def read_csv(source: BinaryIO, *, ignore_unknown: bool) -> Iterator[Rows]:
    """The records behind the header: nothing between commas is null, ``""`` an empty text."""
    import pyarrow as pa
    import pyarrow.csv as pc_csv

    refused: list[str] = []
    blank = 0

    def refuse(row: Any) -> str:
        nonlocal blank
        if row.actual_columns <= 1 and not row.text.strip():
            blank += 1
        else:
            refused.append(f"{row.actual_columns} fields instead of {row.expected_columns}")
        return "skip" if not refused else "error"

    line = 2
    try:
        reader = pc_csv.open_csv(
            source,
            read_options=pc_csv.ReadOptions(block_size=MAX_RECORD_BYTES, use_threads=False),
            parse_options=pc_csv.ParseOptions(
                newlines_in_values=True, ignore_empty_lines=False, invalid_row_handler=refuse
            ),
            convert_options=pc_csv.ConvertOptions(
                column_types=dict.fromkeys(FIELDS, pa.string()),
                strings_can_be_null=True,
                quoted_strings_can_be_null=False,
                null_values=[""],
                auto_dict_encode=False,
            ),
        )
        names = _columns(reader.schema.names, ignore_unknown)
        for batch in reader:
            table = pa.Table.from_batches([batch]).select(names)
            lines = _lines_of(table, line)
            for start in range(0, table.num_rows, BATCH_EVENTS):
                yield _typed(table.slice(start, BATCH_EVENTS), lines[start : start + BATCH_EVENTS])
            line = lines[-1] + 1 + blank if lines else line
    except pa.ArrowInvalid as error:
        where = f"line {line} or later"
        if refused:
            raise InvalidInput("a record is not as wide as the header", found=refused[0]) from error
        raise InvalidInput("not readable as CSV", found=error, where=where) from error


def read_parquet(source: BinaryIO, *, ignore_unknown: bool) -> Iterator[Rows]:
    """The rows of a Parquet file, in their types."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    row = 1
    try:
        parquet = pq.ParquetFile(source)
        names = _columns(parquet.schema_arrow.names, ignore_unknown)
        for batch in parquet.iter_batches(batch_size=BATCH_EVENTS, columns=names):
            yield Rows(range(row, row + batch.num_rows), table=pa.Table.from_batches([batch]))
            row += batch.num_rows
    except (pa.ArrowException, OSError) as error:
        raise InvalidInput(
            "not readable as Parquet", found=error, where=f"row {row} or later"
        ) from error


def _columns(names: list[str], ignore_unknown: bool) -> list[str]:
    if len(names) > MAX_COLUMNS:
        raise InvalidInput("too many columns", expected=MAX_COLUMNS, found=len(names))
    if not ignore_unknown:
        _check_known(names, "the columns")
    known = [name for name in names if name in FIELDS]
    if twice := sorted({name for name in known if known.count(name) > 1}):
        raise InvalidInput("a column is there twice", found=", ".join(twice))
    return known


def _check_known(names: Iterable[str], where: str) -> None:
    unknown = [name for name in names if name not in FIELDS]
    if not unknown:
        return
    try:
        check_names(unknown, FIELDS, where=where)
    except InvalidInput as error:
        raise InvalidInput(
            error.message,
            expected=error.expected,
            found=", ".join(map(repr, unknown[:20])),
            where=where,
            hint="--ignore-unknown leaves such columns out",
        ) from None


def _object(line: bytes) -> dict[str, Any]:
    try:
        return _decode(line)
    except msgspec.ValidationError as error:
        raise InvalidInput("a line is not a JSON object") from error
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        raise InvalidInput("a line is not JSON", found=error) from error
    except RecursionError as error:
        raise InvalidInput("JSON is nested too deeply") from error


def _known(mapping: dict[str, Any], where: str, ignore_unknown: bool) -> dict[str, Any]:
    if mapping.keys() <= _KNOWN:
        return mapping
    if not ignore_unknown:
        _check_known(mapping, where)
    return {name: value for name, value in mapping.items() if name in FIELDS}


def _without(table: pa.Table) -> pa.Table:
    return table.select([name for name in table.schema.names if name not in _PLACED])


def _without_place(row: Mapping[str, object]) -> Mapping[str, object]:
    return {name: value for name, value in row.items() if name not in _PLACED}


def _pylist(table: pa.Table) -> list[Mapping[str, object]]:
    import pyarrow as pa

    if "timestamp" in table.schema.names and pa.types.is_timestamp(table["timestamp"].type):
        # As text: a moment may be outside of what Python's datetime holds.
        at = table.schema.get_field_index("timestamp")
        table = table.set_column(at, "timestamp", table["timestamp"].cast(pa.string()))
    return list(table.to_pylist())


def _cells(name: str, cells: list[Any]) -> pa.ChunkedArray:
    """A column of values from JSON; a time in our own form is read without a look at each."""
    import pyarrow as pa
    import pyarrow.compute as pc

    if name == "timestamp" and all(type(cell) is str for cell in cells):
        texts = pa.array(cells, pa.string())
        if pc.all(pc.match_substring_regex(texts, _OUR_TIME)).as_py():
            return pa.chunked_array([pc.cast(texts, pa.timestamp("us", "UTC"))])
    return _column_of(name, tuple(cells))


def _lines_of(table: pa.Table, first: int) -> list[int]:
    """The line on which each record begins: texts may have line ends in them."""
    import pyarrow.compute as pc

    breaks = None
    for column in table.columns:
        found = pc.fill_null(pc.count_substring(column, "\n"), 0)
        breaks = found if breaks is None else pc.add(breaks, found)
    lines, line = [], first
    for count in breaks.to_pylist() if breaks is not None else ():
        lines.append(line)
        line += 1 + count
    return lines


def _typed(table: pa.Table, lines: list[int]) -> Rows:
    """The texts of a CSV file in the types of their columns, row by row where one does not fit."""
    import pyarrow as pa
    import pyarrow.compute as pc

    texts = table
    try:
        for name in table.schema.names:
            at = table.schema.get_field_index(name)
            if name in INTEGERS:
                table = table.set_column(at, name, pc.cast(table.column(name), pa.int64()))
        if "timestamp" in table.schema.names:
            at = table.schema.get_field_index("timestamp")
            times = table.column("timestamp")
            if not pc.all(pc.match_substring_regex(times, _OUR_TIME)).as_py():
                raise pa.ArrowInvalid("another form of time")
            moments = pc.cast(times, pa.timestamp("us", "UTC"))
            table = table.set_column(at, "timestamp", moments)
        return Rows(lines, table=table)
    except pa.ArrowInvalid:
        return Rows(lines, mappings=[_plain(row) for row in texts.to_pylist()])


_OUR_TIME: Final = r"^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{6}Z$"


def _plain(row: dict[str, Any]) -> Mapping[str, object]:
    for name in INTEGERS:
        text = row.get(name)
        if isinstance(text, str) and _NUMBER.fullmatch(text):
            row[name] = int(text)
    return row
