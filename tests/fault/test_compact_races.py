"""The races of compaction with sealers, readers, other compactors and late puts."""

from __future__ import annotations

import json
import random
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any, BinaryIO

import pyarrow.dataset as ds
import pytest
from tests.fakes.compaction import check_whole, paths, seal_pieces, small_ranges
from tests.fakes.faulty_store import FaultyStore
from tests.fakes.journals import commit, open_journal, sample, sealed_ids, target
from tests.servers import BUCKET, s3_options

from lakecore.base import uuid7
from lakecore.journal import JournalSettings
from lakecore.journal._log.footers import Footers
from lakecore.journal._log.segment import segment_path
from lakecore.storage import Store, open_store
from lakecore.storage._remote_files import open_ranges


@pytest.fixture(autouse=True)
def _small() -> Iterator[None]:
    with small_ranges():
        yield


@pytest.fixture(params=["memory", "local", "s3"])
def store(request: pytest.FixtureRequest, tmp_path: Path) -> Store:
    if request.param == "memory":
        return open_store("memory://")
    if request.param == "local":
        return open_store((tmp_path / "lake").as_uri())
    endpoint = request.getfixturevalue("s3_endpoint")
    return open_store(f"s3://{BUCKET}/{uuid7()}", options=s3_options(endpoint))


class HookedStore(FaultyStore):
    """Calls `before(operation, path)` ahead of every operation, once for each that it names."""

    before: Callable[[str, str], None] = staticmethod(lambda name, path: None)

    def _read(self, name: str, path: str) -> Store:
        self.before(name, path)
        return super()._read(name, path)

    def _next(self, name: str, path: str) -> Any:
        self.before(name, path)
        return super()._next(name, path)

    def local_path(self, path: str) -> None:
        """None, so that every read is seen."""


def once(action: Callable[[], object], name: str, path: str) -> Callable[[str, str], None]:
    """What does it before the first operation of that name and path."""
    done: list[bool] = []

    def before(found: str, where: str) -> None:
        if (found, where) == (name, path) and not done:
            done.append(True)
            action()

    return before


def test_two_compactors_at_once(store: Store, tmp_path: Path) -> None:
    """Threads of two machines: one run for each range, whoever made it, and no error."""
    with open_journal(store, tmp_path / "writer") as journal:
        ids = seal_pieces(journal, 5, 11, 16, 1, 15, 8, 8, 4)
    start = threading.Barrier(2)

    def run(name: str) -> list[str]:
        with open_journal(store, tmp_path / name) as journal:
            start.wait()
            return journal.compact(grace_s=0).runs

    with ThreadPoolExecutor(2) as threads:
        made = [path for runs in threads.map(run, ["a", "b"]) for path in runs]
    assert len(made) == len(set(made)) == 4
    assert paths(store)[-4:] == ["-merged:0/4", "merged:0/6", "-merged:32/4", "-merged:48/4"]
    check_whole(store, tmp_path / "fresh", ids)


def test_a_sealer_that_slept_through_a_compaction(store: Store, tmp_path: Path) -> None:
    """Its old position is taken by a stub, that says who won; its events come after."""
    hooked = HookedStore(store)
    hot = JournalSettings(background=False, direct="hot")
    sleeper = open_journal(hooked, tmp_path / "sleeper", settings=hot)
    ids = []
    with open_journal(store, tmp_path / "other") as other:

        def meanwhile() -> None:
            ids.extend(seal_pieces(other, 5, 11, 16, 4, 12, 16, 2))
            other.compact(grace_s=0)

        hooked.before = once(meanwhile, "create", segment_path(0))
        sleeper.record_batch(sample("late", 3))
        assert sleeper.seal() == 3
    ids += [f"late:{n}" for n in range(3)]
    assert paths(store)[0] == "-log:0"
    assert sealed_ids(sleeper) == ids
    check_whole(store, tmp_path / "fresh", ids)
    sleeper.close()


def test_a_sealer_whose_answer_was_lost_finds_its_id_in_the_stub(
    store: Store, tmp_path: Path
) -> None:
    """The put was stored, its answer lost, and the segment merged before the sealer tried again."""
    with open_journal(store, tmp_path / "writer") as journal:
        seal_pieces(journal, 5, 11, 3)
        seal_id = Footers(store, tmp_path / "a")
        seal_id.refresh()
        before = [seal_id.made_by(seq) for seq in (0, 5, 16)]
        journal.compact(grace_s=0)
        seal_id.look_for_runs()
        fresh = Footers(store, tmp_path / "b")
        fresh.refresh()
        for footers in (seal_id, fresh):
            assert [footers.made_by(seq) for seq in (0, 5, 16)] == before
            assert footers.made_by(1) is None
            footers.close()


def test_readers_between_run_and_stubs_and_after(store: Store, tmp_path: Path) -> None:
    """A snapshot of any moment gives every event once, however far compaction got since."""
    with open_journal(store, tmp_path / "writer") as journal:
        ids = seal_pieces(journal, 5, 11, 16, 1, 15, 8, 8, 4)
        old = journal._scanner.snapshot()
        with open_journal(store, tmp_path / "other") as other:
            other.compact(grace_s=3600)
            assert all(not path.startswith("-") for path in paths(store))
            between = other._scanner.snapshot()
            report = other.compact(grace_s=0)
            assert report.replaced == 7 + 3
            for snapshot in (old, between, journal._scanner.snapshot()):
                for newest in (False, True):
                    tables = list(snapshot.sealed(newest_first=newest))
                    found = [table.column("event_id").to_pylist() for table in tables]
                    order = reversed(found) if newest else found
                    assert [name for part in order for name in part] == ids
                part = list(snapshot.sealed(first_seq=3, end_seq=50, columns=["event_id"]))
                assert [n for t in part for n in t.column("event_id").to_pylist()] == ids[3:50]


@pytest.mark.parametrize("newest_first", [False, True])
def test_a_swap_between_listing_and_opening(
    store: Store, tmp_path: Path, newest_first: bool
) -> None:
    """Stubs appear while a reader is halfway: it goes on in the run, where it was."""
    with open_journal(store, tmp_path / "writer") as journal:
        ids = seal_pieces(journal, 5, 3, 3, 5, 16, 4)
    hooked = HookedStore(store)
    with (
        open_journal(store, tmp_path / "other") as other,
        open_journal(hooked, tmp_path / "reader") as reader,
    ):
        snapshot = reader._scanner.snapshot()
        hooked.before = once(lambda: other.compact(grace_s=0), "open", segment_path(8))
        tables = [
            t.column("event_id").to_pylist() for t in snapshot.sealed(newest_first=newest_first)
        ]
        found = [name for part in (reversed(tables) if newest_first else tables) for name in part]
        assert found == ids
        opened = [path for name, path in hooked.log if name == "open" and "merged" in path]
        assert opened
        assert sealed_ids(reader) == ids


def test_parts_of_an_engine(tmp_path: Path) -> None:
    """Paths that were given away before a run was there keep their rows for the time of grace."""
    store = open_store((tmp_path / "lake").as_uri())
    with open_journal(store, tmp_path / "writer") as journal:
        seal_pieces(journal, 5, 11, 16, 1, 15, 8, 8, 4)

        def rows(given: list[str]) -> list[int]:
            files = [str(store.local_path(path)) for path in given]
            table = ds.dataset(files, format="parquet").to_table(columns=["seq"])
            return sorted(table.column("seq").to_pylist())

        with open_journal(store, tmp_path / "other") as other:
            before, _ = journal.parts()
            report = other.compact(grace_s=600)
            assert report.replaced == 0
            assert report.waiting_s == pytest.approx(600, abs=30)
            assert rows(before) == list(range(68))
            # Runs are given as soon as they are there, so the swap does not matter to these.
            after, _ = journal.parts()
            assert set(before) - set(after) == set(before) - {segment_path(16), segment_path(64)}
            assert other.compact(grace_s=0).replaced
            assert rows(after) != []
            last, _ = journal.parts()
            assert last == ["journal/merged/00000000000000000000-06.parquet", segment_path(64)]
            assert rows(last) == list(range(68))


def test_puts_that_land_late(store: Store, tmp_path: Path) -> None:
    """Stubs of the first level that arrive after the second one change nothing."""

    class Late(FaultyStore):
        """Keeps what is put."""

        puts: list[tuple[str, bytes]] = []

        def put(self, path: str, data: bytes) -> None:
            self.puts.append((path, data))
            super().put(path, data)

    late = Late(store)
    with open_journal(late, tmp_path / "writer") as journal:
        ids = seal_pieces(journal, 5, 11, 16, 1, 15, 8, 8, 4)
        journal.compact(grace_s=0)
        before = {o.path: store.get(o.path) for o in store.list_objects("journal/log/")}
        for path, data in late.puts:
            store.put(path, data)
        assert {o.path: store.get(o.path) for o in store.list_objects("journal/log/")} == before
        assert sealed_ids(journal) == ids
    check_whole(store, tmp_path / "fresh", ids)


def test_sealing_while_compacting(store: Store, tmp_path: Path) -> None:
    """A sealer goes on at the end while another machine compacts behind it, again and again."""
    ids: list[str] = []
    ended = threading.Event()

    def compact() -> int:
        with open_journal(store, tmp_path / "other") as other:
            replaced = 0
            while not ended.is_set():
                replaced += other.compact(grace_s=0).replaced
            return replaced + other.compact(grace_s=0).replaced

    with ThreadPoolExecutor(1) as thread, open_journal(store, tmp_path / "writer") as journal:
        running = thread.submit(compact)
        try:
            for number in range(30):
                name = f"c{number}"
                commit(store, journal, target(number), sample(name, 3))
                journal.seal()
                ids += [f"{name}:{n}" for n in range(3)]
                if number % 5 == 0:
                    assert sealed_ids(journal) == ids
        finally:
            ended.set()
        assert running.result() > 20
        commits = [(o.path, store.get(o.path)) for o in store.list_objects("tables/")]
        assert journal.completeness(commits).ok
    check_whole(store, tmp_path / "fresh", ids)
    with open_journal(store, tmp_path / "fresh") as fresh:
        assert fresh.completeness(commits).ok
        assert fresh.completeness(commits).matched == 30


class RangedStore(HookedStore):
    """Opens files as a bucket does: every part of them is asked for when it is needed."""

    def open(self, path: str) -> BinaryIO:
        size = self.head(path).size_bytes
        return open_ranges(lambda start, length: self.get_range(path, start, length), size)


@pytest.mark.parametrize("at", [1, 2, 3])
def test_a_swap_between_two_parts_of_a_file(tmp_path: Path, at: int) -> None:
    """A file that becomes a stub while it is read in parts is read again, in the run."""
    store = open_store("memory://")
    with open_journal(store, tmp_path / "writer") as journal:
        for number, count in enumerate((5, 11, 16, 4)):
            journal.record_batch(sample(f"e{number}", count).set_column(*long_values(count)))
            journal.seal()
        ids = sealed_ids(journal)
    ranged = RangedStore(store)
    asked: list[str] = []
    with (
        open_journal(store, tmp_path / "other") as other,
        open_journal(ranged, tmp_path / "reader") as reader,
    ):
        snapshot = reader._scanner.snapshot()

        def before(name: str, path: str) -> None:
            if (name, path) == ("get_range", segment_path(5)):
                asked.append(path)
                if len(asked) == at:
                    other.compact(grace_s=0)

        ranged.before = before
        tables = list(snapshot.sealed(columns=["event_id", "new_value"]))
        assert len(asked) >= at
        assert [n for table in tables for n in table.column("event_id").to_pylist()] == ids


def long_values(count: int) -> tuple[int, str, list[list[str]]]:
    """A column of values that do not compress: too long for one part of a file."""
    at = sample("e", 1).schema.get_field_index("new_value")
    texts = [json.dumps(random.Random(n).randbytes(300_000).hex()) for n in range(count)]
    return at, "new_value", [texts]
