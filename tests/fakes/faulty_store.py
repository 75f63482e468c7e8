"""A store that fails when told to: for tests of what happens around every write.

>>> from lakecore.storage import open_store
>>> store = FaultyStore(open_store("memory://"), {2: Fault.AFTER})
>>> store.create("a", b"1")
>>> store.create("b", b"2")
Traceback (most recent call last):
...
lakecore.base.errors.Unavailable: a planned fault at b
>>> store.exists("b"), store.writes
(True, 2)
"""

from __future__ import annotations

import io
import threading
import time
from collections.abc import Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager
from enum import Enum
from pathlib import Path
from typing import BinaryIO, cast

from lakecore.base import LakecoreError, Unavailable
from lakecore.storage import ObjectInfo, Store


class Fault(Enum):
    """What goes wrong with one write."""

    BEFORE = "before"
    """The write fails, and nothing is stored."""
    AFTER = "after"
    """The write is stored, and fails all the same: its answer is lost."""
    TEAR = "tear"
    """An upload breaks off halfway; any other write fails before it is stored."""
    SLOW = "slow"
    """The write takes `slow_s` seconds longer."""


class FaultyStore:
    """A `Store` around another, whose n-th write, counted from 1, has a planned fault.

    Args:
        inner: keeps the objects.
        faults: what happens to which write: `create`, `put`, `upload`, `delete`.
        error: what a fault raises, before or after.
        slow_s: how long `Fault.SLOW` waits before the write.
        stays_down: after the first fault, every write fails: the process might as
            well have been killed.

    Attributes:
        writes: how many writes were asked for so far.
        log: every operation so far, as (name, path), reads as well.
    """

    def __init__(
        self,
        inner: Store,
        faults: Mapping[int, Fault] | None = None,
        *,
        error: type[LakecoreError] = Unavailable,
        slow_s: float = 0.05,
        stays_down: bool = False,
    ) -> None:
        self.inner = inner
        self.faults = dict(faults or {})
        self.writes = 0
        self.log: list[tuple[str, str]] = []
        self._error = error
        self._slow_s = slow_s
        self._stays_down = stays_down
        self._is_down = False
        self._lock = threading.Lock()

    @property
    def url(self) -> str:
        """The inner store's."""
        return self.inner.url

    @url.setter
    def url(self, url: str) -> None:
        self.inner.url = url

    def create(self, path: str, data: bytes) -> None:
        """As the inner store's, but for a planned fault."""
        with self._write("create", path):
            self.inner.create(path, data)

    def put(self, path: str, data: bytes) -> None:
        """As the inner store's, but for a planned fault."""
        with self._write("put", path):
            self.inner.put(path, data)

    def delete(self, path: str) -> None:
        """As the inner store's, but for a planned fault."""
        with self._write("delete", path):
            self.inner.delete(path)

    def upload(self, path: str) -> AbstractContextManager[BinaryIO]:
        """As the inner store's, but for a planned fault; it counts when the block is entered."""
        return self._upload(path)

    def get(self, path: str) -> bytes:
        """As the inner store's."""
        return self._read("get", path).get(path)

    def get_range(self, path: str, start: int, length: int) -> bytes:
        """As the inner store's."""
        return self._read("get_range", path).get_range(path, start, length)

    def head(self, path: str) -> ObjectInfo:
        """As the inner store's."""
        return self._read("head", path).head(path)

    def exists(self, path: str) -> bool:
        """As the inner store's."""
        return self._read("exists", path).exists(path)

    def open(self, path: str) -> BinaryIO:
        """As the inner store's."""
        return self._read("open", path).open(path)

    def list_objects(self, prefix: str, *, after: str | None = None) -> Iterator[ObjectInfo]:
        """As the inner store's."""
        return self._read("list_objects", prefix).list_objects(prefix, after=after)

    def list_folders(self, prefix: str) -> list[str]:
        """As the inner store's."""
        return self._read("list_folders", prefix).list_folders(prefix)

    def local_path(self, path: str) -> Path | None:
        """As the inner store's: what goes there directly has no faults."""
        return self.inner.local_path(path)

    def table_uri(self, path: str) -> str:
        """As the inner store's: what goes there directly has no faults."""
        return self.inner.table_uri(path)

    def sweep(self) -> int:
        """As the inner store's."""
        return self.inner.sweep()

    def table_options(self, path: str = "") -> dict[str, str]:
        """As the inner store's."""
        return self.inner.table_options(path)

    def close(self) -> None:
        """As the inner store's."""
        self.inner.close()

    def _read(self, name: str, path: str) -> Store:
        with self._lock:
            self.log.append((name, path))
        return self.inner

    @contextmanager
    def _write(self, name: str, path: str) -> Iterator[None]:
        fault = self._next(name, path)
        if fault is Fault.TEAR:
            fault = Fault.BEFORE
        self._before(fault, path)
        yield
        self._after(fault, path)

    @contextmanager
    def _upload(self, path: str) -> Iterator[BinaryIO]:
        fault = self._next("upload", path)
        self._before(fault, path)
        with self.inner.upload(path) as file:
            if fault is Fault.TEAR:
                yield cast(BinaryIO, _TornFile(file, self._planned(path)))
                raise self._planned(path)
            yield file
        self._after(fault, path)

    def _next(self, name: str, path: str) -> Fault | None:
        with self._lock:
            self.log.append((name, path))
            self.writes += 1
            if self._is_down:
                return Fault.BEFORE
            fault = self.faults.get(self.writes)
            self._is_down = self._stays_down and fault not in {None, Fault.SLOW}
            return fault

    def _before(self, fault: Fault | None, path: str) -> None:
        if fault is Fault.SLOW:
            time.sleep(self._slow_s)
        if fault is Fault.BEFORE:
            raise self._planned(path)

    def _after(self, fault: Fault | None, path: str) -> None:
        if fault is Fault.AFTER:
            raise self._planned(path)

    def _planned(self, path: str) -> LakecoreError:
        return self._error("a planned fault", where=path)


class _TornFile(io.RawIOBase):
    """Takes half of the first write, and nothing after it."""

    def __init__(self, file: BinaryIO, error: LakecoreError) -> None:
        super().__init__()
        self._file = file
        self._error = error

    def writable(self) -> bool:
        return True

    def tell(self) -> int:
        return self._file.tell()

    def write(self, data: object) -> int:
        view = memoryview(data).cast("B")  # type: ignore[arg-type]  # any buffer
        self._file.write(view[: len(view) // 2])
        raise self._error
