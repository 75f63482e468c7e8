"""How values of a context compare: kinds, equality, order, emptiness, and their JSON form.

A context is JSON, and what Arrow columns hold: decimals, dates and times may stand in it as
Python's. A rule's value is JSON. The two are compared by what was found:

=====================  ==========================  =========================================
found                  compared with               how
=====================  ==========================  =========================================
boolean                boolean                     equality only
integer, float         number                      exactly; NaN equals and exceeds nothing
decimal                number                      exactly, the number by its shortest digits
text                   text                        by code point
timestamp              text, RFC 3339              as instants; zoneless with zoneless only
date                   text, ``YYYY-MM-DD``        by day
binary, time of day    text: base64, ISO 8601      equality only
list, object           list, object                equality only, member by member
=====================  ==========================  =========================================

Any other pair is unequal, and has no order: asking for one is an error.
"""

from __future__ import annotations

import base64
import math
from collections.abc import Mapping
from datetime import UTC, date, datetime, time, timedelta
from decimal import Decimal
from typing import Any

from lakecore.truth._bounds import MAX_SHOWN_CHARACTERS, MAX_SHOWN_ITEMS
from lakecore.truth._path import MISSING


class NotComparable(Exception):
    """Two values have no order, or a value is of no kind that rules know."""


class Literal:
    """A rule's value, prepared once for whatever is found."""

    __slots__ = ("day", "decimal", "moment", "value")

    def __init__(self, value: Any) -> None:
        self.value = value
        number = isinstance(value, int | float) and not isinstance(value, bool)
        # By its shortest digits: 0.1 in a rule is the decimal 0.1 of a column.
        self.decimal = Decimal(repr(value)) if number else None
        self.moment = moment_of(value)
        self.day = day_of(value)

    def equals(self, found: Any) -> bool:
        """Whether `found` is this value."""
        value = self.value
        kind = found.__class__
        if kind is str:
            return value.__class__ is str and bool(found == value)
        if kind is bool or value.__class__ is bool:
            return found is value
        if kind is int or kind is float:
            return self.decimal is not None and bool(found == value)
        if found is None or value is None:
            return found is value
        if isinstance(found, Decimal):
            return self.decimal is not None and bool(found == self.decimal)
        if isinstance(found, datetime):
            return self.moment is not None and _same_zone(found, self.moment) == 0
        if isinstance(found, date):
            return self.day is not None and found == self.day
        if isinstance(found, bytes | time | timedelta):
            return bool(plain(found) == value)
        if isinstance(found, list | tuple):
            return (
                isinstance(value, list)
                and len(found) == len(value)
                and all(Literal(b).equals(a) for a, b in zip(found, value, strict=True))
            )
        if isinstance(found, Mapping):
            return (
                isinstance(value, dict)
                and found.keys() == value.keys()
                and all(Literal(value[name]).equals(found[name]) for name in value)
            )
        raise NotComparable(f"{kind_of(found)} is not a kind of value that rules compare")

    def exceeded_by(self, found: Any) -> bool:
        """Whether `found` is greater than this value; null is not."""
        value = self.value
        kind = found.__class__
        if found is None:
            return False
        if kind is int or kind is float:
            if self.decimal is not None:
                return bool(found > value)
        elif kind is str:
            if value.__class__ is str:
                return bool(found > value)
        elif isinstance(found, Decimal):
            if self.decimal is not None:
                return not found.is_nan() and found > self.decimal
        elif isinstance(found, datetime):
            order = None if self.moment is None else _same_zone(found, self.moment)
            if order is not None:
                return order > 0
        elif isinstance(found, date) and self.day is not None:
            return found > self.day
        raise NotComparable(f"{kind_of(found)} has no order with {kind_of(value)} {shown(value)!r}")


def is_empty(found: Any) -> bool:
    """Null, missing, or a text, list, object or binary without content."""
    if found is None or found is MISSING:
        return True
    return isinstance(found, str | list | tuple | Mapping | bytes) and len(found) == 0


def kind_of(value: Any) -> str:
    """What a person calls the kind of `value`."""
    if value is None:
        return "null"
    for types, name in _KINDS:
        if isinstance(value, types):
            return name
    return type(value).__name__


_KINDS: tuple[tuple[Any, str], ...] = (
    (bool, "boolean"),
    (int, "integer"),
    (float, "float"),
    (Decimal, "decimal"),
    (str, "text"),
    (datetime, "timestamp"),
    (date, "date"),
    (time, "time of day"),
    (timedelta, "duration"),
    (bytes, "binary"),
    (list | tuple, "list"),
    (Mapping, "object"),
)


def moment_of(value: Any) -> datetime | None:
    """The timestamp that a text is, in UTC where it has a zone; None for anything else."""
    if not isinstance(value, str):
        return None
    try:
        moment = datetime.fromisoformat(value)
    except ValueError:
        return None
    try:
        return moment if moment.tzinfo is None else moment.astimezone(UTC)
    except OverflowError:
        return None


def day_of(value: Any) -> date | None:
    """The date that a text is; None for anything else."""
    if not isinstance(value, str):
        return None
    try:
        return date.fromisoformat(value)
    except ValueError:
        return None


def _same_zone(found: datetime, moment: datetime) -> int | None:
    """-1, 0 or 1 as `found` is before, at or after; None where only one has a zone."""
    if (found.tzinfo is None) != (moment.tzinfo is None):
        return None
    return (found > moment) - (found < moment)


def plain(value: Any) -> Any:
    """`value` as JSON, the way CEL expressions see it: decimals and times as their text.

    Raises:
        NotComparable: something in it is of no kind that rules know.
    """
    kind = value.__class__
    if kind is str or kind is int or kind is float or kind is bool or value is None:
        return value
    if kind is dict or isinstance(value, Mapping):
        return {
            name if name.__class__ is str else str(plain(name)): plain(item)
            for name, item in value.items()
        }
    if kind is list or isinstance(value, list | tuple):
        return [plain(item) for item in value]
    if isinstance(value, Decimal):
        return format(value, "f")
    if isinstance(value, datetime):
        if value.tzinfo is None:
            return value.isoformat(timespec="microseconds")
        moment = value.astimezone(UTC).replace(tzinfo=None)
        return moment.isoformat(timespec="microseconds") + "Z"
    if isinstance(value, date | time):
        return value.isoformat()
    if isinstance(value, bytes):
        return base64.b64encode(value).decode("ascii")
    if isinstance(value, timedelta):
        return f"{Decimal(value // timedelta(microseconds=1)).scaleb(-6):f}s"
    if isinstance(value, str | int | float):  # an enumeration's member, and the like
        return value
    raise NotComparable(f"{kind_of(value)} is not a kind of value that rules compare")


def shown(value: Any) -> Any:
    """`value` as JSON for a decision: long ones cut, NaN and infinities as text."""
    if value is MISSING:
        return None
    if isinstance(value, float) and not math.isfinite(value):
        return "NaN" if math.isnan(value) else "Infinity" if value > 0 else "-Infinity"
    if isinstance(value, Mapping):
        items = list(value.items())[:MAX_SHOWN_ITEMS]
        return {str(name): shown(item) for name, item in items}
    if isinstance(value, list | tuple):
        return [shown(item) for item in value[:MAX_SHOWN_ITEMS]]
    try:
        value = plain(value)
    except NotComparable:
        value = repr(value)
    if isinstance(value, str) and len(value) > MAX_SHOWN_CHARACTERS:
        return value[:MAX_SHOWN_CHARACTERS] + "…"
    return value
