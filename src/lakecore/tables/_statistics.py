"""The statistics of a data file, as the Delta log keeps them: never wrong, so often absent.

Taken from the Parquet footer that has just been written. A reader skips a file when the
bounds say that nothing in it can match, so a bound that is too narrow loses rows:

- text is cut to 32 characters, and a cut maximum is rounded up to the next prefix;
- timestamps are milliseconds, rounded down for the minimum and up for the maximum;
- a float column with NaN or infinities, a decimal beyond 15 digits, a date or time outside
  the years 1 to 9999, and nested, boolean and binary columns have no bounds.
"""

from __future__ import annotations

import json
from collections.abc import Collection, Iterator
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from decimal import Decimal
from math import isfinite
from typing import Any, Final

import pyarrow as pa
from pyarrow import types as pat

MAX_COLUMNS: Final = 64
"""Columns beyond this many have no statistics, unless they are keys."""

MAX_TEXT_CHARACTERS: Final = 32
MAX_EXACT_DECIMAL_DIGITS: Final = 15
"""Readers may take a JSON number for a double, which is exact up to here."""

_EPOCH_DATE: Final = date(1970, 1, 1)
_EPOCH: Final = datetime(1970, 1, 1)  # noqa: DTZ001  # arithmetic only, the zone is appended
_MIN_US: Final = -62_135_596_800_000_000
_MAX_US: Final = 253_402_300_799_000_000
_LAST_CHARACTER: Final = 0x10FFFF


@dataclass(frozen=True, slots=True)
class ColumnBounds:
    """Nulls of one column, and its bounds as JSON values when they are safe."""

    nulls: int | None
    minimum: Any = None
    maximum: Any = None


def statistics_json(
    metadata: Any, schema: pa.Schema, *, nan_columns: Collection[str], keys: Collection[str] = ()
) -> str:
    """The `stats` text of the file with that footer.

    Args:
        metadata: `pyarrow.parquet.FileMetaData`.
        nan_columns: float columns that hold a NaN, which footers do not tell.
        keys: columns that have statistics wherever they stand.
    """
    stats: dict[str, Any] = {"numRecords": metadata.num_rows}
    lows: dict[str, Any] = {}
    highs: dict[str, Any] = {}
    nulls: dict[str, int] = {}
    for name, bounds in _columns(metadata, schema, set(nan_columns), set(keys)):
        if bounds.nulls is not None:
            nulls[name] = bounds.nulls
        if bounds.minimum is not None and bounds.maximum is not None:
            lows[name] = bounds.minimum
            highs[name] = bounds.maximum
    stats |= {"minValues": lows, "maxValues": highs, "nullCount": nulls}
    return json.dumps(stats, ensure_ascii=False, separators=(",", ":"), allow_nan=False)


def _columns(
    metadata: Any, schema: pa.Schema, nan_columns: set[str], keys: set[str]
) -> Iterator[tuple[str, ColumnBounds]]:
    leaf = 0
    for position, field in enumerate(schema):
        leaves = _leaf_count(field.type)
        wanted = position < MAX_COLUMNS or field.name in keys
        if wanted and not pat.is_nested(field.type):
            yield field.name, _bounds(metadata, leaf, field.type, field.name in nan_columns)
        leaf += leaves


def _leaf_count(kind: pa.DataType) -> int:
    if not pat.is_nested(kind):
        return 1
    return sum(_leaf_count(kind.field(position).type) for position in range(kind.num_fields))


def _bounds(metadata: Any, leaf: int, kind: pa.DataType, has_nan: bool) -> ColumnBounds:
    nulls = 0
    lows: list[Any] = []
    highs: list[Any] = []
    known = not has_nan
    for group in range(metadata.num_row_groups):
        chunk = metadata.row_group(group).column(leaf)
        found = chunk.statistics
        if found is None or not found.has_null_count:
            return ColumnBounds(None)
        nulls += found.null_count
        if found.null_count == metadata.row_group(group).num_rows:
            continue
        if not found.has_min_max:
            known = False
            continue
        raw = pat.is_temporal(kind)
        lows.append(found.min_raw if raw else found.min)
        highs.append(found.max_raw if raw else found.max)
    if not known or not lows:
        return ColumnBounds(nulls)
    return ColumnBounds(nulls, *safe_bounds(min(lows), max(highs), kind))


def safe_bounds(low: Any, high: Any, kind: pa.DataType) -> tuple[Any, Any]:
    """Bounds as JSON values that are not narrower than [low, high]; (None, None) if unknown.

    Temporal values come as their integers: days, or microseconds since 1970.

    >>> safe_bounds("a", "b" * 40, pa.string())
    ('a', 'bbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbc')
    >>> safe_bounds(-1, 1, pa.timestamp("us"))
    ('1969-12-31T23:59:59.999', '1970-01-01T00:00:00.001')
    """
    if pat.is_integer(kind):
        return low, high
    if pat.is_string(kind):
        return low[:MAX_TEXT_CHARACTERS], round_up_text(high)
    if pat.is_floating(kind):
        if not (isfinite(low) and isfinite(high)):
            return None, None
        # Which zero a footer holds is up to its writer: take the wider.
        return (low or -0.0), (high or 0.0)
    if pat.is_decimal(kind):
        if kind.precision > MAX_EXACT_DECIMAL_DIGITS:
            return None, None
        return _number(low), _number(high)
    if pat.is_date(kind):
        return _date_text(low, high)
    if pat.is_timestamp(kind):
        zone = "Z" if kind.tz else ""
        return _timestamp_text(low, high, zone)
    return None, None


def round_up_text(text: str) -> str | None:
    """The shortest-reaching prefix that is not less than `text` in code point order.

    None when there is no such prefix (every character is the last one there is).
    """
    if len(text) <= MAX_TEXT_CHARACTERS:
        return text
    cut = text[:MAX_TEXT_CHARACTERS]
    while cut:
        code = ord(cut[-1])
        if code < _LAST_CHARACTER:
            # Surrogates are no characters: step over them.
            following = 0xE000 if code == 0xD7FF else code + 1
            return cut[:-1] + chr(following)
        cut = cut[:-1]
    return None


def _number(value: Decimal) -> int | float:
    return int(value) if value == value.to_integral_value() else float(value)


def _date_text(low: int, high: int) -> tuple[str | None, str | None]:
    try:
        return (
            (_EPOCH_DATE + timedelta(days=low)).isoformat(),
            (_EPOCH_DATE + timedelta(days=high)).isoformat(),
        )
    except OverflowError:
        return None, None


def _timestamp_text(low_us: int, high_us: int, zone: str) -> tuple[str | None, str | None]:
    if low_us < _MIN_US or high_us > _MAX_US:
        return None, None
    low_ms = low_us // 1_000
    high_ms = -(-high_us // 1_000)
    texts = (
        (_EPOCH + timedelta(milliseconds=ms)).isoformat(timespec="milliseconds")
        for ms in (low_ms, high_ms)
    )
    return next(texts) + zone, next(texts) + zone
