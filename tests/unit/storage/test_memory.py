"""A store in memory: private, and gone when it is closed, however its process ends."""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import pytest

from lakecore.base import InvalidInput
from lakecore.storage import _memory, open_store
from lakecore.storage._memory import MemoryStore


def root(store: MemoryStore) -> Path:
    """Where it really is."""
    return Path(store.table_uri("x")).parent


def run(code: str) -> Path:
    """Run a process that prints where its store is; return that."""
    prelude = "import os, sys, signal; from lakecore.storage import open_store\n"
    prelude += "s = open_store('memory://'); s.create('x', b'1')\n"
    prelude += "print(s.local_path('x').parent, flush=True)\n"
    done = subprocess.run(
        [sys.executable, "-c", prelude + code], capture_output=True, text=True, check=False
    )
    assert done.stdout.startswith("/"), done.stderr
    return Path(done.stdout.split()[0])


def test_every_store_is_its_own() -> None:
    """Two openers of one URL see nothing of each other."""
    one, two = open_store("memory://"), open_store("memory://")
    one.create("a", b"1")
    assert not two.exists("a")
    assert one.url == two.url == "memory://"
    one.close()
    two.close()


def test_nothing_is_left_when_it_is_closed() -> None:
    """The directory is gone, and the store says so instead of making it again."""
    store = MemoryStore()
    store.create("a/b", b"1")
    place = root(store)
    assert place.stat().st_mode & 0o077 == 0
    store.close()
    store.close()
    assert not place.exists()
    for operation in (lambda: store.create("a/b", b""), lambda: store.get("a/b")):
        with pytest.raises(InvalidInput, match="closed"):
            operation()
    assert not place.exists()


def test_nothing_is_left_when_it_is_forgotten() -> None:
    """The last reference takes the directory along."""
    store = MemoryStore()
    place = root(store)
    del store
    assert not place.exists()


def test_nothing_is_left_when_the_interpreter_ends() -> None:
    """Closed or not, after an error as well."""
    assert not run("").exists()
    assert not run("raise SystemExit(3)").exists()


def test_a_forked_child_leaves_it_alone() -> None:
    """The store is its parent's."""
    place = run(
        "if os.fork() == 0: sys.exit(0)\n"
        "os.wait()\n"
        "print(s.get('x'))\n"
        "assert s.local_path('x').exists()\n"
    )
    assert not place.exists()


def test_what_a_killed_process_left_is_removed_by_the_next() -> None:
    """And nothing that somebody still holds."""
    held = MemoryStore()
    left = run("os.kill(os.getpid(), signal.SIGKILL)")
    assert left.exists()
    MemoryStore().close()
    assert left.exists()  # too young to be told from one that is just being made
    for place in (left, root(held)):
        os.utime(place, (time.time() - 100,) * 2)
    MemoryStore().close()
    assert not left.exists()
    assert root(held).exists()
    held.close()


def test_where_shared_memory_is_small_it_is_on_disk(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The directory for temporary files serves as well."""
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    monkeypatch.setattr(_memory, "_MIN_FREE_BYTES", 1 << 60)
    store = MemoryStore()
    assert root(store).parent == tmp_path
    store.close()
    assert list(tmp_path.iterdir()) == []
