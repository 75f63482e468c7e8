"""Journals, events and commits for tests."""

from __future__ import annotations

import json
from collections.abc import Iterable
from pathlib import Path

import pyarrow as pa

from lakecore.base import Clock, LakecoreError
from lakecore.journal import (
    CommitRecord,
    Event,
    Journal,
    JournalSettings,
    Mutation,
    Target,
    events_to_arrow,
)
from lakecore.storage import Store

TIME_US = 1_700_000_000_000_000
MANUAL = JournalSettings(background=False, append_timeout_s=5.0, checkpoint=False)


def open_journal(
    store: Store, state_dir: Path, *, clock: Clock | None = None, settings: JournalSettings = MANUAL
) -> Journal:
    """A journal that seals only when asked to."""
    return Journal.open(store, state_dir, clock=clock, settings=settings)


def sample(
    prefix: str, count: int, *, first: int = 0, version: int | None = None, dataset_id: str = ""
) -> pa.Table:
    """`count` events with the ids ``<prefix>:<n>``, 1 µs apart."""
    return events_to_arrow(
        {
            "event_id": f"{prefix}:{number}",
            "timestamp": f"2026-01-01T00:00:00.{number % 1_000_000:06d}Z",
            "entity_type": "plane",
            "entity_id": f"N{number % 7}",
            "field": "seats",
            "action": "update",
            "old_value": str(number),
            "new_value": str(number + 1),
            "actor": "ada",
            "dataset": "planes" if dataset_id else "",
            "dataset_id": dataset_id,
            "version": version,
            "mutation_id": prefix,
        }
        for number in range(first, first + count)
    )


def target(version: int, name: str = "planes") -> Target:
    """The target of a table's commit."""
    return Target(
        path=f"tables/main/{name}/_delta_log/{version:020d}.json",
        kind="table",
        dataset=name,
        dataset_id=f"id-{name}",
        version=version,
    )


def mutation(mutation_id: str, timestamp_us: int) -> Mutation:
    return Mutation(mutation_id, "ada", "api", "", "a test", timestamp_us, {})


def delta_commit(record: CommitRecord | None) -> bytes:
    """The bytes of a Delta commit, with a record or foreign."""
    info: dict[str, object] = {"timestamp": 1, "operation": "WRITE"}
    if record is not None:
        info["lakecore"] = record.to_json()
    lines: list[object] = [{"commitInfo": info}, {"add": {"path": "part-0.parquet"}}]
    return b"\n".join(json.dumps(line).encode() for line in lines)


def stage(
    journal: Journal, at: Target, events: pa.Table, *, timestamp_us: int | None = None
) -> CommitRecord:
    """A staged commit whose object does not exist yet."""
    with journal.stage(at) as staging:
        staging.write(events)
        return staging.finish([mutation("m", timestamp_us or TIME_US + at.version)])


def commit(store: Store, journal: Journal, at: Target, events: pa.Table) -> CommitRecord:
    """A whole commit: staged, committed, acknowledged."""
    record = stage(journal, at, events)
    store.create(at.path, delta_commit(record))
    journal.committed(record.commit_id)
    return record


def event_ids(events: Iterable[Event]) -> list[str]:
    return [event.event_id for event in events]


def sealed_ids(journal: Journal) -> list[str]:
    """The ids of the sealed events in order of `seq`, after checking that `seq` has no gap."""
    table = journal.scan(["seq", "event_id"]).read_all()
    rows = [row for row in table.to_pylist() if row["seq"] is not None]
    assert [row["seq"] for row in rows] == list(range(len(rows)))
    return [row["event_id"] for row in rows]


def seal_until_done(journal: Journal, attempts: int = 5) -> None:
    """Seal, trying again as a caller would."""
    for attempt in range(attempts):
        try:
            journal.seal()
        except LakecoreError:
            if attempt == attempts - 1:
                raise
        else:
            return
