"""Files of the log that are in an archive: another store, by a name that settings explain.

A stub whose `moved` names an archive leads to ``journal/archived/<name>/<path>``: no object of
the lake, but a path that `ArchivedStore` reads from the archive of that name. So whoever reads
the log reads archived events as any others. When an archive cannot be reached, such reads
raise `Unavailable` with its name, and everything else works.

``lakecore-archive.json`` in the archive tells one that is there from one that is not (an empty
mount point, say): only where it is, a missing object is damage.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, BinaryIO, Final

from lakecore.base import CorruptData, LakecoreError, NotFound, Unavailable

if TYPE_CHECKING:
    from lakecore.storage import ObjectInfo, Store

ARCHIVED: Final = "journal/archived/"
RECORDS: Final = "journal/archives/"
"""What was archived, one small object a file: written before its stub."""
MARKER: Final = "lakecore-archive.json"

Archives = Callable[[str], "Store"]


def archived_path(archive: str, path: str) -> str:
    """The path by which a file in an archive is read."""
    return f"{ARCHIVED}{archive}/{path}"


def no_archives(name: str) -> Store:
    """No archive is known."""
    raise Unavailable(
        "an archive is not configured",
        found=name,
        hint=f'set it: [journal] archives = {{ {name} = "<where it is>" }}',
    )


class ArchivedStore:
    """The lake's store; paths below `ARCHIVED` are read from archives.

    Args:
        unreachable: what is raised for an archive that cannot be read.
    """

    def __init__(
        self,
        lake: Store,
        archives: Archives,
        *,
        unreachable: type[LakecoreError] = Unavailable,
    ) -> None:
        self.url = lake.url
        self._lake = lake
        self._archives = archives
        self._unreachable = unreachable

    def raising(self, unreachable: type[LakecoreError]) -> ArchivedStore:
        """The same store, raising something else for an archive that cannot be read."""
        return ArchivedStore(self._lake, self._archives, unreachable=unreachable)

    def get(self, path: str) -> bytes:
        with self._at(path) as (store, place):
            return store.get(place)

    def get_range(self, path: str, start: int, length: int) -> bytes:
        with self._at(path) as (store, place):
            return store.get_range(place, start, length)

    def open(self, path: str) -> BinaryIO:
        with self._at(path) as (store, place):
            return store.open(place)

    def head(self, path: str) -> ObjectInfo:
        with self._at(path) as (store, place):
            return store.head(place)

    def exists(self, path: str) -> bool:
        with self._at(path) as (store, place):
            return store.exists(place)

    def local_path(self, path: str) -> Path | None:
        return None if path.startswith(ARCHIVED) else self._lake.local_path(path)

    def create(self, path: str, data: bytes) -> None:
        self._lake.create(path, data)

    def put(self, path: str, data: bytes) -> None:
        self._lake.put(path, data)

    def upload(self, path: str) -> AbstractContextManager[BinaryIO]:
        return self._lake.upload(path)

    def list_objects(self, prefix: str, *, after: str | None = None) -> Iterator[ObjectInfo]:
        return self._lake.list_objects(prefix, after=after)

    def list_folders(self, prefix: str) -> list[str]:
        return self._lake.list_folders(prefix)

    def delete(self, path: str) -> None:
        self._lake.delete(path)

    def sweep(self) -> int:
        return self._lake.sweep()

    def table_uri(self, path: str) -> str:
        return self._lake.table_uri(path)

    def table_options(self, path: str = "") -> dict[str, str]:
        return self._lake.table_options(path)

    def close(self) -> None:
        self._lake.close()

    @contextmanager
    def _at(self, path: str) -> Iterator[tuple[Store, str]]:
        """Where a path is read."""
        if not path.startswith(ARCHIVED):
            yield self._lake, path
            return
        name, _, place = path.removeprefix(ARCHIVED).partition("/")
        try:
            store = self._archives(name)
        except LakecoreError as error:
            raise self._cannot_reach(name, error) from error
        try:
            yield store, place
        except NotFound as error:
            if _is_there(store):
                raise CorruptData(
                    "a file is missing in the archive", found=name, where=place
                ) from error
            raise self._cannot_reach(name, error) from error
        except CorruptData:
            raise
        except LakecoreError as error:
            raise self._cannot_reach(name, error) from error

    def _cannot_reach(self, name: str, error: LakecoreError) -> LakecoreError:
        return self._unreachable(
            f"the archive {name!r} cannot be reached",
            found=error.message,
            where=error.where,
            hint=error.hint or "events that are in it are read when it is back; others are there",
        )


def _is_there(store: Store) -> bool:
    try:
        return store.exists(MARKER)
    except LakecoreError:
        return False
