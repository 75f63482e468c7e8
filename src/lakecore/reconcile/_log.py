"""The folder of a table's log: its entries, and the table replayed from them."""

from __future__ import annotations

import re
from collections.abc import Collection, Iterable, Iterator
from typing import TYPE_CHECKING, Final

from lakecore.base import CorruptData, NotFound
from lakecore.reconcile._checkpoints import checkpoints_of, read_checkpoint
from lakecore.reconcile._entry import read_entry
from lakecore.reconcile._replay import Replay

if TYPE_CHECKING:
    from lakecore.storage import ObjectInfo, Store

_ENTRY: Final = re.compile(r"(\d{20})\.json")


def base_of(
    store: Store, folder: str, versions: Collection[int], others: Iterable[str]
) -> Replay | None:
    """Where replaying a log begins: before its first entry, or at a checkpoint.

    Entries may be trimmed: then the first checkpoint that stands for them is believed. None
    when there is no such checkpoint.
    """
    first = min(versions, default=0)
    if not first:
        return Replay()
    for item in checkpoints_of(others):
        if item.is_readable and (item.version == first - 1 or item.version in versions):
            return read_checkpoint(store, folder, item)
    return None


class TableLog:
    """A table's log as it is listed now.

    Attributes:
        entries: the entries by version, ascending.
        others: what else is in the folder, by name.
    """

    def __init__(self, store: Store, location: str) -> None:
        self._store = store
        self.location = location
        self.folder = f"{location}/_delta_log"
        self.entries: dict[int, ObjectInfo] = {}
        self.others: dict[str, ObjectInfo] = {}
        for info in store.list_objects(f"{self.folder}/"):
            self.take(info)

    def take(self, info: ObjectInfo) -> None:
        name = info.path.rpartition("/")[2]
        match = _ENTRY.fullmatch(name)
        if info.path != f"{self.folder}/{name}":
            return  # sidecars and the like
        if match is None:
            self.others[name] = info
        else:
            self.entries[int(match[1])] = info

    @property
    def newest(self) -> int:
        """The newest version, -1 when there is none."""
        return max(self.entries, default=-1)

    def path(self, version: int) -> str:
        return f"{self.folder}/{version:020d}.json"

    def base(self) -> Replay:
        """The table before its first entry: empty, or what a checkpoint says of trimmed ones.

        Raises:
            CorruptData: entries are missing, and no checkpoint stands for them.
        """
        found = base_of(self._store, self.folder, self.entries, self.others)
        if found is None:
            raise CorruptData(
                "the first entries of a table's log are missing",
                where=self.location,
                found=f"version {min(self.entries)} is the first, without a checkpoint",
            )
        return found

    def replay(self, until: int) -> Replay:
        """The table after version `until`.

        Raises:
            CorruptData: an entry does not read, or is missing.
        """
        replay = self.base()
        for _ in self.replays(replay, until):
            pass
        return replay

    def replays(self, replay: Replay, until: int) -> Iterator[tuple[int, bytes]]:
        """Go on with `replay` up to version `until`: each entry's bytes, before it is applied."""
        for version in range(replay.version + 1, until + 1):
            path = self.path(version)
            try:
                data = self._store.get(path)
            except NotFound:
                raise CorruptData(
                    "a version is missing in the middle of a table's log", where=path
                ) from None
            entry = read_entry(data, where=path)
            yield version, data
            replay.apply(entry)
