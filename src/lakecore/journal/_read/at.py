"""Sealed events by their positions: through the line index, or from the rows themselves."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import msgspec

from lakecore.journal._events.event import Event, arrow_to_events

if TYPE_CHECKING:
    from lakecore.journal._read.scan import Snapshot


def events_at(
    snapshot: Snapshot, seqs: Sequence[int], *, from_rows: bool = False
) -> dict[int, Event]:
    """The sealed events at these positions; those that are not there are left out.

    Args:
        from_rows: not through the index, which is derived and may be damaged.
    """
    found: dict[int, Event] = {}
    left = {seq for seq in seqs if 0 <= seq < snapshot.size}
    if snapshot.index is not None and not from_rows:
        found = _from_index(snapshot, sorted(left))
        left -= found.keys()
    if left:
        found |= _from_rows(snapshot, left)
    return found


def _from_index(snapshot: Snapshot, seqs: list[int]) -> dict[int, Event]:
    index = snapshot.index
    if index is None:
        return {}
    decode = msgspec.json.Decoder(Event).decode
    index.refresh(snapshot.size)
    found = {}
    for seq, line in zip(seqs, index.try_lines(seqs), strict=True):
        try:
            event = decode(line) if line is not None else None
        except (msgspec.MsgspecError, UnicodeDecodeError):
            continue  # a long value is an object here
        if event is not None:
            object.__setattr__(event, "seq", seq)
            found[seq] = event
    return found


def _from_rows(snapshot: Snapshot, seqs: set[int]) -> dict[int, Event]:
    import pyarrow as pa
    import pyarrow.compute as pc

    wanted = pa.array(sorted(seqs), pa.int64())
    found: dict[int, Event] = {}
    for table in snapshot.sealed(first_seq=min(seqs), end_seq=max(seqs) + 1):
        hit = table.filter(pc.is_in(table.column("seq"), wanted))
        found |= {event.seq: event for event in arrow_to_events(hit) if event.seq is not None}
    return found
