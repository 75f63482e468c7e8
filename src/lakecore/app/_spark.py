"""What Spark is told of a lake: where its tables' files are, and where Spark is."""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Any

from lakecore.base import InvalidInput

if TYPE_CHECKING:
    import pyarrow as pa

    from lakecore.app._components import Components
    from lakecore.config import QuerySettings
    from lakecore.journal import Journal
    from lakecore.spark import ParquetPlaces, Place, SparkServer
    from lakecore.storage import Store
    from lakecore.tables import RowSorter, TableView


class SparkStore:
    """The lake's folders and files as the Spark server reaches them.

    Args:
        lake: the lake's URI there; empty: the same as here.
    """

    def __init__(self, store: Store, lake: str) -> None:
        self._store = store
        self._lake = lake.rstrip("/")

    def uri(self, path: str) -> str:
        """Where an object or a folder is."""
        if self._lake:
            return f"{self._lake}/{path}"
        uri = self._store.table_uri(path)
        return uri if "://" in uri else f"file://{uri}"


def make_server(settings: QuerySettings) -> SparkServer | None:
    """The server that the settings name; None without one."""
    if not settings.spark:
        return None
    from lakecore.spark import SparkServer

    name = settings.spark_token_env
    token = os.environ.get(name) if name else None
    if name and not token:
        raise InvalidInput(
            "the Spark server's token is missing", expected=f"it in ${name}", found="nothing"
        )
    return SparkServer(settings.spark, token=token)


def sorter(parts: Components) -> RowSorter:
    """Rows of files of the lake, read and sorted by the Spark server.

    Raises:
        InvalidInput: there is none.
    """
    from lakecore.spark import ParquetPlaces

    server = parts.spark
    if server is None:
        raise InvalidInput(
            "no Spark server is set", expected="[query] spark = 'sc://host:port'", found="none"
        )
    store = SparkStore(parts.store, parts.settings.query.spark_lake)

    def sort(
        paths: Sequence[str], schema: pa.Schema, order: Sequence[str]
    ) -> Iterator[pa.RecordBatch]:
        place = ParquetPlaces(uris=tuple(store.uri(path) for path in paths), schema=schema)
        stream = server.sorted_rows(place, order)
        try:
            while (batch := stream.next()) is not None:
                yield batch
        finally:
            stream.close()

    return sort


def delta_place(store: SparkStore, location: str, view: TableView) -> Place:
    """A dataset at the version of a view."""
    from lakecore.spark import DeltaPlace

    return DeltaPlace(uri=store.uri(location), version=view.version, schema=view.schema)


def rows_place(found: Any) -> Place | None:
    """Rows of the lake's own that are in no file of a table."""
    from lakecore.query import rows_of
    from lakecore.spark import RowsPlace

    return None if found is None else RowsPlace(rows=rows_of(found))


def journal_place(spark: SparkStore, store: Store, journal: Journal) -> Place | None:
    """The sealed files of the journal, and the events that wait to be sealed."""
    from lakecore.app._journal_table import sizes_of, unchanged
    from lakecore.journal import scan_schema
    from lakecore.spark import ParquetPlaces

    if journal.has_archives:
        return rows_place(journal.scan())
    files, unsealed = journal.files()
    schema = scan_schema()
    rest = unsealed.select(schema.names).cast(schema)
    if not files:
        return rows_place(rest)
    sizes = sizes_of(store, files)
    place: ParquetPlaces = ParquetPlaces(
        uris=tuple(spark.uri(file.path) for file in files),
        schema=schema,
        rest=rest,
        check=unchanged(store, files, sizes),
    )
    return place
