"""Queries on Spark: the lake's own SQL, planned here, run there.

    text --> DataFusion plans it over empty tables: names, columns, types, only reads?
         --> its tables, each at one version, become views of names that nobody can guess
         --> Spark's words for it (`_spark_sql`) --> run --> batches of the types planned here

So what may be asked, and by whom, is decided as for every query, and before Spark hears of it:
a table that the principal may not read is refused where it is resolved. The text that Spark
gets is written from a tree in which every table is one of the views.
"""

from __future__ import annotations

import secrets
import shutil
from collections.abc import Iterable, Mapping
from datetime import datetime
from importlib.util import find_spec
from typing import TYPE_CHECKING, Any, Final, Protocol, runtime_checkable

import pyarrow as pa

from lakecore.base import InvalidInput, NotFound, Refused
from lakecore.query._contexts import Bounds
from lakecore.query._local import make_scratch
from lakecore.query._plain import plain_schema
from lakecore.query._session import Session
from lakecore.query._source import TableSource
from lakecore.spark import RowsPlace

if TYPE_CHECKING:
    from lakecore.query._settings import QuerySettings
    from lakecore.query._stream import Deadline
    from lakecore.spark import Place, SparkServer, SparkStream

_QUERIES_ONLY: Final = frozenset({"Explain", "Analyze", "DescribeTable"})


@runtime_checkable
class PlaceSource(Protocol):
    """What a table source may know beside tables: where Spark finds their rows."""

    def place(
        self, schema: str, name: str, *, version: int | None = None, time: datetime | None = None
    ) -> Place | None:
        """Where a table's rows are, at most one of `version` and `time` given; None: no table.

        Raises:
            NotFound: the table exists, but not at that version or time.
            InvalidInput: another program cannot read it.
        """
        ...


class Places:
    """A source's tables as one query on Spark sees them: each found once, planned as empty.

    It is a `TableSource` for the planning, and an `EventSource`.
    """

    def __init__(self, source: TableSource) -> None:
        if not isinstance(source, PlaceSource):
            raise InvalidInput(
                "Spark does not read these tables",
                expected="the datasets of a lake, outside of workspaces",
                hint="ask with the engine datafusion",
            )
        self._source: Any = source
        self.known: dict[tuple[object, ...], Place | None] = {}

    def schemas(self) -> Iterable[str]:
        """As the source has them."""
        found: Iterable[str] = self._source.schemas()
        return found

    def tables(self, schema: str) -> Iterable[str]:
        """As the source has them."""
        found: Iterable[str] = self._source.tables(schema)
        return found

    def table(
        self, schema: str, name: str, *, version: int | None = None, time: datetime | None = None
    ) -> object | None:
        """An empty table of the place's columns."""
        key = (schema, name, version, time)
        if key not in self.known:
            self.known[key] = self._source.place(schema, name, version=version, time=time)
        return _empty(self.known[key])

    def history(self, schema: str, name: str, key: object) -> object | None:
        """The events of one row."""
        return self._events(("history", schema, name, repr(key)), self._source.history, key)

    def changes(
        self, schema: str, name: str, after: int | datetime | None, until: int | datetime | None
    ) -> object | None:
        """What changed between two versions."""
        key = ("changes", schema, name, after, until)
        return self._events(key, self._source.changes, after, until)

    def _events(self, key: tuple[object, ...], find: Any, *arguments: object) -> object | None:
        if key not in self.known:
            found = find(*key[1:3], *arguments)
            self.known[key] = None if found is None else RowsPlace(rows=rows_of(found))
        return _empty(self.known[key])


def _empty(place: Place | None) -> object | None:
    return None if place is None else place.schema.empty_table()


def rows_of(found: Any) -> pa.Table:
    """What a source returned for a table that is small, as rows."""
    from lakecore.query._source import Guarded

    if isinstance(found, Guarded):
        rows = rows_of(found.table)
        found.check()
        return rows
    if isinstance(found, pa.Table):
        return found
    if isinstance(found, pa.RecordBatch):
        return pa.Table.from_batches([found])
    if isinstance(found, pa.RecordBatchReader):
        return _bounded(found)
    if hasattr(found, "scanner"):
        return _bounded(found.scanner().to_reader())
    if callable(found):
        return rows_of(found())
    raise InvalidInput("Spark cannot read this table", hint="ask with the engine datafusion")


def _bounded(reader: pa.RecordBatchReader) -> pa.Table:
    from lakecore.spark import MAX_ROWS_BYTES

    held: list[pa.RecordBatch] = []
    size_bytes = 0
    for batch in reader:
        held.append(batch)
        size_bytes += batch.nbytes
        if size_bytes > MAX_ROWS_BYTES:
            raise InvalidInput(
                "a table is too large to be sent to Spark with a query",
                expected=f"at most {MAX_ROWS_BYTES:,} bytes where it is in no file of the lake",
                hint="ask with the engine datafusion",
            )
    return pa.Table.from_batches(held, reader.schema)


def start(
    server: SparkServer,
    source: TableSource,
    text: str,
    values: Mapping[str, Any],
    limits: QuerySettings,
    deadline: Deadline,
) -> CastStream:
    """Plan a statement and begin it on Spark.

    Raises:
        InvalidInput: the statement is wrong, or is not one for Spark.
        Refused: it would change something, or names what may not be read.
    """
    if find_spec("sqlglot") is None:
        raise InvalidInput("Spark's words are not installed", hint="pip install lakecore[spark]")
    from lakecore.query._spark_sql import to_spark

    places = Places(source)
    schema = _planned(places, text, values, limits)
    tables = {key: place.schema for key, place in places.known.items() if place is not None}
    spoken = to_spark(text, values, tables, lambda: f"lakecore_{secrets.token_hex(16)}")
    views = {name: places.known[key] for name, key in spoken.views.items()}
    found: dict[str, Place] = {name: place for name, place in views.items() if place is not None}
    stream = server.run(
        spoken.text,
        found,
        max_rows=None if limits.max_rows is None else limits.max_rows + 1,
        timeout_s=deadline.remaining_s(),
    )
    return CastStream(stream, schema)


def _planned(
    places: Places, text: str, values: Mapping[str, Any], limits: QuerySettings
) -> pa.Schema:
    """The columns of a statement's result; here whatever is wrong with it comes out."""
    scratch = make_scratch(limits.spill_directory)
    bounds = Bounds(limits.memory_limit_bytes, 1, limits.spill_directory)
    session = Session(places, values, bounds=bounds, scratch=scratch)
    try:
        frame = session.plan(text, None)
        if frame.logical_plan().display() in _QUERIES_ONLY:
            raise Refused("only queries run on Spark", hint="ask with the engine datafusion")
        return plain_schema(frame.schema())
    except KeyboardInterrupt:
        raise
    except BaseException as error:
        failure = session.translate(error, text)
        if isinstance(failure, NotFound) and "information_schema" in text.lower():
            failure.add_note("information_schema is read by the engine datafusion")
        raise failure from (None if failure is error else error)
    finally:
        shutil.rmtree(scratch, ignore_errors=True)


class CastStream:
    """Spark's batches in the types that DataFusion planned: a value that does not fit is an error.

    So a difference between the engines that shows in a type is never silent.
    """

    def __init__(self, stream: SparkStream, schema: pa.Schema) -> None:
        self._stream = stream
        self.schema = schema

    def next(self) -> pa.RecordBatch | None:
        """The next batch, None at the end."""
        batch = self._stream.next()
        if batch is None:
            return None
        try:
            return self._cast(batch)
        except BaseException:
            self._stream.close()
            raise

    def _cast(self, batch: pa.RecordBatch) -> pa.RecordBatch:
        if batch.num_columns != len(self.schema):
            raise InvalidInput(
                "Spark's result has other columns than were planned",
                expected=f"{len(self.schema)} columns",
                found=batch.num_columns,
                hint=_HINT,
            )
        columns = []
        for column, field in zip(batch.columns, self.schema, strict=True):
            try:
                columns.append(_as(column, field.type))
            except (pa.ArrowException, TypeError) as error:
                raise InvalidInput(
                    "Spark's values are not of the type that was planned",
                    expected=f"{field.type} for {field.name}",
                    found=f"{column.type}: {error}"[:300],
                    hint=_HINT,
                ) from error
        fields = [field.with_nullable(True) for field in self.schema]
        return pa.RecordBatch.from_arrays(columns, schema=pa.schema(fields))

    def cancel(self) -> None:
        """End the query."""
        self._stream.cancel()

    def close(self) -> None:
        """Free what it holds."""
        self._stream.close()


_HINT: Final = "cast it in the query, or ask with the engine datafusion; see docs/spark.md"


def _as(column: pa.Array, kind: pa.DataType) -> pa.Array:
    """A column in another type, its values the same."""
    if column.type == kind:
        return column
    if pa.types.is_timestamp(column.type) and pa.types.is_timestamp(kind):
        # Sessions are in UTC: what has no zone and what has one differ in name only.
        column = column.cast(pa.timestamp(column.type.unit, tz=kind.tz), safe=True)
    return column.cast(kind, safe=True)
