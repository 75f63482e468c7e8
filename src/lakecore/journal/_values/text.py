"""JSON text of one value: the rules that `values` applies to columns, in plain Python.

===================  =======================================================
value                text
===================  =======================================================
null                 ``null``
boolean              ``true``, ``false``
integer              digits; in quotes beyond ±(2^53 - 1)
float                shortest digits for its own width; ``"NaN"``, ``"Infinity"``, ``"-Infinity"``
decimal              in quotes, with all digits of its scale
string               RFC 8785 escapes
binary               base64 with padding, in quotes
date                 ``"YYYY-MM-DD"``
time                 ``"HH:MM:SS.ffffff"``
timestamp            ``"YYYY-MM-DDTHH:MM:SS.ffffffZ"`` in UTC; without ``Z`` where it has no zone
duration             ``"PT<seconds>.ffffffS"``, negative ``"-PT…"``
interval             ``{"days":d,"months":m,"nanoseconds":n}``
list                 ``[…]``
struct               ``{…}``, names in RFC 8785 order (UTF-16 code units)
map                  list of ``[key,value]`` pairs, as stored
===================  =======================================================

- Time has six digits; nine where there are nanoseconds to lose.
- Years before 1 and after 9999 have a sign: ``+10000-01-01``, ``-0001-12-31``.
- A text says nothing about its type: ``"1.50"`` may be a string or a decimal, ``"aGk="`` a
  string or bytes. The schema of the table says which.
- A float is exponential below 1e-5 and from 1e16, in 32 bits below 1e-6 and from 1e13.
"""

from __future__ import annotations

import base64
import json
from collections.abc import Mapping
from datetime import date, datetime, time, timedelta
from decimal import Decimal
from typing import Any, Final

import numpy as np

from lakecore.base import InvalidInput

MAX_PLAIN_INTEGER: Final = (1 << 53) - 1
TICKS_PER_SECOND: Final = {"s": 1, "ms": 1_000, "us": 1_000_000, "ns": 1_000_000_000}

_FIXED_EXPONENTS: Final = {16: range(-6, 13), 32: range(-6, 13), 64: range(-5, 16)}
_EPOCH_ORDINAL: Final = date(1970, 1, 1).toordinal()
_EPOCH: Final = datetime(1970, 1, 1)  # noqa: DTZ001 - zoneless values count from here
_DAYS_PER_ERA: Final = 146_097
"""Days in 400 years of the Gregorian calendar."""


def encode_value(value: object) -> str:
    """JSON text of one Python value: what `json_text` gives for a cell that holds it.

    NumPy's scalars keep their width: ``np.float32(0.1)`` is ``0.1``.

    Raises:
        InvalidInput: the value has no JSON text: an unknown type, a name that is not text, a
            lone surrogate.
    """
    match value:
        case None:
            return "null"
        case bool() | np.bool_():
            return "true" if value else "false"
        case int() | np.integer():
            return integer_text(int(value))
        case float():
            return float_text(value, 64)
        case np.floating() if value.dtype.itemsize <= 4:
            return float_text(value, value.dtype.itemsize * 8)
        case Decimal():
            return f'"{value:f}"' if value.is_finite() else float_text(float(value), 64)
        case str():
            return string_text(value)
        case bytes() | bytearray() | memoryview():
            return f'"{base64.b64encode(value).decode()}"'
        case datetime():
            return _datetime_text(value)
        case date():
            return f'"{day_text(value.toordinal() - _EPOCH_ORDINAL)}"'
        case time():
            return f'"{value.isoformat(timespec="microseconds")}"'
        case timedelta():
            return duration_text(value // timedelta.resolution, "us")
        case Mapping():
            return _object_text(value)
        case list() | tuple():
            return f"[{','.join(map(encode_value, value))}]"
    raise InvalidInput("a value of this type has no JSON text", found=type(value).__name__)


def name_order(name: str) -> bytes:
    """The sort key of RFC 8785, section 3.2.3: UTF-16 code units."""
    return name.encode("utf-16-be", "surrogatepass")


def string_text(value: str) -> str:
    """A JSON string with RFC 8785's escapes."""
    try:
        value.encode()
    except UnicodeEncodeError as error:
        raise InvalidInput("text has a lone surrogate", found=ascii(value[:80])) from error
    return json.dumps(value, ensure_ascii=False)


def integer_text(value: int) -> str:
    """Digits, in quotes where a reader with 64-bit floats would round them."""
    return str(value) if abs(value) <= MAX_PLAIN_INTEGER else f'"{value}"'


def float_text(value: float | np.floating[Any], bits: int) -> str:
    """The shortest digits that give the same float of this width back."""
    if np.isnan(value):
        return '"NaN"'
    if np.isinf(value):
        return '"Infinity"' if value > 0 else '"-Infinity"'
    scientific = np.format_float_scientific(value, unique=True, trim="-")
    mantissa, _, exponent_text = scientific.partition("e")
    sign = "-" if mantissa.startswith("-") else ""
    digits = mantissa.lstrip("-").replace(".", "")
    exponent = int(exponent_text)
    if exponent not in _FIXED_EXPONENTS[bits]:
        fraction = f".{digits[1:]}" if len(digits) > 1 else ""
        return f"{sign}{digits[0]}{fraction}e{exponent:+d}"
    if exponent < 0:
        return f"{sign}0.{'0' * (-exponent - 1)}{digits}"
    whole = digits[: exponent + 1].ljust(exponent + 1, "0")
    return f"{sign}{whole}.{digits[exponent + 1 :] or '0'}"


def day_text(days: int) -> str:
    """``YYYY-MM-DD`` of days since 1970-01-01, for any year.

    The calendar is counted in eras of 400 years from a 1st of March, so that the leap day
    is the last of its year (Hinnant, "chrono-compatible low-level date algorithms").
    """
    era, day_of_era = divmod(days + 719_468, _DAYS_PER_ERA)
    year_of_era = (
        day_of_era - day_of_era // 1_460 + day_of_era // 36_524 - day_of_era // 146_096
    ) // 365
    day_of_year = day_of_era - (365 * year_of_era + year_of_era // 4 - year_of_era // 100)
    shifted_month = (5 * day_of_year + 2) // 153
    day = day_of_year - (153 * shifted_month + 2) // 5 + 1
    month = shifted_month + 3 if shifted_month < 10 else shifted_month - 9
    year = year_of_era + era * 400 + (month <= 2)
    sign = "+" if year > 9999 else "-" if year < 0 else ""
    return f"{sign}{abs(year):04d}-{month:02d}-{day:02d}"


def clock_text(ticks: int, unit: str) -> str:
    """``HH:MM:SS.ffffff`` of ticks since midnight."""
    seconds, rest = divmod(ticks, TICKS_PER_SECOND[unit])
    minutes, second = divmod(seconds, 60)
    hour, minute = divmod(minutes, 60)
    return f"{hour:02d}:{minute:02d}:{second:02d}.{_fraction(rest, unit)}"


def moment_text(ticks: int, unit: str, *, zoned: bool) -> str:
    """A timestamp in quotes, from ticks since the epoch."""
    days, rest = divmod(ticks, 86_400 * TICKS_PER_SECOND[unit])
    return f'"{day_text(days)}T{clock_text(rest, unit)}{"Z" if zoned else ""}"'


def duration_text(ticks: int, unit: str) -> str:
    """A duration in quotes, ISO 8601 in seconds: a day is not always 24 hours."""
    seconds, rest = divmod(abs(ticks), TICKS_PER_SECOND[unit])
    return f'"{"-" if ticks < 0 else ""}PT{seconds}.{_fraction(rest, unit)}S"'


def _fraction(ticks: int, unit: str) -> str:
    nanoseconds = ticks * (1_000_000_000 // TICKS_PER_SECOND[unit])
    if nanoseconds % 1_000:
        return f"{nanoseconds:09d}"
    return f"{nanoseconds // 1_000:06d}"


def _datetime_text(value: datetime) -> str:
    offset = value.utcoffset()
    since = value.replace(tzinfo=None) - _EPOCH - (offset or timedelta())
    return moment_text(since // timedelta.resolution, "us", zoned=offset is not None)


def _object_text(value: Mapping[object, object]) -> str:
    names = []
    for name in value:
        if not isinstance(name, str):
            raise InvalidInput("a name is not text", found=repr(name))
        names.append(name)
    members = (
        f"{string_text(name)}:{encode_value(value[name])}" for name in sorted(names, key=name_order)
    )
    return "{" + ",".join(members) + "}"
