"""Questions to the journal: the history of an entity, blame, recent events, filtered pages.

Newest first means: unsealed events by (time, id), then sealed ones by `seq`. A cursor
holds the place in that order and the number of sealed events of the first page, so what
is sealed between two pages is neither repeated nor left out.
"""

from __future__ import annotations

import base64
import binascii
import json
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime
from itertools import chain
from typing import TYPE_CHECKING, Any, Final

from lakecore.base import InvalidInput
from lakecore.journal._events.event import Event, arrow_to_events
from lakecore.journal._events.rules import to_microseconds
from lakecore.journal._read.filter import EventFilter
from lakecore.journal._read.indexed import all_events, is_indexed, newest, newest_matches
from lakecore.journal._read.scan import Snapshot, concat, scan_schema

if TYPE_CHECKING:
    import pyarrow as pa

MAX_PAGE_EVENTS: Final = 100_000
_SORT_KEYS: Final = [
    ("timestamp", "descending"),
    ("id_length", "descending"),
    ("event_id", "descending"),
]


@dataclass(frozen=True, slots=True)
class Page:
    """Some of the events that match, and the cursor that gives the following ones, or None."""

    items: list[Event]
    next: str | None


@dataclass(frozen=True, slots=True)
class _Cursor:
    """`size`: sealed events at the first page; then either the last unsealed event that was
    given, (time, id), or `before`: the `seq` of the last sealed one."""

    size: int
    time_us: int | None = None
    event_id: str = ""
    before: int | None = None

    def to_text(self) -> str:
        content = json.dumps([self.size, self.time_us, self.event_id, self.before])
        return base64.urlsafe_b64encode(content.encode()).decode()

    @classmethod
    def from_text(cls, text: str) -> _Cursor:
        try:
            size, time_us, event_id, before = json.loads(base64.urlsafe_b64decode(text.encode()))
            right = isinstance(size, int) and isinstance(event_id, str)
            if not right or not all(isinstance(item, int | None) for item in (time_us, before)):
                raise TypeError
        except (binascii.Error, ValueError, TypeError) as error:
            raise InvalidInput("not a cursor of this query", found=repr(text)) from error
        return cls(size, time_us, event_id, before)


def page(snapshot: Snapshot, wanted: EventFilter, *, limit: int, cursor: str | None = None) -> Page:
    """The newest events that match, after the cursor.

    Raises:
        InvalidInput: a limit out of range, or a cursor that is none.
    """
    if not 1 <= limit <= MAX_PAGE_EVENTS:
        raise InvalidInput("limit out of range", expected=f"1 to {MAX_PAGE_EVENTS}", found=limit)
    at = _Cursor.from_text(cursor) if cursor else _Cursor(snapshot.size)
    # One more than asked for tells whether there is a next page.
    found: list[Event] = []
    if at.before is None and (snapshot.has_unsealed or snapshot.size > at.size):
        young = snapshot.sealed(wanted, first_seq=at.size)
        found = _newest(chain(snapshot.unsealed(wanted), young), limit + 1, at)
    end = at.size if at.before is None else min(at.before, at.size)
    unsealed = len(found)
    if len(found) <= limit and is_indexed(snapshot, wanted):
        found += newest(snapshot, wanted, end, limit + 1 - len(found))
    elif len(found) <= limit:
        found += newest_matches(snapshot, wanted, end, limit + 1 - len(found))
    items = found[:limit]
    if len(found) <= limit:
        return Page(items, None)
    last = items[-1]
    if len(items) <= unsealed and last.timestamp is not None:
        following = _Cursor(at.size, to_microseconds(last.timestamp), last.event_id)
    else:
        following = _Cursor(at.size, before=last.seq)
    return Page(items, following.to_text())


def history(snapshot: Snapshot, wanted: EventFilter) -> list[Event]:
    """All events that match, in the order in which they happened.

    Events of a dataset are in order of (version, place in the commit), whatever the clocks
    said; datasets and direct events are merged by time.
    """
    if is_indexed(snapshot, wanted):
        unsealed = [e for table in snapshot.unsealed(wanted) for e in arrow_to_events(table)]
        return in_order([*all_events(snapshot, wanted), *unsealed])
    tables = chain(snapshot.sealed(wanted), snapshot.unsealed(wanted))
    return in_order(arrow_to_events(concat(tables)))


def in_order(events: Iterable[Event]) -> list[Event]:
    """Events in record order, sorted into the order in which they happened."""
    by_dataset: dict[str, list[Event]] = {}
    for event in events:
        dataset_id = event.dataset_id if event.version is not None else ""
        if dataset_id in by_dataset:
            by_dataset[dataset_id].append(event)
        else:
            by_dataset[dataset_id] = [event]
    for dataset_id, group in by_dataset.items():
        # Sorting is stable: within a version, the record's order is the commit's.
        group.sort(key=_version_of if dataset_id else _time_us)
    if len(by_dataset) == 1:
        return group
    keyed: list[tuple[int, str, int, Event]] = []
    for dataset_id, group in by_dataset.items():
        latest = 0
        for place, event in enumerate(group):
            # A clock that went back must not reorder versions.
            latest = max(latest, _time_us(event))
            keyed.append((latest, dataset_id, place, event))
    keyed.sort(key=lambda item: item[:3])
    return [event for _, _, _, event in keyed]


def blame(events: Iterable[Event]) -> dict[str, Event]:
    """The last event of each field, of a history in order; ``*`` is the whole entity."""
    return {event.field: event for event in events}


def moment_us(moment: datetime | str | int | None, name: str) -> int | None:
    """A bound on time as microseconds since the epoch."""
    from lakecore.journal._events.rules import timestamp_us

    if moment is None or type(moment) is int:
        return moment
    try:
        return timestamp_us(moment, 0)
    except InvalidInput as error:
        raise InvalidInput(
            error.message, expected=error.expected, found=error.found, where=name
        ) from error


def _newest(tables: Iterable[pa.Table], limit: int, after: _Cursor) -> list[Event]:
    """The newest by (time, id) that come after the cursor; at most a page is kept at a time."""
    kept = scan_schema().empty_table()
    for table in tables:
        if after.time_us is not None:
            table = table.filter(_is_after(table, after))
        if table.num_rows:
            kept = _top(concat([kept, table]), limit)
    return arrow_to_events(kept)


def _is_after(table: pa.Table, cursor: _Cursor) -> Any:
    """True where an event is older than the cursor's, in the order of `_SORT_KEYS`."""
    import pyarrow as pa
    import pyarrow.compute as pc

    time = table.column("timestamp").cast(pa.int64())
    size = pc.utf8_length(table.column("event_id"))
    same_size = pc.and_(
        pc.equal(size, len(cursor.event_id)), pc.less(table.column("event_id"), cursor.event_id)
    )
    same_time = pc.and_(
        pc.equal(time, cursor.time_us), pc.or_(pc.less(size, len(cursor.event_id)), same_size)
    )
    return pc.or_(pc.less(time, cursor.time_us), same_time)


def _top(table: pa.Table, limit: int) -> pa.Table:
    import pyarrow.compute as pc

    # By length first: of '<id>:9' and '<id>:10', the second is the later one.
    lengths = pc.utf8_length(table.column("event_id"))
    indices = pc.sort_indices(table.append_column("id_length", lengths), sort_keys=_SORT_KEYS)
    return table.take(indices.slice(0, limit))


def _version_of(event: Event) -> int:
    return event.version or 0


def _time_us(event: Event) -> int:
    return to_microseconds(event.timestamp) if event.timestamp else 0
