"""One value, from TOML or from text, into the type of its setting. Pure."""

from __future__ import annotations

import difflib
import math
import re
from collections.abc import Mapping
from dataclasses import Field
from types import MappingProxyType
from typing import Any, Final, get_args, get_origin, get_type_hints

from lakecore.base import InvalidInput

_SIZE: Final = re.compile(r"\s*([0-9][0-9_]*(?:\.[0-9]+)?)\s*([kmgt]?i?b?)\s*", re.IGNORECASE)
_UNITS: Final = {
    "": 1,
    "b": 1,
    "kb": 10**3,
    "mb": 10**6,
    "gb": 10**9,
    "tb": 10**12,
    "kib": 1 << 10,
    "mib": 1 << 20,
    "gib": 1 << 30,
    "tib": 1 << 40,
}
_TRUE: Final = frozenset({"true", "yes", "on", "1"})
_FALSE: Final = frozenset({"false", "no", "off", "0"})


def kind_of(section: type, name: str) -> str:
    """The type of a setting in words: text, integer, size, number, boolean or table of text."""
    hint = get_type_hints(section)[name]
    if hint is int:
        return "size" if name.endswith("_bytes") else "integer"
    if hint is float:
        return "number"
    if hint is bool:
        return "boolean"
    if hint is str:
        return "text"
    return "table of text" if get_origin(hint) is Mapping else _kind_of_list(hint)


def _kind_of_list(hint: Any) -> str:
    """Of a tuple: texts, or the tables that one of the settings' dataclasses describes."""
    inner = get_args(hint)[0]
    return "list of text" if inner is str else "list of tables"


def parse_value(kind: str, value: object, *, setting: Field[Any], key: str, where: str) -> Any:
    """`value` as TOML or the environment holds it, checked against `kind` and the bounds.

    Raises `InvalidInput` that names `key` and `where`, never the value of a secret.
    """
    parser = _PARSERS[kind]
    try:
        parsed = parser(value)
    except (ValueError, TypeError) as error:
        raise _refusal(key, _expected(kind), value, setting, where) from error
    choices = setting.metadata["choices"]
    if choices and parsed not in choices:
        raise _refusal(key, _one_of(parsed, choices), value, setting, where)
    low, high = setting.metadata["minimum"], setting.metadata["maximum"]
    if low is not None and parsed < low:
        raise _refusal(key, f"at least {low:,}", value, setting, where)
    if high is not None and parsed > high:
        raise _refusal(key, f"at most {high:,}", value, setting, where)
    return parsed


def _refusal(
    key: str, expected: str, value: object, setting: Field[Any], where: str
) -> InvalidInput:
    found = "a value that is not shown" if setting.metadata["secret"] else _shown(value)
    return InvalidInput(f"{key} has a bad value", expected=expected, found=found, where=where)


def _one_of(value: str, choices: tuple[str, ...]) -> str:
    close = difflib.get_close_matches(value, choices, n=1, cutoff=0.5)
    return f"{close[0]!r}?" if close else "one of " + ", ".join(choices)


def _shown(value: object) -> str:
    text = repr(value)
    return text if len(text) <= 80 else text[:77] + "..."


def _expected(kind: str) -> str:
    return {
        "text": "text",
        "integer": "a whole number",
        "size": 'a size in bytes, such as 1048576 or "1 MiB"',
        "number": "a number",
        "boolean": "true or false",
        "table of text": "a table whose values are text",
        "list of text": "a list of texts",
    }[kind]


def _text(value: object) -> str:
    if not isinstance(value, str):
        raise TypeError
    return value


def _integer(value: object) -> int:
    if isinstance(value, bool) or not isinstance(value, int | str):
        raise TypeError
    return int(value)


def _size(value: object) -> int:
    """
    >>> _size("1.5 GiB"), _size(10), _size("64kb")
    (1610612736, 10, 64000)
    """
    if not isinstance(value, str):
        return _integer(value)
    match = _SIZE.fullmatch(value)
    if match is None:
        raise ValueError(value)
    unit = match[2].lower()
    factor = _UNITS.get(unit) or _UNITS[unit + "b"]
    return round(float(match[1]) * factor) if "." in match[1] else int(match[1]) * factor


def _number(value: object) -> float:
    if isinstance(value, bool) or not isinstance(value, int | float | str):
        raise TypeError
    number = float(value)
    if not math.isfinite(number):
        raise ValueError(value)
    return number


def _boolean(value: object) -> bool:
    if isinstance(value, bool):
        return value
    word = _text(value).strip().lower()
    if word not in _TRUE | _FALSE:
        raise ValueError(value)
    return word in _TRUE


def _table(value: object) -> Mapping[str, str]:
    if not isinstance(value, Mapping):
        raise TypeError
    return MappingProxyType({str(name): _text(text) for name, text in value.items()})


def _list(value: object) -> tuple[str, ...]:
    """
    >>> _list("rate, asleep"), _list(["rate"]), _list("")
    (('rate', 'asleep'), ('rate',), ())
    """
    if isinstance(value, str):
        return tuple(word.strip() for word in value.split(",") if word.strip())
    if not isinstance(value, list):
        raise TypeError
    return tuple(_text(word) for word in value)


_PARSERS: Final[dict[str, Any]] = {
    "text": _text,
    "integer": _integer,
    "size": _size,
    "number": _number,
    "boolean": _boolean,
    "table of text": _table,
    "list of text": _list,
}
