"""Open index files: `pread` on a disk, ranges with kept tables on a remote store.

Not mapped into memory: a file that is cut short under a mapping kills the process, a
short read is an error like any other. Both the open files and the bytes that are kept are
bounded, however long the journal gets.
"""

from __future__ import annotations

import itertools
import os
import threading
from abc import ABC, abstractmethod
from collections import OrderedDict
from collections.abc import Callable
from typing import TYPE_CHECKING, Final

from lakecore.base import CorruptData, NotFound, Unavailable
from lakecore.base.limits import KIB, MIB
from lakecore.journal._index import layout
from lakecore.journal._index.blocks import Block, Packed, unpack
from lakecore.journal._index.layout import TRAILER_BYTES, Trailer
from lakecore.journal._index.names import Name

if TYPE_CHECKING:
    from collections.abc import Sequence

    from lakecore.storage import Store

MAX_OPEN_FILES: Final = 192
_TAIL_BYTES: Final = 32 * KIB
"""Read at once from the end of a remote file: the trailer, and both tables of `.lines`."""
_PAGE_BYTES: Final = 16 * KIB
_MAX_TABLE_BYTES: Final = 64 * KIB
"""The tables of a local file up to this size are kept while it is open."""
_MAX_KEPT_BYTES: Final = 32 * MIB


_numbers = itertools.count()


class IndexFile(ABC):
    """One file, its trailer checked. Threads share it; it is closed with its last reference."""

    def __init__(self, name: Name, trailer: Trailer, size_bytes: int) -> None:
        self.name = name
        self.path = name.path
        self.trailer = trailer
        if (
            (trailer.first, trailer.end) != (name.first, name.end)
            or (trailer.kind == layout.LINES) != name.is_lines
            or trailer.size_bytes != size_bytes
        ):
            raise CorruptData("an index file is not what its name says", where=self.path)

    @abstractmethod
    def read(self, offset: int, size: int) -> bytes:
        """Bytes of a block or bucket."""

    @abstractmethod
    def read_table(self, offset: int, size: int) -> bytes:
        """Bytes of a table, which a remote file keeps."""

    def positions(self, key: int) -> Sequence[int] | None:
        """The positions of a key, ascending; None when it is too heavy for this file."""
        trailer = self.trailer
        number = key >> (layout.KEY_BITS - trailer.bucket_bits)
        entry = self.read_table(trailer.bucket_table + 8 * number, 16)
        offset, size = layout.bucket_place(entry, trailer, self.path)
        data = self.read(offset, size)
        layout.check_bucket(data, number, self.path)
        return layout.find_in_bucket(data, key, trailer.width)

    def block(self, number: int) -> Block:
        return unpack([self.packed(number)])[0]

    def packed(self, number: int) -> Packed:
        """A block as it is stored, checked."""
        trailer = self.trailer
        size = layout.BLOCK_ENTRY_BYTES
        entry = self.read_table(trailer.block_table + size * number, size)
        offset, size, raw_size, crc = layout.block_place(entry, self.path)
        rows = trailer.end - trailer.first - number * trailer.block_rows
        data = self.read(offset, size)
        rows = min(rows, trailer.block_rows)
        return Packed(number, rows, data, raw_size, crc, self.path).check()

    def packed_run(self, numbers: range) -> list[Packed]:
        """Neighbouring blocks, checked, in one read."""
        trailer, size = self.trailer, layout.BLOCK_ENTRY_BYTES
        table = self.read_table(trailer.block_table + size * numbers.start, size * len(numbers))
        entries = [table[at : at + size] for at in range(0, len(table), size)]
        places = [layout.block_place(entry, self.path) for entry in entries]
        start, end = places[0][0], places[-1][0] + places[-1][1]
        if end - start != sum(place[1] for place in places):
            return [self.packed(number) for number in numbers]  # which of them is damaged?
        data = self.read(start, end - start)
        found = []
        for number, (offset, length, raw_size, crc) in zip(numbers, places, strict=True):
            rows = trailer.end - trailer.first - number * trailer.block_rows
            rows = min(rows, trailer.block_rows)
            block = data[offset - start : offset - start + length]
            found.append(Packed(number, rows, block, raw_size, crc, self.path).check())
        return found

    def buckets(self, numbers: range) -> list[bytes]:
        """Neighbouring buckets, checked, in one read."""
        trailer = self.trailer
        entries = self.read_table(trailer.bucket_table + 8 * numbers.start, 8 * (len(numbers) + 1))
        places = [
            layout.bucket_place(entries[8 * at : 8 * at + 16], trailer, self.path)
            for at in range(len(numbers))
        ]
        start = places[0][0]
        data = self.read(start, sum(size for _, size in places))
        found = [data[offset - start : offset - start + size] for offset, size in places]
        for number, bucket in zip(numbers, found, strict=True):
            layout.check_bucket(bucket, number, self.path)
        return found


class _LocalFile(IndexFile):
    def __init__(self, name: Name, fd: int) -> None:
        self._fd = fd
        size = os.fstat(fd).st_size
        tail = os.pread(fd, TRAILER_BYTES, max(0, size - TRAILER_BYTES))
        super().__init__(name, Trailer.decode(tail, name.path), size)
        trailer = self.trailer
        self._tables_start = trailer.block_table if name.is_lines else trailer.bucket_table
        self._tables: bytes | None = None

    def read(self, offset: int, size: int) -> bytes:
        try:
            return os.pread(self._fd, size, offset)
        except OSError as error:
            raise Unavailable("the index does not read", found=error, where=self.path) from error

    def read_table(self, offset: int, size: int) -> bytes:
        tables = self._tables
        if tables is None:
            start, end = self._tables_start, self.trailer.size_bytes - TRAILER_BYTES
            if end - start > _MAX_TABLE_BYTES:
                return self.read(offset, size)
            tables = self._tables = self.read(start, end - start)
        start = offset - self._tables_start
        return tables[start : start + size]

    def __del__(self) -> None:
        os.close(self._fd)


class _RemoteFile(IndexFile):
    def __init__(self, name: Name, store: Store, kept: _Kept) -> None:
        self._store = store
        self._kept = kept
        # Not the path: a file that was damaged is written again under its name.
        self._number = next(_numbers)
        tail = store.get_range(name.path, -_TAIL_BYTES, _TAIL_BYTES)
        trailer = Trailer.decode(tail[-TRAILER_BYTES:], name.path)
        super().__init__(name, trailer, max(trailer.size_bytes, len(tail)))
        self._tail = tail
        self._tail_start = trailer.size_bytes - len(tail)

    def read(self, offset: int, size: int) -> bytes:
        # Kept for a moment: ranges are asked for ahead, many at once, and then one by one.
        key = (self._number, offset, size)
        data = self._kept.get(key)
        if data is None:
            data = self._store.get_range(self.path, offset, size)
            if size <= _MAX_KEPT_BYTES:
                self._kept.put(key, data)
        return data

    def read_table(self, offset: int, size: int) -> bytes:
        if offset >= self._tail_start:
            start = offset - self._tail_start
            return self._tail[start : start + size]
        first, last = offset // _PAGE_BYTES, (offset + size - 1) // _PAGE_BYTES
        data = b"".join(self._page(number) for number in range(first, last + 1))
        start = offset - first * _PAGE_BYTES
        return data[start : start + size]

    def _page(self, number: int) -> bytes:
        return self.read(number * _PAGE_BYTES, _PAGE_BYTES)


class _Kept:
    """Ranges of remote files: the ones that were used last, up to so many bytes."""

    def __init__(self) -> None:
        self._ranges: OrderedDict[tuple[int, int, int], bytes] = OrderedDict()
        self._size_bytes = 0
        self._lock = threading.Lock()

    def get(self, key: tuple[int, int, int]) -> bytes | None:
        with self._lock:
            data = self._ranges.get(key)
            if data is not None:
                self._ranges.move_to_end(key)
            return data

    def put(self, key: tuple[int, int, int], data: bytes) -> None:
        with self._lock:
            if key not in self._ranges:
                self._size_bytes += len(data)
            self._ranges[key] = data
            while self._size_bytes > _MAX_KEPT_BYTES:
                _, old = self._ranges.popitem(last=False)
                self._size_bytes -= len(old)


class OpenFiles:
    """The index files that were used last, open.

    Args:
        root_at: the root of the journal's tree at a size, where it is known: see `Trailer`.
    """

    def __init__(self, store: Store, root_at: Callable[[int], bytes | None]) -> None:
        self._store = store
        self._root_at = root_at
        self._files: OrderedDict[Name, IndexFile] = OrderedDict()
        self._kept = _Kept()
        self._lock = threading.Lock()
        self.is_local = store.local_path("journal/index") is not None

    def get(self, name: Name) -> IndexFile:
        """The file, opened and checked.

        Raises:
            NotFound: it is gone.
            CorruptData, UnsupportedFormat: it is damaged, of other events, or newer.
        """
        with self._lock:
            file = self._files.get(name)
            if file is not None:
                self._files.move_to_end(name)
                return file
        file = self._open(name)
        if self._root_at(name.end) != file.trailer.root:
            raise CorruptData("an index file is of other events", where=name.path)
        with self._lock:
            self._files[name] = file
            while len(self._files) > MAX_OPEN_FILES:
                self._files.popitem(last=False)
        return file

    def forget(self, name: Name) -> None:
        with self._lock:
            self._files.pop(name, None)

    def clear(self) -> None:
        with self._lock:
            self._files.clear()

    def _open(self, name: Name) -> IndexFile:
        local = self._store.local_path(name.path)
        if local is None:
            return _RemoteFile(name, self._store, self._kept)
        try:
            fd = os.open(local, os.O_RDONLY | os.O_CLOEXEC)
        except FileNotFoundError as error:
            raise NotFound("no such object", where=name.path) from error
        except OSError as error:
            raise Unavailable("the index does not open", found=error, where=name.path) from error
        return _LocalFile(name, fd)
