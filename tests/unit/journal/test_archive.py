"""Archives: old events leave the lake, and the log stays whole as long as they can be reached."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import pytest
from tests.fakes.faulty_store import Fault, FaultyStore
from tests.fakes.journals import commit, open_journal, sample, target

from lakecore.base import CorruptData, LakecoreError, Unavailable
from lakecore.journal import Journal, JournalSettings
from lakecore.journal._log import runs, segment
from lakecore.storage import Store, open_store

MANUAL = JournalSettings(background=False, append_timeout_s=5.0)


@pytest.fixture(autouse=True)
def _small_ranges(monkeypatch: pytest.MonkeyPatch) -> None:
    """Ranges of 16 and 64 events instead of 2**16 and 2**20."""
    monkeypatch.setattr(runs, "LEVELS", (4, 6))


class Places:
    """Archives by name; `is_up` is whether they can be reached."""

    def __init__(self) -> None:
        self.store: Store = open_store("memory://")
        self.is_up = True

    def __call__(self, name: str) -> Store:
        if not self.is_up or name != "cold":
            raise Unavailable("nobody answers", where=name)
        return self.store


@pytest.fixture
def places() -> Places:
    """Where the archive is."""
    return Places()


@pytest.fixture
def lake() -> Store:
    """The lake's store."""
    return open_store("memory://")


@pytest.fixture
def journal(lake: Store, places: Places, tmp_path: Path) -> Iterator[Journal]:
    """A journal with 40 events in segments of 4, of which 32 are in two runs."""
    with Journal.open(lake, tmp_path / "state", settings=MANUAL, archives=places) as journal:
        for number in range(10):
            events = sample(f"c{number}", 4, version=number, dataset_id="id-planes")
            commit(lake, journal, target(number), events)
            journal.seal()
        journal.compact(grace_s=0)
        yield journal


def events_of(journal: Journal) -> list[dict[str, object]]:
    return [event.to_dict() for event in journal.query(limit=1_000).items]


def again(lake: Store, places: Places, folder: Path) -> Journal:
    """The same journal on another machine."""
    return Journal.open(lake, folder, settings=MANUAL, archives=places)


def test_everything_is_read_as_before(
    journal: Journal, lake: Store, places: Places, tmp_path: Path
) -> None:
    """Queries, history, scans, exports and verify give the same, here and elsewhere."""
    before, scanned = events_of(journal), journal.scan().read_all()
    root = journal.verify(full=True).root
    report = journal.archive("cold", before_seq=40)
    assert report.files == [
        "journal/merged/00000000000000000000-04.parquet",
        "journal/merged/00000000000000000016-04.parquet",
    ]
    assert (report.events, report.waiting) == (32, 2)
    assert journal.has_archives
    for path in report.files:
        assert lake.head(path).size_bytes < places.store.head(path).size_bytes
    with again(lake, places, tmp_path / "other") as other:
        for reader in (journal, other):
            assert events_of(reader) == before
            assert reader.scan().read_all().equals(scanned)
            assert len(reader.entity_history("N3")) == len(
                [event for event in before if event["entity_id"] == "N3"]
            )
            found = reader.verify(full=True)
            assert (found.status, found.root, found.events) == ("green", root, 40)
    assert journal.archive("cold", before_seq=40).files == []


def test_without_its_archive(journal: Journal, lake: Store, places: Places, tmp_path: Path) -> None:
    """What needs it says so by name, what does not works, and verify cannot tell."""
    journal.archive("cold", before_seq=16)
    places.is_up = False
    with again(lake, places, tmp_path / "other") as other:
        for reader in (journal, other):
            with pytest.raises(Unavailable, match="the archive 'cold' cannot be reached"):
                reader.scan().read_all()
            assert len(reader.recent(24)) == 24
            found = reader.verify(full=True)
            assert found.status == "inconclusive", found.problems
            assert found.problems == []
            reader.record({"entity_type": "t", "entity_id": "1", "action": "go on"})
            assert reader.seal() == 1
        other.compact(grace_s=0)
    with open_journal(lake, tmp_path / "third") as unaware:
        assert unaware.verify(full=True).status == "inconclusive"
        with pytest.raises(Unavailable, match="not configured"):
            unaware.scan().read_all()


def test_damage_in_an_archive_is_damage(
    journal: Journal, lake: Store, places: Places, tmp_path: Path
) -> None:
    """Other bytes, or no file where the archive itself is there: broken, and named."""
    (path,) = journal.archive("cold", before_seq=16).files
    whole = places.store.get(path)
    places.store.put(path, whole[:100] + bytes([whole[100] ^ 255]) + whole[101:])
    found = journal.verify(full=True)
    assert found.status == "broken"
    assert any(path in problem.where for problem in found.problems)
    places.store.delete(path)
    with again(lake, places, tmp_path / "other") as other:
        assert other.verify(full=True).status == "broken"
        with pytest.raises(CorruptData, match="missing in the archive"):
            other.scan().read_all()


def test_which_files_move(journal: Journal) -> None:
    """A file moves when all of its events are old enough, and compaction is done with it."""
    assert journal.archive("cold", before_seq=15, dry_run=True).files == []
    assert len(journal.archive("cold", before_seq=16, dry_run=True).files) == 1
    assert len(journal.archive("cold", before_seq=31, dry_run=True).files) == 1
    assert journal.archive("cold", before="2026-01-01T00:00:00Z", dry_run=True).files == []
    assert len(journal.archive("cold", before="2027-01-01T00:00:00Z", dry_run=True).files) == 2
    assert not journal.has_archives
    with pytest.raises(Unavailable):
        journal.archive("nowhere", before_seq=16)


@pytest.mark.parametrize("is_lake", [False, True], ids=["archive", "lake"])
@pytest.mark.parametrize("fault", [Fault.BEFORE, Fault.AFTER, Fault.TEAR])
def test_every_write(
    journal: Journal, lake: Store, places: Places, tmp_path: Path, fault: Fault, is_lake: bool
) -> None:
    """Whatever write fails: nothing is lost, and the next run ends the work."""
    before = events_of(journal)
    inner = lake if is_lake else places.store
    for number in range(1, 20):
        faulty = FaultyStore(inner, {number: fault}, stays_down=True)
        if not is_lake:
            places.store = faulty
        machine = again(faulty if is_lake else lake, places, tmp_path / str(number))
        with machine as other, suppress(LakecoreError):
            other.archive("cold", before_seq=40)
        if not is_lake:
            places.store = inner
        with again(lake, places, tmp_path / f"{number} after") as other:
            assert events_of(other) == before
            assert other.verify(full=True).status == "green"
        if faulty.writes < number:
            break
    else:
        pytest.fail("it never ended")
    with again(lake, places, tmp_path / "last") as other:
        assert other.archive("cold", before_seq=40).files == []


def test_damage_is_not_archived(journal: Journal, lake: Store, places: Places) -> None:
    """A file that is not what it was stays where it is; so does one whose name is taken there."""
    path = "journal/merged/00000000000000000000-04.parquet"
    whole = lake.get(path)
    lake.put(path, whole[:100] + bytes([whole[100] ^ 255]) + whole[101:])
    with pytest.raises(CorruptData, match="not archived"):
        journal.archive("cold", before_seq=16)
    lake.put(path, whole)
    places.store.create(path, b"of another lake")
    with pytest.raises(CorruptData, match="another file of this name"):
        journal.archive("cold", before_seq=16)
    assert lake.get(path) == whole
    assert segment.run_of(path) == (0, 4)
