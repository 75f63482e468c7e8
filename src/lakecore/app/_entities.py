"""Rows of datasets as entities of the journal: found by their keys, as people write them."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime
from typing import TYPE_CHECKING, TypeVar

from lakecore.app._keys import typed_key
from lakecore.base import InvalidInput, NotFound

if TYPE_CHECKING:
    import pyarrow as pa

    from lakecore.catalog import Dataset
    from lakecore.journal import EntityState, Event, Journal
    from lakecore.tables import Tables

_Found = TypeVar("_Found")


class Entities:
    """What the journal knows of the rows of datasets.

    Args:
        tables: gives the tables; they are opened only where a key's text is ambiguous.
    """

    def __init__(self, tables: Callable[[], Tables], journal: Journal) -> None:
        self._tables = tables
        self._journal = journal

    def history(self, entry: Dataset, key: object, *, workspace_id: str | None = "") -> list[Event]:
        """The events of one row, oldest first."""

        from lakecore.journal import is_of_columns

        def ask(entity: str) -> list[Event]:
            found = self._journal.entity_history(
                entity, dataset_id=entry.dataset_id, workspace_id=workspace_id
            )
            # A row may be called like its dataset, whose columns have a history, too.
            return [event for event in found if not is_of_columns(event)]

        return self._ask(entry, key, ask)

    def state(
        self,
        entry: Dataset,
        key: object,
        *,
        seq: int | None = None,
        version: int | None = None,
        time: datetime | str | None = None,
    ) -> EntityState | None:
        """One row at a moment, in the columns of then.

        Raises `NotFound` for a version or seq that is not there yet.
        """
        if version is not None:
            self._check_version(entry, version)

        def ask(entity: str) -> EntityState | None:
            return self._journal.state(
                entity,
                dataset_id=entry.dataset_id,
                seq=seq,
                version=version,
                time=time,
                # Of a dataset that was renamed the names are not all known here.
                dataset_names=None if entry.renamed_from else [entry.name],
            )

        return self._ask(entry, key, ask)

    def changes(
        self, entry: Dataset, after: int | datetime | None, until: int | datetime | None
    ) -> pa.RecordBatchReader | None:
        """What changed behind one version or time up to another; None while it is empty.

        Raises:
            NotFound: the dataset has no key; there is no such version.
            InvalidInput: the first one is later than the second.
        """
        check_key(entry)
        view = self._tables().open(entry)
        if view is None:
            return None
        low = -1 if after is None else self._version(entry, after)
        high = view.version if until is None else self._version(entry, until)
        if low > high:
            raise InvalidInput(
                "these changes end before they begin",
                expected="the earlier version first",
                found=f"behind version {low}, up to {high}",
                where=entry.name,
            )
        return self._journal.changes(entry.dataset_id, low, high)

    def _ask(self, entry: Dataset, key: object, ask: Callable[[str], _Found]) -> _Found:
        entity = _entity_id(entry, key)
        found = ask(entity)
        if not found and (view := self._tables().open(entry)) is not None:
            # A time has many spellings, an entity's id is one of them.
            typed = _entity_id(entry, typed_key(view.schema, entry.key, key))
            if typed != entity:
                return ask(typed)
        return found

    def _version(self, entry: Dataset, moment: int | datetime) -> int:
        if isinstance(moment, int):
            return self._check_version(entry, moment)
        try:
            view = self._tables().open(entry, time=moment)
        except NotFound:
            return -1  # before the first version
        return -1 if view is None else view.version

    def _check_version(self, entry: Dataset, version: int) -> int:
        view = self._tables().open(entry)
        newest = -1 if view is None else view.version
        if version > newest:
            raise NotFound(
                "no such version",
                expected=f"0 to {newest}" if newest >= 0 else "none: it has no data yet",
                found=version,
                where=entry.name,
            )
        return version


def check_key(entry: Dataset) -> None:
    """`NotFound` for a dataset whose rows have no history of their own."""
    if not entry.key:
        raise NotFound(
            "the dataset has no key, so its rows have no history of their own",
            where=entry.name,
            hint="its batch events are in system.journal",
        )


def _entity_id(entry: Dataset, key: object) -> str:
    from lakecore.tables import entity_id

    check_key(entry)
    return entity_id(entry.key, key)
