"""One of several processes that use a journal in every way at a time; see the tests beside it.

It says what was acknowledged, one prefix of three events a line, so that a reader knows
what must be there even when this process is killed between two lines.
"""

from __future__ import annotations

import asyncio
import io
import os
import random
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Final

from tests.fakes.compaction import use_ranges
from tests.fakes.journals import delta_commit, sample, stage, target

from lakecore.base import AlreadyExists, LakecoreError, SystemClock
from lakecore.journal import Journal, JournalSettings, arrow_to_events, read_commit_record
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


SETTINGS: Final = JournalSettings(
    seal_events=100,
    seal_interval_s=0.05,
    compact_grace_s=0.0,
    checkpoint_interval_s=1.0,
)
ATTEMPT: Final = "?"
"""Before the prefix of a batch that is about to be recorded."""


def say_aloud(line: str) -> None:
    """To whoever reads what this process prints."""
    print(line, flush=True)


class Worker:
    """Random steps; each that records says its prefix once it is acknowledged.

    Args:
        say: takes a line.
        version: of the table, where its commits begin.
        wrap: from the lake's store to what takes its place.
    """

    def __init__(
        self,
        lake: str,
        state: str,
        name: str,
        seed: int,
        tail: str,
        *,
        say: Callable[[str], object] = say_aloud,
        settings: JournalSettings = SETTINGS,
        version: int = 0,
        wrap: Callable[[Store], Store] = lambda store: store,
    ) -> None:
        self.rng = random.Random(seed)
        self.name = name
        self.say = say
        self.store: Store = wrap(open_store(lake))
        self.machine = Path(state).name
        # One machine signs.
        origin = "example.com/many" if self.machine.endswith("a") else ""
        self.journal = Journal.open(
            self.store,
            Path(state),
            clock=JumpingClock(self.rng),
            settings=settings,
            origin=origin,
        )
        self.signs = bool(origin)
        self.tail_file = Path(tail)
        self.version = version
        self.more: list[Callable[[int], str]] = []

    def run(self, seconds: float, stop: Path | None = None) -> None:
        """For so long at most, or until there is a file of that name."""
        steps = [self.direct, self.direct, self.single, self.commit, self.seal, self.read]
        steps += [self.compact, self.at_once, self.shared, self.tail, self.tail, self.rest]
        steps += self.more
        deadline = time.monotonic() + seconds
        turn = 0
        while time.monotonic() < deadline and not (stop and stop.exists()):
            step = self.rng.choice(steps)
            try:
                if prefix := step(turn):
                    self.say(prefix)
            except LakecoreError as error:
                if error.exit_code != 4:  # only 'try again later' is an answer here
                    raise
            turn += 1
        self.journal.close()

    def direct(self, turn: int) -> str:
        prefix = f"{self.name}-d{turn}"
        self.say(ATTEMPT + prefix)
        return self.again(prefix)

    def again(self, prefix: str) -> str:
        """Record a batch, be it for the second time."""
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

    def at_once(self, turn: int) -> str:
        """Three tasks of an event loop."""
        prefix = f"{self.name}-a{turn}"
        events = arrow_to_events(sample(prefix, 3))

        async def record() -> None:
            await asyncio.gather(*map(self.journal.record_async, events))

        asyncio.run(record())
        return prefix

    def shared(self, turn: int) -> str:
        """Ids that the other process of this machine supplies, too, at about the same time."""
        del turn
        prefix = f"{self.machine}-x{int(time.time() * 4)}"
        if self.rng.random() < 0.5:
            self.journal.record_batch(sample(prefix, 3))
        else:
            for event in arrow_to_events(sample(prefix, 3)):
                self.journal.record(event)
        return prefix

    def compact(self, turn: int) -> str:
        del turn
        self.journal.compact()
        return ""

    def rest(self, turn: int) -> str:
        """Sign, where the key is; write what there is to a file."""
        if self.signs and turn % 2:
            self.journal.checkpoint()
        else:
            self.journal.export(io.BytesIO(), "ndjson", since_seq=max(0, turn - 50))
        return ""

    def tail(self, turn: int) -> str:
        """Go on behind the cursor that was kept last, be it by a process that was killed."""
        del turn
        cursor = None
        if self.tail_file.exists():
            cursor = self.tail_file.read_text().splitlines()[0]
        seen = []
        for batch in self.journal.tail(cursor=cursor, limit=2_000):
            seen += [event.event_id for event in batch]
            cursor = batch.cursor
        if cursor is not None and seen:
            old = self.tail_file.read_text().splitlines()[1:] if self.tail_file.exists() else []
            beside = self.tail_file.with_suffix(f".{os.getpid()}")
            beside.write_text("\n".join([cursor, *old, *seen]))
            beside.replace(self.tail_file)
        return ""

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
    lake, state, name, seed, seconds, tail, stop = sys.argv[1:8]
    use_ranges(64, 6, 8)
    Worker(lake, state, name, int(seed), tail).run(float(seconds), Path(stop))
