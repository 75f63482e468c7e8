"""A text index whose writer is killed: it is what one of its updates made it, whole.

`LAKECORE_SOAK_ROUNDS` is the number of kills.
"""

from __future__ import annotations

import os
import random
import shutil
import subprocess
import sys
import time
from pathlib import Path

import pyarrow as pa
import pytest
from tests.fault.fulltext_worker import ROWS, rows_of
from tests.servers import can_mount, remount_read_only

from lakecore.base import OutOfSpace, ReadOnly
from lakecore.fulltext import TextIndex

REPOSITORY = Path(__file__).parents[2]
ROUNDS = int(os.environ.get("LAKECORE_SOAK_ROUNDS", "3"))
SEED = int(os.environ.get("LAKECORE_SOAK_SEED", "20261129"))


def acknowledged(folder: Path, number: int, delay_s: float) -> int:
    """Let a worker update and kill it; the last update that it said was there."""
    command = [sys.executable, "-m", "tests.fault.fulltext_worker", str(folder), str(number)]
    with subprocess.Popen(command, cwd=REPOSITORY, stdout=subprocess.PIPE, text=True) as worker:
        assert worker.stdout is not None
        first = worker.stdout.readline()
        time.sleep(delay_s)
        worker.kill()
        numbers = [int(line) for line in [first, *worker.stdout.read().splitlines()] if line]
    return max(numbers)


def test_a_killed_writer_leaves_a_whole_commit(tmp_path: Path) -> None:
    """The acknowledged update is there, or the next one: never a part, never the one before."""
    print("seed", SEED)
    chance = random.Random(SEED)
    folder = tmp_path / "index"
    TextIndex.create(folder, ["text"]).update(rows_of(0))
    number = 0
    for _ in range(ROUNDS):
        told = acknowledged(folder, number, chance.random() * 0.15)
        index = TextIndex.open(folder)
        found = [n for n in (told, told + 1) if index.search(f"update{n}", 1)]
        assert len(found) == 1
        (number,) = found
        assert len(index.search(f"update{number}", 1_000)) == ROWS
        assert [hit.key for hit in index.search("once", 10)] == [f"once{number}"]
        assert index.count == ROWS + 1
        index.close()
    index = TextIndex.open(folder)
    index.update(rows_of(number + 1), [f"once{number}"])
    # What the killed ones left is cleared away by writers after them.
    stems = {path.stem for path in (folder / "tantivy").glob("*.idx")}
    assert len(stems) < 40


if can_mount():

    def test_a_full_disk(small_disk: Path) -> None:
        """An update that has no room is an error, and the index is what it was."""
        index = TextIndex.create(small_disk / "index", ["text"])
        index.update(rows_of(1))
        words = " ".join(f"w{at:x}" for at in range(200_000))
        with pytest.raises(OutOfSpace):
            index.update(pa.table({"key": ["large"], "text": [words]}), ["row0"])
        other = TextIndex.open(index.folder)
        for seen in (index, other):
            assert seen.count == ROWS + 1
            assert len(seen.search("update1", 1_000)) == ROWS
        index.update(deletes=["row0"])
        assert (index.count, other.count) == (ROWS, ROWS)
        index.close()
        other.close()

    def test_a_disk_that_is_not_written(small_disk: Path) -> None:
        """It is refused in words: the engine takes a lock in the folder, to read as well."""
        index = TextIndex.create(small_disk / "index", ["text"])
        index.update(rows_of(1))
        index.close()
        remount_read_only(small_disk)
        for refused in (
            lambda: TextIndex.open(small_disk / "index"),
            lambda: TextIndex.create(small_disk / "other", ["text"]),
        ):
            with pytest.raises(ReadOnly):
                refused()


def test_what_an_interrupted_creation_left(tmp_path: Path) -> None:
    """Every state that creating passes through can be created over, and is no index until then."""
    whole = tmp_path / "whole"
    TextIndex.create(whole, ["text"]).close()
    folder = tmp_path / "index"
    for step in range(4):
        shutil.rmtree(folder, ignore_errors=True)
        folder.mkdir()
        if step >= 1:
            (folder / "tantivy").mkdir()
        if step >= 2:
            shutil.copytree(whole / "tantivy", folder / "tantivy", dirs_exist_ok=True)
        if step >= 3:
            (folder / ".lakecore-text.json").write_bytes(b'{"form')
        assert TextIndex.create(folder, ["other"]).fields == ("other",)
        assert not (folder / ".lakecore-text.json").exists()
