"""The append-only event journal, and the one commit protocol that everything changes by.

Every change leaves events: who, when, why, field by field, old and new. They take one of
two ways into the journal, and one way through it:

    commits   stage -> the target object is created (the commit) -> pending --+
    direct    record -> hot log, durable (acknowledged) --------------------- seal -> segments
                                                                                       |
    history, recent, query, scan  <- segments + pending + hot, as one  <---------------+
    verify, completeness          <- segments against their Merkle tree, commits against both

==================  ====================================================================
`_event`            one event, its schema, its rules (`_event_rules`, `_event_batch`)
`_values`           JSON text of values, what counts as changed
`_row_hash`         a hash of a row's values; of rows in any order (`_multiset`)
`_leaf`, `_merkle`  the canonical form of an event, RFC 9162 trees
`_commit`           commit targets and records; the fate of an attempt
`_staged`           staged files: the events of one attempt
`_record`           the calls that record direct events
`_hotlog`           the local log that acknowledges them (`_hotbatch`: its rows; `_group`:
                    group commit; `_sqlite`: its file); `_direct` on remote stores
`_segment`          sealed events: Parquet files named by position, and their footers
`_footers`          what all footers say, cached
`_pending`          staged files and their fates
`_seal`             hot and committed events into segments, exactly once (`_parts`: what is
                    on its way; `_background`: the thread that seals)
`_scan`, `_read`    sealed, pending and hot events read as one (`_filter`: which ones)
`_verify`           leaves and roots recomputed; `_completeness`: commits against events
`_journal`          the face (`_stats`: its figures)
==================  ====================================================================

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
    from lakecore.journal._commit import (
        CommitRecord,
        Fate,
        Mutation,
        Target,
        fate_of,
        read_commit_record,
    )
    from lakecore.journal._completeness import CompletenessReport
    from lakecore.journal._event import (
        Author,
        Event,
        arrow_to_events,
        event_schema,
        events_to_arrow,
        staged_schema,
    )
    from lakecore.journal._journal import Journal, JournalSettings
    from lakecore.journal._merkle import Frontier
    from lakecore.journal._multiset import MultisetHash, multiset_hash
    from lakecore.journal._read import Page
    from lakecore.journal._scan import scan_schema
    from lakecore.journal._staged import PreparedEvents, StagedReader, Staging, prepare_events
    from lakecore.journal._value_text import encode_value
    from lakecore.journal._values import changed, json_text, row_json
    from lakecore.journal._verify import IntegrityReport, Problem

_HOME = {
    "Author": "_event",
    "CommitRecord": "_commit",
    "CompletenessReport": "_completeness",
    "Event": "_event",
    "Fate": "_commit",
    "Frontier": "_merkle",
    "IntegrityReport": "_verify",
    "Journal": "_journal",
    "JournalSettings": "_journal",
    "MultisetHash": "_multiset",
    "Mutation": "_commit",
    "Page": "_read",
    "PreparedEvents": "_staged",
    "Problem": "_verify",
    "StagedReader": "_staged",
    "Staging": "_staged",
    "Target": "_commit",
    "arrow_to_events": "_event",
    "changed": "_values",
    "encode_value": "_value_text",
    "event_schema": "_event",
    "events_to_arrow": "_event",
    "fate_of": "_commit",
    "json_text": "_values",
    "multiset_hash": "_multiset",
    "prepare_events": "_staged",
    "read_commit_record": "_commit",
    "row_json": "_values",
    "scan_schema": "_scan",
    "staged_schema": "_event",
}

__all__ = [
    "Author",
    "CommitRecord",
    "CompletenessReport",
    "Event",
    "Fate",
    "Frontier",
    "IntegrityReport",
    "Journal",
    "JournalSettings",
    "MultisetHash",
    "Mutation",
    "Page",
    "PreparedEvents",
    "Problem",
    "StagedReader",
    "Staging",
    "Target",
    "arrow_to_events",
    "changed",
    "encode_value",
    "event_schema",
    "events_to_arrow",
    "fate_of",
    "json_text",
    "multiset_hash",
    "prepare_events",
    "read_commit_record",
    "row_json",
    "scan_schema",
    "staged_schema",
]


# Arrow and SQLite are imported by what uses them, not by who mentions the journal.
__getattr__ = lazy_exports(__name__, _HOME)


def __dir__() -> list[str]:
    return sorted(__all__)
