"""Text to typed columns, losslessly, a batch at a time.

A column has the first of these types that every value of the sample has, null markers
left out:

==========  ==============================================================
boolean     ``true`` / ``false`` in any case (not 0/1, yes/no, t/f)
int64       decimal digits as an integer is written: no ``+``, no leading
            zero (``00123`` is a code, not a number), within 64 bits
double      what a double keeps: no leading zero, no integer beyond 2^53
            with digits lost, no overflow to infinity
date        ``YYYY-MM-DD``
timestamp   ``YYYY-MM-DD`` and ``HH:MM[:SS[.ffffff]]``, with ``T`` or a
            space; with ``Z`` or an offset it is UTC, else it has no zone;
            more than six digits of a second stay text
text        everything else; only an empty, unquoted value is null
==========  ==============================================================

DuckDB's own casts are not used: reading ``1.5``, ``1e3``, ``0x1F`` or ``00123`` as
BIGINT it silently stores 2, 1000, 31 and 123.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Final

from lakecore.ingest._dialect import looks_typed

if TYPE_CHECKING:
    import polars as pl
    import pyarrow as pa

_ZONELESS: Final = (
    "%Y-%m-%dT%H:%M:%S%.f",
    "%Y-%m-%d %H:%M:%S%.f",
    "%Y-%m-%dT%H:%M",
    "%Y-%m-%d %H:%M",
)
_ZONED: Final = tuple(form + zone for zone in ("Z", "%#z", " %#z") for form in _ZONELESS)
_UNUSUAL_TIME: Final = r"\.\d{7,}|^.{0,15}$|[T ]\d:|:\d(:|\D|$)|^\d{4}-\d-|^\d{4}-\d\d-\d[T ]"
_INTEGER: Final = re.compile(r"-?[0-9]+")
_PROBE_ROWS: Final = 100


@dataclass(frozen=True, slots=True)
class TextType:
    """What a text column is read as. `strip`: values are trimmed first."""

    kind: str
    format: str = ""
    strip: bool = False

    @property
    def arrow(self) -> pa.DataType:
        import pyarrow as pa

        if self.kind == "timestamp":
            return pa.timestamp("us", "UTC" if self.format.endswith(("Z", "z")) else None)
        return {
            "boolean": pa.bool_(),
            "int64": pa.int64(),
            "double": pa.float64(),
            "date": pa.date32(),
            "text": pa.string(),
        }[self.kind]


TEXT: Final = TextType("text")
_BOOLEAN: Final = (TextType("boolean"),)
_PLAIN: Final = (TextType("int64"), TextType("double"))
_DATED: Final = (
    TextType("date"),
    *(TextType("timestamp", form) for form in (*_ZONELESS, *_ZONED)),
)


def infer(
    frame: pl.DataFrame, markers: Sequence[str], given: Mapping[int, TextType]
) -> tuple[list[TextType], list[pl.Series], dict[int, pl.Series]]:
    """The types of a sample's columns, with the sample converted (see `convert`).

    The first rows make a guess that the whole sample confirms in one go; only a column
    whose guess fails is looked at again. `given` are types that are already decided; a
    column without a value to go by is text.
    """
    head = frame.head(_PROBE_ROWS)
    kinds = [
        given.get(index) or _guess(head.to_series(index), frame.to_series(index), markers)
        for index in range(frame.width)
    ]
    columns, bad = convert(frame, kinds, markers)
    for index in [index for index in bad if index not in given]:
        kinds[index] = _first_fitting(frame.to_series(index), markers)
        again, _ = convert(frame.select(frame.columns[index]), [kinds[index]], markers)
        columns[index] = again[0]
        del bad[index]
    return kinds, columns, bad


def _guess(probe: pl.Series, column: pl.Series, markers: Sequence[str]) -> TextType:
    """A type by the look of the first values: plain Python, the sample is the proof."""
    values = [value for value in probe.drop_nulls().to_list() if value.strip() not in markers]
    if not values:
        values = _values(column, markers).head(_PROBE_ROWS).to_list()
    if not values or not all(looks_typed(value) for value in values):
        return TEXT
    strip = any(value != value.strip() for value in values)
    first = values[0].strip().lower()
    if first[4:5] == "-" or first[0] in "tf":
        return _first_fitting(column.head(_PROBE_ROWS * 5), markers)
    whole = all(_INTEGER.fullmatch(value.strip()) for value in values)
    return TextType("int64" if whole else "double", strip=strip)


def _first_fitting(column: pl.Series, markers: Sequence[str]) -> TextType:
    """The first candidate that all values of `column` have, tried one after the other."""
    values = _values(column, markers)
    if values.is_empty() or not all(looks_typed(value) for value in values.head(20).to_list()):
        return TEXT
    strip = bool((values.str.strip_chars() != values).any())
    first = values[0].strip().lower()
    candidates = _DATED if first[4:5] == "-" else _PLAIN if first[0] not in "tf" else _BOOLEAN
    for candidate in candidates:
        kind = replace(candidate, strip=strip)
        if _fits(values, kind, markers):
            return kind
    return TEXT


def _values(column: pl.Series, markers: Sequence[str]) -> pl.Series:
    values = column.drop_nulls()
    return values.filter(~values.str.strip_chars().is_in(list(markers)))


def widened(kind: TextType, failures: pl.Series, markers: Sequence[str]) -> TextType:
    """The next type for a column of which `failures` did not fit: int64 → double → text."""
    double = TextType("double", strip=kind.strip)
    if kind.kind == "int64" and _fits(failures, double, markers):
        return double
    return TEXT


def type_for(target: pa.DataType) -> TextType | None:
    """How text is read for a dataset's column; None where no reading is exact."""
    import pyarrow as pa

    if pa.types.is_string(target) or pa.types.is_large_string(target):
        return TEXT
    if pa.types.is_boolean(target):
        return TextType("boolean")
    if pa.types.is_integer(target):
        return TextType("int64")
    if pa.types.is_floating(target):
        return TextType("double")
    if pa.types.is_date(target):
        return TextType("date")
    return None


def convert(
    frame: pl.DataFrame, kinds: Sequence[TextType], markers: Sequence[str]
) -> tuple[list[pl.Series], dict[int, pl.Series]]:
    """Typed columns, and per column index the mask of values that do not fit.

    A value that does not fit is null in the result.
    """
    import polars as pl

    names = frame.columns
    raw = frame.select(
        pl.col(name).str.strip_chars() if kind.strip else pl.col(name)
        for name, kind in zip(names, kinds, strict=True)
    )
    typed = raw.select(
        _parse(pl.col(name), kind, markers) for name, kind in zip(names, kinds, strict=True)
    )
    # A value below "1" that is not "0" may be signed or start with a zero: rare, so one
    # comparison decides whether the exact check is needed.
    suspicious = raw.select(
        ((pl.col(name) < "1") & (pl.col(name) != "0")).any()
        if kind.kind in {"int64", "double"}
        else pl.lit(False).alias(name)
        for name, kind in zip(names, kinds, strict=True)
    ).row(0)
    columns: list[pl.Series] = []
    bad: dict[int, pl.Series] = {}
    for index, kind in enumerate(kinds):
        texts, values = raw.to_series(index), typed.to_series(index)
        mask = _misfits(texts, values, kind, markers, bool(suspicious[index]))
        if mask is not None:
            bad[index] = mask
            values = pl.select(pl.when(~mask).then(values)).to_series()
        if kind.kind == "double" and "NaN" in markers and bool(values.is_nan().any()):
            values = values.fill_nan(None)
        columns.append(values)
    return columns, bad


def _fits(values: pl.Series, kind: TextType, markers: Sequence[str]) -> bool:
    _, bad = convert(values.alias("c").to_frame(), [kind], markers)
    return not bad


def _parse(column: pl.Expr, kind: TextType, markers: Sequence[str]) -> pl.Expr:
    import polars as pl

    if kind.kind == "text":
        return column
    # Most markers do not parse, so they become null by themselves; the others must not.
    parseable = [marker for marker in markers if marker and marker[0] in "+-.0123456789tTfF"]
    if parseable:
        column = pl.when(~column.is_in(parseable)).then(column)
    if kind.kind == "boolean":
        lower = column.str.to_lowercase()
        return pl.when(lower == "true").then(True).when(lower == "false").then(False)
    if kind.kind == "int64":
        return column.cast(pl.Int64, strict=False)
    if kind.kind == "double":
        return column.cast(pl.Float64, strict=False)
    if kind.kind == "date":
        return column.str.to_date("%Y-%m-%d", strict=False)
    zone = "UTC" if kind.format.endswith("Z") else None
    return column.str.to_datetime(kind.format, time_unit="us", time_zone=zone, strict=False)


def _misfits(
    texts: pl.Series, values: pl.Series, kind: TextType, markers: Sequence[str], suspicious: bool
) -> pl.Series | None:
    """The mask of texts that `values` does not say exactly, or None when there are none."""
    if kind.kind == "text":
        return None
    doubtful = _doubtful(texts, values, kind, suspicious)
    if values.null_count() > texts.null_count():
        missing = values.is_null() & texts.is_not_null()
        # Few rows or few different ones: the markers are looked up only among these.
        if not set(texts.filter(missing).unique().to_list()) <= set(markers):
            missing = missing & ~texts.is_in(list(markers))
            doubtful = missing if doubtful is None else missing | doubtful
    if doubtful is None:
        return None
    mask = doubtful.fill_null(False)
    return mask if mask.any() else None


def _unlike_a_number(texts: pl.Series, kind: TextType) -> pl.Series:
    """Texts with a plus sign or leading zeros: codes and telephone numbers."""
    text = texts.str
    if kind.kind == "int64":
        zeros = (text.starts_with("0") & (text.len_bytes() > 1)) | text.starts_with("-0")
        return zeros | text.starts_with("+")
    return text.contains(r"^(\+|-?0\d)")


def _plain_times(texts: pl.Series, kind: TextType) -> bool:
    """Whether all are of one length that leaves no room for short parts or fractions."""
    lengths = texts.str.len_bytes()
    shortest = lengths.min()
    plain = 16 + 3 * ("%S" in kind.format)
    zones = (1,) if kind.format.endswith("Z") else (3, 5, 6) if "%#z" in kind.format else (0,)
    if shortest != lengths.max() or shortest not in {plain + zone for zone in zones}:
        return False
    return not texts.str.contains(".", literal=True).any()


def _doubtful(
    texts: pl.Series, values: pl.Series, kind: TextType, suspicious: bool
) -> pl.Series | None:
    masks: list[pl.Series] = []
    if suspicious:
        masks.append(_unlike_a_number(texts, kind))
    if kind.kind == "double":
        lengths = texts.str.len_bytes()
        if (lengths.max() or 0) > 15:  # type: ignore[operator]  # bytes of texts: an int
            # Only integers: a fraction's last digits are understood to be rounded.
            whole = texts.str.contains(r"^-?\d{16,}$") & (values.abs() >= 2.0**53)
            masks.append(whole.fill_null(False))
        infinite = values.is_infinite()
        if infinite.any():
            masks.append(infinite & texts.str.contains(r"\d"))
    elif kind.kind == "date":
        masks.append(texts.str.len_bytes() != 10)
    elif kind.kind == "timestamp" and not _plain_times(texts, kind):
        masks.append(texts.str.contains(_UNUSUAL_TIME))
    if not masks:
        return None
    total = masks[0]
    for mask in masks[1:]:
        total = total | mask
    # Markers are nulls, whatever they look like.
    return total.fill_null(False) & values.is_not_null()
