"""An event as its sender tells it, as a row of `system.events`. Pure."""

from __future__ import annotations

import re
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from functools import lru_cache
from typing import Any, Final

from lakecore.base import InvalidInput, uuid7
from lakecore.observer._clean import Cleaner, is_object

MAX_ID_CHARACTERS: Final = 200
MAX_AHEAD_US: Final = 5 * 60 * 1_000_000
"""A clock may be so far ahead of ours; what is later is taken as now."""

OWN_SOURCES: Final = frozenset({"gateway", "lakecore"})
"""What Lakecore itself tells: nobody else may."""
LEVELS: Final = ("debug", "info", "warning", "error")

_LEVEL_NAMES: Final = {
    **dict.fromkeys(("trace", "debug"), "debug"),
    **dict.fromkeys(("info", "information", "default", "notice", "log"), "info"),
    **dict.fromkeys(("warn", "warning"), "warning"),
    **dict.fromkeys(("err", "error", "critical", "fatal", "alert", "emergency"), "error"),
}
_NAME: Final = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_.:/@-]{0,63}")
_HEX: Final = re.compile(r"[0-9a-f]{1,64}")
_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)
_MAX_S: Final = 253_402_300_799
_KNOWN: Final = frozenset(
    ("id", "time", "source", "kind", "level", "message", "trace_id", "span_id", "duration_ms")
)
_KNOWN_AND_DATA: Final = _KNOWN | {"data"}


def event_row(
    event: object, *, principal: str, now_us: int, is_own: bool = False
) -> dict[str, Any]:
    """The row of one event.

    Args:
        event: an object with `source`, and as it likes `kind` (default ``event``), `id`, `time`
            (RFC 3339 text, or seconds since the epoch), `level`, `message`, `trace_id`,
            `span_id`, `duration_ms`, and `data`, an object. Members that are none of these go
            into `data`, too.
        principal: who sent it.
        is_own: it is Lakecore's own.

    Raises:
        InvalidInput: it is none; names the member.
    """
    if not is_object(event):
        raise InvalidInput("an event is a JSON object", found=type(event).__name__)
    cleaner = Cleaner()
    time_us, skew_ms = _time(event.get("time"), now_us)
    source = _name(event.get("source"), "source")
    if source in OWN_SOURCES and not is_own:
        raise InvalidInput("Lakecore itself tells this", found=source, where="source")
    message = event.get("message")
    return {
        "time": time_us,
        "id": _id(event.get("id")) or uuid7(),
        "source": source,
        "kind": _name(event.get("kind") or "event", "kind"),
        "level": _level(event.get("level")),
        "message": None if message is None else cleaner.text(message),
        "trace_id": _hex(event.get("trace_id"), "trace_id"),
        "span_id": _hex(event.get("span_id"), "span_id"),
        "duration_ms": _number(event.get("duration_ms"), "duration_ms"),
        "data": cleaner.json(_data(event)),
        "is_cut": cleaner.is_cut,
        "skew_ms": skew_ms,
        "principal": principal,
        "received": now_us,
    }


def not_ahead(time_us: int, now_us: int) -> tuple[int, int | None]:
    """A time that is not in the future, and by how many ms it was moved, None: not at all."""
    if time_us <= now_us + MAX_AHEAD_US:
        return time_us, None
    return now_us, (time_us - now_us) // 1_000


def parse_time(value: object, where: str) -> int:
    """Microseconds of RFC 3339 text, an aware datetime, or seconds since the epoch.

    >>> parse_time("1970-01-01T00:00:01Z", "time"), parse_time(1.5, "time")
    (1000000, 1500000)
    """
    found = value
    try:
        if isinstance(value, str) and len(value) <= 64:
            found = datetime.fromisoformat(value)
        if isinstance(found, datetime) and found.tzinfo is not None:
            return (found - _EPOCH) // timedelta(microseconds=1)
        if isinstance(found, (int, float)) and not isinstance(found, bool) and 0 <= found <= _MAX_S:
            return round(found * 1_000_000)
    except (ValueError, OverflowError):
        pass
    raise InvalidInput(
        "not a time",
        expected="RFC 3339 with a zone, or seconds since 1970",
        found=repr(value)[:100],
        where=where,
    )


def _time(value: object, now_us: int) -> tuple[int, int | None]:
    return (now_us, None) if value is None else not_ahead(parse_time(value, "time"), now_us)


def _data(event: Mapping[str, Any]) -> Mapping[str, Any]:
    data = event.get("data")
    if is_object(data) and _KNOWN_AND_DATA.issuperset(event):
        return data
    others = {name: value for name, value in event.items() if name not in _KNOWN}
    if isinstance(data, Mapping):
        del others["data"]
        return {**data, **others}
    return others if data is not None else {k: v for k, v in others.items() if k != "data"}


@lru_cache(maxsize=4_096)
def _is_name(value: str) -> bool:
    return _NAME.fullmatch(value) is not None


def _name(value: object, where: str) -> str:
    if not isinstance(value, str) or not _is_name(value):
        raise InvalidInput(
            "not a name",
            expected="1 to 64 letters, digits and _ . : / @ -",
            found=repr(value)[:100],
            where=where,
        )
    return value


def _id(value: object) -> str | None:
    if value is None:
        return None
    if not isinstance(value, str) or not 1 <= len(value) <= MAX_ID_CHARACTERS:
        expected = f"1 to {MAX_ID_CHARACTERS} characters"
        raise InvalidInput("not an id", expected=expected, found=repr(value)[:100], where="id")
    return value.encode("utf-8", "replace").decode()


def _level(value: object) -> str:
    if value is None:
        return "info"
    level = _LEVEL_NAMES.get(value.lower()) if isinstance(value, str) else None
    if level is None:
        raise InvalidInput(
            "not a level", expected=" | ".join(LEVELS), found=repr(value)[:100], where="level"
        )
    return level


def _hex(value: object, where: str) -> str | None:
    if value is None or value == "":
        return None
    text = value.lower().replace("-", "") if isinstance(value, str) else ""
    if not _HEX.fullmatch(text):
        raise InvalidInput("not hexadecimal", found=repr(value)[:100], where=where)
    return text


def _number(value: object, where: str) -> float | None:
    if value is None:
        return None
    if isinstance(value, bool) or not isinstance(value, (int, float)) or not abs(value) < 1e15:
        raise InvalidInput("not a number", found=repr(value)[:100], where=where)
    return float(value)
