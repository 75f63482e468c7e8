"""`system.pending`, `system.decisions` and `system.mutations`: what was asked, decided and done."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, Any, Final

import pyarrow as pa
import pyarrow.compute as pc

from lakecore.base import NotFound
from lakecore.changes._pending import Pending
from lakecore.journal import Event, read_commit_record

if TYPE_CHECKING:
    from lakecore.catalog import Dataset
    from lakecore.journal import CommitRecord, Journal
    from lakecore.storage import Store

_TIME: Final = pa.timestamp("us", tz="UTC")
_PENDING: Final = pa.schema(
    [
        ("id", pa.string()),
        ("state", pa.string()),
        ("op", pa.string()),
        ("dataset", pa.string()),
        ("dataset_id", pa.string()),
        ("actor", pa.string()),
        ("source", pa.string()),
        ("reason", pa.string()),
        ("tier", pa.string()),
        ("why", pa.string()),
        ("inserted", pa.int64()),
        ("updated", pa.int64()),
        ("deleted", pa.int64()),
        ("shown", pa.int64()),
        ("created", _TIME),
        ("expires", _TIME),
        ("decided", _TIME),
        ("decided_by", pa.string()),
        ("version", pa.int64()),
    ]
)
_DECISIONS: Final = pa.schema(
    [
        ("mutation_id", pa.string()),
        ("outcome", pa.string()),
        ("op", pa.string()),
        ("tier", pa.string()),
        ("dataset", pa.string()),
        ("dataset_id", pa.string()),
        ("version", pa.int64()),
        ("actor", pa.string()),
        ("source", pa.string()),
        ("reason", pa.string()),
        ("timestamp", _TIME),
        ("rule_set", pa.string()),
        ("rule_set_version", pa.int64()),
        ("rule_set_hash", pa.string()),
        ("fired", pa.map_(pa.string(), pa.int64())),
        ("approved_by", pa.string()),
        ("detail", pa.string()),
    ]
)
_KEYS: Final = (
    *("mutation_id", "dataset", "dataset_id", "version"),
    *("actor", "source", "workspace_id"),
)
_COUNTED: Final = {"inserts": "insert", "updates": "update", "deletes": "delete"}
_LOG_ENTRY: Final = re.compile(r"\d{20}\.json")
_READERS: Final = 8
_PART_ROWS: Final = 1_024
_HELD_ROWS: Final = 1 << 18
"""Mutations of parts of the journal that are held before they are put together."""


def pending_table(pendings: Iterable[Pending]) -> pa.Table:
    """One row a change that waits or waited."""
    rows = []
    for pending in pendings:
        body, author = pending.body, pending.author
        reasons = pending.decision["reasons"]
        rows.append(
            {
                **{name: body[name] for name in ("op", "dataset", "dataset_id", "shown")},
                **{name: body["counts"][name] for name in ("inserted", "updated", "deleted")},
                "id": pending.id,
                "state": pending.state,
                "actor": author.actor,
                "source": author.source,
                "reason": author.reason,
                "tier": pending.decision["tier"],
                "why": "; ".join(reason["message"] for reason in reasons),
                "created": body["created_us"],
                "expires": body["expires_us"],
                "decided": body["decided_us"],
                "decided_by": body["decided_by"],
                "version": body["version"],
            }
        )
    return pa.Table.from_pylist(rows, schema=_PENDING)


def decisions_table(store: Store, journal: Journal, datasets: list[Dataset]) -> Any:
    """One row a decision: refused and held ones from the journal, others from their commits."""

    def batches() -> Iterator[pa.RecordBatch]:
        rows: list[dict[str, Any]] = []
        for row in (*_of_events(journal), *_of_commits(store, datasets)):
            rows.append(row)
            if len(rows) == _PART_ROWS:
                yield pa.RecordBatch.from_pylist(rows, schema=_DECISIONS)
                rows = []
        yield pa.RecordBatch.from_pylist(rows, schema=_DECISIONS)

    return pa.RecordBatchReader.from_batches(_DECISIONS, batches())


def mutations_table(journal: Journal) -> pa.Table:
    """One row a mutation of a dataset, from its events: who, when, why, how many."""
    columns = [*_KEYS, "timestamp", "action", "context"]
    changes = pc.is_valid(pc.field("version")) & (pc.field("mutation_id") != "")
    # Upkeep changes nothing that a mutation could: it has a table of its own.
    changes &= pc.field("entity_type") != "maintenance"
    parts: list[pa.Table] = []
    held = 0
    for batch in journal.scan(columns, changes):
        if batch.num_rows:
            parts.append(_grouped(pa.Table.from_batches([batch])))
            held += parts[-1].num_rows
        if held > _HELD_ROWS:
            parts = [_together(parts)]
            # What cannot be put together further is no reason to try with each part.
            held = 0
    found = _together(parts or [_grouped(_no_events(columns))])
    reasons = _reasons(found.column("context"))
    return found.append_column("reason", reasons).sort_by([("timestamp", "ascending")])


def _of_events(journal: Journal) -> Iterator[dict[str, Any]]:
    cursor: str | None = None
    while True:
        page = journal.query(entity_type="decision", limit=_PART_ROWS, cursor=cursor)
        for event in page.items:
            yield _of_event(event)
        cursor = page.next
        if cursor is None:
            return


def _of_event(event: Event) -> dict[str, Any]:
    said = json.loads(event.context)
    return {
        **_decision(said),
        "mutation_id": event.entity_id,
        "outcome": event.action,
        "dataset": event.dataset,
        "dataset_id": event.dataset_id,
        "actor": event.actor,
        "source": event.source,
        "reason": said.get("reason", ""),
        "timestamp": event.timestamp,
        "fired": [(rule["rule"], rule["fired"]) for rule in said.get("rules", ())],
        "detail": json.dumps(
            {name: said[name] for name in ("reasons", "samples", "size") if name in said},
            ensure_ascii=False,
        ),
    }


def _of_commits(store: Store, datasets: list[Dataset]) -> Iterator[dict[str, Any]]:
    with ThreadPoolExecutor(_READERS, thread_name_prefix="lakecore-decisions") as readers:
        for dataset in datasets:
            folder = f"{dataset.location}/_delta_log/"
            paths = [
                info.path
                for info in store.list_objects(folder)
                if _LOG_ENTRY.fullmatch(info.path.removeprefix(folder))
            ]
            for start in range(0, len(paths), _PART_ROWS):
                some = paths[start : start + _PART_ROWS]
                for path, record in zip(
                    some, readers.map(lambda path: _record(store, path), some), strict=True
                ):
                    if record is not None:
                        yield from _of_record(dataset, int(path[-25:-5]), record)


def _record(store: Store, path: str) -> CommitRecord | None:
    try:
        return read_commit_record(store.get(path))
    except NotFound:
        return None  # trimmed since it was listed


def _of_record(dataset: Dataset, version: int, record: CommitRecord) -> Iterator[dict[str, Any]]:
    for mutation in record.mutations:
        said = mutation.context.get("decision")
        if not isinstance(said, dict):
            continue
        yield {
            **_decision(said),
            "mutation_id": mutation.mutation_id,
            "outcome": "committed",
            "dataset": dataset.name,
            "dataset_id": dataset.dataset_id,
            "version": version,
            "actor": mutation.actor,
            "source": mutation.source,
            "reason": mutation.reason,
            "timestamp": mutation.timestamp_us,
            "fired": list(said.get("fired", {}).items()),
            "approved_by": said.get("approved_by"),
            "detail": None,
        }


def _decision(said: dict[str, Any]) -> dict[str, Any]:
    rule_set = said.get("rule_set") or {}
    return {
        "op": said.get("op"),
        "tier": said.get("tier"),
        "rule_set": rule_set.get("name"),
        "rule_set_version": rule_set.get("version"),
        "rule_set_hash": rule_set.get("hash"),
    }


def _no_events(columns: list[str]) -> pa.Table:
    from lakecore.journal import event_schema

    return pa.schema([event_schema().field(name) for name in columns]).empty_table()


def _grouped(events: pa.Table) -> pa.Table:
    action = events.column("action")
    counted = events.drop_columns(["action"]).append_column(
        "events", pa.repeat(pa.scalar(1, pa.int64()), events.num_rows)
    )
    for name, word in _COUNTED.items():
        counted = counted.append_column(name, pc.cast(pc.equal(action, word), pa.int64()))
    return _summed(counted)


def _together(parts: list[pa.Table]) -> pa.Table:
    return _summed(pa.concat_tables(parts))


def _summed(rows: pa.Table) -> pa.Table:
    sums = ("events", *_COUNTED)
    grouped = rows.group_by(list(_KEYS), use_threads=False).aggregate(
        [("timestamp", "min"), ("context", "first"), *((name, "sum") for name in sums)]
    )
    names = ("timestamp", "context", *sums)
    return grouped.select(
        [*_KEYS, "timestamp_min", "context_first", *(f"{name}_sum" for name in sums)]
    ).rename_columns([*_KEYS, *names])


def _reasons(contexts: pa.ChunkedArray) -> pa.Array:
    import polars as pl

    found = pl.Series(contexts.to_pylist(), dtype=pl.String).str.json_path_match("$.reason")
    return found.fill_null("").to_arrow().cast(pa.string())
