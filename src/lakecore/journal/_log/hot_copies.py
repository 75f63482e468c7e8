"""Whether a hot log is still the one that footers speak of, or one of two copies.

A state directory that was copied to a second machine gives two logs of one name. As long as
both hold the same events, each is sealed once, whoever seals it. Once both have appended,
their events have the same offsets: what one seals counts as sealed for the other, and would
be forgotten there. So before a log believes a footer that it did not write, the last event
that is said to be sealed is compared with its own at that offset. (Copies that were apart
once never have an event in common again, so one event is enough.)
"""

from __future__ import annotations

from bisect import bisect_left
from typing import TYPE_CHECKING, Final

from lakecore.base import CorruptData, Inconclusive, NotFound, UnsupportedFormat
from lakecore.journal._log.runs import Place, open_place, row_groups
from lakecore.journal._log.segment import FOLDER, position_of, read_footer, segment_path

if TYPE_CHECKING:
    from lakecore.journal._hot.log import HotLog
    from lakecore.journal._log.footers import Footers
    from lakecore.journal._log.segment import SegmentFooter
    from lakecore.storage import Store

_UNTOLD: Final = (CorruptData, Inconclusive, NotFound, UnsupportedFormat)
_HINT: Final = (
    "a state directory belongs to one machine: `lakecore journal repair` here gives the events "
    "that only this copy has to a log of another name"
)


class HotCopies:
    """Compares one hot log with what is sealed under its name."""

    def __init__(self, store: Store, footers: Footers, hot: HotLog) -> None:
        self._store = store
        self._footers = footers
        self._hot = hot
        self._agreed: tuple[str | None, int] = (None, 0)

    def agreed(self, log_id: str, offset: int) -> None:
        """What is sealed up to an offset is this log's own."""
        self._agreed = (log_id, offset)

    def check(self, log_id: str | None, first: int = 0) -> None:
        """Raises `CorruptData` when events of another log are sealed under this one's name, or
        what this log forgot is not sealed any more.

        Args:
            log_id: the log's name, None as long as it has none.
            first: the offset of the first event that was in the log before the footers were
                looked at.
        """
        sealed = self._footers.hot.get(log_id, 0) if log_id is not None else 0
        if first > sealed:
            raise CorruptData(
                "events that the hot log forgot are not sealed any more",
                expected=f"events from offset {sealed} on",
                found=f"offset {first}",
                where=self._hot.path,
                hint="the lake lost events, or came back from an older copy: then `lakecore "
                "journal repair` seals what this log still holds",
            )
        if log_id is None or not sealed or self._agreed == (log_id, sealed):
            return
        last = min(sealed, self._hot.end()) - 1
        if not self.agrees_at(log_id, last):
            raise CorruptData(
                "two copies of one hot log have sealed events",
                expected=f"the event at offset {last} of this log",
                found="another one, sealed under its name",
                where=self._hot.path,
                hint=_HINT,
            )
        self.agreed(log_id, sealed)

    def lost(self) -> int:
        """How many events this log forgot that are not sealed any more."""
        held = self._hot.bounds()
        self._footers.refresh()
        sealed = self._footers.hot.get(held.log_id or "")
        return max(0, held.first - sealed) if sealed is not None else 0

    def parted_at(self) -> int | None:
        """The first offset at which this log has another event than is sealed; None = nowhere."""
        held = self._hot.bounds()
        log_id, low = held.log_id, held.first
        if log_id is None:
            return None
        high = min(self._footers.hot.get(log_id, 0), held.end)
        if high <= low or self.agrees_at(log_id, high - 1):
            return None
        offsets = range(low, high)
        return low + bisect_left(offsets, True, key=lambda at: not self.agrees_at(log_id, at))

    def agrees_at(self, log_id: str, offset: int) -> bool:
        """Whether the event at a sealed offset is the same; also where one cannot be told."""
        if offset < 0:
            return True
        try:
            mine = self._hot.rows_at([offset], log_id)
            if mine is None or not mine.num_rows:
                return True
            found = self._sealed_id(log_id, offset)
        except _UNTOLD:
            return True  # whoever reads that file tells
        return found is None or found == mine.column("event_id")[0].as_py()

    def _sealed_id(self, log_id: str, offset: int) -> str | None:
        """The id of the event that was sealed at an offset of a log."""
        import numpy as np

        footer = self._segment(log_id, offset)
        if footer is None:
            return None
        # What is no commit's is the hot log's of whoever sealed it.
        is_hot = np.ones(footer.count, dtype=bool)
        for part in footer.commits:
            is_hot[part.row : part.row + part.count] = False
        rows = is_hot.nonzero()[0]
        at = offset - (footer.hot[log_id] - len(rows))
        if not 0 <= at < len(rows):
            return None
        row = int(rows[at])
        place = Place(footer.first_seq, footer.count, footer.path, 0, 0, 0)
        with open_place(self._store, place) as (parquet, found):
            for group, low, _ in row_groups(parquet, found.row + row, found.row + row + 1):
                ids = parquet.read_row_group(group, columns=["event_id"]).column("event_id")
                return str(ids[low])
        return None

    def _segment(self, log_id: str, offset: int) -> SegmentFooter | None:
        """The footer of the segment in which an offset of a log was sealed."""
        places = self._footers.places()

        def is_sealed_by(place: Place) -> bool:
            return (self._footers.hot_at(place.end_seq) or {}).get(log_id, 0) > offset

        at = bisect_left(places, True, key=is_sealed_by)
        if at == len(places):
            return None
        place = places[at]
        names = [segment_path(place.first_seq)]
        if place.path != names[0]:
            # A run: the stubs of what it merges keep their names and footers.
            listed = self._store.list_objects(FOLDER, after=segment_path(place.first_seq))
            for info in listed:
                if (position_of(info.path) or 0) >= place.end_seq:
                    break
                names.append(info.path)

        def sealed_up_to(path: str) -> bool:
            return read_footer(self._store, path).hot.get(log_id, 0) > offset

        found = bisect_left(names, True, key=sealed_up_to)
        return read_footer(self._store, names[found]) if found < len(names) else None
