"""Names that travel in time: ``planes@3``, ``as_of('planes', '2026-01-31T12:00:00Z')``."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, date, datetime, time

from lakecore.base import InvalidInput
from lakecore.query._source import MAIN


@dataclass(frozen=True, slots=True)
class Moment:
    """A version, or a time with its zone; neither means now."""

    version: int | None = None
    time: datetime | None = None


NOW = Moment()


def split_moment(name: str) -> tuple[str, Moment]:
    """A table's name and the moment after its last ``@``.

    >>> split_moment("planes@3")
    ('planes', Moment(version=3, time=None))
    """
    base, at, moment = name.rpartition("@")
    return (base, parse_moment(moment)) if at else (name, NOW)


def split_schema(name: str) -> tuple[str, str]:
    """Schema and name of a dataset.

    >>> split_schema("system.journal"), split_schema("planes")
    (('system', 'journal'), ('main', 'planes'))
    """
    schema, dot, rest = name.partition(".")
    return (schema, rest) if dot else (MAIN, name)


def parse_moment(value: object) -> Moment:
    """A version number, a date, or a time (RFC 3339; without a zone it is UTC).

    Raises:
        InvalidInput: it is none of them.
    """
    match value:
        case bool():
            pass
        case int() if value >= 0:
            return Moment(version=value)
        case datetime():
            return Moment(time=value if value.tzinfo else value.replace(tzinfo=UTC))
        case date():
            return Moment(time=datetime.combine(value, time(), tzinfo=UTC))
        case str() if value.isascii() and value.isdigit():
            return Moment(version=int(value))
        case str():
            try:
                return parse_moment(datetime.fromisoformat(value))
            except ValueError:
                pass
    raise InvalidInput(
        "no version and no time",
        expected="a version such as 3, or a time such as 2026-01-31T12:00:00Z",
        found=value,
    )
