"""Backups of a lake, by the addresses of the places."""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import TYPE_CHECKING

from lakecore.app._components import Components
from lakecore.app._format import new_identity
from lakecore.app._replicas import bucket_roots
from lakecore.backup import (
    BackupReport,
    Created,
    Manifest,
    Restored,
    create,
    list_backups,
    restore,
    verify,
)
from lakecore.config import Settings
from lakecore.storage import Store, open_store

if TYPE_CHECKING:
    from lakecore.app._lake import Lake

Place = str | os.PathLike[str]


def create_backup(
    lake: Lake, destination: Place, *, options: Mapping[str, str] | None = None
) -> Created:
    """Make one more backup of an open lake at a place of its own.

    Records that wait on this machine are written to their tables before.

    Args:
        options: how the place is reached, as for `lakecore.storage.open_store`.
    """
    lake._parts.records.flush()
    with _opened(destination, options) as store:
        parts = lake._parts
        return create(
            parts.store,
            lake.journal,
            store,
            clock=parts.clock,
            roots=lambda: bucket_roots(parts),
        )


def backups_at(place: Place, *, options: Mapping[str, str] | None = None) -> list[Manifest]:
    """The finished backups of a place, oldest first."""
    with _opened(place, options) as store:
        return list(list_backups(store))


def verify_backups(
    place: Place, *, at: int | None = None, options: Mapping[str, str] | None = None
) -> BackupReport:
    """Hash everything again, and verify the journal that the newest backup holds."""
    with _opened(place, options) as store:
        return verify(store, at=at)


def restore_backup(
    place: Place,
    target: Place,
    *,
    at: int | None = None,
    actor: str = "",
    options: Mapping[str, str] | None = None,
    target_options: Mapping[str, str] | None = None,
) -> Restored:
    """Make a lake of a backup, in an empty place. It has an id and an origin of its own.

    Its first checkpoint is signed with a key of its own, on this machine; where events are in
    an archive that is not in reach, whoever opens the lake with its settings signs it.
    """
    with _opened(place, options) as source, _opened(target, target_options) as store:
        restored = restore(source, store, new_identity(), at=at, actor=actor)
        with Components(store, Settings(), create=False).journal as journal:
            journal.after_seal(min_interval_s=0.0)
    return restored


@contextmanager
def _opened(place: Place, options: Mapping[str, str] | None) -> Iterator[Store]:
    store = open_store(place, options=options)
    try:
        yield store
    finally:
        store.close()
