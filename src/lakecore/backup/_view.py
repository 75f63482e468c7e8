"""A backup as the store of the lake that it holds: read in place, never written."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Iterator
from contextlib import AbstractContextManager
from pathlib import Path
from typing import BinaryIO, NoReturn

from lakecore.backup._manifest import Entry, Manifest
from lakecore.base import CorruptData, NotFound, ReadOnly
from lakecore.storage import ObjectInfo, Store


class BackupView:
    """A `Store` of the objects of one backup."""

    def __init__(self, backups: Store, manifest: Manifest) -> None:
        self.url = f"{backups.url}/{manifest.path}"
        self._backups = backups
        self._entries = {entry.path: entry for entry in manifest.entries}
        self._paths = sorted(self._entries)

    def get(self, path: str) -> bytes:
        with _Missing(self._entry(path)) as entry:
            return self._backups.get(entry.place)

    def get_range(self, path: str, start: int, length: int) -> bytes:
        with _Missing(self._entry(path)) as entry:
            return self._backups.get_range(entry.place, start, length)

    def open(self, path: str) -> BinaryIO:
        with _Missing(self._entry(path)) as entry:
            return self._backups.open(entry.place)

    def head(self, path: str) -> ObjectInfo:
        entry = self._entry(path)
        return ObjectInfo(path, entry.size_bytes, entry.modified_us)

    def exists(self, path: str) -> bool:
        return path in self._entries

    def list_objects(self, prefix: str, *, after: str | None = None) -> Iterator[ObjectInfo]:
        for path in self._paths[bisect_right(self._paths, after) if after else 0 :]:
            if path.startswith(prefix):
                yield self.head(path)

    def list_folders(self, prefix: str) -> list[str]:
        rests = (path[len(prefix) :] for path in self._paths if path.startswith(prefix))
        return sorted({rest.partition("/")[0] for rest in rests if "/" in rest})

    def local_path(self, path: str) -> Path | None:
        return None

    def table_uri(self, path: str) -> str:
        self._refuse(path)

    def table_options(self, path: str = "") -> dict[str, str]:
        return {}

    def create(self, path: str, data: bytes) -> None:
        self._refuse(path)

    def put(self, path: str, data: bytes) -> None:
        self._refuse(path)

    def upload(self, path: str) -> AbstractContextManager[BinaryIO]:
        self._refuse(path)

    def delete(self, path: str) -> None:
        self._refuse(path)

    def sweep(self) -> int:
        return 0

    def close(self) -> None:
        """The store below is the caller's."""

    def _entry(self, path: str) -> Entry:
        try:
            return self._entries[path]
        except KeyError:
            raise NotFound("no such object", where=path) from None

    def _refuse(self, path: str) -> NoReturn:
        raise ReadOnly("a backup is read in place, never changed", where=path)


class _Missing:
    """Of an object that the manifest names, absence is damage."""

    def __init__(self, entry: Entry) -> None:
        self._entry = entry

    def __enter__(self) -> Entry:
        return self._entry

    def __exit__(self, kind: object, error: BaseException | None, trace: object) -> None:
        if isinstance(error, NotFound):
            raise CorruptData(
                "an object of the backup is missing",
                expected=self._entry.place,
                where=self._entry.path,
            ) from error
