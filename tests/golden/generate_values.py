"""Writes values.json: the JSON text of every Arrow type's edge cases.

Run it after a deliberate change of the format, never to make a test pass:

    python tests/golden/generate_values.py
"""

from __future__ import annotations

import json
from datetime import UTC, date, datetime, time, timedelta
from decimal import Decimal
from pathlib import Path

import numpy as np
import pyarrow as pa

from lakecore.journal._values.values import json_text, row_json

GOLDEN = Path(__file__).with_name("values.json")

TEXTS = ["", "plain", 'quote " and \\', "tab\t line\n cr\r", "\x00\x1f\x7f", "é 😀 \u2028\u2029 /"]
MOMENTS_US = [0, -1, 1_000_000, -62_135_596_800_000_000, 253_402_300_799_999_999]
FLOATS = [
    *(0.0, -0.0, 1.0, -1.5, 0.1, 1 / 3, 100.0, 123456789.125),
    *(1e-4, 1e-5, 1e-6, 1e-7, 1e12, 1e13, 1e15, 1e16, 1e21, 1e22, 16777216.0),
    *(float("nan"), float("inf"), float("-inf")),
]


def arrays() -> list[pa.Array]:
    """One array per type: its edge cases, then a null."""
    return [
        pa.nulls(1),
        pa.array([True, False, None]),
        *(_integers(bits) for bits in (8, 16, 32, 64)),
        pa.array([2**53 - 1, 2**53, -(2**53) + 1, -(2**53), None], pa.int64()),
        *_floats(),
        *_decimals(),
        *(pa.array([*TEXTS, None], kind) for kind in (pa.string(), pa.large_string())),
        pa.array([*TEXTS, None], pa.string_view()),
        *(
            pa.array([b"", b"\x00", b"hi", b"\xff\xfe\xfd", None], kind)
            for kind in (pa.binary(), pa.large_binary(), pa.binary_view())
        ),
        pa.array([b"abcd", b"\x00\x01\x02\x03", None], pa.binary(4)),
        *_times(),
        *_nested(),
        *_encoded(),
    ]


def _integers(bits: int) -> pa.Array:
    signed = [-(2 ** (bits - 1)), -1, 0, 2 ** (bits - 1) - 1, None]
    return pa.array(signed, getattr(pa, f"int{bits}")())


def _floats() -> list[pa.Array]:
    unsigned = [
        pa.array([0, 2**bits - 1, None], getattr(pa, f"uint{bits}")()) for bits in (8, 16, 32, 64)
    ]
    halves = np.array([0.0, -0.0, 0.1, 65504.0, 6e-8, np.nan, np.inf], np.float16)
    return [
        *unsigned,
        pa.array(halves),
        pa.array([*FLOATS, 3.4028235e38, 1e-45, None], pa.float32()),
        pa.array([*FLOATS, 1.7976931348623157e308, 5e-324, 2.0**53 + 2, None], pa.float64()),
        pa.array([1.5, None], pa.float64()),
    ]


def _decimals() -> list[pa.Array]:
    cents = [Decimal("1.50"), Decimal("-0.05"), Decimal("0.00"), None]
    return [
        pa.array([Decimal("999.99"), *cents], pa.decimal32(5, 2)),
        pa.array([Decimal("12345678.90"), *cents], pa.decimal64(10, 2)),
        pa.array([Decimal("12345678901234567890.12"), *cents], pa.decimal128(38, 2)),
        pa.array([Decimal("0E-10"), Decimal("1E-10"), None], pa.decimal128(20, 10)),
        pa.array([Decimal(10**38 - 1), Decimal(0), None], pa.decimal128(38, 0)),
        pa.array([Decimal("1E+3"), None], pa.decimal128(5, -2)),
        pa.array([Decimal("1" * 60 + ".5"), Decimal("0.0"), None], pa.decimal256(70, 1)),
    ]


def _times() -> list[pa.Array]:
    seconds = [moment // 1_000_000 for moment in MOMENTS_US]
    beyond = [253_402_300_800_000_000, -62_135_596_800_000_001, -(2**63) + 1, 2**63 - 1]
    return [
        pa.array([date(1970, 1, 1), date(1, 1, 1), date(9999, 12, 31), None], pa.date32()),
        pa.array([2_932_897, -719_163, -(2**31), 2**31 - 1], pa.int32()).view(pa.date32()),
        pa.array([date(2024, 2, 29), None], pa.date64()),
        pa.array([0, 86_399, None], pa.int32()).view(pa.time32("s")),
        pa.array([0, 1, None], pa.int32()).view(pa.time32("ms")),
        pa.array([time(0), time(1, 2, 3, 4), time(23, 59, 59, 999_999), None], pa.time64("us")),
        pa.array([1_000, 1, None], pa.int64()).view(pa.time64("ns")),
        pa.array([*seconds, None], pa.timestamp("s")),
        pa.array([0, -1, 1, None], pa.timestamp("ms")),
        pa.array([*MOMENTS_US, *beyond, None], pa.timestamp("us")),
        pa.array([*MOMENTS_US, *beyond, None], pa.timestamp("us", tz="UTC")),
        pa.array([0, 1_000_000, None], pa.timestamp("us", tz="America/New_York")),
        pa.array([0, None], pa.timestamp("us", tz="+02:00")),
        pa.array([1_000, -1_000, None], pa.timestamp("ns", tz="UTC")),
        pa.array([1, 1_000, -1, None], pa.timestamp("ns", tz="UTC")),
        *(pa.array([0, 1, -90_061, None], pa.duration(unit)) for unit in ("s", "ms", "us", "ns")),
        pa.array([timedelta(days=1, microseconds=3), -timedelta(microseconds=1), None]),
        pa.array([(1, 2, 3), (-1, 0, 0), None], pa.month_day_nano_interval()),
    ]


def _nested() -> list[pa.Array]:
    pair = pa.struct([("b", pa.int8()), ("a", pa.list_(pa.float64()))])
    unicode_names = pa.struct([("\ufb33", pa.int8()), ("😀", pa.int8()), ("é", pa.int8())])
    quoted = pa.struct([('say "hi"\n', pa.int64()), ("plain", pa.string())])
    numbers = [[1, None], [], None, [2**53, 2]]
    return [
        pa.array(numbers, pa.list_(pa.int64())),
        pa.array(numbers, pa.large_list(pa.int64())),
        pa.array([[1, 2], [3, None], None], pa.list_(pa.int8(), 2)),
        pa.array(numbers, pa.list_view(pa.int64())),
        pa.array([[["a,b"], []], [None], None], pa.list_(pa.list_(pa.string()))),
        pa.array([{"b": 1, "a": [1.5, float("nan")]}, {"b": None, "a": None}, None], pair),
        pa.array([{"\ufb33": 1, "😀": 2, "é": 3}], unicode_names),
        pa.array([{'say "hi"\n': 2**60, "plain": "x"}, None], quoted),
        pa.array([{}, None], pa.struct([])),
        pa.array([[("a", 1), ("b", None)], [], None], pa.map_(pa.string(), pa.int8())),
        pa.array([[(1, {"b": 2, "a": []})], None], pa.map_(pa.int64(), pair)),
        pa.array([[datetime(2024, 1, 1, tzinfo=UTC)]], pa.list_(pa.timestamp("us", tz="UTC"))),
        pa.array([[9], [1, None], None], pa.list_(pa.int64())).slice(1),
    ]


def _encoded() -> list[pa.Array]:
    repeated = pa.array(["x", "x", None], pa.string())
    return [
        repeated.dictionary_encode(),
        pa.array([2**53, None]).dictionary_encode(),
        pa.RunEndEncodedArray.from_arrays(
            [2, 3], ["x", None], pa.run_end_encoded(pa.int32(), pa.string())
        ),
        pa.ExtensionArray.from_storage(
            pa.uuid(), pa.array([bytes(range(16)), None], pa.binary(16))
        ),
    ]


def generate() -> str:
    """The golden file: per type the cells as Arrow shows them, each with its text."""
    types = []
    for array in arrays():
        texts = json_text(array).to_pylist()
        cells = [[_shown(cell), text] for cell, text in zip(array, texts, strict=True)]
        types.append({"type": str(array.type), "cells": cells})
    row = pa.table(
        [pa.array([value]) for value in (1, "x", float("nan"), None, 2**60)],
        names=["b", "a", "é", "😀", "\ufb33"],
    )
    document = {"values": types, "row": row_json(row).to_pylist()}
    return json.dumps(document, ensure_ascii=True, indent=1) + "\n"


def _shown(cell: pa.Scalar) -> str | None:
    # The stored number of a time: Python has no datetime for all of them.
    for width in (pa.int64(), pa.int32()):
        if pa.types.is_temporal(cell.type) and cell.is_valid:
            try:
                return str(pa.array([cell]).view(width)[0])
            except pa.ArrowInvalid:
                continue
    return str(cell) if cell.is_valid else None


if __name__ == "__main__":
    GOLDEN.write_text(generate())
