"""`lakecore.json`: what makes a folder a lake. Created once, create-only, never changed."""

from __future__ import annotations

import json
import uuid
from dataclasses import dataclass
from typing import Final

from lakecore.base import (
    AlreadyExists,
    Clock,
    CorruptData,
    NotFound,
    UnsupportedFormat,
    format_timestamp,
)
from lakecore.storage import Store

PATH: Final = "lakecore.json"
FORMAT: Final = 1


@dataclass(frozen=True, slots=True)
class LakeFormat:
    """The identity of a lake: its id (UUID) and the origin of its log, as checkpoints name it."""

    lake_id: str
    origin: str
    created_at: str
    format: int = FORMAT


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
        found = content["format"]
        if found == FORMAT:
            return LakeFormat(content["lake_id"], content["origin"], content["created_at"])
    except (ValueError, KeyError, TypeError) as error:
        raise CorruptData(
            "the lake's identity is not readable",
            where=f"{store.url}/{PATH}",
            found=repr(error),
            hint="restore this file from a backup; it never changes",
        ) from error
    raise UnsupportedFormat(
        "the lake's format is unknown",
        expected=FORMAT,
        found=found,
        where=f"{store.url}/{PATH}",
        hint="use the Lakecore that made it, or a newer one",
    )


def create_format(store: Store, clock: Clock) -> LakeFormat:
    """Make the store a lake, or read the one that somebody made first."""
    lake_id = str(uuid.uuid4())
    made = LakeFormat(lake_id, f"lakecore/{lake_id}", format_timestamp(clock.now_us()))
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
