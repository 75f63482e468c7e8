"""SQL over a lake's tables: DataFusion, read-only, bounded, at any version.

A statement goes through here once:

    text, params --> plan --> only reads? --> run, here or in a process of its own --> batches
                      |                          time, memory, rows: bounded             |
                TableSource                                          arrow, parquet, csv, json
              (name, version, time)

Read-only is a property of the plan, never of the text; no file can be named. What a statement
would change, `QueryEngine.statement` tells whoever can have it journaled. What the tables
are is the business of the `TableSource`, which the engine asks when a query names one.

==================  ======================================================================
`_engine`           the face: decides where a statement runs
`_session`          one query's DataFusion session: its tables, its plan
`_contexts`         DataFusion contexts that are kept, for what they know of files
`_dml`              INSERT, UPDATE, DELETE: read off the plan, for others to make
`_source`, `_names` the port for tables; names that travel in time
`_providers`        what a source returns, as DataFusion tables
`_params`           values for $name and $1
`_local`            in this process: fast, stoppable where DataFusion pauses
`_spark`            on a Spark Connect server, in its own words (`_spark_sql`)
`_isolated`         in another (`_child`, `_wire`): stoppable at any moment
`_result`           batches as Arrow, pandas, Python, bytes (`_plain`: without encodings)
`_formats`          JSON, CSV, Arrow, Parquet (`_cells`: the text of values), `_table`
`_errors`           what went wrong, where in the text, what was meant
`_versions`         do deltalake and datafusion fit together?
==================  ======================================================================

>>> import pyarrow as pa
>>> from lakecore.query import QueryEngine
>>> class Lake:
...     def schemas(self): return ["main"]
...     def tables(self, schema): return ["planes"]
...     def table(self, schema, name, *, version=None, time=None):
...         if (schema, name) == ("main", "planes"):
...             return pa.table({"tailnum": ["N10156", "N102UW"], "seats": [55, 182]})
>>> engine = QueryEngine(Lake())
>>> engine.sql("select tailnum from planes where seats > $least", {"least": 100}).to_pylist()
[{'tailnum': 'N102UW'}]
>>> print(b"".join(engine.sql("select * from planes order by seats").chunks("table")).decode())
tailnum │ seats
────────┼──────
N10156  │    55
N102UW  │   182
(2 rows)
<BLANKLINE>
>>> engine.sql("delete from planes")
Traceback (most recent call last):
...
lakecore.base.errors.Refused: SQL is read-only here: expected a query, found Delete
>>> engine.close()
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from lakecore.base.lazy import lazy_exports
from lakecore.query._settings import QuerySettings
from lakecore.query._source import EventSource, Guarded, ParquetFiles, TableSource
from lakecore.query._versions import check_versions

if TYPE_CHECKING:
    from lakecore.query._dml import SqlChange
    from lakecore.query._engine import QueryEngine
    from lakecore.query._formats import FORMATS
    from lakecore.query._result import QueryResult
    from lakecore.query._spark import PlaceSource, rows_of

_HOME = {
    "QueryEngine": "_engine",
    "QueryResult": "_result",
    "SqlChange": "_dml",
    "FORMATS": "_formats",
    "PlaceSource": "_spark",
    "rows_of": "_spark",
}

__all__ = [
    "FORMATS",
    "EventSource",
    "Guarded",
    "ParquetFiles",
    "PlaceSource",
    "QueryEngine",
    "QueryResult",
    "QuerySettings",
    "SqlChange",
    "TableSource",
    "check_versions",
    "rows_of",
]


# Arrow and DataFusion are imported by who asks a query, not by who mentions this package.
__getattr__ = lazy_exports(__name__, _HOME)


def __dir__() -> list[str]:
    return sorted(__all__)
