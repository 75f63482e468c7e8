"""The append-only event journal, and the one commit protocol that everything changes by.

Every change leaves events: who, when, why, field by field, old and new. They take one of
two ways into the journal, and one way through it:

    commits   stage -> the target object is created (the commit) -> pending --+
    direct    record -> hot log, durable (acknowledged) --------------------- seal -> segments
                                                                                       |
    history, recent, query, scan  <- segments + pending + hot, as one  <---------------+
    verify, completeness          <- segments against their Merkle tree, commits against both

==============  ======================================================================
`_events`       one event: fields, rules, canonical form (leaf), its hash
`_values`       JSON text of values, what counts as changed; hashes of rows
`_commits`      commit targets and records, and staged files: the events of one attempt
`_hot`          where direct events are acknowledged: the hot log, or the remote store
`_log`          sealed events: segments and their footers, what is pending, sealing
`_index`        line blocks and postings: where an entity's events are; derived
`_read`         sealed, pending and hot events read as one, and questions to them
`_transfer`     events to and from files, the cut that a backup copies, archives
`_prove`        signed checkpoints, tiles, proofs, witnesses: what holds outside of the lake
`_check`        leaves and roots recomputed; commits held against events
`_record`       the calls that record direct events
`_sqlite`       the files of this machine's own state; others keep theirs by it, too
`_journal`      the face (`_stats`: its figures)
==============  ======================================================================

>>> from pathlib import Path; from tempfile import mkdtemp
>>> from lakecore.journal import Event, Journal
>>> from lakecore.storage import open_store
>>> journal = Journal.open(open_store("memory://"), Path(mkdtemp()))
>>> journal.record_update("plane", "N10156", "seats", 55, 50, actor="ada")[:0]
''
>>> event = Event(entity_type="plane", entity_id="N10156", action="inspect", actor="bob")
>>> _ = journal.record(event)  # durable: acknowledged
>>> [(e.seq, e.field, e.old_value, e.new_value) for e in journal.entity_history("N10156")]
[(None, 'seats', '55', '50'), (None, '*', None, None)]
>>> journal.seal()
2
>>> journal.blame("N10156")["seats"].actor, journal.recent(1)[0].seq
('ada', 1)
>>> report = journal.verify()
>>> report.status, report.events, report.root == journal.stats()["root"]
('green', 2, True)
>>> journal.close()
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from lakecore.base.lazy import lazy_exports

if TYPE_CHECKING:
    from lakecore.journal._check.completeness import CompletenessReport, compare_commit
    from lakecore.journal._check.ledger import Ledger, SealedVersion
    from lakecore.journal._check.repair import Loss, Repair, RepairReport
    from lakecore.journal._check.report import AnchorReport, IntegrityReport, Problem
    from lakecore.journal._commits.commit import (
        CommitRecord,
        Fate,
        Mutation,
        Target,
        fate_of,
        foreign_commit_id,
        read_commit_record,
    )
    from lakecore.journal._commits.staged import (
        PreparedEvents,
        StagedReader,
        Staging,
        prepare_events,
    )
    from lakecore.journal._events.event import (
        Author,
        Event,
        arrow_to_events,
        event_schema,
        events_to_arrow,
        staged_schema,
    )
    from lakecore.journal._journal import Journal, JournalSettings
    from lakecore.journal._log.compact import CompactReport
    from lakecore.journal._prove.checkpoints import SignedCheckpoint
    from lakecore.journal._prove.proofs import EntryProof, GrowthProof
    from lakecore.journal._prove.prover import Prover
    from lakecore.journal._prove.witness import Witness
    from lakecore.journal._read.columns import is_of_columns
    from lakecore.journal._read.files import SealedFile
    from lakecore.journal._read.pages import Page
    from lakecore.journal._read.scan import scan_schema
    from lakecore.journal._read.state import AsOf, EntityState
    from lakecore.journal._read.tail import Tail, TailBatch, TailCursor
    from lakecore.journal._sqlite import Database, alone, watch_forks
    from lakecore.journal._transfer.archive import ArchiveReport
    from lakecore.journal._transfer.cut import Cut
    from lakecore.journal._transfer.export import ExportResult
    from lakecore.journal._transfer.importing import ImportResult
    from lakecore.journal._values.multiset import MultisetHash, multiset_hash
    from lakecore.journal._values.row_hash import row_hashes
    from lakecore.journal._values.text import encode_value
    from lakecore.journal._values.values import changed, json_text, row_json

_HOME = {
    "AnchorReport": "_check.report",
    "ArchiveReport": "_transfer.archive",
    "AsOf": "_read.state",
    "Author": "_events.event",
    "CommitRecord": "_commits.commit",
    "CompactReport": "_log.compact",
    "CompletenessReport": "_check.completeness",
    "Cut": "_transfer.cut",
    "Database": "_sqlite",
    "EntityState": "_read.state",
    "EntryProof": "_prove.proofs",
    "Event": "_events.event",
    "ExportResult": "_transfer.export",
    "Fate": "_commits.commit",
    "GrowthProof": "_prove.proofs",
    "ImportResult": "_transfer.importing",
    "IntegrityReport": "_check.report",
    "Journal": "_journal",
    "JournalSettings": "_journal",
    "Ledger": "_check.ledger",
    "Loss": "_check.repair",
    "MultisetHash": "_values.multiset",
    "Mutation": "_commits.commit",
    "Page": "_read.pages",
    "PreparedEvents": "_commits.staged",
    "Problem": "_check.report",
    "Prover": "_prove.prover",
    "Repair": "_check.repair",
    "RepairReport": "_check.repair",
    "SignedCheckpoint": "_prove.checkpoints",
    "StagedReader": "_commits.staged",
    "SealedFile": "_read.files",
    "SealedVersion": "_check.ledger",
    "Staging": "_commits.staged",
    "Tail": "_read.tail",
    "TailBatch": "_read.tail",
    "TailCursor": "_read.tail",
    "Target": "_commits.commit",
    "Witness": "_prove.witness",
    "alone": "_sqlite",
    "arrow_to_events": "_events.event",
    "changed": "_values.values",
    "compare_commit": "_check.completeness",
    "encode_value": "_values.text",
    "event_schema": "_events.event",
    "events_to_arrow": "_events.event",
    "fate_of": "_commits.commit",
    "foreign_commit_id": "_commits.commit",
    "is_of_columns": "_read.columns",
    "json_text": "_values.values",
    "multiset_hash": "_values.multiset",
    "prepare_events": "_commits.staged",
    "read_commit_record": "_commits.commit",
    "row_hashes": "_values.row_hash",
    "row_json": "_values.values",
    "scan_schema": "_read.scan",
    "staged_schema": "_events.event",
    "watch_forks": "_sqlite",
}

__all__ = [
    "AnchorReport",
    "ArchiveReport",
    "AsOf",
    "Author",
    "CommitRecord",
    "CompactReport",
    "CompletenessReport",
    "Cut",
    "Database",
    "EntityState",
    "EntryProof",
    "Event",
    "ExportResult",
    "Fate",
    "GrowthProof",
    "ImportResult",
    "IntegrityReport",
    "Journal",
    "JournalSettings",
    "Ledger",
    "Loss",
    "MultisetHash",
    "Mutation",
    "Page",
    "PreparedEvents",
    "Problem",
    "Prover",
    "Repair",
    "RepairReport",
    "SealedFile",
    "SealedVersion",
    "SignedCheckpoint",
    "StagedReader",
    "Staging",
    "Tail",
    "TailBatch",
    "TailCursor",
    "Target",
    "Witness",
    "alone",
    "arrow_to_events",
    "changed",
    "compare_commit",
    "encode_value",
    "event_schema",
    "events_to_arrow",
    "fate_of",
    "foreign_commit_id",
    "is_of_columns",
    "json_text",
    "multiset_hash",
    "prepare_events",
    "read_commit_record",
    "row_hashes",
    "row_json",
    "scan_schema",
    "staged_schema",
    "watch_forks",
]


# Arrow and SQLite are imported by what uses them, not by who mentions the journal.
__getattr__ = lazy_exports(__name__, _HOME)


def __dir__() -> list[str]:
    return sorted(__all__)
