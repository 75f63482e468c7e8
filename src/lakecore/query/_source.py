"""Where the engine's tables come from: the port that it consumes."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Final, Protocol, runtime_checkable

from lakecore.base import NotFound

if TYPE_CHECKING:
    import pyarrow as pa

MAIN: Final = "main"
"""The schema of names without a schema."""


class TableSource(Protocol):
    """Resolves names to what holds their rows.

    The engine asks for a table only when a query names it, once per query, so that every
    reference within the query sees the same version. Threads call at the same time.
    """

    def schemas(self) -> Iterable[str]:
        """Names of the schemas, for SHOW TABLES and for suggestions."""
        ...

    def tables(self, schema: str) -> Iterable[str]:
        """Names of the tables in a schema; empty for an unknown schema."""
        ...

    def table(
        self, schema: str, name: str, *, version: int | None = None, time: datetime | None = None
    ) -> object | None:
        """What holds a table's rows, at most one of `version` and `time` given; or None.

        One of: a `deltalake.DeltaTable` or anything else with a DataFusion table provider; a
        pyarrow Table, RecordBatch or Dataset; a RecordBatchReader, or a function that returns
        one (read whole, spooled to disk when it is large); `ParquetFiles`; any of these `Guarded`.

        Raises:
            NotFound: the table exists, but not at that version or time; says which exist.
        """
        ...


@runtime_checkable
class EventSource(Protocol):
    """What a table source may know beside tables: what happened to their rows.

    Both return what `TableSource.table` does, or None when there is no such table, and raise
    `NotFound` or `InvalidInput` for a table, key, version or time that has no answer.
    """

    def history(self, schema: str, name: str, key: object) -> object | None:
        """The events of one row, oldest first; `key` is a value, or a list for several columns."""
        ...

    def changes(
        self, schema: str, name: str, after: int | datetime | None, until: int | datetime | None
    ) -> object | None:
        """One row a changed row and field, behind one version or time up to and with another.

        None is before the first version, and now.
        """
        ...


@runtime_checkable
class SearchSource(Protocol):
    """What a table source may know beside tables: what is near a text."""

    def search(self, index: str, text: str, limit: int, where: str | None) -> object:
        """The rows of an index that fit a text best, the best first, as `TableSource.table` gives.

        Args:
            where: a condition in SQL that rows have to meet.

        Raises:
            NotFound, InvalidInput: there is no such index, or it cannot answer this.
        """
        ...


def search_of(source: object) -> SearchSource:
    """The source as one that has indexes; `NotFound` when it is none."""
    if isinstance(source, SearchSource):
        return source
    raise NotFound("these tables have no indexes", expected="tables of main")


def events_of(source: object) -> EventSource:
    """The source as one that knows events; `NotFound` when it is none."""
    if isinstance(source, EventSource):
        return source
    raise NotFound("these tables keep no record of changes", expected="tables of a lake")


@dataclass(frozen=True, slots=True, kw_only=True)
class ParquetFiles:
    """Parquet files on this machine, read as one table in a known order.

    A query holds the files: whoever replaces one of them does not disturb it.

    Attributes:
        sort_by: names of columns, ``-`` before a name for descending: every file is sorted by
            them, and the files are in this order, too.
        schema: the columns that the table has; without it those of the files.
        rest: further rows, of this schema, that are in no file.
    """

    paths: Sequence[str | Path]
    sort_by: Sequence[str] = ()
    schema: pa.Schema | None = None
    rest: pa.Table | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Guarded:
    """A table, and a question that is asked when its rows were read.

    `check` raises a `LakecoreError` when they may not have been all: the query fails with it.
    """

    table: object
    check: Callable[[], None]
