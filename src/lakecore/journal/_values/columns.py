"""How a column becomes JSON text: the rules of `text`, cell by cell and vectorised.

Two ways lead to the text:

- Polars' JSON encoder, for columns whose every cell it writes by the rules: the fast way;
- text, spliced together, for the rest: integers beyond 2^53, NaN and infinities, times
  outside years 1 to 9999, and everything nested.

Both give the same bytes: which one is taken is no part of the format.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial
from typing import Any, Final

import numpy as np
import polars as pl
import pyarrow as pa
import pyarrow.compute as pc

from lakecore.base import InvalidInput
from lakecore.journal._values import text as rules

_DAY_US: Final = 86_400_000_000
_FIRST_DAY: Final = -719_162
"""0001-01-01"""
_LAST_DAY: Final = 2_932_896
"""9999-12-31"""
_STRFTIME: Final = "%Y-%m-%dT%H:%M:%S%.6f"
TEXT_TYPES: Final = (pa.types.is_string, pa.types.is_large_string, pa.types.is_string_view)
BINARY_TYPES: Final = (
    pa.types.is_binary,
    pa.types.is_large_binary,
    pa.types.is_fixed_size_binary,
    pa.types.is_binary_view,
)
LIST_TYPES: Final = (
    pa.types.is_list,
    pa.types.is_large_list,
    pa.types.is_fixed_size_list,
    pa.types.is_list_view,
    pa.types.is_large_list_view,
)
SMALL_INTEGERS: Final = {
    pa.int8(),
    pa.int16(),
    pa.int32(),
    pa.uint8(),
    pa.uint16(),
    pa.uint32(),
}
FLOATS: Final = {pa.float32(), pa.float64()}


def one_array(column: pa.Array | pa.ChunkedArray) -> pa.Array:
    if not isinstance(column, pa.ChunkedArray):
        return column
    return column.chunk(0) if column.num_chunks == 1 else column.combine_chunks()


def plain(array: pa.Array) -> pa.Array:
    """The array without encodings: dictionary, run-end, extension; zones as UTC."""
    kind = array.type
    if isinstance(kind, pa.BaseExtensionType):
        return plain(array.storage)
    if pa.types.is_dictionary(kind):
        return plain(array.dictionary_decode())
    if pa.types.is_run_end_encoded(kind):
        return plain(pc.run_end_decode(array))
    if pa.types.is_timestamp(kind) and kind.tz not in (None, "UTC"):
        return array.cast(pa.timestamp(kind.unit, tz="UTC"))
    return array


def text_of_column(array: pa.Array) -> pl.Series:
    """One JSON text per cell, never null."""
    array = plain(array)
    kind = array.type
    native = _native(array)
    if native is not None:
        return _encoded(native)
    if pa.types.is_null(kind):
        return _repeat("null", len(array))
    if kind in (pa.int64(), pa.uint64()):
        return _integers(to_polars(array))
    if kind in FLOATS:
        return _floats(to_polars(array))
    if pa.types.is_map(kind):
        return _pairs(array)
    if any(is_list(kind) for is_list in LIST_TYPES):
        return _brackets(array, text_of_column(array.flatten()))
    if pa.types.is_struct(kind):
        names = [field.name for field in kind]
        # `flatten` gives the children the nulls of their parent.
        text = text_of_rows(names, array.flatten(), len(array))
        return _nulled(array, text)
    return _by_distinct(array)


def _native(array: pa.Array) -> pl.Series | None:
    """The array in a form that Polars' encoder writes by the rules, if there is one."""
    kind = array.type
    if kind in SMALL_INTEGERS or pa.types.is_boolean(kind):
        return to_polars(array)
    if any(is_text(kind) for is_text in TEXT_TYPES):
        return to_polars(array)
    if kind in (pa.int64(), pa.uint64()):
        limit = rules.MAX_PLAIN_INTEGER
        return to_polars(array) if _within(array, -limit, limit) else None
    if kind in FLOATS:
        finite = pc.all(pc.is_finite(array)).as_py()
        return None if finite is False else to_polars(array)
    if pa.types.is_decimal(kind):
        # 256 bits are too many for Polars; a negative scale would lose its zeros.
        return None if pa.types.is_decimal256(kind) or kind.scale < 0 else to_polars(array)
    if pa.types.is_date32(kind):
        return to_polars(array) if _within(array.view(pa.int32()), _FIRST_DAY, _LAST_DAY) else None
    if pa.types.is_timestamp(kind):
        return _timestamps(array)
    if any(is_binary(kind) for is_binary in BINARY_TYPES):
        return to_polars(array).bin.encode("base64")
    return None


def _timestamps(array: pa.Array) -> pl.Series | None:
    zone = array.type.tz
    try:
        micros = array.cast(pa.timestamp("us", tz=zone))
    except pa.ArrowInvalid:
        return None  # nanoseconds to lose, or seconds too many
    if not _within(micros.view(pa.int64()), _FIRST_DAY * _DAY_US, (_LAST_DAY + 1) * _DAY_US - 1):
        return None
    return to_polars(micros).dt.strftime(_STRFTIME + ("Z" if zone else ""))


def _within(array: pa.Array, low: int, high: int) -> bool:
    found = pc.min_max(array).as_py()
    return found["min"] is None or (found["min"] >= low and found["max"] <= high)


def to_polars(array: pa.Array) -> pl.Series:
    return pl.Series(pl.from_arrow(array))


def _repeat(text: str, count: int) -> pl.Series:
    return pl.repeat(text, count, dtype=pl.String, eager=True)


def _encoded(native: pl.Series) -> pl.Series:
    """One text per cell, by way of an object with one member."""
    frame = pl.DataFrame({"v": native})
    text = pl.struct("v").struct.json_encode().str.strip_prefix('{"v":').str.strip_suffix("}")
    return frame.select(text.alias("v")).to_series()


def _integers(values: pl.Series) -> pl.Series:
    value = pl.col("v")
    limit = rules.MAX_PLAIN_INTEGER
    digits = value.cast(pl.String)
    quoted = pl.concat_str(pl.lit('"'), digits, pl.lit('"'))
    text = pl.when((value > limit) | (value < -limit)).then(quoted).otherwise(digits)
    return pl.DataFrame({"v": values}).select(text.fill_null("null")).to_series()


def _floats(values: pl.Series) -> pl.Series:
    value = pl.col("v")
    text = (
        pl.when(value.is_nan())
        .then(pl.lit('"NaN"'))
        .when(value == float("inf"))
        .then(pl.lit('"Infinity"'))
        .when(value == float("-inf"))
        .then(pl.lit('"-Infinity"'))
        .otherwise(pl.col("text"))
    )
    frame = pl.DataFrame({"v": values, "text": _encoded(values)})
    return frame.select(text.alias("v")).to_series()


def _pairs(array: pa.Array) -> pl.Series:
    kind = array.type
    entry = pa.struct([kind.key_field.with_name("k"), kind.item_field.with_name("v")])
    lists = array.cast(pa.list_(entry))
    key, value = (text_of_column(child) for child in lists.flatten().flatten())
    pair = pl.concat_str(pl.lit("["), "k", pl.lit(","), "v", pl.lit("]"))
    texts = pl.DataFrame({"k": key, "v": value}).select(pair.alias("v")).to_series()
    return _brackets(lists, texts)


def _brackets(array: pa.Array, texts: pl.Series) -> pl.Series:
    """``[…]`` around the texts of each list's items."""
    lengths = pc.fill_null(pc.list_value_length(array), 0)
    ends = pc.cumulative_sum(lengths.cast(pa.int64()))
    offsets = pa.concat_arrays([pa.array([0], pa.int64()), ends])
    lists = to_polars(pa.LargeListArray.from_arrays(offsets, texts.to_arrow()))
    joined = pl.concat_str(pl.lit("["), pl.col("v").list.join(","), pl.lit("]"))
    text = pl.DataFrame({"v": lists}).select(joined.alias("v")).to_series()
    return _nulled(array, text)


def _nulled(array: pa.Array, text: pl.Series) -> pl.Series:
    if not array.null_count:
        return text
    frame = pl.DataFrame({"v": text, "valid": to_polars(array.is_valid())})
    kept = pl.when("valid").then("v").otherwise(pl.lit("null"))
    return frame.select(kept.alias("v")).to_series()


def text_of_rows(names: Sequence[str], arrays: Sequence[pa.Array], count: int) -> pl.Series:
    """``{"name":value,…}`` for each row."""
    if twice := sorted({name for name in names if names.count(name) > 1}):
        raise InvalidInput("a name is there twice", found=", ".join(twice))
    if not names or not count:
        return _repeat("{}", count)
    order = sorted(range(len(names)), key=lambda at: rules.name_order(names[at]))
    columns: list[pl.Series] = []
    pieces: list[pl.Expr] = []
    run: list[pl.Expr] = []

    def close_run() -> None:
        # What Polars can write goes through its encoder in one piece, without the braces.
        if run:
            whole = pl.struct(run).struct.json_encode()
            pieces.append(whole.str.strip_prefix("{").str.strip_suffix("}"))
            run.clear()

    for at in order:
        # Columns go by number: to Polars, names like "*" and "^a$" are patterns.
        column = pl.col(f"c{at}")
        array = plain(arrays[at])
        native = _native(array)
        if native is not None:
            columns.append(native.alias(f"c{at}"))
            run.append(column.alias(names[at]))
            continue
        close_run()
        columns.append(text_of_column(array).alias(f"c{at}"))
        member = pl.lit(rules.string_text(names[at]) + ":")
        pieces.append(pl.concat_str(member, column))
    frame = pl.DataFrame(columns)
    if not pieces:
        return frame.select(pl.struct(run).struct.json_encode().alias("v")).to_series()
    close_run()
    inside = pl.concat_str(pieces, separator=",")
    return frame.select(pl.concat_str(pl.lit("{"), inside, pl.lit("}")).alias("v")).to_series()


def _by_distinct(array: pa.Array) -> pl.Series:
    """Rare types: each distinct value once, in Python."""
    cells, text_of = _python_form(array)
    encoded = cells.dictionary_encode()
    texts = [text_of(value) for value in encoded.dictionary.to_pylist()]
    return to_polars(pa.array(texts, pa.large_string()).take(encoded.indices)).fill_null("null")


def _python_form(array: pa.Array) -> tuple[pa.Array, Callable[[Any], str]]:
    """The array as numbers where Python has no exact type, and the rule for one of them."""
    kind = array.type
    if pa.types.is_timestamp(kind):
        zoned = kind.tz is not None
        return array.view(pa.int64()), partial(rules.moment_text, unit=kind.unit, zoned=zoned)
    if pa.types.is_duration(kind):
        return array.view(pa.int64()), partial(rules.duration_text, unit=kind.unit)
    if pa.types.is_time(kind):
        width = pa.int32() if pa.types.is_time32(kind) else pa.int64()
        return array.view(width), partial(_time, unit=kind.unit)
    if pa.types.is_date64(kind):
        return array.view(pa.int64()), _date64
    if pa.types.is_date32(kind):
        return array.view(pa.int32()), _date32
    if pa.types.is_float16(kind):
        return array, _float16
    if pa.types.is_interval(kind):
        return array, _interval
    if pa.types.is_decimal(kind):
        return array, rules.encode_value
    raise InvalidInput("a value of this type has no JSON text", found=kind)


def _time(ticks: int, unit: str) -> str:
    return f'"{rules.clock_text(ticks, unit)}"'


def _date32(days: int) -> str:
    return f'"{rules.day_text(days)}"'


def _date64(milliseconds: int) -> str:
    return _date32(milliseconds // 86_400_000)


def _float16(value: float) -> str:
    return rules.float_text(np.float16(value), 16)


def _interval(value: Any) -> str:
    parts = ("days", "months", "nanoseconds")
    return rules.encode_value({name: getattr(value, name) for name in parts})
