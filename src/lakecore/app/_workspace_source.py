"""What SQL sees of one workspace: its branches, the base where nothing was touched."""

from __future__ import annotations

from datetime import datetime
from typing import TYPE_CHECKING, Any

from lakecore.app._entities import Entities
from lakecore.app._source import SYSTEM, LakeTables, to_table
from lakecore.base import InvalidInput, NotFound
from lakecore.storage import bucket_of

if TYPE_CHECKING:
    import pyarrow as pa

    from lakecore.app._components import Components
    from lakecore.catalog import Dataset
    from lakecore.journal import Event
    from lakecore.storage import Store
    from lakecore.tables import TableView
    from lakecore.workspaces import WorkspaceView


class WorkspaceSource:
    """A table source over a workspace; the schema ``system`` is the lake's own."""

    def __init__(self, components: Components, view: WorkspaceView, lake: LakeTables) -> None:
        self._store = components.store
        self._journal = components.journal
        self._view = view
        self._lake = lake
        self._entities = Entities(lambda: components.tables, components.journal)

    def schemas(self) -> list[str]:
        """Names of the schemas that hold something; `main` and `system` always."""
        names = {dataset.schema_name for dataset in self._view.list_datasets()}
        return sorted(names | {"main", SYSTEM})

    def tables(self, schema: str) -> list[str]:
        """Names of the tables of a schema, sorted."""
        if schema == SYSTEM:
            return self._lake.tables(SYSTEM)
        found = [one for one in self._view.list_datasets() if one.schema_name == schema]
        return sorted(one.name.rpartition(".")[2] for one in found)

    def table(
        self,
        schema: str,
        name: str,
        *,
        version: int | None = None,
        time: datetime | None = None,
    ) -> Any:
        """What the query engine reads for a name; None when there is no such table."""
        from lakecore.query import Guarded

        if schema == SYSTEM:
            return self._lake.table(schema, name, version=version, time=time)
        dataset = self._dataset(schema, name)
        if dataset is None:
            return None
        view = self._view.open(dataset, version=version, time=time)
        if view is None:
            return self._lake.empty(dataset)
        found: Any = view.delta
        base = self._view.base(dataset.name)
        is_elsewhere = bucket_of(base.location) != bucket_of(dataset.location)
        if is_elsewhere or self._store.local_path(dataset.location) is None:
            found = _resolved(self._store, dataset.location, view)
        return Guarded(table=found, check=lambda: self._check(dataset, view))

    def history(self, schema: str, name: str, key: object) -> pa.Table | None:
        """The events of one row as a table, oldest first; None when there is no such dataset."""
        dataset = self._dataset(schema, name)
        return None if dataset is None else to_table(self.row_events(dataset, key))

    def row_events(self, dataset: Dataset, key: object) -> list[Event]:
        """The events of one row: main's up to the base, then the workspace's."""
        base = self._view.base(dataset.name)
        created_us = self._view.workspace.created_us
        before = [
            event
            for event in self._entities.history(base.dataset(), key)
            if (event.version is not None and event.version <= base.version)
            or (event.version is None and _microseconds(event) <= created_us)
        ]
        workspace_id = self._view.workspace.workspace_id
        return before + self._entities.history(dataset, key, workspace_id=workspace_id)

    def changes(
        self, schema: str, name: str, after: int | datetime | None, until: int | datetime | None
    ) -> Any:
        """What changed behind one version of the workspace up to another; None: no dataset."""
        dataset = self._dataset(schema, name)
        if dataset is None:
            return None
        if isinstance(after, datetime) or isinstance(until, datetime):
            raise InvalidInput("changes in a workspace go by version", expected="0 is the base")
        newest = self._view.version_of(dataset)
        low, high = (0 if after is None else after), (newest if until is None else until)
        return self._journal.changes(dataset.dataset_id, low, high)

    def _dataset(self, schema: str, name: str) -> Dataset | None:
        return self._view.find(name if schema == "main" else f"{schema}.{name}")

    def _check(self, dataset: Dataset, view: TableView) -> None:
        gone = self._view.missing_files(dataset, view)
        if gone:
            raise NotFound(
                "files of the workspace's base are gone",
                where=f"{self._view.workspace.name}: {dataset.name}",
                found=f"{len(gone)} files, such as {gone[:3]}",
                hint="another program removed them; bring them back from a backup, or drop the "
                "workspace",
            )


def _microseconds(event: Event) -> int:
    return 0 if event.timestamp is None else int(event.timestamp.timestamp() * 1_000_000)


def _resolved(store: Store, location: str, view: TableView) -> Any:
    """The table's files where they are: a dataset for each folder that has some."""
    import pyarrow.dataset as ds
    from deltalake.fs import DeltaStorageHandler
    from pyarrow.fs import PyFileSystem

    from lakecore.tables import file_path

    delta = view.delta
    folders: dict[str, list[tuple[str, Any]]] = {}
    # As its own `to_pyarrow_dataset`, which resolves no reference.
    for logged, expression in delta._table.dataset_partitions(view.schema, None):
        folder, _, name = file_path(location, logged).rpartition("/")
        folders.setdefault(folder, []).append((name, expression))
    form = ds.ParquetFileFormat()
    parts = []
    for folder, files in folders.items():
        handler = DeltaStorageHandler(store.table_uri(folder), store.table_options(folder) or None)
        system = PyFileSystem(handler)
        fragments = [
            form.make_fragment(name, filesystem=system, partition_expression=expression)
            for name, expression in files
        ]
        parts.append(ds.FileSystemDataset(fragments, view.schema, form, system))
    if not parts:
        return view.schema.empty_table()
    return parts[0] if len(parts) == 1 else ds.dataset(parts)
