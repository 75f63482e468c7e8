"""A store that takes its time, as one behind a network does: what is simulated is a pause a call.

Every call that writes waits `write_s` before it is done, every call that reads waits `read_s`,
a listing `read_s` for a thousand names. Calls of different threads wait beside each other: the
bandwidth is that of the store below, and nothing is lost or refused.

>>> from lakecore.storage import open_store
>>> store = SlowStore(open_store("memory://"), write_s=0.001, read_s=0.0)
>>> store.create("a", b"1"); store.get("a"), store.writes, store.local_path("a")
(b'1', 1, None)
"""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO

from lakecore.storage import ObjectInfo, Store

_LISTED = 1_000


class SlowStore:
    """A `Store` around another, which has no place on this machine.

    Attributes:
        writes, reads: calls so far.
    """

    def __init__(self, inner: Store, *, write_s: float, read_s: float) -> None:
        self._inner = inner
        self._write_s = write_s
        self._read_s = read_s
        self._lock = threading.Lock()
        self.url = inner.url
        self.writes = 0
        self.reads = 0

    def _write(self) -> None:
        with self._lock:
            self.writes += 1
        time.sleep(self._write_s)

    def _read(self) -> None:
        with self._lock:
            self.reads += 1
        time.sleep(self._read_s)

    def create(self, path: str, data: bytes) -> None:
        self._write()
        self._inner.create(path, data)

    def put(self, path: str, data: bytes) -> None:
        self._write()
        self._inner.put(path, data)

    @contextmanager
    def upload(self, path: str) -> Iterator[BinaryIO]:
        with self._inner.upload(path) as sink:
            yield sink
            self._write()

    def delete(self, path: str) -> None:
        self._write()
        self._inner.delete(path)

    def get(self, path: str) -> bytes:
        self._read()
        return self._inner.get(path)

    def get_range(self, path: str, start: int, length: int) -> bytes:
        self._read()
        return self._inner.get_range(path, start, length)

    def head(self, path: str) -> ObjectInfo:
        self._read()
        return self._inner.head(path)

    def exists(self, path: str) -> bool:
        self._read()
        return self._inner.exists(path)

    def open(self, path: str) -> BinaryIO:
        self._read()
        return self._inner.open(path)

    def list_objects(self, prefix: str, *, after: str | None = None) -> Iterator[ObjectInfo]:
        self._read()
        for number, found in enumerate(self._inner.list_objects(prefix, after=after), start=1):
            yield found
            if number % _LISTED == 0:
                self._read()

    def list_folders(self, prefix: str) -> list[str]:
        self._read()
        return self._inner.list_folders(prefix)

    def sweep(self) -> int:
        return self._inner.sweep()

    def local_path(self, path: str) -> Path | None:
        return None

    def table_uri(self, path: str) -> str:
        return self._inner.table_uri(path)

    def table_options(self) -> dict[str, str]:
        return self._inner.table_options()

    def close(self) -> None:
        self._inner.close()
