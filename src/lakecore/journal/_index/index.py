"""Finding events by entity and by position, in files that may be missing or damaged.

What a file does not answer, for whatever reason, is reported as a gap: the caller reads
those events from the segments. A file that turns out damaged is left out from then on, and
told to whoever builds (`damaged`).
"""

from __future__ import annotations

import os
import threading
import time
from bisect import bisect_right
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final, NamedTuple

from lakecore.base import CorruptData, LakecoreError, NotFound, UnsupportedFormat
from lakecore.base.limits import MIB
from lakecore.journal._index import layout
from lakecore.journal._index.blocks import Block, Packed, unpack
from lakecore.journal._index.files import IndexFile, OpenFiles
from lakecore.journal._index.names import FOLDER, Name, choose, gaps, parse_name

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt

    from lakecore.journal._log.footers import Footers
    from lakecore.storage import Store
    from lakecore.tlog import Hashes

_SETTLED_NS: Final = 100_000_000
"""A folder that changed so recently may change again without its time showing it."""
_RELIST_S: Final = 1.0
_RELIST_UNCHANGED_S: Final = 30.0
_MAX_UNUSABLE: Final = 4096
_REMOTE_READS: Final = 32
"""Ranges of a remote store that are read at once: in one go what 10M events have of an entity
(20 events in as many blocks, found in 18 files)."""
_PIECE_ROWS: Final = 4 * layout.BLOCK_ROWS
_FEW_ROWS: Final = 4
"""Of a block; for more of them all of its lines are cut out at once."""
_UNPACK_BYTES: Final = MIB
"""Of lines that are decompressed at once."""

Span = tuple[int, int]
_Key = tuple[IndexFile, int]
"""A block: its file, its number."""


class Found(NamedTuple):
    """Positions of an entity in [first, end), ascending; None: not known, read the segments."""

    first: int
    end: int
    seqs: Sequence[int] | None


@dataclass(frozen=True, slots=True)
class _View:
    """Which files answer for a journal of `size` events."""

    size: int
    postings: tuple[Name | Span, ...]
    lines: tuple[Name | Span, ...]
    starts: tuple[int, ...]


def roots_of(footers: Footers) -> Callable[[int], bytes | None]:
    """The roots that footers know: what `Index` and `Indexer` take."""

    def root_at(size: int) -> bytes | None:
        tree = footers.frontier_at(size)
        return None if tree is None else tree.root()

    return root_at


class Index:
    """The index of one journal. Threads share it.

    Args:
        root_at: the root of the journal's tree at a size, None where there is none.
    """

    def __init__(self, store: Store, root_at: Callable[[int], bytes | None]) -> None:
        self._store = store
        self._files = OpenFiles(store, root_at)
        self._folder = store.local_path(FOLDER.rstrip("/"))
        self._lock = threading.Lock()
        self._names: frozenset[Name] = frozenset()
        self._unusable: dict[Name, LakecoreError] = {}
        self._listed_at = -_RELIST_UNCHANGED_S
        self._folder_time = -1
        self._is_stale = True
        self._view = _View(-1, (), (), ())

    # What there is

    def refresh(self, size: int) -> None:
        """See which files there are for a journal of `size` events."""
        with self._lock:
            if self._needs_listing(size):
                self._list()
            if self._view.size != size:
                self._view = self._look(size)

    def names(self) -> frozenset[Name]:
        """The files of the last listing that are not known as unusable."""
        return self._names - self._unusable.keys()

    def open(self, name: Name) -> IndexFile:
        """A file, opened and checked, for whoever builds; one that fails is left out."""
        try:
            return self._files.get(name)
        except LakecoreError as error:
            self._lost(name, error)
            raise

    @property
    def is_local(self) -> bool:
        """Whether its files are on this machine's disk."""
        return self._files.is_local

    def covered(self, seq: int) -> bool:
        """Whether there is a line for a position."""
        return isinstance(self._place(seq), Name)

    def gaps(self) -> list[Span]:
        """The ranges without lines."""
        return gaps(self._view.lines)

    def invalidate(self) -> None:
        """List again before the next answer."""
        self._is_stale = True

    def damaged(self) -> dict[Name, str]:
        """The files that were found damaged, and how: whoever builds replaces them."""
        with self._lock:
            return {
                name: str(error)
                for name, error in self._unusable.items()
                if isinstance(error, CorruptData)
            }

    def repaired(self, names: Iterable[Name]) -> None:
        """The files were removed or written again."""
        with self._lock:
            for name in names:
                self._unusable.pop(name, None)
                self._files.forget(name)
            self._is_stale = True

    def close(self) -> None:
        self._files.clear()

    # Questions

    def find(self, entity_id: str, *, end_seq: int) -> tuple[npt.NDArray[np.int64], list[Span]]:
        """(positions of an entity, ascending; ranges in which it was not looked for)."""
        import numpy as np

        pieces = list(self.walk(entity_id, end_seq=end_seq))
        open_ranges = [(piece.first, piece.end) for piece in pieces if piece.seqs is None]
        seqs = [seq for piece in reversed(pieces) for seq in piece.seqs or ()]
        return np.array(seqs, dtype=np.int64), open_ranges[::-1]

    def walk(self, entity_id: str, *, end_seq: int) -> Iterator[Found]:
        """All of [0, end_seq), the newest first, piece by piece.

        Positions are those of the entity's key: another entity may share it, rarely.
        """
        key = layout.key_of(entity_id)
        view = self._view
        if view.size < end_seq:
            yield Found(max(0, view.size), end_seq, None)
        pieces = [piece for piece in reversed(view.postings) if piece[0] < end_seq]
        for start in range(0, len(pieces), _REMOTE_READS):
            some = pieces[start : start + _REMOTE_READS]
            self._answer_ahead(key, some)
            for piece in some:
                for found in self._walk_piece(key, piece):
                    if found.end <= end_seq:
                        yield found
                    elif found.first < end_seq:
                        yield _before(end_seq, found)

    def positions(self, *, end_seq: int) -> Iterator[Found]:
        """As `walk`, for every event."""
        view = self._view
        if end_seq > view.size:
            yield Found(max(0, view.size), end_seq, None)
        for piece in reversed(view.lines):
            is_gap = not isinstance(piece, Name)
            first, end = piece[:2]
            end = min(end, end_seq)
            if is_gap and first < end:
                yield Found(first, end, None)
            while not is_gap and first < end:
                start = max(first, end - _PIECE_ROWS)
                yield Found(start, end, range(start, end))
                end = start

    def lines(self, seqs: Sequence[int]) -> list[bytes]:
        """The canonical lines of events, in the order given.

        Raises:
            CorruptData: one of them is not there, or not readable.
        """
        found = self.try_lines(seqs)
        if missing := [seq for seq, line in zip(seqs, found, strict=True) if line is None]:
            raise CorruptData("the index has no line of an event", where=f"seq {missing[0]}")
        return [line for line in found if line is not None]

    def try_lines(self, seqs: Sequence[int]) -> list[bytes | None]:
        """As `lines`, with None for those that are not there or not readable."""
        self._read_ahead(seqs)
        found: list[bytes | None] = [None] * len(seqs)
        slots: Sequence[int] = range(len(seqs))
        for _ in range(2):  # a file that was merged into another meanwhile is there again
            slots = self._fill(seqs, slots, found)
            if not slots:
                break
        return found

    def leaves(self, first: int, end: int) -> Hashes:
        """The leaf hashes of the events [first, end), shape (n, 32).

        Raises:
            CorruptData: one of them is not there, or not readable.
        """
        import hashlib

        import numpy as np

        digests = []
        for start in range(first, end, _PIECE_ROWS):
            lines = self.lines(range(start, min(start + _PIECE_ROWS, end)))
            digests += [hashlib.sha256(b"\0" + line).digest() for line in lines]
        return np.frombuffer(b"".join(digests), dtype=np.uint8).reshape(-1, 32)

    # Inside

    def _walk_piece(self, key: int, piece: Name | Span) -> Sequence[Found]:
        if not isinstance(piece, Name):
            return (Found(*piece, None),)
        first, end, _ = piece
        try:
            positions = self._files.get(piece).positions(key)
        except LakecoreError as error:
            self._lost(piece, error)
        else:
            if positions is not None:
                return (Found(first, end, [first + p for p in positions]),) if positions else ()
        # Damaged, gone, or too heavy for merged postings: what lies below answers.
        below = [n for n in self.names() if piece.covers(n) and n != piece]
        is_smaller = [n for n in below if n.is_lines or n.end - n.first < end - first]
        chosen = reversed(choose(is_smaller, first, end))
        return [found for smaller in chosen for found in self._walk_piece(key, smaller)]

    def _answer_ahead(self, key: int, pieces: Sequence[Name | Span]) -> None:
        """Ask the remote files all at once; the answers are found among the kept ranges."""
        if not self._files.is_local:
            names = [piece for piece in pieces if isinstance(piece, Name)]
            self._at_once(lambda name: self._files.get(name).positions(key), names)

    def _read_ahead(self, seqs: Sequence[int]) -> None:
        """Read the remote blocks of these events all at once; they are found kept."""
        if self._files.is_local:
            return
        places = [(name, seq) for seq in seqs if isinstance(name := self._place(seq), Name)]
        self._at_once(self._files.get, sorted({name for name, _ in places}))
        blocks = set()
        for name, seq in places:
            with suppress(LakecoreError):
                blocks.add((name, (seq - name.first) // self._files.get(name).trailer.block_rows))
        self._at_once(lambda block: self._files.get(block[0]).block(block[1]), sorted(blocks))

    def _at_once(self, read: Callable[[Any], object], wanted: Sequence[Any]) -> None:
        """Do all of it for its effect; what fails is met again, and handled, by who needs it."""
        if len(wanted) < 2:
            return

        def attempt(item: Any) -> None:
            with suppress(LakecoreError):
                read(item)

        threads = ThreadPoolExecutor(
            min(_REMOTE_READS, len(wanted)), thread_name_prefix="lakecore-index"
        )
        with threads:
            deque(threads.map(attempt, wanted), maxlen=0)

    def _fill(
        self, seqs: Sequence[int], slots: Sequence[int], found: list[bytes | None]
    ) -> list[int]:
        """Put lines into `found`; the slots whose file did not answer, and is left out now."""
        wanted: dict[_Key, list[tuple[int, int]]] = {}
        failed: list[int] = []
        first = end = 0
        rows: list[tuple[int, int]] = []
        for slot in slots:
            seq = seqs[slot]
            if not first <= seq < end:  # mostly, one follows another in a block
                name = self._place(seq)
                if not isinstance(name, Name):
                    continue
                file = self._opened(name)
                if file is None:
                    failed.append(slot)
                    continue
                block_rows = file.trailer.block_rows
                number = (seq - name.first) // block_rows
                first = name.first + number * block_rows
                end = min(first + block_rows, name.end)
                rows = wanted.setdefault((file, number), [])
            rows.append((slot, seq - first))
        for key, block in self._unpacked(wanted):
            rows = wanted[key]
            if block is None:
                failed += [slot for slot, _ in rows]
            elif len(rows) > _FEW_ROWS:
                lines = block.lines()
                for slot, row in rows:
                    found[slot] = lines[row]
            else:
                for slot, row in rows:
                    found[slot] = block.line(row)
        return failed

    def _opened(self, name: Name) -> IndexFile | None:
        try:
            return self._files.get(name)
        except LakecoreError as error:
            self._lost(name, error)
            return None

    def _unpacked(self, keys: Iterable[_Key]) -> Iterator[tuple[_Key, Block | None]]:
        """The blocks, `_UNPACK_BYTES` of them at a time; None for one that does not answer."""
        waiting: list[tuple[_Key, Packed]] = []
        size = 0
        for key in keys:
            file, number = key
            try:
                packed = file.packed(number)
            except LakecoreError as error:
                self._lost(file.name, error)
                yield key, None
                continue
            waiting.append((key, packed))
            size += packed.raw_size
            if size >= _UNPACK_BYTES:
                yield from self._unpack(waiting)
                waiting, size = [], 0
        yield from self._unpack(waiting)

    def _unpack(self, packed: list[tuple[_Key, Packed]]) -> list[tuple[_Key, Block | None]]:
        if not packed:
            return []
        keys, stored = zip(*packed, strict=True)
        try:
            return list(zip(keys, unpack(stored), strict=True))
        except LakecoreError as error:
            if len(packed) > 1:  # which one? Each for itself.
                return [found for item in packed for found in self._unpack([item])]
            self._lost(keys[0][0].name, error)
            return [(keys[0], None)]

    def _place(self, seq: int) -> Name | Span | None:
        view = self._view
        at = bisect_right(view.starts, seq) - 1
        if at < 0:
            return None
        piece = view.lines[at]
        return piece if seq < piece[1] else None

    def _lost(self, name: Name, error: LakecoreError) -> None:
        """Look again without a file that does not answer."""
        with self._lock:
            size = self._view.size
            self._files.forget(name)
            if isinstance(error, NotFound):
                with suppress(LakecoreError):
                    self._list()
            if not isinstance(error, NotFound) or name in self._names:
                if len(self._unusable) >= _MAX_UNUSABLE:
                    self._unusable.clear()
                self._unusable[name] = error
            self._view = self._look(size)

    def _needs_listing(self, size: int) -> bool:
        if self._is_stale:
            return True
        age_s = time.monotonic() - self._listed_at
        if self._folder is not None:
            # One call instead of a listing; that it may be behind costs time, never an event.
            return self._time_of_folder() != self._folder_time or self._folder_time == 0
        wait_s = _RELIST_S if size != self._view.size else _RELIST_UNCHANGED_S
        return age_s > wait_s

    def _list(self) -> None:
        before = self._time_of_folder()
        is_settled = time.time_ns() - before > _SETTLED_NS
        self._folder_time = before if is_settled else 0
        self._listed_at = time.monotonic()
        self._is_stale = False
        if self._folder is not None:
            try:
                found = os.listdir(self._folder)
            except OSError:
                found = []
        else:
            found = [info.path[len(FOLDER) :] for info in self._store.list_objects(FOLDER)]
        names = frozenset(name for text in found if (name := parse_name(text)) is not None)
        # What was not reachable may be again.
        self._unusable = {
            name: error
            for name, error in self._unusable.items()
            if name in names and isinstance(error, CorruptData | UnsupportedFormat)
        }
        if names != self._names:
            self._names = names
            self._view = self._look(self._view.size)

    def _time_of_folder(self) -> int:
        if self._folder is None:
            return 0
        try:
            return os.stat(self._folder).st_mtime_ns
        except OSError:
            return 1

    def _look(self, size: int) -> _View:
        usable = self.names()
        lines = tuple(choose((n for n in usable if n.is_lines), 0, size))
        starts = tuple(piece[0] for piece in lines)
        return _View(size, tuple(choose(usable, 0, size)), lines, starts)


def _before(end_seq: int, found: Found) -> Found:
    """What was found, without what lies at `end_seq` or after it."""
    seqs = found.seqs
    if seqs is not None:
        seqs = [seq for seq in seqs if seq < end_seq]
    return Found(found.first, end_seq, seqs)
