"""`lakecore.json`: what makes a folder a lake. Created once, create-only, never changed."""

from __future__ import annotations

import json
import uuid
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Final

from lakecore.backup import MARKER, REPLICA, Identity
from lakecore.base import (
    AlreadyExists,
    Clock,
    CorruptData,
    NotFound,
    Stop,
    UnsupportedFormat,
    format_timestamp,
)
from lakecore.storage import Store

PATH: Final = "lakecore.json"
FORMAT: Final = 1


@dataclass(frozen=True, slots=True)
class LakeFormat:
    """The identity of a lake: its id (UUID) and the origin of its log, as checkpoints name it.

    `restored_from` cites the lake and the backup that it was restored from: lake_id, origin,
    tree_size, root, checkpoint, backup, at. Members that this release does not know are left
    alone: the file is never written again.

    `is_replica`: it is a replica's, which is read, and written by replication alone.
    """

    lake_id: str
    origin: str
    created_at: str
    format: int = FORMAT
    restored_from: Mapping[str, Any] | None = field(default=None, compare=False)
    is_replica: bool = field(default=False, compare=False)


def read_format(store: Store) -> LakeFormat:
    """The lake at `store`. `NotFound` when there is none, `UnsupportedFormat` when it is newer."""
    try:
        data = store.get(PATH)
    except NotFound:
        raise NotFound(
            "there is no lake here",
            where=store.url,
            hint="`lakecore init` or the first ingest makes one; --lake names another place",
        ) from None
    try:
        content = json.loads(data)
    except ValueError:
        raise _damaged(store, f"{len(data):,} bytes that are no JSON") from None
    found = content.get("format") if isinstance(content, dict) else None
    if type(found) is not int:
        raise _damaged(store, "JSON without a format")
    if found == FORMAT:
        texts = [content.get(name) for name in ("lake_id", "origin", "created_at")]
        if not all(isinstance(text, str) and text for text in texts):
            raise _damaged(store, "JSON without lake_id, origin and created_at")
        lake_id, origin, created_at = texts
        former = content.get("restored_from")
        return LakeFormat(
            lake_id,
            origin,
            created_at,
            restored_from=former if isinstance(former, dict) else None,
            is_replica=content.get("replica") is True,
        )
    raise UnsupportedFormat(
        "the lake's format is unknown",
        expected=FORMAT,
        found=found,
        where=f"{store.url}/{PATH}",
        hint="use the Lakecore that made it, or a newer one",
    )


def _damaged(store: Store, found: str) -> CorruptData:
    return CorruptData(
        "the lake's identity is not readable",
        expected="format, lake_id, origin and created_at as JSON",
        found=found,
        where=f"{store.url}/{PATH}",
        hint="restore this file from a backup; it never changes",
    )


def create_format(store: Store, clock: Clock) -> LakeFormat:
    """Read the lake at `store`; make it one when there is none, if nobody is faster."""
    try:
        return read_format(store)
    except NotFound:
        pass
    if store.exists(MARKER):
        raise Stop(
            "a backup is being restored here, or was and did not end",
            where=store.url,
            hint="Run `lakecore backup restore` again as it was; it goes on where it ended.",
        )
    if store.exists(REPLICA):
        raise Stop(
            "a replica has no whole state of its lake yet",
            where=store.url,
            hint="Run `lakecore replicate` on the lake until it has ended once.",
        )
    identity = new_identity()
    made = LakeFormat(identity.lake_id, identity.origin, format_timestamp(clock.now_us()))
    content = {
        "format": made.format,
        "lake_id": made.lake_id,
        "origin": made.origin,
        "created_at": made.created_at,
    }
    try:
        store.create(PATH, (json.dumps(content, indent=1) + "\n").encode())
    except AlreadyExists:
        return read_format(store)
    return made


def new_identity() -> Identity:
    """An id and an origin that no lake has."""
    lake_id = str(uuid.uuid4())
    return Identity(lake_id, f"lakecore/{lake_id}")
