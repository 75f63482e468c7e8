"""Going back: two versions compared, a version restored, one mutation undone."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from datetime import datetime
from typing import TYPE_CHECKING, Any

from lakecore.base import InvalidInput, NotFound

if TYPE_CHECKING:
    import pyarrow as pa

    from lakecore.app._components import Components
    from lakecore.catalog import Dataset
    from lakecore.changes import Derive
    from lakecore.journal import Event, Journal
    from lakecore.tables import DatasetRef, MutationResult

Moment = int | datetime | str
"""A version, or a time with its zone."""


class TimeFace:
    """What `Lake` does with earlier versions."""

    _parts: Components
    _change: Callable[..., MutationResult]
    dataset: Callable[[str], Dataset]

    def diff(self, dataset: str, from_version: Moment, to_version: Moment) -> pa.RecordBatchReader:
        """What turns one version (or the dataset at a time) into another, as a stream.

        Columns `entity_type`, `entity_id`, `field`, `action`, `old_value`, `new_value`, as
        in the journal; rows of a dataset without a key have no `entity_id`. Only the files
        in which the two differ are read; the later one may come first.
        """
        import pyarrow as pa

        from lakecore.tables import DIFF_COLUMNS

        entry = self.dataset(dataset)
        tables = self._parts.tables
        versions = [self._version(entry, moment) for moment in (from_version, to_version)]
        found = tables.diff(entry, versions[0], versions[1])
        batches = (batch for table in found for batch in table.to_batches())
        schema = pa.schema([(name, pa.string()) for name in DIFF_COLUMNS])
        return pa.RecordBatchReader.from_batches(schema, batches)

    def restore(
        self,
        dataset: str,
        *,
        version: int | None = None,
        time: datetime | str | None = None,
        **options: Any,
    ) -> MutationResult:
        """Make a dataset what it was at a version or a time: rows and columns, as a new version.

        Raises:
            NotFound: there is no such version, or its files were removed for good.
        """
        moment = as_moment(time) if time is not None else None
        restore = self._parts.tables.restore
        return self._change(restore, dataset, version=version, time=moment, **options)

    def revert(
        self,
        mutation_id: str,
        *,
        dataset: str | None = None,
        version: int | None = None,
        skip_conflicts: bool = False,
        **options: Any,
    ) -> MutationResult:
        """Undo exactly one mutation, whatever came after it.

        Args:
            dataset, version: which change is meant, where an id was given to several.
            skip_conflicts: leave alone what was changed since, and undo the rest.

        Raises:
            Conflict: rows or fields were changed since; it names them, and by which mutation.
            InvalidInput: several changes have this id.
            NotFound: there is no such mutation, or its dataset is gone.
        """
        entry, version = self._committed(mutation_id, dataset, version)
        return self._change(
            self._parts.tables.revert,
            entry.name,
            reverted=mutation_id,
            version=version,
            skip_conflicts=skip_conflicts,
            **options,
        )

    def _committed(
        self, mutation_id: str, dataset: str | None = None, version: int | None = None
    ) -> tuple[Dataset, int]:
        """The dataset that a mutation changed, and the version that it made."""
        entries = {entry.dataset_id: entry for entry in self._parts.catalog.list_datasets()}
        wanted = None if dataset is None else self.dataset(dataset).dataset_id
        found = [
            (entries[dataset_id], made)
            for dataset_id, made in self._parts.journal.versions_of(mutation_id)
            if dataset_id in entries and wanted in (None, dataset_id) and version in (None, made)
        ]
        if len(found) == 1:
            return found[0]
        if found:
            raise InvalidInput(
                "several changes have this id",
                found=", ".join(f"{entry.name} version {made}" for entry, made in found[:10]),
                where=mutation_id,
                hint="say which one by dataset and version",
            )
        last = self._parts.journal.query(mutation_id=mutation_id, limit=1).items
        if not last:
            raise NotFound(
                "there is no such mutation",
                found=mutation_id,
                hint="`lakecore journal recent` shows mutations with their events",
            )
        if dataset is not None or version is not None:
            given = [dataset or "", f"version {version}" if version is not None else ""]
            raise NotFound(
                "this mutation did not make that change",
                found=" ".join(filter(None, given)),
                where=mutation_id,
            )
        raise NotFound(
            "this mutation changed no dataset that is there now",
            found=last[0].dataset or f"a {last[0].entity_type}",
            where=mutation_id,
        )

    def _version(self, entry: Dataset, moment: Moment) -> int:
        if isinstance(moment, int):
            return moment
        view = self._parts.tables.open(entry, time=as_moment(moment))
        if view is None:
            raise NotFound("the dataset has no data yet", where=entry.name)
        return view.version


def derived_arguments(journal: Journal) -> Derive:
    """What a revert has to know of the mutation, as long as it is not made: from the journal."""

    def derive(call: str, dataset: DatasetRef, arguments: Mapping[str, Any]) -> dict[str, Any]:
        if call != "revert":
            return {}
        dataset_id, version = dataset.dataset_id, arguments["version"]
        return {
            "events": _events(journal, dataset_id, version, arguments["reverted"]),
            "later": _later(journal, dataset_id, version),
        }

    return derive


def as_moment(time: datetime | str) -> datetime:
    if isinstance(time, datetime):
        return time
    try:
        found = datetime.fromisoformat(time)
    except ValueError as error:
        raise InvalidInput("not a time", expected="RFC 3339", found=time) from error
    if found.tzinfo is None:
        raise InvalidInput("a time needs its zone", expected=f"{time}Z", found=time)
    return found


def _events(
    journal: Journal, dataset_id: str, version: int, mutation_id: str
) -> Iterator[pa.Table]:
    """A mutation's events in order, as tables take them."""
    import pyarrow as pa
    import pyarrow.compute as pc

    for batch in journal.changes(dataset_id, version - 1, version):
        rows = pa.Table.from_batches([batch])
        mine = pc.equal(rows.column("mutation_id"), mutation_id)
        rows = rows.filter(pc.and_(mine, pc.equal(rows.column("version"), version)))
        if rows.num_rows:
            names = ["entity_id" if name == "key" else name for name in rows.schema.names]
            yield rows.rename_columns(names)


def _later(
    journal: Journal, dataset_id: str, version: int
) -> Callable[[Sequence[tuple[str, str]]], list[str | None]]:
    """Names, for a few cells, the mutation behind `version` that changed them last."""

    def concerns(event: Event, field: str) -> bool:
        is_later = event.version is not None and event.version > version
        return is_later and (field == "*" or event.field in (field, "*"))

    def later(cells: Sequence[tuple[str, str]]) -> list[str | None]:
        found: list[str | None] = []
        for entity, field in cells:
            events = journal.entity_history(entity, dataset_id=dataset_id)
            ids = [event.mutation_id for event in events if concerns(event, field)]
            found.append(ids[-1] if ids else None)
        return found

    return later
