"""Moving a dataset's table to another bucket: copied, fenced, and then switched in the catalog.

1. **Begin**: the catalog says where the table is being copied to. It is read and changed where
   it is. *A process that dies from here on leaves it there; the same move goes on.*
2. **Copy**: data files and the log, each held against its SHA-256. Changes go on meanwhile.
3. **Fence**: a version of the table's log says that it leaves its place. Who committed before it
   is copied by 4; who comes behind it is refused with an error to try again. *From here to 5 the
   dataset is read at the old place, and changed nowhere; the same move goes on, or
   `cancel_move` lets it be changed where it is.*
4. **Settle**: what was committed since 2 is copied, and all events up to the fence are sealed,
   so that the log at the new place can be held against them.
5. **Switch**: the catalog's document is the commit point. *Before it the dataset is at the old
   place, behind it at the new one.* The old place's data files stay for a grace, for whoever
   reads them now, and then `maintain` removes them.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from lakecore.base import Conflict, Inconclusive, InvalidInput
from lakecore.storage import ObjectInfo, mirror_object, place_in

if TYPE_CHECKING:
    from lakecore.app._components import Components
    from lakecore.catalog import Dataset
    from lakecore.journal import Author
    from lakecore.storage import Store

GRACE_DAYS: Final = 7.0
_MAX_ROUNDS: Final = 8
_HINT: Final = "_last_checkpoint"
_VERSION: Final = re.compile(r".*/_delta_log/(\d{20})\.json")

Progress = Callable[[int, int], None]
"""Called with (objects copied, bytes copied) now and then."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Moved:
    """What a move did.

    Attributes:
        version: the last one that was committed at the old place.
        objects, size_bytes: what this run copied; a run before may have copied the rest.
    """

    dataset: str
    bucket: str
    location: str
    former_location: str
    version: int
    objects: int
    size_bytes: int


def move_dataset(
    parts: Components,
    name: str,
    bucket: str,
    *,
    author: Author,
    grace_days: float = GRACE_DAYS,
    on_step: Callable[[str], None] = lambda step: None,
    progress: Progress = lambda objects, size_bytes: None,
) -> Moved:
    """Move a dataset's table to a bucket ('' is the lake's own store); see the module's docstring.

    Raises:
        InvalidInput: it is there already, has no data yet, or was adopted in place.
        Conflict: another move is under way.
        Inconclusive: some of its versions are not journaled; `reconcile` says why.
    """
    entry = parts.catalog.get(name)
    _check(parts, entry, bucket)
    target = entry.moving_to or place_in(bucket, entry.next_place)
    parts.reconciler.reconcile(entry.name)
    entry = parts.catalog.begin_move(entry.name, target, author=author)
    on_step("begun")
    copy = _Copy(parts.store, entry.location, target, progress)
    copy.run()
    on_step("copied")
    from lakecore.tables import Upkeep

    number = (entry.moves or 0) + 1
    version = Upkeep(parts.tables).fence(entry, number, target, author=author)
    on_step("fenced")
    copy.settle(version)
    parts.journal.seal()
    _check_sealed(parts, entry, version)
    on_step("settled")
    moved = parts.catalog.finish_move(entry, version=version, grace_days=grace_days, author=author)
    on_step("moved")
    return Moved(
        dataset=moved.name,
        bucket=moved.bucket,
        location=moved.location,
        former_location=entry.location,
        version=version,
        objects=copy.objects,
        size_bytes=copy.size_bytes,
    )


def cancel_move(parts: Components, name: str, *, author: Author) -> Dataset:
    """Leave a dataset where it is, and remove what was copied of it.

    Raises:
        NotFound: it is not being moved.
    """
    before = parts.catalog.get(name)
    stays = parts.catalog.cancel_move(name, author=author)
    # Nobody read there: the catalog never named it as the table's place.
    if before.moving_to is not None:
        for info in list(parts.store.list_objects(f"{before.moving_to}/")):
            parts.store.delete(info.path)
    return stays


class _Copy:
    """A table's folder, copied to another."""

    def __init__(self, store: Store, source: str, target: str, progress: Progress) -> None:
        self._store = store
        self._source = source
        self._target = target
        self._progress = progress
        self._done: dict[str, int] = {}
        self.objects = 0
        self.size_bytes = 0

    def run(self) -> None:
        """Everything that is there now: data files, then checkpoints, then the log in order."""
        there = {
            info.path.removeprefix(self._target): info.size_bytes
            for info in self._store.list_objects(f"{self._target}/")
        }
        for info in sorted(self._listed(), key=_order):
            below = info.path.removeprefix(self._source)
            if self._done.get(below) == info.size_bytes:
                continue
            mirror_object(
                self._store, info.path, self._store, f"{self._target}{below}", info.size_bytes
            )
            self._done[below] = info.size_bytes
            if there.get(below) != info.size_bytes:
                self.objects += 1
                self.size_bytes += info.size_bytes
                self._progress(self.objects, self.size_bytes)

    def settle(self, version: int) -> None:
        """Copy until there is nothing new, up to the fence.

        Raises:
            Conflict: another program goes on committing behind the fence.
        """
        for _ in range(_MAX_ROUNDS):
            self.run()
            left = [
                info
                for info in self._listed()
                if self._done.get(info.path.removeprefix(self._source)) != info.size_bytes
            ]
            if not left:
                break
        newest = max(
            (int(match[1]) for info in self._listed() if (match := _VERSION.fullmatch(info.path))),
            default=-1,
        )
        if newest != version:
            raise Conflict(
                "another program commits to the table while it is being moved",
                expected=f"version {version}",
                found=f"version {newest}",
                where=self._source,
                hint="stop it, `lakecore reconcile`, then `lakecore bucket move` again",
            )

    def _listed(self) -> list[ObjectInfo]:
        return [
            info
            for info in self._store.list_objects(f"{self._source}/")
            if not info.path.endswith(f"/_delta_log/{_HINT}")
        ]


def _order(info: ObjectInfo) -> tuple[int, str]:
    if _VERSION.fullmatch(info.path):
        return (2, info.path)
    return (1 if "/_delta_log/" in info.path else 0, info.path)


def _check(parts: Components, entry: Dataset, bucket: str) -> None:
    if entry.schema_name == "system":
        raise InvalidInput("system datasets stay in the lake's own store", found=entry.name)
    if bucket == entry.bucket:
        where = bucket or "the lake's own store"
        raise InvalidInput("the dataset is there already", found=where, where=entry.name)
    if entry.moving_to is not None and not _is_to(entry.moving_to, bucket):
        raise Conflict(
            "the dataset is being moved elsewhere",
            found=entry.moving_to,
            where=entry.name,
            hint=f"let it end, or `lakecore bucket move {entry.name} --cancel`",
        )
    if entry.adopted_version is not None:
        raise InvalidInput(
            "an adopted table stays where its owner put it",
            where=entry.name,
            hint="copy its rows into a new dataset: `insert` with `bucket`",
        )
    if parts.tables.newest_version(entry) < 0:
        raise InvalidInput(
            "the dataset has no data yet",
            where=entry.name,
            hint="drop it, and make it again in the bucket",
        )


def _is_to(location: str, bucket: str) -> bool:
    from lakecore.storage import bucket_of

    return bucket_of(location) == bucket


def _check_sealed(parts: Components, entry: Dataset, version: int) -> None:
    """That the journal has every version's events: the new place is held against them."""
    places = [(place.location, place.version) for place in entry.former_places]
    places.append((entry.location, version))
    log = f"{entry.location}/_delta_log/"
    with parts.journal.ledger() as ledger:
        for info in parts.store.list_objects(log):
            match = _VERSION.fullmatch(info.path)
            if match is None:
                continue
            number = int(match[1])
            home = next(place for place, last in places if number <= last)
            path = f"{home}/_delta_log/{number:020d}.json"
            if not ledger.sealed_at(path):
                raise Inconclusive(
                    "a version of the table is not in the journal",
                    where=path,
                    hint="`lakecore reconcile`, or `lakecore journal repair`, then move again",
                )
