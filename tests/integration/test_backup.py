"""Backups of whole lakes: what comes back is what was there, and damage is told by name."""

from __future__ import annotations

import json
import threading
from pathlib import Path

import pytest
from tests.integration.soundly import lakecore as run
from tests.servers import BUCKET, s3_options

import lakecore
from lakecore.app import backups_at, create_backup, restore_backup, verify_backups
from lakecore.base import AlreadyExists, InvalidInput
from lakecore.config import Settings, StorageSettings

PLANES = "tailnum,seats,year\n" + "".join(f"N{n},{n % 400},{1990 + n % 30}\n" for n in range(500))
QUERIES = (
    "select count(*) n, sum(seats) s from planes",
    "select * from planes order by tailnum limit 20",
    'select * from "planes@0" order by tailnum limit 20',
    "select line, reason from system.quarantine order by line",
)


def make(folder: Path) -> lakecore.Lake:
    """A lake with a dataset, its changes, quarantine, documents and direct events."""
    lake = lakecore.open(folder, actor="ada")
    file = folder.parent / "planes.csv"
    file.write_text(PLANES + "N9,1,2,3,4\n")
    lake.ingest(file, dataset="planes", key=["tailnum"])
    change(lake, 1)
    return lake


def change(lake: lakecore.Lake, number: int) -> None:
    """One change of rows, one direct event, one catalog document."""
    lake.update("planes", where=f"tailnum = 'N{number}'", set={"seats": 1000 + number})
    lake.journal.record({"entity_type": "job", "entity_id": str(number), "action": "run"})
    lake.create(f"other_{number}")


def answers(lake: lakecore.Lake) -> list[object]:
    """Everything that a restored lake has to answer alike."""
    found: list[object] = [lake.sql(query).to_pylist() for query in QUERIES]
    found += [[d.name, d.dataset_id, d.key, d.version] for d in lake.datasets()]
    for key in ("N1", "N7"):
        found.append([event.to_dict() for event in lake.history("planes", key)])
    return found


def test_a_restored_lake_is_the_same_lake(tmp_path: Path) -> None:
    """SQL, datasets, history and every event are alike; the tree of the old is a prefix."""
    with make(tmp_path / "lake") as lake:
        made = create_backup(lake, tmp_path / "backups")
        before = answers(lake)
        events = lake.sql("select * from system.journal order by seq").to_pylist()
        assert made.tree_size == len(events)
        lake_id = lake.lake_id
    assert verify_backups(tmp_path / "backups").status == "green"
    restored = restore_backup(tmp_path / "backups", tmp_path / "again", actor="bob")
    key = "signing-key.json"
    old, new = ((tmp_path / name / ".local" / key).read_text() for name in ("lake", "again"))
    assert old != new, "a secret key came out of a backup"
    with lakecore.open(tmp_path / "again", actor="ada", create=False) as again:
        assert again.lake_id == restored.lake_id != lake_id
        assert answers(again) == before
        found = again.sql("select * from system.journal order by seq").to_pylist()
        assert found[:-1] == events
        last = again.journal.recent(1)[0]
        assert (last.entity_type, last.action, last.actor) == ("lake", "restore", "bob")
        cited = json.loads(str(last.new_value))
        assert cited == restored.restored_from
        assert (cited["lake_id"], cited["tree_size"]) == (lake_id, len(events))
        assert cited["root"] == made.root
        report = again.verify()
        assert report.status == "green", report.to_dict()
        change(again, 2)
        assert again.verify().status == "green"
        # The next generation cites both.
        create_backup(again, tmp_path / "backups of again")
    third = restore_backup(tmp_path / "backups of again", tmp_path / "third")
    assert third.restored_from["restored_from"] == dict(restored.restored_from)
    content = json.loads((tmp_path / "third" / "lakecore.json").read_text())
    assert content["origin"] == third.origin
    with lakecore.open(tmp_path / "third", create=False) as lake:
        assert lake.verify().status == "green"


def test_backups_are_incremental(tmp_path: Path) -> None:
    """A second one copies what is new; each of them can be restored."""
    with make(tmp_path / "lake") as lake:
        first = create_backup(lake, tmp_path / "backups")
        same = create_backup(lake, tmp_path / "backups")
        assert (same.copied_objects, same.root) == (0, first.root)
        change(lake, 2)
        second = create_backup(lake, tmp_path / "backups")
        assert 0 < second.copied_objects < first.copied_objects
    assert [backup.number for backup in backups_at(tmp_path / "backups")] == [0, 1, 2]
    restore_backup(tmp_path / "backups", tmp_path / "old", at=0)
    with lakecore.open(tmp_path / "old", create=False) as old:
        assert [dataset.name for dataset in old.datasets()] == [
            "other_1",
            "planes",
            "system.quarantine",
        ]
        assert old.verify().status == "green"


def test_writers_go_on_meanwhile(tmp_path: Path) -> None:
    """Every backup that is made while two threads write is a sound lake."""
    stop = threading.Event()
    with make(tmp_path / "lake") as lake:

        def write(first: int) -> None:
            number = first
            while not stop.is_set():
                change(lake, number)
                number += 2

        threads = [threading.Thread(target=write, args=(start,)) for start in (2, 3)]
        for thread in threads:
            thread.start()
        try:
            made = [create_backup(lake, tmp_path / "backups") for _ in range(4)]
        finally:
            stop.set()
            for thread in threads:
                thread.join()
    assert made[0].tree_size < made[-1].tree_size
    report = verify_backups(tmp_path / "backups")
    assert report.status == "green", report.problems
    for backup in made:
        target = tmp_path / f"again {backup.number}"
        restore_backup(tmp_path / "backups", target, at=backup.number)
        with lakecore.open(target, create=False) as again:
            found = again.verify()
            assert found.status == "green", found.to_dict()
            assert found.completeness.detail["pending"] == {}
            assert again.sql("select count(*) n from planes").to_pylist() == [{"n": 500}]


def test_damage_is_found_and_named(tmp_path: Path) -> None:
    """A bit that flipped and an object that is gone: `verify` and `restore` name them."""
    with make(tmp_path / "lake") as lake:
        create_backup(lake, tmp_path / "backups")
    (manifest,) = backups_at(tmp_path / "backups")
    rows = next(entry for entry in manifest.entries if entry.path.startswith("tables/main/planes/"))
    log = next(entry for entry in manifest.entries if entry.path.startswith("journal/log/"))
    for entry in (rows, log):
        file = tmp_path / "backups" / entry.place
        whole = file.read_bytes()
        file.write_bytes(whole[:10] + bytes([whole[10] ^ 1]) + whole[11:])
        result = run(tmp_path, "backup", "verify", str(tmp_path / "backups"), exit_code=1)
        assert entry.path in result.stdout
        target = tmp_path / f"broken {entry.sha256}"
        result = run(
            tmp_path, "backup", "restore", str(tmp_path / "backups"), str(target), exit_code=1
        )
        assert entry.place in result.stderr
        assert not (target / "lakecore.json").exists()
        file.unlink()
        result = run(tmp_path, "backup", "verify", str(tmp_path / "backups"), exit_code=1)
        assert f"{entry.place} ({entry.path}, backup 0): missing" in result.stdout
        file.write_bytes(whole)
    assert verify_backups(tmp_path / "backups").status == "green"
    path = tmp_path / "backups" / manifest.path
    path.write_bytes(path.read_bytes().replace(b'"root": "', b'"root":  "'))
    result = run(tmp_path, "backup", "verify", str(tmp_path / "backups"), exit_code=1)
    assert "a manifest is not what was written" in result.stdout


def test_the_next_backup_copies_what_is_missing(tmp_path: Path) -> None:
    """An object that went away at the destination comes back; one of another size is told."""
    with make(tmp_path / "lake") as lake:
        create_backup(lake, tmp_path / "backups")
        (manifest,) = backups_at(tmp_path / "backups")
        file = tmp_path / "backups" / manifest.entries[-1].place
        file.unlink()
        assert create_backup(lake, tmp_path / "backups").copied_objects == 1
        assert verify_backups(tmp_path / "backups").status == "green"
        file.write_bytes(b"")
        with pytest.raises(lakecore.LakecoreError, match="an object of the backup is damaged"):
            create_backup(lake, tmp_path / "backups")


def test_what_is_refused(tmp_path: Path) -> None:
    """Places in or around the lake, of another lake, that are not empty, that are no backup."""
    with make(tmp_path / "lake") as lake, lakecore.open(tmp_path / "other") as other:
        for place in (tmp_path / "lake", tmp_path / "lake" / "in", tmp_path):
            with pytest.raises(InvalidInput, match="outside of the lake"):
                create_backup(lake, place)
        create_backup(lake, tmp_path / "backups")
        with pytest.raises(InvalidInput, match="another lake"):
            create_backup(other, tmp_path / "backups")
    with pytest.raises(InvalidInput, match="an empty place only"):
        restore_backup(tmp_path / "backups", tmp_path / "lake")
    with pytest.raises(InvalidInput, match="into its backup"):
        restore_backup(tmp_path / "backups", tmp_path / "backups" / "in")
    run(tmp_path, "backup", "restore", str(tmp_path / "no"), str(tmp_path / "x"), exit_code=2)
    run(tmp_path, "backup", "verify", str(tmp_path / "backups"), "--at", "7", exit_code=2)
    assert not (tmp_path / "x").exists()


def test_the_command_line(tmp_path: Path) -> None:
    """create, list, verify, restore; export and import of the journal."""
    lake, backups = tmp_path / "lake", str(tmp_path / "backups")
    make(lake).close()
    assert "backup 0: " in run(lake, "backup", "create", backups).stdout
    made = json.loads(run(lake, "--json", "backup", "create", backups).stdout)
    assert (made["number"], made["copied_objects"]) == (1, 0)
    assert len(json.loads(run(lake, "backup", "list", backups, "--json").stdout)) == 2
    assert "events" in run(lake, "backup", "list", backups).stdout
    assert run(lake, "backup", "verify", backups).stdout.startswith("ok: 2 backups")
    run(lake, "backup", "restore", backups, str(tmp_path / "again"), "--at", "0")
    run(tmp_path / "again", "verify")

    file = tmp_path / "events.csv"
    run(lake, "journal", "export", "-o", str(file), "--dataset", "planes")
    again = run(lake, "journal", "export", "-o", str(file), exit_code=2)
    assert "there is a file already" in again.stderr
    run(lake, "journal", "export", "-o", str(file), "--overwrite", "--until-seq", "3")
    run(tmp_path / "empty", "init")
    assert (
        "3 rows checked"
        in run(tmp_path / "empty", "journal", "import", str(file), "--dry-run").stdout
    )
    run(tmp_path / "empty", "journal", "import", str(file), "--note-origin", "the lake")
    lines = run(tmp_path / "empty", "journal", "export").stdout.splitlines()
    assert len(lines) == 3
    assert json.loads(json.loads(lines[0])["context"])["imported_from"] == {
        "journal": "the lake",
        "seq": 0,
    }
    bad = run(
        tmp_path / "empty", "journal", "import", "-", "--dry-run", stdin='{"a": 1}\n', exit_code=2
    )
    assert "no such field" in bad.stderr


def test_a_bucket_and_back(
    s3_endpoint: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A lake in a bucket backed up to a disk, restored into the bucket, and from there again."""
    options = s3_options(s3_endpoint)
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "state"))
    settings = Settings(storage=StorageSettings(options=options))
    root = f"s3://{BUCKET}/backup test"
    file = tmp_path / "planes.csv"
    file.write_text(PLANES)
    with lakecore.open(f"{root}/lake", actor="ada", config=settings) as lake:
        lake.ingest(file, dataset="planes", key=["tailnum"])
        change(lake, 1)
        lake.journal.record({"entity_type": "job", "entity_id": "staged", "action": "run"})
        create_backup(lake, tmp_path / "backups")
        create_backup(lake, f"{root}/backups", options=options)
        expected = lake.sql(QUERIES[0]).to_pylist()
        size = lake.journal.stats()["tree_size"]
        with pytest.raises(InvalidInput, match="outside of the lake"):
            create_backup(lake, f"{root}/lake/in", options=options)
    restore_backup(tmp_path / "backups", f"{root}/again", target_options=options)
    restore_backup(f"{root}/backups", tmp_path / "here", options=options)
    assert verify_backups(f"{root}/backups", options=options).status == "green"
    for place, config in ((f"{root}/again", settings), (str(tmp_path / "here"), None)):
        with lakecore.open(place, config=config, create=False) as again:
            assert again.sql(QUERIES[0]).to_pylist() == expected
            assert again.verify().status == "green"
            assert again.journal.stats()["tree_size"] == size + 1


def test_a_place_of_a_restore_is_no_lake_yet(tmp_path: Path) -> None:
    """Nothing makes a lake of a place where a restore broke off; running it again does."""
    with make(tmp_path / "lake") as lake:
        create_backup(lake, tmp_path / "backups")
    (manifest,) = backups_at(tmp_path / "backups")
    last = tmp_path / "backups" / manifest.entries[-1].place
    last.rename(tmp_path / "kept")
    with pytest.raises(lakecore.LakecoreError, match="missing"):
        restore_backup(tmp_path / "backups", tmp_path / "again")
    with pytest.raises(lakecore.LakecoreError, match="being restored"):
        lakecore.open(tmp_path / "again")
    (tmp_path / "kept").rename(last)
    restore_backup(tmp_path / "backups", tmp_path / "again")
    with lakecore.open(tmp_path / "again", create=False) as again:
        assert again.verify().status == "green"
        with pytest.raises((InvalidInput, AlreadyExists)):
            restore_backup(tmp_path / "backups", tmp_path / "again")
