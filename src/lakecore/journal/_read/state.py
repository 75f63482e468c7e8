"""What an entity was at a moment: its history, folded up to a `seq`, a version or a time.

Events are folded in the order of `pages.in_order`:

- a ``*`` event with a new value sets all fields: the members of the row's JSON object; a
  value that is no object is the field ``*`` itself;
- a ``*`` event without one clears them, when it deletes or says what was there before;
  ``insert`` without values begins anew with no fields; any other one changes nothing;
- an event of a field sets it, or takes it away when it has no new value.

Columns of a dataset have events of their own, of the type ``schema``; they change its rows,
too (`_read.columns`), before the other events of their version.

The moment is inclusive. A *time* means the last change that was committed at or before it:
of a dataset the last version whose time is not later, as `as_of` reads tables.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, Final

from lakecore.base import InvalidInput, NotFound
from lakecore.journal._events.event import Event
from lakecore.journal._events.rules import parse_object, to_microseconds
from lakecore.journal._read.columns import (
    SCHEMA,
    column_events,
    is_of_columns,
    with_column,
)
from lakecore.journal._read.filter import EventFilter
from lakecore.journal._read.pages import history, in_order
from lakecore.journal._read.scan import Snapshot

WHOLE: Final = "*"


@dataclass(frozen=True, slots=True, kw_only=True)
class AsOf:
    """A moment: at most one of the three is set; none of them means now."""

    seq: int | None = None
    version: int | None = None
    time_us: int | None = None

    def __post_init__(self) -> None:
        given = {
            name: value
            for name, value in (("seq", self.seq), ("version", self.version))
            if value is not None
        }
        if len(given) + (self.time_us is not None) > 1:
            raise InvalidInput("more than one moment", expected="a seq, a version or a time")
        for name, value in given.items():
            if type(value) is not int or value < 0:
                raise InvalidInput("no moment", expected=f"{name} >= 0", found=repr(value))


NOW: Final = AsOf()


@dataclass(frozen=True, slots=True, kw_only=True)
class EntityState:
    """An entity at a moment.

    Attributes:
        fields: JSON text by field, as the journal has it.
        event: its last event; those of columns are not its own.
        rekeyed_from: the id that the entity had before its key was changed, if it was.
    """

    fields: Mapping[str, str] = field(default_factory=dict)
    event: Event
    rekeyed_from: str | None = None

    def values(self) -> dict[str, Any]:
        """The fields as Python values; what JSON has no word for stays text, as encoded."""
        return {name: json.loads(text) for name, text in self.fields.items()}


def state_of(
    events: Iterable[Event], at: AsOf = NOW, *, columns: Iterable[Event] = ()
) -> EntityState | None:
    """The entity whose events these are, in any order; None when it did not exist then.

    Args:
        columns: the events of its dataset's columns, in order.
    """
    state: EntityState | None = None
    of_columns = list(columns)
    ids = set(map(id, of_columns))
    # Sorting is stable: what columns become is told before the rows of the same version.
    for event in in_order(_until([*of_columns, *events], at)):
        if id(event) not in ids:
            state = _after(state, event)
        elif state is not None:
            state = replace(state, fields=with_column(state.fields, event))
    return state


def entity_state(
    snapshot: Snapshot,
    wanted: EventFilter,
    at: AsOf,
    workspace_id: str | None,
    dataset_names: Sequence[str] | None = None,
) -> EntityState | None:
    """The state of the entity that `wanted` names.

    Of a dataset's entity only what changed the table counts: events with a version. Unless
    the type ``schema`` is asked for, it is a row, in the columns that it had.

    Args:
        dataset_names: every name that the dataset has had; they spare a scan.

    Raises:
        InvalidInput: a version without a dataset.
        NotFound: no event has this `seq` yet.
    """
    dataset_id = wanted.equals.get("dataset_id")
    if at.version is not None and not dataset_id:
        raise InvalidInput("versions are those of a dataset", expected="dataset_id")
    if at.seq is not None and at.seq >= snapshot.size:
        raise NotFound(
            "no event has this seq yet", expected=f"less than {snapshot.size}", found=at.seq
        )
    events = seen_from(history(snapshot, wanted), workspace_id)
    if not dataset_id:
        return state_of(events, at)
    events = [event for event in events if event.version is not None]
    if wanted.equals.get("entity_type") == SCHEMA:
        return state_of(events, at)
    events = [event for event in events if not is_of_columns(event)]
    if not events:
        return None
    columns = seen_from(column_events(snapshot, dataset_id, dataset_names), workspace_id)
    return state_of(events, at, columns=columns)


def seen_from(events: Iterable[Event], workspace_id: str | None) -> list[Event]:
    """The events that belong to main (``""``), to one workspace, or all of them (None).

    What a workspace does to a dataset is not main's until it is merged, and merging makes a
    version. So main has every event but those of a workspace about a dataset without one.
    """
    if workspace_id is None:
        return list(events)
    if workspace_id:
        return [event for event in events if event.workspace_id == workspace_id]
    return [
        event
        for event in events
        if not (event.workspace_id and event.dataset_id and event.version is None)
    ]


def _until(events: list[Event], at: AsOf) -> Iterator[Event]:
    last = _last_versions(events, at.time_us) if at.time_us is not None else {}
    for event in events:
        if at.seq is not None:
            keeps = event.seq is not None and event.seq <= at.seq
        elif at.version is not None:
            keeps = event.version is not None and event.version <= at.version
        elif at.time_us is None:
            keeps = True
        elif event.version is not None and event.dataset_id:
            keeps = event.version <= last.get(event.dataset_id, -1)
        else:
            keeps = _time_us(event) <= at.time_us
        if keeps:
            yield event


def _last_versions(events: Iterable[Event], time_us: int) -> dict[str, int]:
    """Of each dataset the last version at or before a time: a version goes in whole."""
    last: dict[str, int] = {}
    for event in events:
        if event.version is not None and event.dataset_id and _time_us(event) <= time_us:
            last[event.dataset_id] = max(event.version, last.get(event.dataset_id, -1))
    return last


def _after(state: EntityState | None, event: Event) -> EntityState | None:
    fields = dict(state.fields) if state is not None else {}
    if event.field != WHOLE:
        if event.new_value is not None:
            fields[event.field] = event.new_value
        elif fields.pop(event.field, None) is None:
            return state
        if state is None:
            return EntityState(fields=fields, event=event)
        return replace(state, fields=fields, event=event)
    if event.action == "delete" or (event.new_value is None and event.old_value is not None):
        return None
    if event.new_value is None and event.action != "insert":
        return state
    former = _rekeyed_from(event) or (state.rekeyed_from if state is not None else None)
    members = {} if event.new_value is None else _members(event.new_value)
    return EntityState(fields=members, event=event, rekeyed_from=former)


def _members(text: str) -> dict[str, str]:
    """The members of a JSON object, each as the text that it is written with."""
    if not text.lstrip().startswith("{"):
        return {WHOLE: text}
    members: Any = parse_object(text)
    return {name: bytes(raw).decode() for name, raw in members.items()}


def _rekeyed_from(event: Event) -> str | None:
    if "rekeyed_from" not in event.context:
        return None
    former = json.loads(event.context).get("rekeyed_from")
    return former if isinstance(former, str) else None


def _time_us(event: Event) -> int:
    return to_microseconds(event.timestamp) if event.timestamp else 0
