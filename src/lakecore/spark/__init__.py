"""A Spark Connect server as an engine: views over a lake's files, one query, Arrow back.

    places, text --> a session of its own --> views --> one query --> batches, a few at a time
                                                         | time, cancel: the session ends

The lake stays where it is: a place says where the server finds files that nobody changes any
more (a version of a Delta table, sealed Parquet files), or holds the few rows that are in no
file. What a text may say is the business of who gives it (`lakecore.query`): here it is run.

A server that goes away is `Unavailable`. A read that has not returned a row yet is begun again,
`MAX_TRIES` times in all; one that has is not, because its rows may come in another order.

=============  ======================================================================
`_places`      where rows are: `DeltaPlace`, `ParquetPlaces`, `RowsPlace`
`_server`      `SparkServer`: the address, and `run`
`_stream`      `SparkStream`: a query's batches, read ahead by a thread, within bounds
`_session`     a session of pyspark's: its views, its end
`_errors`      pyspark's errors as Lakecore's
=============  ======================================================================

>>> from lakecore.spark import SparkServer
>>> SparkServer("sc://127.0.0.1:1/;token=hidden").address
'sc://127.0.0.1:1'
>>> SparkServer("127.0.0.1:15002")
Traceback (most recent call last):
...
lakecore.base.errors.InvalidInput: no address of a Spark Connect server: expected \
sc://host:port, found another form
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from lakecore.base.lazy import lazy_exports
from lakecore.spark._server import SparkServer

if TYPE_CHECKING:
    from lakecore.spark._places import (
        MAX_ROWS_BYTES,
        DeltaPlace,
        ParquetPlaces,
        Place,
        RowsPlace,
    )
    from lakecore.spark._stream import MAX_TRIES, SparkStream

_HOME = {
    "DeltaPlace": "_places",
    "MAX_ROWS_BYTES": "_places",
    "MAX_TRIES": "_stream",
    "ParquetPlaces": "_places",
    "Place": "_places",
    "RowsPlace": "_places",
    "SparkStream": "_stream",
}

__all__ = [
    "MAX_ROWS_BYTES",
    "MAX_TRIES",
    "DeltaPlace",
    "ParquetPlaces",
    "Place",
    "RowsPlace",
    "SparkServer",
    "SparkStream",
]

# pyspark and Arrow are imported by who runs a query.
__getattr__ = lazy_exports(__name__, _HOME)
