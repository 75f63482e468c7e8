"""What SQL sees of a lake: its datasets, and what the lake knows of itself: `system.*`."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime
from typing import TYPE_CHECKING, Any, Final

from lakecore.app._entities import Entities
from lakecore.app._journal_table import journal_table
from lakecore.app._spark import SparkStore
from lakecore.app._truth import rules_table
from lakecore.base import InvalidInput
from lakecore.catalog import Catalog, Dataset, split_name

if TYPE_CHECKING:
    import pyarrow as pa

    from lakecore.auth import Keys
    from lakecore.changes import Pending
    from lakecore.journal import Event, Journal
    from lakecore.query import TableSource
    from lakecore.records import Recorder
    from lakecore.search import Indexes
    from lakecore.spark import Place
    from lakecore.storage import Store
    from lakecore.tables import Tables, TableView
    from lakecore.truth import RuleSet

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


def to_table(events: list[Event]) -> pa.Table:
    """Events as a table: all fields, `seq` null where an event is not sealed yet."""
    import pyarrow as pa

    from lakecore.journal import scan_schema

    schema = scan_schema()
    columns = [[getattr(event, name) for event in events] for name in schema.names]
    arrays = [pa.array(cells, kind) for cells, kind in zip(columns, schema.types, strict=True)]
    return pa.Table.from_arrays(arrays, schema=schema)


class LakeTables:
    """Resolves the table names of a query, one at a time, when the query names them."""

    def __init__(
        self,
        store: Store,
        catalog: Catalog,
        tables: Callable[[], Tables],
        journal: Journal,
        *,
        pending: Callable[[], list[Pending]] = list,
        rules: Callable[[], RuleSet],
        workspaces: Callable[[], pa.Table],
        keys: Callable[[], Keys],
        records: Callable[[], Recorder],
        settle: Callable[[str], None] = lambda name: None,
        indexes: Callable[[], Indexes],
        spark_lake: str = "",
    ) -> None:
        self._store = store
        self._spark_store = SparkStore(store, spark_lake)
        self._catalog = catalog
        self._made_tables = tables
        self._journal = journal
        self._entities = Entities(tables, journal)
        self._views: dict[str, Callable[[], Any]] = {
            "datasets": self._datasets,
            "decisions": self._decisions,
            "indexes": self._indexes,
            "journal": self._events,
            "keys": self._keys,
            "maintenance": self._maintenance,
            "mutations": self._mutations,
            "pending": self._pending,
            "truth_rules": lambda: rules_table(rules()),
            "workspaces": workspaces,
        }
        self._pending_changes = pending
        self._api_keys = keys
        self._records = records
        self._settle = settle
        self._made_indexes = indexes

    @property
    def _tables(self) -> Tables:
        """Made when a table is first asked for: a query without one needs none of it."""
        return self._made_tables()

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
            names |= {kind.name for kind in self._records().kinds}
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
        is_latest = version is None and time is None
        kind = self._records().find(name) if schema == SYSTEM else None
        if kind is not None and is_latest:
            self._settle(name)
            self._records().flush(name)  # what was acknowledged is seen
        dataset = self._dataset(schema, name)
        if dataset is None:
            if kind is not None and is_latest:
                return kind.schema.empty_table()
            return self._no_rejects() if is_latest and f"{schema}.{name}" == QUARANTINE else None
        view = self._tables.open(dataset, version=version, time=time)
        if view is None:
            return self.empty(dataset)
        if self._store.local_path(dataset.location) is None:
            # The table's own provider does not find the bucket from within DataFusion.
            return view.delta.to_pyarrow_dataset()
        return view.delta

    def place(
        self, schema: str, name: str, *, version: int | None = None, time: datetime | None = None
    ) -> Place | None:
        """Where Spark finds the rows of a table; None when there is no such table."""
        from lakecore.app._spark import delta_place, journal_place, rows_place

        if schema == SYSTEM and name == "journal" and version is None and time is None:
            return journal_place(self._spark_store, self._store, self._journal)
        dataset = None if schema == SYSTEM and name in self._views else self._dataset(schema, name)
        if dataset is None:
            return rows_place(self.table(schema, name, version=version, time=time))
        if schema == SYSTEM and version is None and time is None and self._records().find(name):
            self._settle(name)
            self._records().flush(name)
        view = self._tables.open(dataset, version=version, time=time)
        if view is None:
            return rows_place(self.empty(dataset))
        return delta_place(self._spark_store, dataset.location, view)

    def history(self, schema: str, name: str, key: object) -> pa.Table | None:
        """The events of one row as a table, oldest first; None when there is no such dataset."""
        dataset = self._dataset(schema, name)
        return None if dataset is None else to_table(self._entities.history(dataset, key))

    def changes(
        self, schema: str, name: str, after: int | datetime | None, until: int | datetime | None
    ) -> Any:
        """What changed behind one version or time up to another; None: no such dataset."""
        dataset = self._dataset(schema, name)
        if dataset is None:
            return None
        found = self._entities.changes(dataset, after, until)
        return found if found is not None else self._journal.changes("", -1, -1)

    def search(
        self,
        index: str,
        text: str,
        limit: int,
        where: str | None,
        *,
        asking: TableSource | None = None,
    ) -> pa.Table:
        """The rows of an index that fit a text best; `asking`: the tables of whoever asks."""
        from lakecore.app._search import search_table
        from lakecore.search import Question

        question = Question(text=text, limit=limit, where=where)
        return search_table(self._made_indexes().search(index, question, asking=asking or self))

    def searched(self, index: str) -> str:
        """What the dataset of an index is called: who may read it may search."""
        return self._made_indexes().dataset_of(index)

    def _dataset(self, schema: str, name: str) -> Dataset | None:
        return self._catalog.find(name if schema == MAIN else f"{schema}.{name}")

    def empty(self, dataset: Dataset) -> pa.Table:
        """A dataset that is registered and holds nothing yet: its key columns, no rows."""
        import pyarrow as pa

        return pa.table({column: pa.array([], pa.string()) for column in dataset.key or ("_",)})

    def _no_rejects(self) -> pa.Table:
        """`system.quarantine` before the first record that did not get in."""
        from lakecore.ingest import quarantine_schema

        return quarantine_schema().empty_table()

    def _events(self) -> Any:
        return journal_table(self._store, self._journal)

    def _decisions(self) -> Any:
        from lakecore.changes import decisions_table

        return decisions_table(self._store, self._journal, self._catalog.list_datasets())

    def _mutations(self) -> pa.Table:
        from lakecore.changes import mutations_table

        return mutations_table(self._journal)

    def _maintenance(self) -> pa.Table:
        from lakecore.maintain import maintenance_table

        return maintenance_table(self._journal)

    def _pending(self) -> pa.Table:
        from lakecore.changes import pending_table

        return pending_table(self._pending_changes())

    def _indexes(self) -> pa.Table:
        from lakecore.app._search import indexes_table

        return indexes_table(self._made_indexes())

    def _keys(self) -> pa.Table:
        from lakecore.auth import keys_table

        return keys_table(self._api_keys())

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
