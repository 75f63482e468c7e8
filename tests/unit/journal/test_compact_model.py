"""Compaction against a model: any order of appends, commits, seals, compactions and crashes."""

from __future__ import annotations

import contextlib
import shutil
import tempfile
from pathlib import Path

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule
from tests.fakes.compaction import small_ranges
from tests.fakes.faulty_store import Fault, FaultyStore
from tests.fakes.journals import commit, open_journal, sample, sealed_ids, target

from lakecore.base import LakecoreError, ManualClock
from lakecore.journal import Journal
from lakecore.storage import open_store


class CompactionMachine(RuleBasedStateMachine):
    """Two machines on one lake, of ranges of 16 and 64 events."""

    def __init__(self) -> None:
        super().__init__()
        self.ranges = small_ranges()
        self.ranges.__enter__()
        self.root = Path(tempfile.mkdtemp(prefix="lakecore-compact-model-"))
        self.store = open_store("memory://")
        self.clock = ManualClock()
        self.acknowledged: list[str] = []
        self.sealed: list[str] = []
        self.version = 0
        self.turn = 0
        self.journals = [self.opened(0), self.opened(1)]

    def opened(self, machine: int) -> Journal:
        return open_journal(self.store, self.root / str(machine), clock=self.clock)

    def name(self, count: int) -> str:
        self.turn += 1
        self.acknowledged += [f"e{self.turn}:{n}" for n in range(count)]
        return f"e{self.turn}"

    @rule(machine=st.integers(0, 1), count=st.integers(1, 20))
    def append_and_seal(self, machine: int, count: int) -> None:
        self.journals[machine].record_batch(sample(self.name(count), count))
        self.journals[machine].seal()

    @rule(machine=st.integers(0, 1), count=st.integers(1, 20))
    def append(self, machine: int, count: int) -> None:
        self.journals[machine].record_batch(sample(self.name(count), count))

    @rule(machine=st.integers(0, 1), count=st.integers(1, 40), is_sealed=st.booleans())
    def commit(self, machine: int, count: int, is_sealed: bool) -> None:
        journal = self.journals[machine]
        commit(self.store, journal, target(self.version), sample(self.name(count), count))
        self.version += 1
        if is_sealed:
            journal.seal()

    @rule(machine=st.integers(0, 1), is_swapped=st.booleans())
    def compact(self, machine: int, is_swapped: bool) -> None:
        self.journals[machine].compact(grace_s=0 if is_swapped else 1e18)

    @rule(
        machine=st.integers(0, 1),
        number=st.integers(1, 12),
        fault=st.sampled_from(Fault),
        is_sealing=st.booleans(),
    )
    def crash(self, machine: int, number: int, fault: Fault, is_sealing: bool) -> None:
        """The store fails at some write, and the process is gone after it."""
        faulty = FaultyStore(self.store, {number: fault}, stays_down=True, slow_s=0.0)
        dying = open_journal(faulty, self.root / str(machine), clock=self.clock)
        with contextlib.suppress(LakecoreError):
            if is_sealing:
                dying.seal()
            dying.compact(grace_s=0)
        self.journals[machine] = self.opened(machine)

    @rule(machine=st.integers(0, 1))
    def lose_the_cache(self, machine: int) -> None:
        for file in (self.root / str(machine)).glob("footers*"):
            file.unlink()
        self.journals[machine] = self.opened(machine)

    @rule(first=st.integers(0, 400), count=st.integers(1, 100))
    def read_a_part(self, first: int, count: int) -> None:
        tables = (
            self.journals[1]
            ._scanner.snapshot()
            .sealed(first_seq=first, end_seq=first + count, columns=["event_id"])
        )
        found = [name for table in tables for name in table.column("event_id").to_pylist()]
        assert found == self.sealed[first : first + count]

    @invariant()
    def all_is_there_once_and_green(self) -> None:
        """History, counts, order and leaves, for both machines, after every step."""
        for journal in self.journals:
            found = sealed_ids(journal)
            assert found[: len(self.sealed)] == self.sealed
            assert len(found) == len(set(found))
            assert set(found) <= set(self.acknowledged)
            assert journal.stats()["tree_size"] == len(found)
            self.sealed = found
        report = self.journals[0].verify()
        assert (report.status, report.problems) == ("green", [])
        assert report.events == len(self.sealed)

    def teardown(self) -> None:
        try:
            for journal in self.journals:
                journal.seal()
                journal.compact(grace_s=0)
            assert sorted(sealed_ids(self.journals[0])) == sorted(self.acknowledged)
            commits = [(o.path, self.store.get(o.path)) for o in self.store.list_objects("tables/")]
            assert self.journals[1].completeness(commits).ok
            places = self.journals[0]._footers.places()
            assert all(place.count == 16 for place in places if place.end_seq % 16 == 0)
            report = self.journals[1].verify()
            assert (report.status, report.problems) == ("green", [])
        finally:
            self.ranges.__exit__(None, None, None)
            self.store.close()
            shutil.rmtree(self.root)


CompactionMachine.TestCase.settings = settings(
    max_examples=10, stateful_step_count=15, deadline=None, print_blob=True
)
test_compact_model = pytest.mark.filterwarnings("ignore::ResourceWarning")(
    CompactionMachine.TestCase
)
