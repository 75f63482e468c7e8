"""Values for ``$name`` and ``$1`` as Arrow scalars."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import pyarrow as pa

from lakecore.base import InvalidInput


def bind(params: Mapping[str, object] | Sequence[object] | None) -> dict[str, Any]:
    """Parameter values by name without ``$``; a sequence gives ``$1``, ``$2``, ….

    Raises:
        InvalidInput: a name is no name, or a value has no Arrow type.
    """
    if params is None:
        return {}
    if isinstance(params, Mapping):
        named = {_name(key): value for key, value in params.items()}
    elif isinstance(params, Sequence) and not isinstance(params, str | bytes):
        named = {str(position): value for position, value in enumerate(params, start=1)}
    else:
        raise InvalidInput(
            "parameters of the wrong kind",
            expected="a mapping for $name or a list for $1",
            found=type(params).__name__,
        )
    return {name: _scalar(name, value) for name, value in named.items()}


def _name(key: object) -> str:
    name = str(key).removeprefix("$")
    if isinstance(key, str | int) and (name.isidentifier() or name.isdecimal()):
        return name
    raise InvalidInput("no name for a parameter", expected="letters and digits", found=repr(key))


def _scalar(name: str, value: object) -> Any:
    if isinstance(value, pa.Scalar):
        return value
    try:
        return pa.scalar(value)
    except (pa.ArrowException, TypeError, ValueError, OverflowError) as error:
        raise InvalidInput(
            "a parameter's value has no SQL type",
            expected="a number, text, boolean, bytes, date, time, decimal, list or None",
            found=f"{type(value).__name__}: {error}",
            where=f"${name}",
        ) from error
