"""What events of a dataset's columns make of a row: added, renamed, dropped, of another type.

The entity of such an event is the dataset, by the name that it had; the field is the column.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from itertools import chain
from typing import Any, Final

from lakecore.journal._events.event import Event
from lakecore.journal._read.filter import EventFilter
from lakecore.journal._read.pages import history, in_order
from lakecore.journal._read.scan import Snapshot
from lakecore.journal._values.retyped import retyped

SCHEMA: Final = "schema"
_ACTIONS: Final = frozenset(
    {
        *("add_column", "drop_column", "rename_column", "widen_column", "change_column"),
        *("set_property", "set_protocol"),
    }
)


def is_of_columns(event: Event) -> bool:
    """Whether it is about a dataset's columns, and not about a row of the same name."""
    return event.entity_type == SCHEMA and event.action in _ACTIONS


def column_events(
    snapshot: Snapshot, dataset_id: str, names: Sequence[str] | None = None
) -> list[Event]:
    """The events of a dataset's columns, in order.

    Args:
        names: every name that it has had; without, all of the log is scanned for them.
    """
    wanted = EventFilter.of(entity_type=SCHEMA, dataset_id=dataset_id)
    if names is None:
        found = history(snapshot, wanted)
    else:
        filters = (EventFilter({**wanted.equals, "entity_id": name}) for name in set(names))
        found = in_order(chain.from_iterable(history(snapshot, each) for each in filters))
    return [event for event in found if event.version is not None and is_of_columns(event)]


def with_column(fields: Mapping[str, str], event: Event) -> Mapping[str, str]:
    """A row's fields after one event of a column."""
    match event.action:
        case "add_column":
            return fields if event.field in fields else {**fields, event.field: "null"}
        case "drop_column":
            return {name: text for name, text in fields.items() if name != event.field}
        case "rename_column":
            old, new = (json.loads(side or "null") for side in (event.old_value, event.new_value))
            return {new if name == old else name: text for name, text in fields.items()}
        case "widen_column" | "change_column" if event.field in fields:
            types = [_type_name(side) for side in (event.old_value, event.new_value)]
            return {**fields, event.field: retyped(fields[event.field], types[0], types[1])}
    return fields


def _type_name(text: str | None) -> str:
    """A primitive type's name; of others, and of what else is told of a column, none."""
    kind: Any = json.loads(text or "null")
    return kind if isinstance(kind, str) else ""
