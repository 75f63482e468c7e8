"""Records that Lakecore and programs beside it keep in `system.*`: usage, events, spans, steps.

They come one by one and often, and a table takes them some seconds' worth at a time:

    append -> spool, durable: acknowledged -> flush, every few seconds -> one commit a dataset

The spool is a file in this machine's state directory, shared by its processes. Its batches are
numbered, and each commit says up to which number the spool's batches are in the table: so each
is in it once, whoever was killed when, and however many machines append.

A package that records declares its kinds; `app` lists them (`app/_records.py`), and hands the
recorder to the package as a port of its own. SQL sees `system.<name>` from then on, empty before
the first record.

==============  ======================================================================
`_kind`         a kind of record: dataset, columns, how long it is kept (pure)
`_rows`         rows as a kind's columns; batches as bytes (pure)
`_spool`        where records are acknowledged: the file; bounded, group commit
`_seen`         ids that were given to records: which were appended before
`_flusher`      from the spool into the tables, exactly once
`_recorder`     the face; flushes by itself in the background
`_expire`       rows that are older than their kind keeps them
==============  ======================================================================

>>> from pathlib import Path; from tempfile import mkdtemp
>>> import pyarrow as pa
>>> from lakecore.catalog import Catalog
>>> from lakecore.documents import Documents
>>> from lakecore.journal import Journal
>>> from lakecore.records import RecordKind, Recorder
>>> from lakecore.storage import open_store
>>> from lakecore.tables import Tables
>>> state = Path(mkdtemp()); store = open_store("memory://"); journal = Journal.open(store, state)
>>> steps = RecordKind(
...     "steps",
...     pa.schema([("time", pa.timestamp("us", "UTC")), ("run", pa.string()), ("n", pa.int64())]),
...     description="What an agent did.", retention_days=90)
>>> catalog = Catalog(Documents(store, journal)); tables = Tables(store, journal)
>>> recorder = Recorder(state, catalog, tables, kinds=[steps])
>>> recorder.append("steps", [{"run": "a", "n": 1}, {"run": "a", "n": 2}]).rows  # durable
2
>>> recorder.append("steps", [{"run": "a", "n": 3}], ids=["a:3"]).rows
1
>>> recorder.append("steps", [{"run": "a", "n": 3}], ids=["a:3"])  # sent again
Appended(rows=0, duplicates=1, dropped=0)
>>> recorder.flush()
>>> view = tables.open(catalog.get("system.steps"))
>>> view.version, view.row_count
(0, 3)
>>> recorder.close(); journal.close()
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from lakecore.base.lazy import lazy_exports

if TYPE_CHECKING:
    from lakecore.records._expire import Expiry
    from lakecore.records._kind import RecordKind
    from lakecore.records._recorder import Appended, Recorder, RecordSettings

_HOME = {
    "Appended": "_recorder",
    "Expiry": "_expire",
    "RecordKind": "_kind",
    "RecordSettings": "_recorder",
    "Recorder": "_recorder",
}

__all__ = ["Appended", "Expiry", "RecordKind", "RecordSettings", "Recorder"]

# Arrow and SQLite are imported by who records, not by who mentions this package.
__getattr__ = lazy_exports(__name__, _HOME)


def __dir__() -> list[str]:
    return sorted(__all__)
