"""What others do between any two reads of one question: the answer is of one moment.

Each question is asked again and again. Each time, at another one of the reads that it makes
of the store, everything that can move does: what waits is sealed, more is recorded and
committed, small files are merged and replaced by stubs, a checkpoint is signed, all of it is
verified. Once by another thread that shares the journal's caches, once by another process.
Whatever was acknowledged before the question is in the answer, once; and nothing that is
whole is called damaged.

`LAKECORE_SOAK_ROUNDS` asks at every read; without it, at some of them.
"""

from __future__ import annotations

import os
import random
import shutil
import threading
import time
from collections.abc import Callable
from contextlib import closing
from pathlib import Path
from typing import Final

import pytest
from tests.fakes.compaction import small_ranges
from tests.fakes.faulty_store import FaultyStore
from tests.fakes.journals import commit, sample, seal_until_done, target

from lakecore.base import LakecoreError
from lakecore.journal import Journal, JournalSettings
from lakecore.storage import Store, open_store

EVERY: Final = "LAKECORE_SOAK_ROUNDS" in os.environ
SOME: Final = 2
ORIGIN: Final = "example.com/reads"
_HELD_S: Final = 0.5
"""How long a reader waits for who moves things: that one may wait for the reader's locks."""


class BusyStore(FaultyStore):
    """A store that calls `act` before its n-th read, counted from 1."""

    def __init__(self, inner: Store) -> None:
        super().__init__(inner)
        self.reads = 0
        self.number = 0
        self.act: Callable[[], None] = lambda: None

    def arm(self, number: int, act: Callable[[], None]) -> None:
        self.reads, self.number, self.act = 0, number, act

    def _read(self, name: str, path: str) -> Store:
        self._count()
        return super()._read(name, path)

    def local_path(self, path: str) -> Path | None:
        self._count()
        return super().local_path(path)

    def _count(self) -> None:
        self.reads += 1
        if self.reads == self.number:
            self.act()


def open_at(folder: Path, store: Store) -> Journal:
    settings = JournalSettings(background=False, compact_grace_s=0.0, checkpoint=False)
    return Journal.open(store, folder / "state", origin=ORIGIN, settings=settings)


def build(folder: Path) -> None:
    """Stubs, a run, small segments, an index, tiles; events that wait, hot and staged."""
    journal = open_at(folder, open_store(str(folder / "lake")))
    store = journal._store
    for number in range(6):
        journal.record_batch(sample(f"h{number}", 7))
        journal.seal()
    journal.compact(grace_s=0)
    journal.checkpoint()
    commit(store, journal, target(0), sample("a", 23))
    journal.seal()
    commit(store, journal, target(1), sample("b", 9))
    journal.record_batch(sample("w", 5))
    journal._hot.close()
    journal._footers.close()


def move(journal: Journal, store: Store) -> None:
    """Everything that can be done to a journal, once."""
    journal.seal()
    journal.record_batch(sample("later", 21))
    commit(store, journal, target(2), sample("c", 3))
    journal.seal()
    journal.compact(grace_s=0)
    journal.checkpoint()
    journal.verify()


BEFORE: Final = {f"h{n}:{row}" for n in range(6) for row in range(7)} | {
    f"{name}:{row}" for name, count in (("a", 23), ("b", 9), ("w", 5)) for row in range(count)
}


def scan(journal: Journal) -> list[str]:
    return list(journal.scan(["event_id"]).read_all().column("event_id").to_pylist())


def recent(journal: Journal) -> list[str]:
    return [event.event_id for event in journal.recent(1_000)]


def pages(journal: Journal) -> list[str]:
    found, cursor = [], None
    while True:
        page = journal.query(actor="ada", limit=13, cursor=cursor)
        found += [event.event_id for event in page.items]
        cursor = page.next
        if cursor is None:
            return found


def histories(journal: Journal) -> list[str]:
    return [e.event_id for number in range(7) for e in journal.entity_history(f"N{number}")]


def figures(journal: Journal) -> list[str]:
    """Counts of one moment: what is sealed and what is not, together."""
    stats = journal.stats()
    assert stats["total_events_created"] == stats["tree_size"] + stats["buffer_events"]
    assert stats["buffer_events"] >= 0
    assert stats["pending"]["events"] >= 0
    assert stats["total_events_created"] in {len(BEFORE), len(BEFORE) + 21, len(BEFORE) + 24}
    return sorted(BEFORE)


def verification(journal: Journal) -> list[str]:
    report = journal.verify(full=True)
    assert (report.status, report.problems, report.derived) == ("green", [], [])
    assert report.anchors is not None
    assert report.anchors.status == "green"
    return sorted(BEFORE)


def completeness(journal: Journal) -> list[str]:
    store = journal._store
    objects = [(info.path, store.get(info.path)) for info in store.list_objects("tables/")]
    complete = journal.completeness(objects)
    assert (complete.missing, complete.foreign, complete.unreadable) == ([], [], [])
    return sorted(BEFORE)


def cut(journal: Journal) -> list[str]:
    """What a backup takes: its root is that of its size."""
    found = journal.cut()
    tree = journal._footers.frontier_at(found.size)
    assert tree is not None
    assert found.root == tree.root().hex()
    assert found.problems == ()
    return sorted(BEFORE)


def tail(journal: Journal) -> list[str]:
    found = [event.event_id for batch in journal.tail() for event in batch]
    assert BEFORE - set(found) <= {f"{n}:{row}" for n in "bw" for row in range(9)}
    return [*found, *sorted(BEFORE - set(found))]


QUESTIONS: Final = [
    scan, recent, pages, histories, figures, verification, completeness, cut, tail,
]  # fmt: skip


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("whole") / "it"
    with small_ranges():
        build(folder)
    return folder


@pytest.mark.parametrize("is_other", [False, True], ids=["thread", "process"])
@pytest.mark.parametrize("ask", QUESTIONS, ids=lambda ask: str(ask.__name__))
def test_an_answer_is_of_one_moment(
    whole: Path, tmp_path: Path, ask: Callable[[Journal], list[str]], is_other: bool
) -> None:
    """See the module."""
    seed = int(os.environ.get("LAKECORE_SEED", time.time_ns() % 1_000_000))
    with small_ranges():
        count = _asked(whole, tmp_path / "count", ask, 0, is_other)
        numbers = range(1, count + 1)
        chosen = numbers if EVERY else sorted(random.Random(seed).sample(numbers, SOME))
        for number in chosen:
            try:
                _asked(whole, tmp_path / f"at-{number}", ask, number, is_other)
            except (AssertionError, LakecoreError) as error:
                raise AssertionError(f"seed {seed}, read {number} of {count}: {error}") from error


def _asked(
    whole: Path, folder: Path, ask: Callable[[Journal], list[str]], number: int, is_other: bool
) -> int:
    """Ask once, with everything moved at one of the reads; how many reads there were."""
    shutil.copytree(whole, folder)
    inner = open_store(str(folder / "lake"))
    store = BusyStore(inner)
    errors: list[BaseException] = []
    with closing(open_at(folder, store)) as journal:
        if number % 2:
            journal.recent(1)  # as one that is at work: caches are filled

        def run() -> None:
            try:
                if is_other:
                    with closing(open_at(folder, inner)) as other:
                        move(other, inner)
                else:
                    move(journal, inner)
            except BaseException as error:
                errors.append(error)

        mover = threading.Thread(target=run)

        def act() -> None:
            mover.start()
            mover.join(_HELD_S)

        store.arm(number, act)
        found = ask(journal)
        reads = store.reads
        if mover.ident is not None:  # with caches there are fewer reads than were counted
            mover.join()
        assert not errors, errors
        assert len(found) == len(set(found))
        assert set(found) >= BEFORE, sorted(BEFORE - set(found))
        seal_until_done(journal)
    shutil.rmtree(folder)
    return reads
