"""What only a disk does: order of system calls, crashes, full and read-only disks, links."""

from __future__ import annotations

import errno
import os
import shutil
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest
from tests.servers import can_mount, remount_read_only

from lakecore.base import (
    AlreadyExists,
    InvalidInput,
    NotFound,
    OutOfSpace,
    ReadOnly,
    Stop,
    Unavailable,
)
from lakecore.storage._local import LocalStore
from lakecore.storage._oserrors import read_error, write_error

MIB = 1 << 20
CREATE_FLAGS = os.O_CREAT | os.O_WRONLY


@pytest.fixture
def store(tmp_path: Path) -> LocalStore:
    """A store in an empty directory."""
    return LocalStore(tmp_path)


@pytest.fixture
def calls(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> list[tuple[str, str]]:
    """The system calls that matter to durability, as (name, path below the root)."""
    seen: list[tuple[str, str]] = []

    def label(path: str) -> str:
        relative = os.path.relpath(path, tmp_path)
        folder, _, name = relative.rpartition("/")
        return f"{folder}/TEMP".lstrip("/") if name.startswith(".tmp-") else relative

    def watch(name: str, place: Callable[..., str]) -> None:
        real = getattr(os, name)

        def call(*args: object, **options: object) -> object:
            seen.append((name, label(place(*args))))
            return real(*args, **options)

        monkeypatch.setattr(os, name, call)

    watch("fsync", lambda fd: os.readlink(f"/proc/self/fd/{fd}"))
    watch("link", lambda source, target: target)
    watch("rename", lambda source, target: target)
    watch("unlink", lambda path: path)
    watch("mkdir", lambda path, *mode: path)
    return seen


def files(root: Path) -> list[str]:
    """Every file below `root`, temporary ones included."""
    return sorted(str(p.relative_to(root)) for p in root.rglob("*") if p.is_file())


NEW_FOLDERS = [("mkdir", "a"), ("fsync", "."), ("mkdir", "a/b"), ("fsync", "a")]


def test_create_is_durable_before_it_is_seen(
    store: LocalStore, calls: list[tuple[str, str]]
) -> None:
    """Folders, then the file, then its name, then the name's folder; two fsyncs once known."""
    commit = [("fsync", "a/b/TEMP"), ("link", "a/b/x"), ("unlink", "a/b/TEMP"), ("fsync", "a/b")]
    store.create("a/b/x", b"data")
    assert calls == NEW_FOLDERS + commit
    calls.clear()
    store.create("a/b/y", b"data")
    assert calls == [(name, path.replace("/x", "/y")) for name, path in commit]


def test_a_lost_create_waits_for_the_winner(
    store: LocalStore, calls: list[tuple[str, str]]
) -> None:
    """What `AlreadyExists` reports is durable, even if the winner was killed before its fsync."""
    store.create("x", b"data")
    calls.clear()
    with pytest.raises(AlreadyExists):
        store.create("x", b"other")
    assert calls == [("fsync", "TEMP"), ("link", "x"), ("fsync", "."), ("unlink", "TEMP")]
    assert files(Path(store._root)) == ["x"]


def test_an_upload_is_durable_before_it_is_seen(
    store: LocalStore, calls: list[tuple[str, str]]
) -> None:
    """The same order as `create`."""
    with store.upload("a/b/x") as file:
        file.write(b"data")
        assert calls == NEW_FOLDERS
    assert calls[4:6] == [("fsync", "a/b/TEMP"), ("link", "a/b/x")]
    assert calls[6:] == [("unlink", "a/b/TEMP"), ("fsync", "a/b")]


def test_put_is_durable_before_it_replaces(store: LocalStore, calls: list[tuple[str, str]]) -> None:
    """The new content first, then its name, then the folder."""
    store.put("x", b"1")
    assert calls == [("fsync", "TEMP"), ("rename", "x"), ("fsync", ".")]


def test_folders_made_by_others_are_synced_too(
    store: LocalStore, calls: list[tuple[str, str]], tmp_path: Path
) -> None:
    """Their maker may have been killed before its own fsync."""
    (tmp_path / "a/b").mkdir(parents=True)
    calls.clear()
    store.create("a/b/x", b"")
    assert calls[:4] == NEW_FOLDERS


CREATOR = """
import sys, time
from pathlib import Path
from lakecore.base import AlreadyExists
from lakecore.storage import open_store
root, go, me = sys.argv[1:]
store = open_store(root)
print("ready", flush=True)
while not Path(go).exists(): time.sleep(0.001)
for number in range(100):
    try: store.create(f"race/{number}", me.encode())
    except AlreadyExists: continue
    print(number)
"""


def test_exactly_one_of_four_processes_wins(tmp_path: Path) -> None:
    """Each of a hundred names has one winner, and holds what that one wrote."""
    root, go = tmp_path / "lake", tmp_path / "go"
    processes = [
        subprocess.Popen(
            [sys.executable, "-c", CREATOR, root, go, f"{me}"], stdout=subprocess.PIPE, text=True
        )
        for me in range(4)
    ]
    for process in processes:
        assert process.stdout is not None
        assert process.stdout.readline() == "ready\n"
    go.touch()
    won = [process.communicate(timeout=60)[0].split() for process in processes]
    assert sorted(int(n) for numbers in won for n in numbers) == list(range(100))
    store = LocalStore(root)
    for me, numbers in enumerate(won):
        assert all(store.get(f"race/{number}") == f"{me}".encode() for number in numbers)
    assert len(files(root)) == 100


UPLOADER = """
import sys, time
from lakecore.storage import open_store
with open_store(sys.argv[1]).upload("a/big") as file:
    file.write(b"x" * (4 << 20))
    file.flush()
    print("written", flush=True)
    time.sleep(600)
"""


def test_a_killed_upload_leaves_nothing_to_see(store: LocalStore, tmp_path: Path) -> None:
    """`kill -9` leaves a temporary file: never listed, swept when it is a day old."""
    with subprocess.Popen(
        [sys.executable, "-c", UPLOADER, tmp_path], stdout=subprocess.PIPE, text=True
    ) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == "written\n"
        process.kill()
    (left,) = files(tmp_path)
    assert Path(left).name.startswith(".tmp-")
    assert (tmp_path / left).stat().st_size == 4 * MIB
    assert list(store.list_objects("")) == []
    assert store.list_folders("") == []
    assert store.sweep() == 0
    yesterday = time.time() - 90_000
    os.utime(tmp_path / left, (yesterday, yesterday))
    store.create("a/.hidden", b"not ours to sweep")
    os.utime(tmp_path / "a/.hidden", (yesterday, yesterday))
    assert store.sweep() == 1
    assert files(tmp_path) == ["a/.hidden"]


def writes(store: LocalStore, data: bytes) -> list[Callable[[], None]]:
    """Every way to write an object."""

    def upload() -> None:
        with store.upload("a/upload") as file:
            file.write(data)

    return [
        lambda: store.create("a/create", data),
        lambda: store.put("a/put", data),
        upload,
    ]


def assert_writes_raise(store: LocalStore, data: bytes, error: type[Exception]) -> None:
    """They fail, say where and what to do, and leave nothing."""
    before = files(Path(store._root))
    for write in writes(store, data):
        with pytest.raises(error) as failed:
            write()
        assert "a/" in str(failed.value)
        assert getattr(failed.value, "hint", None)
        assert files(Path(store._root)) == before


@pytest.mark.parametrize("code", [errno.ENOSPC, errno.EDQUOT])
def test_a_full_disk_faked(
    store: LocalStore, monkeypatch: pytest.MonkeyPatch, tmp_path: Path, code: int
) -> None:
    """The write fails, or, where space is given late, the fsync."""

    def full(*args: object) -> int:
        raise OSError(code, os.strerror(code))

    with monkeypatch.context() as patch:
        patch.setattr(os, "write", full)
        patch.setattr(os, "dup", lambda fd: os.open("/dev/full", os.O_WRONLY))
        assert_writes_raise(store, b"x" * 4 * MIB, OutOfSpace)
        assert_writes_raise(store, b"x", OutOfSpace)
    with monkeypatch.context() as patch:
        patch.setattr(os, "fsync", full)
        assert_writes_raise(LocalStore(tmp_path), b"x", OutOfSpace)
    assert files(tmp_path) == []


def test_a_full_disk_is_not_hidden_by_a_library(
    store: LocalStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whoever wraps or swallows the error of a write, the upload fails with ours."""

    def upload(*, wrap: bool) -> None:
        with store.upload("x") as file:
            try:
                file.write(b"x" * 4 * MIB)
            except OutOfSpace as error:
                if wrap:
                    raise RuntimeError("a library's own error") from error

    monkeypatch.setattr(os, "dup", lambda fd: os.open("/dev/full", os.O_WRONLY))
    for wrap in (True, False):
        with pytest.raises(OutOfSpace):
            upload(wrap=wrap)
    assert not store.exists("x")


def test_a_read_only_disk_faked(store: LocalStore, monkeypatch: pytest.MonkeyPatch) -> None:
    """Reading goes on; writing says why it cannot."""
    store.create("a/there", b"1")
    real = os.open

    def read_only(path: str, flags: int, *args: object, **options: object) -> int:
        if flags & os.O_CREAT:
            raise OSError(errno.EROFS, os.strerror(errno.EROFS))
        return real(path, flags, *args, **options)  # type: ignore[arg-type]  # passed on

    monkeypatch.setattr(os, "open", read_only)
    assert_writes_raise(store, b"x", ReadOnly)
    assert store.get("a/there") == b"1"


if can_mount():

    def test_a_full_disk(small_disk: Path) -> None:
        """Nothing of what did not fit is left, and what fits still goes in."""
        store = LocalStore(small_disk)
        store.create("a/first", b"x" * 400_000)
        assert_writes_raise(store, b"x" * 2 * MIB, OutOfSpace)
        store.create("a/second", b"x" * 400_000)
        assert files(small_disk) == ["a/first", "a/second"]

    def test_a_read_only_disk(small_disk: Path) -> None:
        """Reading goes on; writing and deleting say why they cannot."""
        LocalStore(small_disk).create("a/there", b"1")
        remount_read_only(small_disk)
        store = LocalStore(small_disk)
        assert_writes_raise(store, b"x", ReadOnly)
        with pytest.raises(ReadOnly):
            store.create("new/folder", b"x")
        with pytest.raises(ReadOnly):
            store.delete("a/there")
        store.delete("a/nothing")
        assert store.get("a/there") == b"1"


def test_a_disk_without_hard_links_is_refused(
    store: LocalStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    """There is no other way to create a whole object atomically, so nothing pretends."""

    def no_links(*args: object) -> None:
        raise OSError(errno.EPERM, os.strerror(errno.EPERM))

    monkeypatch.setattr(os, "link", no_links)
    with pytest.raises(Stop, match="hard links") as refused:
        store.create("x", b"data")
    assert not isinstance(refused.value, ReadOnly)
    assert files(Path(store._root)) == []


@pytest.mark.parametrize(
    ("code", "reading", "writing"),
    [
        (errno.ENOENT, NotFound, NotFound),
        (errno.ENOTDIR, NotFound, InvalidInput),
        (errno.EISDIR, NotFound, AlreadyExists),
        (errno.EEXIST, Stop, AlreadyExists),
        (errno.EACCES, ReadOnly, ReadOnly),
        (errno.EPERM, ReadOnly, ReadOnly),
        (errno.EMFILE, Unavailable, Unavailable),
        (errno.EIO, Stop, Stop),
        (errno.ENAMETOOLONG, Stop, InvalidInput),
    ],
)
def test_errors_of_the_system_have_a_class(
    code: int, reading: type[Exception], writing: type[Exception]
) -> None:
    """What the caller does about each."""
    error = OSError(code, os.strerror(code))
    assert type(read_error(error, "a/b", "/lake")) is reading
    assert type(write_error(error, "a/b", "/lake")) is writing


def test_an_object_is_no_folder(store: LocalStore) -> None:
    """A name is one or the other."""
    store.create("a/b", b"object")
    with pytest.raises(InvalidInput, match="in the way"):
        store.create("a/b/c", b"")
    with pytest.raises(AlreadyExists):
        store.create("a", b"")
    with pytest.raises(AlreadyExists):
        store.put("a", b"")
    store.delete("a/b")
    store.create("a/b/c", b"the name is free for a folder now")
    assert files(Path(store._root)) == ["a/b/c"]


def test_a_folder_that_was_removed_is_made_again(store: LocalStore, tmp_path: Path) -> None:
    """What is known of folders is only remembered, not relied on."""
    store.create("a/b/c/1", b"")
    shutil.rmtree(tmp_path / "a")
    store.create("a/b/c/2", b"")
    with store.upload("a/b/c/3") as file:
        file.write(b"3")
    assert files(tmp_path) == ["a/b/c/2", "a/b/c/3"]


def test_links_below_the_root_are_no_objects(tmp_path: Path) -> None:
    """Neither listed nor read; the root itself may be a link."""
    (tmp_path / "real").mkdir()
    (tmp_path / "lake").symlink_to(tmp_path / "real")
    store = LocalStore(tmp_path / "lake")
    store.create("a/x", b"x")
    (tmp_path / "real/file").symlink_to(tmp_path / "real/a/x")
    (tmp_path / "real/folder").symlink_to(tmp_path / "real/a")
    assert [info.path for info in store.list_objects("")] == ["a/x"]
    assert store.list_folders("") == ["a"]
    assert not store.exists("file")
    with pytest.raises(NotFound):
        store.get("file")


def test_unfinished_files_of_others_are_not_listed(store: LocalStore, tmp_path: Path) -> None:
    """deltalake writes to `name#1` before it renames."""
    store.create("t/part.parquet", b"")
    (tmp_path / "t/part.parquet#1").touch()
    (tmp_path / "u").mkdir()
    (tmp_path / "u/part.parquet#2").touch()
    assert [info.path for info in store.list_objects("")] == ["t/part.parquet"]
    assert store.list_folders("") == ["t"]


def test_what_sorts_before_is_not_walked(
    store: LocalStore, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """`after` skips folders unread; a listing that is not read to its end reads no more."""
    for folder in range(20):
        for name in range(3):
            store.create(f"f/{folder:02}/{name}", b"")
    real, walked = os.scandir, []

    def scandir(path: str) -> object:
        walked.append(os.path.relpath(path, tmp_path))
        return real(path)

    monkeypatch.setattr(os, "scandir", scandir)
    found = store.list_objects("f/", after="f/17/1")
    assert next(found).path == "f/17/2"
    assert walked == ["f", "f/17"]
    assert [info.path for info in found][-1] == "f/19/2"
    assert walked == ["f", "f/17", "f/18", "f/19"]


def test_an_object_deleted_while_it_is_listed_is_left_out(store: LocalStore) -> None:
    """A listing is not a snapshot, and does not fail for that."""
    for name in "abc":
        store.create(name, b"")
    found = store.list_objects("")
    assert next(found).path == "a"
    store.delete("b")
    assert [info.path for info in found] == ["c"]
