"""Versions that other programs made: the id that all derive, and what becomes of their events."""

from __future__ import annotations

import hashlib
import json
import uuid
from pathlib import Path

import pyarrow as pa
import pytest
from tests.fakes.journals import sample

from lakecore.journal import (
    CommitRecord,
    Fate,
    Journal,
    JournalSettings,
    Mutation,
    Target,
    fate_of,
    foreign_commit_id,
)
from lakecore.storage import Store, open_store

TABLE = "6f1c5a52-4f0e-4a58-9d0e-1d8f0f0c0b11"
PATH = f"tables/main/planes/_delta_log/{3:020d}.json"
TARGET = Target(PATH, "table", "planes", TABLE, 3)
FOREIGN = b'{"commitInfo":{"engineInfo":"spark"}}\n{"add":{"path":"x"}}\n'


def opened(store: Store, place: Path) -> Journal:
    """A journal that seals when it is asked to."""
    return Journal.open(store, place, settings=JournalSettings(background=False, direct="staged"))


def stage(journal: Journal, count: int = 3) -> str:
    """Events of the foreign version, staged; its commit id."""
    commit_id = foreign_commit_id(TABLE, 3)
    with journal.stage(TARGET, commit_id=commit_id) as staging:
        staging.write(sample(commit_id, count, version=3, dataset_id=TABLE))
        staging.finish([])
    return commit_id


def record(commit_id: str) -> CommitRecord:
    """A commit record of ours."""
    mutation = Mutation("m", "ada", "api", "", "", 1)
    return CommitRecord(commit_id, 1, "0" * 64, (mutation,))


def test_the_id_is_derived() -> None:
    """A UUID of version 8 from table and version: the same everywhere, for ever."""
    found = foreign_commit_id(TABLE, 3)
    assert found == "486da01c-0ab1-8e95-927f-d2264081c0d6"
    assert uuid.UUID(found).version == 8
    digest = hashlib.sha256(f"{TABLE}/3".encode()).hexdigest()
    assert digest[:12] == found.replace("-", "")[:12]
    assert len({foreign_commit_id(TABLE, n) for n in range(100)}) == 100


@pytest.mark.parametrize(
    ("exists", "present", "fate"),
    [
        (False, None, Fate.UNDECIDED),
        (True, None, Fate.COMMITTED),
        (True, record("ours"), Fate.DEAD),
        (True, record(foreign_commit_id(TABLE, 3)), Fate.DEAD),
    ],
)
def test_the_fate(exists: bool, present: CommitRecord | None, fate: Fate) -> None:
    """Committed while the version carries no record of ours, dead as soon as it does."""
    commit_id = foreign_commit_id(TABLE, 3)
    assert fate_of(commit_id, present, exists=exists, target=TARGET) is fate


def test_an_attempt_of_ours_is_not_foreign() -> None:
    """A version without a record is another's for every id but the derived one."""
    other = foreign_commit_id(TABLE, 4)
    assert fate_of(other, None, exists=True, target=TARGET) is Fate.DEAD


def test_two_machines_at_once(tmp_path: Path) -> None:
    """Both stage the same version: one file of the same bytes, sealed once."""
    store = open_store("memory://")
    store.create(PATH, FOREIGN)
    one, two = opened(store, tmp_path / "one"), opened(store, tmp_path / "two")
    commit_id = stage(one)
    first = store.get(f"journal/staged/{commit_id}.arrow")
    assert stage(two) == commit_id
    assert store.get(f"journal/staged/{commit_id}.arrow") == first
    assert one.seal() == 3
    stage(two)
    assert two.seal() == 0
    assert two.stats()["tree_size"] == 3
    with two.ledger() as ledger:
        (sealed,) = ledger.sealed_at(PATH)
        assert (sealed.commit_id, sealed.count, sealed.last_seq) == (commit_id, 3, 2)
    assert two.completeness([(PATH, FOREIGN)]).reconciled == 1
    one.close()
    two.close()


def test_pending_undecided_and_dead(tmp_path: Path) -> None:
    """Until the version is there nothing is sealed; if it turns out to be ours, never."""
    store = open_store("memory://")
    with opened(store, tmp_path) as journal:
        stage(journal)
        assert journal.seal() == 0
        with journal.ledger() as ledger:
            assert ledger.undecided == [PATH]
        ours = {"commitInfo": {"lakecore": record("ours").to_json()}}
        store.create(PATH, json.dumps(ours).encode() + b"\n")
        with journal.ledger() as ledger:
            assert (ledger.undecided, ledger.dead) == ([], [PATH])
        assert journal.seal() == 0
        assert not list(store.list_objects("journal/staged/"))


def test_pending_is_told_with_its_age(tmp_path: Path) -> None:
    """Staged for a version that is there: committed, and readable before it is sealed."""
    store = open_store("memory://")
    store.create(PATH, FOREIGN)
    with opened(store, tmp_path) as journal:
        commit_id = stage(journal)
        assert len(journal.query(dataset_id=TABLE).items) == 3
        with journal.ledger() as ledger:
            assert ledger.pending_id(PATH) == commit_id
            assert list(ledger.pending) == [PATH]
        report = journal.completeness([(PATH, FOREIGN)])
        assert report.ok
        assert list(report.pending) == [PATH]


def test_a_record_that_was_taken_out(tmp_path: Path) -> None:
    """A version of ours that lost its record does not become a foreign one."""
    store = open_store("memory://")
    with opened(store, tmp_path) as journal:
        with journal.stage(TARGET) as staging:
            staging.write(sample(staging.commit_id, 2))
            made = staging.finish([Mutation("m", "ada", "api", "", "", 1)])
        ours = {"commitInfo": {"lakecore": made.to_json()}}
        store.create(PATH, json.dumps(ours).encode() + b"\n")
        assert journal.seal() == 2
        report = journal.completeness([(PATH, FOREIGN)])
        assert [problem.field for problem in report.missing] == ["commit record"]
        assert report.reconciled == 0


def test_events_by_position(tmp_path: Path) -> None:
    """Through the index and from the segments: the same events, also those with long values."""
    store = open_store("memory://")
    store.create(PATH, FOREIGN)
    with opened(store, tmp_path) as journal:
        commit_id = foreign_commit_id(TABLE, 3)
        events = sample(commit_id, 4, version=3, dataset_id=TABLE)
        long = pa.array([None, json.dumps("x" * 20_000), None, None], pa.string())
        index = events.schema.get_field_index("new_value")
        with journal.stage(TARGET, commit_id=commit_id) as staging:
            staging.write(events.set_column(index, events.schema.field(index), long))
            staging.finish([])
        journal.seal()
        found = journal.events_at([0, 1, 3, 99])
        assert sorted(found) == [0, 1, 3]
        assert found == journal.events_at([0, 1, 3, 99], from_rows=True)
        assert len(found[1].new_value or "") == 20_002
