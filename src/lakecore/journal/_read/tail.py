"""The sealed events in order, as they come, from a cursor that proves what was before it.

A cursor is (origin, seq, root): the log, how many of its events were seen, and the root of
the tree over them. Whoever goes on from it first recomputes that root, from the last tree
that a footer says and the leaves of the rows behind it, and is told when it is another one:
then history was rewritten. While it goes on, every root that a footer says is compared, too.

Memory holds the rows of one place (at most 65,536 events) and a batch of `Event`. Nothing is
kept open between batches, so what compaction moves meanwhile is found where it is.
"""

from __future__ import annotations

import base64
import binascii
import json
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

from lakecore.base import CorruptData, InvalidInput, LakecoreError
from lakecore.journal._events.event import Event, arrow_to_events
from lakecore.journal._events.hashing import hash_events
from lakecore.journal._log.runs import Place, open_place, row_groups
from lakecore.journal._log.segment import decoding, footer_of

if TYPE_CHECKING:
    import pyarrow as pa

    from lakecore.journal._log.footers import Footers
    from lakecore.storage import Store
    from lakecore.tlog import Frontier

POLL_S: Final = 0.2
MAX_BATCH_EVENTS: Final = 1_000
_FORMAT: Final = 1


@dataclass(frozen=True, slots=True)
class TailCursor:
    """A place between two events: `seq` events of the log `origin` were seen, under `root`."""

    origin: str
    seq: int
    root: str

    def to_text(self) -> str:
        """The cursor for an address or a command line: base64url of a JSON list."""
        content = json.dumps([_FORMAT, self.origin, self.seq, self.root], separators=(",", ":"))
        return base64.urlsafe_b64encode(content.encode()).decode().rstrip("=")

    @classmethod
    def from_text(cls, text: str) -> TailCursor:
        """What `to_text` wrote; anything else is `InvalidInput`."""
        try:
            padded = text + "=" * (-len(text) % 4)
            number, origin, seq, root = json.loads(base64.urlsafe_b64decode(padded.encode()))
            right = number == _FORMAT and isinstance(origin, str) and type(seq) is int and seq >= 0
            if not right or len(bytes.fromhex(root)) != 32:
                raise ValueError
        except (binascii.Error, ValueError, TypeError, AttributeError) as error:
            raise InvalidInput("not a cursor of a tail", found=repr(text)) from error
        return cls(origin, seq, root)


@dataclass(frozen=True, slots=True)
class TailBatch:
    """Events that follow each other, and the cursor behind the last of them."""

    events: list[Event]
    cursor: str

    def __iter__(self) -> Iterator[Event]:
        return iter(self.events)

    def __len__(self) -> int:
        return len(self.events)


@dataclass(frozen=True, slots=True, kw_only=True)
class TailOptions:
    """Where a tail begins, and when it ends; see `Journal.tail`."""

    cursor: str | None = None
    from_seq: int = 0
    follow: bool = False
    timeout_s: float | None = None
    poll_s: float = POLL_S
    limit: int | None = None

    def __post_init__(self) -> None:
        if self.cursor is not None and self.from_seq:
            raise InvalidInput("a cursor and a seq to begin with", expected="one of them")
        least = {"poll_s": 0.001, "timeout_s": 0.0, "limit": 1}
        for name, smallest in least.items():
            value = getattr(self, name)
            if value is not None and not value >= smallest:
                raise InvalidInput("out of range", expected=f"{name} >= {smallest}", found=value)


class Tail:
    """An iterator over batches of sealed events. One thread reads it; any may `close` it.

    Raises:
        InvalidInput: the cursor is none, or that of another log; or there is no such seq.
        CorruptData: history before the cursor, or while it was read, was rewritten.
    """

    def __init__(
        self,
        store: Store,
        footers: Footers,
        options: TailOptions,
        *,
        origin: str,
        is_closed: Callable[[], bool],
    ) -> None:
        self._store = store
        self._footers = footers
        self._options = options
        self._origin = origin
        self._is_closed = is_closed
        self._stop = threading.Event()
        self._given = 0
        footers.refresh()
        self._tree = self._begin()
        self._batches = self._run()

    @property
    def cursor(self) -> str:
        """Behind the last batch that was given; a later tail goes on from here."""
        return TailCursor(self._origin, self._tree.size, self._tree.root().hex()).to_text()

    def __iter__(self) -> Iterator[TailBatch]:
        return self

    def __next__(self) -> TailBatch:
        return next(self._batches)

    def poll(self) -> TailBatch | None:
        """The next batch, if there is one by now; of a tail that does not follow. Ask again."""
        try:
            batch = next(self._batches, None)
        except LakecoreError:
            # What raised is over: without this, asking again would look like no news.
            self._batches = self._run()
            raise
        if batch is None:
            self._batches = self._run()
        return batch

    def close(self) -> None:
        """End it: whoever waits for the next batch gets none."""
        self._stop.set()

    def _begin(self) -> Frontier:
        size = self._footers.next_seq
        if self._options.cursor is None:
            first = self._options.from_seq
            if first > size:
                raise InvalidInput(
                    "no event has this seq yet", expected=f"at most {size}", found=first
                )
            return self._tree_at(max(0, size + first) if first < 0 else first)
        cursor = TailCursor.from_text(self._options.cursor)
        if cursor.origin != self._origin:
            raise InvalidInput(
                "the cursor is that of another log", expected=self._origin, found=cursor.origin
            )
        if cursor.seq > size:
            raise CorruptData(
                "the log is shorter than what you saw",
                expected=f"at least {cursor.seq} events",
                found=f"{size} events",
            )
        tree = self._tree_at(cursor.seq)
        if tree.root().hex() != cursor.root:
            raise _rewritten("history before this cursor was rewritten", cursor.root, tree)
        return tree

    def _tree_at(self, size: int) -> Frontier:
        """The tree over the first events; the rows of the last place in it are read anew."""
        place = next((p for p in self._footers.places() if p.first_seq < size <= p.end_seq), None)
        tree = self._footers.frontier_at(place.first_seq if place is not None else 0)
        if tree is None:
            raise CorruptData("no footer says this tree", found=f"{size} events")
        if place is not None:
            for table, root in self._rows(place, size):
                tree.append(hash_events(table))
                self._compare(tree, root)
        return tree

    def _run(self) -> Iterator[TailBatch]:
        try:
            while self._wait():
                yield from self._next_place()
        except LakecoreError:
            # The journal's files are let go of when it is closed, at any moment.
            if not self._has_ended():
                raise

    def _has_ended(self) -> bool:
        limit = self._options.limit
        return (
            self._stop.is_set() or self._is_closed() or (limit is not None and self._given >= limit)
        )

    def _wait(self) -> bool:
        """Whether there are further events; waits for them when it follows."""
        options = self._options
        give_up = None if options.timeout_s is None else time.monotonic() + options.timeout_s
        while not self._has_ended():
            if self._tree.size < self._footers.next_seq:
                return True
            self._footers.refresh()
            if self._tree.size < self._footers.next_seq:
                return True
            pause_s = options.poll_s
            if give_up is not None:
                pause_s = min(pause_s, give_up - time.monotonic())
            if not options.follow or pause_s <= 0:
                return False
            self._stop.wait(pause_s)
        return False

    def _next_place(self) -> Iterator[TailBatch]:
        first = self._tree.size
        place = next(p for p in self._footers.places() if p.end_seq > first)
        rest = place.cut(first, place.end_seq)
        if rest is None:
            return
        for table, root in self._rows(rest, rest.end_seq):
            start = 0
            while start < table.num_rows and not self._has_ended():
                batch = table.slice(start, self._batch_size())
                start += batch.num_rows
                tree = self._tree.copy()
                tree.append(hash_events(batch))
                self._compare(tree, root)
                events = arrow_to_events(batch)
                self._tree = tree
                self._given += len(events)
                yield TailBatch(events, self.cursor)

    def _batch_size(self) -> int:
        limit = self._options.limit
        return MAX_BATCH_EVENTS if limit is None else min(MAX_BATCH_EVENTS, limit - self._given)

    def _rows(self, place: Place, end: int) -> Iterator[tuple[pa.Table, tuple[int, str]]]:
        """The rows of a place up to `end`, a row group at a time, and (size, root) of its file."""
        first = place.first_seq
        while (rest := place.cut(first, end)) is not None:
            table, root = self._row_group(rest)
            _check_seq(table, first, rest.path)
            first += table.num_rows
            yield table, root

    def _row_group(self, place: Place) -> tuple[pa.Table, tuple[int, str]]:
        """The rows of a place that are in its first row group."""
        with open_place(self._store, place) as (parquet, found), decoding(place.path):
            footer = footer_of(parquet, found.path)
            groups = row_groups(parquet, found.row, found.row + found.count)
            group = next(groups, None)
            if group is None:
                raise CorruptData("a file of the log ends too early", where=found.path)
            index, low, high = group
            table = parquet.read_row_group(index).slice(low, high - low)
        return table, (footer.tree_size, footer.root)

    def _compare(self, tree: Frontier, said: tuple[int, str]) -> None:
        """A root that a footer says against the one of the rows that were read."""
        size, root = said
        if tree.size == size and tree.root().hex() != root:
            raise _rewritten("history was rewritten while it was read", root, tree)
        known = self._footers.frontier_at(tree.size) if tree.size != size else None
        if known is not None and known != tree:
            raise _rewritten("history was rewritten while it was read", known.root().hex(), tree)


def _check_seq(table: Any, first: int, path: str) -> None:
    import numpy as np

    seq = table.column("seq").to_numpy()
    if not np.array_equal(seq, np.arange(first, first + len(seq))):
        raise CorruptData("events are not in their place", expected=f"from {first}", where=path)


def _rewritten(message: str, expected: str, tree: Frontier) -> CorruptData:
    return CorruptData(
        message,
        expected=f"the root {expected}",
        found=tree.root().hex(),
        where=f"event {tree.size - 1}",
        hint="run `lakecore verify`, and compare with a checkpoint",
    )
