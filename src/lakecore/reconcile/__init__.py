"""What other programs committed to our tables, journaled; tables held against the journal.

A Delta table can be written by any engine that reaches its files, past our rules and our
journal. That cannot be prevented, but it cannot go unseen either:

    reconcile     versions without our record --> files removed and added --> events, staged
                                                                              under an id that
                                                                              everybody derives
    completeness  every version <--> its sealed events: who made it, what it did (digest)
    adopt         somebody's table, in place: its history from then on

==============  ======================================================================
`_reconcile`    the face: versions that the journal does not tell of
`_version`      one of them, journaled: by key, as row sets, or as a gap
`_keyed`        rows removed and added, matched by key (`_sides`: in bounded memory)
`_unkeyed`      the same as multisets of row hashes
`_rows`         rows of data files: partitions, deletion vectors, mapped columns
`_entry`        one log entry (pure); `_replay`: all of them (pure); `_log`: its folder
`_schema`       columns and properties, and what changed of them (pure)
`_adopt`        taking over a table where it lies
`_complete`     completeness of all (`_folder`: of one folder; `_table`: of one table)
`_checkpoints`  checkpoints against the log that they sum up
`_memory`       what this machine found whole before; `_places`: what the catalog names
`_words`        what was found, in words; `_report`: in figures
==============  ======================================================================

>>> from pathlib import Path; from tempfile import mkdtemp
>>> import pyarrow as pa
>>> from deltalake import DeltaTable
>>> from lakecore.catalog import Catalog
>>> from lakecore.documents import Documents
>>> from lakecore.journal import Author, Journal
>>> from lakecore.reconcile import Reconciler
>>> from lakecore.storage import open_store
>>> from lakecore.tables import Tables
>>> lake = mkdtemp(); store = open_store(lake)
>>> journal = Journal.open(store, Path(lake, ".local")); ada = Author(actor="ada")
>>> catalog = Catalog(Documents(store, journal))
>>> planes = catalog.register(catalog.propose("planes", key=["tailnum"]), author=ada)
>>> rows = pa.table({"tailnum": ["N10156", "N102UW"], "seats": [55, 182]})
>>> _ = Tables(store, journal).append(planes, rows, author=ada)
>>> table = DeltaTable(f"{lake}/tables/main/planes")
>>> _ = table.update(updates={"seats": "56"}, predicate="tailnum = 'N10156'")  # not by us
>>> found = Reconciler(store, journal, catalog).reconcile()
>>> [(version.version, version.operation, version.updated) for version in found.versions]
[(1, 'UPDATE', 1)]
>>> event = journal.entity_history("N10156")[-1]
>>> event.source, event.field, event.old_value, event.new_value
('external', 'seats', '55', '56')
>>> journal.close()
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from lakecore.base.lazy import lazy_exports
from lakecore.reconcile._report import ReconciledVersion, ReconcileReport, TablesReport

if TYPE_CHECKING:
    from lakecore.reconcile._adopt import adopt_table
    from lakecore.reconcile._complete import completeness
    from lakecore.reconcile._reconcile import Reconciler

_HOME = {"Reconciler": "_reconcile", "adopt_table": "_adopt", "completeness": "_complete"}

__all__ = [
    "ReconcileReport",
    "ReconciledVersion",
    "Reconciler",
    "TablesReport",
    "adopt_table",
    "completeness",
]

# Arrow is imported by who looks into tables, not by who mentions them.
__getattr__ = lazy_exports(__name__, _HOME)
