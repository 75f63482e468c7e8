"""Events on their way into segments: where they come from, and how many fit."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

from lakecore.base.limits import MIB

if TYPE_CHECKING:
    import pyarrow as pa

    from lakecore.journal._events.supplied import Mask

MAX_SEGMENT_BYTES: Final = 64 * MIB
"""Of events in memory: a segment of large values has fewer of them."""
MAX_SEGMENT_COMMITS: Final = 4096
"""So that a footer stays small."""


@dataclass(frozen=True, slots=True)
class Source:
    """Where events come from: a commit (`log_id` '') or a hot log (`commit_id` '')."""

    commit_id: str = ""
    target: str = ""
    digest: str = ""
    total: int = 0
    log_id: str = ""


@dataclass(frozen=True, slots=True)
class Part:
    """Events on their way into a segment, from the source's `first` one on.

    `supplied` marks those whose id was supplied by a caller; None = none. `lines` are their
    `leaf_inputs`, where they are at hand.
    """

    source: Source
    first: int
    events: pa.Table
    hashes: Any
    size_bytes: int
    supplied: Mask | None = None
    lines: pa.ChunkedArray | None = None

    def __len__(self) -> int:
        return int(self.events.num_rows)

    @property
    def next(self) -> int:
        return self.first + len(self)

    def cut(self, start: int, stop: int) -> Part:
        """The rows from `start` up to but without `stop`."""
        return part_of(
            self.source,
            self.first + start,
            self.events.slice(start, stop - start),
            self.hashes[start:stop],
            None if self.supplied is None else self.supplied[start:stop],
            None if self.lines is None else self.lines.slice(start, stop - start),
        )


def part_of(
    source: Source,
    first: int,
    events: pa.Table,
    hashes: Any,
    supplied: Mask | None = None,
    lines: pa.ChunkedArray | None = None,
) -> Part:
    return Part(source, first, events, hashes, events.nbytes, supplied, lines)


def lines_of(parts: list[Part]) -> pa.ChunkedArray | None:
    """The lines of the parts' rows, one after the other; None when some are not at hand."""
    import pyarrow as pa

    known = [part.lines for part in parts if part.lines is not None]
    if len(known) < len(parts):
        return None
    return pa.chunked_array([chunk for lines in known for chunk in lines.chunks])


def supplied_rows(parts: list[Part]) -> Mask | None:
    """The marks of the parts' rows, one after the other; None when there is no mark."""
    import numpy as np

    if all(part.supplied is None for part in parts):
        return None
    marks = (np.zeros(len(p), dtype=bool) if p.supplied is None else p.supplied for p in parts)
    rows = np.concatenate(list(marks))
    return rows if rows.any() else None


class Waiting:
    """Parts that are read and not yet sealed, in order."""

    def __init__(self) -> None:
        self._parts: deque[Part] = deque()
        self._rows = 0
        self._size_bytes = 0

    def __len__(self) -> int:
        return len(self._parts)

    def __iter__(self) -> Iterator[Part]:
        return iter(self._parts)

    def append(self, part: Part) -> None:
        self._parts.append(part)
        self._rows += len(part)
        self._size_bytes += part.size_bytes

    def fills(self, room: int) -> bool:
        """Whether there is enough for a segment."""
        return (
            self._rows >= room
            or self._size_bytes >= MAX_SEGMENT_BYTES
            or len(self._parts) >= MAX_SEGMENT_COMMITS
        )

    def take(self, room: int) -> list[Part]:
        """Remove what one segment with this room can hold."""
        taken: list[Part] = []
        size_bytes = 0
        while self._parts and room and len(taken) < MAX_SEGMENT_COMMITS:
            part = self._parts[0]
            if taken and size_bytes + part.size_bytes > MAX_SEGMENT_BYTES:
                break
            self._parts.popleft()
            self._rows -= len(part)
            self._size_bytes -= part.size_bytes
            if len(part) > room:
                self._put_back(part.cut(room, len(part)))
                part = part.cut(0, room)
            taken.append(part)
            size_bytes += part.size_bytes
            room -= len(part)
        return taken

    def _put_back(self, part: Part) -> None:
        self._parts.appendleft(part)
        self._rows += len(part)
        self._size_bytes += part.size_bytes
