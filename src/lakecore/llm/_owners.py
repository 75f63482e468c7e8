"""Which processes live: each holds a lock on a file of its own as long as it does.

The system lets go of the lock however a process ends, so an attempt whose owner's file can be
locked has nobody left to settle it. A forked child is a process of its own: it gives up the
lock's copy and takes another name.
"""

from __future__ import annotations

import fcntl
import os
import weakref
from collections.abc import Iterable
from contextlib import suppress
from pathlib import Path

from lakecore.base import uuid7

_owners: weakref.WeakSet[Owner] = weakref.WeakSet()


class Owner:
    """This process, as the ledger knows it."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._lock: int | None = None
        self._pid = 0
        self._name = ""
        _owners.add(self)

    @property
    def name(self) -> str:
        """The name; while it can be had, the lock is held."""
        if self._pid != os.getpid():
            self._begin()
        return self._name

    def dead(self, names: Iterable[str]) -> list[str]:
        """Those of them whose process is no more; their files are removed."""
        return [name for name in names if name != self.name and self._is_dead(name)]

    def tidy(self) -> None:
        """Remove the files of processes that are no more."""
        with suppress(OSError):
            for file in self._folder.iterdir():
                self.dead([file.name])

    def close(self) -> None:
        """Let go. What is still open is found as if the process had been killed."""
        if self._lock is not None and self._pid == os.getpid():
            with suppress(OSError):
                (self._folder / self._name).unlink()
            os.close(self._lock)
        self._lock, self._pid = None, 0

    def _begin(self) -> None:
        self._folder.mkdir(parents=True, exist_ok=True)
        self._name, self._pid = uuid7(), os.getpid()
        path = self._folder / self._name
        while True:
            self._lock = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
            fcntl.flock(self._lock, fcntl.LOCK_EX)
            with suppress(FileNotFoundError):
                if os.path.samestat(os.stat(path), os.fstat(self._lock)):
                    return
            # Somebody tidied up between the two lines: the file was not locked yet.
            os.close(self._lock)

    def _forked(self) -> None:
        """In the child: its copy of the lock is closed, which leaves the parent its own."""
        if self._lock is not None:
            os.close(self._lock)
        self._lock, self._pid = None, 0

    def _is_dead(self, name: str) -> bool:
        path = self._folder / name
        try:
            lock = os.open(path, os.O_RDWR | os.O_CLOEXEC)
        except FileNotFoundError:
            return True
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            return False
        else:
            with suppress(OSError):
                path.unlink()
            return True
        finally:
            os.close(lock)


def _after_fork_in_child() -> None:
    for owner in list(_owners):
        owner._forked()


os.register_at_fork(after_in_child=_after_fork_in_child)
