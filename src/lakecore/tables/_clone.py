"""A branch of a table: version 0 refers to the files of one of its versions; none is copied."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace
from typing import TYPE_CHECKING

from lakecore.base import NotFound
from lakecore.storage import Store
from lakecore.tables._attempt import Attempt
from lakecore.tables._events import batch_change
from lakecore.tables._logged import added_again
from lakecore.tables._places import file_path, is_reference, reference
from lakecore.tables._supported import check_writable

if TYPE_CHECKING:
    from lakecore.tables._state import TableState
    from lakecore.tables._types import DatasetRef

_MAX_NAMED_FILES = 3


class Clone:
    """The first version of a branch of `source`, as it was at `state`."""

    name = "CLONE"
    removes = False

    def __init__(self, source: DatasetRef, state: TableState) -> None:
        self._source = source
        self._state = state

    def parameters(self) -> dict[str, str]:
        return {"source": self._source.dataset_id, "sourceVersion": str(self._state.version)}

    def discard(self) -> None:
        """Nothing was written: the files are another table's."""

    def plan(self, attempt: Attempt) -> None:
        if not attempt.base.empty:
            return  # somebody else made the same
        source, state = self._source, self._state
        check_writable(state, source, removes=False)
        location = attempt.dataset.location
        added = added_again(
            attempt.store,
            source.location,
            state.files,
            version=state.version,
            schema=state.schema,
        )
        attempt.adds = [
            replace(file, path=reference(location, source.location, file.path)) for file in added
        ]
        check_references(attempt.store, location, (file.path for file in attempt.adds))
        attempt.schema = state.schema
        rows = sum(file.rows for file in added)
        details: dict[str, object] = {
            "base": {"dataset_id": source.dataset_id, "version": state.version},
            "rows_added": rows,
        }
        attempt.emit(
            batch_change(attempt.author, action="clone", count=rows, note=None, details=details)
        )


def missing_references(store: Store, location: str, paths: Iterable[str]) -> list[str]:
    """Which files that the log refers to, and that are another table's, are not there any more."""
    wanted: dict[str, list[str]] = {}
    for path in paths:
        if is_reference(path):
            stored = file_path(location, path)
            wanted.setdefault(stored.rpartition("/")[0], []).append(stored)
    gone: list[str] = []
    for folder, files in wanted.items():
        # On a disk a look at each; elsewhere one list for many.
        if store.local_path(folder) is not None:
            gone += [file for file in files if not store.exists(file)]
        else:
            there = {info.path for info in store.list_objects(f"{folder}/")}
            gone += [file for file in files if file not in there]
    return gone


def check_references(store: Store, location: str, paths: Iterable[str]) -> None:
    """Refuse to work with a branch whose base is gone. Raises `NotFound`."""
    gone = missing_references(store, location, paths)
    if gone:
        raise NotFound(
            "files of the version that this was branched from are gone",
            where=location,
            found=f"{len(gone)} files, such as {gone[:_MAX_NAMED_FILES]}",
            hint="another program removed them; bring them back from a backup, or drop the "
            "workspace",
        )
