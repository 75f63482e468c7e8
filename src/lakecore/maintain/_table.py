"""`system.maintenance`: what upkeep did, from its events."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

import pyarrow as pa

from lakecore.maintain import _record as records

if TYPE_CHECKING:
    from lakecore.journal import Event, Journal

_PAGE: Final = 1_000
_TIME: Final = pa.timestamp("us", tz="UTC")
_SCHEMA: Final = pa.schema(
    [
        ("id", pa.string()),
        ("dataset", pa.string()),
        ("dataset_id", pa.string()),
        ("action", pa.string()),
        ("outcome", pa.string()),
        ("version", pa.int64()),
        ("timestamp", _TIME),
        ("actor", pa.string()),
        ("files_before", pa.int64()),
        ("files_after", pa.int64()),
        ("bytes_before", pa.int64()),
        ("bytes_after", pa.int64()),
        ("seconds", pa.float64()),
        ("kept_from", pa.int64()),
    ]
)
_MEASURED: Final = (
    "files_before",
    "files_after",
    "bytes_before",
    "bytes_after",
    "seconds",
    "kept_from",
)


def maintenance_table(journal: Journal) -> pa.Table:
    """One row a step, the oldest first; `outcome` is done, or begun where no end is journaled."""
    rows: dict[str, dict[str, Any]] = {}
    events: list[Event] = []
    cursor: str | None = None
    while True:
        page = journal.query(entity_type=records.MAINTENANCE, limit=_PAGE, cursor=cursor)
        events += page.items
        cursor = page.next
        if cursor is None:
            break
    ends = {action: begun for begun, action in records.DONE.items()}
    for event in reversed(events):
        begun = ends.get(event.action)
        row = rows.get(event.mutation_id)
        if row is None:
            row = rows[event.mutation_id] = {
                "id": event.mutation_id,
                "dataset": event.dataset,
                "dataset_id": event.dataset_id,
                "action": begun or event.action,
                "outcome": "begun" if event.action in records.DONE else "done",
                "version": None,
                "timestamp": event.timestamp,
                "actor": event.actor,
            }
        measured = records.said(event)
        row |= {name: measured[name] for name in _MEASURED if name in measured}
        if event.version is not None:
            row["version"] = event.version
        if begun is not None:
            row["outcome"] = "done"
    return pa.Table.from_pylist(list(rows.values()), schema=_SCHEMA).sort_by("timestamp")
