"""A store that is read, and never written."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager
from pathlib import Path
from typing import TYPE_CHECKING, BinaryIO

if TYPE_CHECKING:
    from lakecore.base import LakecoreError
    from lakecore.storage._port import ObjectInfo, Store


class GuardedStore:
    """A `Store` that refuses every write by the error that `refusal` makes of its path.

    It has no paths on this disk: what would write there directly has to come through here.
    """

    def __init__(self, inner: Store, refusal: Callable[[str], LakecoreError]) -> None:
        self.url = inner.url
        self._inner = inner
        self._refusal = refusal

    def create(self, path: str, data: bytes) -> None:
        raise self._refusal(path)

    def put(self, path: str, data: bytes) -> None:
        raise self._refusal(path)

    def upload(self, path: str) -> AbstractContextManager[BinaryIO]:
        raise self._refusal(path)

    def delete(self, path: str) -> None:
        raise self._refusal(path)

    def get(self, path: str) -> bytes:
        return self._inner.get(path)

    def get_range(self, path: str, start: int, length: int) -> bytes:
        return self._inner.get_range(path, start, length)

    def head(self, path: str) -> ObjectInfo:
        return self._inner.head(path)

    def exists(self, path: str) -> bool:
        return self._inner.exists(path)

    def open(self, path: str) -> BinaryIO:
        return self._inner.open(path)

    def list_objects(self, prefix: str, *, after: str | None = None) -> Iterator[ObjectInfo]:
        return self._inner.list_objects(prefix, after=after)

    def list_folders(self, prefix: str) -> list[str]:
        return self._inner.list_folders(prefix)

    def sweep(self) -> int:
        return 0

    def local_path(self, path: str) -> Path | None:
        return None

    def table_uri(self, path: str) -> str:
        return self._inner.table_uri(path)

    def table_options(self, path: str = "") -> dict[str, str]:
        return self._inner.table_options(path)

    def close(self) -> None:
        self._inner.close()
