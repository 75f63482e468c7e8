"""Events as lines of a table, for the commands that show them."""

from __future__ import annotations

import json
from collections.abc import Iterable
from typing import TYPE_CHECKING

from lakecore.cli._output import print_table
from lakecore.cli._text import moment, printable, shortened

if TYPE_CHECKING:
    from lakecore.journal import Event

_MAX_LINE = 400
"""Characters of an event's line; whoever needs whole values asks for JSON."""


def change_text(event: Event) -> str:
    """What an event did, old → new; a whole entity by the fields it has."""
    if event.field != "*":
        return f"{_value(event.old_value)} → {_value(event.new_value)}"
    if event.old_value is None and event.new_value is not None:
        return _value(event.new_value)
    if event.old_value is not None and event.new_value is None:
        return f"{_value(event.old_value)} → gone"
    if event.old_value is None:
        return ""
    return f"{_value(event.old_value)} → {_value(event.new_value)}"


def reason_of(event: Event) -> str:
    """The reason in an event's context; '' when nobody gave one."""
    try:
        context = json.loads(event.context)
    except ValueError:
        return ""
    reason = context.get("reason", "") if isinstance(context, dict) else ""
    return reason if isinstance(reason, str) else json.dumps(reason)


def print_history(events: Iterable[Event]) -> None:
    """Time, version, actor, action, field, old → new and reason; one line an event."""
    print_table(
        ["time", "version", "actor", "action", "field", "old → new", "reason"],
        [
            (
                moment(event.timestamp),
                "" if event.version is None else event.version,
                event.actor,
                event.action,
                event.field,
                change_text(event),
                reason_of(event),
            )
            for event in events
        ],
        right=["version"],
    )


def print_events(events: Iterable[Event]) -> None:
    """Events of any entity: also what they are about."""
    print_table(
        ["seq", "time", "actor", "action", "entity", "field", "old → new"],
        [
            (
                "pending" if event.seq is None else f"{event.seq:,}",
                moment(event.timestamp),
                event.actor,
                event.action,
                f"{event.entity_type} {event.entity_id}",
                event.field,
                change_text(event),
            )
            for event in events
        ],
        right=["seq"],
    )


def event_line(event: Event) -> str:
    """One event on one line, for a stream that has no end to align columns by."""
    parts = [
        f"{event.seq:,}" if event.seq is not None else "pending",
        moment(event.timestamp),
        event.actor,
        event.action,
        f"{event.entity_type} {event.entity_id}",
        event.field,
        change_text(event),
    ]
    return shortened(printable("  ".join(part for part in parts if part)), _MAX_LINE)


def _value(text: str | None) -> str:
    return "nothing" if text is None else text
