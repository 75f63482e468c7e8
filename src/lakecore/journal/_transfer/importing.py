"""Events from a file, as an export writes them: checked, then recorded batch by batch.

- A file may have all of an event's fields or only some; `entity_type`, `entity_id` and
  `action` must be there. `seq` and `leaf` are passed over: an imported event gets a new
  position and the leaf version of today.
- A batch (10,000 events) is recorded whole or not at all. An import that broke off is run
  again as it was: events whose ids are in the journal already are not recorded twice.
  Without ids in the file, the error says how many rows to skip.
- A dry run checks every row and records nothing.
"""

from __future__ import annotations

import io
import os
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, BinaryIO, Final, cast

import msgspec

from lakecore.base import InvalidInput, LakecoreError, NotFound
from lakecore.journal._events.event import validate_batch
from lakecore.journal._transfer.rows import BadRow, Rows, read_csv, read_ndjson, read_parquet

if TYPE_CHECKING:
    import pyarrow as pa

FORMATS: Final = ("auto", "parquet", "ndjson", "csv")
MAX_LISTED: Final = 100
"""Bad rows that are listed; more are counted."""

parse_context: Final = msgspec.json.Decoder(dict[str, msgspec.Raw]).decode
_READERS: Final = {"parquet": read_parquet, "ndjson": read_ndjson, "csv": read_csv}


@dataclass(slots=True)
class ImportResult:
    """What became of a file's rows.

    Attributes:
        rows: that were read.
        recorded: that are durable now; 0 in a dry run.
        bad_count: that cannot be events; `bad` lists the first 100 of them.
    """

    format: str
    rows: int = 0
    recorded: int = 0
    bad_count: int = 0
    bad: list[BadRow] = field(default_factory=list)


def import_events(
    source: str | os.PathLike[str] | BinaryIO,
    record_batch: Callable[[pa.Table], int],
    *,
    now_us: int,
    format_name: str = "auto",
    ignore_unknown: bool = False,
    imported_from: str | None = None,
    skip_rows: int = 0,
    dry_run: bool = False,
) -> ImportResult:
    """Record the events of a file, or only check them.

    Args:
        record_batch: takes a checked table with ids; returns when it is durable.
        imported_from: a name that each event's context gets, with the `seq` that it had:
            ``{"imported_from": {"journal": <name>, "seq": <seq>}}``.
        skip_rows: pass over so many rows: those that an import before has recorded.

    Raises:
        InvalidInput: a row cannot be an event, or the file is none; what was recorded before
            is in the error's hint.
    """
    if format_name not in FORMATS:
        raise InvalidInput("no such format", expected=", ".join(FORMATS), found=format_name)
    if skip_rows < 0:
        raise InvalidInput("cannot skip", expected="0 rows or more", found=skip_rows)
    file, is_ours = _opened(source)
    try:
        chosen, file = _format(format_name, source, file)
        result = ImportResult(chosen)
        reader = _READERS[chosen](file, ignore_unknown=ignore_unknown)
        try:
            for rows in _from_row(reader, skip_rows):
                _take(rows, result, record_batch, now_us, imported_from, dry_run)
        except LakecoreError as error:
            if dry_run or not isinstance(error, InvalidInput):
                if not dry_run:
                    error.add_note(_progress(result, skip_rows))
                raise
            raise InvalidInput(
                error.message,
                expected=error.expected,
                found=error.found,
                where=error.where,
                hint=error.hint or _progress(result, skip_rows),
            ) from error
        return result
    finally:
        if is_ours:
            file.close()


def _take(
    rows: Rows,
    result: ImportResult,
    record_batch: Callable[[pa.Table], int],
    now_us: int,
    imported_from: str | None,
    dry_run: bool,
) -> None:
    try:
        events = rows.batch()
        if imported_from is not None:
            events = _with_origin(events, rows.seqs(), imported_from)
        if dry_run:
            validate_batch(events, now_us=now_us)
        else:
            result.recorded += record_batch(events)
    except InvalidInput as error:
        bad = rows.bad_rows()
        if not dry_run:
            first = next(bad, None)
            if first is None:
                raise
            where = f"{_unit(result.format)} {first.line}"
            where += f", field {first.field}" if first.field else ""
            raise InvalidInput(first.reason, where=where) from error
        found = list(bad)
        if not found:
            raise
        result.rows += len(rows)
        result.bad_count += len(found)
        result.bad += found[: MAX_LISTED - len(result.bad)]
        return
    result.rows += len(rows)


def _unit(format_name: str) -> str:
    return "row" if format_name == "parquet" else "line"


def _progress(result: ImportResult, skip_rows: int) -> str:
    done = result.rows + skip_rows
    return (
        f"{result.recorded} events before this are recorded; run it again to go on: events that "
        f"carry an id are not recorded twice; without ids, skip {done} rows"
    )


def _from_row(pieces: Iterator[Rows], skip: int) -> Iterator[Rows]:
    for rows in pieces:
        if skip >= len(rows) and skip:
            skip -= len(rows)
            continue
        yield rows.from_row(skip) if skip else rows
        skip = 0


def _opened(source: str | os.PathLike[str] | BinaryIO) -> tuple[BinaryIO, bool]:
    if not isinstance(source, (str, os.PathLike)):
        return source, False
    try:
        return open(source, "rb"), True
    except FileNotFoundError:
        raise NotFound("there is no such file", where=source) from None
    except OSError as error:
        raise InvalidInput("the file cannot be read", found=error.strerror, where=source) from error


def _format(
    name: str, source: str | os.PathLike[str] | BinaryIO, file: BinaryIO
) -> tuple[str, BinaryIO]:
    """The format and the file from its start: named, by the first bytes otherwise.

    Parquet is read from its end: a stream that cannot seek is taken into memory for it.
    """
    if not file.seekable():
        buffered = io.BufferedReader(cast(io.RawIOBase, file))
        head = buffered.peek(4)[:4]
        file = buffered
    else:
        head = file.read(4)
        file.seek(-len(head), os.SEEK_CUR)
    if name == "auto":
        first = head.removeprefix(b"\xef\xbb\xbf").lstrip()[:1]
        name = "parquet" if head == b"PAR1" else "ndjson" if first == b"{" else "csv"
    if name == "parquet" and not file.seekable():
        raise InvalidInput("Parquet is read from its end", hint="give a file, not a pipe")
    return name, file


def _with_origin(events: pa.Table, seqs: list[int | None], journal: str) -> pa.Table:
    """The events with the place that they are from in their context."""
    import pyarrow as pa

    if "context" not in events.schema.names:
        events = events.append_column("context", pa.nulls(events.num_rows, pa.string()))
    texts = []
    for text, seq in zip(events.column("context").to_pylist(), seqs, strict=True):
        # Raw: the values of the other members keep their spelling.
        try:
            members = parse_context(text if isinstance(text, str) else "{}")
        except (msgspec.DecodeError, RecursionError) as error:
            raise InvalidInput("context is not a JSON object", found=error) from error
        members["imported_from"] = msgspec.Raw(
            msgspec.json.encode({"journal": journal, "seq": seq})
        )
        texts.append(msgspec.json.encode(members).decode())
    at = events.schema.get_field_index("context")
    return events.set_column(at, "context", pa.array(texts, pa.string()))
