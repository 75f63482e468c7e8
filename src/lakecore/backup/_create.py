"""Making a backup: plan, copy what is new, then the manifest. See the package's docstring."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Final

from lakecore.backup._copy import side_by_side
from lakecore.backup._manifest import (
    MAX_OBJECTS,
    OBJECTS,
    Entry,
    Manifest,
    claim,
    manifest_path,
    numbers,
    place_of,
    read_manifest,
)
from lakecore.backup._plan import (
    LAKE,
    Changed,
    Plan,
    Roots,
    make_plan,
    newest_checkpoint,
    no_roots,
)
from lakecore.base import (
    AlreadyExists,
    Clock,
    Conflict,
    CorruptData,
    InvalidInput,
    NotFound,
    Stop,
    SystemClock,
    format_timestamp,
)
from lakecore.journal import Journal
from lakecore.storage import PIECE_BYTES, ObjectInfo, Store, copy_object, sha256_of

MAX_ATTEMPTS: Final = 8
"""At a cut whose objects are all still there when they are copied."""
MAX_RACES: Final = 32
"""At a number that no other backup takes first."""

Progress = Callable[[int, int], None]
"""Called with (objects done, objects in all) now and then."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Created:
    """A finished backup, and what of it was copied by this run."""

    number: int
    at: str
    tree_size: int
    root: str
    objects: int
    size_bytes: int
    copied_objects: int
    copied_bytes: int
    warnings: tuple[str, ...]


def create(
    lake: Store,
    journal: Journal,
    destination: Store,
    *,
    clock: Clock | None = None,
    progress: Progress | None = None,
    roots: Roots = no_roots,
) -> Created:
    """Make one more backup of the lake; writers may go on.

    Args:
        roots: folders of `lake` below ``buckets/`` that have tables of the lake.

    Raises:
        InvalidInput: the destination is in the lake or around it, or is another lake's.
        Conflict: the lake kept changing under every attempt; try again.
        CorruptData: an object at the destination is damaged.
    """
    _check_apart(lake, destination)
    at = format_timestamp((clock or SystemClock()).now_us())
    identity = _identity(lake)
    claim(destination, identity, at)
    for _ in range(MAX_ATTEMPTS):
        try:
            plan = make_plan(lake, journal, roots)
            if len(plan.objects) > MAX_OBJECTS:
                raise Stop(
                    "too many objects for a backup", expected=MAX_OBJECTS, found=len(plan.objects)
                )
            copier = _Copier(lake, destination)
            entries = copier.copy(plan.objects, progress)
            checkpoint = _checkpoint(lake, plan)
        except Changed:
            continue
        return _finish(destination, identity, at, plan, entries, checkpoint, copier)
    raise Conflict(
        "the lake changed under every attempt to back it up",
        found=f"{MAX_ATTEMPTS} attempts",
        hint="Try again; what was copied is not copied again.",
    )


def _finish(
    destination: Store,
    identity: Mapping[str, Any],
    at: str,
    plan: Plan,
    entries: list[Entry],
    checkpoint: str | None,
    copier: _Copier,
) -> Created:
    for _ in range(MAX_RACES):
        number = max(numbers(destination), default=-1) + 1
        manifest = Manifest(
            number=number,
            at=at,
            lake_id=str(identity["lake_id"]),
            origin=str(identity["origin"]),
            tree_size=plan.cut.size,
            root=plan.cut.root,
            checkpoint=checkpoint,
            warnings=tuple(plan.warnings),
            entries=tuple(entries),
        )
        data = manifest.encode()
        try:
            # The commit point. Before it, there are only objects that no manifest names.
            destination.create(manifest_path(number), data)
        except AlreadyExists:
            # Another backup was faster; or our own first try was stored and its answer lost.
            if destination.get(manifest_path(number)) != data:
                continue
        return Created(
            number=number,
            at=at,
            tree_size=manifest.tree_size,
            root=manifest.root,
            objects=len(entries),
            size_bytes=manifest.size_bytes,
            copied_objects=copier.copied_objects,
            copied_bytes=copier.copied_bytes,
            warnings=manifest.warnings,
        )
    raise Conflict("other backups kept taking the next number", hint="try again")


class _Copier:
    """Copies objects that the destination does not have yet."""

    def __init__(self, lake: Store, destination: Store) -> None:
        self._lake = lake
        self._destination = destination
        self._there = {info.path: info.size_bytes for info in destination.list_objects(OBJECTS)}
        self._known = self._known_before()
        self.copied_objects = 0
        self.copied_bytes = 0

    def copy(self, objects: list[ObjectInfo], progress: Progress | None) -> list[Entry]:
        entries = []
        for entry, is_new in side_by_side(self._copy_one, objects):
            entries.append(entry)
            if is_new:
                self.copied_objects += 1
                self.copied_bytes += entry.size_bytes
            if progress is not None:
                progress(len(entries), len(objects))
        return entries

    def _known_before(self) -> dict[str, Entry]:
        """What the last backup has, by path; nothing if its manifest is damaged."""
        try:
            return {entry.path: entry for entry in read_manifest(self._destination).entries}
        except (NotFound, CorruptData):
            return {}

    def _copy_one(self, info: ObjectInfo) -> tuple[Entry, bool]:
        known = self._known.get(info.path)
        if (
            known is not None
            and (known.size_bytes, known.modified_us) == (info.size_bytes, info.modified_us)
            and self._is_there(known.sha256, known.size_bytes)
        ):
            return known, False
        try:
            return self._read_and_copy(info)
        except NotFound as error:
            if error.where == info.path:
                raise Changed(info.path) from error
            raise

    def _read_and_copy(self, info: ObjectInfo) -> tuple[Entry, bool]:
        data = None
        if info.size_bytes <= PIECE_BYTES:
            data = self._lake.get(info.path)
            sha256, found = hashlib.sha256(data).hexdigest(), len(data)
        else:
            # Twice through large objects: the name has to be known before the first byte.
            sha256, found = sha256_of(self._lake, info.path, info.size_bytes)
        if found != info.size_bytes:
            raise Changed(info.path)  # a stub took the place of a segment
        entry = Entry(info.path, found, sha256, info.modified_us)
        if self._is_there(sha256, found):
            return entry, False
        if data is not None:
            try:
                self._destination.create(entry.place, data)
            except AlreadyExists:
                return entry, False
        else:
            try:
                copy_object(self._lake, info.path, self._destination, entry.place, found, sha256)
            except CorruptData as error:
                raise Changed(info.path) from error
        return entry, True

    def _is_there(self, sha256: str, size_bytes: int) -> bool:
        place = place_of(sha256)
        found = self._there.get(place)
        if found is not None and found != size_bytes:
            raise CorruptData(
                "an object of the backup is damaged",
                expected=f"{size_bytes} bytes",
                found=f"{found} bytes",
                where=place,
                hint="Remove this object; the next backup copies it again.",
            )
        return found is not None


def _identity(lake: Store) -> Mapping[str, Any]:
    try:
        content = json.loads(lake.get(LAKE))
        if isinstance(content["lake_id"], str) and isinstance(content["origin"], str):
            return dict(content)
    except (ValueError, KeyError, TypeError):
        pass
    raise CorruptData("the lake's identity is not readable", where=f"{lake.url}/{LAKE}")


def _checkpoint(lake: Store, plan: Plan) -> str | None:
    path = newest_checkpoint(plan.objects, plan.cut.size)
    return None if path is None else lake.get(path).decode(errors="replace")


def _check_apart(lake: Store, destination: Store) -> None:
    """A backup in the lake would be in the next backup, and is lost with the lake."""
    if lake is not destination and lake.url == destination.url == "memory://":
        return  # each memory is a place of its own
    first, second = (store.url.rstrip("/") + "/" for store in (lake, destination))
    if first.startswith(second) or second.startswith(first):
        raise InvalidInput(
            "a backup needs a place outside of the lake",
            found=destination.url,
            where=lake.url,
            hint="Best on another disk, or in a bucket of another account.",
        )
