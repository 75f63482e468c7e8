"""Upkeep: compaction, checkpoints, vacuum and purge, by themselves and journaled.

Nothing here changes a row; of the lake's own records, those that are over are removed. Each
step is measured, is told in the journal, and where it touches a table, is one of its versions,
through the same commit path as every change.

    expire       rows of the lake's own records that are kept for a time only
    compact      small files --> one, in key order; the same multiset of rows, or no commit
    checkpoint   where the log has grown long since the last one
    vacuum       files that no kept version needs: announced by a commit, then removed
    purge        files of datasets that were dropped, behind their grace; their log stays

==============  ======================================================================
`_maintainer`   the face: what is due, step by step
`_bins`         which small files become one (pure)
`_vacuum`       what may go, and its removal (`_removal`: of files; `_folder`: what lies there)
`_purge`        dropped datasets and workspaces
`_record`       events beside commits; `_table`: `system.maintenance`
`_background`   runs in processes that live long
`_types`        settings, ports, and what a run says it did
==============  ======================================================================

The log of a table is never trimmed: its versions are what the journal is held against.

>>> from pathlib import Path; from tempfile import mkdtemp
>>> import pyarrow as pa
>>> from lakecore.base import SystemClock
>>> from lakecore.catalog import Catalog
>>> from lakecore.documents import Documents
>>> from lakecore.journal import Author, Journal
>>> from lakecore.maintain import Maintainer
>>> from lakecore.storage import open_store
>>> from lakecore.tables import Tables, Upkeep
>>> lake = mkdtemp(); store = open_store(lake)
>>> journal = Journal.open(store, Path(lake, ".local")); ada = Author(actor="ada")
>>> catalog = Catalog(Documents(store, journal)); tables = Tables(store, journal)
>>> planes = catalog.register(catalog.propose("planes", key=["tailnum"]), author=ada)
>>> for number in range(10):
...     row = pa.table({"tailnum": [f"N{number}"], "seats": [number]})
...     _ = tables.append(planes, row, author=ada)
>>> maintainer = Maintainer(
...     store, journal, catalog, Upkeep(tables), clock=SystemClock(), unjournaled=lambda _: ())
>>> report = maintainer.run(author=ada)
>>> [(step.action, step.files_before, step.files_after) for step in report.steps]
[('compact', 10, 1)]
>>> tables.open(planes).row_count, tables.open(planes, version=4).row_count
(10, 5)
>>> journal.close()
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from lakecore.base.lazy import lazy_exports
from lakecore.maintain._background import Background, Stopped
from lakecore.maintain._types import (
    Expiry,
    MaintainSettings,
    MaintenanceReport,
    NoWorkspaces,
    Step,
    Unjournaled,
    Workspaces,
)

if TYPE_CHECKING:
    from lakecore.maintain._maintainer import Maintainer
    from lakecore.maintain._table import maintenance_table

_HOME = {"Maintainer": "_maintainer", "maintenance_table": "_table"}

__all__ = [
    "Background",
    "Expiry",
    "MaintainSettings",
    "Maintainer",
    "MaintenanceReport",
    "NoWorkspaces",
    "Step",
    "Stopped",
    "Unjournaled",
    "Workspaces",
    "maintenance_table",
]

# Arrow is imported by who keeps tables, not by who mentions it.
__getattr__ = lazy_exports(__name__, _HOME)
