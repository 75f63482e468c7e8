"""The journal against a model: any order of appends, commits, seals, crashes and openings."""

from __future__ import annotations

import contextlib
import shutil
import tempfile
from pathlib import Path

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule
from tests.fakes.faulty_store import Fault, FaultyStore
from tests.fakes.journals import (
    commit,
    delta_commit,
    event_ids,
    open_journal,
    sample,
    sealed_ids,
    stage,
    target,
)

from lakecore.base import LakecoreError, ManualClock
from lakecore.journal import CommitRecord, Journal
from lakecore.storage import open_store


class JournalMachine(RuleBasedStateMachine):
    """Two machines on one lake; what was acknowledged is in the model."""

    def __init__(self) -> None:
        super().__init__()
        self.root = Path(tempfile.mkdtemp(prefix="lakecore-model-"))
        self.store = open_store("memory://")
        self.clock = ManualClock()
        self.acknowledged: list[str] = []
        self.undecided: list[tuple[int, CommitRecord, str]] = []
        self.version = 0
        self.turn = 0
        self.sealed: list[str] = []
        self.journals = [self.opened(0), self.opened(1)]

    def opened(self, machine: int) -> Journal:
        return open_journal(self.store, self.root / str(machine), clock=self.clock)

    def name(self) -> str:
        self.turn += 1
        return f"e{self.turn}"

    @rule(machine=st.integers(0, 1), count=st.integers(1, 40))
    def append(self, machine: int, count: int) -> None:
        name = self.name()
        self.journals[machine].record_batch(sample(name, count))
        self.acknowledged += [f"{name}:{n}" for n in range(count)]

    @rule(machine=st.integers(0, 1), count=st.integers(1, 40))
    def commit(self, machine: int, count: int) -> None:
        name = self.name()
        commit(self.store, self.journals[machine], target(self.version), sample(name, count))
        self.version += 1
        self.acknowledged += [f"{name}:{n}" for n in range(count)]

    @rule(machine=st.integers(0, 1))
    def stage_only(self, machine: int) -> None:
        name = self.name()
        record = stage(self.journals[machine], target(self.version), sample(name, 2))
        self.undecided.append((self.version, record, name))

    @precondition(lambda self: any(version == self.version for version, _, _ in self.undecided))
    @rule()
    def late_commit(self) -> None:
        """A put whose answer never came lands after all."""
        at = next(item for item in self.undecided if item[0] == self.version)
        self.store.create(target(self.version).path, delta_commit(at[1]))
        self.version += 1
        self.acknowledged += [f"{at[2]}:{n}" for n in range(2)]

    @rule(machine=st.integers(0, 1))
    def seal(self, machine: int) -> None:
        self.journals[machine].seal()

    @rule(machine=st.integers(0, 1), number=st.integers(1, 4), stored=st.booleans())
    def crash_while_sealing(self, machine: int, number: int, stored: bool) -> None:
        """The store fails at some write of a seal, and the process is gone after it."""
        fault = Fault.AFTER if stored else Fault.BEFORE
        faulty = FaultyStore(self.store, {number: fault}, stays_down=True)
        dying = open_journal(faulty, self.root / str(machine), clock=self.clock)
        with contextlib.suppress(LakecoreError):
            dying.seal()
        self.journals[machine] = self.opened(machine)

    @rule(machine=st.integers(0, 1))
    def lose_the_cache(self, machine: int) -> None:
        for file in (self.root / str(machine)).glob("footers*"):
            file.unlink(missing_ok=True)  # what another connection closes goes by itself
        self.journals[machine] = self.opened(machine)

    @rule(by_s=st.integers(-100, 100))
    def turn_the_clock(self, by_s: int) -> None:
        self.clock.advance(by_s * 1_000_000)

    @invariant()
    def sealed_events_stay(self) -> None:
        """What is sealed keeps its place, and is what was acknowledged, once."""
        found = sealed_ids(self.journals[0])
        assert found[: len(self.sealed)] == self.sealed
        assert len(found) == len(set(found))
        assert set(found) <= set(self.acknowledged)
        self.sealed = found

    def teardown(self) -> None:
        for journal in self.journals:
            journal.seal()
        # Every machine's direct events are visible to all once they are sealed.
        assert sorted(sealed_ids(self.journals[0])) == sorted(self.acknowledged)
        assert len(event_ids(self.journals[1].recent(100_000))) == len(self.acknowledged)
        report = self.journals[0].verify()
        assert (report.status, report.problems) == ("green", [])
        commits = [(o.path, self.store.get(o.path)) for o in self.store.list_objects("tables/")]
        assert self.journals[1].completeness(commits).ok
        self.store.close()
        shutil.rmtree(self.root)


JournalMachine.TestCase.settings = settings(
    max_examples=12, stateful_step_count=20, deadline=None, print_blob=True
)
test_journal_model = pytest.mark.filterwarnings("ignore::ResourceWarning")(JournalMachine.TestCase)
