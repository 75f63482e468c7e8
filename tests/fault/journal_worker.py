"""One of several processes that use a journal in every way at a time; see the test beside it.

It prints what was acknowledged, one prefix of three events a line, so that a reader knows
what must be there even when this process is killed between two lines.
"""

from __future__ import annotations

import random
import sys
import time
from pathlib import Path

from tests.fakes.journals import delta_commit, sample, stage, target

from lakecore.base import AlreadyExists, LakecoreError, SystemClock
from lakecore.journal import Journal, JournalSettings, read_commit_record
from lakecore.storage import Store, open_store


class JumpingClock(SystemClock):
    """A clock that is set forth and back by up to an hour, as a bad time server does."""

    def __init__(self, rng: random.Random) -> None:
        super().__init__()
        self._rng = rng
        self._offset_us = 0

    def now_us(self) -> int:
        if self._rng.random() < 0.05:
            self._offset_us = self._rng.randint(-3_600, 3_600) * 1_000_000
        return super().now_us() + self._offset_us


class Worker:
    """Random steps; each that records prints its prefix once it is acknowledged."""

    def __init__(self, lake: str, state: str, name: str, seed: int) -> None:
        self.rng = random.Random(seed)
        self.name = name
        self.store: Store = open_store(lake)
        self.journal = Journal.open(
            self.store,
            Path(state),
            clock=JumpingClock(self.rng),
            settings=JournalSettings(seal_events=300, seal_interval_s=0.05),
        )
        self.version = 0

    def run(self, seconds: float) -> None:
        steps = [self.direct, self.direct, self.single, self.commit, self.seal, self.read]
        deadline = time.monotonic() + seconds
        turn = 0
        while time.monotonic() < deadline:
            step = self.rng.choice(steps)
            try:
                if prefix := step(turn):
                    print(prefix, flush=True)
            except LakecoreError as error:
                if error.exit_code != 4:  # only 'try again later' is an answer here
                    raise
            turn += 1
        self.journal.close()

    def direct(self, turn: int) -> str:
        prefix = f"{self.name}-d{turn}"
        self.journal.record_batch(sample(prefix, 3))
        return prefix

    def single(self, turn: int) -> str:
        prefix = f"{self.name}-s{turn}"
        for event in sample(prefix, 3).to_pylist():
            self.journal.record(event)
        return prefix

    def commit(self, turn: int) -> str:
        """One attempt at the next version, which others want, too."""
        prefix = f"{self.name}-c{turn}"
        at = target(self.version)
        self.version += 1
        record = stage(self.journal, at, sample(prefix, 3))
        try:
            self.store.create(at.path, delta_commit(record))
        except AlreadyExists:
            winner = read_commit_record(self.store.get(at.path))
            if winner is None or winner.commit_id != record.commit_id:
                return ""
        self.journal.committed(record.commit_id)
        return prefix

    def seal(self, turn: int) -> str:
        del turn
        self.journal.seal()
        return ""

    def read(self, turn: int) -> str:
        """What was read once is never seen twice, and always in one order."""
        del turn
        ids = [event.event_id for event in self.journal.entity_history(f"N{self.rng.randrange(3)}")]
        if len(ids) != len(set(ids)):
            raise SystemExit(f"{self.name}: an event was read twice")
        sealed = [event.seq for event in self.journal.recent(50) if event.seq is not None]
        if sealed != sorted(set(sealed), reverse=True):
            raise SystemExit(f"{self.name}: recent events are out of order: {sealed}")
        return ""


if __name__ == "__main__":
    lake, state, name, seed, seconds = sys.argv[1:6]
    Worker(lake, state, name, int(seed)).run(float(seconds))
