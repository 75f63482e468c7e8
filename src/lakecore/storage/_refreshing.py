"""A bucket whose credentials are read again when they change, end, or are refused.

Each call takes the store that was opened with the newest credentials. A call that is refused
(401, 403) reads the reference once more: where it leads to other credentials now, the call is
repeated with them, once. An upload under way is not repeated: it fails, nothing of it is there,
and the next one takes the new credentials.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, BinaryIO, Final, TypeVar

from lakecore.base import ReadOnly, Refused
from lakecore.storage._remote_files import open_ranges

if TYPE_CHECKING:
    from lakecore.storage._credentials import CredentialsReference, Found
    from lakecore.storage._port import ObjectInfo, Store

LOOK_EVERY_S: Final = 30.0
"""How often a reference is looked at that says no end."""
MARGIN_S: Final = 60.0
"""Credentials that end within it are taken anew."""

_T = TypeVar("_T")


class RefreshingStore:
    """A `Store` in a bucket, by a reference to its credentials. Threads may share it.

    Args:
        make: the store with some credentials, as options.
        reference: where they are.
        environ: the environment, read anew each time.
    """

    def __init__(
        self,
        make: Callable[[Mapping[str, str]], Store],
        reference: CredentialsReference,
        environ: Mapping[str, str],
        *,
        now: Callable[[], datetime] = lambda: datetime.now(UTC),
    ) -> None:
        self._make = make
        self._reference = reference
        self._environ = environ
        self._now = now
        self._lock = threading.Lock()
        self._found: Found = reference.read(environ)
        self._store = make(self._found.options)
        self._looked_s = time.monotonic()
        self.url = self._store.url

    def _current(self) -> Store:
        is_due = self._found.is_ending(self._now(), MARGIN_S) or (
            time.monotonic() - self._looked_s >= LOOK_EVERY_S
        )
        if is_due:
            self._reload()
        return self._store

    def _reload(self) -> bool:
        """Read the reference; whether other credentials are there now."""
        with self._lock:
            self._looked_s = time.monotonic()
            try:
                found = self._reference.read(self._environ)
            except Refused:
                # It may be being written. Those we have may still be good: the bucket says.
                return False
            is_new = found.fingerprint != self._found.fingerprint
            if is_new:
                self._store = self._make(found.options)
            self._found = found
            return is_new

    def _do(self, call: Callable[[Store], _T]) -> _T:
        try:
            return call(self._current())
        except (Refused, ReadOnly):
            if not self._reload():
                raise
        return call(self._store)

    def create(self, path: str, data: bytes) -> None:
        self._do(lambda store: store.create(path, data))

    def put(self, path: str, data: bytes) -> None:
        self._do(lambda store: store.put(path, data))

    def upload(self, path: str) -> AbstractContextManager[BinaryIO]:
        return self._upload(path)

    @contextmanager
    def _upload(self, path: str) -> Iterator[BinaryIO]:
        try:
            with self._current().upload(path) as file:
                yield file
        except (Refused, ReadOnly):
            self._reload()
            raise

    def get(self, path: str) -> bytes:
        return self._do(lambda store: store.get(path))

    def get_range(self, path: str, start: int, length: int) -> bytes:
        return self._do(lambda store: store.get_range(path, start, length))

    def head(self, path: str) -> ObjectInfo:
        return self._do(lambda store: store.head(path))

    def exists(self, path: str) -> bool:
        return self._do(lambda store: store.exists(path))

    def open(self, path: str) -> BinaryIO:
        # By our own ranges: credentials may end while somebody reads.
        size_bytes = self.head(path).size_bytes
        return open_ranges(lambda start, length: self.get_range(path, start, length), size_bytes)

    def list_objects(self, prefix: str, *, after: str | None = None) -> Iterator[ObjectInfo]:
        last = after
        for _ in range(2):
            try:
                for info in self._current().list_objects(prefix, after=last):
                    yield info
                    last = info.path
            except (Refused, ReadOnly):
                if not self._reload():
                    raise
            else:
                return
        yield from self._store.list_objects(prefix, after=last)

    def list_folders(self, prefix: str) -> list[str]:
        return self._do(lambda store: store.list_folders(prefix))

    def delete(self, path: str) -> None:
        self._do(lambda store: store.delete(path))

    def sweep(self) -> int:
        return self._do(lambda store: store.sweep())

    def local_path(self, path: str) -> Path | None:
        return self._store.local_path(path)

    def table_uri(self, path: str) -> str:
        return self._store.table_uri(path)

    def table_options(self, path: str = "") -> dict[str, str]:
        return self._current().table_options(path)

    def close(self) -> None:
        self._store.close()
