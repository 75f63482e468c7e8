"""Leaf version 1: the bytes of an event that the Merkle tree commits to.

The canonical event is the RFC 8785 text of one object with all staged fields:

- `seq` and `leaf` are left out, every other field is there, nulls included;
- `timestamp` is RFC 3339 with six digits and ``Z``, `version` an integer below 2^53 or null;
- `old_value`, `new_value` and `context` that take more than 16 KiB here, escaped, enter as
  ``{"bytes": n, "sha256": "<hex>"}`` of what is stored; other texts take 1 KiB at most;
- a leaf is SHA-256(0x00 ‖ canonical event).

`leaf_line` is the definition, in plain Python; `leaf_lines` gives the same bytes for whole
tables. Anybody can repeat a leaf with a JSON library and ``sha256sum``.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Collection, Iterator
from typing import Final

import numpy as np
import polars as pl
import pyarrow as pa
import pyarrow.compute as pc

from lakecore.base import Inconclusive, InvalidInput, format_timestamp
from lakecore.base.limits import MAX_EVENT_TEXT_BYTES, MAX_INLINE_VALUE_BYTES
from lakecore.journal._events.escaped import escaped_size, escaped_sizes
from lakecore.journal._events.event import LEAF_VERSION, Event, arrow_to_events, staged_schema
from lakecore.journal._events.joined import joined_lines
from lakecore.journal._events.rules import (
    JSON_FIELDS,
    MAX_INTEGER,
    MAX_TIMESTAMP_US,
    MIN_TIMESTAMP_US,
    PLAIN,
    STAGED_FIELDS,
    to_microseconds,
)
from lakecore.tlog import HASH_BYTES, Hashes, sha256_rows

LEAF_PREFIX: Final = b"\x00"
LEAF_FIELDS: Final = tuple(sorted(STAGED_FIELDS))
"""The canonical order; for ASCII names the order of code points is RFC 8785's."""

_CHUNK_ROWS: Final = 16_384
"""Lines are made in chunks that stay in the cache."""
_FEW_ROWS: Final = 8
"""Up to here one line after the other is faster than columns."""


def leaf_line(event: Event) -> bytes:
    """The canonical event (UTF-8).

    Raises:
        Inconclusive: the event has a leaf version that this Lakecore does not know.
        InvalidInput: it has no timestamp, or a value that leaf version 1 cannot hold.
    """
    _check_versions({event.leaf})
    if event.timestamp is None:
        raise InvalidInput("an event without a timestamp has no leaf", found=event.event_id)
    members = []
    for name in LEAF_FIELDS:
        value = getattr(event, name)
        if name == "timestamp":
            value = format_timestamp(to_microseconds(event.timestamp))
        elif name in JSON_FIELDS and value is not None:
            value = _inline_or_digest(value)
        members.append(f"{_rfc8785(name)}:{_rfc8785(value)}")
    return ("{" + ",".join(members) + "}").encode()


def leaf_lines(events: pa.Table) -> pa.ChunkedArray:
    """The canonical events of a table as large_binary, row for row those of `leaf_line`.

    The table has the sealed or the staged schema; further columns do not enter.

    Raises:
        Inconclusive: a row has a leaf version that this Lakecore does not know.
        InvalidInput: a row holds what leaf version 1 cannot hold.
    """
    return _all_lines(events, b"")


def leaf_inputs(events: pa.Table) -> pa.ChunkedArray:
    """As `leaf_lines`, each behind the prefix: what leaves are the SHA-256 of, without a copy.

    No line begins with the prefix, or has its byte anywhere: JSON escapes it.
    """
    return _all_lines(events, LEAF_PREFIX)


def event_hashes(events: pa.Table, constant: Collection[str] = ()) -> Hashes:
    """The leaf hashes of a table, as `leaf_hashes` of its `leaf_lines`, without keeping lines.

    Of `constant` columns, which have one value in all rows, only the first row is looked at.
    """
    staged = _checked(events, constant)
    if 0 < staged.num_rows <= _FEW_ROWS:
        digests = [
            hashlib.sha256(LEAF_PREFIX + leaf_line(event)).digest()
            for event in arrow_to_events(staged)
        ]
        return np.frombuffer(b"".join(digests), np.uint8).reshape(-1, HASH_BYTES)
    hashes = np.empty((staged.num_rows, HASH_BYTES), dtype=np.uint8)
    done = 0
    for chunk in _chunks(staged):
        # Hashed while they are in the cache, with the prefix already in place.
        hashes[done : done + len(chunk)] = sha256_rows(_lines_of(chunk, LEAF_PREFIX, constant))
        done += len(chunk)
    return hashes


def leaf_hashes(lines: pa.Array | pa.ChunkedArray) -> Hashes:
    """SHA-256(0x00 ‖ line) for each line, shape (n, 32), in the order of the lines."""
    return sha256_rows(lines, LEAF_PREFIX)


def _all_lines(events: pa.Table, prefix: bytes) -> pa.ChunkedArray:
    staged = _checked(events)
    chunks = [_lines_of(chunk, prefix).cast(pa.large_binary()) for chunk in _chunks(staged)]
    return pa.chunked_array(chunks, pa.large_binary())


def _checked(events: pa.Table, constant: Collection[str] = ()) -> pa.Table:
    """The staged fields of events that have a leaf."""
    if "leaf" in events.schema.names:
        _check_versions(set(events.column("leaf").unique().to_pylist()))
    staged = events.select(list(STAGED_FIELDS))
    if staged.schema.types != staged_schema().types:
        staged = staged.cast(_nullable(staged_schema()))
    _check_cells(staged, constant)
    return staged


def _chunks(staged: pa.Table) -> Iterator[pa.Table]:
    for start in range(0, staged.num_rows, _CHUNK_ROWS):
        yield staged.slice(start, _CHUNK_ROWS)


def _lines_of(staged: pa.Table, prefix: bytes = b"", constant: Collection[str] = ()) -> pa.Array:
    """The lines of a chunk, as a binary array."""
    long_rows = _rows_with_long_values(staged, constant)
    whole = staged
    if long_rows is not None:
        constant = ()
        # A placeholder keeps the long texts out of the encoder: their rows are replaced.
        for name in JSON_FIELDS:
            at = staged.schema.get_field_index(name)
            short = pc.if_else(long_rows, "", staged.column(name))
            staged = staged.set_column(at, name, short)
    lines = joined_lines(staged, LEAF_FIELDS, prefix=prefix.decode(), constant=constant)
    if lines is None:
        lines = _encoded_lines(staged, prefix)
    if long_rows is None:
        return lines
    events = arrow_to_events(whole.filter(long_rows))
    replacements = pa.array([prefix + leaf_line(event) for event in events], lines.type)
    return pc.replace_with_mask(lines, long_rows.combine_chunks(), replacements)


def _encoded_lines(staged: pa.Table, prefix: bytes) -> pa.Array:
    """The lines of any chunk, cell by cell."""
    frame = pl.DataFrame(pl.from_arrow(staged)).select(
        pl.struct(
            _timestamp_text(staged) if name == "timestamp" else pl.col(name) for name in LEAF_FIELDS
        )
        .struct.json_encode()
        .alias("line")
    )
    lines = frame.to_arrow().column("line").combine_chunks().cast(pa.large_binary())
    if not prefix:
        return lines
    first, between = (pa.scalar(part, lines.type) for part in (prefix, b""))
    return pc.binary_join_element_wise(first, lines, between)


def _timestamp_text(staged: pa.Table) -> pl.Expr:
    # The format fixes six digits; the encoder's own form of a timestamp does not.
    found = pc.min_max(staged.column("timestamp").cast(pa.int64())).as_py()
    if found["min"] == found["max"] and found["min"] is not None:
        # One commit has one timestamp: formatting it once is a fifth of the whole work less.
        return pl.lit(format_timestamp(found["min"])).alias("timestamp")
    return pl.col("timestamp").dt.strftime("%Y-%m-%dT%H:%M:%S.%6fZ")


def _rows_with_long_values(
    staged: pa.Table, constant: Collection[str] = ()
) -> pa.ChunkedArray | None:
    masks = []
    for name in JSON_FIELDS:
        if name in constant and not _is_long(staged.column(name).slice(0, 1)):
            continue
        if _is_long(staged.column(name)):
            sizes = escaped_sizes(staged.column(name), MAX_INLINE_VALUE_BYTES)
            masks.append(pc.fill_null(pc.greater(sizes, MAX_INLINE_VALUE_BYTES), False))
    if not masks:
        return None
    result = masks[0]
    for mask in masks[1:]:
        result = pc.or_(result, mask)
    return result


def _is_long(column: pa.ChunkedArray) -> bool:
    sizes = escaped_sizes(column, MAX_INLINE_VALUE_BYTES)
    return (pc.max(sizes).as_py() or 0) > MAX_INLINE_VALUE_BYTES


def _check_versions(versions: set[int | None]) -> None:
    if unknown := versions - {LEAF_VERSION}:
        raise Inconclusive(
            "leaf version is not known here",
            expected=LEAF_VERSION,
            found=", ".join(map(str, unknown)),
            hint="Look with a newer Lakecore.",
        )


def _check_cells(staged: pa.Table, constant: Collection[str] = ()) -> None:
    columns = {name: staged.column(name) for name in staged.schema.names}
    columns |= {name: columns[name].slice(0, 1) for name in constant}
    for field in staged_schema():
        column = columns[field.name]
        if not field.nullable and column.null_count:
            raise InvalidInput("an event with this null has no leaf", where=f"field {field.name}")
    for name in PLAIN:
        longest = pc.max(escaped_sizes(columns[name], MAX_EVENT_TEXT_BYTES)).as_py() or 0
        if longest > MAX_EVENT_TEXT_BYTES:
            raise InvalidInput(
                "text is too long for a leaf",
                expected=f"at most {MAX_EVENT_TEXT_BYTES} bytes, escaped as in JSON",
                found=longest,
                where=f"field {name}",
            )
    bounds = {"timestamp": (MIN_TIMESTAMP_US, MAX_TIMESTAMP_US), "version": (0, MAX_INTEGER)}
    for name, (low, high) in bounds.items():
        found = pc.min_max(columns[name].cast(pa.int64())).as_py()
        if found["min"] is not None and (found["min"] < low or found["max"] > high):
            raise InvalidInput(
                "out of range for a leaf",
                expected=f"{low} to {high}",
                found=f"{found['min']} to {found['max']}",
                where=f"field {name}",
            )


def _nullable(schema: pa.Schema) -> pa.Schema:
    """The schema without its promises: what a file holds is checked, not believed."""
    return pa.schema([field.with_nullable(True) for field in schema])


def _inline_or_digest(text: str) -> str | dict[str, object]:
    if escaped_size(text) <= MAX_INLINE_VALUE_BYTES:
        return text
    data = text.encode()
    return {"bytes": len(data), "sha256": hashlib.sha256(data).hexdigest()}


def _rfc8785(value: object) -> str:
    """RFC 8785 of the values that a leaf has: strings, null, integers below 2^53, objects."""
    if isinstance(value, dict):
        # Names are ASCII here, for which sorting by UTF-16 is sorting by code point.
        members = (f"{_rfc8785(name)}:{_rfc8785(value[name])}" for name in sorted(value))
        return "{" + ",".join(members) + "}"
    if value is None or isinstance(value, str):
        # The standard library escapes what RFC 8785 section 3.2.2.2 escapes, the same way.
        return json.dumps(value, ensure_ascii=False)
    if type(value) is int and 0 <= value <= MAX_INTEGER:
        return str(value)
    raise InvalidInput(
        "a leaf cannot hold this", expected="text, null, 0 to 2^53 - 1", found=repr(value)
    )
