"""Other buckets in the lake's store: below ``buckets/<name>/`` is the bucket of that name.

So a table's place says which bucket it is in, ``buckets/cold/tables/main/planes``, and whoever
reads, commits, lists or verifies tables by their place finds them wherever they are.

A copy of the lake, a replica or a restored backup, has everything in one store, below the same
paths: where the lake's own store has anything below ``buckets/<name>/``, the bucket lies in it,
and no other one is asked. A bucket of which nobody knows where it is is not taken for an empty
one: `Unavailable`.
"""

from __future__ import annotations

import heapq
import threading
from collections.abc import Iterable, Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, BinaryIO, Final, Protocol

from lakecore.base import LakecoreError, Unavailable

if TYPE_CHECKING:
    from lakecore.storage._port import ObjectInfo, Store

BUCKETS: Final = "buckets/"
BUCKET_MARKER: Final = "lakecore-bucket.json"
"""In a bucket: which lake's it is, and by which name."""


class Mounts(Protocol):
    """The buckets there are, by name."""

    def names(self) -> Sequence[str]:
        """Those that may hold tables."""
        ...

    def reading(self, name: str) -> Store:
        """The store of one. Raises `Unavailable` when it is not known or does not answer."""
        ...

    def writing(self, name: str) -> Store:
        """The same, claimed for the lake. Raises `ReadOnly` when nothing may be written there."""
        ...

    def close(self) -> None: ...


def bucket_of(path: str) -> str:
    """The name of the bucket that a path is in; '' for the lake's own store.

    >>> bucket_of("buckets/cold/tables/main/planes"), bucket_of("tables/main/planes")
    ('cold', '')
    """
    return path.removeprefix(BUCKETS).partition("/")[0] if path.startswith(BUCKETS) else ""


def place_in(bucket: str, path: str) -> str:
    """A path within a bucket as the lake spells it.

    >>> place_in("cold", "tables/main/planes"), place_in("", "tables/main/planes")
    ('buckets/cold/tables/main/planes', 'tables/main/planes')
    """
    return f"{BUCKETS}{bucket}/{path}" if bucket else path


def not_configured(name: str) -> LakecoreError:
    """The error for a bucket that settings do not name."""
    return Unavailable(
        "a bucket is not configured",
        found=name,
        hint=f'in lakecore.toml: [[storage.bucket]] name = "{name}", uri = "<where it is>"',
    )


class MountedStore:
    """The lake's store, and the buckets below `BUCKETS`; see the module's docstring.

    Args:
        is_copy: the lake's own store has everything, whatever is there of it so far.
    """

    def __init__(self, lake: Store, mounts: Mounts, *, is_copy: bool = False) -> None:
        self.url = lake.url
        self._lake = lake
        self._mounts = mounts
        self._is_copy = is_copy
        self._inside: dict[str, bool] = {}
        self._lock = threading.Lock()

    # -- where a path leads -----------------------------------------------------------

    def is_inside(self, name: str) -> bool:
        """Whether a bucket lies in the lake's own store."""
        if self._is_copy:
            return True
        known = self._inside.get(name)
        if known is None:
            known = next(self._lake.list_objects(f"{BUCKETS}{name}/"), None) is not None
            with self._lock:
                self._inside[name] = known
        return known

    def _to(self, path: str, *, writing: bool = False) -> tuple[Store, str]:
        name = bucket_of(path)
        if not name or self.is_inside(name):
            return self._lake, path
        store = self._mounts.writing(name) if writing else self._mounts.reading(name)
        return store, path[len(BUCKETS) + len(name) + 1 :]

    @contextmanager
    def _at(self, path: str, *, writing: bool = False) -> Iterator[tuple[Store, str]]:
        store, place = self._to(path, writing=writing)
        try:
            yield store, place
        except LakecoreError as error:
            if place != path and error.where == place:
                error.where = path
            raise

    # -- the port ---------------------------------------------------------------------

    def create(self, path: str, data: bytes) -> None:
        with self._at(path, writing=True) as (store, place):
            store.create(place, data)

    def put(self, path: str, data: bytes) -> None:
        with self._at(path, writing=True) as (store, place):
            store.put(place, data)

    @contextmanager
    def _upload(self, path: str) -> Iterator[BinaryIO]:
        with self._at(path, writing=True) as (store, place), store.upload(place) as file:
            yield file

    def upload(self, path: str) -> AbstractContextManager[BinaryIO]:
        return self._upload(path)

    def get(self, path: str) -> bytes:
        with self._at(path) as (store, place):
            return store.get(place)

    def get_range(self, path: str, start: int, length: int) -> bytes:
        with self._at(path) as (store, place):
            return store.get_range(place, start, length)

    def head(self, path: str) -> ObjectInfo:
        with self._at(path) as (store, place):
            return _told_at(path, store.head(place))

    def exists(self, path: str) -> bool:
        with self._at(path) as (store, place):
            return store.exists(place)

    def open(self, path: str) -> BinaryIO:
        with self._at(path) as (store, place):
            return store.open(place)

    def list_objects(self, prefix: str, *, after: str | None = None) -> Iterator[ObjectInfo]:
        if bucket_of(prefix):
            yield from self._listed(prefix, after)
            return
        parts: list[Iterable[ObjectInfo]] = [self._lake.list_objects(prefix, after=after)]
        if BUCKETS.startswith(prefix):
            parts += [self._listed(f"{BUCKETS}{name}/", after) for name in self._outside()]
        yield from heapq.merge(*parts, key=lambda info: info.path)

    def list_folders(self, prefix: str) -> list[str]:
        if bucket_of(prefix):
            with self._at(prefix) as (store, place):
                return store.list_folders(place)
        found = set(self._lake.list_folders(prefix))
        outside = self._outside() if prefix in ("", BUCKETS) else []
        if prefix == BUCKETS:
            found.update(outside)
        elif outside:
            found.add(BUCKETS.rstrip("/"))
        return sorted(found)

    def delete(self, path: str) -> None:
        with self._at(path, writing=True) as (store, place):
            store.delete(place)

    def local_path(self, path: str) -> Path | None:
        with self._at(path) as (store, place):
            return store.local_path(place)

    def table_uri(self, path: str) -> str:
        with self._at(path) as (store, place):
            return store.table_uri(place)

    def table_options(self, path: str = "") -> dict[str, str]:
        with self._at(path) as (store, place):
            return store.table_options(place)

    def sweep(self) -> int:
        return self._lake.sweep() + sum(
            self._mounts.reading(name).sweep() for name in self._outside()
        )

    def close(self) -> None:
        try:
            self._mounts.close()
        finally:
            self._lake.close()

    # -- inside -----------------------------------------------------------------------

    def _outside(self) -> list[str]:
        return [name for name in self._mounts.names() if not self.is_inside(name)]

    def _listed(self, prefix: str, after: str | None) -> Iterator[ObjectInfo]:
        store, place = self._to(prefix)
        if store is self._lake:
            yield from store.list_objects(place, after=after)
            return
        root = prefix.removesuffix(place)
        if after is not None and not after.startswith(root):
            if after > root:
                return
            after = None
        below = None if after is None else after.removeprefix(root) or None
        for info in store.list_objects(place, after=below):
            yield _told_at(f"{root}{info.path}", info)


def _told_at(path: str, info: ObjectInfo) -> ObjectInfo:
    if info.path == path:
        return info
    from dataclasses import replace

    return replace(info, path=path)
