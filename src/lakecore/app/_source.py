"""What SQL sees of a lake: its datasets, and `system.datasets`, `.journal`, `.quarantine`."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime
from typing import TYPE_CHECKING, Any, Final

from lakecore.base import InvalidInput
from lakecore.catalog import Catalog, Dataset, split_name

if TYPE_CHECKING:
    import pyarrow as pa

    from lakecore.journal import Journal
    from lakecore.storage import Store
    from lakecore.tables import Tables, TableView

MAIN: Final = "main"
SYSTEM: Final = "system"
QUARANTINE: Final = "system.quarantine"


def facts(dataset: Dataset, view: TableView | None) -> dict[str, Any]:
    """What is known of a dataset and of its table, `view`, which is None while it is empty."""
    return {
        "name": dataset.name,
        "dataset_id": dataset.dataset_id,
        "key": list(dataset.key),
        "entity_type": dataset.entity_type,
        "contract": dataset.contract,
        "protected": dataset.protected,
        "owner": dataset.owner,
        "description": dataset.description,
        "location": dataset.location,
        "version": view.version if view else None,
        "rows": view.row_count if view else 0,
        "files": view.file_count if view else 0,
        "size_bytes": view.size_bytes if view else 0,
    }


class LakeTables:
    """Resolves the table names of a query, one at a time, when the query names them."""

    def __init__(self, store: Store, catalog: Catalog, tables: Tables, journal: Journal) -> None:
        self._store = store
        self._catalog = catalog
        self._tables = tables
        self._journal = journal
        self._views: dict[str, Callable[[], Any]] = {
            "datasets": self._datasets,
            "journal": self._events,
        }

    def schemas(self) -> list[str]:
        """Names of the schemas that hold something; `main` and `system` always."""
        names = {dataset.schema_name for dataset in self._catalog.list_datasets()}
        return sorted(names | {MAIN, SYSTEM})

    def tables(self, schema: str) -> list[str]:
        """Names of the tables of a schema, sorted."""
        names = {
            rest
            for where, rest in (split_name(d.name) for d in self._catalog.list_datasets())
            if where == schema
        }
        if schema == SYSTEM:
            names |= {*self._views, split_name(QUARANTINE)[1]}
        return sorted(names)

    def table(
        self,
        schema: str,
        name: str,
        *,
        version: int | None = None,
        time: datetime | None = None,
    ) -> Any:
        """What the query engine reads for a name; None when there is no such table."""
        if schema == SYSTEM and name in self._views:
            if version is not None or time is not None:
                raise InvalidInput(
                    f"system.{name} has no versions",
                    hint="filter its rows by timestamp or seq instead",
                )
            return self._views[name]()
        dataset = self._catalog.find(name if schema == MAIN else f"{schema}.{name}")
        if dataset is None:
            latest = version is None and time is None
            return self._no_rejects() if latest and f"{schema}.{name}" == QUARANTINE else None
        view = self._tables.open(dataset, version=version, time=time)
        if view is None:
            return self._empty(dataset)
        if self._store.local_path(dataset.location) is None:
            # The table's own provider does not find the bucket from within DataFusion.
            return view.delta.to_pyarrow_dataset()
        return view.delta

    def _empty(self, dataset: Dataset) -> pa.Table:
        """A dataset that is registered and holds nothing yet: its key columns, no rows."""
        import pyarrow as pa

        return pa.table({column: pa.array([], pa.string()) for column in dataset.key or ("_",)})

    def _no_rejects(self) -> pa.Table:
        """`system.quarantine` before the first record that did not get in."""
        from lakecore.ingest import quarantine_schema

        return quarantine_schema().empty_table()

    def _events(self) -> Any:
        """`system.journal`: sealed and unsealed events as one.

        On a local lake a dataset over the segments, so that columns and conditions are
        pushed down to Parquet; elsewhere a stream.
        """
        import pyarrow.dataset as ds

        from lakecore.journal import scan_schema

        paths, unsealed = self._journal.parts()
        files = [self._store.local_path(path) for path in paths]
        if any(file is None for file in files):
            return self._journal.scan()
        schema = scan_schema()
        held = ds.dataset(unsealed.select(schema.names).cast(schema))
        if not files:
            return held
        sealed = ds.dataset([str(file) for file in files], schema=schema, format="parquet")
        return ds.dataset([sealed, held])

    def _datasets(self) -> pa.Table:
        """`system.datasets`: one row a dataset, as of now."""
        import pyarrow as pa

        rows = []
        for dataset in self._catalog.list_datasets():
            view = self._tables.open(dataset)
            schema, name = split_name(dataset.name)
            rows.append(
                facts(dataset, view)
                | {
                    "schema": schema,
                    "name": name,
                    "dataset": dataset.name,
                    "columns": len(view.schema) if view else 0,
                    "created": dataset.created_us,
                }
            )
        return pa.Table.from_pylist(
            rows,
            schema=pa.schema(
                [
                    ("schema", pa.string()),
                    ("name", pa.string()),
                    ("dataset", pa.string()),
                    ("dataset_id", pa.string()),
                    ("key", pa.list_(pa.string())),
                    ("entity_type", pa.string()),
                    ("contract", pa.string()),
                    ("protected", pa.bool_()),
                    ("owner", pa.string()),
                    ("description", pa.string()),
                    ("version", pa.int64()),
                    ("rows", pa.int64()),
                    ("files", pa.int64()),
                    ("size_bytes", pa.int64()),
                    ("columns", pa.int64()),
                    ("created", pa.timestamp("us", tz="UTC")),
                    ("location", pa.string()),
                ]
            ),
        )
