"""A backup becomes a lake of its own, with the whole history of the one that it is from.

The life of a restore:

1. the marker ``lakecore-restore.json`` is created in an empty place: it has the identity that
   the lake will have, and says which backup is restored;
2. all objects are created, each checked against its SHA-256 before it is visible;
3. the event of the restore is recorded and sealed, behind the last event of the backup;
4. ``lakecore.json`` is created: *this is the commit point*; then the marker is removed.

A restore that was killed is run again as it was: the marker is found, and what is there
already is compared instead of written. Until 4, nothing opens the place as a lake.

The new lake has an id and an origin of its own: the old lake may still be there and go on,
and one origin must never sign two histories. Its log has the old one as its prefix;
``restored_from`` in lakecore.json and the event of the restore cite it.
"""

from __future__ import annotations

import io
import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, Final

from lakecore.backup._copy import side_by_side
from lakecore.backup._create import Progress
from lakecore.backup._manifest import Entry, Manifest, read_manifest
from lakecore.backup._plan import CHECKPOINTS, LAKE
from lakecore.backup._view import BackupView
from lakecore.base import (
    AlreadyExists,
    Clock,
    Conflict,
    CorruptData,
    InvalidInput,
    NotFound,
    SystemClock,
    format_timestamp,
)
from lakecore.journal import Event, Journal, JournalSettings
from lakecore.storage import Store, copy_object

MARKER: Final = "lakecore-restore.json"
FORMAT: Final = 1
FORMER: Final = "journal/former/"
"""The checkpoints of the lake that a backup is from: evidence, but not of this origin."""


@dataclass(frozen=True, slots=True)
class Identity:
    """The id and origin of a lake."""

    lake_id: str
    origin: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Restored:
    """What was restored, where it is from, and as which lake."""

    lake_id: str
    origin: str
    number: int
    objects: int
    size_bytes: int
    restored_from: Mapping[str, Any]


def restore(
    backups: Store,
    target: Store,
    identity: Identity,
    *,
    at: int | None = None,
    actor: str = "",
    clock: Clock | None = None,
    progress: Progress | None = None,
) -> Restored:
    """Write one backup into an empty place, as a lake with the given new identity.

    Args:
        at: the backup's number; default the newest.
        identity: of the new lake; one that was begun before keeps its own.

    Raises:
        InvalidInput: the place is not empty.
        CorruptData: an object of the backup is damaged or missing; it is named.
        NotFound: there is no such backup.
    """
    clock = clock or SystemClock()
    manifest = read_manifest(backups, at)
    view = BackupView(backups, manifest)
    before = _lake_before(view)
    _check_apart(backups, target)
    marker = _begin(target, manifest, identity, format_timestamp(clock.now_us()))
    identity = Identity(marker["lake_id"], marker["origin"])

    _write_objects(backups, target, manifest, progress)
    former = before.get("restored_from")
    restored_from = {
        "lake_id": manifest.lake_id,
        "origin": manifest.origin,
        "tree_size": manifest.tree_size,
        "root": manifest.root,
        "checkpoint": manifest.checkpoint,
        "backup": manifest.number,
        "at": marker["at"],
        **({"restored_from": former} if former else {}),
    }
    _record(target, identity, restored_from, actor, clock)
    content = {
        **before,
        "lake_id": identity.lake_id,
        "origin": identity.origin,
        "created_at": marker["at"],
        "restored_from": restored_from,
    }
    _create(target, LAKE, (json.dumps(content, indent=1, ensure_ascii=False) + "\n").encode())
    target.delete(MARKER)
    return Restored(
        lake_id=identity.lake_id,
        origin=identity.origin,
        number=manifest.number,
        objects=len(manifest.entries),
        size_bytes=manifest.size_bytes,
        restored_from=restored_from,
    )


def _begin(target: Store, manifest: Manifest, identity: Identity, at: str) -> Mapping[str, Any]:
    """The marker of this restore: a new one in an empty place, or the one that is there."""
    backup = {"lake_id": manifest.lake_id, "number": manifest.number, "root": manifest.root}
    try:
        marker = json.loads(target.get(MARKER))
        same = marker["backup"] == backup and marker["format"] == FORMAT
        texts = (marker["lake_id"], marker["origin"], marker["at"])
        if same and all(isinstance(text, str) for text in texts) and not target.exists(LAKE):
            return dict(marker)
    except NotFound:
        pass
    except (ValueError, KeyError, TypeError) as error:
        raise CorruptData("not readable", found=repr(error), where=MARKER) from error
    found = next(target.list_objects(""), None)
    if found is not None:
        raise InvalidInput(
            "a backup is restored into an empty place only",
            expected="no object at all",
            found=found.path,
            where=target.url,
        )
    marker = {
        "format": FORMAT,
        "backup": backup,
        "lake_id": identity.lake_id,
        "origin": identity.origin,
        "at": at,
    }
    _create(target, MARKER, (json.dumps(marker, indent=1) + "\n").encode())
    return marker


def _write_objects(
    backups: Store, target: Store, manifest: Manifest, progress: Progress | None
) -> None:
    entries = [entry for entry in manifest.entries if entry.path != LAKE]

    def write(entry: Entry) -> None:
        path = entry.path
        if path.startswith(CHECKPOINTS):
            path = f"{FORMER}{manifest.lake_id}/{path.removeprefix('journal/')}"
        try:
            copy_object(backups, entry.place, target, path, entry.size_bytes, entry.sha256)
        except NotFound as error:
            if error.where != entry.place:
                raise
            raise CorruptData(
                "an object of the backup is missing", expected=entry.place, where=entry.path
            ) from error

    for done, _ in enumerate(side_by_side(write, entries), start=1):
        if progress is not None:
            progress(done, len(entries))


def _record(
    target: Store, identity: Identity, restored_from: Mapping[str, Any], actor: str, clock: Clock
) -> None:
    """The first event behind the backup's: once, however often this is run."""
    # The state directory of the machine that restores is not that of who will use the lake:
    # the event is acknowledged on the store, wherever that is.
    settings = JournalSettings(background=False, direct="staged", linger_s=0.0)
    with (
        TemporaryDirectory(prefix="lakecore-restore-") as state_dir,
        Journal.open(target, Path(state_dir), clock=clock, settings=settings) as journal,
    ):
        # Only behind the backup: what is before it may be in an archive.
        size = int(restored_from["tree_size"])
        there = journal.export(
            io.BytesIO(),
            "ndjson",
            since_seq=size,
            entity_type="lake",
            entity_id=identity.lake_id,
            action="restore",
        )
        if not there.events:
            journal.record(
                Event(
                    entity_type="lake",
                    entity_id=identity.lake_id,
                    action="restore",
                    new_value=json.dumps(restored_from, ensure_ascii=False),
                    actor=actor,
                    source="backup",
                )
            )
        journal.seal()


def _lake_before(view: BackupView) -> dict[str, Any]:
    try:
        content = json.loads(view.get(LAKE))
        if isinstance(content, dict):
            return content
    except (ValueError, NotFound):
        pass
    raise CorruptData("the backup has no readable identity of its lake", where=LAKE)


def _create(target: Store, path: str, data: bytes) -> None:
    try:
        target.create(path, data)
    except AlreadyExists:
        if target.get(path) != data:
            raise Conflict("somebody else writes to the place of a restore", where=path) from None


def _check_apart(backups: Store, target: Store) -> None:
    if backups.url == target.url != "memory://" or target.url.startswith(f"{backups.url}/"):
        raise InvalidInput("a lake is not restored into its backup", found=target.url)
