"""Delta tables, read at a version and changed by the one commit protocol.

A change goes through here in one pass and becomes the table's next version, or nothing:

    rows --> cast to the schema --> data files (Parquet, durable)      --+
                       |                                                 +--> commit --> journal
                       +--> events: field by field, old and new (staged) --+

The commit is the creation of one object, `_delta_log/<version>.json`, by our own store.
deltalake reads tables; it does not write them. Who loses the race for a version plans again.

=================  =====================================================================
`_tables`          the face
`_commit`          plan, stage, commit, acknowledge; what to do after a lost race
`_group`           changes that wait for one table (`_together`: which share a commit)
`_rebase`          after a lost race: may the plan stay as it is?
`_attempt`         what one try has gathered: files, events, counts
`_event_stream`    the events of one try: built beside, staged in order
`_gate`            what a change has to get past: the ports of who judges it
`_review`          what the judge of one attempt is shown, and its ruling; the exact change
`_append`          appending a stream; replacing an unkeyed dataset
`_merge`           upsert, keyed replace: rows matched by key
`_modify`, `_sql`  update and delete by condition
`_given_rows`      rows as callers have them (`_given_keys`: named by their keys)
`_restore`         what it was, by files: a version, or before one commit
`_diff`            two versions compared (`_difference`: rows; `_row_events`: as events)
`_revert`          one mutation undone by rows (`_mutation_events`, `_inverse`, `_conflicts`)
`_alter`           columns added, renamed, dropped, widened (`_columns`: as asked for)
`_clone`           a branch: another table's files by reference (`_places`: how spelled)
`_three_way`       what a branch and its base's table both changed (`_branch_merge`: applied)
`_branches`        the face of these
`_time`            the face of restore, diff, revert, columns (`_logged`, `_decode`: read back)
`_prune`, `_keys`  which files can be hit; which keys are valid (`_new_keys`: and new)
`_rewrite`         copy-on-write of one file, and its events (`_events`, `_updates`, `_row_hashes`)
`_write`, `_read`  Parquet data files, in bounded memory (`_statistics`: their bounds)
`_patched`         a file made of another, its columns copied (`_footer`, `_thrift`: where)
`_delta_log`       the bytes of a commit (pure)
`_schema`          Arrow schemas as Delta has them, casts without loss (pure)
`_upkeep`          upkeep: no row changes (`_compact`: small files put together)
`_state`           a table at a version, cached; time travel (`_supported`, `_checkpoint`)
=================  =====================================================================

>>> from pathlib import Path; from tempfile import mkdtemp
>>> import pyarrow as pa
>>> from lakecore.catalog import Dataset
>>> from lakecore.journal import Author, Journal
>>> from lakecore.storage import open_store
>>> from lakecore.tables import Sql, Tables
>>> store = open_store("memory://")
>>> tables = Tables(store, Journal.open(store, Path(mkdtemp())))
>>> planes = Dataset(name="planes", dataset_id="6f1c5a52-4f0e-4a58-9d0e-1d8f0f0c0b11",
...                  location="tables/main/planes", key=("tailnum",), entity_type="plane")
>>> rows = pa.table({"tailnum": ["N10156", "N102UW"], "seats": [55, 182]})
>>> tables.append(planes, rows, author=Author(actor="ada")).inserted
2
>>> change = tables.update(planes, where="tailnum = 'N10156'", set={"seats": Sql("seats + 1")},
...                        author=Author(actor="ada", reason="recount"))
>>> change.version, change.changes[0]["old_value"], change.changes[0]["new_value"]
(1, '55', '56')
>>> tables.open(planes, version=0).delta.to_pyarrow_table()["seats"].to_pylist()
[55, 182]
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from lakecore.base.lazy import lazy_exports
from lakecore.tables._columns import (
    AddColumn,
    ColumnChange,
    DropColumn,
    RenameColumn,
    WidenColumn,
    column_changes,
    renamed_key,
)
from lakecore.tables._gate import (
    DIFF_COLUMNS,
    ChangeFacts,
    DiffSink,
    Gate,
    Judge,
    Plan,
    Ruling,
)
from lakecore.tables._types import (
    MAX_SAMPLE_CHANGES,
    DatasetRef,
    IngestNote,
    MutationResult,
    Once,
    SchemaChange,
    Sql,
    StagingJournal,
    TableSettings,
)

if TYPE_CHECKING:
    from lakecore.tables._compact import RowSorter
    from lakecore.tables._delta_log import actions_sha256
    from lakecore.tables._given_rows import to_batches
    from lakecore.tables._keys import check_key_columns, check_keys, entity_id, entity_ids
    from lakecore.tables._new_keys import check_new_keys
    from lakecore.tables._places import file_path
    from lakecore.tables._state import DataFile, TableState, TableView, empty_state
    from lakecore.tables._tables import Tables
    from lakecore.tables._three_way import CellConflict, MergeConflicts
    from lakecore.tables._upkeep import Upkeep

_HOME = {
    "actions_sha256": "_delta_log",
    "DataFile": "_state",
    "TableState": "_state",
    "TableView": "_state",
    "Tables": "_tables",
    "RowSorter": "_compact",
    "Upkeep": "_upkeep",
    "check_key_columns": "_keys",
    "check_keys": "_keys",
    "check_new_keys": "_new_keys",
    "CellConflict": "_three_way",
    "MergeConflicts": "_three_way",
    "empty_state": "_state",
    "file_path": "_places",
    "entity_ids": "_keys",
    "entity_id": "_keys",
    "to_batches": "_given_rows",
}

__all__ = [
    "DIFF_COLUMNS",
    "MAX_SAMPLE_CHANGES",
    "AddColumn",
    "CellConflict",
    "ChangeFacts",
    "ColumnChange",
    "DataFile",
    "DatasetRef",
    "DiffSink",
    "DropColumn",
    "Gate",
    "IngestNote",
    "Judge",
    "MergeConflicts",
    "MutationResult",
    "Once",
    "Plan",
    "RenameColumn",
    "RowSorter",
    "Ruling",
    "SchemaChange",
    "Sql",
    "StagingJournal",
    "TableSettings",
    "TableState",
    "TableView",
    "Tables",
    "Upkeep",
    "WidenColumn",
    "actions_sha256",
    "check_key_columns",
    "check_keys",
    "check_new_keys",
    "column_changes",
    "empty_state",
    "entity_id",
    "entity_ids",
    "file_path",
    "renamed_key",
    "to_batches",
]


# Arrow is imported by who reads or changes a table, not by who mentions one.
__getattr__ = lazy_exports(__name__, _HOME)
