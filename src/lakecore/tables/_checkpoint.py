"""Checkpoints of a table's log: derived, best effort, never a reason for a change to fail."""

from __future__ import annotations

import logging
import os
from pathlib import Path

from lakecore.storage import Store

_log = logging.getLogger(__name__)


def checkpoint(store: Store, location: str, version: int) -> bool:
    """Write a checkpoint at `version`, so that opening the table stays fast; False: it failed."""
    from deltalake import DeltaTable

    try:
        options = store.table_options(location) or None
        DeltaTable(
            store.table_uri(location), version=version, storage_options=options
        ).create_checkpoint()
        folder = store.local_path(f"{location}/_delta_log")
        if folder is not None:
            _sync(folder, version)
    except Exception as error:  # whatever a library raises, the change is committed
        _log.warning("no checkpoint of %s at version %d: %s", location, version, error)
        return False
    return True


def _sync(folder: Path, version: int) -> None:
    """deltalake does not sync what it writes; a torn checkpoint would hide the log behind it."""
    for path in (folder / "_last_checkpoint", *folder.glob(f"{version:020d}.checkpoint*"), folder):
        descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)
