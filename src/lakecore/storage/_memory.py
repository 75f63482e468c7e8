"""A store that lives as long as its opener: tests, examples, questions asked once.

It is the local store in a private directory, on ``/dev/shm`` (that is, in memory)
where that has 256 MiB free, else in the directory for temporary files. Delta readers,
DuckDB and Arrow want files, and so they find some. `close`, the end of the store
and the end of the interpreter remove it; what a killed process left is removed by
the next process that opens a store in memory.
"""

from __future__ import annotations

import fcntl
import os
import shutil
import tempfile
import time
import weakref
from contextlib import suppress
from pathlib import Path
from typing import Final

from lakecore.base import InvalidInput
from lakecore.storage._local import LocalStore

_SHARED_MEMORY: Final = Path("/dev/shm")  # noqa: S108 - names in it are made by mkdtemp
_NAME: Final = "lakecore-memory-"
_GRACE_S: Final = 60.0
_MIN_FREE_BYTES: Final = 256 << 20
"""Containers often have 64 MiB of shared memory, which is no place for a lake."""


class MemoryStore(LocalStore):
    """A `Store` of this process only; nothing outlives it."""

    def __init__(self) -> None:
        place = _place()
        _remove_abandoned(place)
        root = Path(tempfile.mkdtemp(prefix=_NAME, dir=place))
        super().__init__(root)
        self.url = "memory://"
        # The lock goes with the process, however it ends: a directory without it is abandoned.
        lock = os.open(root, os.O_RDONLY | os.O_CLOEXEC)
        fcntl.flock(lock, fcntl.LOCK_SH)
        self._remove = weakref.finalize(self, _finish, root, lock, os.getpid())

    def close(self) -> None:
        """Remove everything; the store cannot be used after it."""
        self._remove()

    def _file(self, path: str) -> str:
        if not self._remove.alive:
            raise InvalidInput("the store is closed", where=path)
        return super()._file(path)


def _place() -> Path:
    if _SHARED_MEMORY.is_dir() and os.access(_SHARED_MEMORY, os.W_OK | os.X_OK):
        status = os.statvfs(_SHARED_MEMORY)
        if status.f_bavail * status.f_frsize >= _MIN_FREE_BYTES:
            return _SHARED_MEMORY
    return Path(tempfile.gettempdir())


def _finish(root: Path, lock: int, owner: int) -> None:
    if os.getpid() != owner:
        return  # a forked child ends: the parent still reads
    shutil.rmtree(root, ignore_errors=True)
    os.close(lock)


def _remove_abandoned(place: Path) -> None:
    for root in place.glob(f"{_NAME}*"):
        with suppress(OSError):
            # A directory just made may not be locked yet.
            if root.is_symlink() or time.time() - root.stat().st_mtime < _GRACE_S:
                continue
            lock = os.open(root, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC)
            try:
                fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
                shutil.rmtree(root, ignore_errors=True)
            finally:
                os.close(lock)
