"""From a URL to a store."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest
from tests.servers import can_mount, remount_read_only

from lakecore.base import InvalidInput, NotFound, ReadOnly
from lakecore.storage import open_store


def test_a_directory_is_made_by_the_first_write(tmp_path: Path) -> None:
    """Opening and reading leave no trace; writing makes what is missing above, too."""
    store = open_store(tmp_path / "new" / "lake")
    assert list(store.list_objects("")) == []
    assert store.list_folders("") == []
    with pytest.raises(NotFound):
        store.get("a")
    store.delete("a")
    assert list(tmp_path.iterdir()) == []
    store.create("a", b"1")
    assert (tmp_path / "new/lake/a").read_bytes() == b"1"


def test_path_text_and_url_are_one_place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A relative path counts from where the process is; the store's URL opens it again."""
    monkeypatch.chdir(tmp_path)
    first = open_store("my lake")
    first.create("a", b"1")
    for url in ("./my lake/", tmp_path / "my lake", first.url):
        store = open_store(url)
        assert (store.url, store.get("a")) == (first.url, b"1")
    assert first.url.startswith("file:///")


def test_a_file_is_no_store(tmp_path: Path) -> None:
    """Neither the path itself nor anything above it may be a file."""
    (tmp_path / "file").write_text("x")
    for path in (tmp_path / "file", tmp_path / "file" / "lake"):
        with pytest.raises(InvalidInput, match="a file is in the way") as refused:
            open_store(path)
        assert refused.value.hint


def test_delta_readers_can_open_what_we_open(tmp_path: Path) -> None:
    """They decode a path once too often, so a percent escape in it is refused, also by a link."""
    (tmp_path / "a%41").mkdir()
    (tmp_path / "link").symlink_to(tmp_path / "a%41")
    for path in (tmp_path / "a%41", tmp_path / "link"):
        with pytest.raises(InvalidInput, match="Delta readers"):
            open_store(path)
    open_store(tmp_path / "100% a").create("x", b"")


def test_a_name_too_long_for_a_disk_is_refused(tmp_path: Path) -> None:
    """As input, not as a fault of the disk."""
    with pytest.raises(InvalidInput):
        open_store(tmp_path / ("x" * 300))


def test_a_directory_that_cannot_be_made(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Said when opening, with a hint, not at the first write."""
    monkeypatch.setattr(os, "access", lambda path, mode: not mode & os.W_OK)
    with pytest.raises(ReadOnly, match="cannot be made") as refused:
        open_store(tmp_path / "lake")
    assert refused.value.hint
    open_store(tmp_path)  # to read
    monkeypatch.setattr(os, "access", lambda path, mode: False)
    with pytest.raises(ReadOnly, match="may not be read"):
        open_store(tmp_path)


if can_mount():

    def test_a_read_only_disk_is_known_at_once(small_disk: Path) -> None:
        """The same on a real disk, where even root may not write."""
        remount_read_only(small_disk)
        with pytest.raises(ReadOnly, match="cannot be made"):
            open_store(small_disk / "lake")
        open_store(small_disk)


def test_a_local_store_takes_no_options(tmp_path: Path) -> None:
    """An option that does nothing would be a promise."""
    for url in (str(tmp_path), "memory://"):
        with pytest.raises(InvalidInput, match="takes no options"):
            open_store(url, options={"region": "x"})


def test_the_face_is_light() -> None:
    """Importing it, and opening a directory, load no heavy library."""
    code = (
        "import sys; from lakecore.storage import open_store; open_store('.').exists('a');"
        "print({'obstore', 'pyarrow', 'deltalake'} & set(sys.modules))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout == "set()\n"
