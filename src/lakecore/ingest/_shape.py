"""Types of JSON-like values: inferred, merged, turned into Arrow. Pure.

A shape is a scalar's name, ``["list", shape]`` or a dict of shapes. Values of different
kinds in one place are ``json``: a text column that holds each value's JSON.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import date, datetime, time, timedelta
from typing import TYPE_CHECKING, Any, Final, TypeAlias

import msgspec

if TYPE_CHECKING:
    import pyarrow as pa

Shape: TypeAlias = "str | tuple[str, Shape] | dict[str, Shape]"

MAX_DEPTH: Final = 32
"""Deeper values are kept as JSON text."""

_INT64: Final = 1 << 63
_EXACT: Final = 1 << 53


class Misfit(Exception):
    """A value that is not of the shape; the message says where and what."""


def shape_of(value: object, depth: int = 0) -> Shape:
    """The narrowest shape of one value."""
    if value is None:
        return "null"
    if isinstance(value, bool):
        return "boolean"
    if isinstance(value, int):
        if abs(value) <= _EXACT:
            return "int64"
        return "long" if -_INT64 <= value < _INT64 else "json"
    kind = _SCALARS.get(type(value))
    if kind is not None:
        return kind
    if depth < MAX_DEPTH and isinstance(value, list):
        item: Shape = "null"
        for member in value:
            item = merge(item, shape_of(member, depth + 1))
        return ("list", item)
    if depth < MAX_DEPTH and isinstance(value, dict) and value:
        return {str(key): shape_of(member, depth + 1) for key, member in value.items()}
    return "json"


_SCALARS: Final[Mapping[type, str]] = {
    float: "double",
    str: "text",
    datetime: "timestamp",
    date: "date",
    time: "time",
    timedelta: "duration",
}


def merge(left: Shape, right: Shape) -> Shape:
    """The narrowest shape for values of both; ``long`` are integers a double would round."""
    if left == right or right == "null":
        return left
    if left == "null":
        return right
    if isinstance(left, dict) and isinstance(right, dict):
        merged = dict(left)
        for name, shape in right.items():
            merged[name] = merge(merged.get(name, "null"), shape)
        return merged
    if isinstance(left, tuple) and isinstance(right, tuple):
        return ("list", merge(left[1], right[1]))
    kinds = {left, right} if isinstance(left, str) and isinstance(right, str) else set()
    if kinds == {"int64", "double"}:
        return "double"
    if kinds == {"int64", "long"}:
        return "long"
    if kinds == {"date", "timestamp"}:
        return "timestamp"
    return "json"


def arrow_type(shape: Shape) -> pa.DataType:
    """The Arrow type that holds a shape."""
    import pyarrow as pa

    if isinstance(shape, dict):
        return pa.struct([pa.field(name, arrow_type(part)) for name, part in shape.items()])
    if isinstance(shape, tuple):
        return pa.list_(arrow_type(shape[1]))
    return {
        "boolean": pa.bool_(),
        "int64": pa.int64(),
        "long": pa.int64(),
        "double": pa.float64(),
        "date": pa.date32(),
        "timestamp": pa.timestamp("us"),
    }.get(shape, pa.string())


def fit(value: Any, shape: Shape, where: str) -> Any:
    """`value` as its Arrow column takes it; `Misfit` when it is of another shape."""
    if value is None:
        return None
    if shape in ("json", "null"):
        return json_text(value)
    if isinstance(shape, dict):
        if not isinstance(value, dict):
            raise Misfit(f"{where}: {_short(value)} is no object")
        if unknown := value.keys() - shape.keys():
            raise Misfit(f"{where}: unknown field {min(unknown)!r}")
        return {name: fit(value.get(name), part, f"{where}.{name}") for name, part in shape.items()}
    if isinstance(shape, tuple):
        if not isinstance(value, list):
            raise Misfit(f"{where}: {_short(value)} is no array")
        return [fit(member, shape[1], f"{where}[]") for member in value]
    if merge(shape, shape_of(value)) != shape:
        raise Misfit(f"{where}: {_short(value)} is no {'int64' if shape == 'long' else shape}")
    if shape == "double":
        return float(value)
    if shape == "timestamp" and not isinstance(value, datetime):
        return datetime(value.year, value.month, value.day)  # noqa: DTZ001 - the sheet has no zone
    return str(value) if shape in ("time", "duration") else value


def json_text(value: object) -> str:
    """The value's JSON."""
    return msgspec.json.encode(value).decode()


def _short(value: object) -> str:
    text = json_text(value)
    return text if len(text) <= 80 else text[:79] + "…"
