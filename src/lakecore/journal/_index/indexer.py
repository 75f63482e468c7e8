"""Building: lines beside each segment, small files into larger ones, gaps from segments.

Nothing that fails here fails anything else: a full disk or a store that does not answer is
counted, and the range stays a gap until the next `catch_up`. Every step may be repeated,
by any machine and any number at a time: the same events give the same files.

1. `build` writes the lines of a segment that was just made durable.
2. `merge` puts neighbouring files together: sixteen of a size, or all of a complete range
   of 2^16; and the postings of complete ranges of 2^20 and 2^24.
3. What lies within another file is deleted, once that one is durable.
4. `catch_up` rebuilds from segments what is missing or damaged.
"""

from __future__ import annotations

import threading
from collections.abc import Callable
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

from lakecore.base import CorruptData, LakecoreError
from lakecore.base.limits import MIB, SEGMENT_EVENTS
from lakecore.journal._index.names import MERGED_EVENTS, Name, choose

if TYPE_CHECKING:
    from collections.abc import Iterator

    import pyarrow as pa

    from lakecore.journal._index.index import Index
    from lakecore.storage import Store

FAN_IN: Final = 16
CATCH_UP_EVENTS: Final = 4 * SEGMENT_EVENTS
"""What a run in the background fills of gaps, so that it stays short."""
_FEW_EVENTS: Final = SEGMENT_EVENTS // 2
"""More than these are merged beside the sealing of what follows, not before it."""
_MAX_LINES_BYTES: Final = 256 * MIB
"""Lines that are put together are in memory at once: large values stay in small files."""

ReadEvents = Callable[[int, int], "Iterator[pa.Table]"]
"""The sealed events of a range, in order, from the segments."""


class Indexer:
    """Builds the index of one journal. Threads share it: runs follow each other.

    Args:
        root_at: the root of the journal's tree at a size, None where there is none.
        read_events: for `catch_up`.
    """

    def __init__(
        self,
        store: Store,
        index: Index,
        root_at: Callable[[int], bytes | None],
        read_events: ReadEvents,
    ) -> None:
        self._store = store
        self._index = index
        self._root_at = root_at
        self._read_events = read_events
        self._lock = threading.Lock()
        self._builds = 0
        self._running: threading.Thread | None = None
        self.built_events = 0
        self.error_count = 0
        self.last_error: Exception | None = None

    def build(self, events: pa.Table, lines: pa.ChunkedArray | None, first_seq: int) -> None:
        """Write the lines and postings of a segment, and merge where it is time to.

        Args:
            events: the segment's, within one range of 2^16.
            lines: their canonical lines or leaf inputs, if they are at hand.
        """
        with self._lock, self._counting():
            self._build(events, lines, first_seq)
            if self._is_time_to_merge(first_seq + events.num_rows):
                self._merge(first_seq + events.num_rows)

    def submit(self, events: pa.Table, lines: pa.ChunkedArray | None, first_seq: int) -> None:
        """`build` in a thread; the one before has to be done, so one segment is kept at most."""
        self.wait()
        thread = threading.Thread(
            target=self.build, args=(events, lines, first_seq), name="lakecore-index", daemon=True
        )
        self._running = thread
        thread.start()

    def wait(self) -> None:
        """Until what was submitted is built."""
        thread, self._running = self._running, None
        if thread is not None:
            thread.join()

    def merge(self, size: int) -> None:
        """Put small files together, for a journal of `size` events."""
        with self._lock, self._counting():
            self._merge(size)

    def catch_up(self, size: int, *, max_events: int | None = None) -> int:
        """Build what is missing of a journal of `size` events; how many events that were.

        Nothing is asked of the store where nothing is known to be missing.

        Args:
            max_events: stop after about so many; the next call goes on.
        """
        done = 0
        with self._lock, self._counting():
            self._index.refresh(size)
            if not self._index.gaps() and not self._index.damaged():
                return 0
            self._drop_damaged()
            self._index.refresh(size)
            for first, end in self._index.gaps():
                for start in range(first - first % SEGMENT_EVENTS, end, SEGMENT_EVENTS):
                    if max_events is not None and done >= max_events:
                        break
                    done += self._fill(max(first, start), min(end, start + SEGMENT_EVENTS))
            self._merge(size)
        return done

    def stats(self) -> dict[str, Any]:
        """What was built here, and what could not be."""
        error = self.last_error
        return {
            "built_events": self.built_events,
            "errors": self.error_count,
            "last_error": None if error is None else str(error),
            "gap_events": sum(end - first for first, end in self._index.gaps()),
        }

    def _build(self, events: pa.Table, lines: pa.ChunkedArray | None, first_seq: int) -> None:
        from lakecore.journal._index import arrays

        end = first_seq + events.num_rows
        root = self._root_at(end)
        if root is None:
            raise CorruptData("events end where no segment does", where=f"seq {end}")
        if lines is None:
            # Polars makes the lines: only who needs them pays for its import.
            from lakecore.journal._events.leaf import leaf_lines

            lines = leaf_lines(events)
        name = Name(first_seq, end, True)
        found = _Content(lines.chunks, [arrays.postings_of(events.column("entity_id"))])
        before = self._rest_of_range(name)
        if before is not None:
            # This ends a range: what is there of it is put before, instead of merging after.
            rest, start = before
            found = rest.followed_by(found, name.first - start)
            name = Name(start, end, True)
        self._store.put(name.path, found.encode(name, root))
        self._index.invalidate()
        self.built_events += events.num_rows

    def _rest_of_range(self, name: Name) -> tuple[_Content, int] | None:
        """What is there of a complete range before `name`, its end, and where the range starts."""
        start = name.first - name.first % SEGMENT_EVENTS
        if name.end % SEGMENT_EVENTS or start == name.first:
            return None
        self._index.refresh(name.first)
        chosen = choose(self._lines(), start, name.first)
        group = [part for part in chosen if isinstance(part, Name)]
        if len(group) < len(chosen) or sum(part.end - part.first for part in group) > _FEW_EVENTS:
            return None
        try:
            content = self._content(group)
        except LakecoreError:
            return None  # this much can be built; the gap is filled later
        return None if content is None else (content, start)

    def _fill(self, first: int, end: int) -> int:
        """Build a gap within one range of 2^16, a segment at a time."""
        done = 0
        for table in self._read_events(first, end):
            start = table.column("seq")[0].as_py()
            if self._root_at(start + table.num_rows) is not None:
                self._build(table, None, start)
                done += table.num_rows
        return done

    def _is_time_to_merge(self, end: int) -> bool:
        """Once in `FAN_IN` small builds: looking costs a listing."""
        is_complete = end % SEGMENT_EVENTS == 0
        self._builds += 1
        if is_complete or self._builds >= FAN_IN:
            self._builds = 0
            return True
        return False

    def _merge(self, size: int) -> None:
        self._index.invalidate()
        self._index.refresh(size)
        chosen = [name for name in choose(self._lines(), 0, size) if isinstance(name, Name)]
        for group in groups_to_merge(chosen):
            self._merge_lines(group)
        self._index.invalidate()
        self._index.refresh(size)
        for span in MERGED_EVENTS:
            self._merge_postings(span, size)
        self._delete_superseded()

    def _lines(self) -> list[Name]:
        return [name for name in self._index.names() if name.is_lines]

    def _merge_lines(self, group: list[Name]) -> None:
        name = Name(group[0].first, group[-1].end, True)
        root = self._root_at(name.end)
        content = None if root is None else self._content(group)
        if root is not None and content is not None:
            self._store.put(name.path, content.encode(name, root))

    def _content(self, group: list[Name]) -> _Content | None:
        """What neighbouring files hold together; None when it is too much."""
        import numpy as np

        from lakecore.journal._index import arrays

        lines: list[pa.Array] = []
        postings = []
        size_bytes = 0
        for source in group:
            file = self._index.open(source)
            for some in arrays.lines_of(file):
                lines.append(some)
                size_bytes += some.nbytes
                if size_bytes > _MAX_LINES_BYTES:
                    return None
            moved = np.uint64(source.first - group[0].first)
            bits = file.trailer.bucket_bits
            numbers = range(1 << bits)
            for number, data in zip(numbers, file.buckets(numbers), strict=True):
                found, _ = arrays.decode_bucket(data, number, bits, file.trailer.width)
                postings.append(found + moved)
        return _Content(lines, postings)

    def _merge_postings(self, span: int, size: int) -> None:
        from lakecore.journal._index.merge import merge_postings

        there = self._index.names()
        for first in range(0, size - size % span, span):
            name = Name(first, first + span, False)
            if any(other.covers(name) for other in there if not other.is_lines):
                continue
            below = [n for n in there if name.covers(n)]
            chosen = choose(below, name.first, name.end)
            sources = [n for n in chosen if isinstance(n, Name)]
            root = self._root_at(name.end)
            if len(sources) < len(chosen) or len(sources) > 2 * FAN_IN or root is None:
                continue  # gaps, or ranges that are not merged yet
            merge_postings(self._store, name, [self._index.open(n) for n in sources], root)
            self._index.invalidate()
            self._index.refresh(size)
            there = self._index.names()

    def _delete_superseded(self) -> None:
        """Delete what lies within a larger file of its kind; lines are never in postings."""
        for kind in (True, False):
            largest: Name | None = None
            names = (name for name in self._index.names() if name.is_lines is kind)
            for name in sorted(names, key=lambda n: (n.first, -n.end)):
                if largest is not None and largest.covers(name):
                    self._store.delete(name.path)
                    self._index.invalidate()
                else:
                    largest = name

    def _drop_damaged(self) -> None:
        damaged = self._index.damaged()
        for name in damaged:
            self._store.delete(name.path)
        self._index.repaired(damaged)

    @contextmanager
    def _counting(self) -> Iterator[None]:
        try:
            yield
            self.last_error = None
        except Exception as error:
            self.error_count += 1
            self.last_error = error


@dataclass(frozen=True, slots=True)
class _Content:
    """What a `.lines` file is made of; postings in any order."""

    lines: list[pa.Array]
    postings: list[Any]

    def followed_by(self, other: _Content, moved: int) -> _Content:
        """Both, the events of the other one `moved` positions further."""
        import numpy as np

        places = [found + np.uint64(moved) for found in other.postings]
        return _Content([*self.lines, *other.lines], [*self.postings, *places])

    def encode(self, name: Name, root: bytes) -> bytes:
        import numpy as np
        import pyarrow as pa

        from lakecore.journal._index import arrays

        postings = self.postings[0]
        if len(self.postings) > 1:
            postings = np.concatenate(self.postings)
            postings.sort(kind="stable")  # of pieces that are sorted: they are merged
        lines = pa.chunked_array(self.lines, pa.large_binary())
        return arrays.encode_lines(name, [lines], postings, root)


def groups_to_merge(chosen: list[Name]) -> list[list[Name]]:
    """Neighbours that become one file: a complete range of 2^16, or `FAN_IN` of one tier.

    A tier is a power of `FAN_IN`: a file is written again once for each tier that it
    grows through, and at most fifteen files of a tier are left in a range.
    """
    groups: list[list[Name]] = []
    ranges: dict[int, list[Name]] = {}
    for name in chosen:
        ranges.setdefault(name.first // SEGMENT_EVENTS, []).append(name)
    for names in ranges.values():
        run: list[Name] = []
        tail: list[Name] = []
        for name in names:
            if run and run[-1].end != name.first:
                run, tail = [], []
            run.append(name)
            if tail and _tier(tail[-1]) != _tier(name):
                tail = []
            tail.append(name)
            if len(tail) == FAN_IN:
                groups.append(tail)
                tail = []
        is_complete = bool(run) and run[0].first % SEGMENT_EVENTS == 0
        if is_complete and run[-1].end % SEGMENT_EVENTS == 0:
            groups = [group for group in groups if group[0] not in run]
            if len(run) > 1:
                groups.append(run)
    return groups


def _tier(name: Name) -> int:
    return (max(1, name.end - name.first).bit_length() - 1) // 4
