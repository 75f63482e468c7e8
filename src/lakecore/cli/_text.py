"""Values as people read them. Pure."""

from __future__ import annotations

import re
from datetime import UTC, datetime
from typing import Final

_CONTROL: Final = re.compile(r"[\x00-\x1f\x7f-\x9f\u202a-\u202e\u2066-\u2069]")


def printable(text: object) -> str:
    r"""Text without the power to steer a terminal: control characters are escaped.

    >>> printable("\x1b[2Jgone\n")
    '\\x1b[2Jgone\\n'
    """
    return _CONTROL.sub(lambda found: repr(found[0])[1:-1], str(text))


def count(number: int, noun: str, plural: str | None = None) -> str:
    """
    >>> count(1, "row"), count(336776, "row"), count(2, "entry", "entries")
    ('1 row', '336,776 rows', '2 entries')
    """
    return f"{number:,} {noun if number == 1 else plural or noun + 's'}"


def duration(seconds: float) -> str:
    """
    >>> duration(0.0042), duration(1.234), duration(75.4), duration(3 * 3600 + 125)
    ('4 ms', '1.23 s', '1 min 15 s', '3 h 2 min')
    """
    if seconds < 1:
        return f"{seconds * 1000:.0f} ms"
    if seconds < 60:
        return f"{seconds:.2f} s"
    whole = int(seconds)
    if whole < 3600:
        return f"{whole // 60} min {whole % 60} s"
    return f"{whole // 3600:,} h {whole % 3600 // 60} min"


def size(size_bytes: int) -> str:
    """
    >>> size(999), size(8_258_905), size(3 << 30)
    ('999 B', '7.9 MiB', '3.0 GiB')
    """
    amount, units = float(size_bytes), ("B", "KiB", "MiB", "GiB", "TiB")
    for unit in units:
        if amount < 1024 or unit == units[-1]:
            return f"{amount:.0f} B" if unit == "B" else f"{amount:,.1f} {unit}"
        amount /= 1024
    raise AssertionError


def moment(at: datetime | None) -> str:
    """
    >>> moment(datetime(2026, 11, 22, 9, 30, 1, 250_000, tzinfo=UTC))
    '2026-11-22 09:30:01.250 UTC'
    """
    if at is None:
        return ""
    return at.astimezone(UTC).strftime("%Y-%m-%d %H:%M:%S.%f")[:-3] + " UTC"


def moment_of(at_us: int | None) -> datetime | None:
    """Microseconds since the epoch as a time."""
    return None if at_us is None else datetime.fromtimestamp(at_us / 1_000_000, UTC)


def columns_taken(text: str) -> int:
    """The columns of a terminal that a text takes: East Asian characters two, combining none.

    >>> columns_taken("lake"), columns_taken("湖")
    (4, 2)
    """
    if text.isascii():
        return len(text)
    from rich.cells import cell_len

    return cell_len(text)


def shortened(text: str, width: int) -> str:
    """At most `width` columns of a terminal.

    >>> shortened("sediment", 5), shortened("core", 5), shortened("湖" * 4, 5)
    ('sedi…', 'core', '湖湖…')
    """
    if columns_taken(text) <= width:
        return text
    if text.isascii():
        return text[: width - 1] + "…"
    from rich.cells import set_cell_size

    return set_cell_size(text[:width], width - 1).rstrip() + "…"
