"""Full and read-only disks, and signals: what the command line says, and nothing half done.

After each of them the lake verifies, takes the next good file, and verifies again.
"""

from __future__ import annotations

import contextlib
import json
import os
import shutil
import signal
import subprocess
import time
from pathlib import Path

import pytest
from tests.integration.soundly import GOOD, assert_sound, lakecore
from tests.integration.test_cli import LAKECORE, environment
from tests.servers import can_mount, remount_read_only

if can_mount():

    def test_a_full_disk(small_disk: Path, tmp_path: Path) -> None:
        """The file is not in, nothing of it stays; with room again all goes on."""
        large, lake = tmp_path / "large.csv", small_disk / "lake"
        lines = [f"{number},{os.urandom(24).hex()}" for number in range(60_000)]
        large.write_text("\n".join(["id,a", *lines]))
        small = tmp_path / "small.csv"
        small.write_bytes(GOOD)
        lakecore(lake, "ingest", str(small), "--dataset", "evolve", "--key", "id")
        used_bytes = shutil.disk_usage(small_disk).used
        for command in (
            f"ingest {large} --dataset large",
            f"ingest {large} --dataset large --key id",
            f"upsert evolve --file {large}",
        ):
            result = lakecore(lake, *command.split(), exit_code=2)
            assert "no space left" in result.stderr
            assert "hint:" in result.stderr
            assert shutil.disk_usage(small_disk).used - used_bytes < 64 * 1024
        command = [*LAKECORE, "--lake", str(lake), "ingest", str(large), "--dataset", "large"]
        ended = subprocess.run(command, env=environment(), capture_output=True, text=True)
        assert len(ended.stderr.splitlines()) == 3  # message, where, hint; no library's last words
        found = json.loads(lakecore(lake, "datasets", "--json").stdout)
        assert [(dataset["name"], dataset["rows"]) for dataset in found] == [("evolve", 2)]
        assert_sound(lake)

    def test_a_disk_that_is_full_already(made: Path, small_disk: Path) -> None:
        """Nothing more can be written; everything can be read, and verified."""
        lake = small_disk / "lake"
        shutil.copytree(made, lake, ignore=shutil.ignore_patterns(".local"))
        for chunk_bytes in (4096, 1):
            filler = small_disk / f"filler-{chunk_bytes}"
            with contextlib.suppress(OSError), filler.open("wb", buffering=0) as file:
                while True:
                    file.write(b"x" * chunk_bytes)
        for command in ("datasets", "status", "verify", "journal recent", "history evolve 1"):
            lakecore(lake, *command.split(), exit_code=0)
        found = lakecore(lake, "sql", "select count(*) as n from evolve", "--format", "json")
        assert json.loads(found.stdout)[0]["n"]
        lakecore(lake, "delete", "evolve", "--all", exit_code=2)

    def test_a_read_only_disk(made: Path, small_disk: Path, tmp_path: Path) -> None:
        """Everything can be read, with and without state of its own; nothing can be written."""
        lake, bare = small_disk / "lake", small_disk / "bare"
        shutil.copytree(made, lake)
        shutil.copytree(made, bare, ignore=shutil.ignore_patterns(".local"))
        file = tmp_path / "file.csv"
        file.write_bytes(b"id,a\n7,x\n")
        remount_read_only(small_disk)
        for place in (lake, bare):
            for command in (
                "init",
                "datasets",
                "datasets evolve",
                "history evolve 1",
                "blame evolve 1",
                "status",
                "verify",
                "journal recent",
                "journal query --limit 1",
                "journal stats",
            ):
                lakecore(place, *command.split())
            for query in ("select * from evolve", "select count(*) from system.journal"):
                assert lakecore(place, "sql", query).stdout
            for command in (
                f"ingest {file} --dataset evolve",
                f"ingest {file} --dataset new",
                "update evolve --all --set a=b",
                "delete evolve --all",
                "drop evolve --yes",
                "rename evolve other",
            ):
                result = lakecore(place, *command.split(), exit_code=2)
                assert "read-only file system" in result.stderr.lower()
                assert "hint:" in result.stderr
            assert "WRONG" in lakecore(place, "doctor", exit_code=1).stdout
        assert_sound(Path(shutil.copytree(lake, tmp_path / "copy" / "lake")))


@pytest.mark.parametrize("sent", [signal.SIGINT, signal.SIGTERM, signal.SIGKILL])
def test_an_interrupted_ingest(lake: Path, tmp_path: Path, sent: signal.Signals) -> None:
    """All of the file or nothing, whenever it is stopped; the same command then takes it."""
    file = tmp_path / "large.csv"
    rows = 150_000
    file.write_text("id,a\n" + "".join(f"{number},text {number}\n" for number in range(rows)))
    command = ["ingest", str(file), "--dataset", "large", "--key", "id"]
    with subprocess.Popen(
        [*LAKECORE, "--lake", str(lake), *command],
        env=environment(),
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    ) as process:
        deadline = time.monotonic() + 30
        while not (lake / "tables" / "main" / "large").exists():
            assert process.poll() is None
            assert time.monotonic() < deadline
            time.sleep(0.01)
        process.send_signal(sent)
        _, stderr = process.communicate(timeout=60)
    assert "Traceback" not in stderr
    if sent == signal.SIGINT and process.returncode:
        assert (process.returncode, stderr.splitlines()[-1]) == (130, "interrupted")
    lakecore(lake, "verify")
    lakecore(lake, *command)
    counted = lakecore(lake, "sql", "select count(*) n from large", "--json").stdout
    assert json.loads(counted) == [{"n": rows}]
    lakecore(lake, "verify")
