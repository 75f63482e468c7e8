"""What an event's fields may hold, one row at a time: the rules, and the words of a refusal.

- text is Unicode without lone surrogates, at most 1 KiB as JSON writes it (`escaped`);
- `old_value`, `new_value` and `context` are JSON text (RFC 8259) of bounded size and depth,
  `context` an object; numbers may be of any size, NaN and Infinity are not JSON;
- a timestamp is aware, exact to the microsecond, in the years 1 to 9999;
- an integer is at least 0 and less than 2^53, so that every JSON reader agrees on it.

`batch` applies the same rules to columns, and comes here for the error.
"""

from __future__ import annotations

import difflib
import re
from collections import defaultdict
from collections.abc import Callable, Iterable, Sequence
from datetime import UTC, datetime
from typing import Any, Final

import msgspec

from lakecore.base import InvalidInput
from lakecore.base.limits import MAX_EVENT_TEXT_BYTES, MAX_VALUE_BYTES
from lakecore.journal._events.escaped import MAX_GROWTH, escaped_size

FIELDS: Final = (
    "seq",
    "event_id",
    "timestamp",
    "entity_type",
    "entity_id",
    "field",
    "action",
    "old_value",
    "new_value",
    "actor",
    "source",
    "workspace_id",
    "dataset",
    "dataset_id",
    "version",
    "mutation_id",
    "context",
    "leaf",
)
"""An event's fields in the order of the schema."""

STAGED_FIELDS: Final = FIELDS[1:-1]
"""The fields that an event has before it is sealed: all but `seq` and `leaf`."""

REQUIRED: Final = ("entity_type", "entity_id", "action")
PLAIN: Final = frozenset(
    [
        "event_id",
        "entity_type",
        "entity_id",
        "field",
        "action",
        "actor",
        "source",
        "workspace_id",
        "dataset",
        "dataset_id",
        "mutation_id",
    ]
)
NOT_EMPTY: Final = ("entity_type", "action")
VALUES: Final = ("old_value", "new_value")
INTEGERS: Final = ("seq", "version", "leaf")
JSON_FIELDS: Final = (*VALUES, "context")
DEFAULTS: Final = {"field": "*", "source": "api", "context": "{}"}
"""Defaults of optional texts; every other one is ''."""
_DEFAULT_OF: Final = defaultdict[str, object](
    str, {**DEFAULTS, "leaf": 1, **dict.fromkeys((*VALUES, "seq", "version", "timestamp"))}
)

MAX_INTEGER: Final = (1 << 53) - 1
MIN_TIMESTAMP_US: Final = -62_135_596_800_000_000
"""0001-01-01T00:00:00.000000Z"""
MAX_TIMESTAMP_US: Final = 253_402_300_799_999_999
"""9999-12-31T23:59:59.999999Z"""
READABLE_LEAVES: Final = (1,)

_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)
_MICROSECOND: Final = datetime.resolution
_RFC3339: Final = re.compile(
    r"\d{4}-\d\d-\d\d[Tt ]\d\d:\d\d:\d\d(\.\d{1,6})?([Zz]|[+-]\d\d:\d\d)", re.ASCII
)
# `Raw` checks the text without building values; msgspec refuses NaN, trailing commas and
# escapes of lone surrogates, which other fast parsers let through.
parse_value: Final[Callable[[str], object]] = msgspec.json.Decoder(msgspec.Raw).decode
parse_object: Final[Callable[[str], object]] = msgspec.json.Decoder(dict[str, msgspec.Raw]).decode


def check_names(names: Iterable[object], known: Sequence[str], *, where: str) -> None:
    """Refuse a name that is none of an event's fields, with the nearest one that is."""
    for name in names:
        if name not in known:
            near = difflib.get_close_matches(str(name), known, n=1, cutoff=0.5)
            raise InvalidInput(
                "an event has no such field",
                expected=near[0] if near else f"one of {', '.join(known)}",
                found=repr(name),
                where=where,
            )


def check_row(values: Sequence[object], row: int) -> dict[str, Any]:
    """The fields of one event in schema order, checked, with defaults for None.

    Raises:
        InvalidInput: a field breaks a rule; `where` names row and field.
    """
    checked: dict[str, Any] = {}
    for name, value in zip(FIELDS, values, strict=True):
        if (
            type(value) is str
            and name in PLAIN
            and value.isascii()
            and len(value) * MAX_GROWTH <= MAX_EVENT_TEXT_BYTES
        ):
            checked[name] = value  # the usual case, kept short: see `_text` for the rule
        elif value is None:
            if name in REQUIRED:
                raise InvalidInput("an event needs this field", where=_where(row, name))
            checked[name] = _DEFAULT_OF[name]
        elif name == "timestamp":
            checked[name] = _EPOCH + _MICROSECOND * timestamp_us(value, row)
        elif name in INTEGERS:
            checked[name] = _integer(name, value, row)
        elif name in JSON_FIELDS:
            text = _text(name, value, row)
            _check_size(name, row, _utf8_size(text), MAX_VALUE_BYTES)
            checked[name] = _json(name, text, row)
        else:
            checked[name] = text = _text(name, value, row)
            _check_size(name, row, escaped_size(text), MAX_EVENT_TEXT_BYTES)
    for name in NOT_EMPTY:
        if not checked[name]:
            raise InvalidInput("text is empty", where=_where(row, name))
    return checked


def to_microseconds(moment: datetime) -> int:
    """Microseconds since the epoch of an aware datetime, exact."""
    return (moment - _EPOCH) // _MICROSECOND


def from_microseconds(timestamp_us: int) -> datetime:
    """The aware UTC datetime of microseconds since the epoch, exact."""
    return _EPOCH + _MICROSECOND * timestamp_us


def timestamp_us(value: object, row: int) -> int:
    """Microseconds since the epoch of an aware datetime or an RFC 3339 text."""
    where = _where(row, "timestamp")
    moment = value
    if isinstance(value, str):
        if not _RFC3339.fullmatch(value):
            raise InvalidInput(
                "timestamp is not RFC 3339",
                expected="like 2026-01-31T12:00:00.000000Z, at most six digits",
                found=repr(value),
                where=where,
            )
        try:
            moment = datetime.fromisoformat(value)
        except ValueError as error:
            raise InvalidInput("timestamp does not exist", found=value, where=where) from error
    if not isinstance(moment, datetime):
        raise InvalidInput(
            "timestamp has the wrong type",
            expected="an aware datetime or RFC 3339 text",
            found=type(value).__name__,
            where=where,
        )
    if moment.utcoffset() is None:
        raise InvalidInput("timestamp has no zone", found=moment.isoformat(), where=where)
    micros = (moment - _EPOCH) // _MICROSECOND
    if not MIN_TIMESTAMP_US <= micros <= MAX_TIMESTAMP_US:
        raise InvalidInput(
            "timestamp is out of range",
            expected="years 1 to 9999 in UTC",
            found=moment.isoformat(),
            where=where,
        )
    return micros


def _where(row: int, name: str) -> str:
    return f"row {row}, field {name}"


def _integer(name: str, value: object, row: int) -> int:
    where = _where(row, name)
    if type(value) is not int:
        raise InvalidInput(
            "wrong type", expected="an integer", found=type(value).__name__, where=where
        )
    if not 0 <= value <= MAX_INTEGER:
        raise InvalidInput(
            "integer is out of range", expected="0 to 2^53 - 1", found=value, where=where
        )
    if name == "leaf" and value not in READABLE_LEAVES:
        raise InvalidInput("events are taken with leaf version 1 only", found=value, where=where)
    return value


def _text(name: str, value: object, row: int) -> str:
    if not isinstance(value, str):
        raise InvalidInput(
            "wrong type", expected="text", found=type(value).__name__, where=_where(row, name)
        )
    try:
        _utf8_size(value)
    except UnicodeEncodeError as error:
        raise InvalidInput(
            "text has a lone surrogate",
            expected="Unicode characters only",
            found=f"U+{ord(value[error.start]):04X} at character {error.start}",
            where=_where(row, name),
        ) from error
    return str.__str__(value)  # a plain one, whatever its type


def _utf8_size(text: str) -> int:
    return len(text) if text.isascii() else len(text.encode())


def _check_size(name: str, row: int, size_bytes: int, limit: int) -> None:
    if size_bytes > limit:
        raise InvalidInput(
            "text is too long",
            expected=f"at most {limit} bytes",
            found=size_bytes,
            where=_where(row, name),
        )


def _json(name: str, text: str, row: int) -> str:
    is_object = name == "context"
    form = "a JSON object" if is_object else "JSON text"
    try:
        (parse_object if is_object else parse_value)(text)
    except msgspec.ValidationError as error:
        raise InvalidInput(
            "wrong JSON", expected=form, found=_excerpt(text), where=_where(row, name)
        ) from error
    except msgspec.DecodeError as error:
        raise InvalidInput(
            f"not JSON ({error})",
            expected=form,
            found=_excerpt(text),
            where=_where(row, name),
            hint='A plain text is a JSON value in quotes: "like this".',
        ) from error
    except RecursionError as error:
        raise InvalidInput("JSON is nested too deeply", where=_where(row, name)) from error
    return text


def _excerpt(text: str) -> str:
    return repr(text if len(text) <= 80 else text[:80] + "…")
