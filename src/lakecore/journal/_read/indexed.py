"""Sealed events found through the index, wherever it has them; from the segments elsewhere.

The answers are those of `Snapshot.sealed`, event for event. A line is only believed to be
of the entity that it names itself; one that holds the digest of a long value instead of
the value is read from its segment.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator, Sequence
from functools import cache
from itertools import islice
from typing import TYPE_CHECKING, Any, Final

import msgspec

from lakecore.journal._events.event import Event, arrow_to_events
from lakecore.journal._events.rules import to_microseconds
from lakecore.journal._index.layout import BLOCK_ROWS

if TYPE_CHECKING:
    from lakecore.journal._index import Found, Index
    from lakecore.journal._read.filter import EventFilter
    from lakecore.journal._read.scan import Snapshot

_CHUNK_EVENTS: Final = 256
"""Events read at once where a page may need fewer."""
_MANY_EVENTS: Final = 4096
"""Events read at once where a page needs all of them."""
_REMOTE_BLOCKS: Final = 32
"""Requests to a store that are fewer than, or side by side, those for all columns of a segment."""


def is_indexed(snapshot: Snapshot, wanted: EventFilter) -> bool:
    """Whether the index helps: for one entity, or for everything."""
    if snapshot.index is None:
        return False
    return "entity_id" in wanted.equals or not wanted.columns


def newest(snapshot: Snapshot, wanted: EventFilter, end: int, limit: int) -> list[Event]:
    """The newest `limit` sealed events before `end` that match."""
    end = min(end, snapshot.size)
    found: list[Event] = []
    # Few of an entity's events are in one file: they are read together, across files.
    waiting: list[int] = []
    for piece in _pieces(snapshot, wanted, end):
        if piece.seqs is not None:
            waiting += reversed(piece.seqs)
        while waiting and (
            piece.seqs is None or len(waiting) >= min(limit - len(found), _CHUNK_EVENTS)
        ):
            # What the filter drops is made up for by the next ones.
            count = min(limit - len(found), _CHUNK_EVENTS)
            found += _events(snapshot, wanted, waiting[:count])
            del waiting[:count]
            if len(found) >= limit:
                return found
        if piece.seqs is None:
            found += islice(_from_range(snapshot, wanted, piece), limit - len(found))
            if len(found) >= limit:
                return found
    return found + _events(snapshot, wanted, waiting)


def newest_matches(
    snapshot: Snapshot, wanted: EventFilter, end: int, limit: int
) -> Iterator[Event]:
    """As `newest`, where the index does not know what matches: positions first, then events."""
    for seqs in snapshot.positions(wanted, end_seq=end):
        chosen = seqs[::-1][:limit].tolist()
        limit -= len(chosen)
        if _has_lines(snapshot, chosen):
            for start in range(0, len(chosen), _MANY_EVENTS):
                yield from _events(snapshot, wanted, chosen[start : start + _MANY_EVENTS])
        else:
            yield from _from_segments(snapshot, wanted, chosen)[::-1]
        if not limit:
            return


def all_events(snapshot: Snapshot, wanted: EventFilter) -> list[Event]:
    """The sealed events that match, in order of `seq`."""
    return newest(snapshot, wanted, snapshot.size, sys.maxsize)[::-1]


def _from_range(snapshot: Snapshot, wanted: EventFilter, piece: Found) -> Iterator[Event]:
    """The events of a range without an index, the newest first."""
    for table in snapshot.sealed(
        wanted, newest_first=True, first_seq=piece.first, end_seq=piece.end
    ):
        for stop in range(table.num_rows, 0, -_CHUNK_EVENTS):
            start = max(0, stop - _CHUNK_EVENTS)
            yield from reversed(arrow_to_events(table.slice(start, stop - start)))


def _has_lines(snapshot: Snapshot, seqs: list[int]) -> bool:
    """Whether the lines of events of one segment, the newest first, cost less than its columns."""
    index = snapshot.index
    if index is None:
        return False
    index.refresh(snapshot.size)
    if not index.covered(seqs[0]) or not index.covered(seqs[-1]):
        return False
    return index.is_local or len({seq // BLOCK_ROWS for seq in seqs}) <= _REMOTE_BLOCKS


def _pieces(snapshot: Snapshot, wanted: EventFilter, end: int) -> Iterator[Found]:
    index = _index_of(snapshot)
    index.refresh(snapshot.size)
    entity_id = wanted.equals.get("entity_id")
    if entity_id is not None:
        return index.walk(entity_id, end_seq=end)
    return index.positions(end_seq=end)


def _events(snapshot: Snapshot, wanted: EventFilter, seqs: Sequence[int]) -> list[Event]:
    """The events at these positions, the newest first, that match."""
    decode = _decoder().decode
    set_field = object.__setattr__
    equals = list(wanted.equals.items())
    is_timed = wanted.since_us is not None or wanted.until_us is not None
    found: list[Event] = []
    missing: list[int] = []
    for seq, line in zip(seqs, _index_of(snapshot).try_lines(seqs), strict=True):
        try:
            event = decode(line) if line is not None else None
        except (msgspec.MsgspecError, UnicodeDecodeError):
            event = None  # a long value is an object here
        if event is None:
            missing.append(seq)
            continue
        set_field(event, "seq", seq)
        if is_timed and not _is_in_time(event, wanted):
            continue
        for name, value in equals:
            if getattr(event, name) != value:
                break
        else:
            found.append(event)
    if missing:
        found += _from_segments(snapshot, wanted, missing)
        found.sort(key=lambda event: event.seq or 0, reverse=True)
    return found


def _from_segments(snapshot: Snapshot, wanted: EventFilter, seqs: list[int]) -> list[Event]:
    left = set(seqs)
    tables = snapshot.sealed(wanted, first_seq=min(left), end_seq=max(left) + 1)
    return [event for table in tables for event in _at(table, left)]


def _at(table: Any, seqs: set[int]) -> list[Event]:
    import pyarrow as pa
    import pyarrow.compute as pc

    mask = pc.is_in(table.column("seq"), pa.array(sorted(seqs), pa.int64()))
    return arrow_to_events(table.filter(mask))


def _is_in_time(event: Event, wanted: EventFilter) -> bool:
    moment = to_microseconds(event.timestamp) if event.timestamp else 0
    return wanted.overlaps(moment, moment)


def _index_of(snapshot: Snapshot) -> Index:
    if snapshot.index is None:
        raise ValueError("this snapshot has no index")
    return snapshot.index


@cache
def _decoder() -> msgspec.json.Decoder[Event]:
    return msgspec.json.Decoder(Event)
