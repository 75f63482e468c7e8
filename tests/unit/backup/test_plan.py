"""Which objects a backup has: late versions wait, gaps are filled, what is derived stays out."""

from __future__ import annotations

from pathlib import Path

import pytest
from tests.fakes.journals import commit, delta_commit, open_journal, sample, stage, target

from lakecore.backup import Identity, create, list_backups, read_manifest, restore, verify
from lakecore.backup._view import BackupView
from lakecore.base import NotFound, ReadOnly
from lakecore.journal import Journal
from lakecore.storage import Store, open_store

LOG = "tables/main/planes/_delta_log"


@pytest.fixture
def store() -> Store:
    """A store that is a lake."""
    store = open_store("memory://")
    store.create("lakecore.json", b'{"format": 1, "lake_id": "old", "origin": "lakecore/old"}')
    return store


@pytest.fixture
def journal(store: Store, tmp_path: Path) -> Journal:
    """Its journal; it seals only when asked to."""
    return open_journal(store, tmp_path / "state")


def paths(away: Store) -> list[str]:
    """What the newest backup holds."""
    return [entry.path for entry in read_manifest(away).entries]


def rows(version: int) -> object:
    return sample(f"v{version}", 2, version=version, dataset_id="id-planes")


class LateStore:
    """A store in which something is committed right after the journal was sealed."""

    def __init__(self, journal: Journal, late: object) -> None:
        self._cut = journal.cut
        self._late = late

    def cut(self) -> object:
        cut = self._cut()
        if self._late is not None:
            self._late()  # type: ignore[operator]  # a function, once
            self._late = None
        return cut


def test_a_late_version_waits(
    store: Store, journal: Journal, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A version that is committed behind the cut is not in it, and is in the next backup."""
    away = open_store("memory://")
    commit(store, journal, target(0), rows(0))  # type: ignore[arg-type]  # a table

    def late() -> None:
        commit(store, journal, target(1), rows(1))  # type: ignore[arg-type]  # a table
        store.create(f"{LOG}/{1:020d}.checkpoint.parquet", b"derived, of a late version")
        store.create(f"{LOG}/{0:020d}.checkpoint.parquet", b"derived")

    monkeypatch.setattr(journal, "cut", LateStore(journal, late).cut)
    create(store, journal, away)
    assert f"{LOG}/{1:020d}.json" not in paths(away)
    assert f"{LOG}/{1:020d}.checkpoint.parquet" not in paths(away)
    assert f"{LOG}/{0:020d}.checkpoint.parquet" in paths(away)
    assert verify(away).status == "green"
    create(store, journal, away)
    assert f"{LOG}/{1:020d}.json" in paths(away)
    assert verify(away).status == "green"


def test_what_is_in_and_what_is_not(store: Store, journal: Journal) -> None:
    """Trusted objects and unknown ones are in; state, derived files and dead attempts are not."""
    away = open_store("memory://")
    commit(store, journal, target(0), rows(0))  # type: ignore[arg-type]  # a table
    stage(journal, target(5), rows(5))  # type: ignore[arg-type]  # a table; never committed
    inside = {
        "journal/checkpoints/00000000000000000001": b"note",
        "journal/later/thing": b"",
        "truth/rules.json": b"{}",
        "tables/main/planes/part-0.parquet": b"rows",
    }
    outside = {
        ".local/signing-key.json": b"secret",
        "journal/index/0-2.lines": b"",
        "journal/tiles/tile/1/000": b"",
        f"{LOG}/_last_checkpoint": b"{}",
    }
    for path, data in (inside | outside).items():
        store.create(path, data)
    create(store, journal, away)
    found = paths(away)
    assert set(inside) <= set(found)
    assert not set(outside) & set(found)
    assert not [path for path in found if path.startswith("journal/staged/")]
    assert read_manifest(away).checkpoint == "note"
    again = open_store("memory://")
    restore(away, again, Identity("new", "lakecore/new"))
    assert again.get("journal/former/old/checkpoints/00000000000000000001") == b"note"
    assert not list(again.list_objects("journal/checkpoints/"))


def test_damaged_staged_events_do_not_keep_the_rest(store: Store, journal: Journal) -> None:
    """A version whose events cannot be read is in the backup as it is, and named."""
    away = open_store("memory://")
    record = stage(journal, target(0), rows(0))  # type: ignore[arg-type]  # a table
    store.create(target(0).path, delta_commit(record))
    store.put(f"journal/staged/{record.commit_id}.arrow", b"damaged")
    commit(store, journal, target(1), rows(1))  # type: ignore[arg-type]  # a table
    made = create(store, journal, away)
    assert made.warnings
    assert {target(0).path, target(1).path} <= set(paths(away))
    assert f"journal/staged/{record.commit_id}.arrow" in paths(away)
    assert verify(away).status == "broken"


def test_the_view_is_a_store(store: Store, journal: Journal) -> None:
    """Lists, folders, ranges and files as the lake's; writes are refused."""
    away = open_store("memory://")
    store.create("a/b/c", b"abc")
    store.create("a/d", b"d")
    create(store, journal, away)
    view = BackupView(away, read_manifest(away))
    assert [info.path for info in view.list_objects("a/")] == ["a/b/c", "a/d"]
    assert [info.path for info in view.list_objects("a/", after="a/b/c")] == ["a/d"]
    assert view.list_folders("a/") == ["b"]
    assert view.get_range("a/b/c", 1, 5) == b"bc"
    assert view.open("a/b/c").read() == b"abc"
    assert view.head("a/d").size_bytes == 1
    assert view.exists("a/d")
    assert not view.exists("a")
    with pytest.raises(NotFound):
        view.get("a")
    for refused in (view.put, view.create):
        with pytest.raises(ReadOnly):
            refused("a/e", b"")
    with pytest.raises(ReadOnly):
        view.delete("a/d")
    with pytest.raises(ReadOnly):
        view.upload("a/e")


def test_no_backup_at_all(store: Store) -> None:
    """An empty place says so."""
    assert list(list_backups(store)) == []
    with pytest.raises(NotFound, match="no finished backup"):
        verify(store)
