"""One SQLite file in the state directory, used by threads, forks and several processes.

- One connection for writing, one for reading, each behind a lock.
- Writers of all processes take a file lock first: SQLite's own busy handler starves.
- Connections are closed before a fork and opened again after it, on both sides: SQLite
  keeps a table of its file locks in memory, and a child would believe it holds them.
"""

from __future__ import annotations

import errno
import fcntl
import os
import sqlite3
import threading
import time
import weakref
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Final, Protocol

from lakecore.base import (
    Bug,
    CorruptData,
    InvalidInput,
    LakecoreError,
    OutOfSpace,
    ReadOnly,
    Unavailable,
)

_INSIDE: Final = ".local"
LOCK_TIMEOUT_S: Final = 30.0
"""How long a writer waits for the writers of other processes."""
_LOCK_POLL_S: Final = 0.0003
_PAGE_BYTES: Final = 16_384

_open_databases: weakref.WeakSet[Database] = weakref.WeakSet()


class Database:
    """A SQLite file that is made, with its directory, by the first writer.

    Args:
        schema: statements that make the tables, run once.
        synchronous: FULL = a commit survives a power cut; NORMAL = it may be lost whole.
        owner: whose state it is, for errors.
    """

    def __init__(
        self,
        path: Path,
        schema: str,
        *,
        synchronous: str = "FULL",
        owner: str = "the journal",
    ) -> None:
        self.path = path
        self._owner = owner
        self._schema = schema
        self._synchronous = synchronous
        self._writer: sqlite3.Connection | None = None
        self._reader: sqlite3.Connection | None = None
        self._writer_lock = threading.RLock()
        self._reader_lock = threading.RLock()
        self._lock_file: int | None = None
        self._closed = False
        _open_databases.add(self)

    @contextmanager
    def write(self) -> Iterator[sqlite3.Connection]:
        """One write transaction, alone in all processes; committed at the end of the block."""
        # One generator instead of three nested ones: every durable append passes here.
        with self._writer_lock:
            try:
                lock = self._take_lock()
                try:
                    writer = self._writer or self._connect_writer()
                    writer.execute("BEGIN IMMEDIATE")
                    try:
                        yield writer
                        writer.execute("COMMIT")
                    except BaseException:
                        with suppress(sqlite3.Error):
                            writer.execute("ROLLBACK")
                        raise
                finally:
                    fcntl.flock(lock, fcntl.LOCK_UN)
            except sqlite3.Error as error:
                raise _translated(error, self.path, self._owner) from error
            except OSError as error:
                raise _translated_os(error, self.path, self._owner) from error

    def write_one(self, statement: str, values: Sequence[object]) -> sqlite3.Cursor:
        """One statement as a transaction of its own: durable, and alone, as `write`.

        It is a single call into SQLite, during which other threads have the interpreter, and
        after which it is asked for once: a thread that works on keeps it for milliseconds.
        """
        with self._writer_lock, self._errors():
            lock = self._take_lock()
            try:
                writer = self._writer or self._connect_writer()
                return writer.execute(statement, values)
            finally:
                fcntl.flock(lock, fcntl.LOCK_UN)

    @contextmanager
    def read(self) -> Iterator[sqlite3.Connection | None]:
        """A connection for short reads; None when nothing has been written yet."""
        with self._reader_lock, self._errors():
            if self._reader is None and self.path.exists():
                self._reader = self._connect()
                if not self._reader.execute("SELECT count(*) FROM sqlite_master").fetchone()[0]:
                    # Another process is about to make the tables.
                    self._reader.close()
                    self._reader = None
            yield self._reader

    @contextmanager
    def snapshot(self) -> Iterator[sqlite3.Connection | None]:
        """As `read`, with one state for all statements, whatever others commit between them."""
        with self.read() as reader:
            if reader is None:
                yield None
                return
            reader.execute("BEGIN")
            try:
                yield reader
            finally:
                # After an error of its own SQLite may have ended it already.
                with suppress(sqlite3.Error):
                    reader.execute("ROLLBACK")

    def grow_log(self, size_bytes: int) -> None:
        """Grow the write-ahead log ahead of use, because growing it slows every commit.

        The rows are rolled back; their frames have been spilled into the log by then.
        """
        with self.write() as writer:
            # Only to have the lock, and the log open.
            writer.execute("ROLLBACK")
            try:
                self._spill(writer, size_bytes)
            finally:
                writer.execute("BEGIN")

    def _spill(self, writer: sqlite3.Connection, size_bytes: int) -> None:
        log = self.path.with_name(self.path.name + "-wal")
        if log.exists() and log.stat().st_size >= size_bytes:
            return
        writer.execute("PRAGMA cache_size = 10")
        writer.execute("BEGIN IMMEDIATE")
        try:
            writer.execute("CREATE TABLE ballast (data BLOB)")
            writer.execute("INSERT INTO ballast VALUES (zeroblob(?))", (size_bytes,))
        finally:
            writer.execute("ROLLBACK")
            writer.execute("PRAGMA cache_size = -4096")
        fd = os.open(log, os.O_RDONLY | os.O_CLOEXEC)
        try:
            os.fsync(fd)
        finally:
            os.close(fd)

    def close(self) -> None:
        """Close the connections; using the database afterwards is an error."""
        self._closed = True
        with self._writer_lock, self._reader_lock:
            self._disconnect()

    def _connect_writer(self) -> sqlite3.Connection:
        writer = self._connect()
        try:
            # A page size counts only before the file exists.
            writer.execute(f"PRAGMA page_size = {_PAGE_BYTES}")
            writer.execute("PRAGMA journal_mode = WAL")
            writer.execute(f"PRAGMA synchronous = {self._synchronous}")
            writer.execute("PRAGMA cache_size = -4096")
            writer.execute("PRAGMA journal_size_limit = -1")
            if not writer.execute("SELECT count(*) FROM sqlite_master").fetchone()[0]:
                writer.executescript(f"BEGIN IMMEDIATE; {self._schema} COMMIT;")
        except BaseException:
            writer.close()
            raise
        self._writer = writer
        return writer

    def _connect(self) -> sqlite3.Connection:
        if self._closed:
            raise InvalidInput(f"{self._owner} is closed", where=self.path)
        return sqlite3.connect(
            self.path, timeout=LOCK_TIMEOUT_S, isolation_level=None, check_same_thread=False
        )

    def _disconnect(self) -> None:
        for connection in (self._reader, self._writer):
            if connection is not None:
                with suppress(sqlite3.Error):
                    connection.close()
        self._reader = self._writer = None
        if self._lock_file is not None:
            os.close(self._lock_file)
            self._lock_file = None

    def _take_lock(self) -> int:
        if self._lock_file is None:
            make_directory(self.path.parent)
            name = self.path.with_name(self.path.name + ".lock")
            self._lock_file = os.open(name, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o666)
        take_lock(self._lock_file, self.path, LOCK_TIMEOUT_S)
        return self._lock_file

    @contextmanager
    def _errors(self) -> Iterator[None]:
        try:
            yield
        except sqlite3.Error as error:
            raise _translated(error, self.path, self._owner) from error
        except OSError as error:
            raise _translated_os(error, self.path, self._owner) from error


def take_lock(lock: int, where: Path, timeout_s: float) -> None:
    """Take a file lock, waiting for other processes up to a bound, else `Unavailable`."""
    deadline: float | None = None
    while True:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            return
        except BlockingIOError:
            now = time.monotonic()
            deadline = deadline or now + timeout_s
            if now > deadline:
                raise Unavailable(
                    "another process keeps the lock",
                    expected=f"at most {timeout_s:g} s",
                    where=where,
                    hint="see whether a process of this lake is stopped",
                ) from None
            time.sleep(_LOCK_POLL_S)


@contextmanager
def alone(path: Path, wait_s: float) -> Iterator[bool]:
    """Hold a lock file for the block; False when others keep it longer than `wait_s`.

    Raises:
        ReadOnly, Unavailable: the directory cannot be used.
    """
    try:
        make_directory(path.parent)
        lock = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o666)
    except OSError as error:
        raise _translated_os(error, path) from error
    try:
        try:
            take_lock(lock, path, wait_s)
        except Unavailable:
            yield False
        else:
            yield True
    finally:
        # Closing alone would not do: a child forked meanwhile has the lock as well.
        fcntl.flock(lock, fcntl.LOCK_UN)
        os.close(lock)


def make_directory(path: Path) -> None:
    """Make a directory and its parents; their names are durable on return.

    Not the one of a local lake whose folder is gone, a disk that is not mounted any more say:
    `FileNotFoundError`. What would be written there hides behind the disk when it is back.
    """
    if path.name == _INSIDE and not path.parent.is_dir():
        raise FileNotFoundError(errno.ENOENT, "the lake's folder is not there", str(path.parent))
    _make(path)


def _make(path: Path) -> None:
    if path.is_dir():
        return
    _make(path.parent)
    with suppress(FileExistsError):
        path.mkdir()
    fd = os.open(path.parent, os.O_RDONLY | os.O_CLOEXEC)
    try:
        os.fsync(fd)
    finally:
        os.close(fd)


def _translated_os(error: OSError, path: Path, owner: str = "the journal") -> LakecoreError:
    if error.errno in (errno.EACCES, errno.EPERM, errno.EROFS):
        return ReadOnly("the state directory cannot be written", where=path)
    if error.errno in (errno.ENOSPC, errno.EDQUOT):
        return OutOfSpace(f"no room for the local state of {owner}", where=path)
    return Unavailable("the state directory fails", found=error, where=path)


def _translated(error: sqlite3.Error, path: Path, owner: str) -> LakecoreError:
    text = str(error)
    if "full" in text:
        return OutOfSpace(f"no room for the local state of {owner}", found=text, where=path)
    if "locked" in text or "busy" in text or "disk I/O" in text or "unable to open" in text:
        return Unavailable(f"the local state of {owner} fails", found=text, where=path)
    if "readonly" in text:
        return ReadOnly(f"the local state of {owner} cannot be written", found=text, where=path)
    if isinstance(error, sqlite3.ProgrammingError):
        return Bug(f"the local state of {owner} is used wrongly", found=text, where=path)
    return CorruptData(f"the local state of {owner} is damaged", found=text, where=path)


class Forkable(Protocol):
    """Something with state that a forked child must not inherit."""

    def after_fork_in_child(self) -> None: ...


def watch_forks(thing: Forkable) -> None:
    """Have `after_fork_in_child` called in every forked child, as long as `thing` lives."""
    _forkable.add(thing)


_forkable: weakref.WeakSet[Forkable] = weakref.WeakSet()
_forking: list[Database] = []


def _before_fork() -> None:
    for database in list(_open_databases):
        database._writer_lock.acquire()
        database._reader_lock.acquire()
        database._disconnect()
        _forking.append(database)


def _after_fork_in_parent() -> None:
    while _forking:
        database = _forking.pop()
        database._reader_lock.release()
        database._writer_lock.release()


def _after_fork_in_child() -> None:
    while _forking:
        database = _forking.pop()
        database._writer_lock = threading.RLock()
        database._reader_lock = threading.RLock()
    for thing in list(_forkable):
        # One that cannot go on, with a store closed long ago, must not stop the others.
        with suppress(Exception):
            thing.after_fork_in_child()


os.register_at_fork(
    before=_before_fork,
    after_in_parent=_after_fork_in_parent,
    after_in_child=_after_fork_in_child,
)
